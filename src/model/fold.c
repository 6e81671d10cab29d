/* fold.c - see fold.h. First it is decided what becomes of each node, then the graph that is left is written down, then
 * the weights follow. */
#include "model/fold.h"

#include <assert.h>
#include <string.h>

typedef struct Folder {
    const Graph *graph;
    const Weights *weights;
    Arena *arena;
    Graph *folded;
    Weights *to;
    /* per node of graph */
    bool *kept;     /* its value is asked for by name: an output, the code */
    bool *pinned;   /* another layer uses more of it than its value */
    bool *needed;   /* something that is kept depends on it */
    int *n_readers; /* among the needed ones */
    int *absorber;  /* its only reader, into which it has gone; -1: it has not */
    int *linear;    /* the layer whose weights its value is linear in: itself, or one that it has absorbed; -1: none */
    int *place;     /* in the folded graph; -1: it is not there */
} Folder;

/* ---- decisions ---- */

static bool dropped(const Folder *f, int i) {
    return f->graph->nodes[i].kind->training_only && !f->kept[i];
}

/* The node whose value readers of node i get; -1: the network's input. */
static int source_of(const Folder *f, int i) {
    while (i >= 0 && dropped(f, i)) i = f->graph->nodes[i].src[0];
    return i;
}

/* Sources come before their readers, so one pass from the end reaches all. */
static void find_needed(Folder *f) {
    const Graph *graph = f->graph;
    for (int k = 0; k < graph->n_outputs; k++) f->kept[graph->outputs[k]] = true;
    if (graph->code >= 0) f->kept[graph->code] = true;
    for (int i = graph->n - 1; i >= 0; i--) {
        const GraphNode *n = &graph->nodes[i];
        if (f->kept[i]) f->needed[i] = true;
        if (!f->needed[i]) continue;
        for (int k = 0; k < n->n_src; k++) {
            int s = source_of(f, n->src[k]);
            if (s < 0) continue;
            f->needed[s] = true;
            f->n_readers[s]++;
        }
        if (n->partner < 0) continue;
        f->needed[n->partner] = true;
        f->pinned[n->partner] = true;
    }
}

static void find_absorbed(Folder *f) {
    for (int i = 0; i < f->graph->n; i++) {
        const LayerKind *kind = f->graph->nodes[i].kind;
        f->linear[i] = kind->bias_param ? i : -1;
        f->absorber[i] = -1;
        if (!f->needed[i] || !kind->scale_shift) continue;
        int s = source_of(f, f->graph->nodes[i].src[0]);
        if (s < 0 || f->linear[s] < 0 || f->n_readers[s] != 1 || f->kept[s] || f->pinned[s]) continue;
        f->absorber[s] = i;
        f->linear[i] = f->linear[s];
    }
}

/* ---- the graph ---- */

static void switch_bias_on(GraphNode *n, Arena *arena) {
    const Param *row = param_find(n->kind->params, n->kind->bias_param);
    assert(row && row->type == PARAM_BOOL);
    n->params = arena_copy(arena, n->params, n->kind->params_bytes);
    *(bool *)((char *)n->params + row->offset) = true;
}

/* The layer itself or, under the name of the last that it has absorbed, the one whose weights are left. */
static void add_node(Folder *f, int i) {
    const GraphNode *own = &f->graph->nodes[i];
    const int base = f->linear[i] >= 0 ? f->linear[i] : i;
    f->place[i] = f->folded->n++;
    GraphNode *n = &f->folded->nodes[f->place[i]];
    *n = f->graph->nodes[base];
    n->name = own->name;
    n->where = own->where;
    n->mark = own->mark;
    n->activity_l1 = n->activity_l2 = 0;
    n->frozen = false;
    n->init = NULL;
    for (int k = 0; k < n->n_src; k++) {
        int s = source_of(f, n->src[k]);
        n->src[k] = s < 0 ? -1 : f->place[s];
    }
    if (n->partner >= 0) n->partner = f->place[n->partner];
    if (base != i) switch_bias_on(n, f->arena);
    f->folded->shapes[f->place[i]] = f->graph->shapes[i];
}

static void add_alias(Folder *f, const char **aliases, int *n, const char *name, int node) {
    if (node < 0 || f->place[node] < 0) return;
    aliases[(*n)++] = name;
    aliases[(*n)++] = f->folded->nodes[f->place[node]].name;
}

/* Names of blocks and of layers with an activation, as far as what they stand for is there; names of dropped layers. */
static void add_aliases(Folder *f) {
    const Graph *graph = f->graph;
    int n = 0, used = 0;
    while (graph->aliases && graph->aliases[n]) n++;
    const char **aliases = ARENA_ARRAY(f->arena, const char *, n + 2 * graph->n + 1);
    f->folded->aliases = aliases;
    for (int k = 0; k < n; k += 2)
        add_alias(f, aliases, &used, graph->aliases[k], source_of(f, graph_find(graph, graph->aliases[k])));
    for (int i = 0; i < graph->n; i++)
        if (dropped(f, i) && graph_find(graph, graph->nodes[i].name) == i)
            add_alias(f, aliases, &used, graph->nodes[i].name, source_of(f, i));
}

static void build_graph(Folder *f) {
    const Graph *graph = f->graph;
    Graph *folded = f->folded = ARENA_NEW(f->arena, Graph);
    *folded = *graph;
    folded->n = 0;
    folded->nodes = ARENA_ARRAY(f->arena, GraphNode, graph->n + 1);
    folded->shapes = ARENA_ARRAY(f->arena, Shape, graph->n + 1);
    folded->outputs = ARENA_ARRAY(f->arena, int, graph->n_outputs + 1);
    for (int i = 0; i < graph->n; i++) {
        f->place[i] = -1;
        if (f->needed[i] && f->absorber[i] < 0) add_node(f, i);
    }
    for (int k = 0; k < graph->n_outputs; k++) folded->outputs[k] = f->place[graph->outputs[k]];
    if (graph->code >= 0) folded->code = f->place[graph->code];
    add_aliases(f);
}

/* ---- the weights ---- */

/* A declared weight of a node; NULL: it has none such. */
static const WeightEntry *entry_of(const Weights *weights, int node, int slot) {
    for (int e = 0; e < weights->n; e++)
        if (weights->entries[e].node == node && weights->entries[e].slot_in_node == slot) return &weights->entries[e];
    return NULL;
}

/* Each layer that is left has its own weights, or those of the layer that it has absorbed; a bias that was not there
 * is 0. */
static void copy_weights(const Folder *f) {
    for (int i = 0; i < f->graph->n; i++) {
        const int origin = f->linear[i] >= 0 ? f->linear[i] : i;
        for (int slot = 0; f->place[i] >= 0 && slot < LAYER_MAX_WEIGHTS; slot++) {
            const WeightEntry *from = entry_of(f->weights, origin, slot), *to = entry_of(f->to, f->place[i], slot);
            if (!to) break;
            if (!from) continue;
            assert(from->count == to->count);
            memcpy(f->to->value + to->offset, f->weights->value + from->offset, sizeof(float) * (size_t)to->count);
        }
    }
}

/* What normalisation i does, done to the weights of layer `node` of the folded graph. */
static void scale_layer(const Folder *f, int i, int node) {
    const GraphNode *own = &f->graph->nodes[i];
    const WeightEntry *kernel = entry_of(f->to, node, 0), *bias = entry_of(f->to, node, 1);
    const int64_t channels = bias->count, row = kernel->count / channels;
    double *factor = ARENA_ARRAY(f->arena, double, channels), *shift = ARENA_ARRAY(f->arena, double, channels);
    const float *values[LAYER_MAX_WEIGHTS] = {NULL};
    for (int slot = 0; slot < LAYER_MAX_WEIGHTS; slot++) {
        const WeightEntry *e = entry_of(f->weights, i, slot);
        if (e) values[slot] = f->weights->value + e->offset;
    }
    assert(kernel->shape.dim[0] == channels && f->graph->shapes[i].dim[1] == channels);
    own->kind->scale_shift(own->params, values, channels, factor, shift);
    float *w = f->to->value + kernel->offset, *b = f->to->value + bias->offset;
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t k = 0; k < row; k++) w[c * row + k] = (float)(factor[c] * (double)w[c * row + k]);
        b[c] = (float)(factor[c] * (double)b[c] + shift[c]);
    }
}

/* Normalisations in the order in which they come behind a layer. */
static void scale_layers(const Folder *f) {
    for (int i = 0; i < f->graph->n; i++) {
        if (!f->needed[i] || f->linear[i] < 0 || f->linear[i] == i) continue;
        int last = i;
        while (f->absorber[last] >= 0) last = f->absorber[last];
        scale_layer(f, i, f->place[last]);
    }
}

/* ---- all of it ---- */

Err graph_fold(Graph **out, Weights **out_weights, const Graph *graph, const Weights *weights, Arena *arena,
               Error *err) {
    const int n = graph->n + 1;
    Folder f = {.graph = graph,
                .weights = weights,
                .arena = arena,
                .kept = ARENA_ARRAY(arena, bool, n),
                .pinned = ARENA_ARRAY(arena, bool, n),
                .needed = ARENA_ARRAY(arena, bool, n),
                .n_readers = ARENA_ARRAY(arena, int, n),
                .absorber = ARENA_ARRAY(arena, int, n),
                .linear = ARENA_ARRAY(arena, int, n),
                .place = ARENA_ARRAY(arena, int, n)};
    *out = NULL;
    *out_weights = NULL;
    find_needed(&f);
    find_absorbed(&f);
    build_graph(&f);
    TRY(weights_declare(&f.to, f.folded, err));
    Err code = weights_allocate(f.to, err);
    if (code != OK) return weights_free(f.to), code;
    copy_weights(&f);
    scale_layers(&f);
    *out = f.folded;
    *out_weights = f.to;
    return OK;
}
