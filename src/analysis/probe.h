/* probe.h - multinomial logistic regression: how well a linear classifier does on given features.
 *
 * Features are standardised by the mean and deviation of the training samples (a feature that never changes becomes 0).
 * With scores s = W x + b the objective is
 *
 *     mean over samples of -log softmax(s)[label]  +  l2 / 2 * |W|^2
 *
 * which is convex; L-BFGS over all samples (libLBFGS, Okazaki) goes down until the gradient's length is at most
 * `tolerance`. With l2 > 0 the minimum is one point, so results do not depend on where it began. Sums are cut into
 * fixed parts: the bits do not depend on the number of threads.
 */
#ifndef SANDGLASS_ANALYSIS_PROBE_H
#define SANDGLASS_ANALYSIS_PROBE_H

#include "base/error.h"

#include <signal.h>
#include <stdint.h>

typedef struct ProbeSpec {
    int64_t n, d;          /* training samples, features of one */
    const float *x;        /* n,d */
    const int32_t *labels; /* n: 0..n_classes-1 */
    int n_classes;         /* 2 or more */
    double l2;
    double tolerance;                  /* of the gradient's length; 0: 1e-4 */
    int max_iterations;                /* 0: 1000 */
    const volatile sig_atomic_t *stop; /* non-zero: ERR_STOPPED; may be NULL */
} ProbeSpec;

/* Weights are d+1,stride: a row per feature, its classes behind one another, padded with zeros; the last row is b. */
typedef struct Probe {
    int64_t d, stride;
    int n_classes;
    double *mean, *scale; /* d: a feature becomes (x - mean) * scale */
    double *weights;
    double loss;          /* the objective at the end */
    double gradient_norm; /* likewise */
    int iterations;
    bool converged; /* false: max_iterations, or the sums' rounding, came first */
} Probe;

/* Labels out of range, features that are not finite and sizes without meaning are errors. */
Err probe_fit(Probe *out, const ProbeSpec *spec, Error *err);
void probe_free(Probe *probe); /* an empty one is fine */

/* The class with the highest score for each of x (n,probe->d); the lowest of equals. */
Err probe_predict(const Probe *probe, int64_t n, const float *x, int32_t *classes, Error *err);

/* The objective and its gradient (d+1,stride; NULL: not wanted) at given weights (d+1,stride), stride =
 * probe_stride(n_classes): what probe_fit brings down. */
int64_t probe_stride(int n_classes);
Err probe_objective(const ProbeSpec *spec, const double *weights, double *gradient, double *objective, Error *err);

#endif
