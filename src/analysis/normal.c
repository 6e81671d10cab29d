/* normal.c - see normal.h. The covariance's root is Cholesky's: L(j,j) = sqrt(C(j,j) - sum L(j,k)^2),
 * L(i,j) = (C(i,j) - sum L(i,k) L(j,k)) / L(j,j). A unit that never varies, or that those before it determine, has a
 * column of zeros: where nothing is left of its own variance, nothing is left of its covariance with those behind it.
 */
#include "analysis/normal.h"

#include "analysis/covariance.h"

#include <math.h>

static void find_deviation(int64_t rows, int64_t n, const float *values, const double *mean, double *deviation) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            double d = (double)values[r * n + j] - mean[j];
            deviation[j] += d * d;
        }
    for (int64_t j = 0; j < n; j++) deviation[j] = sqrt(deviation[j] / (double)rows);
}

/* The covariance's lower triangle. */
static Err find_covariance(int64_t rows, int64_t n, const float *values, const double *mean, double *c, Error *err) {
    TRY(covariance_matrix(rows, n, values, mean, (double)rows, c, err));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) c[i * n + j] = c[j * n + i];
    return OK;
}

/* Share of a unit's variance below which what is left of it is rounding. */
static const double nothing_left = 1e-9;

/* In place. */
static void find_root(int64_t n, double *c, const double *deviation) {
    for (int64_t j = 0; j < n; j++) {
        double pivot = c[j * n + j];
        for (int64_t k = 0; k < j; k++) pivot -= c[j * n + k] * c[j * n + k];
        bool determined = !(pivot > nothing_left * deviation[j] * deviation[j]);
        double root = determined ? 0 : sqrt(pivot);
        c[j * n + j] = root;
#pragma omp parallel for
        for (int64_t i = j + 1; i < n; i++) {
            double sum = c[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= c[i * n + k] * c[j * n + k];
            c[i * n + j] = determined ? 0 : sum / root;
        }
    }
}

static Err fit(Normal *out, int64_t rows, const float *values, Error *err) {
    const int64_t n = out->n;
    out->mean = block_alloc((size_t)n * sizeof *out->mean);
    out->deviation = block_alloc((size_t)n * sizeof *out->deviation);
    if (!out->mean || !out->deviation) return err_set(err, ERR_MEMORY, "no memory for %lld units", (long long)n);
    TRY(covariance_mean(rows, n, values, out->mean, err));
    find_deviation(rows, n, values, out->mean, out->deviation);
    if (n > NORMAL_MAX_UNITS) return OK;
    out->root = block_alloc((size_t)(n * n) * sizeof *out->root);
    if (!out->root) return err_set(err, ERR_MEMORY, "no memory for the covariance of %lld units", (long long)n);
    TRY(find_covariance(rows, n, values, out->mean, out->root, err));
    find_root(n, out->root, out->deviation);
    return OK;
}

Err normal_fit(Normal *out, int64_t rows, int64_t n, const float *values, Error *err) {
    *out = (Normal){.n = n};
    Err code = fit(out, rows, values, err);
    if (code != OK) normal_free(out);
    return code;
}

void normal_free(Normal *normal) {
    block_free(normal->mean);
    block_free(normal->deviation);
    block_free(normal->root);
    *normal = (Normal){0};
}

/* dst holds the standard normal draws first; a row of the root needs those up to its own, so the last one goes first.
 */
void normal_draw(const Normal *normal, Rng *rng, float *dst) {
    const int64_t n = normal->n;
    for (int64_t j = 0; j < n; j++) dst[j] = (float)rng_normal(rng);
    for (int64_t i = n - 1; i >= 0; i--) {
        double sum = normal->mean[i];
        if (!normal->root) sum += normal->deviation[i] * (double)dst[i];
        for (int64_t j = 0; normal->root && j <= i; j++) sum += normal->root[i * n + j] * (double)dst[j];
        dst[i] = (float)sum;
    }
}

/* By bisection of the distribution function: exact to the last digits, and fast enough for a grid's few values. */
double normal_quantile(double p) {
    double low = -40, high = 40;
    for (int i = 0; i < 200 && low < high; i++) {
        double middle = 0.5 * (low + high);
        if (middle == low || middle == high) break;
        if (0.5 * erfc(-middle / sqrt(2.0)) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}
