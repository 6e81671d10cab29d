/* resize.c - pictures to other sizes, channels and depths, and the default colours of classes. */
#include "io/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- size ---- */

/* For each position of one axis of the result: which source positions count, and how much. */
typedef struct Taps {
    int n_max;
    int *first, *n;
    float *weight; /* n_max per position */
} Taps;

static void taps_free(Taps *taps) {
    free(taps->first);
    free(taps->n);
    free(taps->weight);
}

/* A triangle of half-width max(1, from / to) source pixels around the position's centre; weights sum to 1, what hangs
 * over the edge is left out. */
static bool taps_new(Taps *out, int from, int to) {
    double scale = (double)from / to, reach = scale > 1 ? scale : 1;
    out->n_max = (int)ceil(reach) * 2 + 1;
    out->first = malloc((size_t)to * sizeof(int));
    out->n = malloc((size_t)to * sizeof(int));
    out->weight = malloc((size_t)to * (size_t)out->n_max * sizeof(float));
    if (out->first == NULL || out->n == NULL || out->weight == NULL) return false;
    for (int i = 0; i < to; i++) {
        double center = (i + 0.5) * scale - 0.5, sum = 0;
        int first = (int)floor(center - reach) + 1, last = (int)ceil(center + reach) - 1;
        if (first < 0) first = 0;
        if (last > from - 1) last = from - 1;
        float *weight = out->weight + (size_t)i * (size_t)out->n_max;
        for (int k = first; k <= last; k++) {
            weight[k - first] = (float)(1 - fabs(k - center) / reach);
            sum += weight[k - first];
        }
        for (int k = first; k <= last; k++) weight[k - first] = (float)(weight[k - first] / sum);
        out->first[i] = first;
        out->n[i] = last - first + 1;
    }
    return true;
}

static float sample(const Image *image, size_t i) {
    return image->depth == 8 ? (float)image->u8[i] : image->depth == 16 ? (float)image->u16[i] : image->f32[i];
}

static void put(Image *image, size_t i, float value) {
    float full = image->depth == 8 ? 255.0F : 65535.0F;
    if (image->depth == 32) {
        image->f32[i] = value;
        return;
    }
    value = value < 0 ? 0 : value > full ? full : value + 0.5F;
    if (image->depth == 8)
        image->u8[i] = (uint8_t)value;
    else
        image->u16[i] = (uint16_t)value;
}

/* Rows first into src->height x width floats, then columns. */
static void resize_separable(const Image *src, const Taps *across, const Taps *down, float *rows, Image *out) {
    size_t c = (size_t)src->channels, width = (size_t)out->width, line = width * c;
    for (size_t y = 0; y < (size_t)src->height; y++) {
        for (size_t x = 0; x < width; x++) {
            const float *weight = across->weight + x * (size_t)across->n_max;
            size_t from = (y * (size_t)src->width + (size_t)across->first[x]) * c;
            for (size_t k = 0; k < c; k++) {
                float sum = 0;
                for (int t = 0; t < across->n[x]; t++) sum += weight[t] * sample(src, from + (size_t)t * c + k);
                rows[y * line + x * c + k] = sum;
            }
        }
    }
    for (size_t y = 0; y < (size_t)out->height; y++) {
        const float *weight = down->weight + y * (size_t)down->n_max;
        const float *from = rows + (size_t)down->first[y] * line;
        for (size_t i = 0; i < line; i++) {
            float sum = 0;
            for (int t = 0; t < down->n[y]; t++) sum += weight[t] * from[(size_t)t * line + i];
            put(out, y * line + i, sum);
        }
    }
}

static void resize_nearest(const Image *src, Image *out) {
    size_t pixel = (size_t)src->channels * (size_t)(src->depth / 8);
    for (int64_t y = 0; y < out->height; y++) {
        int64_t sy = (2 * y + 1) * src->height / (2 * (int64_t)out->height);
        for (int64_t x = 0; x < out->width; x++) {
            int64_t sx = (2 * x + 1) * src->width / (2 * (int64_t)out->width);
            memcpy(out->u8 + (size_t)(y * out->width + x) * pixel, src->u8 + (size_t)(sy * src->width + sx) * pixel,
                   pixel);
        }
    }
}

Err image_resize(const Image *src, int width, int height, bool nearest, Image *out, Error *err) {
    TRY(image_new(out, width, height, src->channels, src->depth, err));
    if (width == src->width && height == src->height) {
        memcpy(out->data, src->data, image_bytes(src));
        return OK;
    }
    if (nearest) {
        resize_nearest(src, out);
        return OK;
    }
    Taps across = {0}, down = {0};
    float *rows = malloc((size_t)src->height * (size_t)width * (size_t)src->channels * sizeof(float));
    Err code = OK;
    if (rows != NULL && taps_new(&across, src->width, width) && taps_new(&down, src->height, height)) {
        resize_separable(src, &across, &down, rows, out);
    } else {
        image_free(out);
        code = err_set(err, ERR_MEMORY, "no memory to resize a picture to %dx%d", width, height);
    }
    taps_free(&across);
    taps_free(&down);
    free(rows);
    return code;
}

/* One plane: rows into rows (height x to_width), then columns. */
static void resize_plane(int height, int width, const float *src, const Taps *across, const Taps *down, int to_height,
                         int to_width, float *rows, float *dst) {
    size_t line = (size_t)to_width;
    for (size_t y = 0; y < (size_t)height; y++) {
        const float *from = src + y * (size_t)width;
        for (size_t x = 0; x < line; x++) {
            const float *weight = across->weight + x * (size_t)across->n_max, *at = from + across->first[x];
            float sum = 0;
            for (int t = 0; t < across->n[x]; t++) sum += weight[t] * at[t];
            rows[y * line + x] = sum;
        }
    }
    for (size_t y = 0; y < (size_t)to_height; y++) {
        const float *weight = down->weight + y * (size_t)down->n_max, *from = rows + (size_t)down->first[y] * line;
        float *to = dst + y * line;
        for (size_t x = 0; x < line; x++) to[x] = weight[0] * from[x];
        for (int t = 1; t < down->n[y]; t++)
            for (size_t x = 0; x < line; x++) to[x] += weight[t] * from[(size_t)t * line + x];
    }
}

Err planes_resize(int64_t n, int height, int width, const float *src, int to_height, int to_width, float *dst,
                  Error *err) {
    size_t plane = (size_t)height * (size_t)width, to_plane = (size_t)to_height * (size_t)to_width;
    Taps across = {0}, down = {0};
    float *rows = malloc((size_t)height * (size_t)to_width * sizeof(float));
    bool ready = rows != NULL && taps_new(&across, width, to_width) && taps_new(&down, height, to_height);
    for (int64_t i = 0; ready && i < n; i++)
        resize_plane(height, width, src + (size_t)i * plane, &across, &down, to_height, to_width, rows,
                     dst + (size_t)i * to_plane);
    taps_free(&across);
    taps_free(&down);
    free(rows);
    return ready ? OK : err_set(err, ERR_MEMORY, "no memory to resize planes to %dx%d", to_width, to_height);
}

/* ---- channels and depth ---- */

/* One pixel: grey [alpha] or RGB [alpha] to the same choice. Luminance by the weights stb_image uses. */
static void convert_pixel(const float *src, int from, float full, float *dst, int to) {
    bool color = from >= 3;
    float alpha = from == 2 ? src[1] : from == 4 ? src[3] : full;
    if (to <= 2) {
        dst[0] = color ? floorf((77 * src[0] + 150 * src[1] + 29 * src[2]) / 256) : src[0];
        dst[1] = alpha;
    } else {
        for (int k = 0; k < 3; k++) dst[k] = color ? src[k] : src[0];
        dst[3] = alpha;
    }
}

Err image_convert(Image *image, int channels, int depth, Error *err) {
    if (channels == 0) channels = image->channels;
    if (depth == 0) depth = image->depth;
    if (channels == image->channels && depth == image->depth) return OK;
    if (channels != image->channels && (channels > 4 || image->channels > 4))
        return err_set(err, ERR_DATA, "cannot convert %d channels to %d", image->channels, channels);
    if (depth != image->depth && (depth == 32 || image->depth == 32))
        return err_set(err, ERR_DATA, "cannot convert samples of %d bit to %d bit", image->depth, depth);
    Image out;
    TRY(image_new(&out, image->width, image->height, channels, depth, err));
    size_t n = (size_t)image->width * (size_t)image->height;
    int from = image->channels, shared = from < channels ? from : channels;
    float full = image->depth == 8 ? 255 : image->depth == 16 ? 65535 : 1;
    float scale = depth == image->depth ? 1 : depth == 16 ? 257 : 1 / 257.0F;
    for (size_t i = 0; i < n; i++) {
        float src[4] = {0}, dst[4] = {0};
        if (from == channels) { /* only the depth changes: any number of channels */
            for (int k = 0; k < shared; k++)
                put(&out, i * (size_t)shared + (size_t)k, scale * sample(image, i * (size_t)shared + (size_t)k));
            continue;
        }
        for (int k = 0; k < from; k++) src[k] = sample(image, i * (size_t)from + (size_t)k);
        convert_pixel(src, from, full, dst, channels);
        for (int k = 0; k < channels; k++) put(&out, i * (size_t)channels + (size_t)k, scale * dst[k]);
    }
    image_free(image);
    *image = out;
    return OK;
}

/* Copy src's channels into dst's from `at` on; both of one size and depth. */
static void copy_channels(const Image *src, Image *dst, int at) {
    size_t n = (size_t)dst->width * (size_t)dst->height, bytes = (size_t)(dst->depth / 8);
    size_t from = (size_t)src->channels * bytes, to = (size_t)dst->channels * bytes;
    for (size_t i = 0; i < n; i++) memcpy(dst->u8 + i * to + (size_t)at * bytes, src->u8 + i * from, from);
}

static Err copy_converted(const Image *src, Image *dst, int at, Error *err) {
    Image copy;
    TRY(image_new(&copy, src->width, src->height, src->channels, src->depth, err));
    memcpy(copy.data, src->data, image_bytes(src));
    Err code = image_convert(&copy, 0, dst->depth, err);
    if (code == OK) copy_channels(&copy, dst, at);
    image_free(&copy);
    return code;
}

Err image_join(Image *out, int n, const Image *parts, Error *err) {
    int channels = 0, depth = 0;
    *out = (Image){0};
    for (int k = 0; k < n; k++) {
        if (parts[k].width != parts[0].width || parts[k].height != parts[0].height)
            return err_set(err, ERR_DATA, "pictures of %dx%d and %dx%d cannot be one", parts[0].width, parts[0].height,
                           parts[k].width, parts[k].height);
        channels += parts[k].channels;
        depth = parts[k].depth > depth ? parts[k].depth : depth;
    }
    TRY(image_new(out, parts[0].width, parts[0].height, channels, depth, err));
    Err code = OK;
    for (int k = 0, at = 0; k < n && code == OK; at += parts[k++].channels) {
        if (parts[k].depth == depth)
            copy_channels(&parts[k], out, at);
        else
            code = copy_converted(&parts[k], out, at, err);
    }
    if (code != OK) image_free(out);
    return code;
}

/* ---- class colours ---- */

/* Hue 0..6, full saturation and value as given. */
static void hsv(double hue, double saturation, double value, uint8_t rgb[3]) {
    for (int k = 0; k < 3; k++) {
        double h = fmod(hue + (k == 0 ? 0 : k == 1 ? 4 : 2), 6.0); /* distance of each primary around the circle */
        double ramp = fabs(h - 3) - 1, level = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        rgb[k] = (uint8_t)(255 * value * (1 - saturation * (1 - level)) + 0.5);
    }
}

void image_class_color(int class_index, uint8_t rgb[3]) {
    static const uint8_t fixed[][3] = {
        {64, 64, 72},    {228, 60, 60},  {66, 178, 80},   {64, 110, 220},  {250, 200, 50},  {240, 130, 40},
        {150, 70, 190},  {70, 205, 215}, {235, 90, 200},  {180, 220, 70},  {245, 190, 200}, {30, 130, 125},
        {205, 180, 245}, {150, 95, 45},  {250, 240, 190}, {130, 20, 30},   {170, 240, 195}, {130, 130, 20},
        {250, 205, 165}, {20, 25, 120},  {165, 165, 165}, {255, 255, 255},
    };
    int n_fixed = (int)(sizeof fixed / sizeof fixed[0]);
    if (class_index < n_fixed) {
        memcpy(rgb, fixed[class_index < 0 ? 0 : class_index], 3);
        return;
    }
    /* hues by the golden section never come close to an earlier one soon; brightness in three steps */
    int i = class_index - n_fixed;
    hsv(6 * fmod(0.1 + i * 0.6180339887498949, 1.0), i % 2 ? 0.55 : 0.9, 1 - 0.22 * (i % 3), rgb);
}
