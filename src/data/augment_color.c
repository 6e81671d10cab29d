/* augment_color.c - changes of colour: gamma, contrast, brightness, saturation, hue. Masks stay.
 *
 * Each is drawn on its own. With values v in parts of the full scale and m the mean of the picture (after gamma):
 *
 *     v <- v^gamma;  v <- m + contrast (v - m) + brightness;  (r, g, b) <- M (r, g, b)
 *
 * where M scales the chroma by the saturation and turns it by the hue, in YIQ, so that luminance (Rec. 601) stays. All
 * but gamma is linear, so a pixel costs one product with a matrix, and is rounded and brought back to the scale once,
 * at the end. Pictures of 3 or 4 channels are RGB, a fourth is left alone; of any other number all channels change
 * alike, each about its own mean, and saturation and hue do nothing. Pictures of floats are taken to have 0 to 1 as
 * scale, but are not held to it; gamma leaves their negative values alone.
 */
#include "data/augment_kinds.h"

#include "base/vmath.h"
#include "data/values.h"

#include <stdlib.h>

typedef struct Color {
    double brightness, contrast, saturation, hue, gamma, prob;
} Color;

static const Param color_params[] = {{"brightness", PARAM_FLOAT, offsetof(Color, brightness), "0.2", 0, 1, NULL,
                                      "values are shifted by up to this part of the full scale"},
                                     {"contrast", PARAM_FLOAT, offsetof(Color, contrast), "0.2", 0, 1, NULL,
                                      "distance from the picture's mean changes by up to this part"},
                                     {"saturation", PARAM_FLOAT, offsetof(Color, saturation), "0.2", 0, 1, NULL,
                                      "distance from grey changes by up to this part; RGB only"},
                                     {"hue", PARAM_FLOAT, offsetof(Color, hue), "0.02", 0, 0.5, NULL,
                                      "colours turn by up to this part of the circle; RGB only"},
                                     {"gamma", PARAM_FLOAT, offsetof(Color, gamma), "0", 0, 4, NULL,
                                      "values are raised to a power between 1 / (1 + this) and 1 + this"},
                                     {"prob", PARAM_FLOAT, offsetof(Color, prob), "1", 0, 1, NULL,
                                      "probability that each of them happens, drawn for each"},
                                     {0}};

/* ---- the matrix ---- */

static void invert(const double a[3][3], double out[3][3]) {
    double det = 0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) { /* cofactors, with their signs by going round */
            int r = (j + 1) % 3, s = (j + 2) % 3, p = (i + 1) % 3, q = (i + 2) % 3;
            out[i][j] = a[r][p] * a[s][q] - a[r][q] * a[s][p];
        }
        det += a[0][i] * out[i][0];
    }
    for (int i = 0; i < 9; i++) out[i / 3][i % 3] /= det;
}

static void multiply(const double a[3][3], const double b[3][3], double out[3][3]) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) out[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
}

/* Chroma turned by an angle and scaled, luminance kept. */
static void chroma_matrix(double angle, double saturation, double m[3][3]) {
    static const double to_yiq[3][3] = {{0.299, 0.587, 0.114}, {0.5959, -0.2746, -0.3213}, {0.2115, -0.5227, 0.3112}};
    double c = saturation * cos(angle), s = saturation * sin(angle), to_rgb[3][3], turned[3][3];
    const double turn[3][3] = {{1, 0, 0}, {0, c, -s}, {0, s, c}};
    invert(to_yiq, to_rgb);
    multiply(turn, to_yiq, turned);
    multiply(to_rgb, turned, m);
}

/* ---- runs of pixels ---- */

enum { RUN = 512 }; /* pixels at a time */

/* A plane of a run out of its pixels, and back. */
VECTOR_CLONES static void take_plane(const float *restrict values, size_t n, size_t c, float *restrict plane) {
    if (c == 3)
        for (size_t i = 0; i < n; i++) plane[i] = values[3 * i];
    else
        for (size_t i = 0; i < n; i++) plane[i] = values[c * i];
}

VECTOR_CLONES static void give_plane(const float *restrict plane, size_t n, size_t c, float *restrict values) {
    if (c == 3)
        for (size_t i = 0; i < n; i++) values[3 * i] = plane[i];
    else
        for (size_t i = 0; i < n; i++) values[c * i] = plane[i];
}

/* value <- full (value / full)^power, where it is above 0. */
VECTOR_CLONES static void raise_plane(float *plane, size_t n, float full, float power) {
    for (size_t i = 0; i < n; i++) {
        float v = plane[i], part = v > 0 ? v / full : 1;
        float raised = full * vm_expf(power * vm_logf(part));
        plane[i] = v > 0 ? raised : v;
    }
}

VECTOR_CLONES static void shift_plane(float *plane, size_t n, float factor, float shift) {
    for (size_t i = 0; i < n; i++) plane[i] = factor * plane[i] + shift;
}

VECTOR_CLONES static void mix_planes(float *restrict red, float *restrict green, float *restrict blue, size_t n,
                                     const float *restrict m, float shift) {
    for (size_t i = 0; i < n; i++) {
        float r = red[i], g = green[i], b = blue[i];
        red[i] = m[0] * r + m[1] * g + m[2] * b + shift;
        green[i] = m[3] * r + m[4] * g + m[5] * b + shift;
        blue[i] = m[6] * r + m[7] * g + m[8] * b + shift;
    }
}

/* ---- the picture ---- */

/* What was drawn, for a picture. Its planes change in groups: three colours, or each alone. */
typedef struct Change {
    Image *image;
    size_t c, n_pixels, per_group, n_groups;
    double brightness, contrast, power; /* brightness in the picture's own values */
    float mix[9];                       /* of a group of three, contrast included */
    double *mean;                       /* n_groups */
    float *values;                      /* RUN pixels */
    float planes[3][RUN];
} Change;

static void take_group(Change *p, size_t group, size_t n) {
    for (size_t k = 0; k < p->per_group; k++) {
        take_plane(p->values + group * p->per_group + k, n, p->c, p->planes[k]);
        if (p->power != 1) raise_plane(p->planes[k], n, values_full_scale(p->image), (float)p->power);
    }
}

static size_t get_run(Change *p, size_t first) {
    size_t n = p->n_pixels - first < RUN ? p->n_pixels - first : RUN;
    values_get(p->image, first * p->c, n * p->c, p->values);
    return n;
}

static void take_means(Change *p) {
    for (size_t first = 0, n; first < p->n_pixels; first += n) {
        n = get_run(p, first);
        for (size_t g = 0; g < p->n_groups; g++) {
            take_group(p, g, n);
            for (size_t k = 0; k < p->per_group; k++) {
                float sum = 0;
#pragma omp simd reduction(+ : sum)
                for (size_t i = 0; i < n; i++) sum += p->planes[k][i];
                p->mean[g] += (double)sum;
            }
        }
    }
    for (size_t g = 0; g < p->n_groups; g++) p->mean[g] /= (double)(p->n_pixels * p->per_group);
}

static void change_run(Change *p, size_t first) {
    size_t n = get_run(p, first);
    for (size_t g = 0; g < p->n_groups; g++) {
        float shift = (float)(p->mean[g] * (1 - p->contrast) + p->brightness);
        take_group(p, g, n);
        if (p->per_group == 3)
            mix_planes(p->planes[0], p->planes[1], p->planes[2], n, p->mix, shift);
        else
            shift_plane(p->planes[0], n, (float)p->contrast, shift);
        for (size_t k = 0; k < p->per_group; k++) give_plane(p->planes[k], n, p->c, p->values + g * p->per_group + k);
    }
    values_put(p->image, first * p->c, n * p->c, p->values);
}

static double draw_change(Rng *rng, double prob, double reach) {
    bool happens = rng_uniform(rng) < prob;
    double value = rng_range(rng, -reach, reach);
    return happens ? value : 0;
}

static Err color_change(const void *params, Rng *rng, Sample *sample, Error *err) {
    const Color *p = params;
    Image *image = &sample->image;
    bool rgb = image->channels == 3 || image->channels == 4;
    Change change = {.image = image,
                     .c = (size_t)image->channels,
                     .n_pixels = (size_t)image->width * (size_t)image->height,
                     .per_group = rgb ? 3 : 1,
                     .n_groups = rgb ? 1 : (size_t)image->channels};
    change.brightness = draw_change(rng, p->prob, p->brightness) * (double)values_full_scale(image);
    change.contrast = 1 + draw_change(rng, p->prob, p->contrast);
    double saturation = 1 + draw_change(rng, p->prob, p->saturation), m[3][3];
    double angle = draw_change(rng, p->prob, p->hue) * 6.28318530717958647692;
    change.power = exp(draw_change(rng, p->prob, log(1 + p->gamma)));
    chroma_matrix(angle, saturation, m);
    for (int i = 0; i < 9; i++) change.mix[i] = (float)(change.contrast * m[i / 3][i % 3]);
    change.mean = calloc(change.n_groups, sizeof *change.mean);
    change.values = malloc(RUN * change.c * sizeof *change.values);
    bool done = change.mean != NULL && change.values != NULL;
    if (done && change.contrast != 1) take_means(&change);
    for (size_t first = 0; done && first < change.n_pixels; first += RUN) change_run(&change, first);
    free(change.mean);
    free(change.values);
    return done ? OK : err_set(err, ERR_MEMORY, "no memory to change the colours of a picture");
}

const AugmentKind augment_color = {.name = "color",
                                   .doc = "change brightness, contrast, saturation, hue and gamma",
                                   .params = color_params,
                                   .params_bytes = sizeof(Color),
                                   .change = color_change};
