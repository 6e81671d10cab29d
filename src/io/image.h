/* image.h - pictures: decode, encode, resize, colour. The only file that includes stb_image* is image.c. */
#ifndef SANDGLASS_IO_IMAGE_H
#define SANDGLASS_IO_IMAGE_H

#include "base/error.h"

#include <stdint.h>

/* Samples interleaved by pixel (row-major H,W,C). depth 8: uint8_t, 16: uint16_t (native order), 32: float. */
typedef struct Image {
    int width, height, channels, depth;
    union {
        void *data; /* malloc'ed; NULL: no picture */
        uint8_t *u8;
        uint16_t *u16;
        float *f32;
    };
} Image;

/* Limits of what is read: pixels, and bytes of the decoded picture. */
enum { IMAGE_MAX_PIXELS = 1 << 28, IMAGE_MAX_BYTES = 1 << 30 };

static inline size_t image_bytes(const Image *image) {
    return (size_t)image->width * (size_t)image->height * (size_t)image->channels * (size_t)(image->depth / 8);
}

Err image_new(Image *out, int width, int height, int channels, int depth, Error *err); /* zeros */
void image_free(Image *image);

/* What the header says, without decoding; width and height as they are after EXIF orientation. */
typedef struct ImageInfo {
    int width, height, channels, depth;
    bool palette;    /* PNG colour type 3: decoded to RGB (image_load) or to indices (image_load_indices) */
    int orientation; /* EXIF 1..8; 1 when there is none */
    bool jpeg;
    const char *format; /* "PNG", "JPEG", "PNM", "BMP", "GIF", "PSD", "TGA": by content */
} ImageInfo;
Err image_info(const char *path, ImageInfo *out, Error *err);

/* PNG (8 and 16 bit), JPEG, BMP, TGA, binary PNM, GIF (the first picture), PSD. channels 0: as in the file, else
 * converted (grey <-> RGB, alpha dropped or opaque). EXIF orientation is applied. Sizes beyond IMAGE_MAX_PIXELS
 * or IMAGE_MAX_BYTES are refused; so are truncated files, PNGs with wrong checksums, and PNGs that claim more pixels
 * than deflate can have packed into them. */
Err image_load(const char *path, int channels, Image *out, Error *err);
/* A mask: 1 channel of 8 bit with the file's own numbers - grey values unscaled (also those of 1, 2 and 4 bit PNGs, and
 * of 16 bit ones when none is above 255), palette PNGs as indices, colour files whose channels are all equal as grey.
 * Real colours come out as RGB, for masks that code classes as colours. */
Err image_load_indices(const char *path, Image *out, Error *err);

/* By extension: .png .jpg .bmp .tga; written aside and renamed, so that no half picture is ever seen. */
Err image_save(const char *path, const Image *image, Error *err);
/* PNG with a palette of n RGB entries; image is 1 channel, 8 bit. */
Err image_save_palette(const char *path, const Image *image, int n, const uint8_t (*palette)[3], Error *err);

/* As a JPEG in memory, malloc'ed; 1 to 4 channels of 8 bit, quality 1 to 100. scan_bytes (may be NULL): the bytes of
 * the coded pixels alone, without headers and tables. stb_image_write codes three colour planes always, grey pictures
 * too; up to quality 90 with colours at half the resolution. */
Err image_encode_jpeg(const Image *image, int quality, uint8_t **bytes, size_t *n, size_t *scan_bytes, Error *err);
/* A whole file that is in memory, as image_load reads one; `name` is for messages. */
Err image_decode(const char *name, const uint8_t *bytes, size_t n, int channels, Image *out, Error *err);

/* Triangle filter, widened when shrinking so that every pixel counts (an antialiased bilinear); nearest for masks. Any
 * depth. */
Err image_resize(const Image *src, int width, int height, bool nearest, Image *out, Error *err);

/* The same filter for n planes of floats, one after the other: src n,height,width to dst n,to_height,to_width. */
Err planes_resize(int64_t n, int height, int width, const float *src, int to_height, int to_width, float *dst,
                  Error *err);

/* Change channels and depth in place; 0 keeps them. Grey <-> RGB, alpha dropped or opaque, 8 <-> 16 bit by full scale.
 * What cannot be done (32 <-> 8 bit, other channel counts) is an error. */
Err image_convert(Image *image, int channels, int depth, Error *err);

/* The channels of n pictures of one size, one behind the other, as one picture of the depth of the deepest. Sizes that
 * differ are an error, and so are floats beside integers. */
Err image_join(Image *out, int n, const Image *parts, Error *err);

bool image_path_readable(const char *path); /* by extension */

/* Default colours for classes: a fixed list of well-distinguishable ones, then generated. */
void image_class_color(int class_index, uint8_t rgb[3]);

#endif
