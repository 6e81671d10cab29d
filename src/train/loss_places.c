/* loss_places.c - counting the classes of a batch's places. */
#include "train/loss_places.h"

const char *const region_classes[] = {"present", "all", NULL};

enum { N_VALUES = 256 }; /* of a mask */

/* Four tables, so that equal neighbours do not wait for each other. */
static void count_values(const uint8_t *mask, int64_t n, int64_t total[N_VALUES]) {
    int64_t count[4][N_VALUES] = {{0}}, i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int k = 0; k < 4; k++) count[k][mask[i + k]]++;
    }
    for (; i < n; i++) count[0][mask[i]]++;
    for (int v = 0; v < N_VALUES; v++) total[v] = count[0][v] + count[1][v] + count[2][v] + count[3][v];
}

int64_t places_count(const LossArgs *args, int64_t first, int64_t last, int64_t *counts) {
    int64_t total[N_VALUES], labelled = 0;
    count_values((const uint8_t *)args->target + first, last - first, total);
    for (int64_t c = 0; c < args->c && c < N_VALUES; c++) counts[c] = 0;
    for (int v = 0; v < N_VALUES; v++) {
        if (v == IGNORED || total[v] == 0) continue;
        if (v >= args->c) return -1;
        counts[v] = total[v];
        labelled += total[v];
    }
    return labelled;
}

static double labels_weight(const LossArgs *args, int64_t first, int64_t last) {
    double sum = 0;
    for (int64_t i = first; i < last; i++) {
        int32_t t = place_class(args, i);
        if (t != IGNORED) sum += t == NO_CLASS ? (double)NAN : (double)class_weight(args, t);
    }
    return sum;
}

static double weight_span(const void *context, int64_t first, int64_t last) {
    const LossArgs *args = context;
    if (args->target_kind != TARGET_MASK) return labels_weight(args, first, last);
    int64_t counts[N_VALUES];
    if (places_count(args, first, last, counts) < 0) return (double)NAN;
    double sum = 0;
    for (int64_t c = 0; c < args->c && c < N_VALUES; c++)
        if (counts[c] > 0) sum += (double)counts[c] * (double)class_weight(args, c);
    return sum;
}

double places_weight(const LossArgs *args) {
    return spans_run(args->n * args->s, 4 * GRAIN, weight_span, args);
}
