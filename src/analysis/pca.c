/* pca.c - see pca.h. LAPACK's dsyevr finds the largest eigenvalues of the covariance matrix and their vectors. The only
 * file that includes lapacke.h. */
#include "analysis/pca.h"

#include "analysis/covariance.h"
#include "analysis/product.h"
#include "base/arena.h"

#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <string.h>

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- axes ---- */

/* The k largest eigenvalues of cov (d,d; destroyed) into pca->variance, their vectors into pca->axes. The upper
 * triangle by rows is LAPACK's lower one by columns. */
static Err find_axes(Pca *pca, double *cov, Error *err) {
    int64_t d = pca->d, k = pca->k;
    double *values = block_alloc((size_t)d * sizeof *values), *vectors = block_alloc((size_t)(d * k) * sizeof *vectors);
    lapack_int *support = block_alloc((size_t)(2 * k) * sizeof *support), found = 0;
    Err code = OK;
    if (!values || !vectors || !support) {
        code = err_set(err, ERR_MEMORY, "no memory for %lld principal components of %lld values", (long long)k,
                       (long long)d);
        goto done;
    }
    lapack_int size = (lapack_int)d;
    lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'I', 'L', size, cov, size, 0, 0, (lapack_int)(d - k + 1),
                                     size, 0, &found, values, vectors, size, support);
    if (info != 0 || found != (lapack_int)k) {
        code = err_set(err, info == LAPACK_WORK_MEMORY_ERROR ? ERR_MEMORY : ERR_NUMERIC,
                       "LAPACK's dsyevr found %d of %lld principal components, info %d", (int)found, (long long)k,
                       (int)info);
        goto done;
    }
    for (int64_t j = 0; j < k; j++) { /* they come by rising eigenvalue */
        const double *vector = vectors + (k - 1 - j) * d;
        int64_t largest = 0;
        for (int64_t i = 1; i < d; i++)
            if (fabs(vector[i]) > fabs(vector[largest])) largest = i;
        double sign = vector[largest] < 0 ? -1 : 1;
        for (int64_t i = 0; i < d; i++) pca->axes[j * d + i] = sign * vector[i];
        pca->variance[j] = fmax(values[k - 1 - j], 0); /* rounding may leave a zero slightly negative */
    }
done:
    block_free(values);
    block_free(vectors);
    block_free(support);
    return code;
}

static Err check_sizes(int64_t n, int64_t d, int64_t k, Error *err) {
    if (n < 2) return err_set(err, ERR_DATA, "principal components need 2 samples or more, got %lld", (long long)n);
    if (d < 1 || d > PCA_MAX_VALUES)
        return err_set(err, ERR_DATA,
                       "principal components are for samples of 1 to %d values, got %lld: use smaller "
                       "pictures (data.size)",
                       PCA_MAX_VALUES, (long long)d);
    if (k < 1 || k > d)
        return err_set(err, ERR_DATA, "%lld principal components were asked for; samples of %lld values have 1 to %lld",
                       (long long)k, (long long)d, (long long)d);
    if (k > n - 1)
        return err_set(err, ERR_DATA, "%lld principal components were asked for; %lld samples lie in %lld directions",
                       (long long)k, (long long)n, (long long)(n - 1));
    return OK;
}

Err pca_fit(Pca *out, int64_t n, int64_t d, const float *x, int64_t k, Error *err) {
    *out = (Pca){0};
    TRY(check_sizes(n, d, k, err));
    Pca pca = {.n = n, .d = d, .k = k};
    pca.mean = block_alloc((size_t)d * sizeof(double));
    pca.axes = block_alloc((size_t)(k * d) * sizeof(double));
    pca.variance = block_alloc((size_t)k * sizeof(double));
    double *cov = block_alloc((size_t)(d * d) * sizeof *cov);
    Err code = OK;
    if (!pca.mean || !pca.axes || !pca.variance || !cov)
        code = err_set(err, ERR_MEMORY, "no memory for principal components of %lld values", (long long)d);
    if (code == OK) code = covariance_mean(n, d, x, pca.mean, err);
    if (code == OK) code = covariance_matrix(n, d, x, pca.mean, (double)(n - 1), cov, err);
    for (int64_t i = 0; code == OK && i < d; i++) pca.total_variance += cov[i * d + i];
    if (code == OK) code = find_axes(&pca, cov, err);
    block_free(cov);
    if (code == OK)
        *out = pca;
    else
        pca_free(&pca);
    return code;
}

void pca_free(Pca *pca) {
    block_free(pca->mean);
    block_free(pca->axes);
    block_free(pca->variance);
    *pca = (Pca){0};
}

double pca_explained(const Pca *pca) {
    double sum = 0;
    for (int64_t j = 0; j < pca->k; j++) sum += pca->variance[j];
    return pca->total_variance > 0 ? sum / pca->total_variance : 1;
}

/* ---- other data ---- */

enum { APPLY_ROWS = 64 };

/* What a block of samples needs: the packed samples, their coordinates, their reconstruction, without the mean. */
typedef struct Room {
    double *x;     /* APPLY_ROWS,d */
    double *codes; /* APPLY_ROWS,k */
    double *back;  /* APPLY_ROWS,d */
} Room;

static size_t room_size(const Pca *pca) {
    return (size_t)(2 * pca->d + pca->k) * APPLY_ROWS;
}

static Room room_at(const Pca *pca, double *place) {
    double *codes = place + pca->d * APPLY_ROWS;
    return (Room){place, codes, codes + pca->k * APPLY_ROWS};
}

static void reconstruct_block(const Pca *pca, int64_t first, int64_t rows, const Room *room, const PcaOutputs *out) {
    int64_t d = pca->d;
    memset(room->back, 0, (size_t)(rows * d) * sizeof *room->back);
    product_add(rows, d, pca->k, (Matrix){room->codes, pca->k, 1}, (Matrix){pca->axes, d, 1},
                (Matrix){room->back, d, 1});
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        const double *x = room->x + r * d, *back = room->back + r * d;
        for (int64_t i = 0; i < d; i++) sum += (x[i] - back[i]) * (x[i] - back[i]);
        if (out->errors) out->errors[first + r] = sum;
        if (!out->reconstruction) continue;
        float *to = out->reconstruction + (first + r) * d;
        for (int64_t i = 0; i < d; i++) to[i] = (float)(pca->mean[i] + back[i]);
    }
}

/* axes: d,k, the transposed of pca's. */
static void apply_block(const Pca *pca, Matrix axes, int64_t first, int64_t rows, const float *x, const Room *room,
                        const PcaOutputs *out) {
    product_pack(rows, pca->d, x + first * pca->d, pca->d, pca->mean, NULL, room->x);
    memset(room->codes, 0, (size_t)(rows * pca->k) * sizeof *room->codes);
    product_add(rows, pca->k, pca->d, (Matrix){room->x, pca->d, 1}, axes, (Matrix){room->codes, pca->k, 1});
    for (int64_t i = 0; out->codes && i < rows * pca->k; i++) out->codes[first * pca->k + i] = (float)room->codes[i];
    if (out->reconstruction || out->errors) reconstruct_block(pca, first, rows, room, out);
}

Err pca_apply(const Pca *pca, int64_t n, const float *x, const PcaOutputs *out, Error *err) {
    int64_t d = pca->d, k = pca->k;
    size_t size = room_size(pca);
    double *axes = block_alloc((size_t)(d * k) * sizeof *axes);
    double *rooms = block_alloc((size_t)omp_get_max_threads() * size * sizeof *rooms);
    Err code = axes && rooms ? OK : err_set(err, ERR_MEMORY, "no memory to apply principal components");
    for (int64_t i = 0; code == OK && i < d; i++)
        for (int64_t j = 0; j < k; j++) axes[i * k + j] = pca->axes[j * d + i];
    if (code == OK) {
#pragma omp parallel for schedule(static)
        for (int64_t first = 0; first < n; first += APPLY_ROWS) {
            Room room = room_at(pca, rooms + (size_t)omp_get_thread_num() * size);
            apply_block(pca, (Matrix){axes, k, 1}, first, smaller(APPLY_ROWS, n - first), x, &room, out);
        }
    }
    block_free(axes);
    block_free(rooms);
    return code;
}
