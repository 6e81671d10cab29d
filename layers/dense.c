/* dense.c - a fully connected layer.
 *
 *     dst[n,o] = bias[o] + sum_i weights[o,i] * src[n,i]
 *
 * src N,I or N,C,H,W, which is flattened to N,C*H*W in logical order; dst N,O; weights O,I; bias O. Of a sequence N,T,I
 * each step is taken by itself, with the same weights: dst N,T,O.
 * Weights start glorot_uniform (Glorot & Bengio 2010), as in Keras. A following activation is fused in.
 */
#include "layers/common.h"

#include <inttypes.h>

enum { WEIGHTS, BIAS };
enum { ROWS }; /* kept: the source as N,I, or N*T,I */

typedef struct Dense {
    int64_t units;
    bool bias;
} Dense;

static const Param params[] = {
    {"units", PARAM_INT, offsetof(Dense, units), NULL, 1, 1 << 24, NULL, "values of the result"},
    {"bias", PARAM_BOOL, offsetof(Dense, bias), "true", 0, 0, NULL, "add a trained constant to each value"},
    {0}};

/* Values that one result sees. */
static int64_t values(Shape src) {
    return src.rank == 3 ? src.dim[2] : shape_size(src) / src.dim[0];
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Dense *p = object;
    *dst = src[0].rank == 3 ? SHAPE(src[0].dim[0], src[0].dim[1], p->units) : SHAPE(src[0].dim[0], p->units);
    if (values(src[0]) > INT32_MAX / 4)
        return layer_phrase(phrase, "cannot take %" PRId64 " values a sample, at most %d", values(src[0]),
                            INT32_MAX / 4);
    return true;
}

static int weights(const void *object, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    const Dense *p = object;
    int64_t n = values(src[0]);
    decls[WEIGHTS] = (WeightDecl){.name = "weights",
                                  .shape = SHAPE(p->units, n),
                                  .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                                  .init = "glorot_uniform",
                                  .fan_in = n,
                                  .fan_out = p->units};
    decls[BIAS] = (WeightDecl){.name = "bias", .shape = SHAPE(p->units), .flags = WEIGHT_TRAINED, .init = "zeros"};
    return p->bias ? 2 : 1;
}

static Tensor *as_rows(Build *b, Tensor *t, int64_t width) {
    return op_reshape(b, t, SHAPE(shape_size(tensor_shape(t)) / width, width));
}

static void forward(Build *b, LayerBuild *l) {
    const Dense *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    l->kept[ROWS] = as_rows(b, l->src[0], values(src));
    l->dst = op_dense(b, l->act, l->kept[ROWS], l->weights[WEIGHTS], p->bias ? l->weights[BIAS] : NULL);
    if (src.rank == 3) l->dst = op_reshape(b, l->dst, SHAPE(src.dim[0], src.dim[1], p->units));
}

static void backward(Build *b, LayerBuild *l) {
    const Dense *p = l->params;
    Tensor *diff = as_rows(b, layer_diff_before_act(b, l), p->units);
    Tensor *rows = op_dense_backward(b, l->kept[ROWS], l->weights[WEIGHTS], diff, l->want_diff_src[0],
                                     l->diff_weights[WEIGHTS], l->diff_weights[BIAS]);
    if (l->want_diff_src[0]) l->diff_src[0] = op_reshape(b, rows, tensor_shape(l->src[0]));
}

const LayerKind layer_dense = {
    .name = "dense",
    .doc = "dst[o] = bias[o] + sum_i weights[o,i] * src[i]; a picture is flattened, a sequence taken step by step",
    .params = params,
    .params_bytes = sizeof(Dense),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .weights = weights,
    .forward = forward,
    .backward = backward,
    .fuses_act = layer_fuses_act,
    .bias_param = "bias",
    .act_apart = true,
};
