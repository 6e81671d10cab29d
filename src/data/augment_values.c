/* augment_values.c - noise, and holes. Masks stay, except below holes. */
#include "data/augment_kinds.h"

#include "data/window.h"

#include <math.h>
#include <string.h>

static double full_scale(const Image *image) {
    return image->depth == 8 ? 255 : image->depth == 16 ? 65535 : 1;
}

/* ---- noise ---- */

typedef struct Noise {
    double std;
} Noise;

static const Param noise_params[] = {
    {"std", PARAM_FLOAT, offsetof(Noise, std), "0.05", 0, 10, NULL,
     "largest deviation, as a part of the full scale; each picture gets one between 0 and it"},
    {0}};

/* For pictures of 8 bit, whose values are rounded anyway: the sum of four uniform bytes, which is close to normal
 * (within 3.45 deviations) and costs a seventh of a normal number. Mean 0, deviation 1. */
static double noise_of_bytes(uint32_t bits) {
    const double deviation = 147.8; /* of the sum: sqrt(4 * (256^2 - 1) / 12) */
    int sum = (int)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
    return (sum - 510) / deviation;
}

static Err noise_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Noise *p = params;
    Image *image = &sample->image;
    double deviation = rng_range(rng, 0, p->std) * full_scale(image);
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t i = 0; i < n; i++) {
        double noise = image->depth == 8 ? noise_of_bytes(rng_u32(rng)) : rng_normal(rng);
        image_put(image, i, image_get(image, i) + deviation * noise);
    }
    return OK;
}

const AugmentKind augment_noise = {.name = "noise",
                                   .doc = "add normally distributed noise to every value",
                                   .params = noise_params,
                                   .params_bytes = sizeof(Noise),
                                   .change = noise_change};

/* ---- cutout ---- */

typedef struct Cutout {
    int64_t holes;
    double size;
    bool ignore;
} Cutout;

static const Param cutout_params[] = {
    {"holes", PARAM_INT, offsetof(Cutout, holes), "1", 0, 1000, NULL, "rectangles that are covered"},
    {"size", PARAM_FLOAT, offsetof(Cutout, size), "0.25", 0, 1, NULL,
     "largest side of a hole, as a part of the picture's"},
    {"ignore", PARAM_BOOL, offsetof(Cutout, ignore), "true", 0, 0, NULL,
     "leave the covered pixels out of loss and scores; false: they have to be guessed"},
    {0}};

enum { MAX_CHANNELS = 1024 };

/* Devries & Taylor 2017, with holes of random sides, filled with the picture's mean. */
static Err cutout_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Cutout *p = params;
    Image *image = &sample->image, *mask = &sample->mask;
    double mean[MAX_CHANNELS];
    if (image->channels > MAX_CHANNELS) return err_set(err, ERR_DATA, "cutout: more than %d channels", MAX_CHANNELS);
    image_mean(image, mean);
    for (int64_t hole = 0; hole < p->holes; hole++) {
        int64_t height = 1 + (int64_t)(rng_range(rng, 0, p->size) * image->height);
        int64_t width = 1 + (int64_t)(rng_range(rng, 0, p->size) * image->width);
        int64_t y0 = rng_below(rng, image->height), x0 = rng_below(rng, image->width);
        for (int64_t y = y0; y < y0 + height && y < image->height; y++) {
            for (int64_t x = x0; x < x0 + width && x < image->width; x++) {
                size_t at = (size_t)y * (size_t)image->width + (size_t)x, c = (size_t)image->channels;
                for (size_t k = 0; k < c; k++) image_put(image, at * c + k, mean[k]);
                if (p->ignore && mask->data != NULL) mask->u8[at] = MASK_IGNORE;
            }
        }
    }
    return OK;
}

const AugmentKind augment_cutout = {.name = "cutout",
                                    .doc = "cover rectangles with the picture's mean",
                                    .params = cutout_params,
                                    .params_bytes = sizeof(Cutout),
                                    .change = cutout_change};
