/* values.h - runs of an image's values as floats, whatever its depth; the loops are vector code. */
#ifndef SANDGLASS_DATA_VALUES_H
#define SANDGLASS_DATA_VALUES_H

#include "io/image.h"

/* The n values from number `first` on (counting channel by channel, pixel by pixel, row by row). */
void values_get(const Image *image, size_t first, size_t n, float *dst);
void values_add(const Image *image, size_t first, size_t n, float weight, float *sum); /* sum += weight * values */
/* Rounded and brought to the scale of the depth (a NaN becomes 0); floats as they are. */
void values_put(Image *image, size_t first, size_t n, const float *src);

/* The largest value of the depth; 1 for floats. */
float values_full_scale(const Image *image);

#endif
