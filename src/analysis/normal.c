/* normal.c - see normal.h. The covariance's root is Cholesky's: L(j,j) = sqrt(C(j,j) - sum L(j,k)^2),
 * L(i,j) = (C(i,j) - sum L(i,k) L(j,k)) / L(j,j); a unit that never varies has a column of zeros. */
#include "analysis/normal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void find_mean(int64_t rows, int64_t n, const float *values, double *mean) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) mean[j] += (double)values[r * n + j];
    for (int64_t j = 0; j < n; j++) mean[j] /= (double)rows;
}

static void find_deviation(int64_t rows, int64_t n, const float *values, const double *mean, double *deviation) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            double d = (double)values[r * n + j] - mean[j];
            deviation[j] += d * d;
        }
    for (int64_t j = 0; j < n; j++) deviation[j] = sqrt(deviation[j] / (double)rows);
}

/* Lower triangle of the covariance. Each thread has rows of the result, so the sums run in one order. */
static void find_covariance(int64_t rows, int64_t n, const float *values, const double *mean, double *c) {
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t i = 0; i < n; i++) {
        double *to = c + i * n;
        for (int64_t r = 0; r < rows; r++) {
            const float *row = values + r * n;
            double d = (double)row[i] - mean[i];
            for (int64_t j = 0; j <= i; j++) to[j] += d * ((double)row[j] - mean[j]);
        }
        for (int64_t j = 0; j <= i; j++) to[j] /= (double)rows;
    }
}

/* In place; false: singular. */
static bool find_root(int64_t n, double *c, const double *deviation) {
    for (int64_t j = 0; j < n; j++) {
        double pivot = c[j * n + j];
        for (int64_t k = 0; k < j; k++) pivot -= c[j * n + k] * c[j * n + k];
        bool constant = deviation[j] == 0;
        if (!constant && !(pivot > 1e-9 * deviation[j] * deviation[j])) return false;
        double root = constant ? 0 : sqrt(pivot);
        c[j * n + j] = root;
#pragma omp parallel for
        for (int64_t i = j + 1; i < n; i++) {
            double sum = c[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= c[i * n + k] * c[j * n + k];
            c[i * n + j] = constant ? 0 : sum / root;
        }
    }
    return true;
}

static Err fit(Normal *out, int64_t rows, const float *values, Error *err) {
    const int64_t n = out->n;
    out->mean = block_alloc((size_t)n * sizeof *out->mean);
    out->deviation = block_alloc((size_t)n * sizeof *out->deviation);
    if (!out->mean || !out->deviation) return err_set(err, ERR_MEMORY, "no memory for %lld units", (long long)n);
    find_mean(rows, n, values, out->mean);
    find_deviation(rows, n, values, out->mean, out->deviation);
    for (int64_t j = 0; j < n; j++)
        if (!isfinite(out->deviation[j]))
            return err_set(err, ERR_NUMERIC, "unit %lld has values that are not finite", (long long)j);
    if (n > NORMAL_MAX_UNITS || rows < 2) return OK;
    out->root = block_alloc((size_t)(n * n) * sizeof *out->root);
    if (!out->root) return err_set(err, ERR_MEMORY, "no memory for the covariance of %lld units", (long long)n);
    find_covariance(rows, n, values, out->mean, out->root);
    if (find_root(n, out->root, out->deviation)) return OK;
    block_free(out->root);
    out->root = NULL;
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

void normal_draw(const Normal *normal, Rng *rng, float *dst) {
    const int64_t n = normal->n;
    double *z = malloc((size_t)n * sizeof *z);
    if (!z) abort();
    for (int64_t j = 0; j < n; j++) z[j] = rng_normal(rng);
    for (int64_t i = 0; i < n; i++) {
        double sum = normal->mean[i];
        if (!normal->root) sum += normal->deviation[i] * z[i];
        for (int64_t j = 0; normal->root && j <= i; j++) sum += normal->root[i * n + j] * z[j];
        dst[i] = (float)sum;
    }
    free(z);
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

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

float sample_quantile(int64_t n, float *values, double p) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    double place = p * (double)(n - 1);
    int64_t below = (int64_t)place;
    if (below >= n - 1) return values[n - 1];
    double part = place - (double)below;
    return (float)((double)values[below] * (1 - part) + (double)values[below + 1] * part);
}
