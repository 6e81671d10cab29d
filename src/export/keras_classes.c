/* keras_classes.c - what Keras' layer classes are in our network. See keras_import.h.
 *
 * A row names the class, the options it reads, and those that must have one of some values. Options of all classes that
 * only matter in training are passed over.
 */
#include "export/keras_values.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RULES = 20 };

typedef struct KerasClass {
    const char *name;
    Err (*convert)(Importer *im, int e);
    OptionRule rules[MAX_RULES];
} KerasClass;

/* ---- activations ---- */

static Err plain_function(Importer *im, int e, const char *kind, double alpha) {
    import_put_function(im, "activation", kind, alpha);
    import_end_one(im, e);
    import_set_as_source(im, e);
    return OK;
}

/* Softmax over the last axis, which for a picture are the channels. */
static Err check_softmax(const Importer *im, int e) {
    const KerasValue *v = import_source(im, e);
    if (v->planes) return import_fail(im, e, "takes a softmax along a picture's rows: not supported");
    return import_need_one_order(im, e);
}

static Err convert_activation(Importer *im, int e) {
    const Function *f = NULL;
    TRY(import_find_function(im, e, &f));
    if (strcmp(f->ours, "softmax") == 0) TRY(check_softmax(im, e));
    import_begin(im, NULL);
    return plain_function(im, e, f->ours, f->alpha);
}

static Err convert_relu(Importer *im, int e) {
    double slope;
    TRY(keras_float_option(im, e, "negative_slope", 0, &slope));
    if (slope < 0) return import_fail(im, e, "option 'negative_slope' must be 0 or more");
    import_begin(im, NULL);
    return plain_function(im, e, slope > 0 ? "leaky_relu" : "relu", slope);
}

static Err convert_leaky_relu(Importer *im, int e) {
    double slope;
    TRY(keras_float_option(im, e, keras_option(im, e, "alpha") ? "alpha" : "negative_slope", 0.3, &slope));
    if (!(slope > 0)) return import_fail(im, e, "the slope must be above 0");
    import_begin(im, NULL);
    return plain_function(im, e, "leaky_relu", slope);
}

static Err convert_elu(Importer *im, int e) {
    double alpha;
    TRY(keras_float_option(im, e, "alpha", 1, &alpha));
    if (!(alpha > 0)) return import_fail(im, e, "option 'alpha' must be above 0");
    import_begin(im, NULL);
    return plain_function(im, e, "elu", alpha);
}

static Err convert_softmax(Importer *im, int e) {
    int64_t axis = -1, last = import_source(im, e)->shape.rank - 1;
    const Node *node = keras_option(im, e, "axis");
    if (node && node->type == NODE_LIST && node->n == 1) node = node->items[0];
    if (node && !keras_int(node, &axis)) axis = 0;
    if (axis != -1 && axis != last) return import_fail(im, e, "option 'axis' must be the last one, -1");
    TRY(check_softmax(im, e));
    import_begin(im, NULL);
    return plain_function(im, e, "softmax", 0);
}

/* ---- pooling, sizes ---- */

static Err pool(Importer *im, int e, const char *kind) {
    int64_t size[2], stride[2];
    TRY(import_need_picture(im, e));
    TRY(keras_pair_option(im, e, "pool_size", 2, size));
    memcpy(stride, size, sizeof stride);
    if (keras_option(im, e, "strides")) TRY(keras_pair_option(im, e, "strides", 0, stride));
    Shape shape;
    TRY(import_slide(im, e, size, stride, &shape));
    import_begin(im, kind);
    import_put_pair(im, "size", size);
    import_put_pair(im, "stride", stride);
    json_string(&im->layers, "padding", keras_text(im, e, "padding", "valid"));
    import_end_one(im, e);
    import_set(im, e, shape);
    return OK;
}

static Err convert_max_pooling(Importer *im, int e) {
    return pool(im, e, "maxpool2d");
}

static Err convert_average_pooling(Importer *im, int e) {
    return pool(im, e, "avgpool2d");
}

static Err convert_upsampling(Importer *im, int e) {
    int64_t size[2];
    TRY(import_need_picture(im, e));
    TRY(keras_pair_option(im, e, "size", 2, size));
    Shape shape = import_source(im, e)->shape;
    for (int i = 0; i < 2; i++) shape.dim[2 + i] *= size[i];
    import_begin(im, "upsample2d");
    import_put_pair(im, "scale", size);
    json_string(&im->layers, "mode", keras_text(im, e, "interpolation", "nearest"));
    import_end_one(im, e);
    import_set(im, e, shape);
    return OK;
}

static Err convert_padding(Importer *im, int e) {
    int64_t quad[4];
    TRY(import_need_picture(im, e));
    TRY(keras_quad_option(im, e, "padding", quad));
    Shape shape = import_source(im, e)->shape;
    for (int i = 0; i < 4; i++) shape.dim[2 + i / 2] += quad[i];
    import_begin(im, "pad");
    import_put_quad(im, "padding", quad);
    import_end_one(im, e);
    import_set(im, e, shape);
    return OK;
}

static Err convert_cropping(Importer *im, int e) {
    int64_t quad[4];
    TRY(import_need_picture(im, e));
    TRY(keras_quad_option(im, e, "cropping", quad));
    Shape shape = import_source(im, e)->shape;
    for (int i = 0; i < 4; i++) shape.dim[2 + i / 2] -= quad[i];
    if (shape.dim[2] < 1 || shape.dim[3] < 1) return import_fail(im, e, "nothing is left of the picture");
    import_begin(im, "crop");
    import_put_quad(im, "crop", quad);
    import_end_one(im, e);
    import_set(im, e, shape);
    return OK;
}

/* ---- shapes and sums ---- */

static Err convert_flatten(Importer *im, int e) {
    const KerasValue v = *import_source(im, e);
    import_begin(im, "flatten");
    import_end_one(im, e);
    import_set(im, e, SHAPE(1, shape_size(v.shape)));
    if (v.shape.rank == 2) memcpy(im->values[e].hwc, v.hwc, sizeof v.hwc);
    if (!keras_order_shows(v.shape) || v.planes) return OK;
    for (int i = 0; i < 3; i++) im->values[e].hwc[i] = v.shape.dim[i < 2 ? 2 + i : 1];
    return OK;
}

static Err refuse_order(const Importer *im, int e) {
    return import_fail(im, e,
                       "takes values between a picture and another shape in Keras' order, height, width, channels, "
                       "where no weights could make good that ours is another");
}

static Err convert_reshape(Importer *im, int e) {
    const KerasValue v = *import_source(im, e);
    int64_t axes[3];
    int n;
    if (!import_target_axes(im, e, shape_size(v.shape), axes, &n))
        return import_fail(im, e, "option 'target_shape' does not fit %" PRId64 " values", shape_size(v.shape));
    bool last = keras_order_shows(v.shape) && !v.planes;
    bool planes = n == 3 && import_sees_planes(im->file, e);
    KerasValue to = {.layer = im->names[e], .planes = planes};
    to.shape = n == 1   ? SHAPE(1, axes[0])
               : n == 2 ? SHAPE(1, axes[0], axes[1])
               : planes ? SHAPE(1, axes[0], axes[1], axes[2])
                        : SHAPE(1, axes[2], axes[0], axes[1]);
    if (n == 1) memcpy(to.hwc, v.hwc, sizeof to.hwc);
    for (int i = 0; i < 3 && n == 1 && last; i++) to.hwc[i] = v.shape.dim[i < 2 ? 2 + i : 1];
    bool shows = keras_order_shows(to.shape) && !planes;
    bool fits = n == 1 || (shows ? (last ? shape_equal(v.shape, to.shape) : memcmp(v.hwc, axes, sizeof axes) == 0)
                                 : !last && import_in_order(&v));
    if (!fits) return refuse_order(im, e);
    import_begin(im, "reshape");
    json_open_array(&im->layers, "shape");
    for (int i = 1; i < to.shape.rank; i++) json_int(&im->layers, NULL, to.shape.dim[i]);
    json_close(&im->layers);
    import_end_one(im, e);
    im->values[e] = to;
    return OK;
}

/* Channels last to first and back: nothing has to be done. */
static Err convert_permute(Importer *im, int e) {
    const KerasValue *v = import_source(im, e);
    const Node *dims = keras_option(im, e, "dims");
    bool to_planes = dims && keras_has_text(dims, "[3, 1, 2]", 9),
         to_last = dims && keras_has_text(dims, "[2, 3, 1]", 9);
    if (v->shape.rank != 4 || (v->planes ? !to_last : !to_planes))
        return import_fail(im, e,
                           "only a picture's channels from last to first, [3, 1, 2], and back, [2, 3, 1], can be read");
    im->values[e] = *v;
    im->values[e].planes = !v->planes;
    return OK;
}

static Err convert_concatenate(Importer *im, int e) {
    static const int64_t of_picture[] = {0, 2, 3, 1};
    const KerasEntry *entry = &im->file->entries[e];
    KerasValue src[LAYER_MAX_SRC];
    int64_t axis = -1;
    const Node *node = keras_option(im, e, "axis");
    if (node && !keras_int(node, &axis)) return import_fail(im, e, "option 'axis' is not a whole number");
    if (entry->n_src < 2 || entry->n_src > LAYER_MAX_SRC)
        return import_fail(im, e, "reads %d layers, 2 to %d can be read", entry->n_src, LAYER_MAX_SRC);
    Shape shape = import_source(im, e)->shape;
    if (axis < 0) axis += shape.rank;
    if (axis < 1 || axis >= shape.rank) return import_fail(im, e, "option 'axis' is none of the sources'");
    int64_t ours = shape.rank == 4 ? of_picture[axis] : axis, total = 0;
    for (int k = 0; k < entry->n_src; k++) {
        src[k] = im->values[entry->src[k]];
        if (src[k].planes || !import_in_order(&src[k]))
            return import_fail(im, e, "joins pictures with channels first, or flattened ones: not supported");
        if (src[k].shape.rank != shape.rank) return import_fail(im, e, "its sources have different ranks");
        total += src[k].shape.dim[ours];
    }
    shape.dim[ours] = total;
    import_begin(im, "concat");
    json_int(&im->layers, "axis", ours);
    import_end(im, e, im->names[e], entry->n_src, src);
    import_set(im, e, shape);
    return OK;
}

static Err convert_add(Importer *im, int e) {
    const KerasEntry *entry = &im->file->entries[e];
    KerasValue src[LAYER_MAX_SRC];
    if (entry->n_src < 2 || entry->n_src > LAYER_MAX_SRC)
        return import_fail(im, e, "reads %d layers, 2 to %d can be read", entry->n_src, LAYER_MAX_SRC);
    for (int k = 0; k < entry->n_src; k++) {
        src[k] = im->values[entry->src[k]];
        if (!shape_equal(src[k].shape, src[0].shape) || src[k].planes != src[0].planes ||
            memcmp(src[k].hwc, src[0].hwc, sizeof src[k].hwc) != 0)
            return import_fail(im, e, "its sources differ in shape, or in the order of their values: not supported");
    }
    import_begin(im, "add");
    import_end(im, e, im->names[e], entry->n_src, src);
    import_set_as_source(im, e);
    return OK;
}

static Err convert_repeat_vector(Importer *im, int e) {
    int64_t n;
    TRY(import_need_one_order(im, e));
    if (import_source(im, e)->shape.rank != 2) return import_fail(im, e, "reads no vector");
    TRY(keras_int_option(im, e, "n", 1, &n));
    import_begin(im, "repeat_vector");
    json_int(&im->layers, "n", n);
    import_end_one(im, e);
    import_set(im, e, SHAPE(1, n, import_source(im, e)->shape.dim[1]));
    return OK;
}

/* ---- noise ---- */

static Err with_float(Importer *im, int e, const char *kind, const char *theirs, const char *knob) {
    double value;
    TRY(keras_float_option(im, e, theirs, 0, &value));
    import_begin(im, kind);
    json_float(&im->layers, knob, value);
    import_end_one(im, e);
    import_set_as_source(im, e);
    return OK;
}

static Err convert_dropout(Importer *im, int e) {
    return with_float(im, e, "dropout", "rate", "rate");
}

static Err convert_spatial_dropout(Importer *im, int e) {
    TRY(import_need_picture(im, e));
    return with_float(im, e, "dropout2d", "rate", "rate");
}

static Err convert_gaussian_noise(Importer *im, int e) {
    return with_float(im, e, "gaussian_noise", "stddev", "deviation");
}

/* ---- the head ---- */

/* Pixels get to the network through data.mean and data.std, so what scales them must be the only one to see them. */
static Err need_head(const Importer *im, int e) {
    int src = im->file->entries[e].src[0];
    if (src != im->head || im->file->entries[src].n_readers != 1)
        return import_fail(im, e, "is not at the head of the model, alone: not supported elsewhere");
    return OK;
}

/* A number, or one for each channel. */
static Err channel_values(const Importer *im, int e, const char *name, double missing, double *out) {
    const Node *node = keras_option(im, e, name);
    while (node && node->type == NODE_LIST && node->n == 1) node = node->items[0];
    bool sound = true;
    for (int c = 0; c < im->n_channels && sound; c++) {
        out[c] = missing;
        if (node && node->type == NODE_LIST) sound = node->n == im->n_channels && keras_number(node->items[c], &out[c]);
        if (node && node->type != NODE_LIST) sound = keras_number(node, &out[c]);
    }
    return sound ? OK
                 : import_fail(im, e, "option '%s' must be a number, or one for each of %d channels", name,
                               im->n_channels);
}

static Err scale_head(Importer *im, int e, const double *scale, const double *offset) {
    for (int c = 0; c < im->n_channels; c++) {
        if (!(scale[c] > 0) || !isfinite(scale[c]))
            return import_fail(im, e, "multiplies by a number that is not above 0");
        im->offset[c] = im->offset[c] * scale[c] + offset[c];
        im->scale[c] *= scale[c];
    }
    im->head = e;
    im->values[e] = *import_source(im, e);
    return OK;
}

static Err convert_rescaling(Importer *im, int e) {
    TRY(need_head(im, e));
    double *scale = ARENA_ARRAY(im->arena, double, im->n_channels),
           *offset = ARENA_ARRAY(im->arena, double, im->n_channels);
    TRY(channel_values(im, e, "scale", 1, scale));
    TRY(channel_values(im, e, "offset", 0, offset));
    return scale_head(im, e, scale, offset);
}

/* From the options, or adapted to data and kept as weights. */
static Err convert_normalization(Importer *im, int e) {
    TRY(need_head(im, e));
    int n = im->n_channels;
    double *mean = ARENA_ARRAY(im->arena, double, n), *variance = ARENA_ARRAY(im->arena, double, n);
    const Node *axis = keras_option(im, e, "axis");
    int64_t last = import_source(im, e)->shape.rank - 1, along = -1;
    if (axis && axis->type == NODE_LIST && axis->n == 1) axis = axis->items[0];
    if (axis && !keras_int(axis, &along)) along = 0;
    if (along != -1 && along != last) return import_fail(im, e, "option 'axis' must be the last one, -1");
    if (keras_option(im, e, "mean")) {
        TRY(channel_values(im, e, "mean", 0, mean));
        TRY(channel_values(im, e, "variance", 1, variance));
    } else {
        const float *m, *v;
        TRY(import_read(im, e, 0, "mean", 1, (int64_t[]){n}, &m));
        TRY(import_read(im, e, 1, "variance", 1, (int64_t[]){n}, &v));
        for (int c = 0; c < n; c++) mean[c] = (double)m[c];
        for (int c = 0; c < n; c++) variance[c] = (double)v[c];
    }
    for (int c = 0; c < n; c++) {
        if (!(variance[c] >= 0)) return import_fail(im, e, "has a variance below 0");
        double deviation = fmax(sqrt(variance[c]), 1e-7);
        mean[c] = -mean[c] / deviation;
        variance[c] = 1 / deviation;
    }
    return scale_head(im, e, variance, mean);
}

/* ---- the table ---- */

#define CHANNELS_LAST                                                                                                  \
    { "data_format", "null|channels_last" }
#define PADDING                                                                                                        \
    { "padding", "valid|same" }

static const KerasClass classes[] = {
    {"Conv2D",
     import_conv2d,
     {{"filters", NULL},
      {"kernel_size", NULL},
      {"strides", NULL},
      PADDING,
      CHANNELS_LAST,
      {"dilation_rate", NULL},
      {"groups", NULL},
      {"activation", NULL},
      {"use_bias", NULL}}},
    {"Conv2DTranspose",
     import_conv2d_transpose,
     {{"filters", NULL},
      {"kernel_size", NULL},
      {"strides", NULL},
      PADDING,
      CHANNELS_LAST,
      {"dilation_rate", "1|[1, 1]"},
      {"groups", "1"},
      {"output_padding", "null"},
      {"activation", NULL},
      {"use_bias", NULL}}},
    {"Dense", import_dense, {{"units", NULL}, {"activation", NULL}, {"use_bias", NULL}, {"lora_rank", "null"}}},
    {"TimeDistributed", import_time_distributed, {{"layer", NULL}}},
    {"BatchNormalization",
     import_batchnorm,
     {{"axis", NULL},
      {"momentum", NULL},
      {"epsilon", NULL},
      {"center", NULL},
      {"scale", NULL},
      {"renorm", "null|false"},
      {"renorm_clipping", NULL},
      {"renorm_momentum", NULL},
      {"virtual_batch_size", "null"},
      {"fused", NULL}}},
    {"LSTM",
     import_lstm,
     {{"units", NULL},
      {"activation", "tanh"},
      {"recurrent_activation", "sigmoid"},
      {"use_bias", NULL},
      {"unit_forget_bias", NULL},
      {"return_sequences", NULL},
      {"return_state", "false"},
      {"go_backwards", NULL},
      {"stateful", "false"},
      {"time_major", "false"},
      {"zero_output_for_mask", NULL},
      {"dropout", "0"},
      {"recurrent_dropout", "0"},
      {"use_cudnn", NULL}}},
    {"RepeatVector", convert_repeat_vector, {{"n", NULL}}},
    {"MaxPooling2D", convert_max_pooling, {{"pool_size", NULL}, {"strides", NULL}, PADDING, CHANNELS_LAST}},
    {"AveragePooling2D", convert_average_pooling, {{"pool_size", NULL}, {"strides", NULL}, PADDING, CHANNELS_LAST}},
    {"UpSampling2D", convert_upsampling, {{"size", NULL}, CHANNELS_LAST, {"interpolation", "nearest|bilinear"}}},
    {"ZeroPadding2D", convert_padding, {{"padding", NULL}, CHANNELS_LAST}},
    {"Cropping2D", convert_cropping, {{"cropping", NULL}, CHANNELS_LAST}},
    {"Flatten", convert_flatten, {CHANNELS_LAST}},
    {"Reshape", convert_reshape, {{"target_shape", NULL}}},
    {"Permute", convert_permute, {{"dims", NULL}}},
    {"Concatenate", convert_concatenate, {{"axis", NULL}}},
    {"Add", convert_add, {{NULL, NULL}}},
    {"Activation", convert_activation, {{"activation", NULL}}},
    {"ReLU", convert_relu, {{"max_value", "null"}, {"negative_slope", NULL}, {"threshold", "null|0"}}},
    {"LeakyReLU", convert_leaky_relu, {{"alpha", NULL}, {"negative_slope", NULL}}},
    {"ELU", convert_elu, {{"alpha", NULL}}},
    {"Softmax", convert_softmax, {{"axis", NULL}}},
    {"Dropout", convert_dropout, {{"rate", NULL}, {"noise_shape", "null"}}},
    {"SpatialDropout2D", convert_spatial_dropout, {{"rate", NULL}, {"noise_shape", "null"}, CHANNELS_LAST}},
    {"GaussianNoise", convert_gaussian_noise, {{"stddev", NULL}}},
    {"Rescaling", convert_rescaling, {{"scale", NULL}, {"offset", NULL}}},
    {"Normalization", convert_normalization, {{"axis", NULL}, {"mean", NULL}, {"variance", NULL}, {"invert", "false"}}},
};

/* Sizes stay far from overflow. */
static Err check_size(const Importer *im, int e) {
    const Shape *s = &im->values[e].shape;
    int64_t size = 1;
    for (int i = 0; i < s->rank; i++)
        if (s->dim[i] < 1 || __builtin_mul_overflow(size, s->dim[i], &size) || size > INT64_C(1) << 30)
            return import_fail(im, e, "its result is too large, or empty");
    return OK;
}

Err import_entry(Importer *im, int e) {
    const char *name = im->file->entries[e].class_name;
    const char *known[sizeof classes / sizeof *classes + 1] = {NULL};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        known[i] = classes[i].name;
        if (strcmp(classes[i].name, name) != 0) continue;
        TRY(keras_check_options(im, e, classes[i].rules));
        TRY(classes[i].convert(im, e));
        return check_size(im, e);
    }
    const char *near = nearest_name(name, known);
    return import_fail(im, e, "a layer of this class cannot be read%s%s%s", near ? "; did you mean " : "",
                       near ? near : "", near ? "?" : "");
}
