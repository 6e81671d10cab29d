/* bench.c - see bench.h. */
#include "train/bench.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/rng.h"
#include "train/run.h"

#include <string.h>

enum { ROUNDS = 3, LEAST_STEPS = 3, WARM_UP = 2, MAX_TIMED = 100000 };

/* One benchmark under way. `lap` does one step and notes its moments; a NULL row: as warm-up. */
typedef struct Bencher {
    const BenchSpec *spec;
    Bench *out;
    Arena *arena;
    Program *program;
    double *rows;          /* room for `capacity` rows */
    int64_t capacity, row; /* rows; doubles in one */
    double lap_seconds;    /* of the last step of the warm-up */
    double **bare_seconds; /* per bare primitive: all its times */
    int *n_bare_seconds;
    Err (*lap)(struct Bencher *b, double *row, bool *timed, Error *err);
    void *context;
} Bencher;

/* ---- what can be said without running ---- */

static StepInfo copy_info(StepInfo info, Arena *arena) {
    info.scope = arena_strdup(arena, info.scope);
    info.name = arena_strdup(arena, info.name);
    info.implementation = arena_strdup(arena, info.implementation);
    return info;
}

static BareInfo copy_bare(BareInfo info, Arena *arena) {
    info.scope = arena_strdup(arena, info.scope);
    info.name = arena_strdup(arena, info.name);
    info.implementation = arena_strdup(arena, info.implementation);
    return info;
}

/* The place of a kind in the table, which gets it when it is not there. */
static BenchKind *kind_named(Bench *out, const char *name) {
    for (int i = 0; i < out->n_kinds; i++)
        if (strcmp(out->kinds[i].name, name) == 0) return &out->kinds[i];
    BenchKind *kind = &out->kinds[out->n_kinds++];
    *kind = (BenchKind){.name = name};
    return kind;
}

static const char *kind_of(const StepInfo *info) {
    bool loss = strcmp(info->scope, "loss") == 0 || strcmp(info->scope, "activity") == 0;
    return loss ? "loss" : info->kind;
}

void bench_describe(Bench *out, const Engine *engine, const Weights *weights, const Program *program, Arena *arena) {
    *out = (Bench){.engine = arena_strdup(arena, engine_describe(engine)),
                   .bf16 = program_is_bf16(program),
                   .input = program_shape(program, "input"),
                   .program = program_stats(program),
                   .n_steps = program_n_steps(program),
                   .n_bares = program_n_bare(program)};
    for (int e = 0; e < weights->n; e++) {
        const WeightEntry *entry = &weights->entries[e];
        *(entry->flags & WEIGHT_TRAINED ? &out->parameters : &out->buffers) += entry->count;
    }
    out->steps = ARENA_ARRAY(arena, BenchStep, out->n_steps + 1);
    for (int i = 0; i < out->n_steps; i++) {
        out->steps[i].info = copy_info(program_step(program, i), arena);
        kind_named(out, kind_of(&out->steps[i].info))->steps++;
    }
    out->bares = ARENA_ARRAY(arena, BenchBare, out->n_bares + 1);
    for (int i = 0; i < out->n_bares; i++) {
        BareInfo info = out->bares[i].info = copy_bare(program_bare(program, i), arena);
        kind_named(out, info.kind)->flop += info.flop;
        out->flop += info.flop;
    }
}

/* ---- steps and bare primitives in turns ---- */

static bool stopped(const Bencher *b) {
    return b->spec->stop && *b->spec->stop;
}

static Err time_steps(Bencher *b, int64_t steps, double seconds, Error *err) {
    Bench *out = b->out;
    const double began = clock_seconds();
    for (int64_t done = 0; out->n_timed < b->capacity;) {
        if (done >= steps && clock_seconds() - began >= seconds) break;
        if (stopped(b)) return err_set(err, ERR_STOPPED, "stopped");
        bool timed = false;
        TRY(b->lap(b, b->rows + out->n_timed * b->row, &timed, err));
        if (!timed) continue;
        out->n_timed++;
        done++;
    }
    return OK;
}

/* Short ones are run more often. */
static int runs_of(const double *known, int n_known) {
    const double wanted = n_known > 0 && known[0] > 0 ? 0.01 / known[0] : 5;
    return wanted < 3 ? 3 : wanted > 100 ? 100 : (int)wanted;
}

static Err time_bares(Bencher *b, Error *err) {
    for (int i = 0; i < b->out->n_bares; i++) {
        if (stopped(b)) return err_set(err, ERR_STOPPED, "stopped");
        int n_known = b->n_bare_seconds[i], n = runs_of(b->bare_seconds[i], n_known);
        double *grown = ARENA_ARRAY(b->arena, double, n_known + n);
        TRY(program_run_bare(b->program, i, &n, grown, err));
        if (n_known) memcpy(grown + n, b->bare_seconds[i], sizeof *grown * (size_t)n_known);
        b->bare_seconds[i] = grown;
        b->n_bare_seconds[i] = n_known + n;
    }
    return OK;
}

static Err take_turns(Bencher *b, Error *err) {
    const BenchSpec *spec = b->spec;
    b->capacity = spec->steps;
    if (spec->steps == 0) { /* with room for steps that turn out to be four times as fast */
        const double wanted = LEAST_STEPS + 4 * spec->seconds / (b->lap_seconds + 1e-6);
        b->capacity = wanted < MAX_TIMED ? (int64_t)wanted : MAX_TIMED;
    }
    const size_t bytes = sizeof *b->rows * (size_t)(b->row * b->capacity);
    b->rows = block_alloc(bytes);
    if (!b->rows) return err_set(err, ERR_MEMORY, "no memory for the moments of %lld steps", (long long)b->capacity);
    b->bare_seconds = ARENA_ARRAY(b->arena, double *, b->out->n_bares + 1);
    b->n_bare_seconds = ARENA_ARRAY(b->arena, int, b->out->n_bares + 1);
    for (int64_t round = 0; round < ROUNDS; round++) {
        int64_t steps = spec->steps > 0 ? spec->steps * (round + 1) / ROUNDS - spec->steps * round / ROUNDS
                                        : LEAST_STEPS / ROUNDS;
        TRY(time_steps(b, steps, spec->steps > 0 ? 0 : spec->seconds / ROUNDS, err));
        if (round == 0) b->out->peak_mb = process_peak_mb();
        if (spec->bare) TRY(time_bares(b, err));
    }
    return OK;
}

/* At least so many steps, and until `enough`. */
static Err warm_up(Bencher *b, bool (*enough)(const Bencher *), Error *err) {
    b->row = b->out->n_steps + BENCH_MORE + 1;
    double *row = ARENA_ARRAY(b->arena, double, b->row);
    for (int64_t i = 0; i < WARM_UP || !enough(b); i++) {
        bool timed;
        if (stopped(b)) return err_set(err, ERR_STOPPED, "stopped");
        TRY(b->lap(b, row, &timed, err));
        if (i == 0) b->out->first_step_ms = 1e3 * process_age_seconds();
        b->lap_seconds = row[b->row - 1] - row[BENCH_BEGIN];
    }
    return OK;
}

/* ---- what the moments say ---- */

/* What of a row belongs to a kind. */
static double kind_seconds(const Bench *out, const double *row, const char *name) {
    const double *program = row + BENCH_PROGRAM;
    const int n = out->n_steps;
    if (strcmp(name, "waiting for data") == 0) return row[BENCH_BATCH] - row[BENCH_BEGIN];
    if (strcmp(name, "binding") == 0) return program[0] - row[BENCH_BATCH];
    if (strcmp(name, "optimizer") == 0) return program[n + 1] - program[n];
    double seconds = 0;
    for (int i = 0; i < n; i++)
        if (strcmp(kind_of(&out->steps[i].info), name) == 0) seconds += program[i + 1] - program[i];
    return seconds;
}

static void sum_up_steps(Bencher *b, bool training) {
    Bench *out = b->out;
    double *values = ARENA_ARRAY(b->arena, double, out->n_timed + 1);
    const int64_t end = b->row - 1;
    out->moments = b->rows;
    if (training) {
        kind_named(out, "optimizer");
        kind_named(out, "waiting for data");
        kind_named(out, "binding");
    }
    for (int t = 0; t < out->n_timed; t++) values[t] = b->rows[t * b->row + end] - b->rows[t * b->row];
    out->ms = 1e3 * clock_median(out->n_timed, values);
    out->ms_min = 1e3 * values[0];
    for (int k = 0; k < out->n_kinds; k++) {
        for (int t = 0; t < out->n_timed; t++) values[t] = kind_seconds(out, b->rows + t * b->row, out->kinds[k].name);
        out->kinds[k].ms = 1e3 * clock_median(out->n_timed, values);
    }
    for (int i = 0; i < out->n_steps; i++) {
        for (int t = 0; t < out->n_timed; t++) {
            const double *moment = b->rows + t * b->row + BENCH_PROGRAM + i;
            values[t] = moment[1] - moment[0];
        }
        out->steps[i].ms = 1e3 * clock_median(out->n_timed, values);
    }
}

static void sum_up_bares(Bencher *b) {
    Bench *out = b->out;
    for (int i = 0; i < out->n_bares && b->spec->bare; i++) {
        BenchBare *bare = &out->bares[i];
        bare->info = copy_bare(program_bare(b->program, i), b->arena);
        bare->ms = 1e3 * clock_median(b->n_bare_seconds[i], b->bare_seconds[i]);
        bare->ms_min = 1e3 * b->bare_seconds[i][0];
        kind_named(out, bare->info.kind)->bare_ms += bare->ms;
        out->bare_ms += bare->ms;
        out->bare_ms_min += bare->ms_min;
    }
}

/* ---- training ---- */

/* The next epoch, without what happens between epochs. */
static Err turn_epoch(Run *run, Error *err) {
    TrainState *s = &run->state;
    s->epoch++;
    s->batch = 0;
    s->train_samples = 0;
    s->train_loss = (LossTotal){0};
    return loader_start(run->data.train_loader, s->epoch, 0, err);
}

static Err training_lap(Bencher *b, double *row, bool *timed, Error *err) {
    Run *run = b->context;
    if (run->state.batch >= run->data.n_batches) TRY(turn_epoch(run, err));
    const Batch *batch;
    row[BENCH_BEGIN] = clock_seconds();
    TRY(loader_next(run->data.train_loader, &batch, err));
    row[BENCH_BATCH] = clock_seconds();
    *timed = batch->n == run->programs.batch_size;
    program_watch(run->programs.full, row + BENCH_PROGRAM);
    TRY(run_batch(run, batch, err));
    row[b->row - 1] = clock_seconds();
    return OK;
}

/* So that all samples are in the cache. */
static bool epoch_is_over(const Bencher *b) {
    const Run *run = b->context;
    return run->state.epoch > 0 || run->state.batch >= run->data.n_batches;
}

static Err bench_run(Bencher *b, Error *err) {
    Run *run = b->context;
    TRY(run_setup(run, err));
    b->program = run->programs.full; /* there is one: a batch is never larger than the data */
    bench_describe(b->out, run->engine, run->weights, b->program, b->arena);
    TRY(loader_start(run->data.train_loader, 0, 0, err));
    TRY(warm_up(b, epoch_is_over, err));
    TRY(take_turns(b, err));
    sum_up_steps(b, true);
    sum_up_bares(b);
    return OK;
}

/* The moments go into the caller's arena, so that nothing of the benchmark itself is left over. */
static void keep_moments(Bencher *b, Err code) {
    Bench *out = b->out;
    if (code == OK) out->moments = arena_copy(b->arena, b->rows, sizeof *b->rows * (size_t)(b->row * out->n_timed));
    block_free(b->rows);
}

Err bench_training(Bench *out, const BenchSpec *spec, const Experiment *experiment, Arena *arena, Error *err) {
    const TrainSpec train = {.experiment = experiment, .threads = spec->threads, .events = {.stop = spec->stop}};
    Run run = {
        .spec = &train, .experiment = experiment, .train = &experiment->train, .arena = arena, .dir = {.lock = -1}};
    Bencher b = {.spec = spec, .out = out, .arena = arena, .lap = training_lap, .context = &run};
    Err code = bench_run(&b, err);
    keep_moments(&b, code);
    run_close(&run);
    return code;
}

/* ---- inference ---- */

static Err inference_lap(Bencher *b, double *row, bool *timed, Error *err) {
    program_watch(b->program, row + BENCH_PROGRAM);
    row[BENCH_BEGIN] = row[BENCH_BATCH] = clock_seconds();
    TRY(program_run(b->program, NULL, err));
    row[b->row - 1] = clock_seconds();
    *timed = true;
    return OK;
}

static bool at_once(const Bencher *b) {
    return true;
}

static Err bench_net(Bencher *b, Net *net, const NetParts *parts, Shape input, float *data, Error *err) {
    TRY(net_program(net, input, false, &b->program, err));
    bench_describe(b->out, parts->engine, parts->weights, b->program, b->arena);
    rng_fill_normal(1, RNG_TEST, 0, 0, (size_t)shape_size(input), data);
    program_bind(b->program, "input", data);
    TRY(warm_up(b, at_once, err));
    TRY(take_turns(b, err));
    sum_up_steps(b, false);
    sum_up_bares(b);
    return OK;
}

Err bench_inference(Bench *out, const BenchSpec *spec, const NetParts *parts, Shape input, Arena *arena, Error *err) {
    Bencher b = {.spec = spec, .out = out, .arena = arena, .lap = inference_lap};
    Net *net = NULL;
    TRY(net_wrap(&net, parts, err));
    float *data = block_alloc(sizeof *data * (size_t)shape_size(input));
    Err code = data ? bench_net(&b, net, parts, input, data, err)
                    : err_set(err, ERR_MEMORY, "no memory for an input of %lld numbers", (long long)shape_size(input));
    keep_moments(&b, code);
    net_close(net);
    block_free(data);
    return code;
}
