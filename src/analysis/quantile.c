/* quantile.c - see quantile.h. */
#include "analysis/quantile.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

Err quantile(int64_t n, const double *values, double q, double *out, Error *err) {
    if (n < 1) return err_set(err, ERR_DATA, "there are no values to take a quantile of");
    for (int64_t i = 0; i < n; i++)
        if (isnan(values[i])) return err_set(err, ERR_NUMERIC, "value %" PRId64 " is nan: there is no quantile", i);
    double *sorted = malloc((size_t)n * sizeof *sorted);
    if (!sorted) return err_set(err, ERR_MEMORY, "no memory for %" PRId64 " values", n);
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    double at = q * (double)(n - 1);
    int64_t below = (int64_t)floor(at), above = below + 1 < n ? below + 1 : n - 1;
    double apart = sorted[above] - sorted[below];
    *out = at > (double)below ? sorted[below] + (at - (double)below) * apart : sorted[below];
    free(sorted);
    return OK;
}
