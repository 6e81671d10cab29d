/* augment_kinds.h - the kinds of augmentation, one row each; defined in the augment_*.c, a family a file. */
#ifndef SANDGLASS_DATA_AUGMENT_KINDS_H
#define SANDGLASS_DATA_AUGMENT_KINDS_H

#include "data/augment.h"

extern const AugmentKind augment_flip, augment_scale, augment_rotate, augment_affine; /* augment_geometry.c */
extern const AugmentKind augment_crop;                                                /* augment_crop.c */
extern const AugmentKind augment_elastic;                                             /* augment_elastic.c */
extern const AugmentKind augment_color;                                               /* augment_color.c */
extern const AugmentKind augment_blur, augment_noise;                                 /* augment_filter.c */
extern const AugmentKind augment_cutout;                                              /* augment_cutout.c */

#endif
