/* npy.c - see npy.h. "\x93NUMPY", version, length of the header, a Python dict as text, the values. */
#include "io/npy.h"

#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREAMBLE = 10, HEADER_BYTES = 1024, ALIGN = 64 };
static const char magic[] = "\x93NUMPY\x01"; /* the minor version's 0 is the terminator */

/* Text of the header, padded so that the values begin at a multiple of 64. Returns its length. */
static size_t header_text(char text[HEADER_BYTES], int rank, const int64_t *dim) {
    size_t used = (size_t)snprintf(text, HEADER_BYTES, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, HEADER_BYTES - used, "%lld%s", (long long)dim[i],
                                 rank == 1      ? ","
                                 : i + 1 < rank ? ", "
                                                : "");
    used += (size_t)snprintf(text + used, HEADER_BYTES - used, "), }");
    while ((PREAMBLE + used + 1) % ALIGN != 0) text[used++] = ' ';
    text[used++] = '\n';
    return used;
}

Err npy_write(const char *path, int rank, const int64_t *dim, const float *values, Error *err) {
    char text[HEADER_BYTES];
    uint8_t preamble[PREAMBLE];
    size_t length = header_text(text, rank, dim), count = 1;
    for (int i = 0; i < rank; i++) count *= (size_t)dim[i];
    memcpy(preamble, magic, 8);
    preamble[8] = (uint8_t)(length & 255);
    preamble[9] = (uint8_t)(length >> 8);
    FileAside file = {0};
    Err code = file_begin(&file, path, err);
    if (code == OK) code = file_put(&file, preamble, sizeof preamble, err);
    if (code == OK) code = file_put(&file, text, length, err);
    if (code == OK) code = file_put(&file, values, count * sizeof *values, err);
    if (code == OK) code = file_finish(&file, false, err);
    file_drop(&file);
    return code;
}

static Err refuse(const char *path, const char *what, Error *err) {
    return err_set(err, ERR_FORMAT, "%s: %s", path, what);
}

/* The numbers of "'shape': (1, 3, 4)", and their product in *count. */
static bool read_shape(const char *header, int *rank, int64_t dim[NPY_MAX_RANK], int64_t *count) {
    const char *at = strstr(header, "'shape':");
    if (!at || !(at = strchr(at, '('))) return false;
    *count = 1;
    *rank = 0;
    for (at++;;) {
        at += strspn(at, " ,");
        if (*at == ')') return true;
        char *end;
        long long n = strtoll(at, &end, 10);
        if (end == at || n < 0 || *rank == NPY_MAX_RANK || __builtin_mul_overflow(*count, n, count)) return false;
        dim[(*rank)++] = n;
        at = end;
    }
}

static Err parse(const char *path, const uint8_t *bytes, size_t n, int *rank, int64_t dim[NPY_MAX_RANK], size_t *offset,
                 int64_t *count, Error *err) {
    char header[65536];
    if (n < PREAMBLE || memcmp(bytes, magic, 8) != 0) return refuse(path, "not a .npy file of version 1.0", err);
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (length >= sizeof header || n - PREAMBLE < length) return refuse(path, "ends within its header", err);
    memcpy(header, bytes + PREAMBLE, length);
    header[length] = '\0';
    if (!strstr(header, "'descr': '<f4'")) return refuse(path, "holds no little-endian 32-bit floats", err);
    if (!strstr(header, "'fortran_order': False")) return refuse(path, "is not in row-major order", err);
    if (!read_shape(header, rank, dim, count)) return refuse(path, "has no usable shape", err);
    *offset = PREAMBLE + length;
    if ((size_t)*count > (n - *offset) / sizeof(float) || (n - *offset) != (size_t)*count * sizeof(float))
        return refuse(path, "its length does not fit its shape", err);
    return OK;
}

Err npy_read(const char *path, int *rank, int64_t dim[NPY_MAX_RANK], float **values, Error *err) {
    uint8_t *bytes = NULL;
    size_t n, offset;
    int64_t count;
    *values = NULL;
    TRY(file_read(path, (size_t)1 << 32, &bytes, &n, NULL, err));
    Err code = parse(path, bytes, n, rank, dim, &offset, &count, err);
    if (code == OK) {
        /* in place: the header goes, and malloc's alignment is back */
        memmove(bytes, bytes + offset, n - offset);
        *values = (float *)(void *)bytes;
        return OK;
    }
    free(bytes);
    return code;
}
