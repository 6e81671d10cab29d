/* replace.h - values replaced at random: what dropout, masking_noise and salt_pepper_noise have in common. No layer.
 *
 *     dst = u < low_rate ? low : u < rate ? high : scale * src          u uniform in [0, 1)
 *
 * u is the stream (seed, RNG_LAYER, step, layer number), drawn anew for each value and step. What was let through is
 * kept for the gradient, a byte a value: scale * diff_dst there, 0 elsewhere.
 */
#ifndef SANDGLASS_LAYERS_REPLACE_H
#define SANDGLASS_LAYERS_REPLACE_H

#include "layers/common.h"

typedef struct Replacement {
    const char *name, *backward_name; /* of the steps */
    NativeLayout layout;              /* NATIVE_DENSE where a replaced padding would not be 0 */
    float low_rate, low;
    float rate, high; /* rate: low and high together */
    float scale;
} Replacement;

/* Sets l->dst and l->kept[0]; src of any shape. */
void layer_replace(Build *b, LayerBuild *l, const Replacement *r);
/* Sets l->diff_src[0], where it is wanted. */
void layer_replace_backward(Build *b, LayerBuild *l, const Replacement *r);

#endif
