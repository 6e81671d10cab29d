/* ops_dense.c - dense layers by oneDNN's inner product.
 *
 * Source, result and, in training, weights stay in plain layout: small networks are bound by the number of steps, and
 * plain weights need no reorder. Inference programs let oneDNN choose; the weights are then reordered once.
 */
#include "engine/bare.h"

static Md weights_md(Build *b, const Tensor *weights) {
    return b->options.training ? weights->md : md_any(b, F32, weights->shape);
}

Tensor *op_dense(Build *b, Act act, Tensor *src, Tensor *weights, Tensor *bias) {
    note_dense(b, BARE_FORWARD, src, weights, bias);
    Shape shape = SHAPE(src->shape.dim[0], weights->shape.dim[0]);
    if (build_failed(b)) return tensor_dummy(b, F32, shape);
    src = tensor_in_plain(b, src);
    dnnl_primitive_attr_t owned = NULL;
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = src->md,
                .weights = weights_md(b, weights),
                .bias = bias ? bias->md : NULL,
                .dst = md_plain(b, F32, shape),
                .attr = attr_with_act(b, act, &owned)};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_dense_forward(&pd, &s);
    if (owned) dnnl_primitive_attr_destroy(owned);
    if (status != dnnl_success) {
        fail_status(b, "dense layer", src->shape, shape, status);
        return tensor_dummy(b, F32, shape);
    }
    Tensor *dst = tensor_new(b, F32, shape, s.dst);
    Tensor *weights_in = tensor_in(b, weights, md_of_pd(b, pd, dnnl_query_weights_md, 0));
    Step *step = step_new(b, STEP_DENSE, "dense");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_WEIGHTS, weights_in, false);
    step_arg(step, DNNL_ARG_BIAS, bias, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}

static dnnl_primitive_desc_t make_hint(Build *b, Tensor *src, Tensor *weights, Tensor *diff_dst) {
    PdSpec s = {.engine = b->engine->engine,
                .prop = dnnl_forward_training,
                .src = src->md,
                .weights = weights->md,
                .dst = diff_dst->md,
                .attr = b->attr};
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_dense_forward(&pd, &s);
    if (status != dnnl_success) fail_status(b, "dense layer", src->shape, diff_dst->shape, status);
    if (status == dnnl_success) keep_hint(b, pd);
    return status == dnnl_success ? pd : NULL;
}

static Tensor *backward_data(Build *b, PdSpec s, Tensor *src, Tensor *weights, Tensor *diff_dst) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_dense_backward_data(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of a dense layer's source", diff_dst->shape, src->shape, status);
        return tensor_dummy(b, F32, src->shape);
    }
    Tensor *diff_src = tensor_new(b, F32, src->shape, s.src);
    Step *step = step_new(b, STEP_DENSE, "dense_backward_data");
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst, false);
    step_arg(step, DNNL_ARG_WEIGHTS, weights, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step_append(b, step, pd);
    return diff_src;
}

static void backward_weights(Build *b, PdSpec s, Tensor *src, Tensor *diff_dst, Tensor *diff_weights,
                             Tensor *diff_bias) {
    dnnl_primitive_desc_t pd = NULL;
    s.bias = diff_bias ? diff_bias->md : NULL;
    dnnl_status_t status = pd_dense_backward_weights(&pd, &s);
    if (status != dnnl_success) {
        fail_status(b, "gradient of a dense layer's weights", diff_dst->shape, src->shape, status);
        return;
    }
    Step *step = step_new(b, STEP_DENSE, "dense_backward_weights");
    step_arg(step, DNNL_ARG_SRC, src, false);
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst, false);
    step_arg(step, DNNL_ARG_DIFF_WEIGHTS, diff_weights, true);
    step_arg(step, DNNL_ARG_DIFF_BIAS, diff_bias, true);
    step_append(b, step, pd);
}

Tensor *op_dense_backward(Build *b, Tensor *src, Tensor *weights, Tensor *diff_dst, bool want_diff_src,
                          Tensor *diff_weights, Tensor *diff_bias) {
    if (diff_weights) note_dense(b, BARE_BACKWARD_WEIGHTS, src, weights, diff_bias);
    if (want_diff_src) note_dense(b, BARE_BACKWARD_DATA, src, weights, false);
    Tensor *diff_src = want_diff_src ? tensor_dummy(b, F32, src->shape) : NULL;
    if (build_failed(b)) return diff_src;
    src = tensor_in_plain(b, src);
    diff_dst = tensor_in_plain(b, diff_dst);
    dnnl_primitive_desc_t hint = make_hint(b, src, weights, diff_dst);
    if (!hint) return diff_src;
    PdSpec s = {.engine = b->engine->engine,
                .src = src->md,
                .weights = weights->md,
                .dst = diff_dst->md,
                .hint = hint,
                .attr = b->attr};
    if (diff_weights) backward_weights(b, s, src, diff_dst, diff_weights, diff_bias);
    if (want_diff_src && !build_failed(b)) diff_src = backward_data(b, s, src, weights, diff_dst);
    return diff_src;
}
