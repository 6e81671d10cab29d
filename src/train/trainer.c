/* trainer.c - the training loop. See trainer.h.
 *
 * Life of a step: next batch from the loader, bind it, run the program (forward, loss, backward), add up the loss, and
 * for every train.accumulate-th batch (and the last of an epoch) one optimizer step at the schedule's rate. Everything
 * that steers it is in TrainState, so a checkpoint may be taken after any batch. What depends on the clock (progress,
 * checkpoints, stopping) never touches what is computed.
 *
 * Accumulation: a batch's gradient is a mean over its samples, so batches count in the step by their number of samples,
 * and the step is that of one batch of all of them (exactly so for losses that weigh all samples alike; a mean over
 * class-weighted pixels is taken within each batch). Only the last batch of an epoch is ever short.
 *
 * NaN guard: loss and gradient of every batch, the loss on the val split, and all weights before they are saved. The
 * run ends, and the checkpoint that stays is one whose weights gave a finite loss.
 */
#include "train/loop.h"
#include "train/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- one batch ---- */

static double rate_at(const Run *run, int64_t step) {
    return run_rate(run, step, run->train->epochs);
}

/* The run ends here; weights are those of the last good step. */
static Err report_nonfinite(Run *run, Program *program, const RunState *at, const char *what, double value,
                            Error *err) {
    char where[256], first[320] = "";
    if (program_find_nonfinite(program, at, where, sizeof where))
        snprintf(first, sizeof first, "; first bad tensor: %s", where);
    const TrainState *s = &run->state;
    run_withdraw(run);
    return err_set(err, ERR_NUMERIC,
                   "step %lld (epoch %lld, batch %lld): the %s is %s%s; the last good checkpoint stays; a lower "
                   "train.lr or a train.clip_norm may help",
                   (long long)s->step + 1, (long long)s->epoch + 1, (long long)s->batch + 1, what,
                   isnan(value) ? "nan" : "infinite", first);
}

static void add_gradient(float *restrict sum, const float *restrict gradient, float share, int64_t n) {
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; i++) sum[i] += share * gradient[i];
}

/* Whether this batch completes an optimizer step. */
static bool completes_step(const Run *run) {
    const TrainState *s = &run->state;
    return !run->accumulated || s->micro + 1 >= run->train->accumulate || s->batch + 1 >= run->data.n_batches;
}

/* share: of a full batch, by number of samples. */
static Err learn(Run *run, Program *program, double share, const RunState *at, Error *err) {
    TrainState *s = &run->state;
    Weights *weights = run->weights;
    size_t bytes = (size_t)weights->trained_size * sizeof(float);
    double norm = 0;
    if (run->accumulated) {
        norm = sqrt(gradient_square_sum(weights));
        if (!isfinite(norm)) return report_nonfinite(run, program, at, "norm of the gradient", norm, err);
        add_gradient(run->accumulated, weights->grad, (float)share, weights->trained_size);
    }
    if (!completes_step(run)) {
        s->micro++;
        return OK;
    }
    double scale = 1;
    if (run->accumulated) {
        memcpy(weights->grad, run->accumulated, bytes);
        scale = 1.0 / ((double)s->micro + share); /* those before were full: only an epoch's last is short */
    }
    if (!optimizer_step(&run->optimizer, weights, rate_at(run, s->step), s->step + 1, scale, &norm))
        return report_nonfinite(run, program, at, "norm of the gradient", norm, err);
    if (run->accumulated) memset(run->accumulated, 0, bytes);
    s->micro = 0;
    s->step++;
    if (run->average) ema_update(run->average, weights, ema_keep(&run->ema, s->step));
    run->changes++;
    run->proven = false;
    return OK;
}

Err run_batch(Run *run, const Batch *batch, Error *err) {
    TrainState *s = &run->state;
    Program *program = batch->n == run->programs.batch_size ? run->programs.full : run->programs.last;
    RunState at = {.seed = (uint64_t)run->train->seed, .step = (uint64_t)(s->epoch * run->data.n_batches + s->batch)};
    net_bind_batch(program, &run->losses, batch);
    TRY(program_run(program, &at, err));
    double loss = loss_batch_value(&run->losses, program);
    if (!isfinite(loss)) return report_nonfinite(run, program, &at, "loss", loss, err);
    run->proven = true;
    LossTotal total = s->train_loss;
    loss_total_add(&total, &run->losses, program);
    double share = (double)batch->n / (double)run->programs.batch_size;
    TRY(learn(run, program, share, &at, err));
    s->train_loss = total;
    s->train_samples += batch->n;
    s->batch++;
    return OK;
}

/* ---- one epoch ---- */

static Progress progress_of(const Loop *l) {
    const Run *run = l->run;
    const TrainState *s = &run->state;
    const Clock *c = &l->clock;
    double rate = c->training > 0 ? (double)c->samples / c->training : 0;
    int64_t left = (run->train->epochs - s->epoch) * run->data.n_images - s->train_samples;
    double eta = rate > 0 && left > 0 ? (double)left / rate : 0;
    return (Progress){.epoch = s->epoch + 1,
                      .epochs = run->train->epochs,
                      .batch = s->batch,
                      .batches = run->data.n_batches,
                      .step = s->step,
                      .loss = loss_total_value(&s->train_loss, &run->losses),
                      .lr = rate_at(run, s->step > 0 ? s->step - 1 : 0),
                      .samples_per_second = rate,
                      .eta_seconds = loop_eta(l, eta),
                      .elapsed_seconds = s->seconds};
}

static void tell_progress(Loop *l) {
    if (!loop_tells(l)) return;
    const TrainEvents *events = &l->run->spec->events;
    Progress progress = progress_of(l);
    events->progress(events->context, &progress);
}

static Err train_batches(Loop *l, Error *err) {
    Run *run = l->run;
    TrainState *s = &run->state;
    if (s->batch >= run->data.n_batches) return OK; /* stopped between the last batch and the evaluation */
    TRY(loader_start(run->data.train_loader, s->epoch, s->batch, err));
    loop_tick(l);
    while (s->batch < run->data.n_batches && !l->out_of_time) {
        const Batch *batch;
        TRY(loader_next(run->data.train_loader, &batch, err));
        int64_t step = s->step, n = batch->n;
        TRY(run_batch(run, batch, err));
        double passed = loop_tick(l);
        s->epoch_seconds += passed;
        l->clock.training += passed;
        l->clock.samples += n;
        tell_progress(l);
        TRY(loop_save_if_due(l, s->step != step ? s->step : 0, err));
        TRY(loop_stop_if_asked(l, err));
    }
    return OK;
}

static bool evaluation_due(const Run *run) {
    if (!run->data.val_loader) return false;
    int64_t epoch = run->state.epoch + 1;
    return epoch % run->train->eval_every == 0 || epoch == run->train->epochs;
}

static Err evaluate(Loop *l, Error *err) {
    Run *run = l->run;
    Progress at = progress_of(l);
    arena_free(l->val_arena);
    l->val_arena = NULL;
    Arena *arena = arena_new();
    net_refresh(run->net);
    Err code = net_evaluate_loader(run->net, run->data.val, run->data.val_loader, &run->spec->events, &at, &l->val,
                                   arena, err);
    if (code == OK)
        l->val_arena = arena;
    else
        arena_free(arena);
    return code;
}

/* The run ends here; nothing of these weights is kept. */
static Err report_val_loss(Run *run, double loss, Error *err) {
    const TrainState *s = &run->state;
    run->proven = false;
    run_withdraw(run);
    return err_set(err, ERR_NUMERIC,
                   "epoch %lld, after step %lld: the loss on val is %s; the last good checkpoint stays; a lower "
                   "train.lr or a train.clip_norm may help",
                   (long long)s->epoch + 1, (long long)s->step, isnan(loss) ? "nan" : "infinite");
}

/* The line of history.jsonl; in the run's arena, for it goes into every checkpoint from now on. */
static const char *history_line(const Run *run, const Evaluation *val, double lr, double seconds) {
    const TrainState *s = &run->state;
    Arena *arena = arena_new();
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_int(&j, "epoch", s->epoch + 1);
    json_int(&j, "step", s->step);
    json_open_object(&j, "train");
    json_float(&j, "loss", loss_total_value(&s->train_loss, &run->losses));
    LossPart parts[LOSS_MAX_TERMS];
    loss_parts_write_json(loss_total_parts(&s->train_loss, &run->losses, parts), parts, &j);
    json_close(&j);
    if (val) {
        json_open_object(&j, "val");
        evaluation_write_json(val, NULL, &j);
        json_close(&j);
    }
    if (run->train->patience > 0) json_int(&j, "waited", s->patience.waited);
    json_float(&j, "lr", lr);
    json_float(&j, "seconds", seconds);
    json_float(&j, "samples_per_second", s->epoch_seconds > 0 ? (double)s->train_samples / s->epoch_seconds : 0);
    json_close(&j);
    const char *line = arena_strdup(run->arena, json_text(&j));
    arena_free(arena);
    return line;
}

/* Let the epoch's scores bear on what comes: the schedule's plateau, patience, and whether this is the best so far. */
static bool judge_epoch(Run *run, const Evaluation *val) {
    TrainState *s = &run->state;
    const MetricName *metric = &run->best.metric;
    if (run->data.val_loader && !val) return false;
    double value = val ? best_value(&run->best, val) : best_train_value(&run->best, &s->train_loss, &run->losses);
    if (isnan(value) && s->best_epoch == 0)
        run_note(run, "train.best: '%s' has no value: %s", metric->name,
                 run->best.sort == BEST_CLASS ? "the class is neither in data.val nor predicted"
                                              : "there is nothing in data.val to score");
    plateau_update(&s->plateau, &run->schedule, value, metric->higher_is_better);
    patience_update(&s->patience, metric, value, run->train->min_delta);
    if (!evaluation_is_better(metric, value, s->best_epoch == 0 ? (double)NAN : s->best_value)) return false;
    s->best_epoch = s->epoch + 1;
    s->best_value = value;
    return true;
}

/* Whether train.patience is over. */
static bool out_of_patience(const Run *run) {
    return run->train->patience > 0 && run->state.patience.waited >= run->train->patience;
}

static bool is_trained(const Run *run) {
    return run->state.epoch >= run->train->epochs || out_of_patience(run);
}

static Err write_samples(Run *run, Error *err) {
    const TrainConfig *train = run->train;
    int64_t epoch = run->state.epoch;
    if (train->sample_every <= 0 || (epoch % train->sample_every != 0 && !is_trained(run))) return OK;
    Arena *arena = arena_new();
    const char *name = arena_printf(arena, "samples/epoch_%04lld.png", (long long)epoch);
    Split *split = run->data.val ? run->data.val : run->data.train;
    net_refresh(run->net);
    Err code = samples_write(run->net, split, train->samples, rundir_file(&run->dir, name, arena), err);
    arena_free(arena);
    return code;
}

/* Evaluate, judge, record, save. A run that is killed in here goes on from before it, and does the same again. */
static Err finish_epoch(Loop *l, Error *err) {
    Run *run = l->run;
    TrainState *s = &run->state;
    const Evaluation *val = NULL;
    double lr = rate_at(run, s->step > 0 ? s->step - 1 : 0);
    if (evaluation_due(run)) {
        TRY(evaluate(l, err));
        val = &l->val;
        if (!isfinite(val->loss)) return report_val_loss(run, val->loss, err);
        if (!run->average) run->proven = true; /* else these were others */
    }
    loop_tick(l);
    Progress progress = progress_of(l);
    bool best = judge_epoch(run, val);
    const char *line = history_line(run, val, lr, s->epoch_seconds + (val ? val->seconds : 0));
    s->last_loss = progress.loss;
    loop_add_history(run, line);
    s->epoch++;
    s->batch = 0;
    s->train_samples = 0;
    s->train_loss = (LossTotal){0};
    s->epoch_seconds = 0;
    TRY(write_samples(run, err));
    if (best) TRY(run_save_best(run, err));
    TRY(loop_save_last(
        l, err)); /* all before it is done again by a run killed until here; history.jsonl is written anew */
    TRY(rundir_append_line(&run->dir, "history.jsonl", line, err));
    const TrainEvents *events = &run->spec->events;
    if (events->epoch) events->epoch(events->context, &progress, val, line);
    loop_tick(l);
    return OK;
}

/* A signal may come while an epoch is evaluated: all its batches are done, so that is where the run goes on. */
static Err run_epochs(Loop *l, Error *err) {
    Run *run = l->run;
    while (!is_trained(run) && !l->out_of_time) {
        TRY(train_batches(l, err));
        if (run->state.batch < run->data.n_batches) break; /* out of time */
        Err code = loop_asked_to_stop(run) ? ERR_STOPPED : finish_epoch(l, err);
        if (code == ERR_STOPPED) {
            err_clear(err);
            return loop_stop_if_asked(l, err);
        }
        TRY(code);
        if (!is_trained(run)) TRY(loop_stop_if_asked(l, err));
    }
    return OK;
}

/* ---- the result ---- */

/* Class names and palette outlive the split they came with. */
static const DataConfig *copy_data(const DataConfig *data, Arena *arena) {
    DataConfig *copy = arena_copy(arena, data, sizeof *data);
    if (!data->class_names || data->n_classes < 1) return copy;
    copy->class_names = ARENA_ARRAY(arena, const char *, data->n_classes);
    for (int i = 0; i < data->n_classes; i++) copy->class_names[i] = arena_strdup(arena, data->class_names[i]);
    if (data->palette)
        copy->palette = arena_copy(arena, data->palette, sizeof *data->palette * (size_t)data->n_classes);
    return copy;
}

static double result_train_loss(const Run *run) {
    const TrainState *s = &run->state;
    if (s->epoch > 0) return s->last_loss;
    return s->train_samples > 0 ? loss_total_value(&s->train_loss, &run->losses) : NAN;
}

/* The last scores, with their lists in the caller's arena. */
static Evaluation copy_val(const Loop *l) {
    return l->val_arena ? evaluation_copy(&l->val, l->run->arena) : (Evaluation){0};
}

static void fill_result(const Loop *l, TrainResult *out) {
    const Run *run = l->run;
    const TrainState *s = &run->state;
    *out = (TrainResult){
        .epochs = s->epoch,
        .steps = s->step,
        .train_loss = result_train_loss(run),
        .has_val = l->val_arena != NULL,
        .val = copy_val(l),
        .data = copy_data(split_config(run->data.train), run->arena),
        .best_epoch = s->best_epoch,
        .best_metric = run->best.metric.name,
        .best_value = s->best_value,
        .seconds = s->seconds,
        .samples_per_second = l->clock.training > 0 ? (double)l->clock.samples / l->clock.training : 0,
        .stopped_early = s->epoch < run->train->epochs && out_of_patience(run),
        .waited = s->patience.waited,
        .finished = pretrain_is_done(run) && is_trained(run),
    };
}

static Err run_loop(Run *run, TrainResult *out, Error *err) {
    Loop l = loop_begin(run);
    Err code = pretrain_run(&l, err);
    if (code == OK) code = run_epochs(&l, err);
    /* scores for the report where no epoch of this process gave any; the run itself knows nothing of them */
    if (code == OK && !l.val_arena && run->data.val_loader) code = evaluate(&l, err);
    if (code == OK || code == ERR_STOPPED) fill_result(&l, out);
    arena_free(l.val_arena);
    return code;
}

Err train_run(TrainResult *out, const TrainSpec *spec, Arena *arena, Error *err) {
    *out = (TrainResult){.train_loss = NAN};
    Run run = {.spec = spec,
               .experiment = spec->experiment,
               .train = &spec->experiment->train,
               .arena = arena,
               .dir = {.lock = -1}};
    Err code = run_setup(&run, err);
    if (code == OK) code = run_begin(&run, err);
    if (code == OK) code = run_loop(&run, out, err);
    run_close(&run);
    return code;
}
