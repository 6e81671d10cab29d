/* ops_quant.h - convolution in 8-bit integers. Private to this folder. */
#ifndef SANDGLASS_ENGINE_OPS_QUANT_H
#define SANDGLASS_ENGINE_OPS_QUANT_H

#include "engine/internal.h"

/* Whether op_conv is to compute in 8 bits: an inference program, a source whose range is known (build_range),
 * enough channels on both sides. */
bool quant_conv_fits(const Build *b, const ConvSpec *spec, const Tensor *src, const Tensor *weights);
Tensor *record_quant_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias);

#endif
