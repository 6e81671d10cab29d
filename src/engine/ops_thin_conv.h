/* ops_thin_conv.h - convolutions with very few output channels, by passes of our own. Private to this folder.
 *
 * The last layer of an autoencoder makes one or three channels; oneDNN's kernels compute 16 all the same. These work on
 * sources in blocks of 16 channels (AVX-512); everything else stays with oneDNN.
 */
#ifndef SANDGLASS_ENGINE_OPS_THIN_CONV_H
#define SANDGLASS_ENGINE_OPS_THIN_CONV_H

#include "engine/build.h"

/* Whether these passes can do it and pay: at most 4 channels out of blocks of 16, stride and dilation 1, one group. */
bool thin_conv_fits(const ConvSpec *spec, const Tensor *src, const Tensor *weights);

/* As op_conv, without its activation. */
Tensor *record_thin_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias);
/* As op_conv_backward, without the bias; diff_weights may be NULL. */
Tensor *record_thin_conv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                                  bool want_diff_src, Tensor *diff_weights);

#endif
