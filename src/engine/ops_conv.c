/* ops_conv.c - convolution and transposed convolution.
 *
 * Groups make the weights 5-D in oneDNN (G, O/G, I/G, KH, KW), which is the same plain memory. A transposed convolution
 * never gets its bias from oneDNN: 2.6 adds it in a reference pass, up to 45 times slower than the convolution; a
 * native pass does it here.
 */
#include "engine/bare.h"
#include "engine/ops_bias.h"
#include "engine/ops_quant.h"
#include "engine/ops_thin_conv.h"
#include "engine/ops_winograd.h"

Shape grouped_shape(Shape w, int64_t groups) {
    if (groups <= 1) return w;
    return SHAPE(groups, w.dim[0] / groups, w.dim[1], w.dim[2], w.dim[3]);
}

/* The weights (or their gradient) as oneDNN wants to see them. */
static Tensor *grouped(Build *b, Tensor *w, int64_t groups) {
    if (!w || groups <= 1) return w;
    Shape shape = grouped_shape(w->shape, groups);
    return tensor_view(b, w, shape, md_plain(b, F32, shape));
}

void conv_geometry(PdSpec *pd, const ConvSpec *spec) {
    for (int i = 0; i < 2; i++) {
        pd->stride[i] = spec->stride[i];
        pd->dilation[i] = spec->dilation[i] - 1;
        pd->pad_lo[i] = spec->pad_lo[i];
        pd->pad_hi[i] = spec->pad_hi[i];
    }
}

/* Few channels (pictures) are best left as they are; oneDNN has kernels that read them plain. */
static Md src_md(Build *b, const Tensor *src) {
    bool as_it_is = src->shape.dim[1] < 4 && src->layout == LAYOUT_PLAIN && src->type == compute_type(b);
    return as_it_is ? src->md : md_any(b, compute_type(b), src->shape);
}

/* ---- Winograd's algorithm ---- */

/* Lavin & Gray 2016, arXiv 1509.09308, F(4x4, 3x3): a quarter of the multiplications, for transforms of source and
 * result. Which pays with enough channels; between 16 and 32 it is a draw. oneDNN has it in 32 bits for 3x3 kernels,
 * and never chooses it by itself where it would matter. Its gradient of the source is wrong (2.6.3) where the padding
 * differs between the ends of an axis. */
static bool winograd_pays(const ConvSpec *spec, const Tensor *weights, int64_t at_least, int64_t one_at_least) {
    const Shape *w = &weights->shape;
    if (spec->groups > 1 || w->rank != 4 || w->dim[2] != 3 || w->dim[3] != 3) return false;
    for (int i = 0; i < 2; i++)
        if (spec->stride[i] != 1 || spec->dilation[i] != 1 || spec->pad_lo[i] != spec->pad_hi[i]) return false;
    const int64_t fewer = w->dim[0] < w->dim[1] ? w->dim[0] : w->dim[1], more = w->dim[0] + w->dim[1] - fewer;
    return fewer >= at_least && more >= one_at_least;
}

typedef dnnl_status_t (*MakePd)(dnnl_primitive_desc_t *pd, const PdSpec *spec);

/* By Winograd's algorithm if wanted and there. */
static dnnl_status_t make_pd(MakePd make, dnnl_primitive_desc_t *pd, PdSpec spec, bool winograd) {
    spec.alg = dnnl_convolution_winograd;
    if (winograd && make(pd, &spec) == dnnl_success) return dnnl_success;
    spec.alg = dnnl_convolution_direct;
    return make(pd, &spec);
}

/* A source in blocks of 16 stays so where more than the reference kernel reads it: alone some convolutions are a little
 * faster channels last, but not with a reorder on each side. */
static dnnl_status_t make_forward_pd(MakePd make, dnnl_primitive_desc_t *pd, PdSpec spec, const Tensor *src,
                                     bool winograd) {
    const Md chosen = spec.src;
    if (src->layout == LAYOUT_BLOCK16 && src->type == dtype_from(md_type(chosen))) {
        spec.src = src->md;
        if (make_pd(make, pd, spec, winograd) == dnnl_success && !is_reference(*pd)) return dnnl_success;
        if (*pd) dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        spec.src = chosen;
    }
    return make_pd(make, pd, spec, winograd);
}

static Tensor *forward(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    Act act = transposed ? (Act){ACT_NONE, 0} : spec->act;
    if (build_failed(b)) return tensor_dummy(b, F32, spec->dst);
    weights = grouped(b, weights, spec->groups);
    dnnl_primitive_attr_t owned = NULL;
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = src_md(b, src),
                .weights = md_any(b, compute_type(b), weights->shape),
                .bias = bias ? bias->md : NULL,
                .dst = md_any(b, compute_type(b), spec->dst),
                .attr = attr_with_act(b, act, &owned)};
    conv_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    const bool winograd = !transposed && winograd_pays(spec, weights, 16, 32);
    dnnl_status_t status = make_forward_pd(transposed ? pd_deconv_forward : pd_conv_forward, &pd, s, src, winograd);
    if (owned) dnnl_primitive_attr_destroy(owned);
    if (status != dnnl_success) {
        fail_status(b, transposed ? "transposed convolution" : "convolution", src->shape, spec->dst, status);
        return tensor_dummy(b, F32, spec->dst);
    }
    Tensor *dst = tensor_new(b, compute_type(b), spec->dst, md_of_pd(b, pd, dnnl_query_dst_md, 0));
    Tensor *src_in = tensor_in(b, src, md_of_pd(b, pd, dnnl_query_src_md, 0));
    Tensor *weights_in = tensor_in(b, weights, md_of_pd(b, pd, dnnl_query_weights_md, 0));
    Step *step = step_new(b, transposed ? STEP_DECONV : STEP_CONV, transposed ? "deconv" : "conv");
    step_arg(step, DNNL_ARG_SRC, src_in, false);
    step_arg(step, DNNL_ARG_WEIGHTS, weights_in, false);
    step_arg(step, DNNL_ARG_BIAS, bias, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}

/* oneDNN wants the forward descriptor as a hint. It is made anew, with the layouts that were used. */
static dnnl_primitive_desc_t make_hint(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *weights) {
    PdSpec s = {.engine = b->engine->engine,
                .prop = dnnl_forward_training,
                .alg = dnnl_convolution_direct,
                .src = src_md(b, src),
                .weights = md_any(b, compute_type(b), weights->shape),
                .dst = md_any(b, compute_type(b), spec->dst),
                .attr = b->attr};
    conv_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = transposed ? pd_deconv_forward(&pd, &s) : pd_conv_forward(&pd, &s);
    if (status != dnnl_success) fail_status(b, "convolution", src->shape, spec->dst, status);
    if (status == dnnl_success) keep_hint(b, pd);
    return status == dnnl_success ? pd : NULL;
}

static Tensor *backward_data(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *weights,
                             Tensor *diff_dst, Pd hint) {
    PdSpec s = {.engine = b->engine->engine,
                .src = md_any(b, compute_type(b), src->shape),
                .weights = md_any(b, compute_type(b), weights->shape),
                .dst = md_any(b, compute_type(b), spec->dst),
                .hint = hint,
                .attr = b->attr};
    conv_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    const bool winograd = !transposed && winograd_pays(spec, weights, 16, 32);
    dnnl_status_t status = make_pd(transposed ? pd_deconv_backward_data : pd_conv_backward_data, &pd, s, winograd);
    if (status != dnnl_success) {
        fail_status(b, "gradient of a convolution's source", spec->dst, src->shape, status);
        return tensor_dummy(b, F32, src->shape);
    }
    Tensor *diff_src = tensor_new(b, compute_type(b), src->shape, md_of_pd(b, pd, dnnl_query_diff_src_md, 0));
    Tensor *weights_in = tensor_in(b, weights, md_of_pd(b, pd, dnnl_query_weights_md, 0));
    Tensor *diff_dst_in = tensor_in(b, diff_dst, md_of_pd(b, pd, dnnl_query_diff_dst_md, 0));
    Step *step = step_new(b, transposed ? STEP_DECONV : STEP_CONV,
                          transposed ? "deconv_backward_data" : "conv_backward_data");
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_WEIGHTS, weights_in, false);
    step_arg(step, DNNL_ARG_DIFF_SRC, diff_src, true);
    step_append(b, step, pd);
    return diff_src;
}

static void backward_weights(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *diff_dst,
                             Tensor *diff_weights, Tensor *diff_bias, Pd hint) {
    PdSpec s = {.engine = b->engine->engine,
                .src = src_md(b, src),
                .weights = md_any(b, F32, diff_weights->shape),
                .bias = diff_bias ? diff_bias->md : NULL,
                .dst = md_any(b, compute_type(b), spec->dst),
                .hint = hint,
                .attr = b->attr};
    conv_geometry(&s, spec);
    dnnl_primitive_desc_t pd = NULL;
    const bool winograd = !transposed && winograd_pays(spec, diff_weights, 32, 64);
    dnnl_status_t status = make_pd(transposed ? pd_deconv_backward_weights : pd_conv_backward_weights, &pd, s,
                                   winograd);
    if (status != dnnl_success) {
        fail_status(b, "gradient of a convolution's weights", spec->dst, src->shape, status);
        return;
    }
    Tensor *src_in = tensor_in(b, src, md_of_pd(b, pd, dnnl_query_src_md, 0));
    Tensor *diff_dst_in = tensor_in(b, diff_dst, md_of_pd(b, pd, dnnl_query_diff_dst_md, 0));
    Md chosen = md_of_pd(b, pd, dnnl_query_diff_weights_md, 0);
    if (build_failed(b)) {
        dnnl_primitive_desc_destroy(pd);
        return;
    }
    Tensor *result = md_same(chosen, diff_weights->md) ? diff_weights : tensor_new(b, F32, diff_weights->shape, chosen);
    Step *step = step_new(b, transposed ? STEP_DECONV : STEP_CONV,
                          transposed ? "deconv_backward_weights" : "conv_backward_weights");
    step_arg(step, DNNL_ARG_SRC, src_in, false);
    step_arg(step, DNNL_ARG_DIFF_DST, diff_dst_in, false);
    step_arg(step, DNNL_ARG_DIFF_WEIGHTS, result, true);
    step_arg(step, DNNL_ARG_DIFF_BIAS, diff_bias, true);
    step_append(b, step, pd);
    if (result != diff_weights) record_reorder(b, result, diff_weights);
}

static Tensor *backward(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                        bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias) {
    Tensor *diff_src = want_diff_src ? tensor_dummy(b, F32, src->shape) : NULL;
    if (build_failed(b)) return diff_src;
    weights = grouped(b, weights, spec->groups);
    diff_weights = grouped(b, diff_weights, spec->groups);
    dnnl_primitive_desc_t hint = make_hint(b, transposed, spec, src, weights);
    if (!hint) return diff_src;
    if (diff_weights) backward_weights(b, transposed, spec, src, diff_dst, diff_weights, diff_bias, hint);
    if (want_diff_src && !build_failed(b)) diff_src = backward_data(b, transposed, spec, src, weights, diff_dst, hint);
    return diff_src;
}

static void note_conv_backward(Build *b, bool transposed, const ConvSpec *spec, Tensor *src, Tensor *weights,
                               bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias) {
    if (diff_weights) note_conv(b, transposed, BARE_BACKWARD_WEIGHTS, spec, src, weights, diff_bias);
    if (want_diff_src) note_conv(b, transposed, BARE_BACKWARD_DATA, spec, src, weights, false);
}

Tensor *op_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    note_conv(b, false, BARE_FORWARD, spec, src, weights, bias);
    if (!build_failed(b) && quant_conv_fits(b, spec, src, weights))
        return record_quant_conv(b, spec, src, weights, bias);
    if (build_failed(b)) return forward(b, false, spec, src, weights, bias);
    if (winograd_fits(spec, src, weights)) {
        Tensor *dst = record_winograd(b, spec, src, weights, bias);
        return spec->act.kind == ACT_NONE || spec->act.kind == ACT_RELU ? dst : op_act(b, spec->act, dst);
    }
    if (!thin_conv_fits(spec, src, weights)) return forward(b, false, spec, src, weights, bias);
    Tensor *dst = record_thin_conv(b, spec, src, weights, bias);
    return spec->act.kind == ACT_NONE ? dst : op_act(b, spec->act, dst);
}

Tensor *op_conv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                         bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias) {
    note_conv_backward(b, false, spec, src, weights, want_diff_src, diff_weights, diff_bias);
    if (!build_failed(b) && winograd_fits(spec, src, weights)) {
        if (diff_bias) record_bias_backward(b, diff_dst, diff_bias);
        if (diff_weights && winograd_sums_pay(spec))
            record_winograd_backward_weights(b, spec, src, weights, diff_dst, diff_weights);
        else if (diff_weights)
            backward(b, false, spec, src, weights, diff_dst, false, diff_weights, NULL);
        return want_diff_src ? record_winograd_backward_data(b, spec, src, weights, diff_dst) : NULL;
    }
    if (!build_failed(b) && thin_conv_fits(spec, src, weights)) {
        if (diff_bias) record_bias_backward(b, diff_dst, diff_bias);
        return record_thin_conv_backward(b, spec, src, weights, diff_dst, want_diff_src, diff_weights);
    }
    /* oneDNN gives the bias gradient along with that of the weights; a frozen kernel with a trained bias takes the
     * other way. */
    if (diff_bias && !diff_weights) record_bias_backward(b, diff_dst, diff_bias);
    return backward(b, false, spec, src, weights, diff_dst, want_diff_src, diff_weights,
                    diff_weights ? diff_bias : NULL);
}

Tensor *op_deconv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    note_conv(b, true, BARE_FORWARD, spec, src, weights, bias);
    Tensor *dst = forward(b, true, spec, src, weights, NULL);
    if (bias) return record_bias(b, dst, bias, spec->act);
    return spec->act.kind == ACT_NONE ? dst : op_act(b, spec->act, dst);
}

Tensor *op_deconv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                           bool want_diff_src, Tensor *diff_weights, Tensor *diff_bias) {
    note_conv_backward(b, true, spec, src, weights, want_diff_src, diff_weights, diff_bias);
    if (diff_bias) record_bias_backward(b, diff_dst, diff_bias);
    return backward(b, true, spec, src, weights, diff_dst, want_diff_src, diff_weights, NULL);
}
