/* pca.h - principal components of n samples of d values.
 *
 * The axes are the eigenvectors of the covariance matrix sum_i (x_i - mean)(x_i - mean)' / (n - 1), by falling
 * eigenvalue, orthonormal; the component of an axis that is largest in amount is positive, which settles its sign. All
 * sums are in double, and their order does not depend on the number of threads.
 *
 * A reconstruction is mean + sum_j <x - mean, axis_j> axis_j: the best that any linear code of k values can do on the
 * data it was fitted to. Its squared error there, per sample, is (n - 1) / n times the sum of the eigenvalues left out.
 */
#ifndef SANDGLASS_ANALYSIS_PCA_H
#define SANDGLASS_ANALYSIS_PCA_H

#include "base/error.h"

#include <stdint.h>

/* Values a sample may have: the covariance matrix has their square, finding its eigenvectors takes their cube. */
enum { PCA_MAX_VALUES = 4096 };

typedef struct Pca {
    int64_t n, d, k;       /* samples it was fitted to, values of a sample, components */
    double *mean;          /* d */
    double *axes;          /* k,d */
    double *variance;      /* k: along the axes */
    double total_variance; /* along all d: the trace of the covariance matrix */
} Pca;

/* x: n,d. Fewer than 2 samples, k outside 1..d or beyond the n - 1 directions in which n samples can lie, values that
 * are not finite, and d beyond PCA_MAX_VALUES are errors. */
Err pca_fit(Pca *out, int64_t n, int64_t d, const float *x, int64_t k, Error *err);
void pca_free(Pca *pca); /* an empty one is fine */

/* Share of the variance along the axes, 0..1; 1 for data without variance. */
double pca_explained(const Pca *pca);

/* What becomes of other data x (n,d); an output that is NULL is not wanted. */
typedef struct PcaOutputs {
    float *codes;          /* n,k: coordinates along the axes */
    float *reconstruction; /* n,d: not clipped to any range */
    double *errors;        /* n: squared error of each sample's reconstruction */
} PcaOutputs;
Err pca_apply(const Pca *pca, int64_t n, const float *x, const PcaOutputs *out, Error *err);

#endif
