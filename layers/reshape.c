/* reshape.c - the same values in logical order under another shape: src N,...; dst N followed by `shape`. */
#include "layers/common.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct Reshape {
    ParamList shape;
} Reshape;

static const Param params[] = {{"shape", PARAM_INTS, offsetof(Reshape, shape), NULL, -1, INT32_MAX, NULL,
                                "axes of a sample, e.g. [C, H, W]; one may be -1: what is left"},
                               {0}};

static const char *shape_knob_text(const ParamList *shape, char text[SHAPE_TEXT_BYTES]) {
    size_t used = 0;
    for (int i = 0; i < shape->n && used < SHAPE_TEXT_BYTES; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT_BYTES - used, "%s%" PRId64, i ? ", " : "", shape->ints[i]);
    return text;
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const ParamList *shape = &((const Reshape *)object)->shape;
    if (shape->n < 1 || shape->n > SHAPE_MAX_RANK - 1)
        return layer_phrase(phrase, "'shape' must have 1 to %d axes, got %d", SHAPE_MAX_RANK - 1, shape->n);
    int64_t values = shape_size(src[0]) / src[0].dim[0], known = 1;
    int open = -1;
    *dst = (Shape){.rank = shape->n + 1, .dim = {src[0].dim[0]}};
    for (int i = 0; i < shape->n; i++) {
        int64_t n = dst->dim[i + 1] = shape->ints[i];
        if (n == 0) return layer_phrase(phrase, "an axis of 'shape' must be 1 or more, or -1, got 0");
        if (n == -1 && open >= 0) return layer_phrase(phrase, "only one axis of 'shape' may be -1");
        if (n == -1)
            open = i + 1;
        else if (known <= values)
            known *= n; /* past `values` it no longer matters, and must not overflow */
    }
    if (open >= 0 && known <= values) dst->dim[open] = values / known;
    bool fits = open >= 0 ? known <= values && values % known == 0 : known == values;
    char text[SHAPE_TEXT_BYTES], axes[SHAPE_TEXT_BYTES];
    if (!fits)
        return layer_phrase(phrase, "%s has %" PRId64 " values a sample, which do not fit [%s]",
                            shape_text(src[0], text), values, shape_knob_text(shape, axes));
    return true;
}

static void forward(Build *b, LayerBuild *l) {
    Shape src = tensor_shape(l->src[0]), dst;
    char phrase[LAYER_PHRASE_BYTES];
    infer(l->params, 1, &src, &dst, phrase);
    l->dst = op_reshape(b, l->src[0], dst);
}

static void backward(Build *b, LayerBuild *l) {
    if (l->want_diff_src[0]) l->diff_src[0] = op_reshape(b, l->diff_dst, tensor_shape(l->src[0]));
}

const LayerKind layer_reshape = {
    .name = "reshape",
    .doc = "the same values in the same order under another shape",
    .params = params,
    .params_bytes = sizeof(Reshape),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .keeps_elements = true,
};
