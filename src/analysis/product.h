/* product.h - the one matrix product that the analyses are made of, in double, and bringing floats into its form.
 *
 * All is single-threaded: callers share work between threads by rows or by blocks of the result. Every element is
 * summed in the order of k, and there is no fused multiply-add in it, so the bits do not depend on the processor.
 */
#ifndef SANDGLASS_ANALYSIS_PRODUCT_H
#define SANDGLASS_ANALYSIS_PRODUCT_H

#include <stdint.h>

/* A matrix in a larger one, or transposed: element (row, column) is at data[row * row_step + column * column_step]. */
typedef struct Matrix {
    double *data;
    int64_t row_step, column_step;
} Matrix;

/* c += a b: a is m,k with any steps; b is k,n and c is m,n with column_step 1. Fastest where m and n are multiples of
 * 4. */
void product_add(int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Matrix c);

/* dst (rows,columns, without gaps) = (src - shift) * scale, per column; src has rows of src_step. scale NULL: 1. */
void product_pack(int64_t rows, int64_t columns, const float *src, int64_t src_step, const double *shift,
                  const double *scale, double *dst);

#endif
