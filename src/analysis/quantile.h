/* quantile.h - quantiles of samples. */
#ifndef SANDGLASS_ANALYSIS_QUANTILE_H
#define SANDGLASS_ANALYSIS_QUANTILE_H

#include "base/error.h"

#include <stdint.h>

/* The q-quantile, 0 to 1, between the two nearest values in proportion (numpy's and R's default, type 7). No values, or
 * a NaN among them, is an error. */
Err quantile(int64_t n, const double *values, double q, double *out, Error *err);

#endif
