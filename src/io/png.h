/* png.h - what stb_image does not do for PNG: check that a file is whole, hand out palette indices, read large pictures
 * in little memory, write fast and row by row.
 *
 * stb_image skips the checksums, turns palettes into colours and 1, 2 and 4 bit grey values into 0..255; a mask needs
 * the numbers themselves. It holds a picture three times while it decodes it. Its writer compresses with code of its
 * own; this one with zlib, and it knows palettes.
 */
#ifndef SANDGLASS_IO_PNG_H
#define SANDGLASS_IO_PNG_H

#include "io/image.h"

enum { PNG_GREY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GREY_ALPHA = 4, PNG_RGBA = 6 }; /* colour types */

typedef struct PngHeader {
    int width, height, bit_depth, color_type;
    bool interlaced, transparency; /* transparency: a tRNS chunk */
    int orientation;               /* of an eXIf chunk, else 1 */
    bool complete;                 /* the chunks in front of the pixels were all seen */
} PngHeader;

bool png_is(const uint8_t *bytes, size_t n);

/* Read the chunks in front of the pixels; bytes may be the beginning of a file. Returns NULL, or a phrase that says
 * what is wrong. */
const char *png_read_header(const uint8_t *bytes, size_t n, PngHeader *out);

/* Bytes that the compressed pixels inflate to: rows of packed samples, each behind its filter byte. */
uint64_t png_raw_bytes(const PngHeader *header);

/* Walk a whole file to its end and compare all checksums. Returns NULL or a phrase ("truncated: ..."). */
const char *png_check(const uint8_t *bytes, size_t n);

/* Palette indices, or grey values of up to 8 bit unscaled, into dst (height * width). Only colour types 0 and 3.
 * Returns NULL or a phrase. */
const char *png_decode_indices(const uint8_t *bytes, size_t n, const PngHeader *header, uint8_t *dst);

/* Whether png_decode takes it: 8 or 16 bit a sample, not interlaced, no palette, no tRNS chunk. */
bool png_can_decode(const PngHeader *header);
/* The pixels of such a file, as many channels as it has, or `channels` where that only leaves out the alpha; 0: as it
 * has. Inflates row by row into the picture, so that it takes the picture's memory and two rows. Returns NULL or a
 * phrase. */
const char *png_decode(const uint8_t *bytes, size_t n, const PngHeader *header, int channels, Image *out);

/* ---- writing: png_write.c ---- */

/* How rows are filtered and compressed: for photos; for large areas of one value, as in masks. */
typedef enum PngStyle { PNG_QUICK, PNG_FLAT } PngStyle;

typedef struct PngSpec {
    int width, height, channels, depth; /* 1 to 4 channels of 8 or 16 bit */
    int n_palette;                      /* > 0: 1 channel of 8 bit, indices of this palette; values beyond it fail */
    const uint8_t (*palette)[3];
    PngStyle style;
} PngSpec;

/* A file written row by row: png_create, png_rows until all are there, png_commit, png_close. It is written aside;
 * png_commit puts it in place, png_close without it before leaves no trace. rows: width * channels samples each, 16 bit
 * in the machine's order. */
typedef struct PngFile PngFile;
Err png_create(PngFile **out, const char *path, const PngSpec *spec, Error *err);
Err png_rows(PngFile *file, int n, const void *rows, Error *err);
Err png_commit(PngFile *file, Error *err);
void png_close(PngFile *file); /* NULL is fine */

/* A whole picture in memory, PNG_QUICK, with a palette PNG_FLAT; *bytes is malloc'ed. */
Err png_encode(const Image *image, int n_palette, const uint8_t (*palette)[3], uint8_t **bytes, size_t *n, Error *err);

#endif
