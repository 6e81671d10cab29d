/* roc.h - how well a score tells anomalies from normal samples: ROC curve, the area under it, rates at a threshold.
 *
 * A sample is called an anomaly when its score is above the threshold. Fawcett, "An introduction to ROC analysis",
 * Pattern Recognition Letters 27, 2006.
 */
#ifndef SANDGLASS_ANALYSIS_ROC_H
#define SANDGLASS_ANALYSIS_ROC_H

#include "base/error.h"

#include <stdint.h>

/* Scores of the two kinds of samples; neither may be empty or hold a NaN. */
typedef struct RocScores {
    int64_t n_normal, n_anomalous;
    const double *normal, *anomalous;
} RocScores;

/* Area under the curve: the probability that an anomaly's score is above a normal one's, a tie counting half (the
 * Mann-Whitney statistic U / (n_normal n_anomalous)). O(n log n). */
Err roc_auc(const RocScores *scores, double *auc, Error *err);

/* The curve's corners, from (0, 0) to (1, 1): for each distinct score the rates when it and all above it are called
 * anomalies. */
typedef struct RocPoint {
    double false_alarms, detections; /* share of the normal ones, of the anomalies */
    double score;                    /* INFINITY for the first point */
} RocPoint;
typedef struct RocCurve {
    int64_t n;
    RocPoint *points; /* malloc'ed */
} RocCurve;
Err roc_curve(const RocScores *scores, RocCurve *out, Error *err);
void roc_curve_free(RocCurve *curve);

/* Share of the values that are above the threshold. */
double roc_share_above(int64_t n, const double *values, double threshold);

#endif
