/* keras_values.c - what Keras' classes share when they are imported: sources, results, windows, activations. See
 * keras_values.h. */
#include "export/keras_values.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- sources and results ---- */

const KerasValue *import_source(const Importer *im, int e) {
    return &im->values[im->file->entries[e].src[0]];
}

/* A picture, channels last in Keras. */
Err import_need_picture(const Importer *im, int e) {
    const KerasValue *v = import_source(im, e);
    if (v->shape.rank != 4) return import_fail(im, e, "reads no picture");
    return v->planes ? import_fail(im, e, "reads a picture with its channels first: not supported") : OK;
}

bool import_in_order(const KerasValue *v) {
    return v->hwc[0] == 0;
}

Err import_need_one_order(const Importer *im, int e) {
    if (import_in_order(import_source(im, e))) return OK;
    return import_fail(im, e,
                       "reads the values of a flattened picture, which lie in another order here, and has no weights "
                       "that could make it good");
}

void import_set(Importer *im, int e, Shape shape) {
    im->values[e] = (KerasValue){.layer = im->names[e], .shape = shape};
}

/* The result has the source's shape and order. */
void import_set_as_source(Importer *im, int e) {
    im->values[e] = *import_source(im, e);
    im->values[e].layer = im->names[e];
}

void import_end_one(Importer *im, int e) {
    import_end(im, e, im->names[e], 1, import_source(im, e));
}

void import_put_pair(Importer *im, const char *key, const int64_t pair[2]) {
    json_open_array(&im->layers, key);
    for (int i = 0; i < 2; i++) json_int(&im->layers, NULL, pair[i]);
    json_close(&im->layers);
}

void import_put_quad(Importer *im, const char *key, const int64_t quad[4]) {
    json_open_array(&im->layers, key);
    for (int i = 0; i < 4; i++) json_int(&im->layers, NULL, quad[i]);
    json_close(&im->layers);
}

/* ---- activations ---- */

static const Function functions[] = {
    {"linear", "identity", 0}, {"relu", "relu", 0},
    {"sigmoid", "sigmoid", 0}, {"tanh", "tanh", 0},
    {"softmax", "softmax", 0}, {"softplus", "softplus", 0},
    {"elu", "elu", 0},         {"swish", "swish", 0},
    {"silu", "swish", 0},      {"leaky_relu", "leaky_relu", 0.2},
};

void import_put_function(Importer *im, const char *key, const char *kind, double alpha) {
    json_open_object(&im->layers, key);
    json_string(&im->layers, "kind", kind);
    if (alpha != 0) json_float(&im->layers, "alpha", alpha);
    json_close(&im->layers);
}

Err import_find_function(const Importer *im, int e, const Function **out) {
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
Err import_put_activation(Importer *im, int e) {
    const Function *f = NULL;
    TRY(import_find_function(im, e, &f));
    if (strcmp(f->ours, "identity") != 0) import_put_function(im, "activation", f->ours, f->alpha);
    return OK;
}

/* ---- shapes ---- */

/* What a convolution's or pooling's window comes to along an axis. */
static int64_t slid(int64_t size, int64_t extent, int64_t stride, bool same) {
    return same ? (size + stride - 1) / stride : size < extent ? 0 : (size - extent) / stride + 1;
}

Err import_slide(const Importer *im, int e, const int64_t extent[2], const int64_t stride[2], Shape *shape) {
    const char *padding = keras_text(im, e, "padding", "valid");
    *shape = import_source(im, e)->shape;
    for (int i = 0; i < 2; i++)
        shape->dim[2 + i] = slid(shape->dim[2 + i], extent[i], stride[i], strcmp(padding, "same") == 0);
    if (shape->dim[2] > 0 && shape->dim[3] > 0) return OK;
    return import_fail(im, e, "its window does not fit into the picture");
}

bool import_sees_planes(const KerasFile *file, int e) {
    bool all = file->entries[e].n_readers > 0;
    for (int i = e + 1; i < file->n; i++)
        for (int s = 0; s < file->entries[i].n_src; s++)
            if (file->entries[i].src[s] == e) all &= strcmp(file->entries[i].class_name, "Permute") == 0;
    for (int i = 0; i < file->n_results; i++) all &= file->results[i] != e;
    return all;
}

/* The axes that a Reshape asks for, with -1 filled in; false: they do not fit. */
bool import_target_axes(const Importer *im, int e, int64_t values, int64_t axes[3], int *n) {
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
