/* pnm.h - binary PGM (P5) and PPM (P6) pictures, 8 and 16 bit.
 *
 * Read here and not by stb_image, whose reader takes 16-bit samples in the wrong byte order and does not notice
 * missing data.
 */
#ifndef SANDGLASS_IO_PNM_H
#define SANDGLASS_IO_PNM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct PnmHeader {
    int width, height, channels, depth; /* depth 8 or 16, as the largest value needs */
    int max;                            /* the file's value for full intensity */
    size_t data;                        /* where the samples begin */
} PnmHeader;

bool pnm_is(const uint8_t *bytes, size_t n);
/* What else begins with P and a digit: "a text PPM picture (P3)" and the like; NULL for anything else. */
const char *pnm_other_kind(const uint8_t *bytes, size_t n);

/* Returns NULL, or a phrase that says what is wrong. */
const char *pnm_read_header(const uint8_t *bytes, size_t n, PnmHeader *out);

/* Decode into dst (height * width * channels samples of header->depth bits). `raw`: values as they are; otherwise
 * scaled so that header->max becomes 255 or 65535. Returns NULL or a phrase. */
const char *pnm_decode(const uint8_t *bytes, size_t n, const PnmHeader *header, bool raw, void *dst);

#endif
