/* ops_winograd.h - 3x3 convolutions by Winograd's algorithm (winograd.h), by passes of our own. Private to this folder.
 *
 * oneDNN 2.6 has the algorithm too, but keeps the points of a whole tensor, or much of it, in memory; here a chunk of
 * tiles goes through all its stages within the cache. For AVX-512 and 32 bits; everything else stays with oneDNN.
 */
#ifndef SANDGLASS_ENGINE_OPS_WINOGRAD_H
#define SANDGLASS_ENGINE_OPS_WINOGRAD_H

#include "engine/build.h"

/* Whether these passes can do it and pay: 3x3, stride and dilation 1, one group, enough channels on both sides
 * and enough tiles, most of them full. */
bool winograd_fits(const ConvSpec *spec, const Tensor *src, const Tensor *weights);

/* As op_conv, without its activation unless that is a ReLU. */
Tensor *record_winograd(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias);
/* The two parts of op_conv_backward. That of the weights sums in a few copies of the transformed kernel, which takes as
 * many tiles to pay. */
bool winograd_sums_pay(const ConvSpec *spec);
void record_winograd_backward_weights(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                                      Tensor *diff_weights);
Tensor *record_winograd_backward_data(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst);

#endif
