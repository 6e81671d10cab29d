/* reference.h - every layer kind once more, as plainly as its formula allows, in double precision and row-major order.
 *
 * Independent of layers/: only the knobs' tables are shared. Slow, and meant to be read.
 */
#ifndef SANDGLASS_TESTS_REFERENCE_H
#define SANDGLASS_TESTS_REFERENCE_H

#include "model/layer.h"

/* One layer with its values. Arrays are dense in logical order; the caller owns all of them. */
typedef struct RefLayer {
    const LayerKind *kind;
    const void *params;
    bool training;
    bool draws; /* LayerBuild.draws */
    Act act;    /* fused behind it */
    int n_src;
    Shape src_shape[LAYER_MAX_SRC];
    double *src[LAYER_MAX_SRC];
    int n_weights;
    Shape weights_shape[LAYER_MAX_WEIGHTS];
    double *weights[LAYER_MAX_WEIGHTS];
    Shape dst_shape;
    double *dst; /* the result */

    const LayerKind *partner; /* max_unpool2d: the pool and its source */
    const void *partner_params;
    Shape partner_src_shape;
    double *partner_src;

    RunState run; /* for random layers */
    uint32_t number;
} RefLayer;

typedef void (*RefFn)(const RefLayer *l);

/* The reference of a kind, with l->act behind it; NULL when there is none. */
RefFn reference_find(const char *kind);
void reference_run(const RefLayer *l);

double reference_act(Act act, double x);

/* Places y*W + x of the maxima of a maxpool2d with these params. */
void reference_pool_indices(const LayerKind *pool, const void *params, Shape src_shape, const double *src,
                            Shape dst_shape, int32_t *indices);

#endif
