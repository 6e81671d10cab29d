/* codes.c - see codes.h. */
#include "train/codes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "sandglass-codes";

/* ---- writing ---- */

/* n,size or n,C,H,W. */
static H5Array array_of(const Codes *codes) {
    H5Array array = {.type = H5_F32, .rank = codes->shape.rank, .dim = {codes->n}};
    for (int i = 1; i < array.rank; i++) array.dim[i] = codes->shape.dim[i];
    return array;
}

static Err write_attributes(H5 *file, const Codes *codes, Error *err) {
    TRY(h5_set_text(file, "/", "format", format_name, err));
    TRY(h5_set_int(file, "/", "version", CODES_VERSION, err));
    if (codes->at) TRY(h5_set_text(file, "/", "at", codes->at, err));
    return codes->model ? h5_set_text(file, "/", "model", codes->model, err) : OK;
}

static Err write_arrays(H5 *file, const Codes *codes, Error *err) {
    TRY(h5_write(file, "/codes", array_of(codes), NULL, codes->values, err));
    if (codes->labels) TRY(h5_write(file, "/labels", (H5Array){H5_I32, 1, {codes->n}}, NULL, codes->labels, err));
    if (codes->names) TRY(h5_write_texts(file, "/names", (int)codes->n, codes->names, err));
    if (codes->input.rank == 0) return OK;
    return h5_write(file, "/input", (H5Array){H5_I64, 1, {codes->input.rank}}, NULL, codes->input.dim, err);
}

Err codes_write(const char *path, const Codes *codes, Error *err) {
    H5 *file = NULL;
    TRY(h5_create(&file, path, err));
    Err code = write_attributes(file, codes, err);
    if (code == OK) code = write_arrays(file, codes, err);
    if (code == OK) code = h5_commit(file, NULL, err);
    h5_close(file);
    return code;
}

/* ---- reading ---- */

typedef struct Reader {
    H5 *file;
    const char *path;
    Codes *codes;
    int64_t has; /* codes in the file */
    Arena *arena;
} Reader;

static Err check_format(const Reader *r, Error *err) {
    if (!h5_has_attr(r->file, "/", "format")) return OK;
    const char *format;
    int64_t version;
    TRY(h5_get_text(r->file, "/", "format", &format, r->arena, err));
    if (strcmp(format, format_name) != 0)
        return err_set(err, ERR_FORMAT, "%s: is a '%s' file, not one of codes ('%s')", r->path, format, format_name);
    TRY(h5_get_int(r->file, "/", "version", &version, err));
    if (version == CODES_VERSION) return OK;
    return err_set(err, ERR_FORMAT, "%s: codes of version %lld, this program reads version %d", r->path,
                   (long long)version, CODES_VERSION);
}

static Err read_values(Reader *r, int64_t limit, Error *err) {
    Codes *codes = r->codes;
    H5Array array;
    if (!h5_exists(r->file, "/codes"))
        return err_set(err, ERR_FORMAT, "%s: holds no /codes: is it a file of codes?", r->path);
    TRY(h5_stat(r->file, "/codes", &array, err));
    if (array.rank < 2 || array.rank > SHAPE_MAX_RANK)
        return err_set(err, ERR_FORMAT, "%s: /codes must have 2 to %d axes, codes first, got %d", r->path,
                       SHAPE_MAX_RANK, array.rank);
    codes->shape = (Shape){.rank = array.rank, .dim = {1}};
    codes->size = 1;
    for (int i = 1; i < array.rank; i++) {
        codes->shape.dim[i] = array.dim[i];
        if (__builtin_mul_overflow(codes->size, array.dim[i], &codes->size)) codes->size = 0;
        if (codes->size < 1 || codes->size > INT32_MAX)
            return err_set(err, ERR_FORMAT, "%s: /codes has an impossible size", r->path);
    }
    r->has = array.dim[0];
    codes->n = limit > 0 && limit < r->has ? limit : r->has;
    if (codes->n < 1) return err_set(err, ERR_FORMAT, "%s: /codes is empty", r->path);
    size_t bytes;
    if (__builtin_mul_overflow((size_t)codes->n, (size_t)codes->size * sizeof(float), &bytes) ||
        !(codes->values = block_alloc(bytes)))
        return err_set(err, ERR_MEMORY, "%s: no memory for %lld codes", r->path, (long long)codes->n);
    TRY(h5_read_rows(r->file, "/codes", H5_F32, 0, codes->n, codes->values, err));
    for (int64_t i = 0; i < codes->n * codes->size; i++)
        if (!isfinite(codes->values[i]))
            return err_set(err, ERR_DATA, "%s: code %lld holds a value that is not finite", r->path,
                           (long long)(i / codes->size));
    return OK;
}

static Err read_labels(Reader *r, Error *err) {
    H5Array array;
    if (!h5_exists(r->file, "/labels")) return OK;
    TRY(h5_stat(r->file, "/labels", &array, err));
    if (array.rank != 1 || array.dim[0] != r->has)
        return err_set(err, ERR_FORMAT, "%s: /labels does not have a number for each of the %lld codes", r->path,
                       (long long)r->has);
    r->codes->labels = block_alloc((size_t)r->codes->n * sizeof(int32_t));
    if (!r->codes->labels)
        return err_set(err, ERR_MEMORY, "%s: no memory for %lld labels", r->path, (long long)r->codes->n);
    return h5_read_rows(r->file, "/labels", H5_I32, 0, r->codes->n, r->codes->labels, err);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Results are named after them. */
static Err read_names(Reader *r, Error *err) {
    int n;
    const char *const *names;
    if (!h5_exists(r->file, "/names")) return OK;
    TRY(h5_read_texts(r->file, "/names", &n, &names, r->arena, err));
    if (n != r->has)
        return err_set(err, ERR_FORMAT, "%s: /names does not have a name for each of the %lld codes", r->path,
                       (long long)r->has);
    for (int i = 0; i < n; i++)
        if (!names[i][0] || strchr(names[i], '/') || strlen(names[i]) > 200 || strcmp(names[i], ".") == 0 ||
            strcmp(names[i], "..") == 0)
            return err_set(err, ERR_FORMAT, "%s: name %d in /names cannot name a file: '%.60s'", r->path, i, names[i]);
    const char **sorted = arena_copy(r->arena, names, sizeof *names * (size_t)n);
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    for (int i = 1; i < n; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            return err_set(err, ERR_FORMAT, "%s: two codes in /names are called '%s'", r->path, sorted[i]);
    r->codes->names = names;
    return OK;
}

static Err read_input(Reader *r, Error *err) {
    H5Array array;
    if (!h5_exists(r->file, "/input")) return OK;
    TRY(h5_stat(r->file, "/input", &array, err));
    bool sound = array.rank == 1 && array.dim[0] == 4 && array.type == H5_I64;
    Shape shape = {.rank = 4};
    if (sound) TRY(h5_read_rows(r->file, "/input", H5_I64, 0, 4, shape.dim, err));
    for (int i = 0; sound && i < 4; i++) sound = shape.dim[i] >= 1 && shape.dim[i] <= 1 << 20;
    if (!sound || shape.dim[0] != 1)
        return err_set(err, ERR_FORMAT, "%s: /input is not the shape of a picture: 1, channels, height, width",
                       r->path);
    r->codes->input = shape;
    return OK;
}

static Err read_text(Reader *r, const char *name, const char **text, Error *err) {
    return h5_has_attr(r->file, "/", name) ? h5_get_text(r->file, "/", name, text, r->arena, err) : OK;
}

static Err read_all(Reader *r, int64_t limit, Error *err) {
    TRY(check_format(r, err));
    TRY(read_text(r, "at", &r->codes->at, err));
    TRY(read_text(r, "model", &r->codes->model, err));
    TRY(read_values(r, limit, err));
    TRY(read_labels(r, err));
    TRY(read_names(r, err));
    return read_input(r, err);
}

Err codes_read(Codes *out, const char *path, int64_t limit, Arena *arena, Error *err) {
    *out = (Codes){0};
    Reader reader = {.path = path, .codes = out, .arena = arena};
    TRY(h5_open(&reader.file, path, err));
    Err code = read_all(&reader, limit, err);
    h5_close(reader.file);
    if (code != OK) codes_free(out);
    return code;
}

bool codes_is_file(const char *path, Arena *arena) {
    H5 *file = NULL;
    Error unused = ERROR_INIT;
    const char *format = NULL;
    bool is = h5_open(&file, path, &unused) == OK && h5_has_attr(file, "/", "format") &&
              h5_get_text(file, "/", "format", &format, arena, &unused) == OK && strcmp(format, format_name) == 0;
    h5_close(file);
    return is;
}

void codes_free(Codes *codes) {
    block_free(codes->values);
    block_free(codes->labels);
    *codes = (Codes){0};
}
