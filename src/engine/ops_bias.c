/* ops_bias.c - bias per channel on any layout of planes: dst[n,c,p] = act(src[n,c,p] + bias[c]) with act a (leaky) ReLU
 * or nothing; diff_bias[c] = sum_{n,p} diff_dst[n,c,p].
 *
 * Sums run in a fixed order, whatever the number of threads: a stretch of places in float, places and batch in double,
 * the batch in a fixed number of parts.
 */
#include "engine/ops_bias.h"
#include "base/vmath.h"
#include "engine/internal.h"

#include <string.h>

enum { PARTS = 16, STRETCH = 64, MAX_LANES = 16 };

static int64_t places_of(Shape shape) {
    int64_t places = 1;
    for (int i = 2; i < shape.rank; i++) places *= shape.dim[i];
    return places;
}

/* ---- forward ---- */

typedef struct BiasCall {
    bool relu;
    float slope; /* below zero */
} BiasCall;

/* Places of a plane whose `inner` lanes have biases of their own. */
VECTOR_CLONES static void add_lanes(BiasCall call, int64_t places, int64_t inner, const float *bias, const float *from,
                                    float *to) {
    for (int64_t i = 0; i < places; i++)
        for (int64_t l = 0; l < inner; l++) {
            float value = from[i * inner + l] + bias[l];
            to[i * inner + l] = call.relu && value < 0 ? call.slope * value : value;
        }
}

VECTOR_CLONES static void add_block16(BiasCall call, int64_t places, const float *bias, const float *from, float *to) {
    for (int64_t i = 0; i < places; i++)
#pragma omp simd
        for (int64_t l = 0; l < 16; l++) {
            float value = from[i * 16 + l] + bias[l];
            to[i * 16 + l] = call.relu && value < 0 ? call.slope * value : value;
        }
}

VECTOR_CLONES static void add_one(BiasCall call, int64_t places, float bias, const float *from, float *to) {
    for (int64_t i = 0; i < places; i++) {
        float value = from[i] + bias;
        to[i] = call.relu && value < 0 ? call.slope * value : value;
    }
}

static void add_bias(const NativeCall *call) {
    const BiasCall how = *(const BiasCall *)call->params;
    const float *src = call->src[0].data, *bias = call->src[1].data;
    float *dst = call->dst[0].data;
    const int64_t inner = call->src[0].inner, outer = call->src[0].outer, places = places_of(call->src[0].shape);
    const int64_t channels = call->src[0].shape.dim[1], planes = outer / call->src[0].shape.dim[0];
#pragma omp parallel for
    for (int64_t p = 0; p < outer; p++) {
        const int64_t first = p % planes * inner, lanes = channels - first < inner ? channels - first : inner;
        const float *from = src + p * places * inner;
        float *to = dst + p * places * inner, padded[MAX_LANES] = {0}; /* lanes of no channel stay 0 */
        if (inner <= MAX_LANES) memcpy(padded, bias + first, sizeof *bias * (size_t)lanes);
        if (inner == 1)
            add_one(how, places, bias[first], from, to);
        else if (inner == 16)
            add_block16(how, places, padded, from, to);
        else
            add_lanes(how, places, inner, inner <= MAX_LANES ? padded : bias + first, from, to);
    }
}

Tensor *record_bias(Build *b, Tensor *src, Tensor *bias, Act act) {
    const bool relu = act.kind == ACT_RELU && !(act.alpha < 0);
    BiasCall call = {.relu = relu, .slope = act.alpha};
    Tensor *dst = build_tensor(b, F32, src->shape);
    op_native(b, &(NativeSpec){.name = relu ? "bias, relu" : "bias",
                               .fn = add_bias,
                               .layout = NATIVE_PLANES,
                               .params = &call,
                               .params_bytes = sizeof call,
                               .n_src = 2,
                               .src = {src, bias},
                               .n_dst = 1,
                               .dst = {dst},
                               .in_place = true});
    return relu || act.kind == ACT_NONE ? dst : op_act(b, act, dst);
}

/* ---- backward ---- */

/* Adds the sums of each lane over a plane's places. */
VECTOR_CLONES static void sum_lanes(int64_t places, int64_t inner, const float *from, double *sum) {
    for (int64_t l = 0; l < inner; l++) {
        double total = 0;
        for (int64_t i = 0; i < places; i++) total += (double)from[i * inner + l];
        sum[l] += total;
    }
}

VECTOR_CLONES static void sum_block16(int64_t places, const float *from, double *sum) {
    for (int64_t first = 0; first < places; first += STRETCH) {
        const int64_t last = first + STRETCH < places ? first + STRETCH : places;
        float stretch[16] = {0};
        for (int64_t i = first; i < last; i++)
#pragma omp simd
            for (int64_t l = 0; l < 16; l++) stretch[l] += from[i * 16 + l];
        for (int64_t l = 0; l < 16; l++) sum[l] += (double)stretch[l];
    }
}

VECTOR_CLONES static void sum_one(int64_t places, const float *from, double *sum) {
    double total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < places; i++) total += (double)from[i];
    *sum += total;
}

static void sum_bias(const NativeCall *call) {
    const float *diff = call->src[0].data;
    float *result = call->dst[0].data;
    double *partial = call->dst[1].data;
    const int64_t inner = call->src[0].inner, batch = call->src[0].shape.dim[0], places = places_of(call->src[0].shape);
    const int64_t channels = call->src[0].shape.dim[1], planes = call->src[0].outer / batch;
    memset(partial, 0, sizeof *partial * (size_t)(PARTS * planes * inner));
#pragma omp parallel for schedule(static, 1)
    for (int64_t part = 0; part < PARTS; part++)
        for (int64_t p = batch * part / PARTS * planes; p < batch * (part + 1) / PARTS * planes; p++) {
            const float *from = diff + p * places * inner;
            double *sum = partial + (part * planes + p % planes) * inner;
            if (inner == 1)
                sum_one(places, from, sum);
            else if (inner == 16)
                sum_block16(places, from, sum);
            else
                sum_lanes(places, inner, from, sum);
        }
    for (int64_t c = 0; c < channels; c++) {
        double total = 0;
        for (int64_t part = 0; part < PARTS; part++) total += partial[part * planes * inner + c];
        result[c] = (float)total;
    }
}

void record_bias_backward(Build *b, Tensor *diff_dst, Tensor *diff_bias) {
    const int64_t padded = (diff_dst->shape.dim[1] + MAX_LANES - 1) / MAX_LANES * MAX_LANES;
    op_native(b, &(NativeSpec){.name = "bias_backward",
                               .fn = sum_bias,
                               .layout = NATIVE_PLANES,
                               .n_src = 1,
                               .src = {diff_dst},
                               .n_dst = 2,
                               .dst = {diff_bias, build_tensor(b, F64, SHAPE(PARTS, padded))}});
}
