/* run_setup.c - a training run from its config: data, network, programs, the run directory it begins or goes on in, and
 * its checkpoints. */
#include "train/precision.h"
#include "train/resume.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void run_note(const Run *run, const char *format, ...) {
    const TrainEvents *events = &run->spec->events;
    if (!events->note) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    events->note(events->context, text);
}

/* ---- config ---- */

/* All sections are read before the first failure is returned, so that one pass reports every mistake. */
static Err read_sections(Run *run, Error *err) {
    const Experiment *x = run->experiment;
    const Err codes[] = {
        optimizer_read(&run->optimizer, x, run->arena, err),
        schedule_read(&run->schedule, x, run->arena, err),
        ema_read(&run->ema, x, run->arena, err),
        augment_new(&run->data.augment, run->train->augment, run->arena, err),
        sampling_read(&run->data.sampling, x, run->arena, err),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] != OK) return codes[i];
    return OK;
}

/* ---- data and network ---- */

static Err check_targets(const Run *run, const Split *split, const char *name, Error *err) {
    const DatasetInfo *info = split_info(split);
    if (run->experiment->task == TASK_SEGMENTATION && !info->has_mask)
        return err_set(err, ERR_DATA, "data.%s: there are no masks, which task segmentation learns from", name);
    if (run->experiment->task == TASK_CLASSIFICATION && !info->has_label)
        return err_set(err, ERR_DATA, "data.%s: there are no labels, which task classification learns from", name);
    return OK;
}

static Err open_split(Run *run, const char *name, Split **out, Error *err) {
    TRY(split_open(out, run->experiment, name, err));
    return check_targets(run, *out, name, err);
}

static Err open_data(Run *run, Error *err) {
    RunData *data = &run->data;
    if (!split_exists(run->experiment, "train"))
        return err_set(err, ERR_CONFIG, "data.train: missing; it says what to train on");
    TRY(open_split(run, "train", &data->train, err));
    if (best_has_val(run->experiment)) TRY(open_split(run, "val", &data->val, err));
    data->n_images = split_info(data->train)->n;
    return OK;
}

/* The network is made for the size of a training picture: what data and augmentation give. */
static Err build_graph(Run *run, Error *err) {
    int64_t shape[4];
    split_shape(run->data.train, shape);
    int height = (int)shape[2], width = (int)shape[3];
    augment_size(run->data.augment, &height, &width);
    if (height < 1 || width < 1)
        return err_set(err, ERR_CONFIG,
                       "the pictures differ in size, and a batch needs one: set data.size, and data.fit to resize, "
                       "crop or pad, or let train.augment crop");
    const DataConfig *data = split_config(run->data.train);
    TRY(augment_bind(run->data.augment, data, split_info(run->data.train)->has_mask, run->arena, err));
    int64_t classes = run->experiment->task == TASK_RECONSTRUCTION ? 0 : data->n_classes;
    if (run->experiment->task != TASK_RECONSTRUCTION && classes < 2)
        return err_set(err, ERR_CONFIG, "data.classes: missing; task %s needs at least 2 classes",
                       task_names[run->experiment->task]);
    TRY(graph_build(&run->graph, run->experiment, SHAPE(1, shape[1], height, width), classes, run->arena, err));
    TRY(pretrain_read(&run->pretrain, run->experiment, run->graph, run->arena, err));
    TRY(weights_new(&run->weights, run->graph, err));
    TRY(weights_init(run->weights, (uint64_t)run->train->seed, err));
    if (run->ema.on) TRY(weights_shadow(&run->average, run->weights, err));
    return weights_add_slots(run->weights, run->optimizer.kind->n_slots, err);
}

static Err new_sampler(Run *run, Error *err) {
    RunData *data = &run->data;
    TRY(sampler_new(&data->sampler, &data->sampling, data->train, run->experiment->task, run->spec->events.stop, err));
    if (!data->sampler) return OK;
    double least, most;
    sampler_range(data->sampler, &least, &most);
    run_note(run, "train.sampling %s: each sample is drawn %.2g to %.3g times an epoch, on average",
             data->sampling.kind->name, least, most);
    return OK;
}

static Err new_loaders(Run *run, Error *err) {
    RunData *data = &run->data;
    TRY(new_sampler(run, err));
    int64_t stride = graph_stride(run->graph);
    LoaderSpec spec = {.split = data->train,
                       .batch_size = run->train->batch_size,
                       .seed = (uint64_t)run->train->seed,
                       .shuffle = run->train->shuffle,
                       .sampler = data->sampler,
                       .augment = data->augment,
                       .multiple = stride > 0 ? stride : 1};
    TRY(loader_new(&data->train_loader, &spec, err));
    data->n_batches = loader_batches(data->train_loader);
    if (!data->val) return OK;
    spec.split = data->val;
    spec.shuffle = false;
    spec.sampler = NULL;
    spec.augment = NULL;
    spec.any_size = true;
    Err code = loader_new(&data->val_loader, &spec, err);
    if (code != OK) err_context(err, "data.val");
    return code;
}

static Err compile_for(Run *run, int64_t n, const int64_t shape[4], Program **out, Error *err) {
    CompileSpec spec = {.engine = run->engine,
                        .graph = run->graph,
                        .weights = run->weights,
                        .training = true,
                        .bf16 = precision_is_bf16(run->train, run->engine),
                        .n_losses = run->losses.n,
                        .losses = run->losses.terms};
    TRY(net_input_shape(run->graph, n, shape[1], shape[2], shape[3], &spec.input, err));
    return compile_program(out, &spec, err);
}

static Err compile_programs(Run *run, Error *err) {
    int64_t shape[4];
    loader_shape(run->data.train_loader, shape);
    int64_t n_full = run->data.n_images / shape[0], rest = run->data.n_images % shape[0];
    run->programs.batch_size = shape[0];
    if (n_full > 0) TRY(compile_for(run, shape[0], shape, &run->programs.full, err));
    if (rest > 0) TRY(compile_for(run, rest, shape, &run->programs.last, err));
    return OK;
}

static Err take_accumulator(Run *run, Error *err) {
    if (run->train->accumulate <= 1) return OK;
    size_t bytes = (size_t)run->weights->trained_size * sizeof(float);
    run->accumulated = block_alloc(bytes ? bytes : 1);
    if (run->accumulated) return OK;
    return err_set(err, ERR_MEMORY, "no memory for %zu MB of accumulated gradients", bytes >> 20);
}

Err run_setup(Run *run, Error *err) {
    TRY(read_sections(run, err));
    TRY(open_data(run, err));
    TRY(build_graph(run, err));
    TRY(loss_set_build(&run->losses, run->experiment, run->graph, run->data.train, run->spec->events.stop, run->arena,
                       err));
    TRY(best_read(&run->best, run->experiment, split_config(run->data.train), &run->losses, run->arena, err));
    TRY(new_loaders(run, err));
    TRY(engine_new(&run->engine, run->spec->threads, err));
    TRY(compile_programs(run, err));
    TRY(take_accumulator(run, err));
    NetParts parts = {.engine = run->engine,
                      .experiment = run->experiment,
                      .data = split_config(run->data.train),
                      .graph = run->graph,
                      .weights = run->average ? run->average : run->weights,
                      .losses = &run->losses};
    TRY(net_wrap(&run->net, &parts, err));
    int64_t micro = run->train->accumulate > 1 ? run->train->accumulate : 1;
    run->steps_per_epoch = (run->data.n_batches + micro - 1) / micro;
    run->state = (TrainState){.train_images = run->data.n_images, .threads = engine_threads(run->engine)};
    plateau_init(&run->state.plateau);
    patience_init(&run->state.patience);
    return OK;
}

double run_rate(const Run *run, int64_t step, int64_t epochs) {
    SchedulePoint at = {.step = step,
                        .steps = run->steps_per_epoch * epochs,
                        .epoch = (double)step / (double)run->steps_per_epoch,
                        .epochs = (double)epochs,
                        .plateau_factor = run->state.plateau.factor};
    return schedule_lr(&run->schedule, &at);
}

void run_close(Run *run) {
    rundir_leave(&run->dir);
    net_close(run->net);
    program_free(run->programs.full);
    program_free(run->programs.last);
    loader_free(run->data.train_loader);
    loader_free(run->data.val_loader);
    sampler_free(run->data.sampler);
    split_close(run->data.train);
    split_close(run->data.val);
    weights_free(run->average);
    weights_free(run->weights);
    weights_free(run->pretrained);
    engine_free(run->engine);
    block_free(run->accumulated);
}

/* ---- checkpoints ---- */

static Err check_weights(const Run *run, Error *err) {
    const TrainState *s = &run->state;
    const char *name = run->pretrained ? weights_first_nonfinite(run->pretrained) : NULL;
    if (name)
        return err_set(err, ERR_NUMERIC,
                       "a value of '%s' is not finite after %lld epochs and %lld batches of its pre-training; the last "
                       "good checkpoint stays; a lower pretrain.lr may help",
                       name, (long long)s->pretrain.epoch, (long long)s->pretrain.batch);
    name = weights_first_nonfinite(run->weights);
    const char *of = name ? "" : "the average of ";
    if (!name && run->average) name = weights_first_nonfinite(run->average);
    if (!name) return OK;
    return err_set(err, ERR_NUMERIC,
                   "step %lld (epoch %lld): a value of %s'%s' is not finite after it; the last good checkpoint stays; "
                   "a lower train.lr or a train.clip_norm may help",
                   (long long)s->step, (long long)s->epoch + (s->batch > 0), of, name);
}

static Err save(Run *run, const char *name, const char *keep_as, bool whole, Error *err) {
    TRY(check_weights(run, err));
    Arena *arena = arena_new(); /* checkpoints are written without end: the run's own would grow */
    CheckpointWrite write = {
        .path = rundir_file(&run->dir, name, arena),
        .keep_as = keep_as ? rundir_file(&run->dir, keep_as, arena) : NULL,
        .experiment = run->experiment,
        .data = split_config(run->data.train),
        .input = run->graph->input,
        .class_weights = run->losses.class_weights,
        .weights = run->weights,
        .average = run->average,
        .both = whole,
        .n_slots = run->optimizer.kind->n_slots,
        .slot_names = whole ? run->optimizer.kind->slot_names : NULL,
        .state = &run->state,
        .accumulated = whole ? run->accumulated : NULL,
        .pretrain = whole ? run->pretrained : NULL,
        .pretrain_slot_names = run->pretrain.kind ? run->pretrain.then.kind->slot_names : NULL,
        .onednn = engine_describe(run->engine),
    };
    Err code = checkpoint_write(&write, err);
    arena_free(arena);
    return code;
}

static void remember_saved(Run *run) {
    const TrainState *s = &run->state;
    run->saved = (SavedState){
        .is_there = true, .epoch = s->epoch, .batch = s->batch, .changes = run->changes, .pretrain = s->pretrain};
}

Err run_save_last(Run *run, Error *err) {
    const TrainState *s = &run->state;
    const SavedState *saved = &run->saved;
    const PretrainState *p = &s->pretrain, *q = &saved->pretrain;
    bool same_weights = saved->is_there && saved->changes == run->changes;
    bool same_place = p->layer == q->layer && p->epoch == q->epoch && p->batch == q->batch;
    if (same_weights && same_place && saved->epoch == s->epoch && saved->batch == s->batch) return OK;
    TRY(save(run, "last.h5", same_weights ? NULL : "last.prev.h5", true, err));
    remember_saved(run);
    return OK;
}

Err run_save_best(Run *run, Error *err) {
    return save(run, "best.h5", NULL, false, err);
}

/* NAME becomes DAMAGED, and PREV (NULL: none) takes its place. */
static void put_aside(const Run *run, const char *name, const char *prev, const char *damaged) {
    Arena *arena = arena_new();
    const char *path = rundir_file(&run->dir, name, arena);
    rename(path, rundir_file(&run->dir, damaged, arena));
    if (prev) rename(rundir_file(&run->dir, prev, arena), path);
    arena_free(arena);
}

static bool has_file(const Run *run, const char *name) {
    Arena *arena = arena_new();
    bool found = access(rundir_file(&run->dir, name, arena), F_OK) == 0;
    arena_free(arena);
    return found;
}

void run_withdraw(Run *run) {
    const TrainState *s = &run->state;
    if (run->proven) return;
    bool unseen = !run->data.val_loader; /* else val has given a finite loss with the weights of best.h5 */
    if (unseen && s->best_epoch > 0 && s->best_epoch * run->steps_per_epoch == s->step && has_file(run, "best.h5")) {
        put_aside(run, "best.h5", NULL, "best.damaged.h5");
        run_note(run, "best.h5 held weights that give no finite loss: it is best.damaged.h5 now");
    }
    if (!run->saved.is_there || run->saved.changes != run->changes || !has_file(run, "last.prev.h5")) return;
    put_aside(run, "last.h5", "last.prev.h5", "last.damaged.h5");
    run->saved.is_there = false;
    run_note(run, "last.h5 held weights that give no finite loss: it is last.damaged.h5 now, and last.h5 is the one "
                  "before it");
}

/* ---- beginning ---- */

static Err begin_new(Run *run, Error *err) {
    TRY(rundir_begin(&run->dir, run->spec->run_dir, run->arena, err));
    TRY(rundir_write_text(&run->dir, "config.yaml", yaml_write(run->experiment->root, run->arena), err));
    TRY(rundir_write_text(&run->dir, "history.jsonl", "", err));
    TRY(run_save_last(run, err));
    return rundir_appear(&run->dir, err);
}

/* Numbers that a checkpoint of this very run must fulfil. */
static Err check_state(const Run *run, const char *path, Error *err) {
    const TrainState *s = &run->state;
    if (s->train_images != run->data.n_images)
        return err_set(err, ERR_DATA, "the run in '%s' was begun with %lld training samples, now there are %lld", path,
                       (long long)s->train_images, (long long)run->data.n_images);
    int64_t micro = run->train->accumulate > 1 ? run->train->accumulate : 1;
    if (s->batch > run->data.n_batches || s->micro >= micro || s->micro > s->batch)
        return err_set(err, ERR_FORMAT, "%s: batch %lld of %lld and micro-batch %lld of %lld cannot be", path,
                       (long long)s->batch, (long long)run->data.n_batches, (long long)s->micro, (long long)micro);
    return OK;
}

static Err check_pretrain(const Run *run, const char *path, Error *err) {
    const PretrainState *s = &run->state.pretrain;
    const Pretrain *p = &run->pretrain;
    const int64_t n = run->data.n_images, epochs = s->layer < p->n ? p->layers[s->layer].epochs : 0;
    int64_t samples = s->batch <= n ? s->batch * p->batch_size : -1; /* what so many batches have */
    if (samples > n) samples = n;
    bool begun = s->epoch > 0 || s->batch > 0;
    if (s->layer <= p->n && s->samples == samples && (begun ? s->epoch < epochs : s->error == 0)) return OK;
    return err_set(err, ERR_FORMAT,
                   "%s: pre-training cannot be at layer %lld of %d, epoch %lld of %lld, %lld batches with %lld of %lld "
                   "samples",
                   path, (long long)s->layer, p->n, (long long)s->epoch, (long long)epochs, (long long)s->batch,
                   (long long)s->samples, (long long)n);
}

/* With a layer under way, its weights and slots. */
static Err take_up_pretrain(Run *run, const Checkpoint *c, Error *err) {
    const PretrainState *s = &run->state.pretrain;
    const Pretrain *p = &run->pretrain;
    TRY(check_pretrain(run, checkpoint_path(c), err));
    if (s->epoch == 0 && s->batch == 0) return OK;
    const OptimKind *kind = p->then.kind;
    TRY(pretrain_weights_new(&run->pretrained, &p->layers[s->layer], kind->n_slots, err));
    return checkpoint_read_pretrain(c, run->pretrained, kind->slot_names, err);
}

static void note_place(const Run *run, const char *path) {
    const TrainState *s = &run->state;
    if (s->pretrain.layer < run->pretrain.n)
        run_note(run, "going on from %s: pre-training of '%s', epoch %lld, after batch %lld", path,
                 run->pretrain.layers[s->pretrain.layer].name, (long long)s->pretrain.epoch + 1,
                 (long long)s->pretrain.batch);
    else
        run_note(run, "going on from %s: epoch %lld, batch %lld of %lld", path, (long long)s->epoch + 1,
                 (long long)s->batch, (long long)run->data.n_batches);
}

/* Schedules that run over the whole of training take another course when its length changes. */
static void note_epochs(const Run *run, int64_t before) {
    int64_t epochs = run->train->epochs, step = run->state.step;
    if (before == epochs || !run->schedule.kind->over_all_epochs) return;
    run_note(run,
             "train.epochs was %lld and is %lld: schedule '%s' now runs over %lld epochs, and the rate goes on at %.6g "
             "instead of %.6g",
             (long long)before, (long long)epochs, run->schedule.kind->name, (long long)epochs,
             run_rate(run, step, epochs), run_rate(run, step, before));
}

/* "2.6.3, AVX2" of "oneDNN 2.6.3, AVX2, 2 threads": what else than the number of threads decides about bits. */
static const char *engine_words(const char *description, Arena *arena) {
    static const char prefix[] = "oneDNN ";
    if (strncmp(description, prefix, strlen(prefix)) == 0) description += strlen(prefix);
    const char *end = strrchr(description, ',');
    return arena_strndup(arena, description, end ? (size_t)(end - description) : strlen(description));
}

static void note_engine(const Run *run, const Checkpoint *c) {
    const char *before = engine_words(checkpoint_writer(c).onednn, run->arena);
    const char *now = engine_words(engine_describe(run->engine), run->arena);
    if (!before[0] || strcmp(before, now) == 0) return;
    run_note(run,
             "the run was computed with oneDNN %s and goes on with %s: its bits may differ from one that never stopped",
             before, now);
}

static Err take_up(Run *run, const Checkpoint *c, Error *err) {
    const char *path = checkpoint_path(c);
    int64_t epochs_before;
    TRY(resume_check_config(&epochs_before, path, checkpoint_config(c), run->experiment, run->arena, err));
    TRY(checkpoint_read_training(c, run->weights, run->average, err));
    TRY(checkpoint_read_slots(c, run->weights, run->optimizer.kind->n_slots, run->optimizer.kind->slot_names, err));
    TRY(checkpoint_read_state(c, &run->state, run->weights, run->accumulated, run->arena, err));
    TRY(check_state(run, path, err));
    TRY(take_up_pretrain(run, c, err));
    run->history_capacity = run->state.n_history;
    int64_t threads = engine_threads(run->engine);
    if (run->state.threads != threads)
        run_note(run,
                 "the run was begun with %lld threads and goes on with %lld: its bits will differ from one that never "
                 "stopped",
                 (long long)run->state.threads, (long long)threads);
    run->state.threads = threads;
    note_engine(run, c);
    note_epochs(run, epochs_before);
    note_place(run, path);
    return OK;
}

/* History as the checkpoint knows it: a killed run may have a line more or less. */
static Err write_history(const Run *run, Error *err) {
    size_t bytes = 1;
    for (int i = 0; i < run->state.n_history; i++) bytes += strlen(run->state.history[i]) + 1;
    char *text = malloc(bytes), *end = text;
    if (!text) return err_set(err, ERR_MEMORY, "out of memory");
    *text = '\0';
    for (int i = 0; i < run->state.n_history; i++)
        end += snprintf(end, bytes - (size_t)(end - text), "%s\n", run->state.history[i]);
    Err code = rundir_write_text(&run->dir, "history.jsonl", text, err);
    free(text);
    return code;
}

static Err resume(Run *run, Error *err) {
    TRY(rundir_enter(&run->dir, run->spec->run_dir, run->arena, err));
    Checkpoint *c = NULL;
    const char *note = NULL;
    TRY(checkpoint_open(&c, run->dir.path, true, &note, run->arena, err));
    if (note) run_note(run, "%s", note);
    Err code = take_up(run, c, err);
    checkpoint_close(c);
    TRY(code);
    /* a damaged last.h5 must not be kept in place of the good one before it */
    const char *last = rundir_file(&run->dir, "last.h5", run->arena);
    if (note) rename(last, rundir_file(&run->dir, "last.damaged.h5", run->arena));
    if (access(last, F_OK) == 0) remember_saved(run);
    TRY(rundir_write_text(&run->dir, "config.yaml", yaml_write(run->experiment->root, run->arena), err));
    return write_history(run, err);
}

Err run_begin(Run *run, Error *err) {
    bool on = run->spec->resume && rundir_has_checkpoint(run->spec->run_dir);
    return on ? resume(run, err) : begin_new(run, err);
}
