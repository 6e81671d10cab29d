/* targets.c - what the losses of a program compare with. See compile.h for how a mask is brought to a smaller size. */
#include "model/targets.h"

#include "base/spans.h"

#include <string.h>

enum { ROWS_GRAIN = 256 };

/* ---- masks by nearest neighbour: src N,H,W, dst N,h,w */

static void shrink_row(const uint8_t *src, int64_t src_width, uint8_t *dst, int64_t width) {
    /* (2 x + 1) W / (2 w), by its whole part and remainder */
    const int64_t whole = src_width / width, part = 2 * (src_width % width);
    int64_t at = src_width / (2 * width), rest = src_width % (2 * width);
    for (int64_t x = 0; x < width; x++) {
        dst[x] = src[at];
        at += whole;
        rest += part;
        if (rest < 2 * width) continue;
        at++;
        rest -= 2 * width;
    }
}

static double shrink_span(const void *context, int64_t first, int64_t last) {
    const NativeCall *call = context;
    const Shape from = call->src[0].shape, to = call->dst[0].shape;
    const int64_t h = to.dim[1], w = to.dim[2];
    for (int64_t row = first; row < last; row++) {
        int64_t y = (2 * (row % h) + 1) * from.dim[1] / (2 * h);
        shrink_row((const uint8_t *)call->src[0].data + (row / h * from.dim[1] + y) * from.dim[2], from.dim[2],
                   (uint8_t *)call->dst[0].data + row * w, w);
    }
    return 0;
}

static void shrink_mask(const NativeCall *call) {
    const Shape to = call->dst[0].shape;
    spans_run(to.dim[0] * to.dim[1], ROWS_GRAIN, shrink_span, call);
}

/* ---- the tensors */

static Tensor *find(const Targets *t, const char *name, Shape shape) {
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->made[i].name, name) == 0 && shape_equal(tensor_shape(t->made[i].tensor), shape))
            return t->made[i].tensor;
    return NULL;
}

static Tensor *add(Targets *t, const char *name, Tensor *tensor) {
    if (t->n < TARGETS_MAX) t->made[t->n++] = (struct Target){name, tensor};
    return tensor;
}

static Tensor *external(Targets *t, const LossTerm *term, Shape shape) {
    Tensor *made = find(t, term->target, shape);
    return made ? made : add(t, term->target, build_external(t->b, term->target, term->target_type, shape, NULL));
}

static Tensor *smaller(Targets *t, const LossTerm *term, Tensor *mask, Shape shape) {
    Tensor *made = find(t, term->target, shape);
    if (made) return made;
    Tensor *dst = build_tensor(t->b, U8, shape);
    op_native(t->b, &(NativeSpec){.name = "mask_nearest",
                                  .fn = shrink_mask,
                                  .layout = NATIVE_DENSE,
                                  .n_src = 1,
                                  .src = {mask},
                                  .n_dst = 1,
                                  .dst = {dst}});
    return add(t, term->target, dst);
}

/* Without the channels. */
static Shape mask_shape(Shape value) {
    Shape mask = {.rank = value.rank - 1, .dim = {value.dim[0]}};
    for (int i = 1; i < mask.rank; i++) mask.dim[i] = value.dim[i + 1];
    return mask;
}

Tensor *targets_get(Targets *t, const LossTerm *term, Shape value) {
    if (term->target_type == S32) return external(t, term, SHAPE(value.dim[0]));
    if (term->target_type == F32) return external(t, term, value);
    const Shape full = mask_shape(t->input), own = mask_shape(value);
    if (full.rank != 3 || own.rank != 3 || own.dim[1] > full.dim[1] || own.dim[2] > full.dim[2]) {
        char text[2][SHAPE_TEXT_BYTES];
        build_fail(t->b, "loss '%s': its layer gives %s, which does not fit masks of %s", term->name,
                   shape_text(own, text[0]), shape_text(full, text[1]));
        return NULL;
    }
    Tensor *mask = external(t, term, full);
    return shape_equal(full, own) ? mask : smaller(t, term, mask, own);
}
