/* png_write.c - writes PNG files: 1 to 4 channels of 8 or 16 bit, or indices of a palette; row by row, so that a
 * picture need not be in memory as a whole.
 *
 * The standard's advice (12.8), to try five filters on each row, and deflate's search for matches cost most of the
 * time. PNG_QUICK filters all rows by Paeth's predictor and looks for runs of one byte only (Z_RLE): 6 ms instead of 35
 * for a CamVid scene of 480 x 360 with its classes laid over, in as many bytes; ten percent more where classes are a
 * noisy patchwork. PNG_FLAT leaves rows as they are: masks, again by runs only, in 0.4 ms instead of 1.0 (a smooth one
 * 6600 bytes instead of 4800, a noisy one 53 kB instead of 52), and colours, three bytes that repeat, by a short search
 * (1.1 ms and 10.7 kB, noisy 6.4 ms and 86 kB, instead of 2.1 ms and 7.3 kB, 19 ms and 74 kB at level 6).
 */
#include "io/png.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LEVEL = 3, FILTER_NONE = 0, FILTER_PAETH = 4, CHUNK_BYTES = 1 << 16 };

/* ---- rows ---- */

static void put32(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

/* A row as PNG stores it: 16-bit samples with the high byte first. */
static void raw_row(const PngSpec *spec, const void *row, uint8_t *dst) {
    size_t samples = (size_t)spec->width * (size_t)spec->channels;
    if (spec->depth == 8) {
        memcpy(dst, row, samples);
        return;
    }
    const uint16_t *src = row;
    for (size_t i = 0; i < samples; i++) {
        dst[2 * i] = (uint8_t)(src[i] >> 8);
        dst[2 * i + 1] = (uint8_t)src[i];
    }
}

/* Paeth's predictor. `pixel` bytes in front of row and above are there, and zeros. */
static void filter_paeth(const uint8_t *row, const uint8_t *above, size_t n, size_t pixel, uint8_t *restrict dst) {
    const uint8_t *left = row - pixel, *corner = above - pixel;
    for (size_t i = 0; i < n; i++) {
        int a = left[i], b = above[i], c = corner[i];
        int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
        dst[i] = (uint8_t)(row[i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c));
    }
}

/* ---- the encoder ---- */

/* Where finished bytes go. */
typedef Err (*PutFn)(void *context, const void *bytes, size_t n, Error *err);

typedef struct Encoder {
    PngSpec spec;
    PutFn put;
    void *context;
    z_stream z;
    bool deflating;
    int filter;           /* FILTER_NONE or FILTER_PAETH */
    size_t pixel, bytes;  /* of a pixel, of a row */
    int64_t rows;         /* so far */
    uint8_t *memory;      /* all below */
    uint8_t *row, *above; /* each behind `pixel` zeros */
    uint8_t *filtered;    /* a row behind its filter byte */
    uint8_t *chunk;       /* an IDAT chunk: 8 bytes, CHUNK_BYTES of data, 4 bytes */
} Encoder;

/* Send a chunk whose data lies at chunk + 8, with room for the checksum behind it. */
static Err put_chunk(Encoder *e, const char *type, uint8_t *chunk, size_t n, Error *err) {
    put32(chunk, (uint32_t)n);
    memcpy(chunk + 4, type, 4);
    put32(chunk + 8 + n, (uint32_t)crc32_z(0, chunk + 4, n + 4));
    return e->put(e->context, chunk, n + 12, err);
}

static Err put_head(Encoder *e, Error *err) {
    static const uint8_t color_types[5] = {0, PNG_GREY, PNG_GREY_ALPHA, PNG_RGB, PNG_RGBA};
    const PngSpec *spec = &e->spec;
    uint8_t ihdr[12 + 13] = {0}, plte[12 + 3 * 256];
    put32(ihdr + 8, (uint32_t)spec->width);
    put32(ihdr + 12, (uint32_t)spec->height);
    ihdr[16] = (uint8_t)spec->depth;
    ihdr[17] = spec->n_palette > 0 ? PNG_PALETTE : color_types[spec->channels];
    TRY(e->put(e->context, "\x89PNG\r\n\x1a\n", 8, err));
    TRY(put_chunk(e, "IHDR", ihdr, 13, err));
    if (spec->n_palette <= 0) return OK;
    memcpy(plte + 8, spec->palette, 3 * (size_t)spec->n_palette);
    return put_chunk(e, "PLTE", plte, 3 * (size_t)spec->n_palette, err);
}

static Err take_memory(Encoder *e, Error *err) {
    size_t line = e->pixel + e->bytes, filtered = e->bytes + 1;
    e->memory = calloc(2 * line + filtered + CHUNK_BYTES + 12, 1);
    if (e->memory == NULL)
        return err_set(err, ERR_MEMORY, "no memory to encode a PNG of %dx%d", e->spec.width, e->spec.height);
    e->row = e->memory + e->pixel;
    e->above = e->row + line;
    e->filtered = e->memory + 2 * line;
    e->chunk = e->filtered + filtered;
    return OK;
}

static Err encoder_begin(Encoder *e, const PngSpec *spec, PutFn put, void *context, Error *err) {
    *e = (Encoder){.spec = *spec, .put = put, .context = context};
    if (spec->channels < 1 || spec->channels > 4 || (spec->depth != 8 && spec->depth != 16))
        return err_set(err, ERR_DATA, "PNG holds 1 to 4 channels of 8 or 16 bit, not %d of %d bit", spec->channels,
                       spec->depth);
    e->pixel = (size_t)spec->channels * (size_t)spec->depth / 8;
    e->bytes = (size_t)spec->width * e->pixel;
    e->filter = spec->style == PNG_FLAT ? FILTER_NONE : FILTER_PAETH;
    bool runs = spec->style == PNG_QUICK || e->pixel == 1;
    TRY(take_memory(e, err));
    if (deflateInit2(&e->z, LEVEL, Z_DEFLATED, 15, 9, runs ? Z_RLE : Z_DEFAULT_STRATEGY) != Z_OK)
        return err_set(err, ERR_MEMORY, "no memory to encode a PNG of %dx%d", spec->width, spec->height);
    e->deflating = true;
    e->z.next_out = e->chunk + 8;
    e->z.avail_out = CHUNK_BYTES;
    return put_head(e, err);
}

/* Compress n bytes (or, with Z_FINISH, what is left), sending each chunk that is full. */
static Err compress_bytes(Encoder *e, const uint8_t *bytes, size_t n, int flush, Error *err) {
    e->z.next_in = (Bytef *)bytes; /* zlib does not write there */
    e->z.avail_in = (uInt)n;
    while (true) {
        int state = deflate(&e->z, flush);
        bool full = e->z.avail_out == 0, ended = state == Z_STREAM_END;
        size_t have = CHUNK_BYTES - e->z.avail_out;
        if (full || (ended && have > 0)) {
            TRY(put_chunk(e, "IDAT", e->chunk, have, err));
            e->z.next_out = e->chunk + 8;
            e->z.avail_out = CHUNK_BYTES;
        }
        if (ended || (flush == Z_NO_FLUSH && e->z.avail_in == 0 && !full)) return OK;
        if (state != Z_OK && state != Z_BUF_ERROR)
            return err_set(err, ERR_DATA, "cannot compress a PNG of %dx%d", e->spec.width, e->spec.height);
    }
}

static void filter_row(Encoder *e) {
    e->filtered[0] = (uint8_t)e->filter;
    if (e->filter == FILTER_NONE)
        memcpy(e->filtered + 1, e->row, e->bytes);
    else
        filter_paeth(e->row, e->above, e->bytes, e->pixel, e->filtered + 1);
}

static Err check_indices(const Encoder *e, Error *err) {
    for (size_t i = 0; i < e->bytes && e->spec.n_palette > 0; i++)
        if (e->row[i] >= e->spec.n_palette)
            return err_set(err, ERR_DATA, "value %d is beyond the palette's %d colours", e->row[i], e->spec.n_palette);
    return OK;
}

static Err encoder_rows(Encoder *e, int n, const void *rows, Error *err) {
    const uint8_t *src = rows;
    for (int y = 0; y < n; y++, src += e->bytes) {
        raw_row(&e->spec, src, e->row);
        TRY(check_indices(e, err));
        filter_row(e);
        TRY(compress_bytes(e, e->filtered, e->bytes + 1, Z_NO_FLUSH, err));
        uint8_t *swap = e->row;
        e->row = e->above;
        e->above = swap;
    }
    e->rows += n;
    return OK;
}

static Err encoder_end(Encoder *e, Error *err) {
    if (e->rows != e->spec.height)
        return err_set(err, ERR_DATA, "a PNG of %d rows got %lld", e->spec.height, (long long)e->rows);
    TRY(compress_bytes(e, NULL, 0, Z_FINISH, err));
    return put_chunk(e, "IEND", e->chunk, 0, err);
}

static void encoder_free(Encoder *e) {
    if (e->deflating) deflateEnd(&e->z);
    e->deflating = false;
    free(e->memory);
    e->memory = NULL;
}

/* ---- into memory ---- */

typedef struct Growing {
    uint8_t *bytes;
    size_t n, capacity;
} Growing;

static Err append(void *context, const void *bytes, size_t n, Error *err) {
    Growing *g = context;
    if (g->n + n > g->capacity) {
        size_t capacity = (g->n + n) * 2;
        uint8_t *more = realloc(g->bytes, capacity);
        if (more == NULL) return err_set(err, ERR_MEMORY, "no memory for a PNG of %zu bytes", capacity);
        g->bytes = more;
        g->capacity = capacity;
    }
    memcpy(g->bytes + g->n, bytes, n);
    g->n += n;
    return OK;
}

Err png_encode(const Image *image, int n_palette, const uint8_t (*palette)[3], uint8_t **bytes, size_t *n, Error *err) {
    PngSpec spec = {.width = image->width,
                    .height = image->height,
                    .channels = image->channels,
                    .depth = image->depth,
                    .n_palette = n_palette,
                    .palette = palette,
                    .style = n_palette > 0 ? PNG_FLAT : PNG_QUICK};
    Encoder e;
    Growing out = {0};
    *bytes = NULL;
    *n = 0;
    Err code = encoder_begin(&e, &spec, append, &out, err);
    if (code == OK) code = encoder_rows(&e, image->height, image->data, err);
    if (code == OK) code = encoder_end(&e, err);
    encoder_free(&e);
    if (code != OK) {
        free(out.bytes);
        return code;
    }
    *bytes = out.bytes;
    *n = out.n;
    return OK;
}

/* ---- into a file ---- */

struct PngFile {
    Encoder encoder;
    FileAside file;
    char *path;
    uint8_t palette[256][3];
};

static Err put_in_file(void *context, const void *bytes, size_t n, Error *err) {
    return file_put(context, bytes, n, err);
}

/* Words about a file, with its name in front where they lack it. */
static Err named(const PngFile *f, Err code, Error *err) {
    if (code != OK && code != ERR_IO) return err_context(err, "%s", f->path);
    return code;
}

Err png_create(PngFile **out, const char *path, const PngSpec *spec, Error *err) {
    *out = NULL;
    PngFile *f = calloc(1, sizeof *f);
    if (f == NULL || (f->path = strdup(path)) == NULL) {
        free(f);
        return err_set(err, ERR_MEMORY, "%s: out of memory", path);
    }
    PngSpec own = *spec;
    own.palette = (const uint8_t(*)[3])f->palette;
    if (spec->n_palette > 0) memcpy(f->palette, spec->palette, 3 * (size_t)spec->n_palette);
    Err code = file_begin(&f->file, f->path, err);
    if (code == OK) code = named(f, encoder_begin(&f->encoder, &own, put_in_file, &f->file, err), err);
    if (code == OK)
        *out = f;
    else
        png_close(f);
    return code;
}

Err png_rows(PngFile *file, int n, const void *rows, Error *err) {
    return named(file, encoder_rows(&file->encoder, n, rows, err), err);
}

Err png_commit(PngFile *file, Error *err) {
    TRY(named(file, encoder_end(&file->encoder, err), err));
    return file_finish(&file->file, false, err);
}

void png_close(PngFile *file) {
    if (file == NULL) return;
    encoder_free(&file->encoder);
    file_drop(&file->file);
    free(file->path);
    free(file);
}
