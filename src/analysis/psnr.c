/* psnr.c - mean squared error and peak signal-to-noise ratio. See psnr.h. */
#include "analysis/psnr.h"

#include <math.h>

double mse_bytes(size_t n, const uint8_t *a, const uint8_t *b) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        int apart = (int)a[i] - (int)b[i];
        sum += (uint64_t)(apart * apart);
    }
    return n > 0 ? (double)sum / (255.0 * 255.0) / (double)n : 0;
}

double psnr(double mse) {
    return mse < 1e-10 ? PSNR_MOST : -10 * log10(mse);
}
