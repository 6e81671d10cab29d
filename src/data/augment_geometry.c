/* augment_geometry.c - flips, scaling, turning, affine maps: where pixels come from. See view.h for how they are
 * fetched. */
#include "data/augment_kinds.h"

#include <math.h>

/* A factor by which things get smaller as often as larger. */
static double factor_between(Rng *rng, double low, double high) {
    return exp(rng_range(rng, log(low), log(high)));
}

/* ---- flip ---- */

typedef struct Flip {
    double horizontal, vertical;
} Flip;

static const Param flip_params[] = {
    {"horizontal", PARAM_FLOAT, offsetof(Flip, horizontal), "0.5", 0, 1, NULL, "probability to swap left and right"},
    {"vertical", PARAM_FLOAT, offsetof(Flip, vertical), "0", 0, 1, NULL, "probability to swap top and bottom"},
    {0}};

static Err flip_move(const void *params, Rng *rng, View *view, Error *err) {
    const Flip *p = params;
    bool horizontal = rng_uniform(rng) < p->horizontal, vertical = rng_uniform(rng) < p->vertical;
    view_flip(view, horizontal, vertical);
    return OK;
}

const AugmentKind augment_flip = {
    .name = "flip", .doc = "mirror images", .params = flip_params, .params_bytes = sizeof(Flip), .move = flip_move};

/* ---- scale ---- */

typedef struct Scale {
    double min, max, aspect, prob;
} Scale;

static const Param scale_params[] = {
    {"min", PARAM_FLOAT, offsetof(Scale, min), "0.5", 0.01, 100, NULL,
     "smallest factor of height and width; drawn so that halving is as likely as doubling"},
    {"max", PARAM_FLOAT, offsetof(Scale, max), "2", 0.01, 100, NULL, "largest factor"},
    {"aspect", PARAM_FLOAT, offsetof(Scale, aspect), "0", 0, 4, NULL,
     "width to height changes by a factor of up to 1 + this, either way, the area stays"},
    {"prob", PARAM_FLOAT, offsetof(Scale, prob), "1", 0, 1, NULL, "probability that it happens"},
    {0}};

static const char *scale_check(const void *params, Arena *arena) {
    const Scale *p = params;
    if (p->min <= p->max) return NULL;
    return arena_printf(arena, "'min' must be at most 'max', got %g and %g", p->min, p->max);
}

static int scaled(int size, double factor) {
    double result = floor(size * factor + 0.5);
    return result < 1 ? 1 : result > 1 << 24 ? 1 << 24 : (int)result;
}

static Err scale_move(const void *params, Rng *rng, View *view, Error *err) {
    const Scale *p = params;
    bool happens = rng_uniform(rng) < p->prob;
    double factor = factor_between(rng, p->min, p->max);
    double stretch = sqrt(factor_between(rng, 1 / (1 + p->aspect), 1 + p->aspect));
    if (happens) view_scale(view, scaled(view->height, factor / stretch), scaled(view->width, factor * stretch));
    return OK;
}

static void scale_size(const void *params, int *height, int *width) {
    *height = *width = 0;
}

const AugmentKind augment_scale = {.name = "scale",
                                   .doc = "make pictures smaller or larger; needs a crop behind it",
                                   .params = scale_params,
                                   .params_bytes = sizeof(Scale),
                                   .check = scale_check,
                                   .move = scale_move,
                                   .whole = true,
                                   .size = scale_size};

/* ---- rotate ---- */

static const double radians = 3.14159265358979323846 / 180; /* in a degree */

typedef struct Rotate {
    double degrees, prob;
} Rotate;

static const Param rotate_params[] = {
    {"degrees", PARAM_FLOAT, offsetof(Rotate, degrees), "10", 0, 180, NULL,
     "turned by at most this, either way, about the middle"},
    {"prob", PARAM_FLOAT, offsetof(Rotate, prob), "1", 0, 1, NULL, "probability that it happens"},
    {0}};

static Err rotate_move(const void *params, Rng *rng, View *view, Error *err) {
    const Rotate *p = params;
    bool happens = rng_uniform(rng) < p->prob;
    double angle = rng_range(rng, -p->degrees, p->degrees) * radians, c = cos(angle), s = sin(angle);
    if (happens) view_transform(view, (double[4]){c, -s, s, c}, 0, 0);
    return OK;
}

const AugmentKind augment_rotate = {.name = "rotate",
                                    .doc = "turn about the middle; the size stays, corners are ignored in the mask",
                                    .params = rotate_params,
                                    .params_bytes = sizeof(Rotate),
                                    .move = rotate_move,
                                    .whole = true};

/* ---- affine ---- */

typedef struct Affine {
    double degrees, translate, scale, shear, prob;
} Affine;

static const Param affine_params[] = {
    {"degrees", PARAM_FLOAT, offsetof(Affine, degrees), "10", 0, 180, NULL, "turned by at most this, either way"},
    {"translate", PARAM_FLOAT, offsetof(Affine, translate), "0.05", 0, 1, NULL,
     "moved by at most this part of height and width"},
    {"scale", PARAM_FLOAT, offsetof(Affine, scale), "0.1", 0, 9, NULL,
     "zoomed by a factor between 1 / (1 + this) and 1 + this"},
    {"shear", PARAM_FLOAT, offsetof(Affine, shear), "5", 0, 80, NULL,
     "leaned by at most this many degrees, either way"},
    {"prob", PARAM_FLOAT, offsetof(Affine, prob), "1", 0, 1, NULL, "probability that it happens"},
    {0}};

/* About the middle: lean, then turn and zoom, then move. */
static Err affine_move(const void *params, Rng *rng, View *view, Error *err) {
    const Affine *p = params;
    bool happens = rng_uniform(rng) < p->prob;
    double angle = rng_range(rng, -p->degrees, p->degrees) * radians;
    double right = rng_range(rng, -p->translate, p->translate) * view->width;
    double down = rng_range(rng, -p->translate, p->translate) * view->height;
    double zoom = factor_between(rng, 1 / (1 + p->scale), 1 + p->scale);
    double lean = tan(rng_range(rng, -p->shear, p->shear) * radians);
    double c = zoom * cos(angle), s = zoom * sin(angle);
    if (happens) view_transform(view, (double[4]){c, c * lean - s, s, s * lean + c}, right, down);
    return OK;
}

const AugmentKind augment_affine = {.name = "affine",
                                    .doc = "turn, move, zoom and lean at once; the size stays",
                                    .params = affine_params,
                                    .params_bytes = sizeof(Affine),
                                    .move = affine_move,
                                    .whole = true};
