/* results_h5.c - see results_h5.h. Rows are held back until they fill chunks, so that each chunk is compressed once. */
#include "cli/results_h5.h"

#include "io/h5.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 17, DEFLATE = 1 };

struct ProbabilityFile {
    H5 *h5;
    H5Array array;
    int64_t y;            /* rows written */
    int rows, chunk_rows; /* held back, at most */
    uint16_t *held;       /* classes, chunk_rows, width */
};

static int chunk_rows(int width) {
    int rows = CHUNK_BYTES / 2 / width;
    return rows < 1 ? 1 : rows > 64 ? 64 : rows;
}

double probability_bytes(int n_classes, int width) {
    return 2.0 * n_classes * chunk_rows(width) * width;
}

static Err make_arrays(ProbabilityFile *f, const ResultSpec *spec, Error *err) {
    H5Layout layout = {.rows_per_chunk = 1, .chunk = {0, f->chunk_rows}, .deflate = DEFLATE};
    TRY(h5_write(f->h5, "/probability", f->array, &layout, NULL, err));
    TRY(h5_set_float(f->h5, "/probability", "scale", 1 / 65535.0, err));
    return h5_write_texts(f->h5, "/classes", spec->n_classes, spec->class_names, err);
}

Err probability_create(ProbabilityFile **out, const char *path, const ResultSpec *spec, int width, int height,
                       Error *err) {
    *out = NULL;
    ProbabilityFile *f = calloc(1, sizeof *f);
    if (!f) return err_set(err, ERR_MEMORY, "out of memory");
    *f = (ProbabilityFile){.array = {H5_U16, 3, {spec->n_classes, height, width}}, .chunk_rows = chunk_rows(width)};
    if (f->chunk_rows > height) f->chunk_rows = height;
    f->held = malloc((size_t)spec->n_classes * (size_t)f->chunk_rows * (size_t)width * sizeof *f->held);
    Err code = f->held ? h5_create(&f->h5, path, err)
                       : err_set(err, ERR_MEMORY, "%s: no memory for rows of probabilities", path);
    if (code == OK) code = make_arrays(f, spec, err);
    if (code == OK)
        *out = f;
    else
        probability_close(f);
    return code;
}

void probability_row(ProbabilityFile *f, int c, const uint16_t *row) {
    size_t width = (size_t)f->array.dim[2];
    memcpy(f->held + ((size_t)c * (size_t)f->chunk_rows + (size_t)f->rows) * width, row, width * sizeof *row);
}

/* Write the rows held back. The last ones may be fewer than a chunk's: they are closed up first. */
static Err flush(ProbabilityFile *f, Error *err) {
    if (f->rows == 0) return OK;
    size_t line = (size_t)f->array.dim[2], n = (size_t)f->rows * line;
    for (int64_t c = 1; f->rows < f->chunk_rows && c < f->array.dim[0]; c++)
        memmove(f->held + (size_t)c * n, f->held + (size_t)c * (size_t)f->chunk_rows * line, n * sizeof *f->held);
    const int64_t first[] = {0, f->y, 0}, block[] = {f->array.dim[0], f->rows, f->array.dim[2]};
    TRY(h5_write_block(f->h5, "/probability", f->array, first, block, f->held, err));
    f->y += f->rows;
    f->rows = 0;
    return OK;
}

Err probability_next(ProbabilityFile *f, Error *err) {
    return ++f->rows == f->chunk_rows ? flush(f, err) : OK;
}

Err probability_commit(ProbabilityFile *f, Error *err) {
    TRY(flush(f, err));
    return h5_commit(f->h5, NULL, err);
}

void probability_close(ProbabilityFile *f) {
    if (!f) return;
    h5_close(f->h5);
    free(f->held);
    free(f);
}
