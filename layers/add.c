/* add.c - the sum of its sources: residual connections, He, Zhang, Ren & Sun 2015.
 *
 *     dst = src_0 + src_1 + ...
 *
 * 2 to 8 sources of one shape. Each receives the gradient as it is.
 */
#include "layers/common.h"

typedef struct Add {
    char unused; /* no knobs, but a struct needs a member */
} Add;

static const Param params[] = {{0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    for (int k = 1; k < n_src; k++)
        if (!shape_equal(src[0], src[k])) return layer_phrase(phrase, "sources must have one shape");
    return true;
}

static void forward(Build *b, LayerBuild *l) {
    l->dst = op_sum(b, l->n_src, l->src);
}

static void backward(Build *b, LayerBuild *l) {
    for (int k = 0; k < l->n_src; k++)
        if (l->want_diff_src[k]) l->diff_src[k] = l->diff_dst;
}

const LayerKind layer_add = {
    .name = "add",
    .doc = "dst = src_0 + src_1 + ... (residual connections, He et al. 2015)",
    .params = params,
    .params_bytes = sizeof(Add),
    .min_src = 2,
    .max_src = LAYER_MAX_SRC,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
