/* h5.c - arrays in HDF5 files, and listings of what is inside. See h5.h; files as a whole are in h5_file.c, attributes
 * and text in h5_text.c. Nothing a file says of itself is trusted before inspect_array has looked at it.
 */
#include "io/h5_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OBJECTS = 100000,   /* in a listing: a hostile file may hold cycles */
    MAX_DEPTH = 32,         /* of groups */
    SLACK_BYTES = 64 << 20, /* arrays up to this may be larger than their file (never written: fill values) */
};

/* ---- types and shapes in words ---- */

static const char *const type_names[] = {"uint8", "uint16", "int32", "int64", "float32", "float64", "int8"};
static const size_t type_bytes[] = {1, 2, 4, 8, 4, 8, 1};

static hid_t memory_type(H5Type type) {
    const hid_t ids[] = {H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_INT32, H5T_NATIVE_INT64,
                         H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, H5T_NATIVE_INT8};
    return ids[type];
}

static hid_t file_type(H5Type type) {
    const hid_t ids[] = {H5T_STD_U8LE,   H5T_STD_U16LE,  H5T_STD_I32LE, H5T_STD_I64LE,
                         H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_I8LE};
    return ids[type];
}

static hid_t big_endian_type(H5Type type) {
    const hid_t ids[] = {H5T_STD_U8BE,   H5T_STD_U16BE,  H5T_STD_I32BE, H5T_STD_I64BE,
                         H5T_IEEE_F32BE, H5T_IEEE_F64BE, H5T_STD_I8BE};
    return ids[type];
}

enum { ARRAY_TEXT_BYTES = 192 };

/* "float32 16x3x3x3" */
static const char *array_text(const H5Array *a, char text[ARRAY_TEXT_BYTES]) {
    int n = snprintf(text, ARRAY_TEXT_BYTES, "%s%s", type_names[a->type], a->rank == 0 ? " scalar" : " ");
    for (int i = 0; i < a->rank; i++)
        n += snprintf(text + n, (size_t)(ARRAY_TEXT_BYTES - n), "%s%lld", i ? "x" : "", (long long)a->dim[i]);
    return text;
}

/* Bytes of an array; -1 when the product does not fit. */
static int64_t array_bytes(const H5Array *a) {
    int64_t bytes = (int64_t)type_bytes[a->type];
    bool empty = false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dim[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(bytes, a->dim[i], &bytes))
            return -1;
    }
    return empty ? 0 : bytes;
}

/* ---- arrays ---- */

static bool element_type(hid_t array, H5Type *out) {
    hid_t type = H5Dget_type(array);
    bool found = false;
    for (int t = H5_U8; t <= H5_I8 && !found; t++)
        if (H5Tequal(type, file_type((H5Type)t)) > 0 || H5Tequal(type, big_endian_type((H5Type)t)) > 0) {
            *out = (H5Type)t;
            found = true;
        }
    H5Tclose(type);
    return found;
}

static bool read_extent(hid_t array, H5Array *out) {
    hid_t space = H5Dget_space(array);
    hsize_t dim[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    bool ok = rank >= 0 && rank <= H5_MAX_RANK && H5Sget_simple_extent_type(space) != H5S_NULL &&
              H5Sget_simple_extent_dims(space, dim, NULL) >= 0;
    out->rank = ok ? rank : 0;
    for (int i = 0; ok && i < rank; i++) {
        ok = dim[i] <= INT64_MAX;
        out->dim[i] = (int64_t)dim[i];
    }
    H5Sclose(space);
    return ok;
}

/* Bytes of a chunk; 0 when not chunked, -1 when stored elsewhere (external files, virtual datasets) or unreadable. */
static int64_t chunk_bytes(hid_t array, H5Type type) {
    hid_t properties = H5Dget_create_plist(array);
    H5D_layout_t layout = H5Pget_layout(properties);
    int64_t bytes = 0;
    if (H5Pget_external_count(properties) != 0 || layout == H5D_LAYOUT_ERROR || layout == H5D_VIRTUAL) bytes = -1;
    if (layout == H5D_CHUNKED) {
        hsize_t dim[H5S_MAX_RANK];
        int rank = H5Pget_chunk(properties, H5S_MAX_RANK, dim);
        bytes = rank > 0 ? (int64_t)type_bytes[type] : -1;
        for (int i = 0; i < rank && bytes > 0; i++)
            if (dim[i] > INT_MAX || __builtin_mul_overflow(bytes, (int64_t)dim[i], &bytes)) bytes = -1;
    }
    H5Pclose(properties);
    return bytes;
}

/* Whether a file of this size can hold so much. */
static bool plausible(const H5 *f, int64_t bytes) {
    return bytes >= 0 && (bytes <= SLACK_BYTES || (uint64_t)bytes / MAX_EXPANSION <= f->eof);
}

/* Look at an opened array before anything trusts it. */
static Err inspect_array(const H5 *f, const char *path, hid_t id, H5Array *shape, int64_t *chunk, Error *err) {
    *shape = (H5Array){0};
    if (!element_type(id, &shape->type))
        return err_set(err, ERR_FORMAT,
                       "%s: '%s' has elements of another type than uint8, uint16, int32, int64, float32, float64, int8",
                       f->path, path);
    if (!read_extent(id, shape)) return h5_fail(f, err, "'%s' has an unusable shape", path);
    *chunk = chunk_bytes(id, shape->type);
    if (*chunk < 0)
        return err_set(err, ERR_FORMAT, "%s: '%s' is stored in other files, or its chunks are damaged", f->path, path);
    char text[ARRAY_TEXT_BYTES];
    if (!plausible(f, array_bytes(shape)) || !plausible(f, *chunk))
        return err_set(err, ERR_FORMAT, "%s: '%s' claims to be %s, more than a file of %llu bytes can hold", f->path,
                       path, array_text(shape, text), (unsigned long long)f->eof);
    return OK;
}

/* Open with a chunk cache that holds a few of the array's own chunks: with the library's default of 1 MiB, a larger
 * chunk is read and inflated anew for every access. */
static hid_t open_with_cache(const H5 *f, const char *path, int64_t chunk) {
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    int64_t bytes = chunk * 4 > 1 << 20 ? chunk * 4 : 1 << 20;
    if (bytes > 256 << 20) bytes = chunk > 256 << 20 ? chunk : 256 << 20;
    H5Pset_chunk_cache(access, 521, (size_t)bytes, 1.0);
    hid_t id = H5Dopen2(f->id, path, access);
    H5Pclose(access);
    return id;
}

/* The array at path, kept open: sample after sample is read from the same few. */
static Err open_array(const H5 *file, const char *path, struct OpenArray **out, Error *err) {
    H5 *f = (H5 *)file; /* the kept arrays are a cache: nothing the caller can see changes */
    for (int i = 0; i < OPEN_ARRAYS; i++)
        if (f->open[i].path && strcmp(f->open[i].path, path) == 0) {
            *out = &f->open[i];
            return OK;
        }
    TRY(h5_check_path(f, path, err));
    hid_t id = H5Dopen2(f->id, path, H5P_DEFAULT);
    if (id < 0) return h5_fail(f, err, "cannot open the array '%s'", path);
    H5Array shape;
    int64_t chunk = 0;
    Err code = inspect_array(f, path, id, &shape, &chunk, err);
    H5Dclose(id);
    if (code != OK) return code;
    id = open_with_cache(f, path, chunk);
    if (id < 0) return h5_fail(f, err, "cannot open the array '%s'", path);
    struct OpenArray *slot = &f->open[f->next_open];
    f->next_open = (f->next_open + 1) % OPEN_ARRAYS;
    if (slot->path) {
        H5Dclose(slot->id);
        free(slot->path);
    }
    *slot = (struct OpenArray){.path = strdup(path), .id = id, .shape = shape};
    *out = slot;
    return OK;
}

bool h5_exists(const H5 *file, const char *path) {
    H5Session s = h5_enter();
    bool found = h5_link_state(file, path) == LINK_FINE;
    h5_leave(s, OK);
    return found;
}

Err h5_stat(const H5 *file, const char *path, H5Array *out, Error *err) {
    H5Session s = h5_enter();
    struct OpenArray *array;
    Err code = open_array(file, path, &array, err);
    if (code == OK) *out = array->shape;
    return h5_leave(s, code);
}

static hid_t space_new(const H5Array *a, bool extendible) {
    if (a->rank == 0) return H5Screate(H5S_SCALAR);
    hsize_t dim[H5_MAX_RANK], limit[H5_MAX_RANK];
    for (int i = 0; i < a->rank; i++) dim[i] = limit[i] = (hsize_t)a->dim[i];
    if (extendible) limit[0] = H5S_UNLIMITED;
    return H5Screate_simple(a->rank, dim, limit);
}

static hid_t creation_properties(const H5Array *a, const H5Layout *layout) {
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    if (!layout || layout->rows_per_chunk <= 0 || a->rank == 0) return properties;
    hsize_t dim[H5_MAX_RANK];
    for (int i = 0; i < a->rank; i++) dim[i] = (hsize_t)(a->dim[i] > 0 ? a->dim[i] : 1);
    for (int i = 1; i < a->rank; i++)
        if (layout->chunk[i] > 0 && layout->chunk[i] < a->dim[i]) dim[i] = (hsize_t)layout->chunk[i];
    dim[0] = (hsize_t)layout->rows_per_chunk;
    if (!layout->extendible && a->dim[0] > 0 && dim[0] > (hsize_t)a->dim[0]) dim[0] = (hsize_t)a->dim[0];
    H5Pset_chunk(properties, a->rank, dim);
    if (layout->deflate > 0) {
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, (unsigned)layout->deflate);
    }
    if (layout->fletcher32) H5Pset_fletcher32(properties);
    return properties;
}

static Err write_locked(H5 *f, const char *path, const H5Array *a, const H5Layout *layout, const void *data,
                        Error *err) {
    bool made = h5_make_groups(f, path, false);
    hid_t space = space_new(a, layout && layout->extendible);
    hid_t properties = creation_properties(a, layout);
    hid_t id = made ? H5Dcreate2(f->id, path, file_type(a->type), space, H5P_DEFAULT, properties, H5P_DEFAULT)
                    : H5I_INVALID_HID;
    bool ok = id >= 0;
    if (ok && data && array_bytes(a) > 0)
        ok = H5Dwrite(id, memory_type(a->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    Err code = ok && !f->io_error ? OK : h5_fail(f, err, "cannot write '%s'", path);
    if (id >= 0) H5Dclose(id);
    H5Pclose(properties);
    H5Sclose(space);
    return code;
}

Err h5_write(H5 *file, const char *path, H5Array array, const H5Layout *layout, const void *data, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, write_locked(file, path, &array, layout, data, err));
}

/* An array that has exactly this type and shape. */
static Err open_expected(const H5 *f, const char *path, const H5Array *expected, struct OpenArray **out, Error *err) {
    TRY(open_array(f, path, out, err));
    const H5Array *found = &(*out)->shape;
    bool same = found->type == expected->type && found->rank == expected->rank;
    for (int i = 0; same && i < expected->rank; i++) same = found->dim[i] == expected->dim[i];
    char a[ARRAY_TEXT_BYTES], b[ARRAY_TEXT_BYTES];
    if (!same)
        return err_set(err, ERR_FORMAT, "%s: '%s' is %s, expected %s", f->path, path, array_text(found, a),
                       array_text(expected, b));
    return OK;
}

static Err read_locked(const H5 *f, const char *path, const H5Array *expected, void *data, Error *err) {
    struct OpenArray *array;
    TRY(open_expected(f, path, expected, &array, err));
    if (array_bytes(expected) > 0 &&
        H5Dread(array->id, memory_type(expected->type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        return h5_fail(f, err, "cannot read '%s'", path);
    return OK;
}

Err h5_expect(const H5 *file, const char *path, H5Array expected, Error *err) {
    struct OpenArray *array;
    H5Session s = h5_enter();
    return h5_leave(s, open_expected(file, path, &expected, &array, err));
}

Err h5_read(const H5 *file, const char *path, H5Array expected, void *data, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, read_locked(file, path, &expected, data, err));
}

/* Move rows [first, first + n) between the file and memory, `to` or `from`. */
static Err transfer_rows(const H5 *f, struct OpenArray *array, H5Type type, int64_t first, int64_t n, void *to,
                         const void *from, Error *err) {
    H5Array block = array->shape;
    block.dim[0] = n;
    hsize_t start[H5_MAX_RANK] = {(hsize_t)first}, count[H5_MAX_RANK];
    for (int i = 0; i < block.rank; i++) count[i] = (hsize_t)block.dim[i];
    hid_t file_space = H5Dget_space(array->id);
    hid_t memory_space = space_new(&block, false);
    hid_t memory = memory_type(type);
    bool ok = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0;
    if (ok && to) ok = H5Dread(array->id, memory, memory_space, file_space, H5P_DEFAULT, to) >= 0;
    if (ok && from) ok = H5Dwrite(array->id, memory, memory_space, file_space, H5P_DEFAULT, from) >= 0;
    Err code = ok && !f->io_error ? OK
                                  : h5_fail(f, err, "cannot %s rows %lld to %lld of '%s'", to ? "read" : "write",
                                            (long long)first, (long long)(first + n - 1), array->path);
    H5Sclose(memory_space);
    H5Sclose(file_space);
    return code;
}

static Err read_rows_locked(const H5 *f, const char *path, H5Type type, int64_t first, int64_t n, void *data,
                            Error *err) {
    struct OpenArray *array;
    TRY(open_array(f, path, &array, err));
    if (array->shape.rank < 1 || first < 0 || n < 0 || first > array->shape.dim[0] - n)
        return err_set(err, ERR_FORMAT, "%s: rows %lld to %lld of '%s' were asked for, it has %lld", f->path,
                       (long long)first, (long long)(first + n - 1), path,
                       (long long)(array->shape.rank ? array->shape.dim[0] : 0));
    return n > 0 ? transfer_rows(f, array, type, first, n, data, NULL, err) : OK;
}

Err h5_read_rows(const H5 *file, const char *path, H5Type type, int64_t first, int64_t n, void *data, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, read_rows_locked(file, path, type, first, n, data, err));
}

/* Not through open_array: that doubts an array so much larger than what is written so far. */
static Err write_block_locked(const H5 *f, const char *path, const H5Array *array, const int64_t *first,
                              const int64_t *n, const void *data, Error *err) {
    TRY(h5_check_path(f, path, err));
    H5Array block = *array;
    hsize_t start[H5_MAX_RANK], count[H5_MAX_RANK];
    for (int i = 0; i < array->rank; i++) {
        if (first[i] < 0 || n[i] < 1 || first[i] > array->dim[i] - n[i])
            return err_set(err, ERR_FORMAT, "%s: '%s': %lld to %lld are beyond axis %d", f->path, path,
                           (long long)first[i], (long long)(first[i] + n[i] - 1), i);
        start[i] = (hsize_t)first[i];
        count[i] = (hsize_t)n[i];
        block.dim[i] = n[i];
    }
    hid_t id = H5Dopen2(f->id, path, H5P_DEFAULT);
    if (id < 0) return h5_fail(f, err, "cannot open the array '%s'", path);
    hid_t file_space = H5Dget_space(id), memory_space = space_new(&block, false);
    bool ok = H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dwrite(id, memory_type(array->type), memory_space, file_space, H5P_DEFAULT, data) >= 0;
    Err code = ok && !f->io_error ? OK : h5_fail(f, err, "cannot write a block of '%s'", path);
    H5Sclose(memory_space);
    H5Sclose(file_space);
    H5Dclose(id);
    return code;
}

Err h5_write_block(H5 *file, const char *path, H5Array array, const int64_t *first, const int64_t *n, const void *data,
                   Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, write_block_locked(file, path, &array, first, n, data, err));
}

static Err append_locked(H5 *f, const char *path, int64_t n, const void *rows, Error *err) {
    struct OpenArray *array;
    TRY(open_array(f, path, &array, err));
    H5Array *shape = &array->shape;
    int64_t first = shape->dim[0];
    hsize_t dim[H5_MAX_RANK];
    for (int i = 0; i < shape->rank; i++) dim[i] = (hsize_t)shape->dim[i];
    dim[0] += (hsize_t)n;
    if (shape->rank < 1 || H5Dset_extent(array->id, dim) < 0) return h5_fail(f, err, "cannot extend '%s'", path);
    shape->dim[0] += n;
    return n > 0 ? transfer_rows(f, array, shape->type, first, n, NULL, rows, err) : OK;
}

Err h5_append(H5 *file, const char *path, int64_t n, const void *rows, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, append_locked(file, path, n, rows, err));
}

/* ---- listings ---- */

typedef struct Names {
    Arena *arena;
    int n, capacity;
    int visited; /* groups and arrays, by walk_locked */
    const char **items;
} Names;

static bool names_add(Names *names, const char *name) {
    if (names->n >= MAX_OBJECTS) return false;
    if (names->n == names->capacity) {
        int capacity = names->capacity ? names->capacity * 2 : 32;
        const char **items = ARENA_ARRAY(names->arena, const char *, capacity);
        if (names->n) memcpy(items, names->items, sizeof *items * (size_t)names->n);
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->n++] = arena_strdup(names->arena, name);
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static herr_t add_member(hid_t group, const char *name, const H5L_info_t *info, void *names) {
    return names_add(names, name) ? 0 : -1;
}

static Err list_locked(const H5 *f, const char *group, Names *names, Error *err) {
    TRY(h5_check_path(f, group, err));
    hid_t id = H5Gopen2(f->id, group, H5P_DEFAULT);
    if (id < 0) return h5_fail(f, err, "'%s' is no group", group);
    herr_t ok = H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, NULL, add_member, names);
    Err code = ok < 0 ? h5_fail(f, err, "cannot list '%s'", group) : OK;
    H5Gclose(id);
    if (names->n) qsort(names->items, (size_t)names->n, sizeof *names->items, compare_names);
    return code;
}

Err h5_list(const H5 *file, const char *group, int *n, const char *const **names, Arena *arena, Error *err) {
    Names list = {.arena = arena};
    H5Session s = h5_enter();
    Err code = list_locked(file, group, &list, err);
    *n = list.n;
    *names = list.items;
    return h5_leave(s, code);
}

static Err walk_locked(const H5 *f, const char *group, int depth, Names *paths, Error *err) {
    Names members = {.arena = paths->arena};
    TRY(list_locked(f, group, &members, err));
    for (int i = 0; i < members.n; i++) {
        const char *path = arena_printf(paths->arena, "%s/%s", strcmp(group, "/") == 0 ? "" : group, members.items[i]);
        if (++paths->visited > MAX_OBJECTS)
            return err_set(err, ERR_FORMAT, "%s: more than %d objects", f->path, MAX_OBJECTS);
        TRY(h5_check_path(f, path, err));
        hid_t id = H5Oopen(f->id, path, H5P_DEFAULT);
        if (id < 0) return h5_fail(f, err, "cannot open '%s'", path);
        H5I_type_t type = H5Iget_type(id);
        H5Oclose(id);
        if (type == H5I_GROUP) {
            if (depth >= MAX_DEPTH) return err_set(err, ERR_FORMAT, "%s: groups deeper than %d", f->path, MAX_DEPTH);
            TRY(walk_locked(f, path, depth + 1, paths, err));
        } else if (type == H5I_DATASET) {
            names_add(paths, path);
        }
    }
    return OK;
}

Err h5_walk(const H5 *file, const char *group, int *n, const char *const **paths, Arena *arena, Error *err) {
    Names list = {.arena = arena};
    H5Session s = h5_enter();
    Err code = walk_locked(file, group, 0, &list, err);
    if (list.n) qsort(list.items, (size_t)list.n, sizeof *list.items, compare_names);
    *n = list.n;
    *paths = list.items;
    return h5_leave(s, code);
}
