/* ops_softmax.c - dst[c] = exp(src[c]) / sum over c' of exp(src[c']), along one axis.
 *
 * Where the axis is the last one (dense layers), oneDNN does it. Over the channels of pictures 2.6 has a reference
 * implementation only, some fifty times slower than the memory it touches; there it is our own pass (base/softmax.h).
 */
#include "engine/internal.h"

#include "base/softmax.h"

/* ---- over the channels of places that lie side by side ---- */

/* Outer blocks of channels x places. */
typedef struct Extent {
    int64_t outer, channels, places;
} Extent;

static int64_t places_behind(Shape shape, int axis) {
    int64_t n = 1;
    for (int i = axis + 1; i < shape.rank; i++) n *= shape.dim[i];
    return n;
}

static Extent extent_of(Shape shape, int axis) {
    Extent e = {1, shape.dim[axis], places_behind(shape, axis)};
    for (int i = 0; i < axis; i++) e.outer *= shape.dim[i];
    return e;
}

static void run_places(const NativeCall *call) {
    const Extent *e = call->params;
    if (call->n_src == 1)
        softmax_planes(e->outer, e->channels, e->places, call->src[0].data, call->dst[0].data);
    else
        softmax_planes_backward(e->outer, e->channels, e->places, call->src[0].data, call->src[1].data,
                                call->dst[0].data);
}

static Tensor *record_over_places(Build *b, int axis, Tensor *src) {
    Extent extent = extent_of(src->shape, axis);
    Tensor *dst = build_tensor(b, F32, src->shape);
    op_native(b, &(NativeSpec){.name = "softmax",
                               .fn = run_places,
                               .layout = NATIVE_DENSE,
                               .params = &extent,
                               .params_bytes = sizeof extent,
                               .n_src = 1,
                               .src = {src},
                               .n_dst = 1,
                               .dst = {dst},
                               .in_place = true});
    return dst;
}

static Tensor *record_over_places_backward(Build *b, int axis, Tensor *dst, Tensor *diff_dst) {
    Extent extent = extent_of(dst->shape, axis);
    Tensor *diff_src = build_tensor(b, F32, dst->shape);
    op_native(b, &(NativeSpec){.name = "softmax_backward",
                               .fn = run_places,
                               .layout = NATIVE_DENSE,
                               .params = &extent,
                               .params_bytes = sizeof extent,
                               .n_src = 2,
                               .src = {dst, diff_dst},
                               .n_dst = 1,
                               .dst = {diff_src}});
    return diff_src;
}

/* ---- by oneDNN ---- */

static dnnl_primitive_desc_t softmax_pd(Build *b, int axis, Tensor *src, dnnl_prop_kind_t prop) {
    PdSpec s = {.engine = b->engine->engine, .prop = prop, .src = src->md, .axis = axis, .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_softmax_forward(&pd, &s);
    if (status == dnnl_success) return pd;
    fail_status(b, "softmax", src->shape, src->shape, status);
    return NULL;
}

Tensor *op_softmax(Build *b, int axis, Tensor *src) {
    if (build_failed(b)) return tensor_dummy(b, F32, src->shape);
    src = tensor_in_plain(b, src);
    if (places_behind(src->shape, axis) > 1) return record_over_places(b, axis, src);
    dnnl_primitive_desc_t pd = softmax_pd(b, axis, src, forward_prop(b));
    if (!pd) return tensor_dummy(b, F32, src->shape);
    Tensor *dst = tensor_new(b, F32, src->shape, src->md);
    Step *step = step_new(b, STEP_SOFTMAX, "softmax");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}

Tensor *op_softmax_backward(Build *b, int axis, Tensor *dst, Tensor *diff_dst) {
    if (build_failed(b)) return tensor_dummy(b, F32, diff_dst->shape);
    if (places_behind(dst->shape, axis) > 1) return record_over_places_backward(b, axis, dst, diff_dst);
    dnnl_primitive_desc_t hint = softmax_pd(b, axis, dst, dnnl_forward_training);
    if (!hint) return tensor_dummy(b, F32, diff_dst->shape);
    keep_hint(b, hint);
    PdSpec s = {
        .engine = b->engine->engine, .dst = dst->md, .data = dst->md, .axis = axis, .hint = hint, .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_softmax_backward(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of softmax", dst->shape, dst->shape, status);
        return tensor_dummy(b, F32, diff_dst->shape);
    }
    Tensor *diff_dst_in = tensor_in(b, diff_dst, dst->md);
    Tensor *diff_src = tensor_new(b, F32, dst->shape, dst->md);
    Step *step = step_new(b, STEP_SOFTMAX, "softmax_backward");
    step_arg(step, DNNL_ARG_DST, dst, false);
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step_append(b, step, pd);
    return diff_src;
}
