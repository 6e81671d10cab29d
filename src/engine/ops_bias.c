/* ops_bias.c - bias per channel on any layout of planes: dst[n,c,p] = src[n,c,p] + bias[c]; diff_bias[c] = sum_{n,p}
 * diff_dst[n,c,p].
 *
 * Sums run in a fixed order, whatever the number of threads: over the places of one plane in double, then over the
 * batch.
 */
#include "engine/ops_bias.h"
#include "engine/internal.h"

static int64_t places_of(Shape shape) {
    int64_t places = 1;
    for (int i = 2; i < shape.rank; i++) places *= shape.dim[i];
    return places;
}

static void add_bias(const NativeCall *call) {
    const float *src = call->src[0].data, *bias = call->src[1].data;
    float *dst = call->dst[0].data;
    const int64_t inner = call->src[0].inner, outer = call->src[0].outer, places = places_of(call->src[0].shape);
    const int64_t channels = call->src[0].shape.dim[1], planes = outer / call->src[0].shape.dim[0];
#pragma omp parallel for
    for (int64_t p = 0; p < outer; p++) {
        const int64_t first = p % planes * inner;
        const float *from = src + p * places * inner;
        float *to = dst + p * places * inner;
        if (inner == 1) {
            const float value = bias[first];
            for (int64_t i = 0; i < places; i++) to[i] = from[i] + value;
            continue;
        }
        const int64_t lanes = channels - first < inner ? channels - first : inner;
        for (int64_t i = 0; i < places; i++) {
            for (int64_t l = 0; l < lanes; l++) to[i * inner + l] = from[i * inner + l] + bias[first + l];
            for (int64_t l = lanes; l < inner; l++) to[i * inner + l] = 0;
        }
    }
}

static void sum_bias(const NativeCall *call) {
    const float *diff = call->src[0].data;
    float *sum = call->dst[0].data;
    const int64_t inner = call->src[0].inner, batch = call->src[0].shape.dim[0], places = places_of(call->src[0].shape);
    const int64_t channels = call->src[0].shape.dim[1], planes = call->src[0].outer / batch;
#pragma omp parallel for
    for (int64_t c = 0; c < channels; c++) {
        double total = 0;
        for (int64_t n = 0; n < batch; n++) {
            const float *from = diff + (n * planes + c / inner) * places * inner + c % inner;
            double plane = 0;
#pragma omp simd reduction(+ : plane)
            for (int64_t i = 0; i < places; i++) plane += (double)from[i * inner];
            total += plane;
        }
        sum[c] = (float)total;
    }
}

Tensor *record_bias(Build *b, Tensor *src, Tensor *bias) {
    Tensor *dst = build_tensor(b, F32, src->shape);
    op_native(b, &(NativeSpec){.name = "bias",
                               .fn = add_bias,
                               .layout = NATIVE_PLANES,
                               .n_src = 2,
                               .src = {src, bias},
                               .n_dst = 1,
                               .dst = {dst},
                               .in_place = true});
    return dst;
}

void record_bias_backward(Build *b, Tensor *diff_dst, Tensor *diff_bias) {
    op_native(b, &(NativeSpec){.name = "bias_backward",
                               .fn = sum_bias,
                               .layout = NATIVE_PLANES,
                               .n_src = 1,
                               .src = {diff_dst},
                               .n_dst = 1,
                               .dst = {diff_bias}});
}
