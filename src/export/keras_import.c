/* keras_import.c - a Keras model as a checkpoint of ours: input, layers, config, weights. See keras_import.h. */
#include "export/keras_import.h"

#include "base/number.h"
#include "train/loss.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- for the classes ---- */

Err import_fail(const Importer *im, int entry, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char words[512];
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    const KerasEntry *e = &im->file->entries[entry];
    return err_set(im->err, ERR_FORMAT, "%s: layer '%s' (%s): %s", im->spec->path, e->name, e->class_name, words);
}

void import_begin(Importer *im, const char *kind) {
    json_open_object(&im->layers, NULL);
    if (kind) json_open_object(&im->layers, kind);
}

void import_end(Importer *im, int entry, const char *name, int n_src, const KerasValue *src) {
    Json *j = &im->layers;
    if (j->depth > 2) json_close(j); /* the knobs; an activation has written its own */
    json_string(j, "name", name);
    json_open_array(j, "from");
    for (int k = 0; k < n_src; k++) json_string(j, NULL, src[k].layer ? src[k].layer : "input");
    json_close(j);
    if (im->file->entries[entry].n_weights > 0) {
        const Node *trainable = node_get(im->file->entries[entry].config, "trainable");
        if (trainable && trainable->type == NODE_SCALAR && strcmp(trainable->text, "false") == 0)
            json_bool(j, "frozen", true);
    }
    json_close(j);
    im->n_layers++;
}

static const char *axes_text(int rank, const int64_t *dim, Arena *arena) {
    const char *text = "";
    for (int i = 0; i < rank; i++) text = arena_printf(arena, "%s%s%lld", text, i ? "x" : "", (long long)dim[i]);
    return text;
}

Err import_read(Importer *im, int e, int which, const char *what, int rank, const int64_t *dim, const float **values) {
    const KerasEntry *entry = &im->file->entries[e];
    if (which >= entry->n_weights)
        return import_fail(im, e, "its %s is missing: the file has %d weights for it", what, entry->n_weights);
    H5Array array, wanted = {.type = H5_F32, .rank = rank};
    TRY(h5_stat(im->file->file, entry->weights[which], &array, im->err));
    bool same = array.rank == rank;
    int64_t n = 1;
    for (int i = 0; i < rank; i++) {
        wanted.dim[i] = dim[i];
        same = same && array.dim[i] == dim[i];
        if (__builtin_mul_overflow(n, dim[i], &n) || n > INT64_C(1) << 40) same = false;
    }
    if (!same)
        return import_fail(im, e, "its %s should be %s, but is %s in the file", what, axes_text(rank, dim, im->arena),
                           axes_text(array.rank, array.dim, im->arena));
    float *read = ARENA_ARRAY(im->arena, float, n);
    *values = read;
    return h5_read(im->file->file, entry->weights[which], wanted, read, im->err);
}

void import_give(Importer *im, const char *layer, const char *weight, Shape shape, const float *values) {
    if (im->n_given == im->capacity) {
        im->capacity = im->capacity ? 2 * im->capacity : 64;
        KerasGiven *more = ARENA_ARRAY(im->arena, KerasGiven, im->capacity);
        if (im->n_given) memcpy(more, im->given, sizeof *more * (size_t)im->n_given);
        im->given = more;
    }
    const char *name = arena_printf(im->arena, "%s/%s", layer, weight);
    im->given[im->n_given++] = (KerasGiven){.name = name, .shape = shape, .values = values};
}

/* ---- names ---- */

static bool name_taken(const Importer *im, int n, const char *name) {
    if (strcmp(name, "input") == 0 || strcmp(name, "previous") == 0) return true;
    for (int i = 0; i < n; i++)
        if (strcmp(im->names[i], name) == 0) return true;
    return false;
}

/* Ours are of letters, digits, '_', '-' and '.'. */
static void name_layers(Importer *im) {
    im->names = ARENA_ARRAY(im->arena, const char *, im->file->n);
    for (int i = 0; i < im->file->n; i++) {
        char *base = arena_strdup(im->arena, im->file->entries[i].name);
        for (char *c = base; *c; c++)
            if (!isalnum((unsigned char)*c) && !strchr("_-.", *c)) *c = '_';
        const char *name = *base ? base : "layer";
        for (int k = 2; name_taken(im, i, name); k++) name = arena_printf(im->arena, "%s_%d", base, k);
        im->names[i] = name;
    }
}

/* ---- the input ---- */

/* [C, H, W] or [values] that our own export noted. */
static const Node *noted_input(const Importer *im) {
    const char *text = keras_root_text(im->file, "sandglass_input", im->arena);
    Node *node = NULL;
    if (!text || yaml_load_json(&node, "sandglass_input", text, im->arena, NULL) != OK) return NULL;
    return node->type == NODE_LIST ? node : NULL;
}

static bool size_of(const Node *node, int64_t *out) {
    double value;
    if (!node || node->type != NODE_SCALAR || !number_parse(node->text, &value)) return false;
    if (!(value >= 1 && value <= 1 << 20) || value != (double)(int64_t)value) return false;
    *out = (int64_t)value;
    return true;
}

/* Height (axis 0) or width of a picture where the model leaves it open. */
static bool open_size(const Importer *im, int axis, int64_t *out) {
    *out = im->spec->size[axis];
    const Node *noted = noted_input(im);
    return *out > 0 || (noted && noted->n == 3 && size_of(noted->items[1 + axis], out));
}

/* A sequence N,T,F is a picture of one channel for us, and reshaped. */
static void add_sequence(Importer *im, int e, const int64_t *dim) {
    im->values[e] = (KerasValue){.layer = im->names[e], .shape = SHAPE(1, dim[1], dim[2])};
    import_begin(im, "reshape");
    json_open_array(&im->layers, "shape");
    json_int(&im->layers, NULL, dim[1]);
    json_int(&im->layers, NULL, dim[2]);
    json_close(&im->layers);
    import_end(im, e, im->names[e], 1, &(KerasValue){0});
}

/* A vector that is a picture's values, in Keras' order h,w,c, is a picture for us, and flattened. */
static Err add_vector(Importer *im, int e, int64_t values, Shape *input) {
    const int64_t *size = im->spec->size;
    int64_t channels = values / (size[0] * size[1]);
    if (channels * size[0] * size[1] != values)
        return import_fail(im, e, "takes %lld values, which are no picture of %lldx%lld (height x width)",
                           (long long)values, (long long)size[0], (long long)size[1]);
    *input = SHAPE(1, channels, size[0], size[1]);
    im->values[e] = (KerasValue){.layer = im->names[e], .shape = SHAPE(1, values)};
    if (channels > 1) memcpy(im->values[e].hwc, (int64_t[]){size[0], size[1], channels}, sizeof im->values[e].hwc);
    import_begin(im, "flatten");
    import_end(im, e, im->names[e], 1, &(KerasValue){0});
    return OK;
}

static Err read_input(Importer *im, int e, Shape *input) {
    const Node *config = im->file->entries[e].config;
    const Node *shape = node_get(config, "batch_shape");
    if (!shape) shape = node_get(config, "batch_input_shape");
    int rank = shape && shape->type == NODE_LIST ? shape->n : 0;
    if (rank < 2 || rank > 4)
        return import_fail(im, e,
                           "its shape must have 2 to 4 axes, batch first, height, width and channels or steps and "
                           "features, it has %d",
                           rank);
    int64_t dim[4] = {1};
    for (int i = 1; i < rank; i++) {
        bool open = shape->items[i]->type == NODE_NULL && rank == 4 && i < 3;
        if (open ? open_size(im, i - 1, &dim[i]) : size_of(shape->items[i], &dim[i])) continue;
        if (open)
            return import_fail(im, e, "leaves the size of pictures open; --height and --width say for which to build");
        return import_fail(im, e, "axis %d of its shape has no size", i);
    }
    im->n_channels = (int)dim[rank - 1];
    *input = rank == 4 ? SHAPE(1, dim[3], dim[1], dim[2]) : rank == 3 ? SHAPE(1, 1, dim[1], dim[2]) : SHAPE(1, dim[1]);
    im->values[e] = (KerasValue){.shape = *input};
    im->scale = ARENA_ARRAY(im->arena, double, im->n_channels);
    im->offset = ARENA_ARRAY(im->arena, double, im->n_channels);
    for (int c = 0; c < im->n_channels; c++) im->scale[c] = 1;
    im->head = e;
    if (rank == 3) add_sequence(im, e, dim);
    bool sized = rank == 2 && im->spec->size[0] > 0 && im->spec->size[1] > 0;
    return sized ? add_vector(im, e, dim[1], input) : OK;
}

/* ---- layers ---- */

static Err convert_layers(Importer *im, Shape *input) {
    KerasFile *file = im->file;
    im->values = ARENA_ARRAY(im->arena, KerasValue, file->n);
    name_layers(im);
    bool found = false;
    for (int e = 0; e < file->n; e++) {
        bool is_input = strcmp(file->entries[e].class_name, "InputLayer") == 0;
        if (is_input && found) return import_fail(im, e, "is a second input: models with one can be read");
        if (!is_input && !found)
            return err_set(im->err, ERR_FORMAT, "%s: the model has no InputLayer, and its first layer no shape",
                           im->spec->path);
        found |= is_input;
        TRY(is_input ? read_input(im, e, input) : import_entry(im, e));
    }
    return OK;
}

/* ---- the config ---- */

static const char *guess_task(const Importer *im, Shape input) {
    const KerasFile *file = im->file;
    const char *noted = keras_root_text(file, "sandglass_task", im->arena);
    if (im->spec->task) return im->spec->task;
    if (noted) return noted;
    const KerasValue *result = &im->values[file->results[0]];
    const KerasEntry *last = &file->entries[file->results[0]];
    if (shape_equal(result->shape, input)) return task_names[TASK_RECONSTRUCTION];
    bool same_size = result->shape.rank == 4 && input.rank == 4 && result->shape.dim[2] == input.dim[2] &&
                     result->shape.dim[3] == input.dim[3];
    if (same_size && result->shape.dim[1] > 1) return task_names[TASK_SEGMENTATION];
    const Node *activation = node_get(last->config, "activation");
    bool softmax = strcmp(last->class_name, "Softmax") == 0 ||
                   (activation && activation->type == NODE_SCALAR && strcmp(activation->text, "softmax") == 0);
    return task_names[softmax && result->shape.rank == 2 ? TASK_CLASSIFICATION : TASK_RECONSTRUCTION];
}

/* Our name of the layer that a result is of; "input" cannot be one. */
static Err put_results(Importer *im, Json *j) {
    json_open_array(j, "outputs");
    for (int k = 0; k < im->file->n_results; k++) {
        const KerasValue *v = &im->values[im->file->results[k]];
        if (!v->layer) return import_fail(im, im->file->results[k], "the model's result is its input");
        json_string(j, NULL, v->layer);
    }
    json_close(j);
    return OK;
}

static Err model_node(Importer *im, Shape input, Node **out) {
    Json j = json_begin(im->arena);
    json_open_object(&j, NULL);
    json_open_array(&j, "input");
    for (int i = 1; i < input.rank; i++) json_int(&j, NULL, input.dim[i]);
    json_close(&j);
    json_raw(&j, "layers", json_text(&im->layers));
    TRY(put_results(im, &j));
    const char *code = keras_root_text(im->file, "sandglass_code", im->arena);
    for (int e = 0; code && e < im->file->n; e++)
        if (strcmp(im->file->entries[e].name, code) == 0 && im->values[e].layer)
            json_string(&j, "code", im->values[e].layer);
    json_close(&j);
    return yaml_load_json(out, "model", json_text(&j), im->arena, im->err);
}

static void put_json(Importer *im, Node *map, const char *key, const Json *value) {
    Node *node = NULL;
    if (yaml_load_json(&node, key, json_text(value), im->arena, im->err) == OK) node_put(map, key, node, im->arena);
}

/* data.mean and data.std from x / spec.scale * scale + offset. */
static Err put_normalisation(Importer *im, Node *data, Shape input) {
    Json mean = json_begin(im->arena), std = json_begin(im->arena);
    bool one = true, any_mean = false;
    for (int c = 0; c < im->n_channels; c++) {
        one &= im->scale[c] == im->scale[0] && im->offset[c] == im->offset[0];
        any_mean |= im->offset[c] != 0;
    }
    if (!one && (input.rank != 4 || im->n_channels != input.dim[1]))
        return import_fail(im, im->head,
                           "normalises values that are not a picture's channels, each on its own: not supported");
    json_open_array(&mean, NULL);
    json_open_array(&std, NULL);
    for (int c = 0; c < (one ? 1 : im->n_channels); c++) {
        double scale = im->scale[c] / im->spec->scale;
        json_float(&mean, NULL, -im->offset[c] / scale);
        json_float(&std, NULL, 1 / scale);
    }
    json_close(&mean);
    json_close(&std);
    if (any_mean) put_json(im, data, "mean", &mean);
    put_json(im, data, "std", &std);
    return OK;
}

/* Names (with colours) that our own export noted, else numbers. */
static void put_classes(Importer *im, Node *data, int64_t n) {
    const char *names = keras_root_text(im->file, "sandglass_classes", im->arena);
    const char *colors = keras_root_text(im->file, "sandglass_palette", im->arena);
    Node *name = NULL, *color = NULL;
    if (names && yaml_load_json(&name, "sandglass_classes", names, im->arena, NULL) != OK) name = NULL;
    if (colors && yaml_load_json(&color, "sandglass_palette", colors, im->arena, NULL) != OK) color = NULL;
    if (name && (name->type != NODE_LIST || name->n != n)) name = NULL;
    if (color && (color->type != NODE_LIST || color->n != n)) color = NULL;
    Json j = json_begin(im->arena);
    if (color)
        json_open_object(&j, NULL);
    else
        json_open_array(&j, NULL);
    for (int i = 0; i < n; i++) {
        const char *text = name && name->items[i]->type == NODE_SCALAR ? name->items[i]->text
                                                                       : arena_printf(im->arena, "%d", i);
        if (!color) json_string(&j, NULL, text);
        if (!color) continue;
        const Node *rgb = color->items[i];
        json_open_array(&j, text);
        for (int k = 0; rgb->type == NODE_LIST && k < rgb->n; k++)
            json_string(&j, NULL, rgb->items[k]->type == NODE_SCALAR ? rgb->items[k]->text : "");
        json_close(&j);
    }
    json_close(&j);
    put_json(im, data, "classes", &j);
}

static Err make_data(Importer *im, Node *root, const char *task, Shape input) {
    Node *data = node_get(root, "data");
    if (!data || data->type != NODE_MAP) {
        data = node_new_map(im->arena, root->mark);
        node_put(data, "kind", node_new_scalar(im->arena, root->mark, "folder"), im->arena);
        node_put(root, "data", data, im->arena);
    }
    TRY(put_normalisation(im, data, input));
    int64_t classes = im->values[im->file->results[0]].shape.dim[1];
    if (strcmp(task, task_names[TASK_RECONSTRUCTION]) != 0 && !node_get(data, "classes") && classes <= MAX_CLASSES)
        put_classes(im, data, classes);
    return OK;
}

static Err make_config(Importer *im, Shape input, Experiment *out) {
    Arena *arena = im->arena;
    Node *root = NULL, *model;
    if (im->spec->config)
        TRY(yaml_load_file(&root, im->spec->config, arena, im->err));
    else
        root = node_new_map(arena, (Mark){0});
    TRY(model_node(im, input, &model));
    Node *task = node_get(root, "task");
    const char *name = task && task->type == NODE_SCALAR && !im->spec->task ? task->text : guess_task(im, input);
    if (!node_get(root, "name") && im->file->name)
        node_put(root, "name", node_new_scalar(arena, root->mark, im->file->name), arena);
    node_put(root, "task", node_new_scalar(arena, root->mark, name), arena);
    node_put(root, "model", model, arena);
    node_put(root, "blocks", node_new_map(arena, root->mark), arena);
    TRY(make_data(im, root, name, input));
    if (im->err && im->err->count) return im->err->code;
    return config_load_text(out, im->spec->path, yaml_write(root, arena), 0, NULL, arena, im->err);
}

/* ---- weights ---- */

static Err fill_weights(Importer *im, Weights *weights) {
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *entry = &weights->entries[i];
        KerasGiven *given = NULL;
        for (int k = 0; k < im->n_given && !given; k++)
            if (strcmp(im->given[k].name, entry->name) == 0) given = &im->given[k];
        char wanted[SHAPE_TEXT_BYTES], got[SHAPE_TEXT_BYTES];
        if (!given || !shape_equal(given->shape, entry->shape))
            return err_set(im->err, ERR_FORMAT, "%s: weight '%s' should be %s, the model gives %s", im->spec->path,
                           entry->name, shape_text(entry->shape, wanted),
                           given ? shape_text(given->shape, got) : "none");
        memcpy(weights->value + entry->offset, given->values, sizeof(float) * (size_t)entry->count);
    }
    return OK;
}

/* ---- all ---- */

/* Whether somewhere below a loss stands class_weights: median_frequency or the like. */
static bool counts_classes(const Node *loss) {
    bool counts = false;
    for (int i = 0; loss && i < loss->n; i++) {
        const Node *item = loss->items[i];
        bool weights = loss->type == NODE_MAP && strcmp(loss->keys[i]->text, "class_weights") == 0;
        counts = counts || (weights ? item->type == NODE_SCALAR : counts_classes(item));
    }
    return counts;
}

/* Class weights that are counted from the training masks are kept in a checkpoint: they are counted here. */
static Err build_losses(const Importer *im, const Experiment *experiment, const Graph *graph, LossSet *out) {
    Split *train = NULL;
    if (counts_classes(experiment->train.loss)) TRY(split_open(&train, experiment, "train", im->err));
    Err code = loss_set_build(out, experiment, graph, train, NULL, im->arena, im->err);
    split_close(train);
    return code;
}

static Err write_checkpoint(Importer *im, const Experiment *experiment, Shape input, KerasImported *out) {
    Arena *arena = im->arena;
    DataConfig data;
    TRY(data_config_read(&data, experiment, arena, im->err));
    int64_t classes = experiment->task == TASK_RECONSTRUCTION ? 0 : data.n_classes;
    Graph *graph = NULL;
    TRY(graph_build(&graph, experiment, input, classes, arena, im->err));
    LossSet losses;
    TRY(build_losses(im, experiment, graph, &losses));
    Weights *weights = NULL;
    TRY(weights_new(&weights, graph, im->err));
    Err code = fill_weights(im, weights);
    *out = (KerasImported){.layers = graph->n, .weights = weights->count, .task = task_names[experiment->task]};
    CheckpointWrite write = {.path = im->spec->out,
                             .experiment = experiment,
                             .data = &data,
                             .input = graph->input,
                             .weights = weights,
                             .class_weights = losses.class_weights,
                             .state = &(TrainState){0}};
    if (code == OK) code = checkpoint_write(&write, im->err);
    weights_free(weights);
    return code;
}

static Err import_model(Importer *im, KerasImported *out) {
    Shape input = {0};
    im->layers = json_begin(im->arena);
    json_open_array(&im->layers, NULL);
    TRY(convert_layers(im, &input));
    json_close(&im->layers);
    Experiment experiment;
    TRY(make_config(im, input, &experiment));
    return write_checkpoint(im, &experiment, input, out);
}

Err keras_import(KerasImported *out, const KerasImport *spec, Arena *arena, Error *err) {
    Error *own = ARENA_NEW(arena, Error); /* its count tells of failures in between, where err may be NULL */
    Importer im = {.spec = spec, .arena = arena, .err = own};
    Err code = keras_open(&im.file, spec->path, arena, own);
    if (code == OK) code = import_model(&im, out);
    keras_close(im.file);
    err_append(err, own);
    return code;
}
