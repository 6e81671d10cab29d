/* checkpoint_weights.c - arrays of weights in a file, by name, each with a checksum. See checkpoint_parts.h. */
#include "train/checkpoint_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *const stored_type_names[] = {"f32", "bf16", "int8", NULL};

static const char *path_of(char path[PATH_BYTES], const char *group, const WeightEntry *entry) {
    snprintf(path, PATH_BYTES, "%s/%s", group, entry->name);
    return path;
}

/* ---- numbers ---- */

/* How an array of a file of this type is stored. In 32 bits: what has one axis, biases and the like, and with 8-bit
 * numbers what reads few channels or makes few, the picture's first and the classes' last layer: they are small, and
 * what is lost in them is lost for all. */
static StoredType type_of(const WeightEntry *entry, StoredType type) {
    enum { FEW_SRC = 4, FEW_DST = 16 };
    const bool few = entry->shape.rank < 2 || entry->shape.dim[0] < FEW_DST || entry->shape.dim[1] < FEW_SRC;
    return entry->shape.rank < 2 || (few && type == STORED_INT8) ? STORED_F32 : type;
}

static size_t bytes_of(const WeightEntry *entry, StoredType type) {
    static const size_t bytes[] = {sizeof(float), sizeof(uint16_t), sizeof(int8_t)};
    return bytes[type_of(entry, type)] * (size_t)entry->count;
}

/* To the nearest, ties to even; a NaN stays one. */
static uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static float bf16_value(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t crc_of(const void *bytes, size_t n) {
    uLong crc = crc32(0, NULL, 0);
    const size_t piece = (size_t)1 << 30; /* crc32 counts bytes in 32 bits */
    for (size_t at = 0; at < n; at += piece)
        crc = crc32(crc, (const Bytef *)bytes + at, (uInt)(n - at < piece ? n - at : piece));
    return (int64_t)crc;
}

/* ---- arrays ---- */

static H5Array array_of(const WeightEntry *entry, StoredType type) {
    static const H5Type types[] = {H5_F32, H5_U16, H5_I8};
    H5Array array = {.type = types[type_of(entry, type)], .rank = entry->shape.rank};
    for (int i = 0; i < entry->shape.rank; i++) array.dim[i] = entry->shape.dim[i];
    return array;
}

static Err write_array(H5 *file, const char *path, H5Array array, const void *values, size_t bytes, Error *err) {
    TRY(h5_write(file, path, array, NULL, values, err));
    return h5_set_int(file, path, "crc32", crc_of(values, bytes), err);
}

static const char *scales_path(char path[PATH_BYTES], const WeightEntry *entry) {
    return path_of(path, "/scales", entry);
}

static H5Array scales_array(const WeightEntry *entry) {
    return (H5Array){.type = H5_F32, .rank = 1, .dim = {entry->shape.dim[0]}};
}

/* Rows of the first axis, each with its own scale: 127 is the largest absolute value. */
static void to_int8(const WeightEntry *entry, const float *values, int8_t *numbers, float *scales) {
    const int64_t rows = entry->shape.dim[0], row = entry->count / rows;
    for (int64_t r = 0; r < rows; r++) {
        float largest = 0;
        for (int64_t k = 0; k < row; k++) largest = fmaxf(largest, fabsf(values[r * row + k]));
        scales[r] = largest / 127;
        for (int64_t k = 0; k < row; k++)
            numbers[r * row + k] = (int8_t)(largest > 0 ? lrintf(values[r * row + k] / scales[r]) : 0);
    }
}

static Err write_narrow(H5 *file, const char *path, const WeightEntry *entry, StoredType type, const float *values,
                        Error *err) {
    const size_t bytes = bytes_of(entry, type), rows = (size_t)entry->shape.dim[0];
    void *narrow = malloc(bytes);
    float *scales = malloc(sizeof *scales * rows);
    char beside[PATH_BYTES];
    Err code = narrow && scales ? OK : err_set(err, ERR_MEMORY, "no memory for '%s': %zu bytes", path, bytes);
    if (code == OK && type == STORED_BF16)
        for (int64_t i = 0; i < entry->count; i++) ((uint16_t *)narrow)[i] = bf16_of(values[i]);
    if (code == OK && type == STORED_INT8) {
        to_int8(entry, values, narrow, scales);
        code = write_array(file, scales_path(beside, entry), scales_array(entry), scales, sizeof *scales * rows, err);
    }
    if (code == OK) code = write_array(file, path, array_of(entry, type), narrow, bytes, err);
    if (code == OK) code = h5_set_text(file, path, "dtype", stored_type_names[type], err);
    free(narrow);
    free(scales);
    return code;
}

Err stored_write(H5 *file, const char *group, const Weights *weights, const float *flat, int needed_flags,
                 StoredType type, Error *err) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *entry = &weights->entries[i];
        if ((entry->flags & needed_flags) != needed_flags) continue;
        const float *values = flat + entry->offset;
        char path[PATH_BYTES];
        path_of(path, group, entry);
        if (type_of(entry, type) != STORED_F32)
            TRY(write_narrow(file, path, entry, type, values, err));
        else
            TRY(write_array(file, path, array_of(entry, type), values, bytes_of(entry, type), err));
    }
    return OK;
}

/* ---- reading ---- */

static Err read_array(const H5 *file, const char *path, H5Array array, void *values, size_t bytes, Error *err) {
    int64_t crc;
    TRY(h5_read(file, path, array, values, err));
    TRY(h5_get_int(file, path, "crc32", &crc, err));
    if (crc == crc_of(values, bytes)) return OK;
    return err_set(err, ERR_FORMAT, "%s: '%s' is damaged: its values do not match their checksum", h5_path(file), path);
}

/* Narrow numbers are read into the end of the room that the values take, and widened from its beginning: value i is
 * written after number i has been read, and below the numbers to come. */
static void widen_bf16(float *values, int64_t n) {
    const uint16_t *halves = (const uint16_t *)(const void *)values + n;
    for (int64_t i = 0; i < n; i++) values[i] = bf16_value(halves[i]);
}

static Err widen_int8(const H5 *file, const WeightEntry *entry, float *values, Error *err) {
    const int8_t *numbers = (const int8_t *)(const void *)values + 3 * entry->count;
    const int64_t rows = entry->shape.dim[0], row = entry->count / rows;
    char path[PATH_BYTES];
    float *scales = malloc(sizeof *scales * (size_t)rows);
    if (!scales) return err_set(err, ERR_MEMORY, "no memory for '%s'", entry->name);
    Err code = read_array(file, scales_path(path, entry), scales_array(entry), scales, sizeof *scales * (size_t)rows,
                          err);
    for (int64_t r = 0; r < rows && code == OK; r++)
        for (int64_t k = 0; k < row; k++) values[r * row + k] = (float)numbers[r * row + k] * scales[r];
    free(scales);
    return code;
}

Err stored_read(const H5 *file, const char *group, const Weights *weights, float *flat, int needed_flags,
                StoredType type, Error *err) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *entry = &weights->entries[i];
        if ((entry->flags & needed_flags) != needed_flags) continue;
        char path[PATH_BYTES];
        float *values = flat + entry->offset;
        const StoredType own = type_of(entry, type);
        const size_t bytes = bytes_of(entry, type), room = sizeof *values * (size_t)entry->count;
        TRY(read_array(file, path_of(path, group, entry), array_of(entry, type), (char *)values + room - bytes, bytes,
                       err));
        if (own == STORED_BF16) widen_bf16(values, entry->count);
        if (own == STORED_INT8) TRY(widen_int8(file, entry, values, err));
    }
    return OK;
}

Err stored_check(const H5 *file, const char *group, const Weights *weights, StoredType type, Error *err) {
    char path[PATH_BYTES];
    for (int i = 0; i < weights->n; i++)
        TRY(h5_expect(file, path_of(path, group, &weights->entries[i]), array_of(&weights->entries[i], type), err));
    return OK;
}
