/* h5.h - HDF5: typed arrays, attributes, text, and files that appear whole or not at all.
 * Only h5_private.h includes hdf5.h.
 *
 * Files written here are plain for any reader: little-endian IEEE, UTF-8 text, no time stamps (equal content gives
 * equal bytes), H5F_LIBVER_EARLIEST..V18. Paths inside a file are absolute ("/weights/enc1/weights"); groups on the way
 * are made. Soft and external links, external storage and virtual datasets are refused. An H5 is for one thread at a
 * time; several threads may each use their own (calls wait for one another: the library has no threads of its own).
 *
 * HDF5's own error stack is never printed; its innermost words end up in the Error.
 */
#ifndef SANDGLASS_IO_H5_H
#define SANDGLASS_IO_H5_H

#include "base/arena.h"

typedef struct H5 H5;

typedef enum H5Type { H5_U8, H5_U16, H5_I32, H5_I64, H5_F32, H5_F64, H5_I8 } H5Type;
enum { H5_MAX_RANK = 6 };

/* ---- whole files ---- */

/* Read-only, without file locks (they fail on network file systems, and a reader needs none: files are replaced, never
 * changed in place). Foreign, truncated and damaged files: one clear line. */
Err h5_open(H5 **out, const char *path, Error *err);
/* Start a file that h5_commit puts in place. It is written to PATH.<pid>.tmp (PATH.<pid>.<n>.tmp where that is taken):
 * always a new file, locked while it is open; what killed writers of the same PATH left is removed first
 * (h5_remove_stale). The HDF5 library is never told of a failed write (1.10 cannot close such a file): the first
 * failure is kept here, and comes out of the next call and of h5_commit. */
Err h5_create(H5 **out, const char *path, Error *err);
/* Flush, fsync, keep PATH as `keep_as` (a path; NULL: PATH is replaced), rename the new file to PATH, fsync the folder.
 * Killed at any moment, PATH is the old file or the new one. On failure PATH is untouched. Only h5_close may follow. */
Err h5_commit(H5 *file, const char *keep_as, Error *err);
void h5_close(H5 *file); /* without h5_commit before it, PATH.<pid>.tmp is removed; NULL is fine */
/* Remove the PATH.<pid>.tmp and PATH.<pid>.<n>.tmp of writers that no longer live: those that are not locked (where
 * the file system has no locks: whose process is gone) and begin like an HDF5 file, or are not begun. */
void h5_remove_stale(const char *path);
const char *h5_path(const H5 *file);
const char *h5_library_version(void); /* "1.10.8" */

/* ---- arrays ---- */

typedef struct H5Array {
    H5Type type;
    int rank;
    int64_t dim[H5_MAX_RANK];
} H5Array;

typedef struct H5Layout {
    int64_t rows_per_chunk;     /* along axis 0; 0: contiguous */
    int deflate;                /* 0..9, with shuffle */
    bool fletcher32;            /* checksum per chunk; needs chunks */
    bool extendible;            /* axis 0 may grow (h5_append) */
    int64_t chunk[H5_MAX_RANK]; /* along axes 1 and up; 0: the whole axis */
} H5Layout;

bool h5_exists(const H5 *file, const char *path); /* an array or group */
/* Type and shape. Other element types than H5Type, and sizes that such a file cannot hold, are an error. */
Err h5_stat(const H5 *file, const char *path, H5Array *out, Error *err);
/* Make an array and fill it; layout NULL: contiguous; data NULL: left to h5_append. */
Err h5_write(H5 *file, const char *path, H5Array array, const H5Layout *layout, const void *data, Error *err);
/* An error when the array has another type or shape; nothing is read. */
Err h5_expect(const H5 *file, const char *path, H5Array expected, Error *err);
/* Read all; the array must have exactly this type and shape (shape text in the error). */
Err h5_read(const H5 *file, const char *path, H5Array expected, void *data, Error *err);
/* Rows [first, first + n) along axis 0, converted to `type` in memory. */
Err h5_read_rows(const H5 *file, const char *path, H5Type type, int64_t first, int64_t n, void *data, Error *err);
/* Fill the block [first, first + n) of an array made by h5_write with this type and shape and without data; it is fast
 * where it is whole chunks. */
Err h5_write_block(H5 *file, const char *path, H5Array array, const int64_t *first, const int64_t *n, const void *data,
                   Error *err);
Err h5_append(H5 *file, const char *path, int64_t n, const void *rows, Error *err);
/* Names of the members of a group, sorted; in the arena. */
Err h5_list(const H5 *file, const char *group, int *n, const char *const **names, Arena *arena, Error *err);
/* Absolute paths of all arrays below a group, sorted. */
Err h5_walk(const H5 *file, const char *group, int *n, const char *const **paths, Arena *arena, Error *err);

/* ---- attributes and text ---- */

Err h5_set_int(H5 *file, const char *object, const char *name, int64_t value, Error *err);
Err h5_set_float(H5 *file, const char *object, const char *name, double value, Error *err);
Err h5_set_text(H5 *file, const char *object, const char *name, const char *value,
                Error *err); /* variable-length UTF-8 */
Err h5_get_int(const H5 *file, const char *object, const char *name, int64_t *value, Error *err);
Err h5_get_float(const H5 *file, const char *object, const char *name, double *value, Error *err);
Err h5_get_text(const H5 *file, const char *object, const char *name, const char **value, Arena *arena, Error *err);
/* A list of texts as an attribute: written as fixed-length ASCII or UTF-8, padded with zeros; read in any form. An
 * empty list may be of any type. */
Err h5_set_texts(H5 *file, const char *object, const char *name, int n, const char *const *texts, Error *err);
Err h5_get_texts(const H5 *file, const char *object, const char *name, int *n, const char *const **texts, Arena *arena,
                 Error *err);
bool h5_has_attr(const H5 *file, const char *object, const char *name);
/* One text as a scalar array of variable-length UTF-8; for texts of any length. */
Err h5_write_text(H5 *file, const char *path, const char *text, Error *err);
Err h5_read_text(const H5 *file, const char *path, const char **text, Arena *arena, Error *err);
/* A list of texts as a 1-D array of variable-length UTF-8. */
Err h5_write_texts(H5 *file, const char *path, int n, const char *const *texts, Error *err);
Err h5_read_texts(const H5 *file, const char *path, int *n, const char *const **texts, Arena *arena, Error *err);

#endif
