/* values.c - runs of an image's values as floats. See values.h. */
#include "data/values.h"

#include "base/vmath.h"

VECTOR_CLONES static void get_u8(const uint8_t *restrict src, size_t n, float *restrict dst) {
    for (size_t i = 0; i < n; i++) dst[i] = (float)src[i];
}

VECTOR_CLONES static void get_u16(const uint16_t *restrict src, size_t n, float *restrict dst) {
    for (size_t i = 0; i < n; i++) dst[i] = (float)src[i];
}

void values_get(const Image *image, size_t first, size_t n, float *dst) {
    if (image->depth == 8)
        get_u8(image->u8 + first, n, dst);
    else if (image->depth == 16)
        get_u16(image->u16 + first, n, dst);
    else
        memcpy(dst, image->f32 + first, n * sizeof *dst);
}

VECTOR_CLONES static void add_u8(const uint8_t *restrict src, size_t n, float weight, float *restrict sum) {
    for (size_t i = 0; i < n; i++) sum[i] += weight * (float)src[i];
}

VECTOR_CLONES static void add_u16(const uint16_t *restrict src, size_t n, float weight, float *restrict sum) {
    for (size_t i = 0; i < n; i++) sum[i] += weight * (float)src[i];
}

VECTOR_CLONES static void add_f32(const float *restrict src, size_t n, float weight, float *restrict sum) {
    for (size_t i = 0; i < n; i++) sum[i] += weight * src[i];
}

void values_add(const Image *image, size_t first, size_t n, float weight, float *sum) {
    if (image->depth == 8)
        add_u8(image->u8 + first, n, weight, sum);
    else if (image->depth == 16)
        add_u16(image->u16 + first, n, weight, sum);
    else
        add_f32(image->f32 + first, n, weight, sum);
}

VECTOR_INLINE int rounded(float value, float full) {
    value = value > 0 ? value : 0;
    value = value < full ? value : full;
    return (int)(value + 0.5F);
}

VECTOR_CLONES static void put_u8(const float *restrict src, size_t n, uint8_t *restrict dst) {
    for (size_t i = 0; i < n; i++) dst[i] = (uint8_t)rounded(src[i], 255);
}

VECTOR_CLONES static void put_u16(const float *restrict src, size_t n, uint16_t *restrict dst) {
    for (size_t i = 0; i < n; i++) dst[i] = (uint16_t)rounded(src[i], 65535);
}

void values_put(Image *image, size_t first, size_t n, const float *src) {
    if (image->depth == 8)
        put_u8(src, n, image->u8 + first);
    else if (image->depth == 16)
        put_u16(src, n, image->u16 + first);
    else
        memcpy(image->f32 + first, src, n * sizeof *src);
}

float values_full_scale(const Image *image) {
    return image->depth == 8 ? 255 : image->depth == 16 ? 65535 : 1;
}
