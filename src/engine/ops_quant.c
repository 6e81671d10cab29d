/* ops_quant.c - convolution in 8-bit integers with 32-bit sums: Jacob et al. 2018, "Quantization and training of neural
 * networks for efficient integer-arithmetic-only inference", without zero points; weights per channel as in
 * Krishnamoorthi 2018, section 3.1.
 *
 *     a     = range / 255 (src >= 0, as after a ReLU: u8) or range / 127 (s8)       range from calibration
 *     w_o   = max |weights[o]| / 127
 *     dst_o = act(a w_o conv(round(src / a), round(weights[o] / w_o)) + bias_o)
 *
 * Values beyond the range become its ends. Factor and bias are oneDNN's binary post-operations on the sums, which are
 * the same in 2.6 and 3.x (scales as attributes are not); all that depends on weights alone is a constant step. The
 * source is rounded once for all its readers, in the layout it has. The result is in 32-bit floats.
 */
#include "engine/ops_quant.h"

#include <math.h>

/* Below these a layer is computed in 32 bits, as its weights are kept (train/checkpoint_weights.c): what is lost in a
 * network's first and last layer is lost for all, and they are small. */
enum { MIN_SRC = 4, MIN_DST = 16 };
enum { SMALL = 16384 }; /* values a thread */

bool quant_conv_fits(const Build *b, const ConvSpec *spec, const Tensor *src, const Tensor *weights) {
    return !b->options.training && src->range > 0 && src->type == F32 && spec->groups <= 1 &&
           src->shape.dim[1] >= MIN_SRC && weights->shape.dim[0] >= MIN_DST;
}

void build_range(Tensor *t, float largest, bool has_negative) {
    t->range = largest;
    t->range_signed = has_negative;
}

/* ---- rounding ---- */

typedef struct Quantize {
    float factor; /* 1 / a */
    bool is_signed;
} Quantize;

/* To the nearest, ties to even; not a number becomes 0. */
static void round_u8(float factor, int64_t n, const float *src, uint8_t *dst) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = src[i] * factor;
        v = v > 0 ? v : 0;
        dst[i] = (uint8_t)(int32_t)rintf(v < 255 ? v : 255);
    }
}

static void round_s8(float factor, int64_t n, const float *src, int8_t *dst) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float v = src[i] * factor;
        v = v > -127 ? v : v <= -127 ? -127 : 0;
        dst[i] = (int8_t)(int32_t)rintf(v < 127 ? v : 127);
    }
}

static void run_quantize(const NativeCall *call) {
    const Quantize q = *(const Quantize *)call->params;
    const float *src = call->src[0].data;
    uint8_t *dst = call->dst[0].data;
    const int64_t n = call->src[0].size, parts = n > SMALL ? (n + SMALL - 1) / SMALL : 1;
#pragma omp parallel for if (parts > 1)
    for (int64_t p = 0; p < parts; p++) {
        const int64_t first = p * SMALL, last = parts == 1 || first + SMALL > n ? n : first + SMALL;
        if (q.is_signed)
            round_s8(q.factor, last - first, src + first, (int8_t *)dst + first);
        else
            round_u8(q.factor, last - first, src + first, dst + first);
    }
}

static float step_of(const Tensor *src) {
    return src->range / (src->range_signed ? 127.0f : 255.0f);
}

static Tensor *quantized(Build *b, Tensor *src) {
    if (src->quantized) return src->quantized;
    Quantize q = {.factor = 1 / step_of(src), .is_signed = src->range_signed};
    Tensor *dst = build_tensor(b, q.is_signed ? S8 : U8, src->shape);
    op_native(b, &(NativeSpec){.name = "quantize",
                               .fn = run_quantize,
                               .layout = NATIVE_ELEMENTWISE,
                               .params = &q,
                               .params_bytes = sizeof q,
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {src},
                               .dst = {dst}});
    return src->quantized = dst;
}

/* ---- weights ---- */

/* src weights O,I,KH,KW and bias O; dst them in 8 bits, factor and shift 1,O,1,1. */
static void run_quantize_weights(const NativeCall *call) {
    const float a = *(const float *)call->params, *w = call->src[0].data;
    const float *bias = call->n_src > 1 ? call->src[1].data : NULL;
    int8_t *q = call->dst[0].data;
    float *factor = call->dst[1].data, *shift = call->dst[2].data;
    const int64_t rows = call->src[0].shape.dim[0], row = call->src[0].size / rows;
    for (int64_t o = 0; o < rows; o++) {
        float largest = 0;
        for (int64_t k = 0; k < row; k++) largest = fmaxf(largest, fabsf(w[o * row + k]));
        const float step = largest > 0 ? largest / 127 : 1;
        for (int64_t k = 0; k < row; k++) q[o * row + k] = (int8_t)lrintf(w[o * row + k] / step);
        factor[o] = a * step;
        shift[o] = bias ? bias[o] : 0;
    }
}

typedef struct QuantWeights {
    Tensor *weights, *factor, *shift;
} QuantWeights;

static QuantWeights quantize_weights(Build *b, float a, Tensor *weights, Tensor *bias) {
    const Shape channels = SHAPE(1, weights->shape.dim[0], 1, 1);
    QuantWeights w = {build_tensor(b, S8, weights->shape), build_tensor(b, F32, channels),
                      build_tensor(b, F32, channels)};
    op_native(b, &(NativeSpec){.name = "quantize weights",
                               .fn = run_quantize_weights,
                               .layout = NATIVE_DENSE,
                               .params = &a,
                               .params_bytes = sizeof a,
                               .n_src = bias ? 2 : 1,
                               .n_dst = 3,
                               .src = {weights, bias},
                               .dst = {w.weights, w.factor, w.shift}});
    return w;
}

/* ---- the convolution ---- */

/* sums * factor + shift, then the activation. */
static dnnl_primitive_attr_t make_attr(Build *b, const QuantWeights *w, Act act) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_primitive_attr_clone(&attr, b->attr);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
    if (status == dnnl_success) status = dnnl_post_ops_append_binary(ops, dnnl_binary_mul, w->factor->md);
    if (status == dnnl_success) status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, w->shift->md);
    if (status == dnnl_success && act.kind != ACT_NONE)
        status = post_eltwise(ops, act_alg(act, false), act_alpha(act), 0);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    if (status != dnnl_success) build_fail(b, "oneDNN cannot scale a convolution's sums (status %d)", (int)status);
    return attr;
}

static dnnl_status_t make_pd(Build *b, const ConvSpec *spec, const Tensor *src, const QuantWeights *w,
                             dnnl_primitive_desc_t *pd) {
    dnnl_primitive_attr_t attr = make_attr(b, w, spec->act);
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .alg = dnnl_convolution_direct,
                .src = md_any(b, src->type, src->shape),
                .weights = md_any(b, S8, w->weights->shape),
                .dst = md_any(b, F32, spec->dst),
                .attr = attr};
    conv_geometry(&s, spec);
    dnnl_status_t status = build_failed(b) ? dnnl_runtime_error : pd_conv_forward(pd, &s);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

Tensor *record_quant_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    Tensor *q = quantized(b, src);
    QuantWeights w = quantize_weights(b, step_of(src), weights, bias);
    if (build_failed(b)) return tensor_dummy(b, F32, spec->dst);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = make_pd(b, spec, q, &w, &pd);
    if (status != dnnl_success) {
        fail_status(b, "convolution in 8 bits", src->shape, spec->dst, status);
        return tensor_dummy(b, F32, spec->dst);
    }
    Tensor *dst = tensor_new(b, F32, spec->dst, md_of_pd(b, pd, dnnl_query_dst_md, 0));
    Tensor *src_in = tensor_in(b, q, md_of_pd(b, pd, dnnl_query_src_md, 0));
    Tensor *weights_in = tensor_in(b, w.weights, md_of_pd(b, pd, dnnl_query_weights_md, 0));
    Step *step = step_new(b, STEP_CONV, "conv int8");
    step_arg(step, DNNL_ARG_SRC, src_in, false);
    step_arg(step, DNNL_ARG_WEIGHTS, weights_in, false);
    step_arg(step, DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, w.factor, false);
    step_arg(step, DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1, w.shift, false);
    step_arg(step, DNNL_ARG_DST, dst, true);
    step_append(b, step, pd);
    return dst;
}
