/* keras_model.c - a Keras model that is being made. See keras_model.h. */
#include "export/keras_model.h"
#include "export/keras_order.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- layers ---- */

static bool name_taken(const KerasModel *m, const char *name) {
    for (int i = 0; i < m->n; i++)
        if (strcmp(m->layers[i]->name, name) == 0) return true;
    return false;
}

/* Keras 3 takes no '/', TensorFlow wants a letter or digit in front. */
static const char *valid_name(const KerasModel *m, const char *wanted) {
    char *name = arena_printf(m->arena, "%s%s", isalnum((unsigned char)wanted[0]) ? "" : "layer", wanted);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-') *c = '_';
    return name;
}

static const char *unique_name(const KerasModel *m, const char *wanted) {
    const char *base = valid_name(m, wanted);
    const char *name = base;
    for (int k = 2; name_taken(m, name); k++) name = arena_printf(m->arena, "%s_%d", base, k);
    return name;
}

KerasLayer *keras_layer(KerasModel *m, const char *class_name, const char *what, int n_src, const int *src) {
    if (m->n == m->capacity) {
        KerasLayer **more = ARENA_ARRAY(m->arena, KerasLayer *, m->capacity ? 2 * m->capacity : 64);
        if (m->n) memcpy(more, m->layers, sizeof *more * (size_t)m->n);
        m->capacity = m->capacity ? 2 * m->capacity : 64;
        m->layers = more;
    }
    KerasLayer *layer = m->layers[m->n] = ARENA_NEW(m->arena, KerasLayer);
    const char *node = m->node >= 0 ? m->graph->nodes[m->node].name : "input";
    layer->name = unique_name(m, *what ? arena_printf(m->arena, "%s_%s", node, what) : node);
    layer->class_name = class_name;
    layer->n_src = n_src;
    for (int k = 0; k < n_src; k++) layer->src[k] = src[k];
    m->n++;
    layer->config = json_begin(m->arena);
    json_open_object(&layer->config, NULL);
    json_string(&layer->config, "name", layer->name);
    layer->fixed = m->node >= 0 && m->graph->nodes[m->node].frozen;
    return layer;
}

int keras_last(const KerasModel *m) {
    return m->n - 1;
}

void keras_ints(KerasLayer *layer, const char *option, int n, const int64_t *values) {
    json_open_array(&layer->config, option);
    for (int i = 0; i < n; i++) json_int(&layer->config, NULL, values[i]);
    json_close(&layer->config);
}

void keras_quad(KerasLayer *layer, const char *option, const int64_t quad[4]) {
    json_open_array(&layer->config, option);
    for (int axis = 0; axis < 2; axis++) keras_ints(layer, NULL, 2, quad + 2 * axis);
    json_close(&layer->config);
}

/* ---- weights ---- */

void keras_weight(KerasLayer *layer, const char *name, int rank, const int64_t *dim, const float *values) {
    KerasWeight *w = &layer->weights[layer->n_weights++];
    *w = (KerasWeight){.name = name, .array = {.type = H5_F32, .rank = rank}, .values = values};
    for (int i = 0; i < rank; i++) w->array.dim[i] = dim[i];
}

const float *keras_values(const KerasModel *m, int node, int slot, Shape *shape) {
    for (int i = 0; i < m->weights->n; i++) {
        const WeightEntry *e = &m->weights->entries[i];
        if (e->node != node || e->slot_in_node != slot) continue;
        *shape = e->shape;
        return m->weights->value + e->offset;
    }
    return NULL;
}

/* ---- what emitters share ---- */

static int permute(KerasModel *m, const char *what, int layer, const int64_t order[3]) {
    keras_ints(keras_layer(m, "Permute", what, 1, &layer), "dims", 3, order);
    return keras_last(m);
}

static int channels_first(KerasModel *m, int layer, Shape ours) {
    return keras_order_shows(ours) ? permute(m, "chw", layer, (int64_t[]){3, 1, 2}) : layer;
}

int keras_rows(KerasModel *m, int layer, Shape ours) {
    if (ours.rank == 2) return layer;
    layer = channels_first(m, layer, ours);
    keras_layer(m, "Flatten", "flat", 1, &layer);
    return keras_last(m);
}

int keras_reshape(KerasModel *m, int layer, Shape from, Shape to) {
    if (shape_equal(from, to)) return layer;
    layer = channels_first(m, layer, from);
    bool shows = keras_order_shows(to);
    int64_t axes[SHAPE_MAX_RANK];
    for (int i = 1; i < to.rank; i++) axes[i - 1] = to.dim[i];
    if (to.rank == 4 && !shows) {
        axes[0] = to.dim[2];
        axes[1] = to.dim[3];
        axes[2] = to.dim[1];
    }
    keras_ints(keras_layer(m, "Reshape", shows ? "chw" : "", 1, &layer), "target_shape", to.rank - 1, axes);
    return shows ? permute(m, "", keras_last(m), (int64_t[]){2, 3, 1}) : keras_last(m);
}

static bool is_nothing(const int64_t quad[4]) {
    return quad[0] == 0 && quad[1] == 0 && quad[2] == 0 && quad[3] == 0;
}

int keras_pad(KerasModel *m, int layer, const int64_t quad[4]) {
    if (is_nothing(quad)) return layer;
    keras_quad(keras_layer(m, "ZeroPadding2D", "pad", 1, &layer), "padding", quad);
    return keras_last(m);
}

int keras_crop(KerasModel *m, int layer, const int64_t quad[4]) {
    if (is_nothing(quad)) return layer;
    keras_quad(keras_layer(m, "Cropping2D", "crop", 1, &layer), "cropping", quad);
    return keras_last(m);
}

int keras_merge(KerasModel *m, const char *class_name, const char *what, int a, int b) {
    keras_layer(m, class_name, what, 2, (int[]){a, b});
    return keras_last(m);
}

int keras_rescale(KerasModel *m, const char *what, int layer, double scale, double offset) {
    KerasLayer *l = keras_layer(m, "Rescaling", what, 1, &layer);
    json_float(&l->config, "scale", scale);
    json_float(&l->config, "offset", offset);
    return keras_last(m);
}

int keras_ones(KerasModel *m, int layer, int64_t channels) {
    KerasLayer *l = keras_layer(m, "Conv2D", "ones", 1, &layer);
    l->fixed = true;
    json_int(&l->config, "filters", 1);
    keras_ints(l, "kernel_size", 2, (int64_t[]){1, 1});
    float *one = ARENA_NEW(m->arena, float);
    *one = 1;
    keras_weight(l, "kernel", 4, (int64_t[]){1, 1, channels, 1}, ARENA_ARRAY(m->arena, float, channels));
    keras_weight(l, "bias", 1, (int64_t[]){1}, one);
    return keras_last(m);
}

/* ---- order and text ---- */

static void visit(KerasModel *m, int i, int *count) {
    KerasLayer *layer = m->layers[i];
    if (layer->visited) return;
    layer->visited = ++*count;
    for (int k = 0; k < layer->n_src; k++) visit(m, layer->src[k], count);
}

static int compare_layers(const void *a, const void *b) {
    const KerasLayer *p = *(KerasLayer *const *)a, *q = *(KerasLayer *const *)b;
    if (p->depth != q->depth) return p->depth > q->depth ? -1 : 1;
    return p->visited < q->visited ? -1 : p->visited > q->visited;
}

void keras_sort(KerasModel *m, int n_results, int *results) {
    int count = 0, kept = 0;
    for (int i = 0; i < n_results; i++) visit(m, results[i], &count);
    KerasLayer **before = ARENA_ARRAY(m->arena, KerasLayer *, m->n);
    int *now = ARENA_ARRAY(m->arena, int, m->n);
    memcpy(before, m->layers, sizeof *before * (size_t)m->n);
    for (int i = m->n - 1; i >= 0; i--) /* sources come before their readers */
        for (int k = 0; k < before[i]->n_src && before[i]->visited; k++) {
            KerasLayer *src = before[before[i]->src[k]];
            if (src->depth <= before[i]->depth) src->depth = before[i]->depth + 1;
        }
    for (int i = 0; i < m->n; i++)
        if (before[i]->visited) m->layers[kept++] = before[i];
    qsort(m->layers, (size_t)kept, sizeof *m->layers, compare_layers);
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < kept; k++)
            if (m->layers[k] == before[i]) now[i] = k;
    m->n = kept;
    for (int i = 0; i < kept; i++)
        for (int k = 0; k < m->layers[i]->n_src; k++) m->layers[i]->src[k] = now[m->layers[i]->src[k]];
    for (int i = 0; i < n_results; i++) results[i] = now[results[i]];
}

/* ["name", 0, 0], and at a layer's sources one more for the arguments of the call. */
static void tensor_reference(Json *j, const char *name, bool arguments) {
    json_open_array(j, NULL);
    json_string(j, NULL, name);
    json_int(j, NULL, 0);
    json_int(j, NULL, 0);
    if (arguments) json_raw(j, NULL, "{}");
    json_close(j);
}

static void layer_entry(Json *j, const KerasModel *m, KerasLayer *layer) {
    if (layer->fixed) json_bool(&layer->config, "trainable", false);
    json_close(&layer->config);
    json_open_object(j, NULL);
    json_string(j, "class_name", layer->class_name);
    json_string(j, "name", layer->name);
    json_raw(j, "config", json_text(&layer->config));
    json_open_array(j, "inbound_nodes");
    if (layer->n_src) json_open_array(j, NULL);
    for (int k = 0; k < layer->n_src; k++) tensor_reference(j, m->layers[layer->src[k]]->name, true);
    if (layer->n_src) json_close(j);
    json_close(j);
    json_close(j);
}

const char *keras_config(KerasModel *m, const char *name, int n_results, const int *results) {
    Json j = json_begin(m->arena);
    json_open_object(&j, NULL);
    json_string(&j, "class_name", "Functional");
    json_open_object(&j, "config");
    json_string(&j, "name", valid_name(m, name));
    json_open_array(&j, "layers");
    for (int i = 0; i < m->n; i++) layer_entry(&j, m, m->layers[i]);
    json_close(&j);
    json_open_array(&j, "input_layers");
    for (int i = 0; i < m->n; i++)
        if (m->layers[i]->n_src == 0) tensor_reference(&j, m->layers[i]->name, false);
    json_close(&j);
    json_open_array(&j, "output_layers");
    for (int i = 0; i < n_results; i++) tensor_reference(&j, m->layers[results[i]]->name, false);
    json_close(&j);
    json_close(&j);
    json_close(&j);
    return json_text(&j);
}
