/* keras_unpool.c - max_unpool2d out of Keras' core layers, which have none: SegNet (Badrinarayanan et al. 2015).
 *
 * Windows do not overlap (stride = size); all pictures below are of the size of the pool's source.
 *
 *     at_max  = step(src - up(pool(src)))          1 where a pixel is its window's maximum, else 0
 *     order   = k, k-1, ... 1                      within each window, in row order
 *     first   = step(ranked - up(pool(ranked)))    ranked = at_max * order: of several maxima the first
 *     dst     = first * up(x)
 *
 *     step(d) = relu(1e38 * d + 1)                 of d <= 0: 1 at 0, 0 at any d that is not as good as 0
 *     up      = UpSampling2D, cut to the source's place; rows and columns that no window covers stay out, and are 0 in
 * dst
 *
 * order is a transposed convolution of a plane of ones with the window's numbers: a model has no constants.
 */
#include "export/keras_kinds.h"

#include "export/knob.h"
#include "layers/window.h"

#include <stdio.h>

/* Where the windows lie. */
typedef struct Cover {
    Window w;
    int64_t cut[4];   /* of what is upsampled: what lies outside the source */
    int64_t spare[4]; /* of the source: what no window covers */
} Cover;

static bool cover_of(Cover *c, const GraphNode *pool, Shape src) {
    const int64_t *size = knob_pair(pool, "size"), *stride = knob_pair(pool, "stride");
    *c = (Cover){.w = {.dilation = {1, 1}}};
    for (int axis = 0; axis < 2; axis++) {
        c->w.kernel[axis] = size[axis];
        c->w.stride[axis] = stride[axis] ? stride[axis] : size[axis];
        if (c->w.stride[axis] != size[axis]) return false;
    }
    char phrase[LAYER_PHRASE_BYTES];
    window_slide(&c->w, knob_list(pool, "padding", PARAM_STRINGS), src, phrase);
    for (int axis = 0; axis < 2; axis++) {
        int64_t end = c->w.dst[axis] * size[axis] - c->w.pad_lo[axis], beyond = end - src.dim[2 + axis];
        c->cut[2 * axis] = c->w.pad_lo[axis];
        c->cut[2 * axis + 1] = beyond > 0 ? beyond : 0;
        c->spare[2 * axis + 1] = beyond < 0 ? -beyond : 0;
    }
    return true;
}

/* Each pixel repeated over its window. */
static int up(KerasModel *m, const Cover *c, int layer) {
    keras_ints(keras_layer(m, "UpSampling2D", "up", 1, &layer), "size", 2, c->w.kernel);
    return keras_crop(m, keras_last(m), c->cut);
}

static int step(KerasModel *m, int layer) {
    int rescaled = keras_rescale(m, "steep", layer, 1e38, 1);
    keras_layer(m, "ReLU", "step", 1, &rescaled);
    return keras_last(m);
}

/* Whether each value is its window's largest. */
static int is_largest(KerasModel *m, const Cover *c, int src, int pooled) {
    return step(m, keras_merge(m, "Subtract", "below_max", src, up(m, c, pooled)));
}

/* N,H,W,1: each window numbered from its size down to 1. */
static int order_in_window(KerasModel *m, const Cover *c, int pooled, int64_t channels) {
    int ones = keras_ones(m, pooled, channels);
    int64_t taps = c->w.kernel[0] * c->w.kernel[1];
    float *numbers = ARENA_ARRAY(m->arena, float, taps);
    for (int64_t i = 0; i < taps; i++) numbers[i] = (float)(taps - i);
    KerasLayer *l = keras_layer(m, "Conv2DTranspose", "order", 1, &ones);
    l->fixed = true;
    json_int(&l->config, "filters", 1);
    keras_ints(l, "kernel_size", 2, c->w.kernel);
    keras_ints(l, "strides", 2, c->w.kernel);
    json_bool(&l->config, "use_bias", false);
    keras_weight(l, "kernel", 4, (int64_t[]){c->w.kernel[0], c->w.kernel[1], 1, 1}, numbers);
    return keras_crop(m, keras_last(m), c->cut);
}

/* The windows once more: they have no outside that could win, as ranks are above 0 and the pads are Keras' own or 0. */
static int pool_ranks(KerasModel *m, const Cover *c, int ranked) {
    int padded = keras_pad(m, ranked, c->cut);
    KerasLayer *l = keras_layer(m, "MaxPooling2D", "best", 1, &padded);
    keras_ints(l, "pool_size", 2, c->w.kernel);
    keras_ints(l, "strides", 2, c->w.kernel);
    return keras_last(m);
}

int keras_emit_unpool(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    int pool = m->graph->nodes[m->node].partner;
    int pool_src = m->graph->nodes[pool].src[0];
    Shape shape = keras_src_shape(m, pool, 0);
    Cover c;
    if (!cover_of(&c, &m->graph->nodes[pool], shape)) {
        snprintf(phrase, KERAS_PHRASE_BYTES,
                 "Keras has no unpooling, and one of its core layers only where the pool's windows do not overlap");
        return -1;
    }
    int pooled = m->of_node[pool];
    int seen = keras_crop(m, pool_src < 0 ? m->input : m->of_node[pool_src], c.spare);
    int order = order_in_window(m, &c, pooled, shape.dim[1]);
    int ranked = keras_merge(m, "Multiply", "ranked", is_largest(m, &c, seen, pooled), order);
    int first = is_largest(m, &c, ranked, pool_ranks(m, &c, ranked));
    int result = keras_merge(m, "Multiply", "", up(m, &c, src[0]), first);
    return keras_pad(m, result, c.spare);
}
