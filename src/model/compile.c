/* compile.c - graph + weights + mode + batch size -> Program.
 *
 * One pass over the nodes in order records forward, one pass backwards records gradients. Before them it is decided
 * which nodes are computed at all, which activations disappear into their producer (`fused`), and which final sigmoid
 * or softmax is left to a loss. `home` of a node is the node whose LayerBuild holds its value: itself, or the producer
 * it was fused into.
 */
#include "model/compile.h"

#include "base/spans.h"
#include "model/targets.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GRADIENTS = 12 }; /* readers of one value */

typedef struct NodeBuild {
    LayerBuild layer;
    Tensor *value; /* what readers see; NULL until recorded */
    int home;      /* node that computes it */
    int n_readers; /* nodes and losses that read it, in this program */
    bool needed;   /* computed in this program */
    bool kept;     /* somebody outside reads it: output, loss, activity penalty */
    bool learns;   /* it or something before it has trained weights: needs a gradient */
    int n_gradients;
    Tensor *gradient[MAX_GRADIENTS];
} NodeBuild;

typedef struct Compiler {
    Arena *arena;
    const CompileSpec *spec;
    const Graph *graph;
    Build *b;
    NodeBuild *nodes;
    Tensor *input;
    int from;     /* node that the input stands for; -1: none, it is the network's own */
    int past;     /* a node that is needed and reads what comes before `from`; -1: none */
    int n_inward; /* gradients of the input */
    Tensor *inward[MAX_GRADIENTS];
    int *losses_on;  /* per loss: the node whose value it reads (its node, or that node's source); -1: the input */
    bool *penalised; /* per node */
} Compiler;

static bool ends_in(const GraphNode *n, bool softmax) {
    if (softmax) return n->kind->is_softmax && n->kind->is_softmax(n->params);
    return n->kind->act && n->kind->act(n->params).kind == ACT_SIGMOID;
}

/* A loss over elements does not care how they are arranged, so a sigmoid may have reshapes behind it. A softmax may
 * not: it is over axis 1. */
int compile_final(const Graph *graph, int node, bool softmax) {
    while (!softmax && node >= 0 && graph->nodes[node].kind->keeps_elements) node = graph->nodes[node].src[0];
    return node >= 0 && ends_in(&graph->nodes[node], softmax) ? node : -1;
}

int compile_hidden_softmax(const Graph *graph, int node) {
    while (node >= 0 && !ends_in(&graph->nodes[node], true)) {
        const GraphNode *n = &graph->nodes[node];
        node = n->n_src == 1 && !n->kind->weights && !n->kind->act ? n->src[0] : -1;
    }
    return node;
}

/* ---- decisions ---- */

/* Whether weights are to be learned. */
static bool learning(const Compiler *c) {
    return c->spec->training && !c->spec->input_gradient;
}

static bool drawing(const Compiler *c) {
    return c->spec->draws || learning(c);
}

static bool skipped(const Compiler *c, int i) {
    const LayerKind *kind = c->graph->nodes[i].kind;
    return i != c->from && !learning(c) && kind->training_only && !(kind->corrupts && drawing(c));
}

/* The node whose value readers of node i see; -1: the input. */
static int source_of(const Compiler *c, int i) {
    while (i >= 0 && skipped(c, i)) i = c->graph->nodes[i].src[0];
    return i;
}

static void need(Compiler *c, int i) {
    if (i < 0 || c->nodes[i].needed) return;
    c->nodes[i].needed = true;
    if (i == c->from) return;
    for (int k = 0; k < c->graph->nodes[i].n_src; k++) {
        if (c->from >= 0 && c->past < 0 && c->graph->nodes[i].src[k] < c->from) c->past = i;
        need(c, c->graph->nodes[i].src[k]);
    }
    need(c, c->graph->nodes[i].partner);
}

static void keep(Compiler *c, int i) {
    if (i < 0) return;
    c->nodes[i].kept = true;
    need(c, i);
}

static bool has_penalty(const GraphNode *n) {
    return n->activity_l1 > 0 || n->activity_l2 > 0;
}

static void choose_nodes(Compiler *c) {
    const CompileSpec *s = c->spec;
    for (int k = 0; k < s->n_losses; k++) {
        int node = s->losses[k].node, final = -1;
        if (s->losses[k].logits) final = compile_final(c->graph, node, false);
        if (s->losses[k].logits && final < 0) final = compile_final(c->graph, node, true);
        c->losses_on[k] = final >= 0 ? c->graph->nodes[final].src[0] : node;
        keep(c, c->losses_on[k]);
    }
    if (!s->training && !s->only_outputs)
        for (int k = 0; k < c->graph->n_outputs; k++) keep(c, c->graph->outputs[k]);
    for (int k = 0; k < s->n_outputs; k++) keep(c, graph_find(c->graph, s->outputs[k]));
    for (int i = 0; i < c->graph->n; i++) {
        if (!learning(c) || !has_penalty(&c->graph->nodes[i])) continue;
        c->penalised[i] = true;
        keep(c, i);
    }
    for (int i = 0; i < c->graph->n; i++) {
        const GraphNode *n = &c->graph->nodes[i];
        if (!c->nodes[i].needed || i == c->from) continue;
        for (int k = 0; k < n->n_src; k++)
            if (n->src[k] >= 0) c->nodes[n->src[k]].n_readers++;
        if (n->partner < 0) continue;
        c->nodes[n->partner].kept = true;
        c->nodes[n->partner].layer.has_partner = true;
    }
}

/* An activation goes into its producer when that producer can take it and nobody else sees the value in between. */
static void choose_fusion(Compiler *c) {
    for (int i = 0; i < c->graph->n; i++) c->nodes[i].home = i;
    for (int i = 0; i < c->graph->n; i++) {
        const GraphNode *n = &c->graph->nodes[i];
        int s = n->n_src == 1 ? n->src[0] : -1;
        if (!c->nodes[i].needed || !n->kind->act || s < 0 || i == c->from || s == c->from) continue;
        const GraphNode *producer = &c->graph->nodes[s];
        NodeBuild *p = &c->nodes[s];
        Act act = n->kind->act(n->params);
        if (act.kind == ACT_NONE || !producer->kind->fuses_act || p->kept || p->n_readers != 1 || p->home != s)
            continue;
        if (p->layer.act.kind != ACT_NONE || (c->spec->training && !act_from_dst(act))) continue;
        if (!producer->kind->fuses_act(producer->params, act)) continue;
        p->layer.act = act;
        c->nodes[i].home = s;
    }
}

/* ---- tensors ---- */

static Tensor *value_of(const Compiler *c, int i) {
    i = source_of(c, i);
    return i < 0 ? c->input : c->nodes[i].value;
}

/* Whether a gradient is wanted at node i, or at the input (-1). */
static bool learns(const Compiler *c, int i) {
    i = source_of(c, i);
    return i < 0 ? c->spec->input_gradient : c->nodes[i].learns;
}

static void make_weights(Compiler *c) {
    Weights *w = c->spec->weights;
    for (int e = 0; e < w->n; e++) {
        const WeightEntry *entry = &w->entries[e];
        NodeBuild *node = &c->nodes[entry->node];
        bool trained = learning(c) && (entry->flags & WEIGHT_TRAINED);
        if (!node->needed || entry->node == c->from) continue;
        float *value = w->value + entry->offset;
        node->layer.weights[entry->slot_in_node] = c->spec->training
                                                       ? build_external(c->b, entry->name, F32, entry->shape, value)
                                                       : build_weights(c->b, entry->name, entry->shape, value);
        if (!trained) continue;
        char name[512];
        snprintf(name, sizeof(name), "gradient of %s", entry->name);
        node->layer.diff_weights[entry->slot_in_node] = build_external(c->b, name, F32, entry->shape,
                                                                       w->grad + entry->offset);
        node->learns = true;
    }
    if (c->from >= 0) c->nodes[c->from].learns = c->spec->input_gradient;
    for (int i = 0; i < c->graph->n; i++)
        for (int k = 0; k < c->graph->nodes[i].n_src && i != c->from; k++)
            if (learns(c, c->graph->nodes[i].src[k])) c->nodes[i].learns = true;
}

static void append_gradient(Compiler *c, int *n, Tensor **list, Tensor *gradient) {
    if (*n == MAX_GRADIENTS) {
        list[0] = op_sum(c->b, MAX_GRADIENTS, list);
        *n = 1;
    }
    list[(*n)++] = gradient;
}

static void add_gradient(Compiler *c, int i, Tensor *gradient) {
    i = source_of(c, i);
    if (!gradient) return;
    if (i < 0 || i == c->from) {
        append_gradient(c, &c->n_inward, c->inward, gradient);
        return;
    }
    NodeBuild *n = &c->nodes[c->nodes[i].home];
    append_gradient(c, &n->n_gradients, n->gradient, gradient);
}

/* ---- forward ---- */

static void set_range(const Compiler *c, int i) {
    const NodeRange *range = c->spec->ranges ? &c->spec->ranges[i] : NULL;
    if (range && range->largest > 0) build_range(c->nodes[i].value, range->largest, range->has_negative);
}

static void record_forward(Compiler *c) {
    for (int i = 0; i < c->graph->n; i++) {
        const GraphNode *n = &c->graph->nodes[i];
        NodeBuild *node = &c->nodes[i];
        LayerBuild *l = &node->layer;
        if (!node->needed || skipped(c, i)) continue;
        if (i == c->from || node->home != i) {
            node->value = i == c->from ? c->input : c->nodes[node->home].value;
            set_range(c, i);
            continue;
        }
        build_scope(c->b, n->name);
        l->params = n->params;
        l->training = c->spec->training;
        l->draws = drawing(c);
        l->frozen = n->frozen || c->spec->input_gradient;
        l->n_src = n->n_src;
        l->number = (uint32_t)i;
        for (int k = 0; k < n->n_src; k++) l->src[k] = value_of(c, n->src[k]);
        if (n->partner >= 0) l->partner = &c->nodes[n->partner].layer;
        n->kind->forward(c->b, l);
        node->value = l->dst;
        set_range(c, i);
        if (build_failed(c->b)) return;
    }
}

/* ---- activity penalties ---- */

typedef struct Penalty {
    float l1, l2; /* divided by the batch */
} Penalty;

/* penalty = sum over all elements of l1 |a| + l2 a^2; its gradient l1 sign(a) + 2 l2 a. */
enum { PENALTY_GRAIN = 16384 };

typedef struct PenaltyRun {
    Penalty p;
    const float *a;
    float *diff;
} PenaltyRun;

static double penalty_span(const void *context, int64_t first, int64_t last) {
    const PenaltyRun *r = context;
    const float *a = r->a;
    float *diff = r->diff;
    double l1 = 0, l2 = 0;
#pragma omp simd reduction(+ : l1, l2)
    for (int64_t i = first; i < last; i++) {
        float v = a[i], sign = (float)(v > 0) - (float)(v < 0);
        l1 += (double)(v * sign);
        l2 += (double)v * (double)v;
        diff[i] = r->p.l1 * sign + 2 * r->p.l2 * v;
    }
    return (double)r->p.l1 * l1 + (double)r->p.l2 * l2;
}

static void penalty_run(const NativeCall *call) {
    PenaltyRun run = {.p = *(const Penalty *)call->params, .a = call->src[0].data, .diff = call->dst[1].data};
    ((double *)call->dst[0].data)[LOSS_SUM] = spans_run(call->src[0].size, PENALTY_GRAIN, penalty_span, &run);
}

static void penalty_total(const NativeCall *call) {
    double *total = call->dst[0].data, sum = 0;
    for (int k = 0; k < call->n_src; k++) sum += ((const double *)call->src[k].data)[LOSS_SUM];
    memset(total, 0, sizeof(double) * LOSS_RESULTS);
    total[LOSS_SUM] = sum;
    total[LOSS_WEIGHT] = 1;
}

/* One sum of n results, more than a native step takes at once through sums of sums. */
static Tensor *record_total(Build *b, int n, Tensor **results) {
    NativeSpec total = {.name = "activity", .fn = penalty_total, .layout = NATIVE_DENSE, .n_dst = 1};
    for (int k = 0; k < n; k++) {
        if (total.n_src == NATIVE_MAX_ARGS) {
            total.dst[0] = build_tensor(b, F64, SHAPE(LOSS_RESULTS));
            op_native(b, &total);
            total.src[0] = total.dst[0];
            total.n_src = 1;
        }
        total.src[total.n_src++] = results[k];
    }
    total.dst[0] = build_tensor(b, F64, SHAPE(LOSS_RESULTS));
    op_native(b, &total);
    return total.dst[0];
}

static void record_penalties(Compiler *c) {
    int n_results = 0;
    Tensor **results = ARENA_ARRAY(c->arena, Tensor *, c->graph->n);
    build_scope(c->b, "activity");
    for (int i = 0; i < c->graph->n; i++) {
        const GraphNode *n = &c->graph->nodes[i];
        if (!c->penalised[i]) continue;
        Tensor *value = value_of(c, i);
        const float batch = (float)tensor_shape(value).dim[0];
        Penalty params = {(float)n->activity_l1 / batch, (float)n->activity_l2 / batch};
        Tensor *result = build_tensor(c->b, F64, SHAPE(LOSS_RESULTS));
        Tensor *diff = build_tensor(c->b, F32, tensor_shape(value));
        op_native(c->b, &(NativeSpec){.name = "activity_penalty",
                                      .fn = penalty_run,
                                      .layout = NATIVE_ELEMENTWISE,
                                      .params = &params,
                                      .params_bytes = sizeof(params),
                                      .n_src = 1,
                                      .src = {value},
                                      .n_dst = 2,
                                      .dst = {result, diff}});
        if (learns(c, i)) add_gradient(c, i, diff);
        results[n_results++] = result;
    }
    if (n_results > 0) build_output(c->b, "activity", record_total(c->b, n_results, results));
}

/* ---- losses ---- */

static void record_losses(Compiler *c) {
    Targets targets = {.b = c->b, .input = tensor_shape(c->input)};
    build_scope(c->b, "loss");
    for (int k = 0; k < c->spec->n_losses; k++) {
        const LossTerm *term = &c->spec->losses[k];
        int node = c->losses_on[k];
        Tensor *value = value_of(c, node);
        Shape shape = tensor_shape(value);
        Tensor *target = term->target ? targets_get(&targets, term, shape) : NULL;
        if (build_failed(c->b)) return;
        Tensor *result = build_tensor(c->b, F64, SHAPE(LOSS_RESULTS));
        Tensor *diff = c->spec->training ? build_tensor(c->b, F32, shape) : NULL;
        const size_t scratch = term->scratch_bytes ? term->scratch_bytes(term->params, shape) : 0;
        NativeSpec spec = {.name = term->name,
                           .fn = term->fn,
                           .layout = NATIVE_DENSE,
                           .params = term->params,
                           .params_bytes = term->params_bytes,
                           .n_src = target ? 2 : 1,
                           .src = {value, target},
                           .n_dst = 1,
                           .dst = {result}};
        if (diff) spec.dst[spec.n_dst++] = diff;
        if (scratch) spec.dst[spec.n_dst++] = build_tensor(c->b, U8, SHAPE((int64_t)scratch));
        op_native(c->b, &spec);
        if (diff && learns(c, node)) add_gradient(c, node, diff);
        char name[256];
        snprintf(name, sizeof(name), "loss:%s", term->name);
        build_output(c->b, name, result);
    }
}

/* ---- backward ---- */

/* When node i only selects among the values of its source, and is the only one to read them, the gradient of the
 * activation fused into their producer is taken here, where there are fewer: the producer's build, or NULL. */
static LayerBuild *undoes_act_of(const Compiler *c, int i) {
    const int s = c->graph->nodes[i].kind->selects ? source_of(c, c->graph->nodes[i].src[0]) : -1;
    if (s < 0 || s == c->from || !learns(c, s) || c->nodes[s].kept || c->nodes[s].n_readers != 1) return NULL;
    LayerBuild *producer = &c->nodes[c->nodes[s].home].layer;
    return producer->act.kind != ACT_NONE && c->graph->nodes[c->nodes[s].home].kind->act_apart ? producer : NULL;
}

static void record_backward(Compiler *c) {
    for (int i = c->graph->n - 1; i >= 0; i--) {
        const GraphNode *n = &c->graph->nodes[i];
        NodeBuild *node = &c->nodes[i];
        LayerBuild *l = &node->layer;
        if (node->n_gradients == 0 || !node->learns || build_failed(c->b)) continue;
        build_scope(c->b, n->name);
        l->diff_dst = op_sum(c->b, node->n_gradients, node->gradient);
        LayerBuild *producer = undoes_act_of(c, i);
        if (producer) {
            l->diff_dst = op_act_backward(c->b, producer->act, NULL, l->dst, l->diff_dst);
            producer->act_undone = true;
        }
        for (int k = 0; k < n->n_src; k++) {
            l->diff_src[k] = NULL;
            l->want_diff_src[k] = learns(c, n->src[k]);
        }
        if (!n->kind->backward) {
            build_fail(c->b, "a '%s' layer has no gradient, but weights before it are to be trained", n->kind->name);
            return;
        }
        n->kind->backward(c->b, l);
        for (int k = 0; k < n->n_src; k++)
            if (l->want_diff_src[k]) add_gradient(c, n->src[k], l->diff_src[k]);
    }
    if (!c->spec->input_gradient || build_failed(c->b)) return;
    build_scope(c->b, "input");
    if (c->n_inward > 0)
        build_output(c->b, "input gradient", op_sum(c->b, c->n_inward, c->inward));
    else
        build_fail(c->b, "no loss depends on the input");
}

/* ---- all of it ---- */

static void record_outputs(Compiler *c) {
    for (int k = 0; k < c->spec->n_outputs; k++)
        build_output(c->b, c->spec->outputs[k], value_of(c, graph_find(c->graph, c->spec->outputs[k])));
    if (c->spec->training || c->spec->only_outputs) return;
    for (int k = 0; k < c->graph->n_outputs; k++) {
        int node = c->graph->outputs[k];
        build_output(c->b, c->graph->nodes[node].name, value_of(c, node));
    }
}

static Err check_name(const Graph *graph, const char *name, Error *err) {
    if (graph_find(graph, name) >= 0) return OK;
    return err_set(err, ERR_CONFIG, "the network has no layer '%s'", name);
}

static Err check_names(const CompileSpec *spec, Error *err) {
    for (int k = 0; k < spec->n_outputs; k++) TRY(check_name(spec->graph, spec->outputs[k], err));
    return spec->from ? check_name(spec->graph, spec->from, err) : OK;
}

/* Shape of the input; an error when the layers refuse it, or when those behind `from` read what comes before it. */
static Err check_shapes(Compiler *c, Shape *input, Error *err) {
    const Graph *graph = c->graph;
    Shape *shapes = ARENA_ARRAY(c->arena, Shape, graph->n), own = graph->input;
    char phrase[GRAPH_PHRASE_BYTES];
    if (c->from < 0) {
        if (input->rank == 0) *input = own;
        return graph_infer(graph, *input, shapes, err);
    }
    if (c->past >= 0)
        return err_set(err, ERR_CONFIG, "layer '%s' also reads what comes before '%s': nothing can begin there",
                       graph->nodes[c->past].name, c->spec->from);
    own.dim[0] = input->rank ? input->dim[0] : 1;
    TRY(graph_infer(graph, own, shapes, err));
    if (input->rank == 0) *input = shapes[c->from];
    shapes[c->from] = *input;
    for (int i = c->from + 1; i < graph->n; i++)
        if (c->nodes[i].needed && !graph_infer_node(graph, i, own, shapes, &shapes[i], phrase))
            return err_set(err, ERR_CONFIG, "layer '%s' (%s): %s", graph->nodes[i].name, graph->nodes[i].kind->name,
                           phrase);
    return OK;
}

Err compile_program(Program **out, const CompileSpec *spec, Error *err) {
    *out = NULL;
    TRY(check_names(spec, err));
    const int n = spec->graph->n;
    Shape input = spec->input;
    Arena *arena = arena_new();
    Compiler c = {.arena = arena, .spec = spec, .graph = spec->graph, .from = -1, .past = -1};
    if (spec->from) c.from = graph_find(spec->graph, spec->from);
    c.nodes = ARENA_ARRAY(arena, NodeBuild, n);
    c.losses_on = ARENA_ARRAY(arena, int, spec->n_losses + 1);
    c.penalised = ARENA_ARRAY(arena, bool, n);

    choose_nodes(&c);
    Err code = check_shapes(&c, &input, err);
    if (code == OK) {
        choose_fusion(&c);
        c.b = build_new(spec->engine,
                        &(BuildOptions){.training = spec->training, .separate = spec->separate, .bf16 = spec->bf16});
        c.input = build_external(c.b, "input", F32, input, NULL);
        make_weights(&c);
        record_forward(&c);
        if (!build_failed(c.b)) record_outputs(&c);
        if (!build_failed(c.b)) record_losses(&c);
        if (!build_failed(c.b)) record_penalties(&c);
        if (spec->training && !build_failed(c.b)) record_backward(&c);
        code = build_finish(out, c.b, err);
    }
    arena_free(arena);
    return code;
}
