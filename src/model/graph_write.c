/* graph_write.c - a graph as the `model:` section that builds it again. See graph.h. */
#include "model/graph.h"

#include <string.h>

typedef struct Writer {
    const Graph *graph;
    Arena *arena;
    Mark mark;
    const char **name; /* per node: what its readers call it; of a layer's activation: the layer's name */
    bool *merged;      /* per node: it is the `activation:` of the layer before it */
} Writer;

static Node *word(const Writer *w, const char *text) {
    Node *node = node_new_scalar(w->arena, w->mark, text);
    node->quoted = true; /* a layer may be called `true` or `12` */
    return node;
}

/* What graph.c makes of `activation: NAME`: a node LAYER/activation behind the layer, for which LAYER stands. */
static bool is_merged(const Graph *graph, int i) {
    const GraphNode *n = &graph->nodes[i];
    if (i == 0 || n->kind != layer_find("activation") || n->src[0] != i - 1) return false;
    const char *layer = graph->nodes[i - 1].name;
    size_t bytes = strlen(layer);
    if (strncmp(n->name, layer, bytes) != 0 || strcmp(n->name + bytes, "/activation") != 0) return false;
    return !param_find(graph->nodes[i - 1].kind->params, "activation") && graph_find(graph, layer) == i;
}

static const char *source_name(const Writer *w, int i) {
    return i < 0 ? "input" : w->name[i];
}

/* The kind's knobs; the partner by its full name, and the activation that belongs to the layer. */
static Node *args_node(const Writer *w, int i) {
    const GraphNode *n = &w->graph->nodes[i];
    Node *args = config_unfill(n->kind->params, n->params, w->mark, w->arena);
    bool activation = i + 1 < w->graph->n && w->merged[i + 1];
    if (!args && (activation || n->partner >= 0)) args = node_new_map(w->arena, w->mark);
    if (n->partner >= 0) node_put(args, n->kind->partner_param, word(w, w->graph->nodes[n->partner].name), w->arena);
    if (!activation) return args;
    const GraphNode *a = n + 1;
    node_put(args, "activation", config_unfill(a->kind->params, a->params, w->mark, w->arena), w->arena);
    return args;
}

static Node *sources_node(const Writer *w, const GraphNode *n) {
    if (n->n_src == 1) return word(w, source_name(w, n->src[0]));
    Node *list = ARENA_NEW(w->arena, Node);
    *list = (Node){.type = NODE_LIST, .mark = w->mark, .n = n->n_src};
    list->items = ARENA_ARRAY(w->arena, Node *, n->n_src);
    for (int k = 0; k < n->n_src; k++) list->items[k] = word(w, source_name(w, n->src[k]));
    return list;
}

static Node *layer_node(const Writer *w, int i) {
    const GraphNode *n = &w->graph->nodes[i];
    Node *layer = node_new_map(w->arena, w->mark), *args = args_node(w, i);
    if (!args) {
        args = ARENA_NEW(w->arena, Node);
        *args = (Node){.type = NODE_NULL, .mark = w->mark};
    }
    node_put(layer, n->kind->name, args, w->arena);
    node_put(layer, "name", word(w, n->name), w->arena);
    node_put(layer, "from", sources_node(w, n), w->arena);
    return layer;
}

static Node *layers_node(const Writer *w) {
    Node *list = ARENA_NEW(w->arena, Node);
    *list = (Node){.type = NODE_LIST, .mark = w->mark};
    list->items = ARENA_ARRAY(w->arena, Node *, w->graph->n + 1);
    for (int i = 0; i < w->graph->n; i++)
        if (!w->merged[i]) list->items[list->n++] = layer_node(w, i);
    return list;
}

static Node *outputs_node(const Writer *w) {
    Node *list = ARENA_NEW(w->arena, Node);
    *list = (Node){.type = NODE_LIST, .mark = w->mark, .n = w->graph->n_outputs};
    list->items = ARENA_ARRAY(w->arena, Node *, w->graph->n_outputs);
    for (int k = 0; k < w->graph->n_outputs; k++) list->items[k] = word(w, w->name[w->graph->outputs[k]]);
    return list;
}

/* Those that graph_build does not make by itself. */
static Node *aliases_node(const Writer *w) {
    const Graph *graph = w->graph;
    Node *map = NULL;
    for (int k = 0; graph->aliases && graph->aliases[k]; k += 2) {
        int node = graph_find(graph, graph->aliases[k]);
        if (node < 0 || strcmp(w->name[node], graph->aliases[k]) == 0) continue;
        if (!map) map = node_new_map(w->arena, w->mark);
        node_put(map, graph->aliases[k], word(w, w->name[node]), w->arena);
    }
    return map;
}

Node *graph_write(const Graph *graph, const Node *model, Arena *arena) {
    Writer w = {.graph = graph,
                .arena = arena,
                .mark = model->mark,
                .name = ARENA_ARRAY(arena, const char *, graph->n + 1),
                .merged = ARENA_ARRAY(arena, bool, graph->n + 1)};
    for (int i = 0; i < graph->n; i++) {
        w.merged[i] = is_merged(graph, i);
        w.name[i] = graph->nodes[w.merged[i] ? i - 1 : i].name;
    }
    Node *out = node_new_map(arena, model->mark), *input = node_get(model, "input"), *aliases = aliases_node(&w);
    if (input && input->type != NODE_NULL) node_put(out, "input", input, arena);
    node_put(out, "layers", layers_node(&w), arena);
    node_put(out, "outputs", outputs_node(&w), arena);
    if (graph->code_name) node_put(out, "code", word(&w, graph->code_name), arena);
    if (aliases) node_put(out, "aliases", aliases, arena);
    return out;
}
