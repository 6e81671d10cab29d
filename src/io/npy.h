/* npy.h - arrays of floats as NumPy's .npy files (format version 1.0 of numpy.lib.format), for what Python is to read
 * or has written. */
#ifndef SANDGLASS_IO_NPY_H
#define SANDGLASS_IO_NPY_H

#include "base/error.h"

#include <stdint.h>

enum { NPY_MAX_RANK = 8 };

/* 32-bit floats, row-major. The file appears whole. */
Err npy_write(const char *path, int rank, const int64_t *dim, const float *values, Error *err);
/* *values is malloc'ed and the caller's. What is no array of little-endian 32-bit floats in row-major order is an error
 * that says what it is. */
Err npy_read(const char *path, int *rank, int64_t dim[NPY_MAX_RANK], float **values, Error *err);

#endif
