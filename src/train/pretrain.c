/* pretrain.c - the loop of pre-training: layer by layer, epoch by epoch, batch by batch. See pretrain.h.
 *
 * All that steers it is in TrainState.pretrain and in the weights and slots of the layer under way, so a checkpoint may
 * be taken after any batch. A layer's values are computed anew when a run is taken up: they depend on nothing but the
 * layers below, which are done.
 */
#include "train/pretrain.h"

#include "base/rng.h"
#include "train/features.h"
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- a layer's weights ----
 *
 * They come from weights_new, as those of a network do, by a kind of layer that no config can name. */

typedef struct StageParams {
    int64_t n_hidden;
} StageParams;

static bool stage_infer(const void *params, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = SHAPE(src[0].dim[0], ((const StageParams *)params)->n_hidden);
    return true;
}

static int stage_weights(const void *params, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    int64_t n_visible = src[0].dim[1], n_hidden = dst.dim[1];
    const int decayed = WEIGHT_TRAINED | WEIGHT_DECAYED;
    decls[PRETRAIN_WEIGHTS] = (WeightDecl){.name = "weights", .shape = SHAPE(n_hidden, n_visible), .flags = decayed};
    decls[PRETRAIN_BIAS] = (WeightDecl){.name = "bias", .shape = SHAPE(n_hidden), .flags = WEIGHT_TRAINED};
    decls[PRETRAIN_VISIBLE_BIAS] = (WeightDecl){
        .name = "visible_bias", .shape = SHAPE(n_visible), .flags = WEIGHT_TRAINED};
    return PRETRAIN_ENTRIES;
}

static const LayerKind stage_kind = {
    .name = "pretrain", .doc = "", .min_src = 1, .max_src = 1, .infer = stage_infer, .weights = stage_weights};

Err pretrain_weights_new(Weights **out, const PretrainLayer *layer, int n_slots, Error *err) {
    StageParams params = {.n_hidden = layer->n_hidden};
    GraphNode node = {
        .name = layer->name, .where = "pretrain", .kind = &stage_kind, .params = &params, .n_src = 1, .src = {-1}};
    node.partner = -1;
    Shape shape = SHAPE(1, layer->n_hidden);
    Graph graph = {.n = 1, .nodes = &node, .input = SHAPE(1, layer->n_visible), .shapes = &shape};
    TRY(weights_new(out, &graph, err));
    return weights_add_slots(*out, n_slots, err);
}

/* Weights or biases of a dense layer of the network: of its first or second declaration. */
static float *network_entry(const Weights *network, int node, int slot_in_node) {
    for (int i = 0; i < network->n; i++) {
        const WeightEntry *e = &network->entries[i];
        if (e->node == node && e->slot_in_node == slot_in_node) return network->value + e->offset;
    }
    return NULL; /* never: pretrain_read has seen that both are there */
}

static float *layer_entry(const Weights *weights, int entry, size_t *bytes) {
    const WeightEntry *e = &weights->entries[entry];
    *bytes = (size_t)e->count * sizeof(float);
    return weights->value + e->offset;
}

void pretrain_weights_take(Weights *weights, const PretrainLayer *layer, const Weights *network) {
    for (int i = PRETRAIN_WEIGHTS; i <= PRETRAIN_BIAS; i++) {
        size_t bytes;
        float *to = layer_entry(weights, i, &bytes);
        memcpy(to, network_entry(network, layer->node, i), bytes);
    }
}

void pretrain_weights_give(const Weights *weights, const PretrainLayer *layer, Weights *network) {
    size_t bytes;
    for (int i = PRETRAIN_WEIGHTS; i <= PRETRAIN_BIAS; i++) {
        const float *from = layer_entry(weights, i, &bytes);
        memcpy(network_entry(network, layer->node, i), from, bytes);
    }
    if (layer->decoder < 0) return;
    const float *from = layer_entry(weights, PRETRAIN_WEIGHTS, &bytes);
    float *to = network_entry(network, layer->decoder, PRETRAIN_WEIGHTS);
    for (int64_t i = 0; i < layer->n_visible; i++)
        for (int64_t o = 0; o < layer->n_hidden; o++) to[i * layer->n_hidden + o] = from[o * layer->n_visible + i];
    from = layer_entry(weights, PRETRAIN_VISIBLE_BIAS, &bytes);
    memcpy(network_entry(network, layer->decoder, PRETRAIN_BIAS), from, bytes);
}

/* ---- a layer at work ---- */

typedef struct Stage {
    Loop *loop;
    const PretrainLayer *layer;
    Features data;        /* what it learns from, all samples */
    Program *full, *last; /* for full batches, and for a short last one; NULL where there is no such batch */
    int64_t batch_size, n_batches;
    float *batch;   /* batch_size, n_visible */
    int64_t *order; /* data.n: of the samples in this epoch */
} Stage;

static const Pretrain *settings(const Stage *s) {
    return &s->loop->run->pretrain;
}

static PretrainState *state(const Stage *s) {
    return &s->loop->run->state.pretrain;
}

static Err read_data(Stage *s, Error *err) {
    Run *run = s->loop->run;
    net_refresh(run->net);
    FeatureSpec spec = {.split = "train", .at = s->layer->source, .events = &run->spec->events};
    TRY(features_read(&s->data, run->net, &spec, err));
    float low = INFINITY, high = -INFINITY;
    int64_t n = s->data.n * s->data.size;
#pragma omp parallel for simd schedule(static) reduction(min : low) reduction(max : high)
    for (int64_t i = 0; i < n; i++) {
        float value = s->data.values[i];
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    if (low >= 0 && high <= 1) return OK;
    return err_set(err, ERR_CONFIG,
                   "pre-training of '%s': the values it learns from, those of '%s', must be between 0 and 1, and run "
                   "from %.4g to %.4g; for pictures leave out data.mean and data.std",
                   s->layer->name, s->layer->source, (double)low, (double)high);
}

static Err make_program(const Stage *s, int64_t n, Program **out, Error *err) {
    const Run *run = s->loop->run;
    PretrainBuild spec = {.engine = run->engine,
                          .n = n,
                          .weights = run->pretrained,
                          .linear = s->layer->linear,
                          .rate = s->layer->rate,
                          .number = (uint32_t)run->state.pretrain.layer};
    return run->pretrain.kind->program(out, &spec, err);
}

static Err open_stage(Stage *s, Error *err) {
    Run *run = s->loop->run;
    const Pretrain *p = &run->pretrain;
    TRY(read_data(s, err));
    if (!run->pretrained) {
        TRY(pretrain_weights_new(&run->pretrained, s->layer, p->then.kind->n_slots, err));
        pretrain_weights_take(run->pretrained, s->layer, run->weights);
    }
    s->batch_size = p->batch_size < s->data.n ? p->batch_size : s->data.n;
    int64_t n_full = s->data.n / s->batch_size, rest = s->data.n % s->batch_size;
    s->n_batches = n_full + (rest > 0);
    TRY(make_program(s, s->batch_size, &s->full, err));
    if (rest > 0) TRY(make_program(s, rest, &s->last, err));
    s->batch = block_alloc((size_t)(s->batch_size * s->layer->n_visible) * sizeof *s->batch);
    s->order = block_alloc((size_t)s->data.n * sizeof *s->order);
    if (!s->batch || !s->order) return err_set(err, ERR_MEMORY, "no memory for the batches of pre-training");
    loop_tick(s->loop);
    return OK;
}

static void close_stage(Stage *s) {
    features_free(&s->data);
    program_free(s->full);
    program_free(s->last);
    block_free(s->batch);
    block_free(s->order);
}

/* ---- one batch ---- */

static void gather(const Stage *s, int64_t first, int64_t n) {
    int64_t width = s->data.size;
    size_t bytes = (size_t)width * sizeof(float);
    for (int64_t i = 0; i < n; i++) memcpy(s->batch + i * width, s->data.values + s->order[first + i] * width, bytes);
}

/* The run ends here; weights are those of the last good step. */
static Err report_nonfinite(const Stage *s, const char *what, double value, Error *err) {
    run_withdraw(s->loop->run);
    return err_set(
        err, ERR_NUMERIC,
        "pre-training of '%s', epoch %lld, batch %lld: the %s is %s; the last good checkpoint stays; a lower "
        "pretrain.lr may help",
        s->layer->name, (long long)state(s)->epoch + 1, (long long)state(s)->batch + 1, what,
        isnan(value) ? "nan" : "infinite");
}

static Err learn_batch(Stage *s, Error *err) {
    Run *run = s->loop->run;
    const Pretrain *p = &run->pretrain;
    PretrainState *at = &run->state.pretrain;
    int64_t first = at->batch * s->batch_size, left = s->data.n - first;
    int64_t n = left < s->batch_size ? left : s->batch_size;
    Program *program = n == s->batch_size ? s->full : s->last;
    gather(s, first, n);
    RunState where = {.seed = (uint64_t)run->train->seed, .step = (uint64_t)(at->epoch * s->n_batches + at->batch)};
    program_bind(program, "visible", s->batch);
    TRY(program_run(program, &where, err));
    double error = *(const double *)program_read(program, "error"), norm;
    if (!isfinite(error)) return report_nonfinite(s, p->kind->measure, error, err);
    run->proven = true;
    const Optimizer *optimizer = at->epoch < p->n_first ? &p->first : &p->then;
    if (!optimizer_step(optimizer, run->pretrained, s->layer->lr, (int64_t)where.step + 1, 1, &norm))
        return report_nonfinite(s, "norm of the gradient", norm, err);
    run->changes++;
    run->proven = false;
    at->error += error;
    at->samples += n;
    at->batch++;
    return OK;
}

/* ---- one epoch ---- */

static double mean_error(const PretrainState *at) {
    return at->samples > 0 ? at->error / (double)at->samples : 0;
}

static double samples_per_second(const Stage *s) {
    double seconds = s->loop->run->state.epoch_seconds;
    return seconds > 0 ? (double)state(s)->samples / seconds : 0;
}

static Progress progress_of(const Stage *s) {
    const PretrainState *at = state(s);
    double rate = samples_per_second(s);
    int64_t left = (s->layer->epochs - at->epoch) * s->data.n - at->samples;
    return (Progress){.pretrain = s->layer->name,
                      .epoch = at->epoch + 1,
                      .epochs = s->layer->epochs,
                      .batch = at->batch,
                      .batches = s->n_batches,
                      .loss = mean_error(at),
                      .lr = s->layer->lr,
                      .samples_per_second = rate,
                      .eta_seconds = loop_eta(s->loop, rate > 0 ? (double)left / rate : 0),
                      .elapsed_seconds = s->loop->run->state.seconds};
}

static Err learn_batches(Stage *s, Error *err) {
    Run *run = s->loop->run;
    PretrainState *at = &run->state.pretrain;
    Rng rng = rng_stream((uint64_t)run->train->seed, RNG_SHUFFLE, (uint64_t)at->epoch, (uint64_t)at->layer + 1);
    rng_permutation(&rng, s->data.n, s->order);
    while (at->batch < s->n_batches && !s->loop->out_of_time) {
        TRY(learn_batch(s, err));
        run->state.epoch_seconds += loop_tick(s->loop);
        if (loop_tells(s->loop)) {
            Progress progress = progress_of(s);
            run->spec->events.progress(run->spec->events.context, &progress);
        }
        TRY(loop_save_if_due(s->loop, at->epoch * s->n_batches + at->batch, err));
        TRY(loop_stop_if_asked(s->loop, err));
    }
    return OK;
}

static const char *history_line(const Stage *s) {
    Run *run = s->loop->run;
    const PretrainState *at = state(s);
    Arena *arena = arena_new();
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "pretrain", s->layer->name);
    json_int(&j, "epoch", at->epoch + 1);
    json_float(&j, settings(s)->kind->measure, mean_error(at));
    json_float(&j, "lr", s->layer->lr);
    json_float(&j, "seconds", run->state.epoch_seconds);
    json_float(&j, "samples_per_second", samples_per_second(s));
    json_close(&j);
    const char *line = arena_strdup(run->arena, json_text(&j));
    arena_free(arena);
    return line;
}

/* The layer is done: what it has learned is the network's from now on. */
static void finish_layer(Stage *s) {
    Run *run = s->loop->run;
    pretrain_weights_give(run->pretrained, s->layer, run->weights);
    if (run->average) weights_copy_values(run->average, run->weights); /* averaging begins with training proper */
    weights_free(run->pretrained);
    run->pretrained = NULL;
    run->state.pretrain = (PretrainState){.layer = run->state.pretrain.layer + 1};
}

static Err finish_epoch(Stage *s, Error *err) {
    Run *run = s->loop->run;
    PretrainState *at = &run->state.pretrain;
    const char *line = history_line(s);
    Progress progress = progress_of(s);
    loop_add_history(run, line);
    at->epoch++;
    at->batch = at->samples = 0;
    at->error = 0;
    run->state.epoch_seconds = 0;
    if (at->epoch >= s->layer->epochs) finish_layer(s);
    TRY(loop_save_last(s->loop, err));
    TRY(rundir_append_line(&run->dir, "history.jsonl", line, err));
    const TrainEvents *events = &run->spec->events;
    if (events->epoch) events->epoch(events->context, &progress, NULL, line);
    loop_tick(s->loop);
    return OK;
}

/* ---- all of it ---- */

static Err learn_layer(Stage *s, Error *err) {
    Run *run = s->loop->run;
    int64_t layer = run->state.pretrain.layer;
    TRY(open_stage(s, err));
    while (run->state.pretrain.layer == layer) {
        TRY(learn_batches(s, err));
        if (state(s)->batch < s->n_batches) return OK; /* out of time */
        TRY(finish_epoch(s, err));
        TRY(loop_stop_if_asked(s->loop, err));
        if (s->loop->out_of_time) return OK;
    }
    return OK;
}

bool pretrain_is_done(const Run *run) {
    return run->state.pretrain.layer >= run->pretrain.n;
}

Err pretrain_run(Loop *l, Error *err) {
    Run *run = l->run;
    while (!pretrain_is_done(run) && !l->out_of_time) {
        Stage stage = {.loop = l, .layer = &run->pretrain.layers[run->state.pretrain.layer]};
        Err code = learn_layer(&stage, err);
        close_stage(&stage);
        if (code == ERR_STOPPED) { /* by a signal, maybe while the values of the layer were computed */
            err_clear(err);
            return loop_stop_if_asked(l, err);
        }
        TRY(code);
    }
    return OK;
}
