/* flatten.c - each sample as one row of values in logical order: src N,C,H,W (or any shape); dst N,C*H*W. */
#include "layers/common.h"

typedef struct Flatten {
    char unused; /* no knobs, but a struct needs a member */
} Flatten;

static const Param params[] = {{0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = SHAPE(src[0].dim[0], shape_size(src[0]) / src[0].dim[0]);
    return true;
}

static void forward(Build *b, LayerBuild *l) {
    Shape src = tensor_shape(l->src[0]);
    l->dst = src.rank == 2 ? l->src[0] : op_reshape(b, l->src[0], SHAPE(src.dim[0], shape_size(src) / src.dim[0]));
}

static void backward(Build *b, LayerBuild *l) {
    Shape src = tensor_shape(l->src[0]);
    if (l->want_diff_src[0]) l->diff_src[0] = src.rank == 2 ? l->diff_dst : op_reshape(b, l->diff_dst, src);
}

const LayerKind layer_flatten = {
    .name = "flatten",
    .doc = "each sample as one row of values: N,C,H,W to N,C*H*W",
    .params = params,
    .params_bytes = sizeof(Flatten),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .keeps_elements = true,
};
