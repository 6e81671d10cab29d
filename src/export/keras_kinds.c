/* keras_kinds.c - how each layer kind is said in Keras' layers. See keras_kinds.h.
 *
 * Padding. Keras knows `same`, which is our `same`, and `valid`. Pixels are `same` where that is what they come to at
 * any size (stride 1), else a ZeroPadding2D in front. Transposed convolutions are `valid` with a Cropping2D behind,
 * because versions of Keras 3 disagree on which side of `same` the odd pixel is cut off.
 */
#include "export/keras_kinds.h"

#include "export/keras_order.h"
#include "export/knob.h"
#include "layers/window.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TOP, BOTTOM, LEFT, RIGHT };

static const GraphNode *node_of(const KerasModel *m) {
    return &m->graph->nodes[m->node];
}

Shape keras_src_shape(const KerasModel *m, int node, int k) {
    int src = m->graph->nodes[node].src[k];
    return src < 0 ? m->graph->input : m->graph->shapes[src];
}

static Shape src_shape(const KerasModel *m) {
    return keras_src_shape(m, m->node, 0);
}

static Shape dst_shape(const KerasModel *m) {
    return m->graph->shapes[m->node];
}

static int PRINTF_LIKE(2, 3) cannot(char phrase[KERAS_PHRASE_BYTES], const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(phrase, KERAS_PHRASE_BYTES, format, args);
    va_end(args);
    return -1;
}

/* A layer without options or weights. */
static int plain(KerasModel *m, const char *class_name, const int *src) {
    keras_layer(m, class_name, "", node_of(m)->n_src, src);
    return keras_last(m);
}

static int with_float(KerasModel *m, const char *class_name, const int *src, const char *option, double value) {
    KerasLayer *l = keras_layer(m, class_name, "", 1, src);
    json_float(&l->config, option, value);
    return keras_last(m);
}

static int pass(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return src[0];
}

/* ---- windows ---- */

static void quad_of(const Window *w, int64_t quad[4]) {
    for (int axis = 0; axis < 2; axis++) {
        quad[2 * axis] = w->pad_lo[axis];
        quad[2 * axis + 1] = w->pad_hi[axis];
    }
}

/* The knob says `same`, or pixels that are it at any size. */
static bool pads_same(const ParamList *knob, const Window *w) {
    if (knob->n == 1 && strcmp(knob->strings[0], "same") == 0) return true;
    for (int axis = 0; axis < 2; axis++) {
        int64_t total = w->dilation[axis] * (w->kernel[axis] - 1);
        if (w->stride[axis] != 1 || w->pad_lo[axis] != total / 2 || w->pad_hi[axis] != total - total / 2) return false;
    }
    return true;
}

static Window window_of(const GraphNode *n, Shape src, const char *kernel_knob, bool dilated) {
    Window w = {.dilation = {1, 1}};
    const int64_t *kernel = knob_pair(n, kernel_knob), *stride = knob_pair(n, "stride");
    for (int axis = 0; axis < 2; axis++) {
        w.kernel[axis] = kernel[axis];
        w.stride[axis] = stride[axis] ? stride[axis] : kernel[axis];
        if (dilated) w.dilation[axis] = knob_pair(n, "dilation")[axis];
    }
    char phrase[LAYER_PHRASE_BYTES];
    window_slide(&w, knob_list(n, "padding", PARAM_STRINGS), src, phrase); /* the graph has seen to it that it fits */
    return w;
}

/* ---- layers with weights ---- */

static void add_bias(KerasModel *m, KerasLayer *l) {
    bool bias = knob_bool(node_of(m), "bias");
    json_bool(&l->config, "use_bias", bias);
    Shape shape;
    const float *values = bias ? keras_values(m, m->node, 1, &shape) : NULL;
    if (values) keras_weight(l, "bias", 1, shape.dim, values);
}

/* O,I to I,O */
static void add_matrix(KerasModel *m, KerasLayer *l, const char *name, int slot) {
    Shape shape;
    const float *values = keras_values(m, m->node, slot, &shape);
    keras_weight(l, name, 2, (int64_t[]){shape.dim[1], shape.dim[0]},
                 keras_permuted(m->arena, values, shape, (int[]){1, 0}));
}

static int emit_dense(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    Shape from = src_shape(m);
    int rows = from.rank == 3 ? src[0] : keras_rows(m, src[0], from);
    KerasLayer *l = keras_layer(m, "Dense", "", 1, &rows);
    json_int(&l->config, "units", knob_int(node_of(m), "units"));
    add_matrix(m, l, "kernel", 0);
    add_bias(m, l);
    return keras_last(m);
}

static int emit_conv2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const GraphNode *n = node_of(m);
    Window w = window_of(n, src_shape(m), "kernel", true);
    if ((w.stride[0] > 1 || w.stride[1] > 1) && (w.dilation[0] > 1 || w.dilation[1] > 1))
        return cannot(phrase, "Keras has no convolution with both stride and dilation above 1");
    bool same = pads_same(knob_list(n, "padding", PARAM_STRINGS), &w);
    int64_t pads[4];
    quad_of(&w, pads);
    int from = same ? src[0] : keras_pad(m, src[0], pads);
    KerasLayer *l = keras_layer(m, "Conv2D", "", 1, &from);
    json_int(&l->config, "filters", knob_int(n, "filters"));
    keras_ints(l, "kernel_size", 2, w.kernel);
    keras_ints(l, "strides", 2, w.stride);
    keras_ints(l, "dilation_rate", 2, w.dilation);
    json_int(&l->config, "groups", knob_int(n, "groups"));
    json_string(&l->config, "padding", same ? "same" : "valid");
    Shape s; /* O,I,H,W to H,W,I,O */
    const float *values = keras_values(m, m->node, 0, &s);
    keras_weight(l, "kernel", 4, (int64_t[]){s.dim[2], s.dim[3], s.dim[1], s.dim[0]},
                 keras_permuted(m->arena, values, s, (int[]){2, 3, 1, 0}));
    add_bias(m, l);
    return keras_last(m);
}

/* O,I/groups,H,W as one group, with zeros between the parts that do not mix, and zeros behind the last rows and
 * columns; the axes H,W,O,I. */
static const float *spread_kernel(const KerasModel *m, const float *from, Shape s, int64_t groups,
                                  const int64_t size[2]) {
    int64_t inputs = s.dim[1] * groups, outputs = s.dim[0];
    float *to = ARENA_ARRAY(m->arena, float, size[0] * size[1] * outputs * inputs);
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < s.dim[1]; i++)
            for (int64_t y = 0; y < s.dim[2]; y++)
                for (int64_t x = 0; x < s.dim[3]; x++) {
                    int64_t input = o / (outputs / groups) * s.dim[1] + i;
                    to[((y * size[1] + x) * outputs + o) * inputs + input] =
                        from[((o * s.dim[1] + i) * s.dim[2] + y) * s.dim[3] + x];
                }
    return to;
}

static int emit_conv_transpose2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const GraphNode *n = node_of(m);
    const int64_t *kernel = knob_pair(n, "kernel"), *stride = knob_pair(n, "stride");
    Window w = {.kernel = {kernel[0], kernel[1]}, .stride = {stride[0], stride[1]}, .dilation = {1, 1}};
    char unused[LAYER_PHRASE_BYTES];
    window_spread(&w, knob_list(n, "padding", PARAM_STRINGS), knob_pair(n, "output_padding"), src_shape(m), unused);
    /* Keras' `valid` gives in * stride where that is more than (in - 1) * stride + kernel. A pad below 0 wants more
     * rows than the kernel makes: it gets zeros for them. */
    int64_t crop[4], size[2];
    for (int axis = 0; axis < 2; axis++) {
        int64_t more = w.pad_hi[axis] < 0 ? -w.pad_hi[axis] : 0;
        size[axis] = w.kernel[axis] + more;
        int64_t beyond = size[axis] < w.stride[axis] ? w.stride[axis] - size[axis] : 0;
        crop[2 * axis] = w.pad_lo[axis];
        crop[2 * axis + 1] = w.pad_hi[axis] + more + beyond;
    }
    KerasLayer *l = keras_layer(m, "Conv2DTranspose", "", 1, src);
    json_int(&l->config, "filters", knob_int(n, "filters"));
    keras_ints(l, "kernel_size", 2, size);
    keras_ints(l, "strides", 2, w.stride);
    json_string(&l->config, "padding", "valid");
    Shape s;
    const float *values = keras_values(m, m->node, 0, &s);
    int64_t groups = knob_int(n, "groups");
    keras_weight(l, "kernel", 4, (int64_t[]){size[0], size[1], s.dim[0], s.dim[1] * groups},
                 spread_kernel(m, values, s, groups, size));
    add_bias(m, l);
    return keras_crop(m, keras_last(m), crop);
}

static int emit_batchnorm(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    static const char *const names[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    const GraphNode *n = node_of(m);
    KerasLayer *l = keras_layer(m, "BatchNormalization", "", 1, src);
    l->fixed |= knob_bool(n, "use_running");
    json_int(&l->config, "axis", -1);
    json_float(&l->config, "momentum", 1 - knob_float(n, "momentum"));
    json_float(&l->config, "epsilon", knob_float(n, "epsilon"));
    for (int slot = 0; slot < 4; slot++) {
        Shape shape;
        const float *values = keras_values(m, m->node, slot, &shape);
        keras_weight(l, names[slot], 1, shape.dim, values);
    }
    return keras_last(m);
}

/* Gates in our order i, f, g, o, which is Keras'. */
static int emit_lstm(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const GraphNode *n = node_of(m);
    bool sequences = knob_bool(n, "sequences"), reverse = knob_bool(n, "reverse");
    if (sequences && reverse)
        return cannot(phrase, "Keras gives the states of a reversed sequence in reversed order, and has no layer that "
                              "turns them around");
    KerasLayer *l = keras_layer(m, "LSTM", "", 1, src);
    json_int(&l->config, "units", knob_int(n, "units"));
    json_string(&l->config, "activation", "tanh");
    json_string(&l->config, "recurrent_activation", "sigmoid");
    json_bool(&l->config, "use_bias", true);
    json_bool(&l->config, "unit_forget_bias", knob_bool(n, "unit_forget_bias"));
    json_bool(&l->config, "return_sequences", sequences);
    json_bool(&l->config, "go_backwards", reverse);
    add_matrix(m, l, "kernel", 0);
    add_matrix(m, l, "recurrent_kernel", 1);
    Shape shape;
    const float *bias = keras_values(m, m->node, 2, &shape);
    keras_weight(l, "bias", 1, shape.dim, bias);
    return keras_last(m);
}

/* ---- pooling, sizes ---- */

static void pool_options(KerasLayer *l, const Window *w, bool same) {
    keras_ints(l, "pool_size", 2, w->kernel);
    keras_ints(l, "strides", 2, w->stride);
    json_string(&l->config, "padding", same ? "same" : "valid");
}

/* x where it is, -3e38 outside: a pad that never wins. */
static int pad_with_least(KerasModel *m, int layer, int64_t channels, const int64_t pads[4]) {
    const double least = 3e38;
    int inside = keras_rescale(m, "outside", keras_pad(m, keras_ones(m, layer, channels), pads), least, -least);
    return keras_merge(m, "Add", "padded", keras_pad(m, layer, pads), inside);
}

/* Whether a node's values are never below 0, so that zeros around them win nowhere that matters: a window always holds
 * some of its own. */
static bool never_negative(const Graph *graph, int i) {
    static const char *const passing[] = {"maxpool2d", "avgpool2d", "dropout", "dropout2d", "crop"};
    if (i < 0) return false;
    const GraphNode *n = &graph->nodes[i];
    if (strcmp(n->kind->name, "activation") == 0) {
        const char *kind = knob_choice(n, "kind");
        return strcmp(kind, "relu") == 0 || strcmp(kind, "sigmoid") == 0 || strcmp(kind, "softmax") == 0;
    }
    for (size_t k = 0; k < sizeof passing / sizeof *passing; k++)
        if (strcmp(n->kind->name, passing[k]) == 0) return never_negative(graph, n->src[0]);
    return false;
}

int keras_emit_maxpool(KerasModel *m, int node, int layer, const char *what) {
    const GraphNode *n = &m->graph->nodes[node];
    Shape src = keras_src_shape(m, node, 0);
    Window w = window_of(n, src, "size", false);
    bool same = pads_same(knob_list(n, "padding", PARAM_STRINGS), &w);
    int64_t pads[4];
    quad_of(&w, pads);
    bool padded = pads[TOP] || pads[BOTTOM] || pads[LEFT] || pads[RIGHT];
    if (!same && padded)
        layer = never_negative(m->graph, n->src[0]) ? keras_pad(m, layer, pads)
                                                    : pad_with_least(m, layer, src.dim[1], pads);
    pool_options(keras_layer(m, "MaxPooling2D", what, 1, &layer), &w, same);
    return keras_last(m);
}

static int emit_maxpool2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return keras_emit_maxpool(m, m->node, src[0], "");
}

static int emit_avgpool2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const GraphNode *n = node_of(m);
    Window w = window_of(n, src_shape(m), "size", false);
    bool counts = knob_bool(n, "count_include_pad");
    bool same = !counts && pads_same(knob_list(n, "padding", PARAM_STRINGS), &w);
    int64_t pads[4];
    quad_of(&w, pads);
    bool padded = pads[TOP] || pads[BOTTOM] || pads[LEFT] || pads[RIGHT];
    if (padded && !counts && !same)
        return cannot(phrase, "Keras leaves padding out of a mean only where the padding is 'same'");
    int layer = padded && counts ? keras_pad(m, src[0], pads) : src[0];
    pool_options(keras_layer(m, "AveragePooling2D", "", 1, &layer), &w, same);
    return keras_last(m);
}

static int emit_upsample2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const char *mode = knob_choice(node_of(m), "mode");
    const int64_t *size = knob_pair(node_of(m), "size");
    Shape from = src_shape(m), to = dst_shape(m);
    int64_t factor[2];
    bool whole = true;
    for (int i = 0; i < 2; i++) {
        factor[i] = to.dim[2 + i] / from.dim[2 + i];
        whole &= factor[i] * from.dim[2 + i] == to.dim[2 + i];
    }
    if (!whole && strcmp(mode, "nearest") == 0)
        return cannot(phrase,
                      "Keras' backends do not agree on the nearest pixel where the size does not grow by whole "
                      "factors (%" PRId64 "x%" PRId64 " to %" PRId64 "x%" PRId64 ")",
                      from.dim[2], from.dim[3], to.dim[2], to.dim[3]);
    KerasLayer *l = keras_layer(m, whole ? "UpSampling2D" : "Resizing", "", 1, src);
    if (whole) {
        keras_ints(l, "size", 2, factor);
    } else {
        json_int(&l->config, "height", size[0] ? size[0] : to.dim[2]);
        json_int(&l->config, "width", size[1] ? size[1] : to.dim[3]);
    }
    json_string(&l->config, "interpolation", mode);
    return keras_last(m);
}

static int emit_pad(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const char *mode = knob_choice(node_of(m), "mode");
    if (strcmp(mode, "zero") != 0) return cannot(phrase, "Keras pads with zeros only, not by '%s'", mode);
    keras_quad(keras_layer(m, "ZeroPadding2D", "", 1, src), "padding", knob_quad(node_of(m), "padding"));
    return keras_last(m);
}

static int emit_crop(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    keras_quad(keras_layer(m, "Cropping2D", "", 1, src), "cropping", knob_quad(node_of(m), "crop"));
    return keras_last(m);
}

/* ---- shapes and sums ---- */

static int emit_flatten(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return keras_rows(m, src[0], src_shape(m));
}

static int emit_reshape(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return keras_reshape(m, src[0], src_shape(m), dst_shape(m));
}

static int emit_concat(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    static const int64_t of_picture[] = {0, 3, 1, 2};
    int64_t axis = knob_int(node_of(m), "axis");
    KerasLayer *l = keras_layer(m, "Concatenate", "", node_of(m)->n_src, src);
    json_int(&l->config, "axis", dst_shape(m).rank == 4 ? of_picture[axis] : axis);
    return keras_last(m);
}

static int emit_add(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return plain(m, "Add", src);
}

static int emit_repeat_vector(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    json_int(&keras_layer(m, "RepeatVector", "", 1, src)->config, "n", knob_int(node_of(m), "n"));
    return keras_last(m);
}

/* The means, which is what a sample is where nothing is drawn: the first half of the channels, cut out as if they were
 * rows of a picture. */
static int emit_gaussian_sample(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    Shape to = dst_shape(m);
    int64_t half = to.dim[1];
    if (to.rank == 2) {
        keras_ints(keras_layer(m, "Reshape", "rows", 1, src), "target_shape", 3, (int64_t[]){2 * half, 1, 1});
    } else {
        keras_ints(keras_layer(m, "Permute", "chw", 1, src), "dims", 3, (int64_t[]){3, 1, 2});
    }
    int cut = keras_crop(m, keras_last(m), (int64_t[]){0, half, 0, 0});
    if (to.rank == 2) {
        keras_layer(m, "Flatten", "", 1, &cut);
        return keras_last(m);
    }
    keras_ints(keras_layer(m, "Permute", "", 1, &cut), "dims", 3, (int64_t[]){2, 3, 1});
    return keras_last(m);
}

/* ---- activations, noise ---- */

static int emit_activation(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    const GraphNode *n = node_of(m);
    const char *kind = knob_choice(n, "kind");
    const ParamList *alpha = knob_list(n, "alpha", PARAM_FLOATS);
    if (strcmp(kind, "identity") == 0) return src[0];
    if (strcmp(kind, "relu") == 0) return plain(m, "ReLU", src);
    /* ReLU has the slope under one name in all versions; LeakyReLU has not. */
    if (strcmp(kind, "leaky_relu") == 0)
        return with_float(m, "ReLU", src, "negative_slope", alpha->n ? alpha->floats[0] : 0.01);
    if (strcmp(kind, "elu") == 0) return with_float(m, "ELU", src, "alpha", alpha->n ? alpha->floats[0] : 1);
    if (strcmp(kind, "softmax") == 0) {
        json_int(&keras_layer(m, "Softmax", "", 1, src)->config, "axis", -1);
        return keras_last(m);
    }
    if (strcmp(kind, "swish") == 0 && alpha->n && alpha->floats[0] != 1) {
        int steeper = keras_rescale(m, "steeper", src[0], alpha->floats[0], 0);
        json_string(&keras_layer(m, "Activation", "gate", 1, &steeper)->config, "activation", "sigmoid");
        return keras_merge(m, "Multiply", "", src[0], keras_last(m));
    }
    json_string(&keras_layer(m, "Activation", "", 1, src)->config, "activation", kind);
    return keras_last(m);
}

static int emit_dropout(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return with_float(m, "Dropout", src, "rate", knob_float(node_of(m), "rate"));
}

static int emit_dropout2d(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return with_float(m, "SpatialDropout2D", src, "rate", knob_float(node_of(m), "rate"));
}

/* Without its clipping, which Keras lacks: both are for training only. */
static int emit_gaussian_noise(KerasModel *m, const int *src, char phrase[KERAS_PHRASE_BYTES]) {
    return with_float(m, "GaussianNoise", src, "stddev", knob_float(node_of(m), "deviation"));
}

const KerasKind keras_kinds[] = {
    {{"dense", NULL}, emit_dense},
    {{"conv2d", NULL}, emit_conv2d},
    {{"conv_transpose2d", NULL}, emit_conv_transpose2d},
    {{"maxpool2d", NULL}, emit_maxpool2d},
    {{"avgpool2d", NULL}, emit_avgpool2d},
    {{"max_unpool2d", NULL}, keras_emit_unpool},
    {{"upsample2d", NULL}, emit_upsample2d},
    {{"batchnorm", NULL}, emit_batchnorm},
    {{"lstm", NULL}, emit_lstm},
    {{"repeat_vector", NULL}, emit_repeat_vector},
    {{"activation", NULL}, emit_activation},
    {{"dropout", NULL}, emit_dropout},
    {{"dropout2d", NULL}, emit_dropout2d},
    {{"gaussian_noise", NULL}, emit_gaussian_noise},
    {{"masking_noise", NULL}, pass}, /* in training only, and no layer of Keras': left out */
    {{"salt_pepper_noise", NULL}, pass},
    {{"gaussian_sample", NULL}, emit_gaussian_sample},
    {{"concat", NULL}, emit_concat},
    {{"add", NULL}, emit_add},
    {{"flatten", NULL}, emit_flatten},
    {{"reshape", NULL}, emit_reshape},
    {{"pad", NULL}, emit_pad},
    {{"crop", NULL}, emit_crop},
    {{NULL, NULL}, NULL},
};
