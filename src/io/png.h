/* png.h - what stb_image does not do for PNG: check that a file is whole, hand out palette indices, write fast.
 *
 * stb_image skips the checksums, turns palettes into colours and 1, 2 and 4 bit grey values into 0..255; a mask needs
 * the numbers themselves. Its writer compresses with code of its own; this one with zlib, and it knows palettes.
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

/* Encode 1 to 4 channels of 8 or 16 bit; with n_palette > 0 a 1-channel 8-bit image as indices of that palette (values
 * beyond it are an error). *bytes is malloc'ed. */
Err png_encode(const Image *image, int n_palette, const uint8_t (*palette)[3], uint8_t **bytes, size_t *n, Error *err);

#endif
