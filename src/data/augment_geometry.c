/* augment_geometry.c - flips, crops, and turning or scaling about the middle.
 *
 * Image and mask take the same way. Images are sampled bilinearly with their edge repeated outside; masks by the
 * nearest pixel, MASK_IGNORE outside.
 */
#include "data/augment_kinds.h"

#include "data/window.h"

#include <math.h>
#include <string.h>

/* ---- flip ---- */

typedef struct Flip {
    double horizontal, vertical;
} Flip;

static const Param flip_params[] = {
    {"horizontal", PARAM_FLOAT, offsetof(Flip, horizontal), "0.5", 0, 1, NULL, "probability to swap left and right"},
    {"vertical", PARAM_FLOAT, offsetof(Flip, vertical), "0", 0, 1, NULL, "probability to swap top and bottom"},
    {0}};

static void swap_bytes(uint8_t *a, uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

static void flip_image(Image *image, bool horizontal, bool vertical) {
    if (image->data == NULL) return;
    size_t pixel = (size_t)image->channels * (size_t)(image->depth / 8), row = (size_t)image->width * pixel;
    for (size_t y = 0; horizontal && y < (size_t)image->height; y++) {
        uint8_t *left = image->u8 + y * row, *right = left + row - pixel;
        for (; left < right; left += pixel, right -= pixel) swap_bytes(left, right, pixel);
    }
    for (size_t y = 0; vertical && y < (size_t)image->height / 2; y++)
        swap_bytes(image->u8 + y * row, image->u8 + ((size_t)image->height - 1 - y) * row, row);
}

static Err flip_apply(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Flip *p = params;
    bool horizontal = rng_uniform(rng) < p->horizontal, vertical = rng_uniform(rng) < p->vertical;
    flip_image(&sample->image, horizontal, vertical);
    flip_image(&sample->mask, horizontal, vertical);
    return OK;
}

const AugmentKind augment_flip = {
    .name = "flip", .doc = "mirror images", .params = flip_params, .params_bytes = sizeof(Flip), .apply = flip_apply};

/* ---- crop ---- */

typedef struct Crop {
    int64_t size[2];
    bool random;
} Crop;

static const Param crop_params[] = {
    {"size", PARAM_PAIR, offsetof(Crop, size), NULL, 1, 1 << 16, NULL,
     "height and width that are cut out; a smaller picture is surrounded by its mean, ignored in the mask"},
    {"random", PARAM_BOOL, offsetof(Crop, random), "true", 0, 0, NULL, "anywhere; false: the middle"},
    {0}};

static Err crop_apply(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Crop *p = params;
    const int64_t have[2] = {sample->image.height, sample->image.width};
    int at[2];
    for (int k = 0; k < 2; k++) {
        int64_t spare = have[k] - p->size[k], span = spare < 0 ? -spare : spare;
        int64_t offset = p->random ? rng_below(rng, span + 1) : span / 2;
        at[k] = (int)(spare < 0 ? -offset : offset);
    }
    return sample_window(sample, at[0], at[1], (int)p->size[0], (int)p->size[1], NULL, err);
}

static void crop_size(const void *params, int *height, int *width) {
    const Crop *p = params;
    *height = (int)p->size[0];
    *width = (int)p->size[1];
}

const AugmentKind augment_crop = {.name = "crop",
                                  .doc = "cut out a rectangle",
                                  .params = crop_params,
                                  .params_bytes = sizeof(Crop),
                                  .apply = crop_apply,
                                  .size = crop_size};

/* ---- scale and rotate ---- */

/* Where a pixel comes from: about the middle, (x, y) -> (a x - b y, b x + a y). */
typedef struct Turn {
    double a, b;
} Turn;

static int64_t clamp(int64_t v, int64_t n) {
    return v < 0 ? 0 : v >= n ? n - 1 : v;
}

static void sample_bilinear(const Image *src, double x, double y, Image *dst, size_t at) {
    double fx = floor(x), fy = floor(y), u = x - fx, v = y - fy;
    int64_t x0 = clamp((int64_t)fx, src->width), x1 = clamp((int64_t)fx + 1, src->width);
    int64_t y0 = clamp((int64_t)fy, src->height), y1 = clamp((int64_t)fy + 1, src->height);
    size_t c = (size_t)src->channels, w = (size_t)src->width;
    size_t i00 = ((size_t)y0 * w + (size_t)x0) * c, i01 = ((size_t)y0 * w + (size_t)x1) * c;
    size_t i10 = ((size_t)y1 * w + (size_t)x0) * c, i11 = ((size_t)y1 * w + (size_t)x1) * c;
    for (size_t k = 0; k < c; k++) {
        double top = image_get(src, i00 + k) * (1 - u) + image_get(src, i01 + k) * u;
        double bottom = image_get(src, i10 + k) * (1 - u) + image_get(src, i11 + k) * u;
        image_put(dst, at * c + k, top * (1 - v) + bottom * v);
    }
}

static Err warp(Sample *sample, Turn turn, Error *err) {
    const Image *image = &sample->image, *mask = &sample->mask;
    Image new_image = {0}, new_mask = {0};
    TRY(image_new(&new_image, image->width, image->height, image->channels, image->depth, err));
    if (mask->data != NULL && image_new(&new_mask, mask->width, mask->height, 1, 8, err) != OK) {
        image_free(&new_image);
        return ERR_MEMORY;
    }
    double middle_x = (image->width - 1) / 2.0, middle_y = (image->height - 1) / 2.0;
    for (int y = 0; y < image->height; y++) {
        for (int x = 0; x < image->width; x++) {
            double dx = x - middle_x, dy = y - middle_y;
            double sx = middle_x + turn.a * dx - turn.b * dy, sy = middle_y + turn.b * dx + turn.a * dy;
            size_t at = (size_t)y * (size_t)image->width + (size_t)x;
            sample_bilinear(image, sx, sy, &new_image, at);
            if (mask->data == NULL) continue;
            double nx = floor(sx + 0.5), ny = floor(sy + 0.5);
            bool inside = nx >= 0 && ny >= 0 && nx < mask->width && ny < mask->height;
            new_mask.u8[at] = inside ? mask->u8[(size_t)ny * (size_t)mask->width + (size_t)nx] : MASK_IGNORE;
        }
    }
    image_free(&sample->image);
    image_free(&sample->mask);
    sample->image = new_image;
    sample->mask = new_mask;
    return OK;
}

typedef struct Scale {
    double min, max;
} Scale;

static const Param scale_params[] = {
    {"min", PARAM_FLOAT, offsetof(Scale, min), "0.8", 0.01, 100, NULL, "smallest factor; below 1 shrinks"},
    {"max", PARAM_FLOAT, offsetof(Scale, max), "1.25", 0.01, 100, NULL, "largest factor"},
    {0}};

static Err scale_apply(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Scale *p = params;
    double factor = exp(rng_range(rng, log(p->min), log(p->max))); /* as often halved as doubled */
    return warp(sample, (Turn){.a = 1 / factor}, err);
}

const AugmentKind augment_scale = {.name = "scale",
                                   .doc = "zoom about the middle, the size stays",
                                   .params = scale_params,
                                   .params_bytes = sizeof(Scale),
                                   .apply = scale_apply};

typedef struct Rotate {
    double degrees;
} Rotate;

static const Param rotate_params[] = {
    {"degrees", PARAM_FLOAT, offsetof(Rotate, degrees), "10", 0, 180, NULL, "turned by at most this, either way"}, {0}};

static Err rotate_apply(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Rotate *p = params;
    double angle = rng_range(rng, -p->degrees, p->degrees) * 3.14159265358979323846 / 180;
    return warp(sample, (Turn){.a = cos(angle), .b = sin(angle)}, err);
}

const AugmentKind augment_rotate = {.name = "rotate",
                                    .doc = "turn about the middle",
                                    .params = rotate_params,
                                    .params_bytes = sizeof(Rotate),
                                    .apply = rotate_apply};
