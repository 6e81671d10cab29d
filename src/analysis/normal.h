/* normal.h - normal distributions of several variables: fitted to rows of numbers, and drawn from. */
#ifndef SANDGLASS_ANALYSIS_NORMAL_H
#define SANDGLASS_ANALYSIS_NORMAL_H

#include "base/arena.h"
#include "base/rng.h"

enum { NORMAL_MAX_UNITS = 2048 }; /* more are fitted without their covariance */

typedef struct Normal {
    int64_t n;         /* variables ("units") */
    double *mean;      /* n */
    double *root;      /* n,n: lower triangle L with L L^T the covariance; NULL: each unit on its own */
    double *deviation; /* n */
} Normal;

/* Mean and covariance of `rows` rows of n values. Units that never vary stay at their mean; where the others'
 * covariance is singular (fewer rows than units, units that are sums of others), or there are more than
 * NORMAL_MAX_UNITS, each unit is drawn on its own, with its deviation. rows and n are at least 1. */
Err normal_fit(Normal *out, int64_t rows, int64_t n, const float *values, Error *err);
void normal_free(Normal *normal); /* an empty one is fine */
/* n values. */
void normal_draw(const Normal *normal, Rng *rng, float *dst);

/* The x below which a standard normal variable falls with probability p, 0 < p < 1. */
double normal_quantile(double p);

/* The value below which a share p of the n numbers lies, between two of them linearly; sorts them. */
float sample_quantile(int64_t n, float *values, double p);

#endif
