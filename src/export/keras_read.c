/* keras_read.c - a Keras model's HDF5 file as layers by name. See keras_read.h; keras.c describes the file. */
#include "export/keras_read.h"

#include <stdlib.h>
#include <string.h>

typedef struct Reader {
    KerasFile *out;
    const char *path;
    Arena *arena;
    Error *err;
} Reader;

static bool is_text(const Node *node) {
    return node && node->type == NODE_SCALAR;
}

static const char *text_of(const Node *map, const char *key) {
    const Node *node = node_get(map, key);
    return is_text(node) ? node->text : NULL;
}

static const Node *list_of(const Node *map, const char *key) {
    const Node *node = node_get(map, key);
    return node && node->type == NODE_LIST ? node : NULL;
}

const char *keras_root_text(const KerasFile *file, const char *name, Arena *arena) {
    const char *text = NULL;
    if (h5_has_attr(file->file, "/", name) && h5_get_text(file->file, "/", name, &text, arena, NULL) != OK) return NULL;
    return text;
}

/* ---- what kind of file ---- */

static Err no_model(const Reader *r) {
    const H5 *file = r->out->file;
    if (h5_has_attr(file, "/", "format"))
        return err_set(r->err, ERR_FORMAT, "%s: a sandglass file, not a Keras model", r->path);
    bool weights = h5_has_attr(file, "/", "layer_names") || h5_exists(file, "/layers") ||
                   h5_exists(file, "/_layer_checkpoint_dependencies") || h5_exists(file, "/model_weights");
    if (weights)
        return err_set(r->err, ERR_FORMAT,
                       "%s: holds a Keras model's weights without its architecture (no attribute model_config); "
                       "model.save(\"model.h5\") writes both",
                       r->path);
    return err_set(r->err, ERR_FORMAT, "%s: not a Keras model: it has no attribute model_config", r->path);
}

static Err read_config(Reader *r, Node **model) {
    KerasFile *k = r->out;
    if (!h5_has_attr(k->file, "/", "model_config")) return no_model(r);
    const char *text;
    TRY(h5_get_text(k->file, "/", "model_config", &text, r->arena, r->err));
    return yaml_load_json(model, arena_printf(r->arena, "%s: model_config", r->path), text, r->arena, r->err);
}

/* ---- layers ---- */

static Err read_entry(Reader *r, KerasEntry *e, const Node *node, bool functional) {
    int number = r->out->n;
    e->class_name = text_of(node, "class_name");
    e->config = node_get(node, "config");
    if (!e->class_name || !e->config || e->config->type != NODE_MAP)
        return err_set(r->err, ERR_FORMAT, "%s: model_config: layer %d has no class_name and config", r->path, number);
    e->name = text_of(node, "name") ? text_of(node, "name") : text_of(e->config, "name");
    if (!e->name) return err_set(r->err, ERR_FORMAT, "%s: model_config: layer %d has no name", r->path, number);
    for (int i = 0; i < number; i++)
        if (strcmp(r->out->entries[i].name, e->name) == 0)
            return err_set(r->err, ERR_FORMAT, "%s: model_config: two layers are named '%s'", r->path, e->name);
    e->inbound = functional ? node_get(node, "inbound_nodes") : NULL;
    if (functional && (!e->inbound || e->inbound->type != NODE_LIST))
        return err_set(r->err, ERR_FORMAT, "%s: layer '%s' has no inbound_nodes", r->path, e->name);
    return OK;
}

static int find_entry(const KerasFile *k, const char *name) {
    for (int i = 0; i < k->n; i++)
        if (strcmp(k->entries[i].name, name) == 0) return i;
    return -1;
}

/* A Sequential whose first layer says the shape, as Keras 1 and 2 write it, gets an InputLayer. */
static void add_input(Reader *r, const Node *config, const Node *first) {
    const Node *layer = node_get(first, "config"), *shape = NULL;
    static const char *const keys[] = {"batch_input_shape", "batch_shape", "build_input_shape"};
    const char *class_name = text_of(first, "class_name");
    if (class_name && strcmp(class_name, "InputLayer") == 0) return;
    for (int i = 0; i < 3 && !shape; i++) shape = list_of(i < 2 ? layer : config, keys[i]);
    if (!shape) return; /* the importer says that there is none */
    Node *made = node_new_map(r->arena, shape->mark);
    node_put(made, "batch_input_shape", node_copy(shape, r->arena), r->arena);
    r->out->entries[r->out->n++] = (KerasEntry){.name = "input", .class_name = "InputLayer", .config = made};
}

static Err read_layers(Reader *r, const Node *config, bool functional) {
    const Node *layers = list_of(config, "layers");
    if (!layers || layers->n == 0) return err_set(r->err, ERR_FORMAT, "%s: model_config has no layers", r->path);
    if (layers->n > KERAS_READ_MAX_LAYERS)
        return err_set(r->err, ERR_FORMAT, "%s: %d layers, at most %d can be read", r->path, layers->n,
                       KERAS_READ_MAX_LAYERS);
    KerasFile *k = r->out;
    k->entries = ARENA_ARRAY(r->arena, KerasEntry, layers->n + 1);
    if (!functional) add_input(r, config, layers->items[0]);
    for (int i = 0; i < layers->n; i++) {
        TRY(read_entry(r, &k->entries[k->n], layers->items[i], functional));
        k->n++;
    }
    return OK;
}

/* ---- sources ---- */

typedef struct References {
    int n, max;
    int *entries;
} References;

/* ["name", 0, 0] or ["name", 0, 0, {}] */
static bool is_reference(const Node *node) {
    return node->type == NODE_LIST && node->n >= 3 && is_text(node->items[0]) && is_text(node->items[1]);
}

static Err add_reference(Reader *r, const char *reader, const Node *node, References *to) {
    const char *name = node->items[0]->text;
    int entry = find_entry(r->out, name);
    if (entry < 0)
        return err_set(r->err, ERR_FORMAT, "%s: %s reads '%s', which is no layer of the model", r->path, reader, name);
    for (int i = 1; i < 3; i++)
        if (!is_text(node->items[i]) || strcmp(node->items[i]->text, "0") != 0)
            return err_set(r->err, ERR_FORMAT,
                           "%s: %s reads another than the first result of '%s', or of its first call: not supported",
                           r->path, reader, name);
    if (to->n >= to->max)
        return err_set(r->err, ERR_FORMAT, "%s: %s reads more than %d others", r->path, reader, to->max);
    to->entries[to->n++] = entry;
    return OK;
}

static bool holds_tensor(const Node *node, int depth) {
    if (node->type == NODE_MAP && text_of(node, "class_name") &&
        strcmp(text_of(node, "class_name"), "__keras_tensor__") == 0)
        return true;
    for (int i = 0; i < node->n && depth < 100; i++)
        if (holds_tensor(node->items[i], depth + 1)) return true;
    return false;
}

/* Arguments of the call beside the sources: `training` and masks change nothing here. */
static Err check_arguments(Reader *r, const char *reader, const Node *arguments) {
    for (int i = 0; arguments && arguments->type == NODE_MAP && i < arguments->n; i++) {
        const char *key = arguments->keys[i]->text;
        bool harmless = strcmp(key, "training") == 0 || arguments->items[i]->type == NODE_NULL;
        if (!harmless || holds_tensor(arguments->items[i], 0))
            return err_set(r->err, ERR_FORMAT, "%s: %s is called with the argument '%s': not supported", r->path,
                           reader, key);
    }
    return OK;
}

/* References in the old form, and in Keras 3's: {"args": [{"class_name": "__keras_tensor__", "config":
 * {"keras_history": ["name", 0, 0]}}], "kwargs": {}}. */
static Err collect(Reader *r, const char *reader, const Node *node, References *to) {
    if (is_reference(node)) {
        if (node->n > 3) TRY(check_arguments(r, reader, node->items[3]));
        return add_reference(r, reader, node, to);
    }
    if (node->type == NODE_LIST) {
        for (int i = 0; i < node->n; i++) TRY(collect(r, reader, node->items[i], to));
        return OK;
    }
    const Node *history = node->type == NODE_MAP ? node_at(node, "config.keras_history") : NULL;
    if (history && is_reference(history)) return add_reference(r, reader, history, to);
    const Node *args = node->type == NODE_MAP ? node_get(node, "args") : NULL;
    if (args) {
        TRY(check_arguments(r, reader, node_get(node, "kwargs")));
        return collect(r, reader, args, to);
    }
    return err_set(r->err, ERR_FORMAT, "%s: %s is called with something that is no layer's result: not supported",
                   r->path, reader);
}

static Err read_sources(Reader *r, int i) {
    KerasEntry *e = &r->out->entries[i];
    const char *reader = arena_printf(r->arena, "layer '%s'", e->name);
    if (strcmp(e->class_name, "InputLayer") == 0) return OK;
    int found[KERAS_READ_MAX_SRC];
    References to = {.max = KERAS_READ_MAX_SRC, .entries = found};
    if (!e->inbound && i > 0) found[to.n++] = i - 1;
    if (e->inbound && e->inbound->n > 1)
        return err_set(r->err, ERR_FORMAT, "%s: %s is used %d times: shared layers are not supported", r->path, reader,
                       e->inbound->n);
    if (e->inbound) TRY(collect(r, reader, e->inbound, &to));
    if (to.n == 0) return err_set(r->err, ERR_FORMAT, "%s: %s reads nothing", r->path, reader);
    e->n_src = to.n;
    e->src = arena_copy(r->arena, found, sizeof *found * (size_t)to.n);
    return OK;
}

static Err read_results(Reader *r, const Node *config, bool functional) {
    KerasFile *k = r->out;
    k->results = ARENA_ARRAY(r->arena, int, KERAS_READ_MAX_RESULTS);
    References to = {.max = KERAS_READ_MAX_RESULTS, .entries = k->results};
    if (!functional) {
        k->results[to.n++] = k->n - 1;
    } else {
        const Node *results = node_get(config, "output_layers");
        if (!results) return err_set(r->err, ERR_FORMAT, "%s: model_config has no output_layers", r->path);
        TRY(collect(r, "output_layers", results, &to));
    }
    k->n_results = to.n;
    if (to.n == 0) return err_set(r->err, ERR_FORMAT, "%s: the model has no result", r->path);
    return OK;
}

/* Sources first. Files of Keras are in such an order already; others need not be. */
static Err sort_entries(Reader *r) {
    KerasFile *k = r->out;
    KerasEntry *sorted = ARENA_ARRAY(r->arena, KerasEntry, k->n);
    int *place = ARENA_ARRAY(r->arena, int, k->n), n = 0;
    for (int i = 0; i < k->n; i++) place[i] = -1;
    for (bool moved = true; moved && n < k->n;) {
        moved = false;
        for (int i = 0; i < k->n; i++) {
            bool ready = place[i] < 0;
            for (int s = 0; ready && s < k->entries[i].n_src; s++) ready = place[k->entries[i].src[s]] >= 0;
            if (!ready) continue;
            place[i] = n;
            sorted[n++] = k->entries[i];
            moved = true;
        }
    }
    if (n < k->n) return err_set(r->err, ERR_FORMAT, "%s: the layers read each other in a circle", r->path);
    for (int i = 0; i < n; i++)
        for (int s = 0; s < sorted[i].n_src; s++) {
            sorted[i].src[s] = place[sorted[i].src[s]];
            sorted[sorted[i].src[s]].n_readers++;
        }
    for (int i = 0; i < k->n_results; i++) sorted[k->results[i] = place[k->results[i]]].n_readers++;
    k->entries = sorted;
    return OK;
}

/* ---- weights ---- */

static Err read_weights(Reader *r) {
    KerasFile *k = r->out;
    for (int i = 0; i < k->n; i++) {
        KerasEntry *e = &k->entries[i];
        const char *group = arena_printf(r->arena, "/model_weights/%s", e->name);
        if (!h5_exists(k->file, group)) continue; /* weightless; the importer misses what should be there */
        const char *const *names;
        TRY(h5_get_texts(k->file, group, "weight_names", &e->n_weights, &names, r->arena, r->err));
        const char **paths = ARENA_ARRAY(r->arena, const char *, e->n_weights + 1);
        for (int w = 0; w < e->n_weights; w++) paths[w] = arena_printf(r->arena, "%s/%s", group, names[w]);
        e->weights = paths;
    }
    return OK;
}

/* ---- all ---- */

static Err read_model(Reader *r) {
    Node *model;
    TRY(read_config(r, &model));
    const char *class_name = model->type == NODE_MAP ? text_of(model, "class_name") : NULL;
    const Node *config = class_name ? node_get(model, "config") : NULL;
    if (!config) return err_set(r->err, ERR_FORMAT, "%s: model_config has no class_name and config", r->path);
    bool functional = strcmp(class_name, "Functional") == 0 || strcmp(class_name, "Model") == 0;
    if (!functional && strcmp(class_name, "Sequential") != 0)
        return err_set(r->err, ERR_FORMAT, "%s: a model of class %s; Sequential and Functional models can be read",
                       r->path, class_name);
    /* Keras 1 wrote a Sequential's layers as its config. */
    if (!functional && config->type == NODE_LIST) {
        Node *wrapped = node_new_map(r->arena, config->mark);
        node_put(wrapped, "layers", node_copy(config, r->arena), r->arena);
        config = wrapped;
    }
    r->out->name = text_of(config, "name");
    TRY(read_layers(r, config, functional));
    for (int i = 0; i < r->out->n; i++) TRY(read_sources(r, i));
    TRY(read_results(r, config, functional));
    TRY(sort_entries(r));
    return read_weights(r);
}

Err keras_open(KerasFile **out, const char *path, Arena *arena, Error *err) {
    *out = NULL;
    KerasFile *k = ARENA_NEW(arena, KerasFile);
    Reader r = {.out = k, .path = path, .arena = arena, .err = err};
    TRY(h5_open(&k->file, path, err));
    Err code = read_model(&r);
    if (code == OK)
        *out = k;
    else
        keras_close(k);
    return code;
}

void keras_close(KerasFile *file) {
    if (!file) return;
    h5_close(file->file);
    file->file = NULL;
}
