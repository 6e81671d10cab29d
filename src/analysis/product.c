/* product.c - see product.h. A register tile of the result is 4 x 8; what is left at the edges goes by single elements.
 */
#include "analysis/product.h"

#include "base/vmath.h"

#include <stddef.h>

enum { TILE_M = 4, TILE_N = 8, HALF_N = 4 };

/* A tile of c, TILE_M x width; the sums are arrays of fixed size, which the compiler keeps in registers. */
#define DEFINE_TILE(name, width)                                                                                       \
    VECTOR_INLINE void name(int64_t k, const double *restrict a, int64_t a_row, int64_t a_column,                      \
                            const double *restrict b, int64_t b_row, double *restrict c, int64_t c_row) {              \
        double sum[TILE_M][width] = {{0}};                                                                             \
        for (int64_t p = 0; p < k; p++, a += a_column, b += b_row)                                                     \
            for (int i = 0; i < TILE_M; i++)                                                                           \
                _Pragma("omp simd") for (int j = 0; j < (width); j++) sum[i][j] += a[i * a_row] * b[j];                \
        for (int i = 0; i < TILE_M; i++)                                                                               \
            for (int j = 0; j < (width); j++) c[i * c_row + j] += sum[i][j];                                           \
    }
DEFINE_TILE(tile_wide, TILE_N)
DEFINE_TILE(tile_half, HALF_N)

VECTOR_INLINE void single_elements(int64_t m, int64_t n, int64_t k, Matrix a, const double *b, int64_t b_row, double *c,
                                   int64_t c_row) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++) sum += a.data[i * a.row_step + p * a.column_step] * b[p * b_row + j];
            c[i * c_row + j] += sum;
        }
    }
}

VECTOR_CLONES void product_add(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Matrix c) {
    int64_t whole_m = m - m % TILE_M, wide_n = n - n % TILE_N, whole_n = n - n % HALF_N;
    for (int64_t i = 0; i < whole_m; i += TILE_M) {
        Matrix rows = {a.data + i * a.row_step, a.row_step, a.column_step};
        double *ci = c.data + i * c.row_step;
        for (int64_t j = 0; j < wide_n; j += TILE_N)
            tile_wide(k, rows.data, a.row_step, a.column_step, b.data + j, b.row_step, ci + j, c.row_step);
        for (int64_t j = wide_n; j < whole_n; j += HALF_N)
            tile_half(k, rows.data, a.row_step, a.column_step, b.data + j, b.row_step, ci + j, c.row_step);
        single_elements(TILE_M, n - whole_n, k, rows, b.data + whole_n, b.row_step, ci + whole_n, c.row_step);
    }
    Matrix last = {a.data + whole_m * a.row_step, a.row_step, a.column_step};
    single_elements(m - whole_m, n, k, last, b.data, b.row_step, c.data + whole_m * c.row_step, c.row_step);
}

VECTOR_CLONES void product_pack(int64_t rows, int64_t columns, const float *restrict src, int64_t src_step,
                                const double *restrict shift, const double *restrict scale, double *restrict dst) {
    for (int64_t r = 0; r < rows; r++, src += src_step, dst += columns) {
        for (int64_t c = 0; c < columns; c++) dst[c] = (double)src[c] - shift[c];
        for (int64_t c = 0; scale && c < columns; c++) dst[c] *= scale[c];
    }
}
