/* compare.h - how like two pictures are. Floats count as they are, full scale 1. */
#ifndef SANDGLASS_CLI_COMPARE_H
#define SANDGLASS_CLI_COMPARE_H

#include "io/image.h"

/* Sample i as 8 bits, and in the scale 0..1. */
static inline uint8_t sample_8(const Image *image, size_t i) {
    if (image->depth == 32) {
        float v = image->f32[i];
        return (uint8_t)(v > 0 ? v < 1 ? 255 * v : 255 : 0);
    }
    return image->depth == 16 ? (uint8_t)(image->u16[i] >> 8) : image->u8[i];
}
static inline double sample_unit(const Image *image, size_t i) {
    if (image->depth == 32) return image->f32[i];
    return image->depth == 16 ? image->u16[i] / 65535.0 : image->u8[i] / 255.0;
}

/* Peak signal to noise ratio in dB; PSNR_MOST for equal pictures (analysis/psnr.h). The pictures have one size and as
 * many channels. */
double picture_psnr(const Image *a, const Image *b);

#endif
