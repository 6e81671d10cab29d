/* ops_elementwise.c - activation functions; the choice of gradients from results, which lets them run in place. */
#include "engine/internal.h"

bool act_from_dst(Act act) {
    switch (act.kind) {
    case ACT_NONE:
    case ACT_SIGMOID:
    case ACT_TANH:
        return true;
    case ACT_RELU:
    case ACT_ELU:
        return act.alpha >= 0; /* the sign of the result is that of the argument */
    case ACT_SOFTPLUS:
    case ACT_SWISH:
        return false;
    }
    return false;
}

dnnl_alg_kind_t act_alg(Act act, bool from_dst) {
    switch (act.kind) {
    case ACT_RELU:
        return from_dst ? dnnl_eltwise_relu_use_dst_for_bwd : dnnl_eltwise_relu;
    case ACT_ELU:
        return from_dst ? dnnl_eltwise_elu_use_dst_for_bwd : dnnl_eltwise_elu;
    case ACT_SIGMOID:
        return from_dst ? dnnl_eltwise_logistic_use_dst_for_bwd : dnnl_eltwise_logistic;
    case ACT_TANH:
        return from_dst ? dnnl_eltwise_tanh_use_dst_for_bwd : dnnl_eltwise_tanh;
    case ACT_SOFTPLUS:
        return dnnl_eltwise_soft_relu;
    case ACT_SWISH:
        return dnnl_eltwise_swish;
    case ACT_NONE:
        break;
    }
    return dnnl_alg_kind_undef;
}

/* 3.x gave soft_relu a steepness; 2.x has none, and ours is 1. */
float act_alpha(Act act) {
    return act.kind == ACT_SOFTPLUS ? 1.0f : act.alpha;
}

const_dnnl_primitive_attr_t attr_with_act(Build *b, Act act, dnnl_primitive_attr_t *owned) {
    *owned = NULL;
    if (act.kind == ACT_NONE) return b->attr;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(owned, b->attr);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = post_eltwise(ops, act_alg(act, false), act_alpha(act), 0);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(*owned, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    if (status != dnnl_success) build_fail(b, "oneDNN cannot fuse an activation (status %d)", (int)status);
    return *owned;
}

static dnnl_primitive_desc_t forward_pd(Build *b, Act act, bool from_dst, Tensor *like) {
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .alg = act_alg(act, from_dst),
                .src = like->md,
                .alpha = act_alpha(act),
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_eltwise_forward(&pd, &s);
    if (status == dnnl_success) return pd;
    fail_status(b, "element-wise function", like->shape, like->shape, status);
    return NULL;
}

Tensor *op_act(Build *b, Act act, Tensor *src) {
    if (build_failed(b)) return tensor_dummy(b, F32, src->shape);
    if (act.kind == ACT_NONE) return src;
    bool from_dst = act_from_dst(act);
    dnnl_primitive_desc_t pd = forward_pd(b, act, from_dst && b->options.training, src);
    if (!pd) return tensor_dummy(b, F32, src->shape);
    Tensor *dst = tensor_new(b, src->type, src->shape, src->md);
    Step *step = step_new(b, STEP_ELTWISE, "activation");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step->in_place_src = src;
    step->in_place_dst = dst;
    step_append(b, step, pd);
    return dst;
}

Tensor *op_act_backward(Build *b, Act act, Tensor *src, Tensor *dst, Tensor *diff_dst) {
    if (build_failed(b)) return tensor_dummy(b, F32, diff_dst->shape);
    if (act.kind == ACT_NONE) return diff_dst;
    bool from_dst = act_from_dst(act);
    Tensor *data = from_dst ? dst : src;
    if (!data) {
        build_fail(b, "the gradient of an activation lacks its %s", from_dst ? "result" : "source");
        return tensor_dummy(b, F32, diff_dst->shape);
    }
    dnnl_primitive_desc_t hint = forward_pd(b, act, from_dst, data);
    if (!hint) return tensor_dummy(b, F32, diff_dst->shape);
    keep_hint(b, hint);
    PdSpec s = {.engine = b->engine->engine,
                .alg = act_alg(act, from_dst),
                .dst = data->md,
                .data = data->md,
                .alpha = act_alpha(act),
                .hint = hint,
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_eltwise_backward(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of an element-wise function", diff_dst->shape, diff_dst->shape, status);
        return tensor_dummy(b, F32, diff_dst->shape);
    }
    Tensor *diff_dst_in = tensor_in(b, diff_dst, data->md);
    Tensor *diff_src = tensor_new(b, data->type, data->shape, data->md);
    Step *step = step_new(b, STEP_ELTWISE, "activation_backward");
    step_arg(step, from_dst ? DNNL_ARG_DST : DNNL_ARG_SRC, data, false);
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step->in_place_src = diff_dst_in;
    step->in_place_dst = diff_src;
    step_append(b, step, pd);
    return diff_src;
}
