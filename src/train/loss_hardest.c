/* loss_hardest.c - online hard example mining: which places of a batch a loss looks at.
 *
 * Shrivastava, Gupta, Girshick 2016 choose regions; of pixels it is usual (HRNet's and mmsegmentation's samplers) to
 * keep those whose own class has a probability below a threshold, and at least so many, the least probable. So here,
 * exactly: no sample is drawn and no order among equals matters, because all that are as hard as the last one kept are
 * kept. (The samplers named drop those, so that a batch of equal places loses all; and when fewer places are labelled
 * than are to be kept, they drop the easiest one.)
 */
#include "train/loss_places.h"

typedef struct CountRun {
    const int32_t *keys;
    int32_t cut;
} CountRun;

VECTOR_CLONES
static int64_t count_from(const int32_t *keys, int64_t n, int32_t cut) {
    int64_t total = 0;
    for (int64_t at = 0; at < n; at += 4096) {
        const int32_t *k = keys + at;
        int m = n - at < 4096 ? (int)(n - at) : 4096, count = 0; /* narrow within, for full vectors */
#pragma omp simd reduction(+ : count)
        for (int i = 0; i < m; i++) count += k[i] >= cut;
        total += count;
    }
    return total;
}

static double count_span(const void *context, int64_t first, int64_t last) {
    const CountRun *r = context;
    return (double)count_from(r->keys + first, last - first, r->cut);
}

static int64_t count(const int32_t *keys, int64_t n, int32_t cut) {
    return (int64_t)spans_run(n, 4 * GRAIN, count_span, &(CountRun){keys, cut});
}

/* Places with a key above `hard` are kept, and at least the n_keep with the largest keys. Negative keys belong to
 * places that do not count; n_keep is at most the number of the others. Halving the range of keys finds the n_keep-th
 * largest in at most 31 counts, whatever the threads. */
int32_t hardest_cut(const int32_t *keys, int64_t n_places, int64_t n_keep, int32_t hard) {
    int32_t high = hard < INT32_MAX ? hard + 1 : hard, low = 0; /* high: too few; low: enough */
    if (count(keys, n_places, high) >= n_keep) return high;
    while (high - low > 1) {
        int32_t middle = low + (high - low) / 2;
        int64_t n = count(keys, n_places, middle);
        if (n == n_keep) return middle;
        if (n > n_keep)
            low = middle;
        else
            high = middle;
    }
    return low;
}
