/* orient.h - turns a picture the way EXIF says. */
#ifndef SANDGLASS_IO_ORIENT_H
#define SANDGLASS_IO_ORIENT_H

#include "io/image.h"

/* Whether an orientation swaps width and height. */
bool orient_swaps(int orientation);

/* Turn in place; 1: nothing to do. */
Err orient_apply(Image *image, int orientation, Error *err);

#endif
