/* crop.c - cuts rows and columns off a picture: src N,C,H,W; dst N,C,H-top-bottom,W-left-right. The gradient of what
 * was cut off is zero. (The original U-Net, Ronneberger et al. 2015, crops its skip connections so.) */
#include "layers/common.h"

#include <inttypes.h>

enum { TOP, BOTTOM, LEFT, RIGHT };

typedef struct Crop {
    int64_t crop[4];
} Crop;

static const Param params[] = {{"crop", PARAM_QUAD, offsetof(Crop, crop), NULL, 0, 65536, NULL,
                                "pixels to cut off: all sides, [vertical, horizontal], [top, bottom, left, right]"},
                               {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const int64_t *c = ((const Crop *)object)->crop;
    if (!layer_is_picture(src[0], phrase)) return false;
    *dst = src[0];
    dst->dim[2] -= c[TOP] + c[BOTTOM];
    dst->dim[3] -= c[LEFT] + c[RIGHT];
    if (dst->dim[2] < 1 || dst->dim[3] < 1)
        return layer_phrase(phrase,
                            "nothing is left of %" PRId64 "x%" PRId64 " after cutting off [%" PRId64 ", %" PRId64
                            ", %" PRId64 ", %" PRId64 "]",
                            src[0].dim[2], src[0].dim[3], c[TOP], c[BOTTOM], c[LEFT], c[RIGHT]);
    return true;
}

static void forward(Build *b, LayerBuild *l) {
    const int64_t *c = ((const Crop *)l->params)->crop;
    Shape src = tensor_shape(l->src[0]), dst;
    char phrase[LAYER_PHRASE_BYTES];
    infer(l->params, 1, &src, &dst, phrase);
    l->dst = op_crop(b, l->src[0], (int64_t[SHAPE_MAX_RANK]){0, 0, c[TOP], c[LEFT]}, dst);
}

static void backward(Build *b, LayerBuild *l) {
    const int64_t *c = ((const Crop *)l->params)->crop;
    if (!l->want_diff_src[0]) return;
    Shape src = tensor_shape(l->src[0]);
    l->diff_src[0] = op_embed(b, l->diff_dst, (int64_t[SHAPE_MAX_RANK]){0, 0, c[TOP], c[LEFT]}, src);
}

const LayerKind layer_crop = {
    .name = "crop",
    .doc = "cuts rows and columns off a picture",
    .params = params,
    .params_bytes = sizeof(Crop),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
