/* softmax.c - see softmax.h. Stretches of neighbouring places stay in the first cache through the passes over channels.
 */
#include "base/softmax.h"

#include "base/vmath.h"

#include <stddef.h>

enum { STRETCH = 256 }; /* places at a time */

/* The largest of each place's channels. */
VECTOR_INLINE void largest_of(int n, int64_t channels, int64_t stride, const float *src, float top[STRETCH]) {
    for (int i = 0; i < n; i++) top[i] = src[i];
    for (int64_t c = 1; c < channels; c++) {
        const float *row = src + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) top[i] = row[i] > top[i] ? row[i] : top[i];
    }
}

/* n <= STRETCH neighbouring places; rows of channels are `stride` apart. src and dst may be the same. */
VECTOR_CLONES
static void softmax_stretch(int n, int64_t channels, int64_t stride, const float *src, float *dst) {
    float top[STRETCH], total[STRETCH];
    largest_of(n, channels, stride, src, top);
    for (int i = 0; i < n; i++) total[i] = 0;
    for (int64_t c = 0; c < channels; c++) {
        const float *from = src + c * stride;
        float *to = dst + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            to[i] = vm_exp_downf(from[i] - top[i]);
            total[i] += to[i];
        }
    }
    for (int i = 0; i < n; i++) total[i] = 1.0f / total[i];
    for (int64_t c = 0; c < channels; c++) {
        float *to = dst + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) to[i] *= total[i];
    }
}

/* The place with the largest score has exp(0) / total. */
VECTOR_CLONES
static void best_stretch(int n, int64_t channels, int64_t stride, const float *src, float *best) {
    float top[STRETCH], total[STRETCH];
    largest_of(n, channels, stride, src, top);
    for (int i = 0; i < n; i++) total[i] = 0;
    for (int64_t c = 0; c < channels; c++) {
        const float *row = src + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) total[i] += vm_exp_downf(row[i] - top[i]);
    }
    for (int i = 0; i < n; i++) best[i] = 1.0f / total[i];
}

void softmax_best(int64_t channels, int64_t places, int64_t stride, const float *src, float *best) {
    const int64_t stretches = (places + STRETCH - 1) / STRETCH;
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < stretches; k++) {
        const int64_t at = k * STRETCH;
        best_stretch((int)(places - at < STRETCH ? places - at : STRETCH), channels, stride, src + at, best + at);
    }
}

/* diff_src[c] = dst[c] (diff_dst[c] - sum over c' of dst[c'] diff_dst[c']). */
VECTOR_CLONES
static void gradient_stretch(int n, int64_t channels, int64_t stride, const float *dst, const float *diff_dst,
                             float *diff_src) {
    float sum[STRETCH] = {0};
    for (int64_t c = 0; c < channels; c++) {
        const float *y = dst + c * stride, *d = diff_dst + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) sum[i] += y[i] * d[i];
    }
    for (int64_t c = 0; c < channels; c++) {
        const float *y = dst + c * stride, *d = diff_dst + c * stride;
        float *to = diff_src + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) to[i] = y[i] * (d[i] - sum[i]);
    }
}

/* Either pass; diff_dst NULL: forward, src the scores. */
static void run_planes(int64_t n, int64_t channels, int64_t places, const float *src, const float *diff_dst,
                       float *result) {
    const int64_t stretches = (places + STRETCH - 1) / STRETCH;
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < n * stretches; k++) {
        const int64_t first = k % stretches * STRETCH, at = k / stretches * channels * places + first;
        const int count = (int)(places - first < STRETCH ? places - first : STRETCH);
        if (diff_dst)
            gradient_stretch(count, channels, places, src + at, diff_dst + at, result + at);
        else
            softmax_stretch(count, channels, places, src + at, result + at);
    }
}

void softmax_planes(int64_t n, int64_t channels, int64_t places, const float *src, float *dst) {
    run_planes(n, channels, places, src, NULL, dst);
}

void softmax_planes_backward(int64_t n, int64_t channels, int64_t places, const float *dst, const float *diff_dst,
                             float *diff_src) {
    run_planes(n, channels, places, dst, diff_dst, diff_src);
}
