/* keras.c - a network as a Keras model: legacy HDF5, which Keras 1 to 3 read with keras.models.load_model.
 *
 *     /                 attributes: keras_version, backend; model_config, the architecture as JSON;
 *                       sandglass_version, _task, _classes, _palette, _ignore and _input (JSON), _code
 *     /model_weights    attribute layer_names: all layers in Keras' order
 *     /model_weights/L  attribute weight_names: paths of its weights below it, L/kernel:0 ...; none for most layers
 *
 * The model takes pixels as they are in files (0..255, R,G,B): the data's mean and std are its first layer. It is in
 * inference form as far as Keras cares, and can be trained on: dropout and noise are in it.
 */
#include "export/classes.h"
#include "export/keras_kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const options[] = {NULL};

/* Keras' HDF5_OBJECT_HEADER_LIMIT: longer lists go into NAME0, NAME1 ... */
enum { MAX_ATTRIBUTE = 64512 };

static const KerasKind *find_kind(const char *name) {
    for (const KerasKind *k = keras_kinds; k->row.kind; k++)
        if (strcmp(k->row.kind, name) == 0) return k;
    return NULL;
}

static const ExportKind *kind_row(const char *name) {
    const KerasKind *kind = find_kind(name);
    return kind ? &kind->row : NULL;
}

/* ---- the model ---- */

/* Whether the model may leave height and width open. What a layer is made for is its size at graph->input where that
 * matters: in unpooling. */
static bool any_size(const Graph *graph, const bool *needed, Arena *arena) {
    if (graph->input.rank != 4 || graph_stride(graph) == 0) return false;
    for (int i = 0; i < graph->n; i++)
        if (needed[i] && graph->nodes[i].partner >= 0) return false;
    Shape larger = graph->input, *shapes = ARENA_ARRAY(arena, Shape, graph->n);
    larger.dim[2] *= 2;
    larger.dim[3] *= 2;
    return graph_infer(graph, larger, shapes, NULL) == OK;
}

static int input_layer(KerasModel *m, bool open) {
    Shape in = m->graph->input;
    KerasLayer *l = keras_layer(m, "InputLayer", "", 0, NULL);
    json_open_array(&l->config, "batch_input_shape");
    json_null(&l->config, NULL);
    for (int i = 2; i < in.rank; i++) {
        if (open)
            json_null(&l->config, NULL);
        else
            json_int(&l->config, NULL, in.dim[i]);
    }
    json_int(&l->config, NULL, in.dim[1]);
    json_close(&l->config);
    json_string(&l->config, "dtype", "float32");
    return keras_last(m);
}

static double full_scale(const DataConfig *data) {
    return data->depth == 16 ? 65535 : data->depth == 32 ? 1 : 255;
}

/* (x - mean) / std: a Rescaling where that is one factor, else a Normalization. */
static int normalise(KerasModel *m, int layer, const DataConfig *data) {
    const ParamList *mean = &data->mean, *std = &data->std;
    bool one = std->n <= 1;
    for (int i = 0; i < mean->n; i++) one &= mean->floats[i] == 0;
    double scale = std->n ? std->floats[0] : full_scale(data);
    if (one && scale == 1) return layer;
    if (one) return keras_rescale(m, "scaled", layer, 1 / scale, 0);
    KerasLayer *l = keras_layer(m, "Normalization", "normalised", 1, &layer);
    json_int(&l->config, "axis", -1);
    /* A vector has the values of a channel one after the other. */
    int64_t n = m->graph->input.dim[1], channels = mean->n > std->n ? mean->n : std->n;
    if (m->graph->input.rank == 4 || n % channels != 0) channels = n;
    for (int variance = 0; variance < 2; variance++) {
        json_open_array(&l->config, variance ? "variance" : "mean");
        for (int64_t i = 0; i < n; i++) {
            int64_t c = i / (n / channels);
            double s = std->n > 1 ? std->floats[c] : scale;
            double mu = mean->n > 1 ? mean->floats[c] : mean->n == 1 ? mean->floats[0] : 0;
            json_float(&l->config, NULL, variance ? s * s : mu);
        }
        json_close(&l->config);
    }
    return keras_last(m);
}

static Err emit_node(KerasModel *m, int i, Error *err) {
    const GraphNode *n = &m->graph->nodes[i];
    const KerasKind *kind = find_kind(n->kind->name);
    if (!kind) return err_set(err, ERR_CONFIG, "layer '%s': Keras export does not know %s", n->name, n->kind->name);
    char phrase[KERAS_PHRASE_BYTES] = "";
    int src[KERAS_MAX_SRC];
    for (int k = 0; k < n->n_src; k++) src[k] = n->src[k] < 0 ? m->input : m->of_node[n->src[k]];
    m->node = i;
    m->of_node[i] = kind->row.why_not ? -1 : kind->emit(m, src, phrase);
    m->node = -1;
    if (m->of_node[i] >= 0) return OK;
    return err_set(err, ERR_CONFIG, "layer '%s' (%s) cannot be exported to Keras: %s", n->name, n->kind->name,
                   kind->row.why_not ? kind->row.why_not : phrase);
}

static Err make_model(KerasModel *m, const DataConfig *data, Error *err) {
    const Graph *graph = m->graph;
    const bool *needed = graph_needed(graph, m->arena);
    m->of_node = ARENA_ARRAY(m->arena, int, graph->n);
    m->input = input_layer(m, any_size(graph, needed, m->arena));
    m->input = normalise(m, m->input, data);
    Err result = OK;
    for (int i = 0; i < graph->n && !err_is_full(err); i++) {
        m->of_node[i] = m->input; /* of a node that failed, so that those behind it can be looked at */
        Err code = needed[i] ? emit_node(m, i, err) : OK;
        if (code == OK) continue;
        result = code;
        m->of_node[i] = m->input;
    }
    return result;
}

/* ---- the file ---- */

static Err write_names(H5 *file, const char *object, const char *name, int n, const char *const *names, Arena *arena,
                       Error *err) {
    size_t longest = 1;
    for (int i = 0; i < n; i++)
        if (strlen(names[i]) > longest) longest = strlen(names[i]);
    int per_piece = (int)(MAX_ATTRIBUTE / longest);
    if (n <= per_piece) return h5_set_texts(file, object, name, n, names, err);
    if (per_piece == 0) return err_set(err, ERR_CONFIG, "a layer's name is too long for Keras");
    for (int at = 0, piece = 0; at < n; at += per_piece, piece++)
        TRY(h5_set_texts(file, object, arena_printf(arena, "%s%d", name, piece),
                         n - at < per_piece ? n - at : per_piece, names + at, err));
    return OK;
}

static Err write_layer(H5 *file, const KerasLayer *layer, Arena *arena, Error *err) {
    const char *group = arena_printf(arena, "/model_weights/%s", layer->name), *names[KERAS_MAX_WEIGHTS];
    for (int k = 0; k < layer->n_weights; k++) {
        const KerasWeight *w = &layer->weights[k];
        names[k] = arena_printf(arena, "%s/%s:0", layer->name, w->name);
        TRY(h5_write(file, arena_printf(arena, "%s/%s", group, names[k]), w->array, NULL, w->values, err));
    }
    return h5_set_texts(file, group, "weight_names", layer->n_weights, names, err);
}

/* Keras heeds neither. */
static Err write_versions(H5 *file, const char *object, Error *err) {
    TRY(h5_set_text(file, object, "keras_version", "2.15.0", err));
    return h5_set_text(file, object, "backend", "tensorflow", err);
}

static Err write_classes(H5 *file, const DataConfig *data, Arena *arena, Error *err) {
    const char *names = class_names_json(data, arena), *palette = class_palette_json(data, arena);
    if (names) TRY(h5_set_text(file, "/", "sandglass_classes", names, err));
    if (palette) TRY(h5_set_text(file, "/", "sandglass_palette", palette, err));
    return h5_set_text(file, "/", "sandglass_ignore", ignored_values_json(data, arena), err);
}

/* What Keras has no place for; our own import reads it. */
static Err write_own(H5 *file, const KerasModel *m, const Net *net, Error *err) {
    const Experiment *experiment = net_experiment(net);
    const DataConfig *data = net_data(net);
    TRY(h5_set_text(file, "/", "sandglass_version", SANDGLASS_VERSION, err));
    TRY(h5_set_text(file, "/", "sandglass_task", task_names[experiment->task], err));
    Json input = json_begin(m->arena);
    json_open_array(&input, NULL);
    for (int i = 1; i < m->graph->input.rank; i++) json_int(&input, NULL, m->graph->input.dim[i]);
    json_close(&input);
    TRY(h5_set_text(file, "/", "sandglass_input", json_text(&input), err));
    int code = m->graph->code;
    if (code >= 0 && m->of_node[code] >= 0)
        TRY(h5_set_text(file, "/", "sandglass_code", m->layers[m->of_node[code]]->name, err));
    if (experiment->task == TASK_RECONSTRUCTION) return OK;
    return write_classes(file, data, m->arena, err);
}

static Err write_file(H5 *file, KerasModel *m, const Net *net, int n_results, const int *results, Error *err) {
    const char *name = net_experiment(net)->name;
    TRY(write_versions(file, "/", err));
    TRY(h5_set_text(file, "/", "model_config", keras_config(m, name && *name ? name : "model", n_results, results),
                    err));
    TRY(write_own(file, m, net, err));
    TRY(write_versions(file, "/model_weights", err));
    const char **names = ARENA_ARRAY(m->arena, const char *, m->n);
    for (int i = 0; i < m->n; i++) names[i] = m->layers[i]->name;
    TRY(write_names(file, "/model_weights", "layer_names", m->n, names, m->arena, err));
    for (int i = 0; i < m->n; i++) TRY(write_layer(file, m->layers[i], m->arena, err));
    return h5_commit(file, NULL, err);
}

/* Numbers of layers are others after sorting: results and the code's go through it together. */
static void sort_model(KerasModel *m, int *results) {
    const Graph *graph = m->graph;
    for (int k = 0; k < graph->n_outputs; k++) results[k] = m->of_node[graph->outputs[k]];
    const KerasLayer *code = NULL;
    if (graph->code >= 0 && m->of_node[graph->code] >= 0) code = m->layers[m->of_node[graph->code]];
    keras_sort(m, graph->n_outputs, results);
    for (int i = 0; i < graph->n; i++) m->of_node[i] = -1;
    for (int i = 0; i < m->n && code; i++)
        if (m->layers[i] == code) m->of_node[graph->code] = i;
}

static Err write_keras(const ExportSpec *spec, Error *err) {
    const Graph *graph = net_graph(spec->net);
    KerasModel m = {.graph = graph, .weights = net_weights(spec->net), .arena = spec->arena, .node = -1};
    TRY(make_model(&m, net_data(spec->net), err));
    int *results = ARENA_ARRAY(spec->arena, int, graph->n_outputs);
    sort_model(&m, results);
    H5 *file = NULL;
    TRY(h5_create(&file, spec->path, err));
    Err code = write_file(file, &m, spec->net, graph->n_outputs, results, err);
    h5_close(file);
    return code;
}

static const char *const engines[] = {"keras", NULL};

const ExportFormat export_keras = {
    .name = "keras",
    .suffix = ".keras.h5",
    .doc = "a Keras model in HDF5, for keras.models.load_model",
    .options = options,
    .kind = kind_row,
    .write = write_keras,
    .engines = engines,
};
