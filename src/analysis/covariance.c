/* covariance.c - see covariance.h. The matrix is summed in tiles of TILE x TILE values, each by one thread over all
 * samples, in blocks of ROWS. */
#include "analysis/covariance.h"

#include "analysis/product.h"
#include "base/arena.h"

#include <math.h>
#include <omp.h>

enum { TILE = 64, ROWS = 128 };

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static Err name_bad_value(int64_t n, int64_t d, const float *x, Error *err) {
    for (int64_t i = 0; i < n * d; i++)
        if (!isfinite(x[i]))
            return err_set(err, ERR_NUMERIC, "value %lld of sample %lld is not finite: %g", (long long)(i % d),
                           (long long)(i / d), (double)x[i]);
    return OK;
}

Err covariance_mean(int64_t n, int64_t d, const float *x, double *mean, Error *err) {
    int bad = 0;
#pragma omp parallel for schedule(static) reduction(| : bad)
    for (int64_t first = 0; first < d; first += TILE) {
        int64_t last = smaller(first + TILE, d);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = first; j < last; j++) mean[j] += (double)x[i * d + j];
        for (int64_t j = first; j < last; j++) {
            mean[j] /= (double)n;
            bad |= !isfinite(mean[j]);
        }
    }
    return bad ? name_bad_value(n, d, x, err) : OK;
}

typedef struct Samples {
    int64_t n, d;
    const float *x;
    const double *mean;
    double divisor;
} Samples;

/* The tile of cov at first_i, first_j; room: 2 * ROWS * TILE. */
static void covariance_tile(const Samples *s, int64_t first_i, int64_t first_j, double *room, double *cov) {
    int64_t m = smaller(TILE, s->d - first_i), w = smaller(TILE, s->d - first_j);
    Matrix a = {room, 1, m}, b = {room + ROWS * TILE, w, 1}, c = {cov + first_i * s->d + first_j, s->d, 1};
    for (int64_t row = 0; row < s->n; row += ROWS) {
        int64_t rows = smaller(ROWS, s->n - row);
        const float *x = s->x + row * s->d;
        product_pack(rows, m, x + first_i, s->d, s->mean + first_i, NULL, a.data);
        product_pack(rows, w, x + first_j, s->d, s->mean + first_j, NULL, b.data);
        product_add(m, w, rows, a, b, c);
    }
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < w; j++) c.data[i * s->d + j] /= s->divisor;
}

Err covariance_matrix(int64_t n, int64_t d, const float *x, const double *mean, double divisor, double *cov,
                      Error *err) {
    const Samples samples = {n, d, x, mean, divisor};
    int64_t tiles = (d + TILE - 1) / TILE;
    size_t room = 2 * ROWS * TILE;
    double *rooms = block_alloc((size_t)omp_get_max_threads() * room * sizeof *rooms);
    if (!rooms) return err_set(err, ERR_MEMORY, "no memory for a covariance matrix");
#pragma omp parallel for schedule(dynamic)
    for (int64_t tile = 0; tile < tiles * tiles; tile++) {
        int64_t i = tile / tiles, j = tile % tiles;
        if (j >= i) covariance_tile(&samples, i * TILE, j * TILE, rooms + (size_t)omp_get_thread_num() * room, cov);
    }
    block_free(rooms);
    return OK;
}
