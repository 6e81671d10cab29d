/* keras_classes.c - what Keras' layer classes are in our network. See keras_import.h.
 *
 * A row names the class, the options it reads, and those that must have one of some values. Options of all classes that
 * only matter in training are passed over.
 */
#include "export/keras_import.h"
#include "export/keras_options.h"

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

/* ---- sources ---- */

static const KerasValue *source(const Importer *im, int e) {
    return &im->values[im->file->entries[e].src[0]];
}

static bool order_shows(Shape s) {
    return s.rank == 4 && s.dim[1] > 1 && s.dim[2] * s.dim[3] > 1;
}

/* A picture, channels last in Keras. */
static Err need_picture(const Importer *im, int e) {
    const KerasValue *v = source(im, e);
    if (v->shape.rank != 4) return import_fail(im, e, "reads no picture");
    return v->planes ? import_fail(im, e, "reads a picture with its channels first: not supported") : OK;
}

static bool in_order(const KerasValue *v) {
    return v->hwc[0] == 0;
}

static Err need_one_order(const Importer *im, int e) {
    if (in_order(source(im, e))) return OK;
    return import_fail(im, e,
                       "reads the values of a flattened picture, which lie in another order here, and has no weights "
                       "that could make it good");
}

/* Place of value i, in our order c,h,w, among those in the order h,w,c. */
static int64_t place_in(const int64_t hwc[3], int64_t i) {
    if (hwc[0] == 0) return i;
    int64_t plane = hwc[0] * hwc[1], c = i / plane, pixel = i % plane;
    return pixel * hwc[2] + c;
}

static void set(Importer *im, int e, Shape shape) {
    im->values[e] = (KerasValue){.layer = im->names[e], .shape = shape};
}

/* The result has the source's shape and order. */
static void set_as_source(Importer *im, int e) {
    im->values[e] = *source(im, e);
    im->values[e].layer = im->names[e];
}

static void end(Importer *im, int e) {
    import_end(im, e, im->names[e], 1, source(im, e));
}

static void put_pair(Importer *im, const char *key, const int64_t pair[2]) {
    json_open_array(&im->layers, key);
    for (int i = 0; i < 2; i++) json_int(&im->layers, NULL, pair[i]);
    json_close(&im->layers);
}

static void put_quad(Importer *im, const char *key, const int64_t quad[4]) {
    json_open_array(&im->layers, key);
    for (int i = 0; i < 4; i++) json_int(&im->layers, NULL, quad[i]);
    json_close(&im->layers);
}

/* ---- activations ---- */

typedef struct Function {
    const char *keras, *ours;
    double alpha; /* of ours; 0: none */
} Function;

static const Function functions[] = {
    {"linear", "identity", 0}, {"relu", "relu", 0},
    {"sigmoid", "sigmoid", 0}, {"tanh", "tanh", 0},
    {"softmax", "softmax", 0}, {"softplus", "softplus", 0},
    {"elu", "elu", 0},         {"swish", "swish", 0},
    {"silu", "swish", 0},      {"leaky_relu", "leaky_relu", 0.2},
};

static void put_function(Importer *im, const char *key, const char *kind, double alpha) {
    json_open_object(&im->layers, key);
    json_string(&im->layers, "kind", kind);
    if (alpha != 0) json_float(&im->layers, "alpha", alpha);
    json_close(&im->layers);
}

static Err find_function(const Importer *im, int e, const Function **out) {
    const Node *node = keras_option(im, e, "activation");
    const char *name = node ? node->type == NODE_SCALAR ? node->text : "an object" : "linear";
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].keras, name) == 0) {
            *out = &functions[i];
            return OK;
        }
    return import_fail(im, e, "option 'activation' is %s, which is not known here", name);
}

/* The knob `activation` of a layer with weights. */
static Err put_activation(Importer *im, int e) {
    const Function *f = NULL;
    TRY(find_function(im, e, &f));
    if (strcmp(f->ours, "identity") != 0) put_function(im, "activation", f->ours, f->alpha);
    return OK;
}

static Err plain_function(Importer *im, int e, const char *kind, double alpha) {
    put_function(im, "activation", kind, alpha);
    end(im, e);
    set_as_source(im, e);
    return OK;
}

/* Softmax over the last axis, which for a picture are the channels. */
static Err check_softmax(const Importer *im, int e) {
    const KerasValue *v = source(im, e);
    if (v->planes) return import_fail(im, e, "takes a softmax along a picture's rows: not supported");
    return need_one_order(im, e);
}

static Err convert_activation(Importer *im, int e) {
    const Function *f = NULL;
    TRY(find_function(im, e, &f));
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
    int64_t axis = -1, last = source(im, e)->shape.rank - 1;
    const Node *node = keras_option(im, e, "axis");
    if (node && node->type == NODE_LIST && node->n == 1) node = node->items[0];
    if (node && !keras_int(node, &axis)) axis = 0;
    if (axis != -1 && axis != last) return import_fail(im, e, "option 'axis' must be the last one, -1");
    TRY(check_softmax(im, e));
    import_begin(im, NULL);
    return plain_function(im, e, "softmax", 0);
}

/* ---- layers with weights ---- */

/* Axes of a weight in another order: axis i of the result is axis order[i] of the file's. */
static const float *permuted(const Importer *im, const float *from, const int64_t *dim, int rank, const int *order,
                             Shape *shape) {
    int64_t stride[SHAPE_MAX_RANK], at[SHAPE_MAX_RANK] = {0}, n = 1;
    *shape = (Shape){.rank = rank};
    for (int i = rank - 1; i >= 0; i--) {
        stride[i] = n;
        n *= dim[i];
    }
    for (int i = 0; i < rank; i++) shape->dim[i] = dim[order[i]];
    float *to = ARENA_ARRAY(im->arena, float, n);
    for (int64_t k = 0; k < n; k++) {
        int64_t place = 0;
        for (int i = 0; i < rank; i++) place += at[i] * stride[order[i]];
        to[k] = from[place];
        for (int i = rank - 1; i >= 0 && ++at[i] == shape->dim[i]; i--) at[i] = 0;
    }
    return to;
}

static Err give_bias(Importer *im, int e, int which, int64_t n, bool bias) {
    if (!bias) return OK;
    const float *values;
    TRY(import_read(im, e, which, "bias", 1, &n, &values));
    import_give(im, im->names[e], "bias", SHAPE(n), values);
    return OK;
}

/* What a convolution's or pooling's window comes to along an axis. */
static int64_t slid(int64_t size, int64_t extent, int64_t stride, bool same) {
    return same ? (size + stride - 1) / stride : size < extent ? 0 : (size - extent) / stride + 1;
}

static Err slide(const Importer *im, int e, const int64_t extent[2], const int64_t stride[2], Shape *shape) {
    const char *padding = keras_text(im, e, "padding", "valid");
    *shape = source(im, e)->shape;
    for (int i = 0; i < 2; i++)
        shape->dim[2 + i] = slid(shape->dim[2 + i], extent[i], stride[i], strcmp(padding, "same") == 0);
    if (shape->dim[2] > 0 && shape->dim[3] > 0) return OK;
    return import_fail(im, e, "its window does not fit into the picture");
}

static Err convert_conv2d(Importer *im, int e) {
    int64_t filters, kernel[2], stride[2], dilation[2], groups = 1, extent[2];
    TRY(need_picture(im, e));
    TRY(keras_int_option(im, e, "filters", 1, &filters));
    TRY(keras_pair_option(im, e, "kernel_size", 0, kernel));
    TRY(keras_pair_option(im, e, "strides", 1, stride));
    TRY(keras_pair_option(im, e, "dilation_rate", 1, dilation));
    if (keras_option(im, e, "groups")) TRY(keras_int_option(im, e, "groups", 1, &groups));
    Shape shape;
    for (int i = 0; i < 2; i++) extent[i] = dilation[i] * (kernel[i] - 1) + 1;
    TRY(slide(im, e, extent, stride, &shape));
    bool bias = keras_bool(im, e, "use_bias", true);
    import_begin(im, "conv2d");
    json_int(&im->layers, "filters", filters);
    put_pair(im, "kernel", kernel);
    put_pair(im, "stride", stride);
    json_string(&im->layers, "padding", keras_text(im, e, "padding", "valid"));
    put_pair(im, "dilation", dilation);
    json_int(&im->layers, "groups", groups);
    json_bool(&im->layers, "bias", bias);
    TRY(put_activation(im, e));
    end(im, e);
    const float *values;
    int64_t dim[] = {kernel[0], kernel[1], shape.dim[1] / groups, filters};
    TRY(import_read(im, e, 0, "kernel", 4, dim, &values));
    Shape ours; /* H,W,I,O to O,I,H,W */
    values = permuted(im, values, dim, 4, (int[]){3, 2, 0, 1}, &ours);
    import_give(im, im->names[e], "weights", ours, values);
    shape.dim[1] = filters;
    set(im, e, shape);
    return give_bias(im, e, 1, filters, bias);
}

/* Keras' `same` is ours. (Earlier versions of Keras 3 cut the odd pixel off on the other side when it ran on torch;
 * what reads such a file today, ours and Keras itself, does not.) `valid` gives in * stride where that is more. */
static void put_transpose_padding(Importer *im, int e, const int64_t kernel[2], const int64_t stride[2], Shape *shape) {
    bool same = strcmp(keras_text(im, e, "padding", "valid"), "same") == 0;
    int64_t extra[2] = {0};
    for (int i = 0; i < 2; i++) {
        int64_t *size = &shape->dim[2 + i];
        if (!same && kernel[i] < stride[i]) extra[i] = stride[i] - kernel[i];
        *size = same ? *size * stride[i] : (*size - 1) * stride[i] + kernel[i] + extra[i];
    }
    json_string(&im->layers, "padding", same ? "same" : "valid");
    put_pair(im, "output_padding", extra);
}

static Err convert_conv2d_transpose(Importer *im, int e) {
    int64_t filters, kernel[2], stride[2];
    TRY(need_picture(im, e));
    TRY(keras_int_option(im, e, "filters", 1, &filters));
    TRY(keras_pair_option(im, e, "kernel_size", 0, kernel));
    TRY(keras_pair_option(im, e, "strides", 1, stride));
    bool bias = keras_bool(im, e, "use_bias", true);
    Shape shape = source(im, e)->shape;
    import_begin(im, "conv_transpose2d");
    json_int(&im->layers, "filters", filters);
    put_pair(im, "kernel", kernel);
    put_pair(im, "stride", stride);
    put_transpose_padding(im, e, kernel, stride, &shape);
    json_bool(&im->layers, "bias", bias);
    TRY(put_activation(im, e));
    end(im, e);
    const float *values;
    int64_t dim[] = {kernel[0], kernel[1], filters, shape.dim[1]};
    TRY(import_read(im, e, 0, "kernel", 4, dim, &values));
    Shape ours; /* H,W,O,I to O,I,H,W */
    values = permuted(im, values, dim, 4, (int[]){2, 3, 0, 1}, &ours);
    import_give(im, im->names[e], "weights", ours, values);
    shape.dim[1] = filters;
    set(im, e, shape);
    return give_bias(im, e, 1, filters, bias);
}

/* Keras' Dense works along the last axis: of a picture it is a convolution 1x1. */
static Err dense_of_picture(Importer *im, int e, int64_t units, bool bias) {
    TRY(need_picture(im, e));
    Shape shape = source(im, e)->shape;
    import_begin(im, "conv2d");
    json_int(&im->layers, "filters", units);
    json_int(&im->layers, "kernel", 1);
    json_bool(&im->layers, "bias", bias);
    TRY(put_activation(im, e));
    end(im, e);
    const float *values;
    int64_t dim[] = {shape.dim[1], units};
    TRY(import_read(im, e, 0, "kernel", 2, dim, &values));
    Shape ours;
    values = permuted(im, values, dim, 2, (int[]){1, 0}, &ours);
    import_give(im, im->names[e], "weights", SHAPE(units, shape.dim[1], 1, 1), values);
    shape.dim[1] = units;
    set(im, e, shape);
    return give_bias(im, e, 1, units, bias);
}

static bool keeps_order(const char *class_name) {
    static const char *const names[] = {"Activation", "ReLU",          "LeakyReLU",         "ELU",
                                        "Dropout",    "GaussianNoise", "BatchNormalization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], class_name) == 0) return true;
    return false;
}

static bool sees_planes(const KerasFile *file, int e) {
    bool all = file->entries[e].n_readers > 0;
    for (int i = e + 1; i < file->n; i++)
        for (int s = 0; s < file->entries[i].n_src; s++)
            if (file->entries[i].src[s] == e) all &= strcmp(file->entries[i].class_name, "Permute") == 0;
    for (int i = 0; i < file->n_results; i++) all &= file->results[i] != e;
    return all;
}

/* The axes that a Reshape asks for, with -1 filled in; false: they do not fit. */
static bool target_axes(const Importer *im, int e, int64_t values, int64_t axes[3], int *n) {
    const Node *list = keras_option(im, e, "target_shape");
    int open = -1;
    int64_t known = 1;
    if (!list || list->type != NODE_LIST || list->n < 1 || list->n > 3) return false;
    *n = list->n;
    for (int i = 0; i < list->n; i++) {
        if (!keras_int(list->items[i], &axes[i]) || axes[i] < -1 || axes[i] == 0) return false;
        if (axes[i] == -1 && open >= 0) return false;
        if (axes[i] == -1)
            open = i;
        else if (__builtin_mul_overflow(known, axes[i], &known))
            return false;
    }
    if (open >= 0) axes[open] = values / known;
    return open >= 0 ? values >= known && values % known == 0 : values == known;
}

/* Whether a vector of `values` becomes, through layers that keep the order, a picture: then its order is that of the
 * picture in Keras. The first such Reshape counts; others are checked when they come. */
static void wanted_order(const Importer *im, int e, int64_t values, int64_t hwc[3]) {
    const KerasFile *file = im->file;
    hwc[0] = hwc[1] = hwc[2] = 0;
    bool *reached = ARENA_ARRAY(im->arena, bool, file->n);
    reached[e] = true;
    for (int i = e + 1; i < file->n; i++) {
        const KerasEntry *entry = &file->entries[i];
        if (entry->n_src < 1 || !reached[entry->src[0]]) continue;
        int64_t axes[3];
        int n;
        if (entry->n_src == 1 && keeps_order(entry->class_name)) reached[i] = true;
        if (strcmp(entry->class_name, "Reshape") != 0 || !target_axes(im, i, values, axes, &n) || n != 3) continue;
        if (sees_planes(file, i) || axes[2] == 1 || axes[0] * axes[1] == 1) continue;
        memcpy(hwc, axes, sizeof axes);
        return;
    }
}

/* in,out to out,in, with the values of both in our order. */
static const float *dense_matrix(const Importer *im, const float *from, int64_t inputs, int64_t units,
                                 const int64_t from_hwc[3], const int64_t to_hwc[3]) {
    float *to = ARENA_ARRAY(im->arena, float, inputs *units);
    for (int64_t o = 0; o < units; o++)
        for (int64_t i = 0; i < inputs; i++)
            to[o * inputs + i] = from[place_in(from_hwc, i) * units + place_in(to_hwc, o)];
    return to;
}

static const float *vector_in_order(const Importer *im, const float *from, int64_t n, const int64_t hwc[3]) {
    float *to = ARENA_ARRAY(im->arena, float, n);
    for (int64_t i = 0; i < n; i++) to[i] = from[place_in(hwc, i)];
    return to;
}

static Err convert_dense(Importer *im, int e) {
    int64_t units;
    TRY(keras_int_option(im, e, "units", 1, &units));
    bool bias = keras_bool(im, e, "use_bias", true);
    const KerasValue *v = source(im, e);
    if (v->shape.rank == 4) return dense_of_picture(im, e, units, bias);
    KerasValue result = {.layer = im->names[e], .shape = v->shape};
    int64_t inputs = v->shape.dim[v->shape.rank - 1];
    result.shape.dim[v->shape.rank - 1] = units;
    if (v->shape.rank == 2) wanted_order(im, e, units, result.hwc);
    import_begin(im, "dense");
    json_int(&im->layers, "units", units);
    json_bool(&im->layers, "bias", bias);
    const Function *f = NULL;
    TRY(find_function(im, e, &f));
    TRY(put_activation(im, e));
    end(im, e);
    const float *values;
    TRY(import_read(im, e, 0, "kernel", 2, (int64_t[]){inputs, units}, &values));
    import_give(im, im->names[e], "weights", SHAPE(units, inputs),
                dense_matrix(im, values, inputs, units, v->hwc, result.hwc));
    im->values[e] = result;
    if (!bias) return OK;
    TRY(import_read(im, e, 1, "bias", 1, &units, &values));
    import_give(im, im->names[e], "bias", SHAPE(units), vector_in_order(im, values, units, result.hwc));
    return OK;
}

/* A Dense for each step of a sequence, which is what ours does anyway. */
static Err convert_time_distributed(Importer *im, int e) {
    KerasEntry *entry = &im->file->entries[e];
    const Node *inner = keras_option(im, e, "layer");
    const Node *class_name = inner ? node_get(inner, "class_name") : NULL,
               *config = inner ? node_get(inner, "config") : NULL;
    if (!config || config->type != NODE_MAP || !class_name || class_name->type != NODE_SCALAR)
        return import_fail(im, e, "option 'layer' is not a layer");
    if (strcmp(class_name->text, "Dense") != 0 || source(im, e)->shape.rank != 3)
        return import_fail(im, e, "only a Dense for the steps of a sequence can be read, not %s", class_name->text);
    const KerasEntry whole = *entry;
    entry->config = config;
    entry->class_name = "Dense";
    Err code = import_entry(im, e);
    *entry = whole;
    return code;
}

static Err convert_batchnorm(Importer *im, int e) {
    static const char *const ours[] = {"scale", "shift", "running_mean", "running_var"};
    static const char *const keras[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    const KerasValue *v = source(im, e);
    const Node *node = keras_option(im, e, "axis");
    int64_t axis = -1;
    if (node && node->type == NODE_LIST && node->n == 1) node = node->items[0];
    if (node && !keras_int(node, &axis)) axis = 0;
    if (axis != -1 && axis != v->shape.rank - 1) return import_fail(im, e, "option 'axis' must be the last one, -1");
    if (v->planes || v->shape.rank == 3)
        return import_fail(im, e, "reads neither a vector nor a picture with channels last");
    double momentum, epsilon;
    TRY(keras_float_option(im, e, "momentum", 0.99, &momentum));
    TRY(keras_float_option(im, e, "epsilon", 1e-3, &epsilon));
    bool has[4] = {keras_bool(im, e, "scale", true), keras_bool(im, e, "center", true), true, true};
    import_begin(im, "batchnorm");
    json_float(&im->layers, "momentum", 1 - momentum);
    json_float(&im->layers, "epsilon", epsilon);
    end(im, e);
    int64_t n = v->shape.dim[1];
    for (int k = 0, which = 0; k < 4; k++) {
        float *fixed = ARENA_ARRAY(im->arena, float, n);
        const float *values = fixed;
        for (int64_t i = 0; i < n && k == 0; i++) fixed[i] = 1;
        if (has[k]) TRY(import_read(im, e, which++, keras[k], 1, &n, &values));
        import_give(im, im->names[e], ours[k], SHAPE(n), vector_in_order(im, values, n, v->hwc));
    }
    set_as_source(im, e);
    return OK;
}

static Err convert_lstm(Importer *im, int e) {
    const KerasValue *v = source(im, e);
    if (v->shape.rank != 3) return import_fail(im, e, "reads no sequence");
    int64_t units, features = v->shape.dim[2];
    TRY(keras_int_option(im, e, "units", 1, &units));
    bool sequences = keras_bool(im, e, "return_sequences", false), reverse = keras_bool(im, e, "go_backwards", false);
    if (sequences && reverse)
        return import_fail(im, e, "gives the states of a reversed sequence in reversed order: not supported");
    import_begin(im, "lstm");
    json_int(&im->layers, "units", units);
    json_bool(&im->layers, "sequences", sequences);
    json_bool(&im->layers, "reverse", reverse);
    json_bool(&im->layers, "unit_forget_bias", keras_bool(im, e, "unit_forget_bias", true));
    end(im, e);
    const float *kernel, *recurrent, *bias;
    int64_t in[] = {features, 4 * units}, back[] = {units, 4 * units};
    TRY(import_read(im, e, 0, "kernel", 2, in, &kernel));
    TRY(import_read(im, e, 1, "recurrent_kernel", 2, back, &recurrent));
    bias = ARENA_ARRAY(im->arena, float, 4 * units);
    if (keras_bool(im, e, "use_bias", true)) TRY(import_read(im, e, 2, "bias", 1, &in[1], &bias));
    Shape shape;
    kernel = permuted(im, kernel, in, 2, (int[]){1, 0}, &shape);
    import_give(im, im->names[e], "weights", shape, kernel);
    recurrent = permuted(im, recurrent, back, 2, (int[]){1, 0}, &shape);
    import_give(im, im->names[e], "recurrent", shape, recurrent);
    import_give(im, im->names[e], "bias", SHAPE(4 * units), bias);
    set(im, e, sequences ? SHAPE(1, v->shape.dim[1], units) : SHAPE(1, units));
    return OK;
}

/* ---- pooling, sizes ---- */

static Err pool(Importer *im, int e, const char *kind) {
    int64_t size[2], stride[2];
    TRY(need_picture(im, e));
    TRY(keras_pair_option(im, e, "pool_size", 2, size));
    memcpy(stride, size, sizeof stride);
    if (keras_option(im, e, "strides")) TRY(keras_pair_option(im, e, "strides", 0, stride));
    Shape shape;
    TRY(slide(im, e, size, stride, &shape));
    import_begin(im, kind);
    put_pair(im, "size", size);
    put_pair(im, "stride", stride);
    json_string(&im->layers, "padding", keras_text(im, e, "padding", "valid"));
    end(im, e);
    set(im, e, shape);
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
    TRY(need_picture(im, e));
    TRY(keras_pair_option(im, e, "size", 2, size));
    Shape shape = source(im, e)->shape;
    for (int i = 0; i < 2; i++) shape.dim[2 + i] *= size[i];
    import_begin(im, "upsample2d");
    put_pair(im, "scale", size);
    json_string(&im->layers, "mode", keras_text(im, e, "interpolation", "nearest"));
    end(im, e);
    set(im, e, shape);
    return OK;
}

static Err convert_padding(Importer *im, int e) {
    int64_t quad[4];
    TRY(need_picture(im, e));
    TRY(keras_quad_option(im, e, "padding", quad));
    Shape shape = source(im, e)->shape;
    for (int i = 0; i < 4; i++) shape.dim[2 + i / 2] += quad[i];
    import_begin(im, "pad");
    put_quad(im, "padding", quad);
    end(im, e);
    set(im, e, shape);
    return OK;
}

static Err convert_cropping(Importer *im, int e) {
    int64_t quad[4];
    TRY(need_picture(im, e));
    TRY(keras_quad_option(im, e, "cropping", quad));
    Shape shape = source(im, e)->shape;
    for (int i = 0; i < 4; i++) shape.dim[2 + i / 2] -= quad[i];
    if (shape.dim[2] < 1 || shape.dim[3] < 1) return import_fail(im, e, "nothing is left of the picture");
    import_begin(im, "crop");
    put_quad(im, "crop", quad);
    end(im, e);
    set(im, e, shape);
    return OK;
}

/* ---- shapes and sums ---- */

static Err convert_flatten(Importer *im, int e) {
    const KerasValue v = *source(im, e);
    import_begin(im, "flatten");
    end(im, e);
    set(im, e, SHAPE(1, shape_size(v.shape)));
    if (v.shape.rank == 2) memcpy(im->values[e].hwc, v.hwc, sizeof v.hwc);
    if (!order_shows(v.shape) || v.planes) return OK;
    for (int i = 0; i < 3; i++) im->values[e].hwc[i] = v.shape.dim[i < 2 ? 2 + i : 1];
    return OK;
}

static Err refuse_order(const Importer *im, int e) {
    return import_fail(im, e,
                       "takes values between a picture and another shape in Keras' order, height, width, channels, "
                       "where no weights could make good that ours is another");
}

static Err convert_reshape(Importer *im, int e) {
    const KerasValue v = *source(im, e);
    int64_t axes[3];
    int n;
    if (!target_axes(im, e, shape_size(v.shape), axes, &n))
        return import_fail(im, e, "option 'target_shape' does not fit %" PRId64 " values", shape_size(v.shape));
    bool last = order_shows(v.shape) && !v.planes;
    bool planes = n == 3 && sees_planes(im->file, e);
    KerasValue to = {.layer = im->names[e], .planes = planes};
    to.shape = n == 1   ? SHAPE(1, axes[0])
               : n == 2 ? SHAPE(1, axes[0], axes[1])
               : planes ? SHAPE(1, axes[0], axes[1], axes[2])
                        : SHAPE(1, axes[2], axes[0], axes[1]);
    if (n == 1) memcpy(to.hwc, v.hwc, sizeof to.hwc);
    for (int i = 0; i < 3 && n == 1 && last; i++) to.hwc[i] = v.shape.dim[i < 2 ? 2 + i : 1];
    bool shows = order_shows(to.shape) && !planes;
    bool fits = n == 1 || (shows ? (last ? shape_equal(v.shape, to.shape) : memcmp(v.hwc, axes, sizeof axes) == 0)
                                 : !last && in_order(&v));
    if (!fits) return refuse_order(im, e);
    import_begin(im, "reshape");
    json_open_array(&im->layers, "shape");
    for (int i = 1; i < to.shape.rank; i++) json_int(&im->layers, NULL, to.shape.dim[i]);
    json_close(&im->layers);
    end(im, e);
    im->values[e] = to;
    return OK;
}

/* Channels last to first and back: nothing has to be done. */
static Err convert_permute(Importer *im, int e) {
    const KerasValue *v = source(im, e);
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
    Shape shape = source(im, e)->shape;
    if (axis < 0) axis += shape.rank;
    if (axis < 1 || axis >= shape.rank) return import_fail(im, e, "option 'axis' is none of the sources'");
    int64_t ours = shape.rank == 4 ? of_picture[axis] : axis, total = 0;
    for (int k = 0; k < entry->n_src; k++) {
        src[k] = im->values[entry->src[k]];
        if (src[k].planes || !in_order(&src[k]))
            return import_fail(im, e, "joins pictures with channels first, or flattened ones: not supported");
        if (src[k].shape.rank != shape.rank) return import_fail(im, e, "its sources have different ranks");
        total += src[k].shape.dim[ours];
    }
    shape.dim[ours] = total;
    import_begin(im, "concat");
    json_int(&im->layers, "axis", ours);
    import_end(im, e, im->names[e], entry->n_src, src);
    set(im, e, shape);
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
    set_as_source(im, e);
    return OK;
}

static Err convert_repeat_vector(Importer *im, int e) {
    int64_t n;
    TRY(need_one_order(im, e));
    if (source(im, e)->shape.rank != 2) return import_fail(im, e, "reads no vector");
    TRY(keras_int_option(im, e, "n", 1, &n));
    import_begin(im, "repeat_vector");
    json_int(&im->layers, "n", n);
    end(im, e);
    set(im, e, SHAPE(1, n, source(im, e)->shape.dim[1]));
    return OK;
}

/* ---- noise ---- */

static Err with_float(Importer *im, int e, const char *kind, const char *theirs, const char *knob) {
    double value;
    TRY(keras_float_option(im, e, theirs, 0, &value));
    import_begin(im, kind);
    json_float(&im->layers, knob, value);
    end(im, e);
    set_as_source(im, e);
    return OK;
}

static Err convert_dropout(Importer *im, int e) {
    return with_float(im, e, "dropout", "rate", "rate");
}

static Err convert_spatial_dropout(Importer *im, int e) {
    TRY(need_picture(im, e));
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
    im->values[e] = *source(im, e);
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
    int64_t last = source(im, e)->shape.rank - 1, along = -1;
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
     convert_conv2d,
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
     convert_conv2d_transpose,
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
    {"Dense", convert_dense, {{"units", NULL}, {"activation", NULL}, {"use_bias", NULL}, {"lora_rank", "null"}}},
    {"TimeDistributed", convert_time_distributed, {{"layer", NULL}}},
    {"BatchNormalization",
     convert_batchnorm,
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
     convert_lstm,
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
