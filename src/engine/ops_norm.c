/* ops_norm.c - batch normalisation (Ioffe & Szegedy 2015, arXiv 1502.03167), with a following ReLU fused in on request.
 */
#include "engine/bare.h"

unsigned norm_flags(const BatchNormSpec *spec, bool global) {
    unsigned flags = dnnl_use_scale | dnnl_use_shift;
    if (spec->relu) flags |= dnnl_fuse_norm_relu;
    if (global) flags |= dnnl_use_global_stats;
    return flags;
}

static dnnl_primitive_desc_t forward_pd(Build *b, const BatchNormSpec *spec, Tensor *src) {
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = src->md,
                .epsilon = spec->epsilon,
                .flags = norm_flags(spec, spec->use_global || !b->options.training),
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_batchnorm_forward(&pd, &s);
    if (status == dnnl_success) return pd;
    fail_status(b, "batch normalization", src->shape, src->shape, status);
    return NULL;
}

Tensor *op_batchnorm(Build *b, const BatchNormSpec *spec, Tensor *src, Tensor *scale, Tensor *shift, Tensor **mean,
                     Tensor **variance, Tensor **workspace) {
    note_norm(b, BARE_FORWARD, spec, src);
    Shape channels = SHAPE(src->shape.dim[1]);
    bool global = spec->use_global || !b->options.training;
    if (workspace) *workspace = NULL;
    dnnl_primitive_desc_t pd = build_failed(b) ? NULL : forward_pd(b, spec, src);
    if (!pd) {
        if (!global) *mean = *variance = tensor_dummy(b, F32, channels);
        return tensor_dummy(b, F32, src->shape);
    }
    if (!global) {
        *mean = tensor_new(b, F32, channels, md_plain(b, F32, channels));
        *variance = tensor_new(b, F32, channels, md_plain(b, F32, channels));
    }
    Tensor *dst = tensor_new(b, src->type, src->shape, src->md);
    Step *step = step_new(b, STEP_NORM, spec->relu ? "batchnorm_relu" : "batchnorm");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_SCALE, scale, false);
    step_arg(step, DNNL_ARG_SHIFT, shift, false);
    step_arg(step, DNNL_ARG_MEAN, *mean, !global);
    step_arg(step, DNNL_ARG_VARIANCE, *variance, !global);
    step_arg(step, DNNL_ARG_DST, dst, true);
    if (spec->relu && b->options.training) {
        Tensor *ws = tensor_opaque(b, md_of_pd(b, pd, dnnl_query_workspace_md, 0));
        step_arg(step, DNNL_ARG_WORKSPACE, ws, true);
        if (workspace) *workspace = ws;
    }
    if (!b->options.training) {
        step->in_place_src = src;
        step->in_place_dst = dst;
    }
    step_append(b, step, pd);
    return dst;
}

Tensor *op_batchnorm_backward(Build *b, const BatchNormSpec *spec, Tensor *src, Tensor *scale, Tensor *shift,
                              Tensor *mean, Tensor *variance, Tensor *workspace, Tensor *diff_dst, Tensor *diff_scale,
                              Tensor *diff_shift) {
    note_norm(b, BARE_BACKWARD, spec, src);
    if (build_failed(b)) return tensor_dummy(b, F32, src->shape);
    dnnl_primitive_desc_t hint = forward_pd(b, spec, src);
    if (!hint) return tensor_dummy(b, F32, src->shape);
    keep_hint(b, hint);
    PdSpec s = {.engine = b->engine->engine,
                .prop = dnnl_backward,
                .src = src->md,
                .dst = src->md,
                .data = src->md,
                .epsilon = spec->epsilon,
                .flags = norm_flags(spec, spec->use_global),
                .hint = hint,
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_batchnorm_backward(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of batch normalization", src->shape, src->shape, status);
        return tensor_dummy(b, F32, src->shape);
    }
    Shape channels = SHAPE(src->shape.dim[1]);
    /* Frozen layers have nowhere to put these; oneDNN computes them in any case. */
    if (!diff_scale) diff_scale = tensor_new(b, F32, channels, md_plain(b, F32, channels));
    if (!diff_shift) diff_shift = tensor_new(b, F32, channels, md_plain(b, F32, channels));
    Tensor *diff_dst_in = tensor_in(b, diff_dst, src->md);
    Tensor *diff_src = tensor_new(b, src->type, src->shape, src->md);
    Step *step = step_new(b, STEP_NORM, spec->relu ? "batchnorm_relu_backward" : "batchnorm_backward");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_MEAN, mean, false);
    step_arg(step, DNNL_ARG_VARIANCE, variance, false);
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_SCALE, scale, false);
    if (DNNL_VERSION_MAJOR < 3)
        step_arg(step, DNNL_ARG_SHIFT, shift, false); /* 2.x asks for it, and does not read it */
    step_arg(step, DNNL_ARG_WORKSPACE, workspace, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step_arg(step, DNNL_ARG_DIFF_SCALE, diff_scale, true);
    step_arg(step, DNNL_ARG_DIFF_SHIFT, diff_shift, true);
    step->in_place_src = diff_dst_in;
    step->in_place_dst = diff_src;
    step_append(b, step, pd);
    return diff_src;
}
