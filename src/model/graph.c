/* graph.c - the expanded layer list to a checked graph: kinds looked up, knobs filled, sources and partners found,
 * shapes inferred.
 *
 * A knob `activation: NAME` on a layer whose kind has none of its own becomes a node behind it, named LAYER/activation,
 * for which the layer's name then stands. The compiler fuses the two again.
 */
#include "model/graph.h"
#include "model/initializer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const common_keys[] = {"activity_l1", "activity_l2", "frozen", "init", NULL};

/* Knobs of every layer, beside its kind's. */
typedef struct CommonKnobs {
    double activity_l1, activity_l2;
    bool frozen;
    const char *init;
} CommonKnobs;

static const Param common_params[] = {
    {"activity_l1", PARAM_FLOAT, offsetof(CommonKnobs, activity_l1), "0", 0, 1e6, NULL,
     "training penalty: sum over units of the batch mean of |result|"},
    {"activity_l2", PARAM_FLOAT, offsetof(CommonKnobs, activity_l2), "0", 0, 1e6, NULL,
     "training penalty: sum over units of the batch mean of result^2"},
    {"frozen", PARAM_BOOL, offsetof(CommonKnobs, frozen), "false", 0, 0, NULL, "do not train its weights"},
    {"init", PARAM_STRING, offsetof(CommonKnobs, init), "", 0, 0, NULL, "initializer of its weights (not of biases)"},
    {0}};

typedef struct ModelKeys {
    ParamList input;
    const char *output;
    ParamList outputs;
    const char *code;
    const Node *aliases;
} ModelKeys;

static const Param model_params[] = {
    {"input", PARAM_INTS, offsetof(ModelKeys, input), "", 1, 1 << 20, NULL, "channels, or channels, height, width"},
    {"output", PARAM_STRING, offsetof(ModelKeys, output), "", 0, 0, NULL, "the layer that is the result"},
    {"outputs", PARAM_STRINGS, offsetof(ModelKeys, outputs), "", 0, 0, NULL, "several results; the first counts"},
    {"code", PARAM_STRING, offsetof(ModelKeys, code), "", 0, 0, NULL,
     "the layer whose result is the code of an autoencoder; default: the one named code"},
    {"aliases", PARAM_NODE, offsetof(ModelKeys, aliases), "", 0, 0, NULL,
     "further names of layers, {NAME: LAYER}, for whoever asks for a layer's result by name"},
    {0}};

typedef struct Builder {
    const LayerList *list;
    const Node *model, *blocks;
    Graph *graph;
    int *node_of;        /* per entry: the node that stands for it */
    const char **prefix; /* per node: of its block instance */
    bool *sound;         /* per node: its knobs are filled */
    bool *shaped;        /* per node: its shape is known */
    const char **aliases;
    int n_aliases;
    Arena *arena;
    Error *err;
    Err result;   /* first failure; reading goes on to report the others too */
    Mark *blamed; /* entries reported already: an entry of a template comes again with each use of it */
    int n_blamed;
} Builder;

static void note(Builder *g, Err code) {
    if (g->result == OK) g->result = code;
}

static const char *describe_node(const Builder *g, const GraphNode *n) {
    return arena_printf(g->arena, "%s '%s' (%s)", n->where, n->name, n->kind->name);
}

/* Pass on what is wrong with the entry at `mark`, unless another use of the same template line was blamed before. */
static void blame(Builder *g, Mark mark, const Error *own) {
    note(g, own->code);
    if (own->code == OK) return;
    for (int i = 0; i < g->n_blamed; i++) {
        const Mark *m = &g->blamed[i];
        if (m->source == mark.source && m->line == mark.line && m->column == mark.column) return;
    }
    g->blamed[g->n_blamed++] = mark;
    err_append(g->err, own);
}

/* ---- nodes ---- */

/* "relu" where "activation: relu" is meant. */
static bool is_function(const char *name) {
    const LayerKind *activation = layer_find("activation");
    const Param *row = activation ? param_find(activation->params, "kind") : NULL;
    for (int i = 0; row && row->choices && row->choices[i]; i++)
        if (strcmp(row->choices[i], name) == 0) return true;
    return false;
}

static const LayerKind *find_kind(Builder *g, const LayerEntry *entry) {
    const KindRef *ref = &entry->kind;
    const LayerKind *kind = layer_find(ref->name);
    if (kind) return kind;
    int n = 0, n_blocks = g->blocks ? g->blocks->n : 0;
    while (layer_kinds()[n]) n++;
    const char **known = ARENA_ARRAY(g->arena, const char *, n + n_blocks + 1);
    for (int i = 0; i < n; i++) known[i] = layer_kinds()[i]->name;
    for (int i = 0; i < n_blocks; i++) known[n + i] = g->blocks->keys[i]->text;
    Error own = ERROR_INIT;
    if (is_function(ref->name))
        err_at(&own, ERR_CONFIG, ref->mark, "unknown layer kind '%s', did you mean 'activation: %s'?", ref->name,
               ref->name);
    else
        config_unknown_kind(ref, "layer kind", known, &own);
    err_context(&own, "%s", entry->where);
    blame(g, ref->mark, &own);
    return NULL;
}

/* The args without the key `activation`, and that key's value. */
static const Node *split_activation(Builder *g, const LayerKind *kind, const Node *args, const Node **activation) {
    *activation = args && args->type == NODE_MAP && !param_find(kind->params, "activation")
                      ? node_get(args, "activation")
                      : NULL;
    if (!*activation) return args;
    Node *rest = node_new_map(g->arena, args->mark);
    for (int i = 0; i < args->n; i++)
        if (args->items[i] != *activation) node_put(rest, args->keys[i]->text, args->items[i], g->arena);
    return rest;
}

static GraphNode *add_node(Builder *g, const char *name, const char *where, const LayerKind *kind, const Node *args,
                           Mark mark) {
    GraphNode *n = &g->graph->nodes[g->graph->n++];
    *n = (GraphNode){.name = name, .where = where, .kind = kind, .partner = -1, .mark = mark};
    n->params = arena_alloc(g->arena, kind->params_bytes + 1);
    FillSpec spec = {.what = describe_node(g, n), .mark = mark, .maps = {args}, .targets = {{kind->params, n->params}}};
    Error own = ERROR_INIT;
    config_fill(&spec, g->arena, &own);
    if (node_get(args, "kind") && !param_find(kind->params, "kind")) /* which config_fill lets pass */
        err_at(&own, ERR_CONFIG, node_get(args, "kind")->mark, "%s: unknown key 'kind'", spec.what);
    blame(g, mark, &own);
    g->sound[g->graph->n - 1] = own.code == OK;
    return n;
}

static void set_sources(Builder *g, GraphNode *n, const LayerEntry *entry) {
    if (entry->n_from < n->kind->min_src || entry->n_from > n->kind->max_src) {
        const char *wanted = n->kind->min_src == n->kind->max_src
                                 ? arena_printf(g->arena, "%d", n->kind->min_src)
                                 : arena_printf(g->arena, "%d to %d", n->kind->min_src, n->kind->max_src);
        Error own = ERROR_INIT;
        err_at(&own, ERR_CONFIG, entry->mark, "%s: takes %s source%s, got %d%s", describe_node(g, n), wanted,
               n->kind->max_src == 1 ? "" : "s", entry->n_from,
               entry->n_from < n->kind->min_src ? "; name them, as in from: [up, skip]" : "");
        blame(g, entry->mark, &own);
        return;
    }
    n->n_src = entry->n_from;
    for (int k = 0; k < entry->n_from; k++) n->src[k] = entry->from[k] < 0 ? -1 : g->node_of[entry->from[k]];
}

static void add_entry(Builder *g, int index) {
    const LayerEntry *entry = &g->list->items[index];
    const LayerKind *kind = find_kind(g, entry), *activation_kind = layer_find("activation");
    g->node_of[index] = -2;
    if (!kind) return;
    CommonKnobs knobs;
    FillSpec spec = {.what = arena_printf(g->arena, "%s '%s' (%s)", entry->where, entry->name, kind->name),
                     .mark = entry->mark,
                     .maps = {entry->node},
                     .targets = {{common_params, &knobs}}};
    Error own = ERROR_INIT;
    config_fill(&spec, g->arena, &own);
    if (knobs.init && knobs.init[0]) {
        char phrase[PARAM_PHRASE_BYTES];
        const char *problem = initializer_check(knobs.init, phrase);
        if (problem) err_at(&own, ERR_CONFIG, node_get(entry->node, "init")->mark, "%s: init: %s", spec.what, problem);
    }
    blame(g, entry->mark, &own);

    const Node *activation = NULL, *args = split_activation(g, kind, entry->kind.args, &activation);
    GraphNode *n = add_node(g, entry->name, entry->where, kind, args, entry->mark);
    g->prefix[g->graph->n - 1] = entry->prefix;
    n->frozen = knobs.frozen;
    n->init = knobs.init && knobs.init[0] ? knobs.init : NULL;
    set_sources(g, n, entry);
    if (activation && activation->type != NODE_NULL && activation_kind) {
        const char *name = arena_printf(g->arena, "%s/activation", entry->name);
        GraphNode *a = add_node(g, name, entry->where, activation_kind, activation, activation->mark);
        a->n_src = 1;
        a->src[0] = g->graph->n - 2;
        g->aliases[g->n_aliases++] = entry->name;
        g->aliases[g->n_aliases++] = name;
        n = a;
    }
    n->activity_l1 = knobs.activity_l1;
    n->activity_l2 = knobs.activity_l2;
    g->node_of[index] = g->graph->n - 1;
}

/* ---- partners ---- */

/* A node called `name` as seen from inside `scope` ("dec/block1/"): the innermost scope first. The node itself, not its
 * activation. */
static int find_from(const Builder *g, const char *scope, const char *name) {
    char *path = arena_strdup(g->arena, scope);
    for (;;) {
        char *slash = strrchr(path, '/');
        if (slash) *slash = 0;
        const char *full = slash ? arena_printf(g->arena, "%s/%s", path, name) : name;
        for (int i = 0; i < g->graph->n; i++)
            if (strcmp(g->graph->nodes[i].name, full) == 0) return i;
        int found = graph_find(g->graph, full);
        if (found >= 0 || !slash) return found;
    }
}

static void find_partners(Builder *g) {
    g->graph->aliases = g->aliases;
    for (int i = 0; i < g->graph->n; i++) {
        GraphNode *n = &g->graph->nodes[i];
        if (!n->kind->partner_param) continue;
        const Param *row = param_find(n->kind->params, n->kind->partner_param);
        const char *name = *(const char *const *)((const char *)n->params + row->offset);
        if (!name) continue; /* already reported as missing */
        n->partner = find_from(g, g->prefix[i], name);
        if (n->partner >= 0 && n->partner < i) continue;
        const char **known = ARENA_ARRAY(g->arena, const char *, i + 1);
        for (int k = 0; k < i; k++) known[k] = g->graph->nodes[k].name;
        const char *near = nearest_name(name, known);
        Error own = ERROR_INIT;
        err_at(&own, ERR_CONFIG, n->mark, "%s: '%s' names no layer before this one: '%s'%s%s%s", describe_node(g, n),
               row->name, name, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
        blame(g, n->mark, &own);
        n->partner = -1;
    }
}

/* ---- shapes ---- */

static void infer_all(Builder *g) {
    Graph *graph = g->graph;
    for (int i = 0; i < graph->n; i++) {
        const GraphNode *n = &graph->nodes[i];
        bool known = g->sound[i] && n->n_src >= n->kind->min_src && (!n->kind->partner_param || n->partner >= 0);
        for (int k = 0; k < n->n_src; k++)
            if (n->src[k] == -2 || (n->src[k] >= 0 && !g->shaped[n->src[k]])) known = false;
        if (n->partner >= 0 && !g->shaped[n->partner]) known = false;
        if (!known) continue;
        char phrase[GRAPH_PHRASE_BYTES] = "does not fit";
        g->shaped[i] = graph_infer_node(graph, i, graph->input, graph->shapes, &graph->shapes[i], phrase);
        if (g->shaped[i]) continue;
        Error own = ERROR_INIT;
        err_at(&own, ERR_CONFIG, n->mark, "%s: %s", describe_node(g, n), phrase);
        blame(g, n->mark, &own);
    }
}

/* ---- input and outputs ---- */

static void choose_input(Builder *g, const ModelKeys *keys, Shape data) {
    Graph *graph = g->graph;
    graph->input = data;
    if (keys->input.n == 0) {
        if (data.rank > 0) return;
        note(g, err_at(g->err, ERR_CONFIG, g->model->mark,
                       "model.input must be given, as in input: [3, 240, 320]: the data does not say"));
        return;
    }
    Mark mark = node_get(g->model, "input")->mark;
    if (keys->input.n != 1 && keys->input.n != 3) {
        note(g, err_at(g->err, ERR_CONFIG, mark,
                       "model.input: expected [channels] or [channels, height, width], got %d numbers", keys->input.n));
        return;
    }
    graph->input = (Shape){.rank = keys->input.n + 1, .dim = {1}};
    for (int i = 0; i < keys->input.n; i++) graph->input.dim[i + 1] = keys->input.ints[i];
    if (data.rank == 0) return;
    bool vector = keys->input.n == 1;
    bool fits = vector ? shape_size(data) == graph->input.dim[1] : data.dim[1] == graph->input.dim[1];
    char given[SHAPE_TEXT_BYTES], found[SHAPE_TEXT_BYTES];
    if (!fits)
        note(g, err_at(g->err, ERR_CONFIG, mark, "model.input is %s, but the data gives %s",
                       shape_text(graph->input, given), shape_text(data, found)));
}

static int find_named(Builder *g, const char *name, Mark mark) {
    int found = graph_find(g->graph, name);
    if (found >= 0) return found;
    const char **known = ARENA_ARRAY(g->arena, const char *, g->graph->n + 1);
    for (int i = 0; i < g->graph->n; i++) known[i] = g->graph->nodes[i].name;
    const char *near = nearest_name(name, known);
    note(g, err_at(g->err, ERR_CONFIG, mark, "the network has no layer '%s'%s%s%s", name,
                   near ? ", did you mean '" : "", near ? near : "", near ? "'?" : ""));
    return -1;
}

static void choose_outputs(Builder *g, const ModelKeys *keys) {
    Graph *graph = g->graph;
    graph->outputs = ARENA_ARRAY(g->arena, int, keys->outputs.n + 2);
    if (keys->output && keys->output[0]) {
        int node = find_named(g, keys->output, node_get(g->model, "output")->mark);
        if (node >= 0) graph->outputs[graph->n_outputs++] = node;
    }
    for (int k = 0; k < keys->outputs.n; k++) {
        int node = find_named(g, keys->outputs.strings[k], node_get(g->model, "outputs")->items[k]->mark);
        if (node >= 0) graph->outputs[graph->n_outputs++] = node;
    }
    if (graph->n_outputs == 0 && graph->n > 0) graph->outputs[graph->n_outputs++] = graph->n - 1;
}

/* The names of blocks are such names by themselves; these are given. */
static void add_aliases(Builder *g, const Node *aliases) {
    if (!aliases || aliases->type == NODE_NULL) return;
    if (aliases->type != NODE_MAP) {
        note(g, err_at(g->err, ERR_CONFIG, aliases->mark, "model.aliases: expected a map {NAME: LAYER}"));
        return;
    }
    for (int i = 0; i < aliases->n; i++) {
        const char *name = aliases->keys[i]->text;
        const Node *layer = aliases->items[i];
        if (graph_find(g->graph, name) >= 0)
            note(g, err_at(g->err, ERR_CONFIG, aliases->keys[i]->mark, "model.aliases: there is a layer '%s' already",
                           name));
        else if (layer->type != NODE_SCALAR)
            note(g, err_at(g->err, ERR_CONFIG, layer->mark, "model.aliases: '%s' must be the name of a layer", name));
        else if (find_named(g, layer->text, layer->mark) >= 0) {
            g->aliases[g->n_aliases++] = name;
            g->aliases[g->n_aliases++] = layer->text;
        }
    }
}

static void choose_code(Builder *g, const ModelKeys *keys) {
    Graph *graph = g->graph;
    bool given = keys->code && keys->code[0];
    const char *name = given ? keys->code : "code";
    graph->code = given ? find_named(g, name, node_get(g->model, "code")->mark) : graph_find(graph, name);
    graph->code_name = graph->code >= 0 ? name : NULL;
}

static void check_classes(Builder *g, int64_t classes) {
    const Graph *graph = g->graph;
    if (classes <= 0 || graph->n_outputs == 0 || !g->shaped[graph->outputs[0]]) return;
    const GraphNode *n = &graph->nodes[graph->outputs[0]];
    int64_t channels = graph->shapes[graph->outputs[0]].dim[1];
    if (channels == classes) return;
    note(g, err_at(g->err, ERR_CONFIG, n->mark, "%s: the network's result has %lld channels, the data %lld classes",
                   describe_node(g, n), (long long)channels, (long long)classes));
}

/* ---- all of it ---- */

static int count_aliases(const LayerList *list) {
    int n = 0;
    while (list->aliases && list->aliases[n]) n++;
    return n;
}

/* The model with what the data knows among its parameters, so that a network need not repeat it. */
static const Node *with_data_params(const Node *model, Shape input, int64_t classes, const ParamList *own_input,
                                    Arena *arena) {
    Node *copy = arena_copy(arena, model, sizeof *model);
    const Node *given = node_get(model, "params");
    if (given && given->type != NODE_MAP && given->type != NODE_NULL) return model; /* blocks_expand says so */
    Node *params = given && given->type == NODE_MAP ? node_copy(given, arena) : node_new_map(arena, model->mark);
    int64_t channels = own_input->n > 0 ? own_input->ints[0] : input.rank > 1 ? input.dim[1] : 0;
    const struct {
        const char *name;
        int64_t value;
    } known[] = {{"classes", classes}, {"channels", channels}};
    for (int i = 0; i < 2; i++) {
        if (known[i].value <= 0 || node_get(params, known[i].name)) continue;
        const char *text = arena_printf(arena, "%lld", (long long)known[i].value);
        node_put(params, known[i].name, node_new_scalar(arena, model->mark, text), arena);
    }
    node_put(copy, "params", params, arena);
    return copy;
}

Err graph_build(Graph **out, const Experiment *experiment, Shape input, int64_t classes, Arena *arena, Error *err) {
    *out = NULL;
    LayerList list = {0};
    ModelKeys keys;
    static const char *const others[] = {"layers", "params", NULL};
    Builder g = {.list = &list, .model = experiment->model, .blocks = experiment->blocks, .arena = arena, .err = err};
    FillSpec spec = {
        .what = "model", .maps = {experiment->model}, .targets = {{model_params, &keys}}, .ignore = others};
    note(&g, config_fill(&spec, arena, err));
    const Node *model = with_data_params(experiment->model, input, classes, &keys.input, arena);
    Err expanded = blocks_expand(&list, model, experiment->blocks, common_keys, arena, err);
    if (expanded != OK) return g.result != OK ? g.result : expanded;

    Graph *graph = g.graph = ARENA_NEW(arena, Graph);
    graph->nodes = ARENA_ARRAY(arena, GraphNode, 2 * list.n + 1);
    g.node_of = ARENA_ARRAY(arena, int, list.n + 1);
    g.prefix = ARENA_ARRAY(arena, const char *, 2 * list.n + 1);
    g.sound = ARENA_ARRAY(arena, bool, 2 * list.n + 1);
    g.blamed = ARENA_ARRAY(arena, Mark, 2 * list.n + 1);
    int n_given = count_aliases(&list), n_own = keys.aliases && keys.aliases->type == NODE_MAP ? keys.aliases->n : 0;
    g.aliases = ARENA_ARRAY(arena, const char *, n_given + 2 * list.n + 2 * n_own + 1);
    for (int i = 0; i < list.n; i++) add_entry(&g, i);
    if (g.result == OK && graph->n == 0)
        note(&g, err_at(err, ERR_CONFIG, experiment->model->mark, "model.layers is empty"));
    for (int i = 0; i < n_given; i++) g.aliases[g.n_aliases++] = list.aliases[i];

    graph->shapes = ARENA_ARRAY(arena, Shape, graph->n + 1);
    g.shaped = ARENA_ARRAY(arena, bool, graph->n + 1);
    choose_input(&g, &keys, input);
    find_partners(&g);
    add_aliases(&g, keys.aliases);
    choose_outputs(&g, &keys);
    choose_code(&g, &keys);
    if (graph->input.rank > 0) {
        if (g.result == OK && keys.input.n == 0) graph_pad_input(graph);
        infer_all(&g);
    }
    check_classes(&g, classes);
    if (g.result == OK) note(&g, config_check_params(experiment, arena, err));
    if (g.result == OK) *out = graph;
    return g.result;
}

static int find_node(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->n; i++)
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

/* Aliases first: a layer with a fused activation is meant with it. An alias may point at such a layer in turn. */
int graph_find(const Graph *graph, const char *name) {
    for (int hop = 0; hop < 64; hop++) {
        const char *next = NULL;
        for (int i = 0; graph->aliases && graph->aliases[i] && !next; i += 2)
            if (strcmp(graph->aliases[i], name) == 0) next = graph->aliases[i + 1];
        if (!next) break;
        name = next;
    }
    return find_node(graph, name);
}

const bool *graph_needed(const Graph *graph, Arena *arena) {
    bool *needed = ARENA_ARRAY(arena, bool, graph->n + 1);
    for (int k = 0; k < graph->n_outputs; k++) needed[graph->outputs[k]] = true;
    for (int i = graph->n - 1; i >= 0; i--) { /* sources come before their readers */
        const GraphNode *n = &graph->nodes[i];
        if (!needed[i]) continue;
        for (int k = 0; k < n->n_src; k++)
            if (n->src[k] >= 0) needed[n->src[k]] = true;
        if (n->partner >= 0) needed[n->partner] = true;
    }
    return needed;
}
