/* ops_rnn.c - the LSTM layer by oneDNN's RNN primitives, in one direction, from states of zero.
 *
 * oneDNN names the axes of a sequence T,N,F; a dense N,T,F is the same memory under other strides, so nothing is
 * copied. Weights are L,D,I,G,O there (layers, directions, inputs, gates, outputs), and ours, gate-major 4*U,I, are
 * that with the inputs innermost. oneDNN chooses another layout for speed, and not the same one in both directions.
 *
 * Its backward primitive adds to the gradients of the weights: they are set to zero first.
 */
#include "engine/bare.h"

#include <string.h>

enum { GATES = 4 };

/* ---- our tensors as oneDNN sees them ---- */

/* N,T,F as T,N,F. Where a result is dense in this order, oneDNN 2.6 reads the states from it instead of keeping them,
 * and gets the gradient of the recurrent weights wrong. Ours never is, except for one sample of one step, where the
 * distance between steps is free: twice the width hides that it is dense. */
static Tensor *as_steps(Build *b, Tensor *t) {
    const int64_t n = t->shape.dim[0], steps = t->shape.dim[1], width = t->shape.dim[2];
    dnnl_dims_t strides = {steps == 1 ? 2 * width : width, steps * width, 1};
    Shape shape = SHAPE(steps, n, width);
    return tensor_view(b, t, shape, pool_md(b, md_strided(3, shape.dim, dnnl_f32, strides)));
}

/* N,U as 1,1,N,U: the state of one layer in one direction. */
static Tensor *as_state(Build *b, Tensor *t) {
    Shape shape = SHAPE(1, 1, t->shape.dim[0], t->shape.dim[1]);
    return tensor_view(b, t, shape, md_plain(b, F32, shape));
}

/* 4*U,I as 1,1,I,4,U. */
static Tensor *as_weights(Build *b, Tensor *t) {
    const int64_t units = t->shape.dim[0] / GATES, inputs = t->shape.dim[1], all = GATES * units * inputs;
    dnnl_dims_t strides = {all, all, 1, units * inputs, inputs};
    Shape shape = SHAPE(1, 1, inputs, GATES, units);
    return tensor_view(b, t, shape, pool_md(b, md_strided(5, shape.dim, dnnl_f32, strides)));
}

/* 4*U as 1,1,4,U. */
static Tensor *as_bias(Build *b, Tensor *t) {
    Shape shape = SHAPE(1, 1, GATES, t->shape.dim[0] / GATES);
    return tensor_view(b, t, shape, md_plain(b, F32, shape));
}

/* Everything of one layer in these clothes. */
typedef struct Dressed {
    Tensor *src, *weights, *recurrent, *bias, *steps, *last, *last_cell;
} Dressed;

static Dressed dress(Build *b, Tensor *src, const LstmWeights *w, Tensor *steps, Tensor *last, Tensor *last_cell) {
    return (Dressed){.src = as_steps(b, src),
                     .weights = as_weights(b, w->weights),
                     .recurrent = as_weights(b, w->recurrent),
                     .bias = as_bias(b, w->bias),
                     .steps = as_steps(b, steps),
                     .last = last ? as_state(b, last) : NULL,
                     .last_cell = last_cell ? as_state(b, last_cell) : NULL};
}

static LstmPdSpec pd_spec(Build *b, const LstmSpec *spec, const Dressed *d) {
    return (LstmPdSpec){.engine = b->engine->engine,
                        .prop = forward_prop(b),
                        .direction = spec->reverse ? dnnl_unidirectional_right2left : dnnl_unidirectional_left2right,
                        .src = d->src->md,
                        .weights = md_any(b, F32, d->weights->shape),
                        .recurrent = md_any(b, F32, d->recurrent->shape),
                        .bias = d->bias->md,
                        .dst = d->steps->md,
                        .last = d->last ? d->last->md : NULL,
                        .last_cell = d->last_cell ? d->last_cell->md : NULL,
                        .attr = b->attr};
}

static Md arg_md(Build *b, Pd pd, int arg) {
    return md_of_pd(b, pd, dnnl_query_exec_arg_md, arg);
}

/* ---- forward ---- */

static dnnl_primitive_desc_t forward_pd(Build *b, const LstmPdSpec *s, Tensor *src, Tensor *steps) {
    dnnl_primitive_desc_t pd = NULL;
    if (build_failed(b)) return NULL;
    dnnl_status_t status = pd_lstm_forward(&pd, s);
    if (status == dnnl_success) return pd;
    fail_status(b, "lstm", src->shape, steps->shape, status);
    return NULL;
}

static Tensor *plain_tensor(Build *b, Shape shape) {
    return tensor_new(b, F32, shape, md_plain(b, F32, shape));
}

Tensor *op_lstm(Build *b, const LstmSpec *spec, Tensor *src, const LstmWeights *w, LstmKept *kept) {
    const int64_t n = src->shape.dim[0];
    const Shape all = SHAPE(n, src->shape.dim[1], spec->units), one = SHAPE(n, spec->units);
    *kept = (LstmKept){0};
    if (build_failed(b)) return tensor_dummy(b, F32, spec->sequences ? all : one);
    src = tensor_in_plain(b, src);
    kept->steps = plain_tensor(b, all);
    Tensor *last = spec->sequences ? NULL : plain_tensor(b, one);
    if (last) kept->last_cell = plain_tensor(b, one);
    Tensor *dst = last ? last : kept->steps;
    if (build_failed(b)) return dst;
    Dressed d = dress(b, src, w, kept->steps, last, kept->last_cell);
    LstmPdSpec s = pd_spec(b, spec, &d);
    dnnl_primitive_desc_t pd = forward_pd(b, &s, src, kept->steps);
    if (!pd) return dst;
    Tensor *weights = tensor_in(b, d.weights, arg_md(b, pd, DNNL_ARG_WEIGHTS_LAYER));
    Tensor *recurrent = tensor_in(b, d.recurrent, arg_md(b, pd, DNNL_ARG_WEIGHTS_ITER));
    if (b->options.training) kept->workspace = tensor_opaque(b, arg_md(b, pd, DNNL_ARG_WORKSPACE));
    if (build_failed(b)) {
        dnnl_primitive_desc_destroy(pd);
        return dst;
    }
    note_lstm(b, BARE_FORWARD, pd);
    Step *step = step_new(b, STEP_LSTM, "lstm");
    step_arg(step, DNNL_ARG_SRC_LAYER, d.src, false);
    step_arg(step, DNNL_ARG_WEIGHTS_LAYER, weights, false);
    step_arg(step, DNNL_ARG_WEIGHTS_ITER, recurrent, false);
    step_arg(step, DNNL_ARG_BIAS, d.bias, false);
    step_arg(step, DNNL_ARG_DST_LAYER, d.steps, true);
    step_arg(step, DNNL_ARG_DST_ITER, d.last, true);
    step_arg(step, DNNL_ARG_DST_ITER_C, d.last_cell, true);
    step_arg(step, DNNL_ARG_WORKSPACE, kept->workspace, true);
    step_append(b, step, pd);
    return dst;
}

/* ---- backward ---- */

static void fill_zeros(const NativeCall *call) {
    for (int i = 0; i < call->n_dst; i++) memset(call->dst[i].data, 0, sizeof(float) * (size_t)call->dst[i].size);
}

/* Sets tensors of any layout to zero. */
static void record_zeros(Build *b, int n, Tensor *const *dst) {
    Step *step = step_new(b, STEP_NATIVE, "zeros");
    step->native_args = ARENA_ARRAY(b->arena, NativeArg, n);
    for (int i = 0; i < n; i++) {
        int64_t size = (int64_t)(md_bytes(dst[i]->md) / sizeof(float));
        step->native_args[i] = (NativeArg){
            .shape = dst[i]->shape, .type = F32, .outer = size, .inner = 1, .size = size};
        step_arg(step, DNNL_ARG_MULTIPLE_DST + i, dst[i], true);
    }
    step->fn = fill_zeros;
    step->call = (NativeCall){.n_dst = n, .dst = step->native_args};
    step_append(b, step, NULL);
}

/* A gradient of weights as oneDNN writes it: the wanted tensor, or one between where that has another layout or there
 * is none. */
static Tensor *gradient_tensor(Build *b, Tensor *wanted, Shape shape, Md chosen) {
    return wanted && chosen && md_same(wanted->md, chosen) ? wanted : tensor_new(b, F32, shape, chosen);
}

/* The tensors of gradients in oneDNN's clothes. */
typedef struct Gradients {
    Tensor *src, *steps, *last, *last_cell;
} Gradients;

/* What the loss does not see has a gradient of zero: every step but the last, and the cell state. */
static Gradients dress_gradients(Build *b, const LstmKept *kept, Tensor *diff_src, Tensor *diff_dst) {
    Gradients g = {.src = as_steps(b, diff_src)};
    if (!kept->last_cell) {
        g.steps = as_steps(b, diff_dst);
        return g;
    }
    g.steps = as_steps(b, build_zeros(b, kept->steps->shape));
    g.last = as_state(b, diff_dst);
    g.last_cell = as_state(b, build_zeros(b, kept->last_cell->shape));
    return g;
}

static dnnl_primitive_desc_t backward_pd(Build *b, const LstmSpec *spec, const Dressed *d, const Gradients *g) {
    if (build_failed(b)) return NULL;
    LstmPdSpec s = pd_spec(b, spec, d);
    dnnl_primitive_desc_t pd = NULL, hint = forward_pd(b, &s, d->src, d->steps);
    if (!hint) return NULL;
    keep_hint(b, hint);
    if (build_failed(b)) return NULL;
    s.hint = hint;
    s.diff_src = g->src->md;
    s.diff_weights = s.weights;
    s.diff_recurrent = s.recurrent;
    s.diff_bias = s.bias;
    s.diff_dst = g->steps->md;
    s.diff_last = g->last ? g->last->md : NULL;
    s.diff_last_cell = g->last_cell ? g->last_cell->md : NULL;
    dnnl_status_t status = pd_lstm_backward(&pd, &s);
    if (status == dnnl_success) return pd;
    fail_status(b, "gradient of an lstm", d->steps->shape, d->src->shape, status);
    return NULL;
}

static void record_backward(Build *b, dnnl_primitive_desc_t pd, const Dressed *d, const Gradients *g,
                            const LstmKept *kept, Tensor *const found[3]) {
    Tensor *weights = tensor_in(b, d->weights, arg_md(b, pd, DNNL_ARG_WEIGHTS_LAYER));
    Tensor *recurrent = tensor_in(b, d->recurrent, arg_md(b, pd, DNNL_ARG_WEIGHTS_ITER));
    note_lstm(b, BARE_BACKWARD, pd);
    Step *step = step_new(b, STEP_LSTM, "lstm_backward");
    step_arg(step, DNNL_ARG_SRC_LAYER, d->src, false);
    step_arg(step, DNNL_ARG_WEIGHTS_LAYER, weights, false);
    step_arg(step, DNNL_ARG_WEIGHTS_ITER, recurrent, false);
    step_arg(step, DNNL_ARG_BIAS, d->bias, false);
    step_arg(step, DNNL_ARG_DST_LAYER, d->steps, false);
    step_arg(step, DNNL_ARG_DST_ITER, d->last, false);
    step_arg(step, DNNL_ARG_DST_ITER_C, d->last_cell, false);
    step_arg(step, DNNL_ARG_WORKSPACE, kept->workspace, false);
    step_arg(step, DNNL_ARG_DIFF_DST_LAYER, g->steps, false);
    step_arg(step, DNNL_ARG_DIFF_DST_ITER, g->last, false);
    step_arg(step, DNNL_ARG_DIFF_DST_ITER_C, g->last_cell, false);
    step_arg(step, DNNL_ARG_DIFF_SRC_LAYER, g->src, true);
    step_arg(step, DNNL_ARG_DIFF_WEIGHTS_LAYER, found[0], true);
    step_arg(step, DNNL_ARG_DIFF_WEIGHTS_ITER, found[1], true);
    step_arg(step, DNNL_ARG_DIFF_BIAS, found[2], true);
    step_append(b, step, pd);
}

Tensor *op_lstm_backward(Build *b, const LstmSpec *spec, Tensor *src, const LstmWeights *w, const LstmKept *kept,
                         Tensor *dst, const LstmGradient *gradient) {
    if (build_failed(b)) return tensor_dummy(b, F32, src->shape);
    src = tensor_in_plain(b, src);
    Tensor *diff_dst = tensor_in_plain(b, gradient->diff_dst), *diff_src = plain_tensor(b, src->shape);
    if (build_failed(b)) return diff_src;
    Dressed d = dress(b, src, w, kept->steps, kept->last_cell ? dst : NULL, kept->last_cell);
    Gradients g = dress_gradients(b, kept, diff_src, diff_dst);
    dnnl_primitive_desc_t pd = backward_pd(b, spec, &d, &g);
    if (!pd) return diff_src;
    const LstmWeights *diff = &gradient->diff;
    Tensor *wanted[3] = {diff->weights ? as_weights(b, diff->weights) : NULL,
                         diff->recurrent ? as_weights(b, diff->recurrent) : NULL,
                         diff->bias ? as_bias(b, diff->bias) : NULL};
    Tensor *found[3] = {
        gradient_tensor(b, wanted[0], d.weights->shape, arg_md(b, pd, DNNL_ARG_DIFF_WEIGHTS_LAYER)),
        gradient_tensor(b, wanted[1], d.recurrent->shape, arg_md(b, pd, DNNL_ARG_DIFF_WEIGHTS_ITER)),
        gradient_tensor(b, wanted[2], d.bias->shape, arg_md(b, pd, DNNL_ARG_DIFF_BIAS)),
    };
    if (build_failed(b)) {
        dnnl_primitive_desc_destroy(pd);
        return diff_src;
    }
    record_zeros(b, 3, found);
    record_backward(b, pd, &d, &g, kept, found);
    for (int i = 0; i < 3; i++)
        if (wanted[i] && found[i] != wanted[i]) record_reorder(b, found[i], wanted[i]);
    return diff_src;
}
