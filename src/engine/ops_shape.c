/* ops_shape.c - operations that move values without computing: concat, sum, crop, embed, reshape. */
#include "engine/internal.h"

#include <string.h>

/* Channels in one inner block of a layout; 1 for plain and channels-last, whose parts can begin anywhere. */
static int64_t block_of(Layout layout) {
    return layout == LAYOUT_BLOCK4 ? 4 : layout == LAYOUT_BLOCK8 ? 8 : layout == LAYOUT_BLOCK16 ? 16 : 1;
}

/* The layout in which the sources can lie side by side along the channels: that of the first when every part fills its
 * blocks. */
static Layout concat_layout(int axis, int n, Tensor *const *src) {
    Layout layout = src[0]->layout;
    if (layout == LAYOUT_OPAQUE) return LAYOUT_PLAIN;
    for (int i = 0; axis == 1 && i < n; i++)
        if (src[i]->shape.dim[1] % block_of(layout) != 0) return LAYOUT_PLAIN;
    return layout;
}

/* One sample's channels, in whole blocks, lie one behind the other: where the plan could not put a source where it
 * belongs, it is copied. */
static void run_gather(const NativeCall *call) {
    unsigned char *to = call->dst[0].data;
    for (int k = 0; k < call->n_src; k++) {
        const unsigned char *from = call->src[k].data;
        const int64_t bytes = call->src[k].size * (int64_t)dtype_bytes(call->src[k].type), piece = 1 << 16;
#pragma omp parallel for if (bytes > piece && from != to)
        for (int64_t at = 0; at < bytes; at += piece)
            if (from != to) memcpy(to + at, from + at, (size_t)(bytes - at < piece ? bytes - at : piece));
        to += bytes;
    }
}

static Tensor *record_gather(Build *b, int n, Tensor *const *src, Tensor *dst) {
    Step *step = step_new(b, STEP_CONCAT, "concat");
    step->native_args = ARENA_ARRAY(b->arena, NativeArg, n + 1);
    for (int i = 0; i < n; i++) step_arg(step, DNNL_ARG_MULTIPLE_SRC + i, src[i], false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    for (int i = 0; i <= n; i++) step->native_args[i] = native_arg(step->args[i].tensor, NATIVE_DENSE, LAYOUT_PLAIN);
    step->fn = run_gather;
    step->call = (NativeCall){.n_src = n, .n_dst = 1, .src = step->native_args, .dst = step->native_args + n};
    step->gathers = true;
    step_append(b, step, NULL);
    return dst;
}

Tensor *op_concat(Build *b, int axis, int n, Tensor *const *src) {
    Shape shape = src[0]->shape;
    for (int i = 1; i < n; i++) shape.dim[axis] += src[i]->shape.dim[axis];
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    Layout layout = concat_layout(axis, n, src);
    const DType type = src[0]->shape.rank > 3 ? compute_type(b) : src[0]->type;
    Tensor *in[STEP_MAX_ARGS - 1];
    Md mds[STEP_MAX_ARGS - 1];
    if (n > STEP_MAX_ARGS - 1) {
        build_fail(b, "concat of %d tensors, at most %d", n, STEP_MAX_ARGS - 1);
        return tensor_dummy(b, F32, shape);
    }
    for (int i = 0; i < n; i++) {
        in[i] = tensor_in(b, src[i], md_like(b, type, src[i]->shape, layout));
        mds[i] = in[i]->md;
    }
    Md md = md_like(b, type, shape, layout);
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    if (axis == 1 && shape.dim[0] == 1 && layout != LAYOUT_LAST)
        return record_gather(b, n, in, tensor_new(b, type, shape, md));
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_concat(&pd, b->engine->engine, md, n, axis, mds, b->attr);
    if (status != dnnl_success) {
        fail_status(b, "concat", src[0]->shape, shape, status);
        return tensor_dummy(b, F32, shape);
    }
    Tensor *dst = tensor_new(b, type, shape, md);
    Step *step = step_new(b, STEP_CONCAT, "concat");
    for (int i = 0; i < n; i++) step_arg(step, DNNL_ARG_MULTIPLE_SRC + i, in[i], false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}

Tensor *op_sum(Build *b, int n, Tensor *const *src) {
    Shape shape = src[0]->shape;
    if (n == 1) return src[0];
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    Tensor *in[STEP_MAX_ARGS - 1];
    Md mds[STEP_MAX_ARGS - 1];
    float scales[STEP_MAX_ARGS - 1];
    if (n > STEP_MAX_ARGS - 1) {
        build_fail(b, "sum of %d tensors, at most %d", n, STEP_MAX_ARGS - 1);
        return tensor_dummy(b, F32, shape);
    }
    for (int i = 0; i < n; i++) {
        in[i] = tensor_in(b, src[i], src[0]->md);
        mds[i] = in[i]->md;
        scales[i] = 1;
    }
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_sum(&pd, b->engine->engine, src[0]->md, n, scales, mds, b->attr);
    if (status != dnnl_success) {
        fail_status(b, "sum", shape, shape, status);
        return tensor_dummy(b, F32, shape);
    }
    Tensor *dst = tensor_new(b, src[0]->type, shape, src[0]->md);
    Step *step = step_new(b, STEP_SUM, "sum");
    for (int i = 0; i < n; i++) step_arg(step, DNNL_ARG_MULTIPLE_SRC + i, in[i], false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}

Tensor *op_crop(Build *b, Tensor *src, const int64_t offset[SHAPE_MAX_RANK], Shape shape) {
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    int64_t block = block_of(src->layout);
    bool whole_blocks = shape.rank > 1 && offset[1] % block == 0 && shape.dim[1] % block == 0;
    if (src->layout == LAYOUT_OPAQUE || !whole_blocks) src = tensor_in_plain(b, src);
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    Tensor *part = tensor_view(b, src, shape, pool_md(b, md_part(src->md, shape.rank, shape.dim, offset)));
    Tensor *dst = tensor_new(b, src->type, shape, md_like(b, src->type, shape, src->layout));
    record_reorder(b, part, dst);
    return dst;
}

/* ---- embed: our own, since oneDNN has nothing that fills with zeros and copies ---- */

typedef struct Embed {
    int64_t offset[SHAPE_MAX_RANK];
    int rank;
} Embed;

/* Dense row-major, any axis. */
static void embed_dense(const NativeCall *call) {
    const Embed *e = call->params;
    const float *src = call->src[0].data;
    float *dst = call->dst[0].data;
    int64_t s[SHAPE_MAX_RANK], d[SHAPE_MAX_RANK], o[SHAPE_MAX_RANK];
    int lead = SHAPE_MAX_RANK - e->rank; /* axes of size 1 in front make every tensor 5-D */
    for (int i = 0; i < SHAPE_MAX_RANK; i++) {
        s[i] = i < lead ? 1 : call->src[0].shape.dim[i - lead];
        d[i] = i < lead ? 1 : call->dst[0].shape.dim[i - lead];
        o[i] = i < lead ? 0 : e->offset[i - lead];
    }
    memset(dst, 0, sizeof(float) * (size_t)call->dst[0].size);
    for (int64_t a = 0; a < s[0]; a++)
        for (int64_t b = 0; b < s[1]; b++)
            for (int64_t c = 0; c < s[2]; c++)
                for (int64_t y = 0; y < s[3]; y++) {
                    int64_t to = (((a + o[0]) * d[1] + b + o[1]) * d[2] + c + o[2]) * d[3] + y + o[3];
                    int64_t from = ((a * s[1] + b) * s[2] + c) * s[3] + y;
                    memcpy(dst + to * d[4] + o[4], src + from * s[4], sizeof(float) * (size_t)s[4]);
                }
}

/* Planes, spatial axes only (N,C,H,W). */
static void embed_planes(const NativeCall *call) {
    const Embed *e = call->params;
    const NativeArg *src = &call->src[0], *dst = &call->dst[0];
    const int64_t h = src->shape.dim[2], w = src->shape.dim[3], inner = src->inner;
    const int64_t dh = dst->shape.dim[2], dw = dst->shape.dim[3];
#pragma omp parallel for
    for (int64_t p = 0; p < dst->outer; p++) {
        const float *from = (const float *)src->data + p * h * w * inner;
        float *to = (float *)dst->data + p * dh * dw * inner;
        memset(to, 0, sizeof(float) * (size_t)(dh * dw * inner));
        for (int64_t y = 0; y < h; y++)
            memcpy(to + ((y + e->offset[2]) * dw + e->offset[3]) * inner, from + y * w * inner,
                   sizeof(float) * (size_t)(w * inner));
    }
}

Tensor *op_embed(Build *b, Tensor *src, const int64_t offset[SHAPE_MAX_RANK], Shape shape) {
    Tensor *dst = build_tensor(b, F32, shape);
    bool spatial = shape.rank == 4 && offset[0] == 0 && offset[1] == 0 && shape.dim[0] == src->shape.dim[0] &&
                   shape.dim[1] == src->shape.dim[1];
    Embed params = {.rank = shape.rank};
    memcpy(params.offset, offset, sizeof(int64_t) * (size_t)shape.rank);
    op_native(b, &(NativeSpec){.name = "embed",
                               .fn = spatial ? embed_planes : embed_dense,
                               .layout = spatial ? NATIVE_PLANES : NATIVE_DENSE,
                               .params = &params,
                               .params_bytes = sizeof(params),
                               .n_src = 1,
                               .src = {src},
                               .n_dst = 1,
                               .dst = {dst}});
    return dst;
}

Tensor *op_reshape(Build *b, Tensor *src, Shape shape) {
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    if (shape_equal(src->shape, shape)) return src;
    if (shape_size(src->shape) != shape_size(shape)) {
        char from[SHAPE_TEXT_BYTES], to[SHAPE_TEXT_BYTES];
        build_fail(b, "cannot reshape %s to %s", shape_text(src->shape, from), shape_text(shape, to));
        return tensor_dummy(b, F32, shape);
    }
    src = tensor_in_plain(b, src);
    return tensor_view(b, src, shape, md_plain(b, src->type, shape));
}
