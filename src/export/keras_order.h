/* keras_order.h - values in another order of their axes, for both ways between Keras and us. */
#ifndef SANDGLASS_EXPORT_KERAS_ORDER_H
#define SANDGLASS_EXPORT_KERAS_ORDER_H

#include "base/arena.h"
#include "engine/build.h"

/* Whether it matters that Keras has pictures as N,H,W,C: of one channel, or of one pixel, both orders are one. */
bool keras_order_shows(Shape ours);
/* Values of this shape with the axes in another order: axis i of the result is axis order[i] of `from`. */
const float *keras_permuted(Arena *arena, const float *from, Shape shape, const int *order);

#endif
