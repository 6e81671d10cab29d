/* window.h - a rectangle of a sample, image and mask together; it may reach over the edges. */
#ifndef SANDGLASS_DATA_WINDOW_H
#define SANDGLASS_DATA_WINDOW_H

#include "data/dataset.h"

/* Replace the sample by its rectangle of this height and width whose corner is at (top, left). Outside the old picture
 * the image gets `fill` (a value per channel on the image's own scale; NULL: the picture's mean) and the mask
 * MASK_IGNORE. */
Err sample_window(Sample *s, int top, int left, int height, int width, const double *fill, Error *err);

/* Mean per channel, on the image's own scale; false: no memory. */
bool image_mean(const Image *image, double *mean);

/* One sample value as a number, and back (rounded and clamped to the depth). */
double image_get(const Image *image, size_t i);
void image_put(Image *image, size_t i, double value);

#endif
