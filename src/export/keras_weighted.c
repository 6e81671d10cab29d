/* keras_weighted.c - Keras' layers with weights in our network: convolutions, dense layers, batch normalisation, LSTM.
 *
 * Dense layers and normalisations make good that a flattened picture has another order of values here: rows and columns
 * of their weights change places.
 */
#include "export/keras_values.h"

#include <string.h>

/* Place of value i, in our order c,h,w, among those in the order h,w,c. */
static int64_t place_in(const int64_t hwc[3], int64_t i) {
    if (hwc[0] == 0) return i;
    int64_t plane = hwc[0] * hwc[1], c = i / plane, pixel = i % plane;
    return pixel * hwc[2] + c;
}

/* A weight as the file has it, of shape `dim`, with its axes in another order. */
static const float *permuted(const Importer *im, const float *from, const int64_t *dim, int rank, const int *order,
                             Shape *shape) {
    Shape theirs = {.rank = rank};
    *shape = theirs;
    for (int i = 0; i < rank; i++) theirs.dim[i] = dim[i];
    for (int i = 0; i < rank; i++) shape->dim[i] = dim[order[i]];
    return keras_permuted(im->arena, from, theirs, order);
}

static Err give_bias(Importer *im, int e, int which, int64_t n, bool bias) {
    if (!bias) return OK;
    const float *values;
    TRY(import_read(im, e, which, "bias", 1, &n, &values));
    import_give(im, im->names[e], "bias", SHAPE(n), values);
    return OK;
}

Err import_conv2d(Importer *im, int e) {
    int64_t filters, kernel[2], stride[2], dilation[2], groups = 1, extent[2];
    TRY(import_need_picture(im, e));
    TRY(keras_int_option(im, e, "filters", 1, &filters));
    TRY(keras_pair_option(im, e, "kernel_size", 0, kernel));
    TRY(keras_pair_option(im, e, "strides", 1, stride));
    TRY(keras_pair_option(im, e, "dilation_rate", 1, dilation));
    if (keras_option(im, e, "groups")) TRY(keras_int_option(im, e, "groups", 1, &groups));
    Shape shape;
    for (int i = 0; i < 2; i++) extent[i] = dilation[i] * (kernel[i] - 1) + 1;
    TRY(import_slide(im, e, extent, stride, &shape));
    bool bias = keras_bool(im, e, "use_bias", true);
    import_begin(im, "conv2d");
    json_int(&im->layers, "filters", filters);
    import_put_pair(im, "kernel", kernel);
    import_put_pair(im, "stride", stride);
    json_string(&im->layers, "padding", keras_text(im, e, "padding", "valid"));
    import_put_pair(im, "dilation", dilation);
    json_int(&im->layers, "groups", groups);
    json_bool(&im->layers, "bias", bias);
    TRY(import_put_activation(im, e));
    import_end_one(im, e);
    const float *values;
    int64_t dim[] = {kernel[0], kernel[1], shape.dim[1] / groups, filters};
    TRY(import_read(im, e, 0, "kernel", 4, dim, &values));
    Shape ours; /* H,W,I,O to O,I,H,W */
    values = permuted(im, values, dim, 4, (int[]){3, 2, 0, 1}, &ours);
    import_give(im, im->names[e], "weights", ours, values);
    shape.dim[1] = filters;
    import_set(im, e, shape);
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
    import_put_pair(im, "output_padding", extra);
}

Err import_conv2d_transpose(Importer *im, int e) {
    int64_t filters, kernel[2], stride[2];
    TRY(import_need_picture(im, e));
    TRY(keras_int_option(im, e, "filters", 1, &filters));
    TRY(keras_pair_option(im, e, "kernel_size", 0, kernel));
    TRY(keras_pair_option(im, e, "strides", 1, stride));
    bool bias = keras_bool(im, e, "use_bias", true);
    Shape shape = import_source(im, e)->shape;
    import_begin(im, "conv_transpose2d");
    json_int(&im->layers, "filters", filters);
    import_put_pair(im, "kernel", kernel);
    import_put_pair(im, "stride", stride);
    put_transpose_padding(im, e, kernel, stride, &shape);
    json_bool(&im->layers, "bias", bias);
    TRY(import_put_activation(im, e));
    import_end_one(im, e);
    const float *values;
    int64_t dim[] = {kernel[0], kernel[1], filters, shape.dim[1]};
    TRY(import_read(im, e, 0, "kernel", 4, dim, &values));
    Shape ours; /* H,W,O,I to O,I,H,W */
    values = permuted(im, values, dim, 4, (int[]){2, 3, 0, 1}, &ours);
    import_give(im, im->names[e], "weights", ours, values);
    shape.dim[1] = filters;
    import_set(im, e, shape);
    return give_bias(im, e, 1, filters, bias);
}

/* Keras' Dense works along the last axis: of a picture it is a convolution 1x1. */
static Err dense_of_picture(Importer *im, int e, int64_t units, bool bias) {
    TRY(import_need_picture(im, e));
    Shape shape = import_source(im, e)->shape;
    import_begin(im, "conv2d");
    json_int(&im->layers, "filters", units);
    json_int(&im->layers, "kernel", 1);
    json_bool(&im->layers, "bias", bias);
    TRY(import_put_activation(im, e));
    import_end_one(im, e);
    const float *values;
    int64_t dim[] = {shape.dim[1], units};
    TRY(import_read(im, e, 0, "kernel", 2, dim, &values));
    Shape ours;
    values = permuted(im, values, dim, 2, (int[]){1, 0}, &ours);
    import_give(im, im->names[e], "weights", SHAPE(units, shape.dim[1], 1, 1), values);
    shape.dim[1] = units;
    import_set(im, e, shape);
    return give_bias(im, e, 1, units, bias);
}

static bool keeps_order(const char *class_name) {
    static const char *const names[] = {"Activation", "ReLU",          "LeakyReLU",         "ELU",
                                        "Dropout",    "GaussianNoise", "BatchNormalization"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], class_name) == 0) return true;
    return false;
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
        if (strcmp(entry->class_name, "Reshape") != 0 || !import_target_axes(im, i, values, axes, &n) || n != 3)
            continue;
        if (import_sees_planes(file, i) || axes[2] == 1 || axes[0] * axes[1] == 1) continue;
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

Err import_dense(Importer *im, int e) {
    int64_t units;
    TRY(keras_int_option(im, e, "units", 1, &units));
    bool bias = keras_bool(im, e, "use_bias", true);
    const KerasValue *v = import_source(im, e);
    if (v->shape.rank == 4) return dense_of_picture(im, e, units, bias);
    KerasValue result = {.layer = im->names[e], .shape = v->shape};
    int64_t inputs = v->shape.dim[v->shape.rank - 1];
    result.shape.dim[v->shape.rank - 1] = units;
    if (v->shape.rank == 2) wanted_order(im, e, units, result.hwc);
    import_begin(im, "dense");
    json_int(&im->layers, "units", units);
    json_bool(&im->layers, "bias", bias);
    const Function *f = NULL;
    TRY(import_find_function(im, e, &f));
    TRY(import_put_activation(im, e));
    import_end_one(im, e);
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
Err import_time_distributed(Importer *im, int e) {
    KerasEntry *entry = &im->file->entries[e];
    const Node *inner = keras_option(im, e, "layer");
    const Node *class_name = inner ? node_get(inner, "class_name") : NULL,
               *config = inner ? node_get(inner, "config") : NULL;
    if (!config || config->type != NODE_MAP || !class_name || class_name->type != NODE_SCALAR)
        return import_fail(im, e, "option 'layer' is not a layer");
    if (strcmp(class_name->text, "Dense") != 0 || import_source(im, e)->shape.rank != 3)
        return import_fail(im, e, "only a Dense for the steps of a sequence can be read, not %s", class_name->text);
    const KerasEntry whole = *entry;
    entry->config = config;
    entry->class_name = "Dense";
    Err code = import_entry(im, e);
    *entry = whole;
    return code;
}

Err import_batchnorm(Importer *im, int e) {
    static const char *const ours[] = {"scale", "shift", "running_mean", "running_var"};
    static const char *const keras[] = {"gamma", "beta", "moving_mean", "moving_variance"};
    const KerasValue *v = import_source(im, e);
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
    import_end_one(im, e);
    int64_t n = v->shape.dim[1];
    for (int k = 0, which = 0; k < 4; k++) {
        float *fixed = ARENA_ARRAY(im->arena, float, n);
        const float *values = fixed;
        for (int64_t i = 0; i < n && k == 0; i++) fixed[i] = 1;
        if (has[k]) TRY(import_read(im, e, which++, keras[k], 1, &n, &values));
        import_give(im, im->names[e], ours[k], SHAPE(n), vector_in_order(im, values, n, v->hwc));
    }
    import_set_as_source(im, e);
    return OK;
}

Err import_lstm(Importer *im, int e) {
    const KerasValue *v = import_source(im, e);
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
    import_end_one(im, e);
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
    import_set(im, e, sequences ? SHAPE(1, v->shape.dim[1], units) : SHAPE(1, units));
    return OK;
}
