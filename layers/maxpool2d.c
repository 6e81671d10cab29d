/* maxpool2d.c - the largest value under each window of each channel.
 *
 *     dst[n,c,y,x] = max_{ky,kx} src[n, c, y*stride - top + ky, x*stride - left + kx]      (padding never wins)
 *
 * src N,C,H,W; dst N,C,H',W' with H' = (H + top + bottom - KH) / stride + 1. The gradient goes to the place of the
 * maximum; of equal values the first in row order wins.
 *
 * For a max_unpool2d that names this layer (or with `indices: true`) the places are kept: kept[INDICES] holds y*W + x
 * within the source's plane (as PyTorch counts), S32, in dst's shape. oneDNN's own record of the places cannot be read,
 * so our own kernel runs then.
 */
#include "layers/window.h"

#include "base/vmath.h"

#include <string.h>

enum { WORKSPACE, INDICES }; /* kept; max_unpool2d.c knows the second */

typedef struct MaxPool2d {
    int64_t size[2], stride[2];
    ParamList padding;
    bool indices;
} MaxPool2d;

static const Param params[] = {
    {"size", PARAM_PAIR, offsetof(MaxPool2d, size), "2", 1, 255, NULL, "height and width of the window"},
    {"stride", PARAM_PAIR, offsetof(MaxPool2d, stride), "0", 0, 255, NULL, "steps of the window; 0: its size"},
    WINDOW_PADDING_PARAM(MaxPool2d),
    {"indices", PARAM_BOOL, offsetof(MaxPool2d, indices), "false", 0, 0, NULL,
     "keep the places; a max_unpool2d that names the layer has it done anyway"},
    {0}};

static bool slide(const MaxPool2d *p, Shape src, Window *w, char phrase[LAYER_PHRASE_BYTES]) {
    *w = (Window){.dilation = {1, 1}};
    for (int i = 0; i < 2; i++) {
        w->kernel[i] = p->size[i];
        w->stride[i] = p->stride[i] ? p->stride[i] : p->size[i];
    }
    return window_slide(w, &p->padding, src, phrase) && window_pads_below_kernel(w, phrase);
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    Window w;
    if (!slide(object, src[0], &w, phrase)) return false;
    if (src[0].dim[2] > INT32_MAX / src[0].dim[3]) return layer_phrase(phrase, "a plane is larger than 2^31 pixels");
    *dst = SHAPE(src[0].dim[0], src[0].dim[1], w.dst[0], w.dst[1]);
    return true;
}

/* ---- with indices ---- */

/* One plane of the source and of both results. */
typedef struct Plane {
    int64_t height, width;
    const float *src;
    float *best;
    int32_t *where;
} Plane;

/* One window, all lanes, into best[] and where[] of its place. */
VECTOR_INLINE void pool_window(const Window *w, const Plane *p, int64_t y, int64_t x, int64_t lanes) {
    int64_t top = y * w->stride[0] - w->pad_lo[0], bottom = top + w->kernel[0];
    int64_t left = x * w->stride[1] - w->pad_lo[1], right = left + w->kernel[1];
    if (top < 0) top = 0;
    if (left < 0) left = 0;
    if (bottom > p->height) bottom = p->height;
    if (right > p->width) right = p->width;
    float *best = p->best + (y * w->dst[1] + x) * lanes;
    int32_t *where = p->where + (y * w->dst[1] + x) * lanes;
    int64_t first = top * p->width + left;
    for (int64_t l = 0; l < lanes; l++) {
        best[l] = p->src[first * lanes + l];
        where[l] = (int32_t)first;
    }
    for (int64_t i = top; i < bottom; i++)
        for (int64_t j = left; j < right; j++) {
            int64_t place = i * p->width + j;
            const float *at = p->src + place * lanes;
#pragma omp simd
            for (int64_t l = 0; l < lanes; l++) {
                bool larger = (at[l] > best[l]) | (at[l] != at[l]); /* a NaN wins, so that it is seen */
                best[l] = larger ? at[l] : best[l];
                where[l] = larger ? (int32_t)place : where[l];
            }
        }
}

/* `lanes` is a constant where it matters, so that the loops over them are unrolled. */
VECTOR_CLONES static void pool_plane(const Window *w, const Plane *p, int64_t lanes) {
    for (int64_t y = 0; y < w->dst[0]; y++)
        for (int64_t x = 0; x < w->dst[1]; x++) switch (lanes) {
            case 16:
                pool_window(w, p, y, x, 16);
                break;
            case 8:
                pool_window(w, p, y, x, 8);
                break;
            case 1:
                pool_window(w, p, y, x, 1);
                break;
            default:
                pool_window(w, p, y, x, lanes);
            }
}

static void clear_padding_lanes(const NativeArg *index, int64_t plane, int32_t *where) {
    int64_t real = native_lanes(index, plane), pixels = index->shape.dim[2] * index->shape.dim[3];
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t l = real; l < index->inner; l++) where[i * index->inner + l] = 0;
}

static void run_forward(const NativeCall *call) {
    const Window *w = call->params;
    const NativeArg *src = &call->src[0], *dst = &call->dst[0], *index = &call->dst[1];
    int64_t src_plane = src->shape.dim[2] * src->shape.dim[3] * src->inner;
    int64_t dst_plane = w->dst[0] * w->dst[1] * dst->inner;
#pragma omp parallel for if (src->size > NATIVE_SMALL)
    for (int64_t p = 0; p < src->outer; p++) {
        Plane plane = {.height = src->shape.dim[2],
                       .width = src->shape.dim[3],
                       .src = (const float *)src->data + p * src_plane,
                       .best = (float *)dst->data + p * dst_plane,
                       .where = (int32_t *)index->data + p * dst_plane};
        pool_plane(w, &plane, src->inner);
        clear_padding_lanes(index, p, plane.where);
    }
}

/* diff_src[index[o]] += diff_dst[o]: windows may overlap, so a plane is done in order. */
static void run_backward(const NativeCall *call) {
    const NativeArg *diff_dst = &call->src[0], *index = &call->src[1], *diff_src = &call->dst[0];
    int64_t lanes = diff_dst->inner, pixels = diff_dst->shape.dim[2] * diff_dst->shape.dim[3];
    int64_t src_plane = diff_src->shape.dim[2] * diff_src->shape.dim[3] * lanes;
#pragma omp parallel for if (diff_src->size > NATIVE_SMALL)
    for (int64_t p = 0; p < diff_dst->outer; p++) {
        const float *from = (const float *)diff_dst->data + p * pixels * lanes;
        const int32_t *where = (const int32_t *)index->data + p * pixels * lanes;
        float *to = (float *)diff_src->data + p * src_plane;
        memset(to, 0, (size_t)src_plane * sizeof(float));
        for (int64_t i = 0; i < pixels; i++)
            for (int64_t l = 0; l < lanes; l++) to[where[i * lanes + l] * lanes + l] += from[i * lanes + l];
    }
}

/* ---- the kind ---- */

static PoolSpec pool_spec(const Window *w, Shape src) {
    return (PoolSpec){.kind = POOL_MAX,
                      .kernel = {w->kernel[0], w->kernel[1]},
                      .stride = {w->stride[0], w->stride[1]},
                      .pad_lo = {w->pad_lo[0], w->pad_lo[1]},
                      .pad_hi = {w->pad_hi[0], w->pad_hi[1]},
                      .dst = SHAPE(src.dim[0], src.dim[1], w->dst[0], w->dst[1])};
}

static bool keeps_indices(const LayerBuild *l) {
    return ((const MaxPool2d *)l->params)->indices || l->has_partner;
}

static void forward(Build *b, LayerBuild *l) {
    const MaxPool2d *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    Window w;
    char phrase[LAYER_PHRASE_BYTES];
    slide(p, src, &w, phrase); /* infer has seen to it that this succeeds */
    PoolSpec spec = pool_spec(&w, src);
    if (!keeps_indices(l)) {
        l->dst = op_pool(b, &spec, l->src[0], &l->kept[WORKSPACE]);
        return;
    }
    build_note_pool(b, &spec, l->src[0], false);
    l->dst = build_tensor(b, F32, spec.dst);
    l->kept[INDICES] = build_tensor(b, S32, spec.dst);
    op_native(b, &(NativeSpec){.name = "maxpool2d with indices",
                               .fn = run_forward,
                               .layout = NATIVE_PLANES,
                               .params = &w,
                               .params_bytes = sizeof(w),
                               .n_src = 1,
                               .n_dst = 2,
                               .src = {l->src[0]},
                               .dst = {l->dst, l->kept[INDICES]}});
}

static void backward(Build *b, LayerBuild *l) {
    const MaxPool2d *p = l->params;
    if (!l->want_diff_src[0]) return;
    Shape src = tensor_shape(l->src[0]);
    Window w;
    char phrase[LAYER_PHRASE_BYTES];
    slide(p, src, &w, phrase);
    PoolSpec spec = pool_spec(&w, src);
    if (!keeps_indices(l)) {
        l->diff_src[0] = op_pool_backward(b, &spec, l->src[0], l->diff_dst, l->kept[WORKSPACE]);
        return;
    }
    build_note_pool(b, &spec, l->src[0], true);
    l->diff_src[0] = build_tensor(b, F32, src);
    op_native(b, &(NativeSpec){.name = "maxpool2d backward by indices",
                               .fn = run_backward,
                               .layout = NATIVE_PLANES,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->kept[INDICES]},
                               .dst = {l->diff_src[0]}});
}

const LayerKind layer_maxpool2d = {
    .name = "maxpool2d",
    .doc = "dst[c,y,x] = max over the window of src[c, y*stride - pad + ky, x*stride - pad + kx]",
    .params = params,
    .params_bytes = sizeof(MaxPool2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .selects = true,
};
