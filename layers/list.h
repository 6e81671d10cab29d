/* list.h - every layer kind, one line each. layers/NAME.c defines `const LayerKind layer_NAME`. */
#ifndef SANDGLASS_LAYERS_LIST_H
#define SANDGLASS_LAYERS_LIST_H

#include "model/layer.h"

// clang-format off
#define LAYER_LIST(KIND)   \
    KIND(dense)            \
    KIND(conv2d)           \
    KIND(conv_transpose2d) \
    KIND(maxpool2d)        \
    KIND(avgpool2d)        \
    KIND(max_unpool2d)     \
    KIND(upsample2d)       \
    KIND(batchnorm)        \
    KIND(lstm)             \
    KIND(repeat_vector)    \
    KIND(activation)       \
    KIND(dropout)          \
    KIND(dropout2d)        \
    KIND(gaussian_noise)   \
    KIND(masking_noise)    \
    KIND(salt_pepper_noise) \
    KIND(gaussian_sample)  \
    KIND(concat)           \
    KIND(add)              \
    KIND(flatten)          \
    KIND(reshape)          \
    KIND(pad)              \
    KIND(crop)
// clang-format on

#define LAYER_DECLARE(name) extern const LayerKind layer_##name;
LAYER_LIST(LAYER_DECLARE)
#undef LAYER_DECLARE

#endif
