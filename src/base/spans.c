/* spans.c - a long loop cut into fixed spans. */
#include "base/spans.h"

#include <assert.h>

double spans_run(int64_t n, int64_t grain, SpanFn fn, const void *context) {
    assert(n >= 0 && grain >= 1);
    if (n <= grain) return n > 0 ? fn(context, 0, n) : 0.0;
    int64_t grains = (n + grain - 1) / grain;
    int64_t length = (grains + SPANS_MAX - 1) / SPANS_MAX * grain;
    int n_spans = (int)((n + length - 1) / length);
    double part[SPANS_MAX];
#pragma omp parallel for schedule(static) if (n_spans > 1)
    for (int i = 0; i < n_spans; i++) {
        int64_t first = i * length;
        part[i] = fn(context, first, first + length < n ? first + length : n);
    }
    double sum = 0;
    for (int i = 0; i < n_spans; i++) sum += part[i];
    return sum;
}
