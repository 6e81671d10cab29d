/* softmax.h - softmax over the channels of planes, for the engine's operation and for whoever turns scores into
 * probabilities. Arrays are n, channels, places of floats, plain; work is shared out among threads, and every place is
 * computed alike, so the number of threads does not show in the bits.
 */
#ifndef SANDGLASS_BASE_SOFTMAX_H
#define SANDGLASS_BASE_SOFTMAX_H

#include <stdint.h>

/* dst[c] = exp(src[c] - top) / sum over k of exp(src[k] - top), top the largest of a place. dst may be src. */
void softmax_planes(int64_t n, int64_t channels, int64_t places, const float *src, float *dst);

/* The largest of those probabilities at each place of one picture, channels `stride` apart: the same bits as the
 * largest of softmax_planes. */
void softmax_best(int64_t channels, int64_t places, int64_t stride, const float *src, float *best);

/* diff_src[c] = dst[c] (diff_dst[c] - sum over k of dst[k] diff_dst[k]). */
void softmax_planes_backward(int64_t n, int64_t channels, int64_t places, const float *dst, const float *diff_dst,
                             float *diff_src);

#endif
