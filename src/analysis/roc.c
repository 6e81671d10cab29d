/* roc.c - ROC curve and the area under it. See roc.h.
 *
 * Everything goes over the scores sorted from high to low: with TP and FP the numbers of anomalies and normal samples
 * so far, the area is the sum over groups of equal scores of dFP (TP + dTP / 2), divided by both totals.
 */
#include "analysis/roc.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

typedef struct Scored {
    double score;
    bool anomalous;
} Scored;

static int descending(const void *a, const void *b) {
    double x = ((const Scored *)a)->score, y = ((const Scored *)b)->score;
    return (x < y) - (x > y);
}

static Err check_values(const char *what, int64_t n, const double *values, Error *err) {
    if (n < 1) return err_set(err, ERR_DATA, "there are no %s samples to compare", what);
    for (int64_t i = 0; i < n; i++)
        if (isnan(values[i]))
            return err_set(err, ERR_NUMERIC, "%s sample %" PRId64 " has no score: it is nan", what, i);
    return OK;
}

/* Both kinds, sorted; malloc'ed. */
static Err sort_scores(const RocScores *s, Scored **out, Error *err) {
    TRY(check_values("normal", s->n_normal, s->normal, err));
    TRY(check_values("anomalous", s->n_anomalous, s->anomalous, err));
    size_t n = (size_t)s->n_normal + (size_t)s->n_anomalous;
    Scored *all = malloc(n * sizeof *all);
    if (!all) return err_set(err, ERR_MEMORY, "no memory for %zu scores", n);
    for (int64_t i = 0; i < s->n_normal; i++) all[i] = (Scored){s->normal[i], false};
    for (int64_t i = 0; i < s->n_anomalous; i++) all[s->n_normal + i] = (Scored){s->anomalous[i], true};
    qsort(all, n, sizeof *all, descending);
    *out = all;
    return OK;
}

/* Samples of the score at `first`, by kind; returns where the next score begins. */
static int64_t next_group(const Scored *all, int64_t n, int64_t first, int64_t *normal, int64_t *anomalous) {
    int64_t i = first;
    *normal = *anomalous = 0;
    for (; i < n && all[i].score == all[first].score; i++) ++*(all[i].anomalous ? anomalous : normal);
    return i;
}

Err roc_auc(const RocScores *s, double *auc, Error *err) {
    Scored *all;
    TRY(sort_scores(s, &all, err));
    int64_t n = s->n_normal + s->n_anomalous, above = 0, normal, anomalous;
    double area = 0;
    for (int64_t i = 0; i < n;) {
        i = next_group(all, n, i, &normal, &anomalous);
        area += (double)normal * ((double)above + (double)anomalous / 2);
        above += anomalous;
    }
    *auc = area / (double)s->n_normal / (double)s->n_anomalous;
    free(all);
    return OK;
}

Err roc_curve(const RocScores *s, RocCurve *out, Error *err) {
    Scored *all;
    *out = (RocCurve){0};
    TRY(sort_scores(s, &all, err));
    int64_t n = s->n_normal + s->n_anomalous, false_alarms = 0, detections = 0, normal, anomalous;
    out->points = malloc(((size_t)n + 1) * sizeof *out->points);
    if (!out->points) {
        free(all);
        return err_set(err, ERR_MEMORY, "no memory for a curve of %" PRId64 " points", n);
    }
    out->points[out->n++] = (RocPoint){0, 0, INFINITY};
    for (int64_t i = 0; i < n;) {
        double score = all[i].score;
        i = next_group(all, n, i, &normal, &anomalous);
        false_alarms += normal;
        detections += anomalous;
        out->points[out->n++] = (RocPoint){(double)false_alarms / (double)s->n_normal,
                                           (double)detections / (double)s->n_anomalous, score};
    }
    free(all);
    return OK;
}

void roc_curve_free(RocCurve *curve) {
    free(curve->points);
    *curve = (RocCurve){0};
}

double roc_share_above(int64_t n, const double *values, double threshold) {
    int64_t above = 0;
    for (int64_t i = 0; i < n; i++) above += values[i] > threshold;
    return n > 0 ? (double)above / (double)n : 0;
}
