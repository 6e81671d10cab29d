/* loss.c - the table of loss kinds, the experiment's losses as terms of a program, and their totals.
 *
 * The kinds themselves are in loss_elements.c (element by element), loss_cross_entropy.c, loss_focal.c, loss_overlap.c
 * and loss_lovasz.c (over the channels of places, against masks) and loss_gaussian_kl.c (of a variational code).
 */
#include "base/vmath.h"
#include "train/loss_kinds.h"

#include <assert.h>

const LossKind *const loss_kinds[] = {&loss_mse,   &loss_mae,  &loss_bce,     &loss_kl_divergence,  &loss_cross_entropy,
                                      &loss_focal, &loss_dice, &loss_tversky, &loss_lovasz_softmax, &loss_gaussian_kl,
                                      NULL};

enum { MAX_TERMS = LOSS_MAX_TERMS, NAME_BYTES = 64 };

static const LossKind *loss_find(const char *name) {
    for (int i = 0; loss_kinds[i]; i++) {
        if (strcmp(loss_kinds[i]->name, name) == 0) return loss_kinds[i];
    }
    return NULL;
}

/* ---- the call from a program */

/* What a term carries into the program. The pointers are into the arena that loss_set_build got, which outlives the
 * programs. */
typedef struct LossCall {
    const LossKind *kind;
    const void *params;
    const float *class_weights;
    LossTarget target;
    bool logits;
    float scale;
    const LossExtent *extent;
} LossCall;

static bool is_padded(const LossExtent *e) {
    return e->valid_height < e->height || e->valid_width < e->width;
}

/* N,C,S of a value. */
static LossArgs sizes_of(Shape shape) {
    LossArgs args = {.n = shape.dim[0], .c = shape.rank > 1 ? shape.dim[1] : 1, .s = 1};
    for (int i = 2; i < shape.rank; i++) args.s *= shape.dim[i];
    return args;
}

static size_t loss_scratch(const void *params, Shape shape) {
    const LossCall *l = params;
    const LossArgs args = sizes_of(shape);
    return l->kind->scratch_bytes ? l->kind->scratch_bytes(l->params, args.n, args.c, args.s) : 0;
}

static void loss_call(const NativeCall *call) {
    const LossCall *l = call->params;
    double *results = call->dst[0].data;
    LossArgs args = sizes_of(call->src[0].shape);
    args.src = call->src[0].data;
    args.target = call->n_src > 1 ? call->src[1].data : NULL;
    args.target_kind = l->target;
    args.class_weights = l->class_weights;
    args.extent = l->target == TARGET_INPUT && is_padded(l->extent) ? l->extent : NULL;
    args.logits = l->logits;
    args.scale = l->scale;
    const int n_scratch = loss_scratch(l, call->src[0].shape) > 0;
    args.diff_src = call->n_dst > 1 + n_scratch ? call->dst[1].data : NULL;
    args.scratch = n_scratch ? call->dst[call->n_dst - 1].data : NULL;
    memset(results, 0, sizeof *results * LOSS_RESULTS);
    args.sum = &results[LOSS_SUM];
    args.weight = &results[LOSS_WEIGHT];
    l->kind->run(l->params, &args);
}

/* ---- reading train.loss */

typedef struct TermConfig {
    double weight;
    const char *on;
} TermConfig;

static const Param term_params[] = {
    {"weight", PARAM_FLOAT, offsetof(TermConfig, weight), "1", 0, 1e9, NULL, "factor of this loss in the total"},
    {"on", PARAM_STRING, offsetof(TermConfig, on), "", 0, 0, NULL,
     "layer whose result is judged; default: the network's first output"},
    {0}};

/* What building needs everywhere. */
typedef struct SetBuilder {
    LossSet *set;
    double *weights;
    const Experiment *experiment;
    const Graph *graph;
    const Shape *shapes; /* of the graph's nodes at its own input */
    Split *train;
    const volatile sig_atomic_t *stop; /* may be NULL */
    ClassStats stats;
    bool has_stats;
    const Node *counted; /* the class_weights that asked for them; NULL: none so far */
    Arena *arena;
    Error *err;
} SetBuilder;

/* `weight` and `on` may stand beside the kind, as `name` and `from` do in a layer's entry: two maps, without and with
 * them. The kind's own map may hold them too. */
static const Node *split_common(const Node *entry, const Node **common, Arena *arena) {
    *common = NULL;
    if (entry->type != NODE_MAP || node_get(entry, "kind")) return entry;
    Node *kind = node_new_map(arena, entry->mark), *rest = node_new_map(arena, entry->mark);
    for (int i = 0; i < entry->n; i++) {
        Node *to = param_find(term_params, entry->keys[i]->text) ? rest : kind;
        node_put(to, entry->keys[i]->text, entry->items[i], arena);
        to->keys[to->n - 1]->mark = entry->keys[i]->mark;
    }
    *common = rest;
    return kind;
}

static Err read_kind(SetBuilder *b, const Node *entry, const char *what, const LossKind **kind, void **params,
                     TermConfig *term) {
    const Node *common = NULL;
    KindRef ref = {0};
    TRY(config_kind(&ref, split_common(entry, &common, b->arena), what, b->err));
    *kind = loss_find(ref.name);
    if (!*kind) {
        const char *names[sizeof loss_kinds / sizeof loss_kinds[0]] = {0};
        for (int i = 0; loss_kinds[i]; i++) names[i] = loss_kinds[i]->name;
        return config_unknown_kind(&ref, "loss", names, b->err);
    }
    *params = arena_alloc(b->arena, (*kind)->params_bytes + 1);
    FillSpec fill = {.what = arena_printf(b->arena, "%s (%s)", what, ref.name),
                     .mark = ref.mark,
                     .maps = {ref.args, common},
                     .targets = {{(*kind)->params, *params}, {term_params, term}}};
    return config_fill(&fill, b->arena, b->err);
}

/* ---- checking a term against the network */

static int find_node(SetBuilder *b, const Node *entry, const char *what, LossTarget target, const char *on) {
    if (!on || !*on) {
        if (target != TARGET_NONE) return b->graph->outputs[0];
        err_at(b->err, ERR_CONFIG, entry->mark,
               "%s: needs 'on', the layer that gives means and log-variances: the one before gaussian_sample", what);
        return -1;
    }
    int node = graph_find(b->graph, on);
    if (node >= 0) return node;
    const char **names = ARENA_ARRAY(b->arena, const char *, b->graph->n + 1);
    for (int i = 0; i < b->graph->n; i++) names[i] = b->graph->nodes[i].name;
    const char *near = nearest_name(on, names);
    err_at(b->err, ERR_CONFIG, entry->mark,
           near ? "%s: there is no layer '%s', did you mean '%s'?" : "%s: there is no layer '%s'", what, on, near);
    return -1;
}

static LossTarget term_target(const SetBuilder *b, const LossKind *kind) {
    if (kind->target == kind->target_alt) return kind->target;
    return b->experiment->task == TASK_CLASSIFICATION ? kind->target_alt : kind->target;
}

static int64_t places(Shape shape) {
    int64_t n = 1;
    for (int i = 2; i < shape.rank; i++) n *= shape.dim[i];
    return n;
}

/* A layer against masks: as large as they are, or smaller. */
static Err check_mask_size(SetBuilder *b, Mark mark, const char *what, int node) {
    const Shape shape = b->shapes[node], input = b->graph->input;
    char text[2][SHAPE_TEXT_BYTES];
    shape_text(shape, text[0]);
    shape_text(input, text[1]);
    if (shape.rank != 4)
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: compares with masks, but layer '%s' is %s: name one that gives pictures", what,
                      b->graph->nodes[node].name, text[0]);
    if (input.rank == 4 && shape.dim[2] <= input.dim[2] && shape.dim[3] <= input.dim[3]) return OK;
    return err_at(
        b->err, ERR_CONFIG, mark,
        "%s: layer '%s' is larger than the masks, which have the height and width of the input: it is %s, the "
        "input %s",
        what, b->graph->nodes[node].name, text[0], text[1]);
}

/* The first output is what is scored: one score for each class, and each pixel or image. (That its channels are the
 * classes has been checked with the graph.) */
static Err check_scored(SetBuilder *b) {
    const int node = b->graph->outputs[0];
    const Shape shape = b->shapes[node], input = b->graph->input;
    const GraphNode *n = &b->graph->nodes[node];
    if (b->experiment->task != TASK_SEGMENTATION) return OK;
    if (shape.rank == 4 && input.rank == 4 && shape.dim[2] == input.dim[2] && shape.dim[3] == input.dim[3]) return OK;
    char text[2][SHAPE_TEXT_BYTES];
    return err_at(
        b->err, ERR_CONFIG, n->mark,
        "%s '%s' (%s): the network's first output is compared with masks and must have the height and width of "
        "the input, but it is %s and the input %s",
        n->where, n->name, n->kind->name, shape_text(shape, text[0]), shape_text(input, text[1]));
}

/* Sizes of value and target must fit together. */
static Err check_shape(SetBuilder *b, Mark mark, const char *what, LossTarget target, int node) {
    const Shape shape = b->shapes[node], input = b->graph->input;
    char text[2][SHAPE_TEXT_BYTES];
    const char *name = b->graph->nodes[node].name;
    shape_text(shape, text[0]);
    shape_text(input, text[1]);
    if (target == TARGET_NONE) {
        if (shape.rank == 3)
            return err_at(b->err, ERR_CONFIG, mark,
                          "%s: needs vectors or pictures, but layer '%s' is a sequence, %s: put a flatten behind it",
                          what, name, text[0]);
        if (b->graph->nodes[node].kind->corrupts)
            return err_at(b->err, ERR_CONFIG, mark,
                          "%s: layer '%s' is the draw itself; name the layer in front of it, which gives means and "
                          "log-variances",
                          what, name);
        if (shape.rank > 1 && shape.dim[1] % 2 == 0) return OK;
        return err_at(
            b->err, ERR_CONFIG, mark,
            "%s: needs an even number of channels, means and then as many log-variances, but layer '%s' is %s", what,
            name, text[0]);
    }
    if (target == TARGET_INPUT) {
        if (shape_size(shape) == shape_size(input)) return OK;
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: compares layer '%s' with the input, but '%s' is %s (%lld values) and the input %s (%lld)",
                      what, name, name, text[0], (long long)shape_size(shape), text[1], (long long)shape_size(input));
    }
    if (b->experiment->task == TASK_RECONSTRUCTION) {
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: compares with masks or labels, which task reconstruction has not; use task segmentation or "
                      "classification, or a loss such as mse or bce",
                      what);
    }
    if (target == TARGET_MASK && b->experiment->task != TASK_SEGMENTATION) {
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: compares with masks, which task classification has not; use cross_entropy or focal", what);
    }
    if (shape.rank < 2 || shape.dim[1] < 2) {
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: needs a channel for each class, at least 2, but layer '%s' is %s; two classes are two "
                      "channels",
                      what, name, text[0]);
    }
    const Shape first = b->shapes[b->graph->outputs[0]];
    if (first.rank > 1 && shape.dim[1] != first.dim[1])
        return err_at(b->err, ERR_CONFIG, mark,
                      "%s: needs a channel for each class, but layer '%s' has %lld, the network's first output %lld",
                      what, name, (long long)shape.dim[1], (long long)first.dim[1]);
    if (target == TARGET_LABEL) {
        if (places(shape) == 1) return OK;
        return err_at(
            b->err, ERR_CONFIG, mark,
            "%s: needs one score for each class and sample, but layer '%s' is %s; a global pooling or flatten "
            "and dense in front would do",
            what, name, text[0]);
    }
    return check_mask_size(b, mark, what, node);
}

/* ---- class weights */

static Err weights_from_list(SetBuilder *b, const Node *node, const char *what, int64_t classes, float *weights) {
    if (node->n != classes) {
        return err_at(b->err, ERR_CONFIG, node->mark, "%s: 'class_weights' has %d numbers, there are %lld classes",
                      what, node->n, (long long)classes);
    }
    struct {
        double value;
    } one;
    static const Param row[] = {{"class_weights", PARAM_FLOAT, 0, NULL, 0, 1e9, NULL, ""}, {0}};
    bool any = false;
    for (int i = 0; i < node->n; i++) {
        const Node *item = node->items[i];
        char phrase[PARAM_PHRASE_BYTES] = "expected a number";
        if (item->type != NODE_SCALAR || !param_set(row, &one, 1, &item->text, false, b->arena, phrase)) {
            return err_at(b->err, ERR_CONFIG, item->mark, "%s: 'class_weights' of class %d %s", what, i, phrase);
        }
        weights[i] = (float)one.value;
        any = any || weights[i] > 0.0f;
    }
    if (any) return OK;
    return err_at(b->err, ERR_CONFIG, node->mark, "%s: 'class_weights' are all 0, at least one must be more", what);
}

/* A SplitProgress: counting a large split takes long, and whoever asks to stop need not wait for it. */
static bool not_stopped(void *context, int64_t done, int64_t n) {
    const SetBuilder *b = context;
    return !b->stop || !*b->stop;
}

static Err weights_from_data(SetBuilder *b, const Node *node, const char *what, int64_t classes, float *weights) {
    bool median = strcmp(node->text, "median_frequency") == 0;
    if (!median && strcmp(node->text, "inverse") != 0) {
        return err_at(b->err, ERR_CONFIG, node->mark,
                      "%s: unknown choice '%s' for 'class_weights' (a list of numbers, median_frequency, inverse)",
                      what, node->text);
    }
    if (b->counted && strcmp(b->counted->text, node->text) != 0) {
        return err_at(b->err, ERR_CONFIG, node->mark,
                      "%s: 'class_weights: %s' here, but %s in another entry: counted weights must be the same in all; "
                      "give one as a list of numbers",
                      what, node->text, b->counted->text);
    }
    if (!b->train || !split_info(b->train)->has_mask) {
        return err_at(b->err, ERR_CONFIG, node->mark,
                      "%s: 'class_weights: %s' needs a training split with masks to count; give a list of numbers",
                      what, node->text);
    }
    if (split_config(b->train)->n_classes != classes) {
        return err_at(b->err, ERR_CONFIG, node->mark, "%s: 'class_weights: %s' for %lld classes, but the data has %d",
                      what, node->text, (long long)classes, split_config(b->train)->n_classes);
    }
    if (!b->has_stats) TRY(split_class_stats(b->train, &b->stats, not_stopped, b, b->arena, b->err));
    b->has_stats = true;
    b->counted = node;
    b->set->class_weights = weights;
    if (median) {
        class_weights_median_frequency(&b->stats, (int)classes, weights);
    } else {
        class_weights_inverse(&b->stats, (int)classes, weights);
    }
    return OK;
}

/* *out NULL: the kind has no class weights, or none are asked for. */
static Err read_class_weights(SetBuilder *b, const LossKind *kind, const void *params, const char *what,
                              int64_t classes, const float **out) {
    *out = NULL;
    const Param *param = param_find(kind->params, "class_weights");
    if (!param) return OK;
    const Node *node = *(const Node *const *)((const char *)params + param->offset);
    if (!node || node->type == NODE_NULL) return OK;
    float *weights = ARENA_ARRAY(b->arena, float, classes);
    *out = weights;
    if (node->type == NODE_LIST) return weights_from_list(b, node, what, classes, weights);
    if (node->type == NODE_SCALAR) return weights_from_data(b, node, what, classes, weights);
    return err_at(b->err, ERR_CONFIG, node->mark,
                  "%s: 'class_weights' must be a list of numbers, median_frequency or inverse", what);
}

/* ---- the set */

static const char *const target_names[] = {
    [TARGET_INPUT] = "target", [TARGET_MASK] = "mask", [TARGET_LABEL] = "label", [TARGET_NONE] = NULL};
static const DType target_types[] = {
    [TARGET_INPUT] = F32, [TARGET_MASK] = U8, [TARGET_LABEL] = S32, [TARGET_NONE] = F32};

/* "mse", and "mse2" for the second of its kind. */
static const char *term_name(const SetBuilder *b, const LossKind *kind) {
    int before = 0;
    for (int i = 0; i < b->set->n; i++) {
        const LossCall *call = b->set->terms[i].params;
        before += call->kind == kind;
    }
    return before ? arena_printf(b->arena, "%s%d", kind->name, before + 1) : kind->name;
}

static Err add_term(SetBuilder *b, const Node *entry, const char *what) {
    const LossKind *kind = NULL;
    void *params = NULL;
    TermConfig config = {0};
    TRY(read_kind(b, entry, what, &kind, &params, &config));
    what = arena_printf(b->arena, "%s (%s)", what, kind->name);
    LossTarget target = term_target(b, kind);
    int node = find_node(b, entry, what, target, config.on);
    if (node < 0) return ERR_CONFIG;
    LossCall call = {
        .kind = kind, .params = params, .scale = (float)config.weight, .target = target, .extent = b->set->extent};
    TRY(check_shape(b, entry->mark, what, call.target, node));
    TRY(read_class_weights(b, kind, params, what, b->shapes[node].dim[1], &call.class_weights));
    call.logits = (kind->takes_sigmoid && compile_final(b->graph, node, false) >= 0) ||
                  (kind->takes_softmax && compile_final(b->graph, node, true) >= 0);
    int hidden = kind->takes_softmax && !call.logits ? compile_hidden_softmax(b->graph, node) : -1;
    if (hidden >= 0)
        return err_at(
            b->err, ERR_CONFIG, b->graph->nodes[hidden].mark,
            "%s: takes logits, but layer '%s' turns them into probabilities before '%s': put the softmax last, "
            "or leave it out",
            what, b->graph->nodes[hidden].name, b->graph->nodes[node].name);
    const char *name = term_name(b, kind);
    b->weights[b->set->n] = config.weight;
    b->set->terms[b->set->n++] = (LossTerm){
        .name = name,
        .node = node,
        .logits = call.logits,
        .fn = loss_call,
        .scratch_bytes = loss_scratch,
        .params = arena_copy(b->arena, &call, sizeof call),
        .params_bytes = sizeof call,
        .target = target_names[call.target],
        .target_type = target_types[call.target],
    };
    if (call.class_weights && !b->set->class_weights) b->set->class_weights = call.class_weights;
    return OK;
}

/* The task's own loss, where the config names none. */
static const Node *default_loss(const SetBuilder *b) {
    const Node *root = b->experiment->root;
    return node_new_scalar(b->arena, root ? root->mark : (Mark){0},
                           b->experiment->task == TASK_RECONSTRUCTION ? "mse" : "cross_entropy");
}

Err loss_set_build(LossSet *out, const Experiment *experiment, const Graph *graph, Split *train,
                   const volatile sig_atomic_t *stop, Arena *arena, Error *err) {
    Shape *shapes = ARENA_ARRAY(arena, Shape, graph->n);
    TRY(graph_infer(graph, graph->input, shapes, err));
    SetBuilder b = {.set = out,
                    .experiment = experiment,
                    .graph = graph,
                    .shapes = shapes,
                    .train = train,
                    .stop = stop,
                    .arena = arena,
                    .err = err};
    Err first = check_scored(&b);
    const Node *loss = experiment->train.loss;
    if (!loss || loss->type == NODE_NULL) loss = default_loss(&b);
    bool list = loss->type == NODE_LIST;
    int n = list ? loss->n : 1;
    if (n < 1 || n > MAX_TERMS) {
        return err_at(err, ERR_CONFIG, loss->mark, "train.loss: must have 1 to %d entries, got %d", MAX_TERMS, n);
    }
    *out = (LossSet){.terms = ARENA_ARRAY(arena, LossTerm, n), .extent = ARENA_NEW(arena, LossExtent)};
    out->weights = b.weights = ARENA_ARRAY(arena, double, n);
    for (int i = 0; i < n; i++) {
        const char *what = list ? arena_printf(arena, "train.loss[%d]", i) : "train.loss";
        Err code = add_term(&b, list ? loss->items[i] : loss, what);
        if (first == OK) first = code;
        if (code != OK && code != ERR_CONFIG) break; /* reading the data failed: more attempts only repeat it */
    }
    return first;
}

/* ---- totals */

static const double *term_results(const LossSet *set, int i, const Program *program) {
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "loss:%s", set->terms[i].name);
    const double *results = program_read(program, name);
    assert(results);
    return results;
}

static double mean(double sum, double weight) {
    return weight != 0.0 ? sum / weight : 0.0; /* nothing to average, such as masks that are all ignored */
}

void loss_total_add(LossTotal *total, const LossSet *set, const Program *program) {
    for (int i = 0; i < set->n; i++) {
        const double *results = term_results(set, i, program);
        total->sum[i] += results[LOSS_SUM];
        total->weight[i] += results[LOSS_WEIGHT];
    }
    const double *activity = program_read(program, "activity");
    double samples = (double)program_shape(program, "input").dim[0];
    if (activity) total->activity += activity[LOSS_SUM] * samples; /* the penalty is a mean over its batch */
    total->samples += samples;
}

double loss_total_value(const LossTotal *total, const LossSet *set) {
    double value = mean(total->activity, total->samples);
    for (int i = 0; i < set->n; i++) value += set->weights[i] * mean(total->sum[i], total->weight[i]);
    return value;
}

int loss_total_parts(const LossTotal *total, const LossSet *set, LossPart parts[LOSS_MAX_TERMS]) {
    for (int i = 0; i < set->n; i++) parts[i] = (LossPart){set->terms[i].name, mean(total->sum[i], total->weight[i])};
    return set->n;
}

double loss_batch_value(const LossSet *set, const Program *program) {
    LossTotal total = {0};
    loss_total_add(&total, set, program);
    return loss_total_value(&total, set);
}
