/* augment_kinds.h - the kinds of augmentation, one row each; defined in augment_geometry.c and augment_color.c. */
#ifndef SANDGLASS_DATA_AUGMENT_KINDS_H
#define SANDGLASS_DATA_AUGMENT_KINDS_H

#include "data/augment.h"

extern const AugmentKind augment_flip, augment_crop, augment_scale, augment_rotate;
extern const AugmentKind augment_color, augment_noise, augment_cutout;

#endif
