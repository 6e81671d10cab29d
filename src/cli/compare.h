/* compare.h - pictures beside one another, and how like they are. 8 or 16 bit samples. */
#ifndef SANDGLASS_CLI_COMPARE_H
#define SANDGLASS_CLI_COMPARE_H

#include "io/image.h"

/* Mean squared difference over all samples, in the scale 0..1. The pictures have one size and as many channels. */
double picture_mse(const Image *a, const Image *b);
/* Peak signal to noise ratio in dB; PSNR_MOST for equal pictures (analysis/psnr.h). */
double picture_psnr(const Image *a, const Image *b);

/* n pictures of one size and as many channels from left to right, as one file of 8 bits. */
Err save_beside(const char *path, int n, const Image *const *images, Error *err);

#endif
