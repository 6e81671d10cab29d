/* frozen.c - see frozen.h. */
#include "train/checkpoint_parts.h"
#include "train/loss.h"

#include <string.h>

/* ---- the config ---- */

static Node *frozen_config(const FrozenWrite *spec, Arena *arena) {
    static const char *const kept[] = {"name", "task", "about", "data"};
    const Node *root = spec->experiment->root;
    Node *config = node_new_map(arena, root->mark);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        Node *value = node_get(root, kept[i]);
        if (value) node_put(config, kept[i], value, arena);
    }
    node_put(config, "model", graph_write(spec->graph, spec->experiment->model, arena), arena);
    return config;
}

static bool same_graph(const Graph *a, const Graph *b) {
    bool same = a->n == b->n && a->n_outputs == b->n_outputs && a->code == b->code;
    for (int k = 0; same && k < a->n_outputs; k++) same = a->outputs[k] == b->outputs[k];
    for (int i = 0; same && i < a->n; i++) {
        const GraphNode *x = &a->nodes[i], *y = &b->nodes[i];
        same = strcmp(x->name, y->name) == 0 && x->kind == y->kind && x->n_src == y->n_src &&
               x->partner == y->partner && shape_equal(a->shapes[i], b->shapes[i]);
        for (int k = 0; same && k < x->n_src; k++) same = x->src[k] == y->src[k];
    }
    return same;
}

static bool same_directory(const Weights *a, const Weights *b) {
    bool same = a->n == b->n;
    for (int i = 0; same && i < a->n; i++)
        same = strcmp(a->entries[i].name, b->entries[i].name) == 0 &&
               shape_equal(a->entries[i].shape, b->entries[i].shape);
    return same;
}

/* Whoever opens the file reads its config: that has to give this very network. */
static Err read_again(const FrozenWrite *spec, const Node *config, Arena *arena, Error *err) {
    Experiment experiment;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    const int64_t classes = spec->experiment->task == TASK_RECONSTRUCTION ? 0 : spec->data->n_classes;
    TRY(config_load_stored(&experiment, spec->path, yaml_write(config, arena), 0, NULL, arena, err));
    TRY(graph_build(&graph, &experiment, spec->graph->input, classes, arena, err));
    TRY(loss_set_build(&losses, &experiment, graph, NULL, NULL, arena, err));
    TRY(weights_declare(&weights, graph, err));
    bool same = same_graph(graph, spec->graph) && same_directory(weights, spec->weights);
    weights_free(weights);
    return same ? OK : err_set(err, ERR_CONFIG, "written out layer by layer, the config gives another network");
}

/* ---- the file ---- */

static Err write_ranges(H5 *file, const FrozenWrite *spec, Error *err) {
    const Graph *graph = spec->graph;
    Arena *arena = arena_new();
    const char **names = ARENA_ARRAY(arena, const char *, graph->n + 1);
    float *largest = ARENA_ARRAY(arena, float, graph->n + 1);
    uint8_t *negative = ARENA_ARRAY(arena, uint8_t, graph->n + 1);
    int64_t n = 0;
    for (int i = 0; i < graph->n; i++) {
        if (!(spec->ranges[i].largest > 0)) continue;
        names[n] = graph->nodes[i].name;
        largest[n] = spec->ranges[i].largest;
        negative[n++] = spec->ranges[i].has_negative;
    }
    Err code = h5_write_texts(file, "/ranges/nodes", (int)n, names, err);
    if (code == OK) code = h5_write(file, "/ranges/largest", (H5Array){H5_F32, 1, {n}}, NULL, largest, err);
    if (code == OK) code = h5_write(file, "/ranges/negative", (H5Array){H5_U8, 1, {n}}, NULL, negative, err);
    arena_free(arena);
    return code;
}

static Err write_all(H5 *file, const FrozenWrite *spec, const Node *config, Error *err) {
    const CheckpointHeader header = {.format = FROZEN_FORMAT,
                                     .version = FROZEN_VERSION,
                                     .experiment = spec->experiment,
                                     .config = config,
                                     .input = spec->graph->input,
                                     .onednn = spec->onednn};
    TRY(checkpoint_write_header(file, &header, err));
    TRY(h5_set_text(file, "/", "dtype", stored_type_names[spec->type], err));
    TRY(h5_set_int(file, "/", "stride", graph_stride(spec->graph), err));
    TRY(checkpoint_write_data(file, spec->experiment->task, spec->data, err));
    TRY(stored_write(file, "/weights", spec->weights, spec->weights->value, 0, spec->type, err));
    if (spec->ranges) TRY(write_ranges(file, spec, err));
    return h5_commit(file, NULL, err);
}

Err frozen_write(const FrozenWrite *spec, Error *err) {
    Arena *arena = arena_new();
    Node *config = frozen_config(spec, arena);
    Err code = read_again(spec, config, arena, err);
    if (code != OK) err_context(err, "'%s' cannot be frozen", spec->experiment->name);
    H5 *file = NULL;
    if (code == OK) code = h5_create(&file, spec->path, err);
    if (code == OK) code = write_all(file, spec, config, err);
    h5_close(file);
    arena_free(arena);
    return code;
}
