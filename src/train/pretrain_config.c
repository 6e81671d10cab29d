/* pretrain_config.c - the section `pretrain:` read, and checked against the network. */
#include "base/number.h"
#include "train/pretrain_denoise.h"
#include "train/pretrain_knobs.h"
#include "train/rbm.h"

#include <string.h>

const PretrainKind *const pretrain_kinds[] = {&pretrain_rbm, &pretrain_denoise, NULL};

#define ROW(field) PRETRAIN_ROW(field)
const Param pretrain_params[] = {
    {"layers", PARAM_STRINGS, ROW(layers), NULL, 0, 0, NULL, "dense layers, bottom to top"},
    {"decoder", PARAM_STRINGS, ROW(decoder), "", 0, 0, NULL,
     "their mirror images, top to bottom: they get the transposed weights and the visible biases"},
    {"epochs", PARAM_INTS, ROW(epochs), "10", 1, 1e9, NULL, "of each layer; one number, or one a layer"},
    {"batch_size", PARAM_INT, ROW(batch_size), "100", 1, 65536, NULL, "samples per step"},
    {"lr", PARAM_FLOATS, ROW(lr), "0.1", 0, 1e6, NULL, "learning rate; one number, or one a layer"},
    {0}};
#undef ROW

typedef struct Reader {
    Pretrain *out;
    const Experiment *experiment;
    const Graph *graph;
    const PretrainKind *kind;
    const Node *args;
    Mark mark;
    PretrainKnobs knobs;
    Arena *arena;
    Error *err;
    Err result;
} Reader;

/* ---- places ---- */

/* Of item i of a list, or of the one value in its place. */
static Mark mark_of(const Reader *r, const char *key, int i) {
    const Node *node = r->args && r->args->type == NODE_MAP ? node_get(r->args, key) : r->args;
    if (!node) return r->mark;
    return node->type == NODE_LIST && i >= 0 && i < node->n ? node->items[i]->mark : node->mark;
}

#define COMPLAIN(r, key, i, ...)                                                                                       \
    do {                                                                                                               \
        Err code_ = err_at((r)->err, ERR_CONFIG, mark_of((r), (key), (i)), "pretrain." __VA_ARGS__);                   \
        if ((r)->result == OK) (r)->result = code_;                                                                    \
    } while (0)

/* ---- the network around a layer ---- */

static int find_exact(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->n; i++)
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return graph_find(graph, name);
}

/* The dense layer of that name; -1, and said why, when there is none that can learn so. */
static int find_dense(Reader *r, const char *key, int i, const char *name) {
    const Graph *graph = r->graph;
    int node = find_exact(graph, name);
    if (node < 0) {
        const char **known = ARENA_ARRAY(r->arena, const char *, graph->n + 1);
        for (int k = 0; k < graph->n; k++) known[k] = graph->nodes[k].name;
        const char *near = nearest_name(name, known);
        COMPLAIN(r, key, i, "%s: the network has no layer '%s'%s%s%s", key, name, near ? ", did you mean '" : "",
                 near ? near : "", near ? "'?" : "");
        return -1;
    }
    const GraphNode *n = &graph->nodes[node];
    if (strcmp(n->kind->name, "dense") != 0) {
        COMPLAIN(r, key, i, "%s: '%s' is a layer of kind %s, and only dense ones are pre-trained", key, name,
                 n->kind->name);
        return -1;
    }
    if (r->graph->shapes[node].rank != 2) {
        COMPLAIN(r, key, i,
                 "%s: '%s' works on the steps of a sequence; only layers on one vector a sample are "
                 "pre-trained",
                 key, name);
        return -1;
    }
    const Param *bias = param_find(n->kind->params, "bias");
    if (bias && !*(const bool *)((const char *)n->params + bias->offset)) {
        COMPLAIN(r, key, i, "%s: '%s' has no bias, which pre-training learns too: leave out bias: false", key, name);
        return -1;
    }
    return node;
}

static Shape source_shape(const Graph *graph, int node) {
    int source = graph->nodes[node].src[0];
    return source < 0 ? graph->input : graph->shapes[source];
}

static int64_t n_source(const Graph *graph, int node) {
    Shape shape = source_shape(graph, node);
    return shape_size(shape) / shape.dim[0];
}

/* What the layer's result goes through: the only reader's activation, reshapes in between passed over. "none" when
 * there is none, or several readers. */
static const char *activation_of(const Graph *graph, int node) {
    static const char *const names[] = {
        [ACT_NONE] = "none", [ACT_RELU] = "relu",         [ACT_ELU] = "elu",    [ACT_SIGMOID] = "sigmoid",
        [ACT_TANH] = "tanh", [ACT_SOFTPLUS] = "softplus", [ACT_SWISH] = "swish"};
    for (;;) {
        int reader = -1, n = 0;
        for (int i = node + 1; i < graph->n; i++)
            for (int k = 0; k < graph->nodes[i].n_src; k++)
                if (graph->nodes[i].src[k] == node) reader = i, n++;
        if (n != 1) return names[ACT_NONE];
        const GraphNode *next = &graph->nodes[reader];
        if (next->kind->is_softmax && next->kind->is_softmax(next->params)) return "softmax";
        if (next->kind->act) return names[next->kind->act(next->params).kind];
        if (!next->kind->keeps_elements) return names[ACT_NONE];
        node = reader;
    }
}

/* The layer with weights that a layer's values come from, through activations, noise and reshapes; -1: the input. */
static int layer_below(const Graph *graph, int node) {
    for (node = graph->nodes[node].src[0]; node >= 0; node = graph->nodes[node].src[0]) {
        const GraphNode *n = &graph->nodes[node];
        if (n->kind->weights || n->n_src != 1) return node;
    }
    return -1;
}

/* ---- layers ---- */

/* One number for all layers, or one for each. */
static bool fits(Reader *r, const char *key, int n) {
    if (n <= 1 || n == r->knobs.layers.n) return true;
    COMPLAIN(r, key, 0, "%s: expected one number, or %d, one for each layer, got %d", key, r->knobs.layers.n, n);
    return false;
}

static void check_units(Reader *r, int i, PretrainLayer *layer) {
    const char *activation = activation_of(r->graph, layer->node);
    layer->linear = strcmp(activation, "none") == 0;
    bool last = i + 1 == r->knobs.layers.n;
    if (strcmp(activation, "sigmoid") == 0 || (layer->linear && last && r->kind->takes_linear)) return;
    COMPLAIN(r, "layers", i, "layers: '%s' has activation %s; %s wants logistic units (activation: sigmoid)%s",
             layer->name, activation, r->kind->name,
             !r->kind->takes_linear ? ""
             : last                 ? ", or linear ones (no activation)"
                                    : "; only the last layer may be linear");
}

static void check_chain(Reader *r, int i) {
    const PretrainLayer *layer = &r->out->layers[i], *before = layer - 1;
    for (int k = 0; k < i; k++) {
        if (r->out->layers[k].node != layer->node) continue;
        COMPLAIN(r, "layers", i, "layers: '%s' is named twice", layer->name);
        return;
    }
    if (i == 0 || before->node < 0) return;
    int below = layer_below(r->graph, layer->node);
    if (below == before->node) return;
    COMPLAIN(r, "layers", i,
             "layers: '%s' does not follow '%s': it gets %lld values from '%s'; name all dense layers "
             "from bottom to top",
             layer->name, before->name, (long long)layer->n_visible, below < 0 ? "input" : r->graph->nodes[below].name);
}

static void read_layer(Reader *r, int i) {
    PretrainLayer *layer = &r->out->layers[i];
    const PretrainKnobs *knobs = &r->knobs;
    *layer = (PretrainLayer){.name = knobs->layers.strings[i], .decoder = -1};
    layer->node = find_dense(r, "layers", i, layer->name);
    if (layer->node < 0) return;
    const GraphNode *n = &r->graph->nodes[layer->node];
    layer->source = n->src[0] < 0 ? "input" : r->graph->nodes[n->src[0]].name;
    layer->n_visible = n_source(r->graph, layer->node);
    layer->n_hidden = r->graph->shapes[layer->node].dim[1];
    check_units(r, i, layer);
    check_chain(r, i);
    layer->epochs = knobs->epochs.ints[knobs->epochs.n == 1 ? 0 : i];
    layer->lr = knobs->lr.floats[knobs->lr.n == 1 ? 0 : i];
    if (layer->linear && knobs->lr.n == 1) layer->lr = knobs->lr_linear;
    if (knobs->rate.n > 0) layer->rate = knobs->rate.floats[knobs->rate.n == 1 ? 0 : i];
}

/* ---- decoder ---- */

/* The decoder's item that mirrors layer i. */
static void read_decoder(Reader *r, int i) {
    PretrainLayer *layer = &r->out->layers[i];
    int item = r->knobs.decoder.n - 1 - i;
    const char *name = r->knobs.decoder.strings[item];
    int node = find_dense(r, "decoder", item, name);
    if (node < 0 || layer->node < 0) return;
    int64_t from = n_source(r->graph, node), to = r->graph->shapes[node].dim[1];
    if (from != layer->n_hidden || to != layer->n_visible) {
        COMPLAIN(r, "decoder", item,
                 "decoder: '%s' makes %lld values of %lld, but the mirror image of '%s' makes %lld of %lld", name,
                 (long long)to, (long long)from, layer->name, (long long)layer->n_visible, (long long)layer->n_hidden);
        return;
    }
    const char *activation = activation_of(r->graph, node);
    if (strcmp(activation, "sigmoid") != 0) {
        COMPLAIN(r, "decoder", item,
                 "decoder: '%s' has activation %s; what '%s' learns to give back is logistic "
                 "(activation: sigmoid)",
                 name, activation, layer->name);
        return;
    }
    for (int k = 0; k < r->out->n; k++) {
        if (r->out->layers[k].node != node && r->out->layers[k].decoder != node) continue;
        COMPLAIN(r, "decoder", item, "decoder: '%s' is named twice", name);
        return;
    }
    layer->decoder = node;
}

static void read_decoders(Reader *r) {
    const PretrainKnobs *knobs = &r->knobs;
    if (knobs->decoder.n == 0) return;
    if (knobs->decoder.n != knobs->layers.n) {
        COMPLAIN(r, "decoder", -1, "decoder: expected %d layers, a mirror image for each of pretrain.layers, got %d",
                 knobs->layers.n, knobs->decoder.n);
        return;
    }
    for (int i = 0; i < r->out->n; i++) read_decoder(r, i);
}

/* ---- optimizers ---- */

/* The section's steps as the optimizer kinds know them: nothing of `train:` but the kind's own defaults. */
static void read_optimizer(Reader *r, double momentum, Optimizer *out) {
    Arena *arena = r->arena;
    const char *name = r->knobs.optimizer == PRETRAIN_ADAM ? "adam" : "sgd";
    Node *node = node_new_map(arena, r->mark), *args = node_new_map(arena, r->mark);
    if (r->knobs.optimizer == PRETRAIN_SGD)
        node_put(args, "momentum", node_new_scalar(arena, r->mark, number_format((char[NUMBER_BYTES]){0}, momentum, 9)),
                 arena);
    node_put(node, name, args, arena);
    Experiment steps = {.train = {.optimizer = node, .weight_decay = r->knobs.weight_decay}};
    Err code = optimizer_read(out, &steps, arena, r->err);
    if (r->result == OK) r->result = code;
}

static void read_optimizers(Reader *r) {
    const PretrainKnobs *knobs = &r->knobs;
    Pretrain *out = r->out;
    out->n_first = knobs->momentum_epochs;
    read_optimizer(r, knobs->momentum, &out->then);
    read_optimizer(r, knobs->momentum_start, &out->first);
}

/* ---- all of it ---- */

static const PretrainKind *find_kind(const KindRef *ref, Error *err) {
    const char *known[8] = {NULL};
    for (int i = 0; pretrain_kinds[i]; i++) {
        if (strcmp(pretrain_kinds[i]->name, ref->name) == 0) return pretrain_kinds[i];
        known[i] = pretrain_kinds[i]->name;
    }
    config_unknown_kind(ref, "pre-training", known, err);
    err_context(err, "pretrain");
    return NULL;
}

static Err fill_knobs(Reader *r) {
    FillSpec fill = {.what = "pretrain",
                     .mark = r->mark,
                     .maps = {r->args},
                     .targets = {{pretrain_params, &r->knobs}, {r->kind->params, &r->knobs}}};
    TRY(config_fill(&fill, r->arena, r->err));
    const PretrainKnobs *knobs = &r->knobs;
    if (knobs->layers.n == 0) COMPLAIN(r, "layers", 0, "layers: names no layer");
    if (knobs->epochs.n == 0) COMPLAIN(r, "epochs", 0, "epochs: expected a number, got an empty list");
    if (knobs->lr.n == 0) COMPLAIN(r, "lr", 0, "lr: expected a number, got an empty list");
    fits(r, "epochs", knobs->epochs.n);
    fits(r, "lr", knobs->lr.n);
    fits(r, "rate", knobs->rate.n);
    if (param_find(r->kind->params, "rate") && knobs->rate.n == 0)
        COMPLAIN(r, "rate", 0, "rate: expected a number, got an empty list");
    if (knobs->optimizer == PRETRAIN_ADAM && knobs->momentum > 0)
        COMPLAIN(r, "momentum", 0, "momentum: belongs to optimizer sgd, adam has its own: leave it out");
    return r->result;
}

Err pretrain_read(Pretrain *out, const Experiment *experiment, const Graph *graph, Arena *arena, Error *err) {
    *out = (Pretrain){0};
    const Node *node = experiment->pretrain;
    if (!node || node->type == NODE_NULL) return OK;
    KindRef ref;
    TRY(config_kind(&ref, node, "pretrain", err));
    Reader r = {.out = out,
                .experiment = experiment,
                .graph = graph,
                .kind = find_kind(&ref, err),
                .args = ref.args,
                .mark = ref.mark,
                .arena = arena,
                .err = err};
    if (!r.kind) return ERR_CONFIG;
    TRY(fill_knobs(&r));
    out->batch_size = r.knobs.batch_size;
    out->n = r.knobs.layers.n;
    out->layers = ARENA_ARRAY(arena, PretrainLayer, out->n);
    for (int i = 0; i < out->n; i++) out->layers[i].node = out->layers[i].decoder = -1;
    for (int i = 0; i < out->n; i++) read_layer(&r, i);
    read_decoders(&r);
    read_optimizers(&r);
    if (r.result == OK) out->kind = r.kind;
    return r.result;
}
