/* pad.c - widens a picture by rows and columns.
 *
 *     dst[n,c,Y,X] = src[n, c, at(Y - top, H), at(X - left, W)]
 *     zero     at outside 0..H-1: the value 0
 *     reflect  mirrored at the border pixel, which is not repeated: -1 -> 1, H -> H-2
 *     edge     the border pixel repeated
 *
 * src N,C,H,W; dst N,C,H+top+bottom,W+left+right. The gradient of a source pixel is the sum over its copies.
 */
#include "layers/common.h"

#include <inttypes.h>
#include <string.h>

enum { TOP, BOTTOM, LEFT, RIGHT };

typedef enum Mode { ZERO, REFLECT, EDGE } Mode;

typedef struct Pad {
    int64_t padding[4];
    int mode;
} Pad;

static const char *const modes[] = {"zero", "reflect", "edge", NULL};

static const Param params[] = {
    {"padding", PARAM_QUAD, offsetof(Pad, padding), NULL, 0, 65536, NULL,
     "pixels to add: all sides, [vertical, horizontal], [top, bottom, left, right]"},
    {"mode", PARAM_CHOICE, offsetof(Pad, mode), "zero", 0, 0, modes, "what the new pixels are"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Pad *p = object;
    if (!layer_is_picture(src[0], phrase)) return false;
    *dst = src[0];
    for (int side = 0; side < 4; side++) {
        int axis = 2 + side / 2;
        dst->dim[axis] += p->padding[side];
        if (p->mode == REFLECT && p->padding[side] >= src[0].dim[axis])
            return layer_phrase(phrase, "cannot reflect %" PRId64 " pixels of %s %" PRId64 ": at most %" PRId64,
                                p->padding[side], axis == 2 ? "height" : "width", src[0].dim[axis],
                                src[0].dim[axis] - 1);
    }
    return true;
}

/* Where a pixel outside comes from. */
static int64_t source_of(Mode mode, int64_t i, int64_t n) {
    if (mode == EDGE) return i < 0 ? 0 : i >= n ? n - 1 : i;
    return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i;
}

static void run_forward(const NativeCall *call) {
    const Pad *p = call->params;
    const NativeArg *src = &call->src[0], *dst = &call->dst[0];
    int64_t height = src->shape.dim[2], width = src->shape.dim[3], lanes = src->inner;
    int64_t dst_height = dst->shape.dim[2], dst_width = dst->shape.dim[3];
#pragma omp parallel for collapse(2) if (dst->size > NATIVE_SMALL)
    for (int64_t plane = 0; plane < src->outer; plane++)
        for (int64_t y = 0; y < dst_height; y++) {
            int64_t row = source_of((Mode)p->mode, y - p->padding[TOP], height);
            const float *from = (const float *)src->data + (plane * height + row) * width * lanes;
            float *to = (float *)dst->data + (plane * dst_height + y) * dst_width * lanes;
            for (int64_t x = 0; x < dst_width; x++) {
                int64_t column = source_of((Mode)p->mode, x - p->padding[LEFT], width);
                memcpy(to + x * lanes, from + column * lanes, (size_t)lanes * sizeof(float));
            }
        }
}

/* Several results add to one pixel, so a plane is done in order. */
static void run_backward(const NativeCall *call) {
    const Pad *p = call->params;
    const NativeArg *diff_dst = &call->src[0], *diff_src = &call->dst[0];
    int64_t height = diff_src->shape.dim[2], width = diff_src->shape.dim[3], lanes = diff_src->inner;
    int64_t dst_height = diff_dst->shape.dim[2], dst_width = diff_dst->shape.dim[3];
#pragma omp parallel for if (diff_dst->size > NATIVE_SMALL)
    for (int64_t plane = 0; plane < diff_src->outer; plane++) {
        float *sums = (float *)diff_src->data + plane * height * width * lanes;
        memset(sums, 0, (size_t)(height * width * lanes) * sizeof(float));
        for (int64_t y = 0; y < dst_height; y++) {
            int64_t row = source_of((Mode)p->mode, y - p->padding[TOP], height);
            const float *from = (const float *)diff_dst->data + (plane * dst_height + y) * dst_width * lanes;
            for (int64_t x = 0; x < dst_width; x++) {
                int64_t column = source_of((Mode)p->mode, x - p->padding[LEFT], width);
                for (int64_t l = 0; l < lanes; l++) sums[(row * width + column) * lanes + l] += from[x * lanes + l];
            }
        }
    }
}

static void record(Build *b, const Pad *p, const char *name, NativeFn fn, Tensor *src, Tensor *dst) {
    op_native(b, &(NativeSpec){.name = name,
                               .fn = fn,
                               .layout = NATIVE_PLANES,
                               .params = p,
                               .params_bytes = sizeof(*p),
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {src},
                               .dst = {dst}});
}

static void forward(Build *b, LayerBuild *l) {
    const Pad *p = l->params;
    Shape src = tensor_shape(l->src[0]), dst;
    char phrase[LAYER_PHRASE_BYTES];
    infer(p, 1, &src, &dst, phrase);
    if (p->mode == ZERO) {
        l->dst = op_embed(b, l->src[0], (int64_t[SHAPE_MAX_RANK]){0, 0, p->padding[TOP], p->padding[LEFT]}, dst);
        return;
    }
    l->dst = build_tensor(b, F32, dst);
    record(b, p, "pad", run_forward, l->src[0], l->dst);
}

static void backward(Build *b, LayerBuild *l) {
    const Pad *p = l->params;
    if (!l->want_diff_src[0]) return;
    Shape src = tensor_shape(l->src[0]);
    if (p->mode == ZERO) {
        int64_t offset[SHAPE_MAX_RANK] = {0, 0, p->padding[TOP], p->padding[LEFT]};
        l->diff_src[0] = op_crop(b, l->diff_dst, offset, src);
        return;
    }
    l->diff_src[0] = build_tensor(b, F32, src);
    record(b, p, "pad backward", run_backward, l->diff_dst, l->diff_src[0]);
}

const LayerKind layer_pad = {
    .name = "pad",
    .doc = "widens a picture by zeros, its reflection or its edge",
    .params = params,
    .params_bytes = sizeof(Pad),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
