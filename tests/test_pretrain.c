/* test_pretrain.c - layer-wise pre-training in a run (train/pretrain.h): a run stopped after every batch, stopped by a
 * signal or killed at random moments gives the bits of one that never stopped; what the unrolled network computes is
 * the stack's mean-field reconstruction; what history.jsonl says; what is refused. */
#include "runs.h"
#include "seed.h"
#include "train/run.h"

#include "base/rng.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

/* Odd numbers of samples and units, a short last batch, momentum that changes, a linear code. */
#define NETWORK                                                                                                        \
    "model:\n"                                                                                                         \
    "  layers:\n"                                                                                                      \
    "    - flatten\n"                                                                                                  \
    "    - {dense: {units: 21, activation: sigmoid}, name: enc1}\n"                                                    \
    "    - dropout: 0.1\n"                                                                                             \
    "    - {dense: {units: 13, activation: sigmoid}, name: enc2}\n"                                                    \
    "    - {dense: 5, name: code}\n"                                                                                   \
    "    - {dense: {units: 13, activation: sigmoid}, name: dec2}\n"                                                    \
    "    - {dense: {units: 21, activation: sigmoid}, name: dec1}\n"                                                    \
    "    - {dense: 192, name: pixels}\n"                                                                               \
    "    - reshape: [3, 8, 8]\n"                                                                                       \
    "    - {activation: sigmoid, name: picture}\n"
#define DATA  "data: {kind: shapes, height: 8, width: 8, train: {n: 22}, val: {n: 6}}\n"
#define TRAIN "train: {epochs: 2, batch_size: 8, loss: bce, sample_every: 0}\n"

static const char stack[] = "task: reconstruction\n"
                            "name: small\n" DATA NETWORK
                            "pretrain: {kind: rbm, layers: [enc1, enc2, code], decoder: [dec2, dec1, pixels], epochs: "
                            "[2, 1, 1], batch_size: 8, momentum_epochs: 1}\n" TRAIN;
enum { STACK_BATCHES = (2 + 1 + 1) * 3, DENOISE_BATCHES = (2 + 1) * 3, TRAIN_BATCHES = 2 * 3 };

static const char denoise[] =
    "task: reconstruction\n"
    "name: small\n" DATA NETWORK
    "pretrain: {kind: denoise, layers: [enc1, enc2], decoder: [dec1, pixels], epochs: [2, 1], "
    "batch_size: 8, rate: [0.25, 0.1], optimizer: adam, lr: 0.01}\n" TRAIN;

/* ---- resume ---- */

static void test_rbm_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = stack, .run = "whole"}, &result));
    assert_true(result.finished);
    assert_int_equal(result.epochs, 2);
    assert_int_equal(result.steps, TRAIN_BATCHES);
    train_in_pieces(s, stack, "pieces", STACK_BATCHES + TRAIN_BATCHES);
    assert_runs_equal(s, "whole", "pieces");
}

static void test_denoise_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = denoise, .run = "whole"}, &result));
    train_in_pieces(s, denoise, "pieces", DENOISE_BATCHES + TRAIN_BATCHES);
    assert_runs_equal(s, "whole", "pieces");
    CHECK(train(s, &(Call){denoise, "other", SETS("train.seed=2"), .resume = false}, &result));
    assert_string_not_equal(run_timeless_history(s, "whole"), run_timeless_history(s, "other"));
}

/* Ends after so many epochs of any kind, as a signal would. */
typedef struct StopAfter {
    int epochs;
    volatile sig_atomic_t stop;
} StopAfter;

static void count_epoch(void *context, const Progress *progress, const Evaluation *val, const char *json) {
    StopAfter *after = context;
    if (--after->epochs == 0) after->stop = 1;
}

static void test_stop(void **state) {
    Scratch *s = *state;
    TrainResult result;
    StopAfter in_first = {.stop = 1}, between = {.epochs = 2};
    Call call = {.config = stack, .run = "run", .stop = &in_first.stop};
    assert_int_equal(train(s, &call, &result), ERR_STOPPED);
    assert_false(result.finished);
    assert_int_equal(result.steps, 0);
    const char *words = scratch_words(s);
    if (!strstr(words, "error: stopped in the pre-training of 'enc1', epoch 1, after batch ")) fail_msg("%s", words);
    assert_true(scratch_exists(s, "run/last.h5"));
    assert_false(scratch_exists(s, "run/best.h5"));

    call.resume = true;
    call.epoch = count_epoch;
    call.context = &between;
    call.stop = &between.stop;
    assert_int_equal(train(s, &call, &result), ERR_STOPPED);
    assert_string_equal(scratch_words(s), "error: stopped in the pre-training of 'enc2', epoch 1, after batch 0; "
                                          "--resume goes on from there\n");
    assert_false(scratch_exists(s, "run/best.h5"));
    call.stop = NULL;
    CHECK(train(s, &call, &result));
    assert_true(result.finished);
    CHECK(train(s, &(Call){.config = stack, .run = "whole"}, &result));
    assert_runs_equal(s, "whole", "run");
}

static pid_t start(Scratch *s, const char *run) {
    const char *config = scratch_path(s, "small.yaml"), *path = scratch_path(s, run), *log = scratch_path(s, "log");
    pid_t child = fork();
    if (child != 0) return child;
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    dup2(out, 1);
    dup2(out, 2);
    execl(SANDGLASS_PROGRAM, "sandglass", "train", config, "--run", path, "--resume", "--threads", "1", (char *)NULL);
    _exit(127);
}

static void finish(Scratch *s, const char *run) {
    int status;
    waitpid(start(s, run), &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    size_t bytes;
    char *log = scratch_read(scratch_path(s, "log"), &bytes);
    fail_msg("the run ended with status %d:\n%.*s", status, (int)bytes, log);
}

static void test_kill(void **state) {
    Scratch *s = *state;
    Rng rng = rng_stream(test_seed(), RNG_TEST, 1, 1);
    const char *config = arena_printf(s->arena, "%s", stack);
    char *at = strstr(config, "sample_every: 0");
    memcpy(at, "  save_steps: 2", strlen("  save_steps: 2"));
    scratch_write(scratch_path(s, "small.yaml"), config, strlen(config));
    finish(s, "whole");
    for (int i = 0; i < 8; i++) {
        pid_t child = start(s, "run");
        usleep((useconds_t)(20000 + rng_below(&rng, 120000)));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    finish(s, "run");
    assert_runs_equal(s, "whole", "run");
}

/* ---- results ---- */

typedef struct Opened {
    Net *net;
    const float *weights[3], *bias[3], *decoder[3], *visible[3]; /* of enc1, enc2, code and their mirror images */
} Opened;

static const int sizes[4] = {192, 21, 13, 5};

static const float *entry(const Opened *o, const char *layer, const char *what) {
    char name[64];
    snprintf(name, sizeof name, "%s/%s", layer, what);
    const WeightEntry *e = weights_find(net_weights(o->net), name);
    assert_non_null(e);
    return net_weights(o->net)->value + e->offset;
}

static Opened open_run(Scratch *s, const char *run) {
    static const char *const up[] = {"enc1", "enc2", "code"}, *const down[] = {"pixels", "dec1", "dec2"};
    Opened o = {0};
    Checkpoint *c;
    CHECK(checkpoint_open(&c, scratch_path(s, run), true, NULL, s->arena, &s->err));
    CHECK(net_open(&o.net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    for (int i = 0; i < 3; i++) {
        o.weights[i] = entry(&o, up[i], "weights");
        o.bias[i] = entry(&o, up[i], "bias");
        o.decoder[i] = entry(&o, down[i], "weights");
        o.visible[i] = entry(&o, down[i], "bias");
    }
    return o;
}

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

/* Up through the three machines and down again, each unit at its mean. */
static void mean_field(const Opened *o, const float *picture, double *out) {
    double units[4][192];
    for (int i = 0; i < sizes[0]; i++) units[0][i] = (double)picture[i];
    for (int k = 0; k < 3; k++) {
        for (int h = 0; h < sizes[k + 1]; h++) {
            double sum = (double)o->bias[k][h];
            for (int i = 0; i < sizes[k]; i++) sum += (double)o->weights[k][h * sizes[k] + i] * units[k][i];
            units[k + 1][h] = k == 2 ? sum : logistic(sum);
        }
    }
    for (int k = 2; k >= 0; k--) {
        for (int i = 0; i < sizes[k]; i++) {
            double sum = (double)o->visible[k][i];
            for (int h = 0; h < sizes[k + 1]; h++) sum += (double)o->weights[k][h * sizes[k] + i] * units[k + 1][h];
            units[k][i] = logistic(sum);
        }
    }
    memcpy(out, units[0], sizeof units[0]);
}

static void test_unrolled(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){stack, "run", SETS("train.epochs=0"), .resume = false}, &result));
    assert_true(result.finished);
    assert_int_equal(result.steps, 0);
    assert_false(scratch_exists(s, "run/best.h5"));
    Opened o = open_run(s, "run");
    for (int k = 0; k < 3; k++)
        for (int h = 0; h < sizes[k + 1]; h++)
            for (int i = 0; i < sizes[k]; i++)
                assert_true(o.decoder[k][i * sizes[k + 1] + h] == o.weights[k][h * sizes[k] + i]);
    bool moved = false;
    for (int i = 0; i < sizes[0]; i++) moved |= o.visible[0][i] != 0;
    assert_true(moved);
    float pictures[4 * 192];
    rng_fill_uniform(1, RNG_TEST, 0, 0, 4 * 192, pictures);
    const float *got;
    Shape shape;
    CHECK(net_run(o.net, 4, 3, 8, 8, pictures, &got, &shape, &s->err));
    for (int n = 0; n < 4; n++) {
        double wanted[192];
        mean_field(&o, pictures + 192 * n, wanted);
        for (int i = 0; i < 192; i++)
            if (!(fabs((double)got[192 * n + i] - wanted[i]) < 1e-5))
                fail_msg("picture %d, value %d: %g, should be %g", n, i, (double)got[192 * n + i], wanted[i]);
    }
    net_close(o.net);
}

/* The number behind `"key":` in line n (from 0) of a history. */
static double number_in(const char *history, int n, const char *key) {
    for (; n > 0; n--) history = strchr(history, '\n') + 1;
    const char *at = strstr(history, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static void test_history(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){stack, "run", SETS("pretrain.epochs=5", "pretrain.lr=0.05"), .resume = false}, &result));
    const char *history = run_timeless_history(s, "run");
    static const char first[] = "{\"pretrain\":\"enc1\",\"epoch\":1,\"reconstruction_error\":";
    assert_memory_equal(history, first, strlen(first));
    int lines = 0;
    for (const char *c = history; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 15 + 2);
    static const char error[] = "\"reconstruction_error\":";
    assert_true(number_in(history, 4, error) < 0.95 * number_in(history, 0, error));
    assert_non_null(strstr(history, "{\"pretrain\":\"code\",\"epoch\":5,"));
    assert_true(number_in(history, 14, "\"lr\":") == 0.001); /* lr_linear */
    assert_non_null(strstr(history, "{\"epoch\":1,\"step\":3,\"train\":"));

    CHECK(train(s, &(Call){denoise, "other", SETS("pretrain.epochs=5"), .resume = false}, &result));
    history = run_timeless_history(s, "other");
    assert_true(number_in(history, 4, "\"loss\":") < number_in(history, 0, "\"loss\":"));
    assert_true(number_in(history, 9, "\"loss\":") < number_in(history, 5, "\"loss\":"));
}

/* ---- what is refused ---- */

static void expect_words(Scratch *s, const Call *call, Err wanted, const char *words) {
    TrainResult result;
    assert_int_equal(train(s, call, &result), wanted);
    const char *got = scratch_words(s);
    if (!strstr(got, words)) fail_msg("wanted '%s', got '%s'", words, got);
}

static void test_changed_settings(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){stack, "run", SETS("train.epochs=1"), .resume = false}, &result));
    expect_words(s, &(Call){stack, "run", SETS("pretrain.lr=0.2"), .resume = true}, ERR_CONFIG,
                 "pretrain.lr: is 0.2, but the run in 'run/last.h5' was begun without it; a run goes on only with the "
                 "settings it began with");
    expect_words(s, &(Call){stack, "run", SETS("pretrain=~"), .resume = true}, ERR_CONFIG,
                 "pretrain.kind: is not set, but the run in 'run/last.h5' was begun with rbm");
    CHECK(train(s, &(Call){stack, "run", SETS("about=other words"), .resume = true}, &result)); /* and train.epochs */
    assert_int_equal(result.epochs, 2);
}

static void test_values_out_of_range(void **state) {
    Scratch *s = *state;
    expect_words(s, &(Call){stack, "run", SETS("data.mean=[100, 100, 100]", "data.std=[50, 50, 50]"), .resume = false},
                 ERR_CONFIG,
                 "error: pre-training of 'enc1': the values it learns from, those of 'flatten1', must be between 0 and "
                 "1, and run from ");
}

static void test_not_finite(void **state) {
    Scratch *s = *state;
    TrainResult result;
    Call call = {stack, "run", SETS("pretrain.lr_linear=1e6", "pretrain.epochs=9", "train.save_steps=1"),
                 .resume = false};
    assert_int_equal(train(s, &call, &result), ERR_NUMERIC);
    const char *words = scratch_words(s);
    if (!strstr(words, "pre-train") || !strstr(words, "the last good checkpoint stays; a lower pretrain.lr may help\n"))
        fail_msg("%s", words);
    Opened o = open_run(s, "run");
    assert_null(weights_first_nonfinite(net_weights(o.net)));
    net_close(o.net);
}

/* Leaves a run whose last.h5 says that pre-training is at `at`. */
static void write_state(Scratch *s, const char *name, const PretrainState *at) {
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    CHECK(config_load_text(experiment, "small.yaml", stack, 0, NULL, s->arena, &s->err));
    TrainSpec spec = {.experiment = experiment, .run_dir = scratch_path(s, name), .threads = 1};
    Run run = {
        .spec = &spec, .experiment = experiment, .train = &experiment->train, .arena = s->arena, .dir = {.lock = -1}};
    CHECK(run_setup(&run, &s->err));
    CHECK(run_begin(&run, &s->err));
    run.state.pretrain = *at;
    run.changes = 1;
    CHECK(run_save_last(&run, &s->err));
    run_close(&run);
}

static void test_impossible_states(void **state) {
    Scratch *s = *state;
    const struct {
        PretrainState at;
        const char *words;
    } cases[] = {
        {{.layer = 4}, "layer 4 of 3, epoch 0 of 0, 0 batches with 0 of 22 samples"},
        {{.layer = 3, .batch = 1, .samples = 8}, "layer 3 of 3, epoch 0 of 0, 1 batches with 8 of 22 samples"},
        {{.epoch = 2}, "layer 0 of 3, epoch 2 of 2, 0 batches with 0 of 22 samples"},
        {{.samples = 8}, "layer 0 of 3, epoch 0 of 2, 0 batches with 8 of 22 samples"},
        {{.error = 1}, "layer 0 of 3, epoch 0 of 2, 0 batches with 0 of 22 samples"},
        {{.batch = 2, .samples = 17}, "layer 0 of 3, epoch 0 of 2, 2 batches with 17 of 22 samples"},
        {{.batch = INT64_MAX, .samples = 22},
         "layer 0 of 3, epoch 0 of 2, 9223372036854775807 batches with 22 of 22 samples"},
    };
    for (int i = 0; i < (int)(sizeof cases / sizeof *cases); i++) {
        const char *name = arena_printf(s->arena, "run%d", i);
        TrainResult result;
        write_state(s, name, &cases[i].at);
        assert_int_equal(train(s, &(Call){.config = stack, .run = name, .resume = true}, &result), ERR_FORMAT);
        assert_string_equal(
            scratch_words(s),
            arena_printf(s->arena, "error: %s/last.h5: pre-training cannot be at %s\n", name, cases[i].words));
    }
}

/* Weights that decay the wrong way: after four steps they are finite and their loss is not, so the last.h5 that holds
 * them makes way for the one before. */
static void test_checkpoint_withdrawn(void **state) {
    Scratch *s = *state;
    TrainResult result;
    Call call = {denoise, "run",
                 SETS("pretrain.optimizer=sgd", "pretrain.lr=1e6", "pretrain.weight_decay=4700", "train.save_steps=1"),
                 .resume = false};
    assert_int_equal(train(s, &call, &result), ERR_NUMERIC);
    assert_string_equal(scratch_words(s), "error: pre-training of 'enc1', epoch 2, batch 2: the loss is nan; the last "
                                          "good checkpoint stays; a lower pretrain.lr may help\n");
    assert_true(scratch_exists(s, "run/last.damaged.h5"));
    assert_false(scratch_exists(s, "run/last.prev.h5"));
    Checkpoint *c;
    TrainState at;
    CHECK(checkpoint_open(&c, scratch_path(s, "run"), true, NULL, s->arena, &s->err));
    CHECK(checkpoint_read_state(c, &at, NULL, NULL, s->arena, &s->err));
    checkpoint_close(c);
    assert_int_equal(at.pretrain.epoch, 1);
    assert_int_equal(at.pretrain.batch, 0);
}

/* What last.h5 holds after the first batch. */
static void test_checkpoint_under_way(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){stack, "run", SETS("train.max_seconds=1e-9"), .resume = false}, &result));
    assert_false(result.finished);
    Checkpoint *c;
    TrainState at;
    CHECK(checkpoint_open(&c, scratch_path(s, "run"), true, NULL, s->arena, &s->err));
    CHECK(checkpoint_read_state(c, &at, NULL, NULL, s->arena, &s->err));
    checkpoint_close(c);
    assert_int_equal(at.pretrain.layer, 0);
    assert_int_equal(at.pretrain.batch, 1);
    assert_int_equal(at.pretrain.samples, 8);
    assert_true(at.pretrain.error > 0);
    H5 *file;
    int n;
    const char *const *names;
    CHECK(h5_open(&file, scratch_path(s, "run/last.h5"), &s->err));
    CHECK(h5_walk(file, "/pretrain", &n, &names, s->arena, &s->err));
    assert_int_equal(n, 6);
    assert_true(h5_exists(file, "/pretrain/value/enc1/visible_bias"));
    assert_true(h5_exists(file, "/pretrain/momentum/enc1/weights"));
    h5_close(file);
}

int main(void) {
    setenv("GOMP_SPINCOUNT", "2000", 0);
#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_rbm_in_pieces),
        TEST(test_denoise_in_pieces),
        TEST(test_stop),
        TEST(test_kill),
        TEST(test_unrolled),
        TEST(test_history),
        TEST(test_changed_settings),
        TEST(test_values_out_of_range),
        TEST(test_not_finite),
        TEST(test_impossible_states),
        TEST(test_checkpoint_withdrawn),
        TEST(test_checkpoint_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
