/* checkpoint_weights.c - arrays of weights in a file, by name, each with a checksum. See checkpoint_parts.h. */
#include "train/checkpoint_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

const char *const stored_type_names[] = {"f32", "bf16", NULL};

static const char *path_of(char path[PATH_BYTES], const char *group, const WeightEntry *entry) {
    snprintf(path, PATH_BYTES, "%s/%s", group, entry->name);
    return path;
}

/* ---- numbers ---- */

static bool is_narrow(const WeightEntry *entry, StoredType type) {
    return type == STORED_BF16 && entry->shape.rank >= 2;
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
    H5Array array = {.type = is_narrow(entry, type) ? H5_U16 : H5_F32, .rank = entry->shape.rank};
    for (int i = 0; i < entry->shape.rank; i++) array.dim[i] = entry->shape.dim[i];
    return array;
}

static Err write_array(H5 *file, const char *path, H5Array array, const void *values, size_t bytes, Error *err) {
    TRY(h5_write(file, path, array, NULL, values, err));
    return h5_set_int(file, path, "crc32", crc_of(values, bytes), err);
}

static Err write_narrow(H5 *file, const char *path, const WeightEntry *entry, const float *values, Error *err) {
    const size_t bytes = sizeof(uint16_t) * (size_t)entry->count;
    uint16_t *halves = malloc(bytes);
    if (!halves) return err_set(err, ERR_MEMORY, "no memory for '%s': %zu bytes", path, bytes);
    for (int64_t i = 0; i < entry->count; i++) halves[i] = bf16_of(values[i]);
    Err code = write_array(file, path, array_of(entry, STORED_BF16), halves, bytes, err);
    if (code == OK) code = h5_set_text(file, path, "dtype", stored_type_names[STORED_BF16], err);
    free(halves);
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
        if (is_narrow(entry, type))
            TRY(write_narrow(file, path, entry, values, err));
        else
            TRY(write_array(file, path, array_of(entry, type), values, sizeof *values * (size_t)entry->count, err));
    }
    return OK;
}

/* Halves are read into the upper part of the room that the values take, and widened from its beginning: value i is
 * written after half i has been read, and below the halves to come. */
static void widen(float *values, int64_t n) {
    const uint16_t *halves = (const uint16_t *)(const void *)values + n;
    for (int64_t i = 0; i < n; i++) values[i] = bf16_value(halves[i]);
}

Err stored_read(const H5 *file, const char *group, const Weights *weights, float *flat, int needed_flags,
                StoredType type, Error *err) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *entry = &weights->entries[i];
        if ((entry->flags & needed_flags) != needed_flags) continue;
        char path[PATH_BYTES];
        int64_t crc;
        float *values = flat + entry->offset;
        const bool narrow = is_narrow(entry, type);
        void *bytes = narrow ? (void *)((uint16_t *)(void *)values + entry->count) : values;
        TRY(h5_read(file, path_of(path, group, entry), array_of(entry, type), bytes, err));
        TRY(h5_get_int(file, path, "crc32", &crc, err));
        if (crc != crc_of(bytes, (narrow ? sizeof(uint16_t) : sizeof(float)) * (size_t)entry->count))
            return err_set(err, ERR_FORMAT, "%s: '%s' is damaged: its values do not match their checksum",
                           h5_path(file), path);
        if (narrow) widen(values, entry->count);
    }
    return OK;
}

Err stored_check(const H5 *file, const char *group, const Weights *weights, StoredType type, Error *err) {
    char path[PATH_BYTES];
    for (int i = 0; i < weights->n; i++)
        TRY(h5_expect(file, path_of(path, group, &weights->entries[i]), array_of(&weights->entries[i], type), err));
    return OK;
}
