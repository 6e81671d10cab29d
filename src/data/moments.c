/* moments.c - see moments.h. */
#include "data/moments.h"

#include "data/window.h"

#include <math.h>

/* From the counts of the 256 values: exact, and one pass over the pixels. */
static Moments moments_of_bytes(const uint8_t *first, size_t n, size_t stride) {
    int64_t count[256] = {0}, sum = 0;
    for (size_t p = 0; p < n; p++) count[first[p * stride]]++;
    for (int64_t v = 0; v < 256; v++) sum += count[v] * v;
    Moments m = {.n = (double)n, .mean = (double)sum / (double)n};
    for (int v = 0; v < 256; v++) m.squares += (double)count[v] * (v - m.mean) * (v - m.mean);
    return m;
}

Moments image_moments(const Image *image, int channel) {
    size_t n = (size_t)image->width * (size_t)image->height, c = (size_t)image->channels, k = (size_t)channel;
    if (image->depth == 8) return moments_of_bytes(image->u8 + k, n, c);
    Moments m = {.n = (double)n};
    double sum = 0;
    for (size_t p = 0; p < n; p++) sum += image_get(image, p * c + k);
    m.mean = sum / m.n;
    for (size_t p = 0; p < n; p++) {
        double off = image_get(image, p * c + k) - m.mean;
        m.squares += off * off;
    }
    return m;
}

void moments_join(Moments *a, Moments b) {
    double n = a->n + b.n, apart = b.mean - a->mean;
    a->mean += apart * b.n / n;
    a->squares += b.squares + apart * apart * a->n * b.n / n;
    a->n = n;
}

double moments_deviation(const Moments *m) {
    return sqrt(m->squares / m->n);
}
