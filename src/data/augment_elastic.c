/* augment_elastic.c - bending: Simard, Steinkraus, Platt 2003, "Best practices for convolutional neural networks
 * applied to visual document analysis", section 2.
 *
 * Every pixel is moved by a random field, normal noise smoothed by a Gaussian of deviation sigma. Here alpha is what
 * the field then has as deviation, in pixels, each way; the paper's alpha, a factor on smoothed noise of -1 .. 1, is
 * alpha times 2 sqrt(3 pi) sigma (its 34 with sigma 4 are 1.4 pixels). Above half of sigma, pictures begin to fold.
 *
 * The field is smooth, so it is made on a grid of about a quarter of sigma, and drawn out linearly: within 1 % of the
 * field on all pixels, and as fast for a large sigma as for a small one.
 */
#include "data/augment_kinds.h"

#include "base/vmath.h"

#include <stdlib.h>

typedef struct Elastic {
    double alpha, sigma, prob;
} Elastic;

static const Param elastic_params[] = {
    {"alpha", PARAM_FLOAT, offsetof(Elastic, alpha), "4", 0, 1000, NULL,
     "how far pixels move, in pixels: the deviation, each way"},
    {"sigma", PARAM_FLOAT, offsetof(Elastic, sigma), "16", 0.5, 1000, NULL,
     "how far apart pixels move on their own, in pixels; at least twice alpha, or pictures fold"},
    {"prob", PARAM_FLOAT, offsetof(Elastic, prob), "0.5", 0, 1, NULL, "probability that it happens"},
    {0}};

/* A grid over the frame: node (i, j) is at pixel (i step, j step). Noise is there for `radius` nodes around it too. */
typedef struct Grid {
    int step, radius, height, width;
    float *weight; /* 2 radius + 1: the smoothing */
    float *noise;  /* (height + 2 radius) x (width + 2 radius) */
    float *field;  /* height x width */
} Grid;

static bool grid_new(Grid *g, double sigma, int height, int width) {
    *g = (Grid){.step = sigma > 8 ? (int)(sigma / 4) : 1};
    double spread = sigma / g->step;
    g->radius = (int)ceil(3 * spread);
    g->height = (height - 1) / g->step + 2;
    g->width = (width - 1) / g->step + 2;
    size_t margin = 2 * (size_t)g->radius;
    g->weight = malloc((margin + 1) * sizeof *g->weight);
    g->noise = malloc(((size_t)g->height + margin) * ((size_t)g->width + margin) * sizeof *g->noise);
    g->field = malloc((size_t)g->height * (size_t)g->width * sizeof *g->field);
    if (g->weight == NULL || g->noise == NULL || g->field == NULL) return false;
    double squares = 0; /* their sum is 1: what comes out has the deviation of what goes in */
    for (int i = -g->radius; i <= g->radius; i++) squares += exp(-i * i / (spread * spread));
    for (int i = -g->radius; i <= g->radius; i++)
        g->weight[g->radius + i] = (float)(exp(-i * i / (2 * spread * spread)) / sqrt(squares));
    return true;
}

static void grid_free(Grid *g) {
    free(g->weight);
    free(g->noise);
    free(g->field);
}

VECTOR_CLONES static void add_weighted(const float *restrict src, size_t n, float weight, float *restrict sum) {
    for (size_t i = 0; i < n; i++) sum[i] += weight * src[i];
}

/* Noise to field: down the columns over the noise's own rows (each is done with once it is the topmost), then across.
 */
static void smooth(Grid *g, float alpha) {
    size_t across = (size_t)g->width + 2 * (size_t)g->radius, width = (size_t)g->width;
    for (int y = 0; y < g->height; y++) {
        float *sum = g->noise + (size_t)y * across;
        for (size_t i = 0; i < across; i++) sum[i] *= g->weight[0];
        for (int t = 1; t <= 2 * g->radius; t++) add_weighted(sum + (size_t)t * across, across, g->weight[t], sum);
        float *to = g->field + (size_t)y * width;
        memset(to, 0, width * sizeof *to);
        for (int t = 0; t <= 2 * g->radius; t++) add_weighted(sum + t, width, alpha * g->weight[t], to);
    }
}

/* The field at every pixel of the frame, into every second value from dst on. */
static void draw_out(const Grid *g, int height, int width, float *dst) {
    for (int y = 0; y < height; y++) {
        const float *upper = g->field + (size_t)(y / g->step) * (size_t)g->width, *lower = upper + g->width;
        float v = (float)(y % g->step) / (float)g->step;
        for (int i = 0, x = 0; x < width; i++) {
            float left = upper[i] + v * (lower[i] - upper[i]), right = upper[i + 1] + v * (lower[i + 1] - upper[i + 1]);
            float slope = (right - left) / (float)g->step;
            for (int k = 0; k < g->step && x < width; k++, x++, dst += 2) *dst = left + (float)k * slope;
        }
    }
}

static Err elastic_move(const void *params, Rng *rng, View *view, Error *err) {
    const Elastic *p = params;
    if (!(rng_uniform(rng) < p->prob)) return OK;
    Grid grid;
    float *bend = malloc(2 * (size_t)view->height * (size_t)view->width * sizeof *bend);
    bool done = grid_new(&grid, p->sigma, view->height, view->width) && bend != NULL;
    size_t margin = 2 * (size_t)grid.radius;
    for (int axis = 0; done && axis < 2; axis++) {
        rng_draw_normals(rng, ((size_t)grid.height + margin) * ((size_t)grid.width + margin), grid.noise);
        smooth(&grid, (float)p->alpha);
        draw_out(&grid, view->height, view->width, bend + axis);
    }
    grid_free(&grid);
    if (done) {
        view->bend = bend;
        return OK;
    }
    free(bend);
    return err_set(err, ERR_MEMORY, "no memory to bend a picture of %dx%d", view->width, view->height);
}

const AugmentKind augment_elastic = {.name = "elastic",
                                     .doc = "bend by a smooth random field; the size stays",
                                     .params = elastic_params,
                                     .params_bytes = sizeof(Elastic),
                                     .move = elastic_move,
                                     .whole = true};
