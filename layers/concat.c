/* concat.c - sources one behind the other along an axis; by default their channels (the skip connections of U-Net,
 * Ronneberger, Fischer & Brox 2015).
 *
 *     dst[n, c, ...] = src_k[n, c - (channels of the sources before k), ...]
 *
 * Sources of 2 to 8 equal shapes but for that axis. The gradient is cut into the sources' parts.
 */
#include "layers/common.h"

typedef struct Concat {
    int64_t axis;
} Concat;

static const Param params[] = {
    {"axis", PARAM_INT, offsetof(Concat, axis), "1", 1, SHAPE_MAX_RANK - 1, NULL, "1: channels, 2: height, 3: width"},
    {0}};

static const char *axis_name(int axis) {
    static const char *const names[SHAPE_MAX_RANK] = {"batch", "channels", "height", "width", "depth"};
    return names[axis];
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Concat *p = object;
    int along = (int)p->axis;
    char a[SHAPE_TEXT_BYTES];
    *dst = src[0];
    if (along >= src[0].rank)
        return layer_phrase(phrase, "'axis' must be below %d for sources such as %s, got %d", src[0].rank,
                            shape_text(src[0], a), along);
    for (int k = 1; k < n_src; k++) {
        if (src[k].rank != src[0].rank) return layer_phrase(phrase, "sources differ in their number of axes");
        for (int i = 0; i < src[0].rank; i++)
            if (i != along && src[k].dim[i] != src[0].dim[i])
                return layer_phrase(phrase, "sources differ in %s", axis_name(i));
        dst->dim[along] += src[k].dim[along];
    }
    return true;
}

static void forward(Build *b, LayerBuild *l) {
    const Concat *p = l->params;
    l->dst = op_concat(b, (int)p->axis, l->n_src, l->src);
}

static void backward(Build *b, LayerBuild *l) {
    const Concat *p = l->params;
    int64_t offset[SHAPE_MAX_RANK] = {0};
    for (int k = 0; k < l->n_src; k++) {
        Shape shape = tensor_shape(l->src[k]);
        if (l->want_diff_src[k]) l->diff_src[k] = op_crop(b, l->diff_dst, offset, shape);
        offset[p->axis] += shape.dim[p->axis];
    }
}

const LayerKind layer_concat = {
    .name = "concat",
    .doc = "sources one behind the other along an axis, by default their channels",
    .params = params,
    .params_bytes = sizeof(Concat),
    .min_src = 2,
    .max_src = LAYER_MAX_SRC,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
