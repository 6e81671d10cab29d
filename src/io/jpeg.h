/* jpeg.h - what the markers of a JPEG say: size, orientation, and whether the file is all there.
 *
 * stb_image decodes the pictures, but fills what is missing with grey and ignores EXIF; this walk does neither.
 */
#ifndef SANDGLASS_IO_JPEG_H
#define SANDGLASS_IO_JPEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct JpegHeader {
    int width, height, components; /* 0 until the frame header was seen */
    int orientation;
} JpegHeader;

bool jpeg_is(const uint8_t *bytes, size_t n);

/* Read markers up to the first scan; bytes may be the beginning of a file: then width stays 0 when it is too short.
 * Returns NULL, or a phrase that says what is wrong. */
const char *jpeg_read_header(const uint8_t *bytes, size_t n, JpegHeader *out);

/* Walk a whole file to its end marker. Returns NULL, or a phrase ("truncated: ..."). */
const char *jpeg_check(const uint8_t *bytes, size_t n);

/* Bytes of coded pixels: those between the headers of scans and the markers behind them. 0 when there is no scan. */
size_t jpeg_scan_bytes(const uint8_t *bytes, size_t n);

#endif
