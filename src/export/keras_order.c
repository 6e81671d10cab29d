/* keras_order.c - values in another order of their axes. See keras_order.h. */
#include "export/keras_order.h"

bool keras_order_shows(Shape ours) {
    return ours.rank == 4 && ours.dim[1] > 1 && ours.dim[2] * ours.dim[3] > 1;
}

const float *keras_permuted(Arena *arena, const float *from, Shape shape, const int *order) {
    int64_t stride[SHAPE_MAX_RANK], at[SHAPE_MAX_RANK] = {0}, n = shape_size(shape), step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i];
    }
    float *to = ARENA_ARRAY(arena, float, n);
    for (int64_t k = 0; k < n; k++) {
        int64_t place = 0;
        for (int i = 0; i < shape.rank; i++) place += at[i] * stride[order[i]];
        to[k] = from[place];
        for (int i = shape.rank - 1; i >= 0 && ++at[i] == shape.dim[order[i]]; i--) at[i] = 0;
    }
    return to;
}
