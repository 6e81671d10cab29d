/* psnr.h - how far a picture is from another of its size: mean squared error and peak signal-to-noise ratio. */
#ifndef SANDGLASS_ANALYSIS_PSNR_H
#define SANDGLASS_ANALYSIS_PSNR_H

#include <stddef.h>
#include <stdint.h>

/* Mean squared difference of n values of 0..255, on the scale 0..1. */
double mse_bytes(size_t n, const uint8_t *a, const uint8_t *b);

/* 10 log10(1 / mse) in dB, for values of 0..1; an mse below 1e-10, equal pictures too, counts as PSNR_MOST, so that a
 * mean over pictures stays a number. */
#define PSNR_MOST 100.0
double psnr(double mse);

#endif
