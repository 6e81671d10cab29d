/* compare.c - see compare.h. */
#include "cli/compare.h"

#include "analysis/psnr.h"

double picture_psnr(const Image *a, const Image *b) {
    size_t n = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = sample_unit(a, i) - sample_unit(b, i);
        sum += d * d;
    }
    return psnr(sum / (double)n);
}
