/* augment_filter.c - out of focus, and in the dark: Gaussian blur, and noise. Masks stay. */
#include "data/augment_kinds.h"

#include "base/vmath.h"
#include "data/values.h"

#include <stdlib.h>

/* ---- blur ---- */

typedef struct Blur {
    double max, min, prob;
} Blur;

static const Param blur_params[] = {
    {"max", PARAM_FLOAT, offsetof(Blur, max), "1.5", 0.01, 50, NULL, "largest deviation of the Gaussian, in pixels"},
    {"min", PARAM_FLOAT, offsetof(Blur, min), "0.1", 0.01, 50, NULL, "smallest deviation"},
    {"prob", PARAM_FLOAT, offsetof(Blur, prob), "0.5", 0, 1, NULL, "probability that it happens"},
    {0}};

static const char *blur_check(const void *params, Arena *arena) {
    const Blur *p = params;
    if (p->min <= p->max) return NULL;
    return arena_printf(arena, "'min' must be at most 'max', got %g and %g", p->min, p->max);
}

/* Weights of a Gaussian at -radius .. radius; they sum to 1. Up to three deviations: what is beyond is 0.3 %. */
static float *gaussian(double sigma, int *radius) {
    int r = (int)ceil(3 * sigma);
    float *weight = malloc((2 * (size_t)r + 1) * sizeof *weight);
    double sum = 0;
    for (int i = -r; i <= r; i++) sum += exp(-i * i / (2 * sigma * sigma));
    for (int i = -r; weight != NULL && i <= r; i++) weight[r + i] = (float)(exp(-i * i / (2 * sigma * sigma)) / sum);
    *radius = r;
    return weight;
}

VECTOR_CLONES static void blur_line(const float *restrict line, const float *restrict weight, int n_weights, size_t c,
                                    size_t n, float *restrict row) {
    memset(row, 0, n * sizeof *row);
    for (int t = 0; t < n_weights; t++, line += c)
        for (size_t i = 0; i < n; i++) row[i] += weight[t] * line[i];
}

/* Row y: down into the middle of `line`, whose ends repeat the edge pixels, then across. */
static void blur_row(const Image *src, const float *weight, int radius, int y, float *line, float *row) {
    size_t c = (size_t)src->channels, n = (size_t)src->width * c, margin = (size_t)radius * c;
    float *middle = line + margin;
    memset(middle, 0, n * sizeof *middle);
    for (int t = -radius; t <= radius; t++) {
        int from = y + t < 0 ? 0 : y + t >= src->height ? src->height - 1 : y + t;
        values_add(src, (size_t)from * n, n, weight[radius + t], middle);
    }
    for (size_t i = 0; i < margin; i++) {
        line[i] = middle[i % c];
        middle[n + i] = middle[n - c + i % c];
    }
    blur_line(line, weight, 2 * radius + 1, c, n, row);
}

static Err blur_image(Image *image, double sigma, Error *err) {
    int radius;
    size_t c = (size_t)image->channels, n = (size_t)image->width * c;
    Image out;
    TRY(image_new(&out, image->width, image->height, image->channels, image->depth, err));
    float *weight = gaussian(sigma, &radius), *row = malloc(n * sizeof *row);
    float *line = malloc((n + 2 * (size_t)radius * c) * sizeof *line);
    bool done = weight != NULL && row != NULL && line != NULL;
    for (int y = 0; done && y < image->height; y++) {
        blur_row(image, weight, radius, y, line, row);
        values_put(&out, (size_t)y * n, n, row);
    }
    free(weight);
    free(row);
    free(line);
    image_free(done ? image : &out);
    if (!done) return err_set(err, ERR_MEMORY, "no memory to blur a picture");
    *image = out;
    return OK;
}

static Err blur_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Blur *p = params;
    bool happens = rng_uniform(rng) < p->prob;
    double sigma = rng_range(rng, p->min, p->max);
    return happens ? blur_image(&sample->image, sigma, err) : OK;
}

const AugmentKind augment_blur = {.name = "blur",
                                  .doc = "blur by a Gaussian",
                                  .params = blur_params,
                                  .params_bytes = sizeof(Blur),
                                  .check = blur_check,
                                  .change = blur_change};

/* ---- noise ---- */

typedef struct Noise {
    double std, prob;
} Noise;

static const Param noise_params[] = {
    {"std", PARAM_FLOAT, offsetof(Noise, std), "0.05", 0, 10, NULL,
     "largest deviation, as a part of the full scale; each picture gets one between 0 and it"},
    {"prob", PARAM_FLOAT, offsetof(Noise, prob), "1", 0, 1, NULL, "probability that it happens"},
    {0}};

static Err noise_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    enum { RUN = 1024 };
    const Noise *p = params;
    Image *image = &sample->image;
    bool happens = rng_uniform(rng) < p->prob;
    float deviation = (float)rng_range(rng, 0, p->std) * values_full_scale(image);
    size_t n = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    for (size_t first = 0; happens && first < n; first += RUN) {
        float values[RUN], noise[RUN];
        size_t some = n - first < RUN ? n - first : RUN;
        values_get(image, first, some, values);
        rng_draw_normals(rng, some, noise);
        for (size_t i = 0; i < some; i++) values[i] += deviation * noise[i];
        values_put(image, first, some, values);
    }
    return OK;
}

const AugmentKind augment_noise = {.name = "noise",
                                   .doc = "add normally distributed noise to every value",
                                   .params = noise_params,
                                   .params_bytes = sizeof(Noise),
                                   .change = noise_change};
