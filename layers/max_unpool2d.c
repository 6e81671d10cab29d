/* max_unpool2d.c - puts each value where a maxpool2d found its maximum, zeros elsewhere: Badrinarayanan, Kendall &
 * Cipolla, "SegNet", 2015, section 3; Zeiler & Fergus 2014.
 *
 *     dst[n, c, index[n,c,y,x]] = src[n,c,y,x]      index from the maxpool2d that `pool` names: y*W + x in its source
 *
 * src N,C,H',W' (the pool's result's shape); dst N,C,H,W (the pool's source's shape). The gradient is gathered at the
 * indices. Meant for pools whose windows do not overlap; where they do, a place found twice takes the later value, as
 * in PyTorch.
 */
#include "layers/common.h"

#include <string.h>

enum { POOL_INDICES = 1 }; /* where maxpool2d keeps them */

typedef struct MaxUnpool2d {
    const char *pool;
} MaxUnpool2d;

static const Param params[] = {
    {"pool", PARAM_STRING, offsetof(MaxUnpool2d, pool), NULL, 0, 0, NULL, "name of the maxpool2d to undo"}, {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    Shape pool_src = src[n_src], pool_dst = src[n_src + 1];
    if (!layer_is_picture(src[0], phrase)) return false;
    if (!shape_equal(src[0], pool_dst))
        return layer_phrase(phrase, "the source must have the shape of the pool's result");
    *dst = pool_src;
    return true;
}

static void run_forward(const NativeCall *call) {
    const NativeArg *src = &call->src[0], *index = &call->src[1], *dst = &call->dst[0];
    int64_t lanes = src->inner, n = src->shape.dim[2] * src->shape.dim[3] * lanes;
    int64_t dst_plane = dst->shape.dim[2] * dst->shape.dim[3] * lanes;
#pragma omp parallel for if (dst->size > NATIVE_SMALL)
    for (int64_t p = 0; p < src->outer; p++) {
        const float *from = (const float *)src->data + p * n;
        const int32_t *where = (const int32_t *)index->data + p * n;
        float *to = (float *)dst->data + p * dst_plane;
        memset(to, 0, (size_t)dst_plane * sizeof(float));
        for (int64_t i = 0; i < n; i += lanes)
            for (int64_t l = 0; l < lanes; l++) to[where[i + l] * lanes + l] = from[i + l];
    }
}

static void run_backward(const NativeCall *call) {
    const NativeArg *diff_dst = &call->src[0], *index = &call->src[1], *diff_src = &call->dst[0];
    int64_t lanes = diff_src->inner, n = diff_src->shape.dim[2] * diff_src->shape.dim[3] * lanes;
    int64_t dst_plane = diff_dst->shape.dim[2] * diff_dst->shape.dim[3] * lanes;
#pragma omp parallel for if (diff_dst->size > NATIVE_SMALL)
    for (int64_t p = 0; p < diff_src->outer; p++) {
        const float *from = (const float *)diff_dst->data + p * dst_plane;
        const int32_t *where = (const int32_t *)index->data + p * n;
        float *to = (float *)diff_src->data + p * n;
        for (int64_t i = 0; i < n; i += lanes)
            for (int64_t l = 0; l < lanes; l++) to[i + l] = from[where[i + l] * lanes + l];
    }
}

/* The pool's indices, or NULL after the Build has been told what is wrong. */
static Tensor *find_indices(Build *b, const LayerBuild *l) {
    const MaxUnpool2d *p = l->params;
    Tensor *index = l->partner ? l->partner->kept[POOL_INDICES] : NULL;
    if (!index || tensor_dtype(index) != S32 || !shape_equal(tensor_shape(index), tensor_shape(l->src[0]))) {
        build_fail(b, "'%s' keeps no indices to unpool by: it must be a maxpool2d", p->pool);
        return NULL;
    }
    return index;
}

static void forward(Build *b, LayerBuild *l) {
    Tensor *index = find_indices(b, l);
    l->kept[0] = index;
    l->dst = build_tensor(b, F32, l->partner ? tensor_shape(l->partner->src[0]) : tensor_shape(l->src[0]));
    if (!index) return;
    op_native(b, &(NativeSpec){.name = "max_unpool2d",
                               .fn = run_forward,
                               .layout = NATIVE_PLANES,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->src[0], index},
                               .dst = {l->dst}});
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = build_tensor(b, F32, tensor_shape(l->src[0]));
    if (!l->kept[0]) return;
    op_native(b, &(NativeSpec){.name = "max_unpool2d backward",
                               .fn = run_backward,
                               .layout = NATIVE_PLANES,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->kept[0]},
                               .dst = {l->diff_src[0]}});
}

const LayerKind layer_max_unpool2d = {
    .name = "max_unpool2d",
    .doc =
        "puts each value where the maxpool2d `pool` found its maximum, zeros elsewhere (SegNet, Badrinarayanan et al. "
        "2015)",
    .params = params,
    .params_bytes = sizeof(MaxUnpool2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .partner_param = "pool",
};
