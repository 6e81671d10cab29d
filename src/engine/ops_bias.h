/* ops_bias.h - adding a bias per channel, and its gradient, by passes of our own. Private to this folder. */
#ifndef SANDGLASS_ENGINE_OPS_BIAS_H
#define SANDGLASS_ENGINE_OPS_BIAS_H

#include "engine/build.h"

/* dst[n,c,...] = act(src[n,c,...] + bias[c]), in place where possible. */
Tensor *record_bias(Build *b, Tensor *src, Tensor *bias, Act act);
/* diff_bias[c] = sum over n and places of diff_dst[n,c,...]. */
void record_bias_backward(Build *b, Tensor *diff_dst, Tensor *diff_bias);

#endif
