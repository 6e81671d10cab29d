/* ops_pool.c - max and average pooling. Max pooling in a training program leaves a workspace (where the maxima were)
 * for backward. */
#include "engine/bare.h"

void pool_geometry(PdSpec *pd, const PoolSpec *spec) {
    for (int i = 0; i < 2; i++) {
        pd->kernel[i] = spec->kernel[i];
        pd->stride[i] = spec->stride[i];
        pd->pad_lo[i] = spec->pad_lo[i];
        pd->pad_hi[i] = spec->pad_hi[i];
    }
    pd->alg = spec->kind == POOL_MAX               ? dnnl_pooling_max
              : spec->kind == POOL_AVG_EXCLUDE_PAD ? dnnl_pooling_avg_exclude_padding
                                                   : dnnl_pooling_avg_include_padding;
}

static dnnl_primitive_desc_t forward_pd(Build *b, const PoolSpec *spec, Tensor *src, Md dst, dnnl_prop_kind_t prop) {
    PdSpec s = {.engine = b->engine->engine, .prop = prop, .src = src->md, .dst = dst, .attr = b->attr};
    pool_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_pool_forward(&pd, &s);
    if (status == dnnl_success) return pd;
    fail_status(b, "pooling", src->shape, spec->dst, status);
    return NULL;
}

Tensor *op_pool(Build *b, const PoolSpec *spec, Tensor *src, Tensor **workspace) {
    note_pool(b, BARE_FORWARD, spec, src);
    if (workspace) *workspace = NULL;
    if (build_failed(b)) return tensor_dummy(b, F32, spec->dst);
    dnnl_primitive_desc_t pd = forward_pd(b, spec, src, md_any(b, src->type, spec->dst), forward_prop(b));
    if (!pd) return tensor_dummy(b, F32, spec->dst);
    Tensor *dst = tensor_new(b, src->type, spec->dst, md_of_pd(b, pd, dnnl_query_dst_md, 0));
    Step *step = step_new(b, STEP_POOL, "pool");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    if (spec->kind == POOL_MAX && b->options.training) {
        Tensor *ws = tensor_opaque(b, md_of_pd(b, pd, dnnl_query_workspace_md, 0));
        step_arg(step, DNNL_ARG_WORKSPACE, ws, true);
        if (workspace) *workspace = ws;
    }
    step_append(b, step, pd);
    return dst;
}

Tensor *op_pool_backward(Build *b, const PoolSpec *spec, Tensor *src, Tensor *diff_dst, Tensor *workspace) {
    note_pool(b, BARE_BACKWARD, spec, src);
    if (build_failed(b)) return tensor_dummy(b, F32, src->shape);
    /* The same layouts as in forward, so that the workspace means the same. */
    dnnl_primitive_desc_t hint = forward_pd(b, spec, src, md_any(b, src->type, spec->dst), dnnl_forward_training);
    if (!hint) return tensor_dummy(b, F32, src->shape);
    keep_hint(b, hint);
    PdSpec s = {.engine = b->engine->engine,
                .src = src->md,
                .dst = md_of_pd(b, hint, dnnl_query_dst_md, 0),
                .hint = hint,
                .attr = b->attr};
    pool_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_pool_backward(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of pooling", spec->dst, src->shape, status);
        return tensor_dummy(b, F32, src->shape);
    }
    Tensor *diff_src = tensor_new(b, src->type, src->shape, src->md);
    Tensor *diff_dst_in = tensor_in(b, diff_dst, s.dst);
    Step *step = step_new(b, STEP_POOL, "pool_backward");
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_WORKSPACE, workspace, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step_append(b, step, pd);
    return diff_src;
}

Tensor *op_resample(Build *b, bool bilinear, Tensor *src, Shape dst_shape) {
    if (build_failed(b)) return tensor_dummy(b, F32, dst_shape);
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .alg = bilinear ? dnnl_resampling_linear : dnnl_resampling_nearest,
                .src = src->md,
                .dst = md_like(b, src->type, dst_shape, src->layout),
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_resample_forward(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "resampling", src->shape, dst_shape, status);
        return tensor_dummy(b, F32, dst_shape);
    }
    Tensor *dst = tensor_new(b, src->type, dst_shape, s.dst);
    Step *step = step_new(b, STEP_RESAMPLE, "resample");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}
