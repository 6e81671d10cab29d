/* covariance.h - mean and covariance matrix of n samples of d values. All sums are in double, and their order does not
 * depend on the number of threads. */
#ifndef SANDGLASS_ANALYSIS_COVARIANCE_H
#define SANDGLASS_ANALYSIS_COVARIANCE_H

#include "base/error.h"

#include <stdint.h>

/* x: n,d; mean: d, zeros before. A value that is not finite is an error that says where it is. */
Err covariance_mean(int64_t n, int64_t d, const float *x, double *mean, Error *err);

/* sum_i (x_i - mean)(x_i - mean)' / divisor: the upper triangle of cov (d,d; zeros before), a row behind the other, and
 * some of what is below it. */
Err covariance_matrix(int64_t n, int64_t d, const float *x, const double *mean, double divisor, double *cov,
                      Error *err);

#endif
