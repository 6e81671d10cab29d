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

/* Mean and covariance of `rows` rows of n values. The covariance may be singular: fewer rows than units, units that
 * never vary or are sums of others; draws then keep to the plane in which the rows lie. With more than NORMAL_MAX_UNITS
 * each unit is drawn on its own, with its deviation. rows and n are at least 1. */
Err normal_fit(Normal *out, int64_t rows, int64_t n, const float *values, Error *err);
void normal_free(Normal *normal); /* an empty one is fine */
/* n values. */
void normal_draw(const Normal *normal, Rng *rng, float *dst);

/* The x below which a standard normal variable falls with probability p, 0 < p < 1. */
double normal_quantile(double p);

#endif
