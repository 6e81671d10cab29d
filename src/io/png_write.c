/* png_write.c - writes PNG files: 1 to 4 channels of 8 or 16 bit, or indices of a palette.
 *
 * Rows of pictures are filtered by the rule of the standard (12.8): of the five filters the one whose bytes, taken as
 * signed, have the smallest sum of magnitudes. Indices and masks go unfiltered.
 */
#include "io/png.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LEVEL = 6, N_FILTERS = 5 };

static void put32(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

/* Append a chunk at `to`; its data may be there already (data == to + 8). Returns the place behind it. */
static uint8_t *put_chunk(uint8_t *to, const char *type, const void *data, size_t n) {
    put32(to, (uint32_t)n);
    memcpy(to + 4, type, 4);
    if (n > 0 && data != to + 8) memcpy(to + 8, data, n);
    put32(to + 8 + n, (uint32_t)crc32_z(0, to + 4, n + 4));
    return to + 12 + n;
}

/* A row as PNG stores it: 16-bit samples with the high byte first. */
static void raw_row(const Image *image, size_t y, uint8_t *dst) {
    size_t samples = (size_t)image->width * (size_t)image->channels;
    if (image->depth == 8) {
        memcpy(dst, image->u8 + y * samples, samples);
        return;
    }
    for (size_t i = 0; i < samples; i++) {
        uint16_t value = image->u16[y * samples + i];
        dst[2 * i] = (uint8_t)(value >> 8);
        dst[2 * i + 1] = (uint8_t)value;
    }
}

static void filter_row(int filter, const uint8_t *row, const uint8_t *above, size_t n, size_t pixel, uint8_t *dst) {
    for (size_t i = 0; i < n; i++) {
        int a = i >= pixel ? row[i - pixel] : 0, b = above[i], c = i >= pixel ? above[i - pixel] : 0;
        int predicted = 0;
        if (filter == 1) predicted = a;
        if (filter == 2) predicted = b;
        if (filter == 3) predicted = (a + b) / 2;
        if (filter == 4) {
            int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
            predicted = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
        }
        dst[i] = (uint8_t)(row[i] - predicted);
    }
}

static uint64_t magnitude(const uint8_t *row, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += row[i] < 128 ? row[i] : 256u - row[i];
    return sum;
}

/* All rows, each behind its filter byte, into raw. scratch: two rows. */
static void filter_image(const Image *image, bool plain, size_t bytes, size_t pixel, uint8_t *raw, uint8_t *scratch) {
    uint8_t *row = scratch, *above = scratch + bytes, *trial = scratch + 2 * bytes;
    memset(above, 0, bytes);
    for (size_t y = 0; y < (size_t)image->height; y++, raw += bytes + 1) {
        raw_row(image, y, row);
        raw[0] = 0;
        memcpy(raw + 1, row, bytes);
        uint64_t best = plain ? 0 : magnitude(row, bytes);
        for (int filter = 1; filter < N_FILTERS && !plain; filter++) {
            filter_row(filter, row, above, bytes, pixel, trial);
            uint64_t sum = magnitude(trial, bytes);
            if (sum >= best) continue;
            best = sum;
            raw[0] = (uint8_t)filter;
            memcpy(raw + 1, trial, bytes);
        }
        uint8_t *swap = row;
        row = above;
        above = swap;
    }
}

static void write_ihdr(const Image *image, bool palette, uint8_t ihdr[13]) {
    static const uint8_t color_types[5] = {0, PNG_GREY, PNG_GREY_ALPHA, PNG_RGB, PNG_RGBA};
    memset(ihdr, 0, 13);
    put32(ihdr, (uint32_t)image->width);
    put32(ihdr + 4, (uint32_t)image->height);
    ihdr[8] = (uint8_t)image->depth;
    ihdr[9] = palette ? PNG_PALETTE : color_types[image->channels];
}

static Err check_indices(const Image *image, int n_palette, Error *err) {
    size_t n = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < n; i++)
        if (image->u8[i] >= n_palette)
            return err_set(err, ERR_DATA, "value %d is beyond the palette's %d colours", image->u8[i], n_palette);
    return OK;
}

Err png_encode(const Image *image, int n_palette, const uint8_t (*palette)[3], uint8_t **bytes, size_t *n, Error *err) {
    *bytes = NULL;
    *n = 0;
    if (image->channels < 1 || image->channels > 4 || (image->depth != 8 && image->depth != 16))
        return err_set(err, ERR_DATA, "PNG holds 1 to 4 channels of 8 or 16 bit, not %d of %d bit", image->channels,
                       image->depth);
    if (n_palette > 0) TRY(check_indices(image, n_palette, err));
    size_t pixel = (size_t)image->channels * (size_t)image->depth / 8, row = (size_t)image->width * pixel;
    size_t n_raw = (row + 1) * (size_t)image->height;
    uLong bound = compressBound(n_raw);
    uint8_t *raw = malloc(n_raw), *scratch = malloc(3 * row);
    uint8_t *out = malloc(bound + 8 + 4 * 12 + 13 + 768);
    Err code = OK;
    if (raw == NULL || scratch == NULL || out == NULL) {
        code = err_set(err, ERR_MEMORY, "no memory to encode a PNG of %dx%d", image->width, image->height);
        goto done;
    }
    filter_image(image, n_palette > 0, row, pixel, raw, scratch);
    uint8_t ihdr[13], *at = out + 8;
    memcpy(out, "\x89PNG\r\n\x1a\n", 8);
    write_ihdr(image, n_palette > 0, ihdr);
    at = put_chunk(at, "IHDR", ihdr, sizeof ihdr);
    if (n_palette > 0) at = put_chunk(at, "PLTE", palette, 3 * (size_t)n_palette);
    if (compress2(at + 8, &bound, raw, n_raw, LEVEL) != Z_OK || bound > INT32_MAX) {
        code = err_set(err, ERR_DATA, "cannot compress a PNG of %dx%d", image->width, image->height);
        goto done;
    }
    at = put_chunk(at, "IDAT", at + 8, bound);
    at = put_chunk(at, "IEND", NULL, 0);
    *bytes = out;
    *n = (size_t)(at - out);
    out = NULL;
done:
    free(raw);
    free(scratch);
    free(out);
    return code;
}
