/* test_trainer.c - train/trainer.h: a run that is stopped after every single batch gives the bits of one that never
 * stopped; NaN guard, run directories, changed settings, pictures; net_run on any size.
 */
#include "runs.h"
#include "train/trainer.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

/* Everything that has a state: batch norm, dropout, accumulation over an odd number of batches with a short last one,
 * augmentation, momentum, a schedule that looks at scores, class weights, activity penalties. */
static const char segmentation[] = "task: segmentation\n"
                                   "name: small\n"
                                   "data: {kind: shapes, height: 24, width: 20, train: {n: 19}, val: {n: 7}}\n"
                                   "model:\n"
                                   "  layers:\n"
                                   "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"
                                   "    - batchnorm\n"
                                   "    - {activation: relu, name: a, activity_l1: 0.00001}\n"
                                   "    - maxpool2d: 2\n"
                                   "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"
                                   "    - batchnorm\n"
                                   "    - activation: relu\n"
                                   "    - dropout: 0.2\n"
                                   "    - {upsample2d: 2, name: up}\n"
                                   "    - {concat: {}, from: [up, a]}\n"
                                   "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                                   "    - activation: softmax\n"
                                   "train:\n"
                                   "  epochs: 3\n"
                                   "  batch_size: 4\n"
                                   "  lr: 0.01\n"
                                   "  accumulate: 2\n"
                                   "  sample_every: 0\n"
                                   "  loss: {cross_entropy: {class_weights: median_frequency}}\n"
                                   "  optimizer: {sgd: {momentum: 0.9}}\n"
                                   "  schedule: {reduce_on_plateau: {patience: 0}}\n"
                                   "  warmup: {steps: 3}\n"
                                   "  clip_norm: 1\n"
                                   "  augment: [flip, noise]\n";

static const char reconstruction[] = "task: reconstruction\n"
                                     "name: small\n"
                                     "data: {kind: shapes, height: 16, width: 16, train: {n: 10}, val: {n: 5}}\n"
                                     "model:\n"
                                     "  layers:\n"
                                     "    - gaussian_noise: 0.1\n"
                                     "    - dense: 24\n"
                                     "    - activation: relu\n"
                                     "    - dense: 768\n"
                                     "    - activation: sigmoid\n"
                                     "train: {epochs: 2, batch_size: 4, loss: bce, sample_every: 2, samples: 3}\n";

typedef struct Call {
    const char *config, *run;
    int n_sets;
    const char *const *sets;
    bool resume;
    const volatile sig_atomic_t *stop;
} Call;
#define SETS(...)                                                                                                      \
    .n_sets = sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), .sets = (const char *const[]) {                  \
        __VA_ARGS__                                                                                                    \
    }

static Err train(Scratch *s, const Call *call, TrainResult *out) {
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    CHECK(config_load_text(experiment, "small.yaml", call->config, call->n_sets, call->sets, s->arena, &s->err));
    TrainSpec spec = {.experiment = experiment,
                      .run_dir = scratch_path(s, call->run),
                      .resume = call->resume,
                      .threads = 1,
                      .events = {.stop = call->stop}};
    return train_run(out, &spec, s->arena, &s->err);
}

/* ---- resume ---- */

/* max_seconds so short that each call trains one batch. Settings that must not matter differ too. */
static void train_in_pieces(Scratch *s, const char *config, const char *run, int expected_pieces) {
    TrainResult result;
    Call call = {config, run, SETS("train.max_seconds=1e-9", "train.save_steps=1", "train.sample_every=1"), true, NULL};
    int pieces = 0;
    do {
        CHECK(train(s, &call, &result));
        pieces++;
        assert_true(pieces <= expected_pieces);
    } while (!result.finished);
    assert_int_equal(pieces, expected_pieces);
}

static void test_resume_after_every_batch(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = segmentation, .run = "whole"}, &result));
    assert_true(result.finished);
    assert_int_equal(result.epochs, 3);
    assert_int_equal(result.steps, 3 * 3); /* 5 batches an epoch, 2 a step, the last alone */
    assert_true(result.has_val);
    assert_int_equal(result.val.images, 7);
    assert_string_equal(result.best_metric, "miou");
    assert_string_equal(result.data->class_names[1], "circle");
    train_in_pieces(s, segmentation, "pieces", 3 * 5);
    assert_runs_equal(s, "whole", "pieces");
}

static void test_reconstruction_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = reconstruction, .run = "whole"}, &result));
    assert_true(result.val.mse > 0 && result.val.mse < 1);
    assert_true(fabs(result.val.squared_error_per_image / result.val.mse - 768) < 1e-6);
    train_in_pieces(s, reconstruction, "pieces", 2 * 3);
    assert_runs_equal(s, "whole", "pieces");
    assert_true(scratch_exists(s, "whole/samples/epoch_0002.png"));
    assert_false(scratch_exists(s, "whole/samples/epoch_0001.png"));
    Image picture = {0};
    CHECK(image_load(scratch_path(s, "whole/samples/epoch_0002.png"), 0, &picture, &s->err));
    assert_int_equal(picture.width, 2 * 96 + 2);
    assert_int_equal(picture.height, 3 * 96 + 2 * 2);
    image_free(&picture);
}

static void test_same_seed_same_bits(void **state) {
    Scratch *s = *state;
    TrainResult a, b, c;
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.save_steps=1"), false, NULL}, &a));
    CHECK(train(s, &(Call){reconstruction, "b", SETS("train.save_seconds=0.001"), false, NULL}, &b));
    CHECK(train(s, &(Call){reconstruction, "c", SETS("train.seed=2"), false, NULL}, &c));
    assert_runs_equal(s, "a", "b");
    assert_true(a.train_loss == b.train_loss);
    assert_true(a.train_loss != c.train_loss);
}

static void test_stop(void **state) {
    Scratch *s = *state;
    TrainResult result;
    volatile sig_atomic_t stop = 1;
    Call call = {.config = reconstruction, .run = "run", .stop = &stop};
    assert_int_equal(train(s, &call, &result), ERR_STOPPED);
    assert_string_equal(scratch_words(s), "error: stopped at step 1; --resume goes on from there\n");
    assert_false(result.finished);
    assert_int_equal(result.steps, 1);
    stop = 0;
    call.resume = true;
    CHECK(train(s, &call, &result));
    assert_true(result.finished);
    CHECK(train(s, &(Call){.config = reconstruction, .run = "whole"}, &result));
    assert_runs_equal(s, "whole", "run");
}

static void test_more_epochs(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=0"), false, NULL}, &result));
    assert_true(result.finished);
    assert_int_equal(result.steps, 0);
    assert_true(isnan(result.train_loss));
    assert_true(result.has_val);
    assert_true(scratch_exists(s, "a/last.h5"));
    assert_false(scratch_exists(s, "a/best.h5"));
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=1"), true, NULL}, &result));
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=2"), true, NULL}, &result));
    double loss = result.train_loss;
    CHECK(train(s, &(Call){.config = reconstruction, .run = "b"}, &result));
    assert_runs_equal(s, "a", "b");
    CHECK(train(s, &(Call){.config = reconstruction, .run = "a", .resume = true}, &result)); /* nothing left to do */
    assert_true(result.train_loss == loss);
    assert_true(result.has_val);
}

/* A last.h5 that went bad: the one before it serves, and is not overwritten by the bad one. */
static void test_damaged_last(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=1"), false, NULL}, &result));
    scratch_write(scratch_path(s, "a/last.h5"), "bad", 3);
    CHECK(train(s, &(Call){.config = reconstruction, .run = "a", .resume = true}, &result));
    assert_true(scratch_exists(s, "a/last.damaged.h5"));
    CHECK(train(s, &(Call){.config = reconstruction, .run = "b"}, &result));
    assert_runs_equal(s, "a", "b");
}

/* ---- what is refused ---- */

static void expect_failure(Scratch *s, const Call *call, Err code, const char *expected) {
    TrainResult result;
    assert_int_equal(train(s, call, &result), code);
    assert_string_equal(scratch_words(s), expected);
}

static void test_changed_settings(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){reconstruction, "run", SETS("train.epochs=0"), false, NULL}, &result));
    expect_failure(s, &(Call){reconstruction, "run", SETS("train.batch_size=5", "train.loss=mse"), true, NULL},
                   ERR_CONFIG,
                   "--set train.batch_size=5: error: train.batch_size: is 5, but the run in 'run/last.h5' was begun "
                   "with 4; a run goes on only with the settings it began with\n"
                   "--set train.loss=mse: error: train.loss: is mse, but the run in 'run/last.h5' was begun with bce; "
                   "a run goes on only with the settings it began with\n");
    expect_failure(s, &(Call){reconstruction, "run", SETS("train.clip_norm=5"), true, NULL}, ERR_CONFIG,
                   "--set train.clip_norm=5: error: train.clip_norm: is 5, but the run in 'run/last.h5' was begun "
                   "without it; a run goes on only with the settings it began with\n");
    CHECK(
        train(s,
              &(Call){reconstruction, "run",
                      SETS("train.epochs=1", "data.root=elsewhere", "train.samples=1", "data.cache_mb=1"), true, NULL},
              &result));
}

static void test_run_directories(void **state) {
    Scratch *s = *state;
    TrainResult result;
    Call call = {reconstruction, "deep/er/run", SETS("train.epochs=0"), false, NULL};
    CHECK(train(s, &call, &result));
    assert_false(scratch_exists(s, "deep/er/run.tmp"));
    expect_failure(
        s, &call, ERR_IO,
        "error: run directory 'deep/er/run' already holds a run; go on with it (--resume), or choose another "
        "(--run DIR)\n");
    call.run = "deep";
    expect_failure(s, &call, ERR_IO,
                   "error: run directory 'deep' exists and is not empty; choose another (--run DIR)\n");
    scratch_write(scratch_path(s, "file"), "", 0);
    call.run = "file/run";
    expect_failure(s, &call, ERR_IO, "error: cannot make run directory 'file/run': Not a directory\n");
    call.run = "deep/er/run";
    call.resume = true;
    int held = open(scratch_path(s, "deep/er/run"), O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    expect_failure(s, &call, ERR_IO, "error: run directory 'deep/er/run' is in use by another process\n");
    close(held);
    CHECK(train(s, &call, &result));
}

static void test_disk_full(void **state) {
    Scratch *s = *state;
    signal(SIGXFSZ, SIG_IGN);
    TrainResult result;
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 50000;
    setrlimit(RLIMIT_FSIZE, &limit);
    TrainResult none;
    Err code = train(s, &(Call){.config = reconstruction, .run = "run"}, &none);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(code, ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot write 'run.tmp/last.h5': File too large\n");
    assert_false(scratch_exists(s, "run"));
    assert_false(scratch_exists(s, "run.tmp"));

    CHECK(train(s, &(Call){reconstruction, "run", SETS("train.epochs=1"), false, NULL}, &result));
    setrlimit(RLIMIT_FSIZE, &limit);
    code = train(s, &(Call){.config = reconstruction, .run = "run", .resume = true}, &none);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(code, ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot write 'run/best.h5': File too large\n");
    CHECK(train(s, &(Call){.config = reconstruction, .run = "run", .resume = true}, &result));
    CHECK(train(s, &(Call){.config = reconstruction, .run = "whole"}, &result));
    assert_runs_equal(s, "run", "whole");
}

static void test_not_a_number(void **state) {
    Scratch *s = *state;
    TrainResult result;
    /* all linear, so that steps far too long grow without bounds */
    Call call = {reconstruction, "run",
                 SETS("train.lr=1e6", "train.loss=mse", "train.optimizer=sgd", "train.epochs=9",
                      "model.layers.2={gaussian_noise: 0.1}", "model.layers.4={gaussian_noise: 0.1}"),
                 false, NULL};
    assert_int_equal(train(s, &call, &result), ERR_NUMERIC);
    const char *words = scratch_words(s);
    long long step, epoch, batch;
    assert_int_equal(sscanf(words, "error: step %lld (epoch %lld, batch %lld): the ", &step, &epoch, &batch), 3);
    assert_true(step >= 2 && step <= 27);
    assert_non_null(strstr(words, "; first bad tensor: "));
    assert_non_null(
        strstr(words, "; the last good checkpoint stays; a lower train.lr or a train.clip_norm may help\n"));
    Checkpoint *c;
    CHECK(checkpoint_open(&c, scratch_path(s, "run"), true, NULL, s->arena, &s->err));
    checkpoint_close(c);
}

static void test_bad_configs(void **state) {
    Scratch *s = *state;
    expect_failure(s, &(Call){segmentation, "run", SETS("train.best=mioo"), false, NULL}, ERR_CONFIG,
                   "--set train.best=mioo: error: unknown metric 'mioo', did you mean 'miou'?\n");
    expect_failure(s, &(Call){segmentation, "run", SETS("train.best=miou", "data.val=~"), false, NULL}, ERR_CONFIG,
                   "--set train.best=miou: error: train.best: 'miou' is scored on the split 'val', which this config "
                   "lacks or never evaluates; give data.val and train.eval_every, or use loss\n");
    expect_failure(s, &(Call){segmentation, "run", SETS("data.train=~"), false, NULL}, ERR_CONFIG,
                   "error: data.train: missing; it says what to train on\n");
    assert_false(scratch_exists(s, "run"));
    assert_false(scratch_exists(s, "run.tmp"));
}

static void test_without_val(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){segmentation, "run", SETS("data.val=~"), false, NULL}, &result));
    assert_false(result.has_val);
    assert_string_equal(result.best_metric, "loss");
    assert_true(result.best_epoch >= 1);
    assert_true(scratch_exists(s, "run/best.h5"));
    assert_null(strstr(run_timeless_history(s, "run"), "\"val\""));
}

/* ---- the network afterwards ---- */

static void test_net(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = segmentation, .run = "run"}, &result));
    Checkpoint *c;
    Net *net;
    CHECK(checkpoint_open(&c, scratch_path(s, "run/last.h5"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    Evaluation e;
    CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
    assert_true(e.loss == result.val.loss); /* class weights came with the checkpoint */
    assert_true(e.segmentation.miou == result.val.segmentation.miou);
    assert_int_equal(net_stride(net), 2);
    assert_int_equal(net_evaluate(net, "test", NULL, &e, s->arena, &s->err), ERR_CONFIG);
    assert_string_equal(scratch_words(s), "error: the data has no split 'test'\n");

    enum { H = 13, W = 9 }; /* padded to 14 x 10 and back */
    float input[2 * 3 * H * W], twice[3 * H * W];
    for (int i = 0; i < 2 * 3 * H * W; i++) input[i] = (float)(i % 17) / 17;
    const float *output;
    Shape shape;
    CHECK(net_run(net, 2, 3, H, W, input, &output, &shape, &s->err));
    assert_true(shape_equal(shape, SHAPE(2, 6, H, W)));
    for (int i = 0; i < H * W; i++) {
        float sum = 0;
        for (int k = 0; k < 6; k++) sum += output[k * H * W + i];
        assert_true(fabsf(sum - 1) < 1e-5f); /* softmax over the classes at each pixel */
    }
    float first = output[6 * H * W + 5];
    memcpy(twice, input + 3 * H * W, sizeof twice);
    CHECK(net_run(net, 1, 3, H, W, twice, &output, &shape, &s->err));
    assert_true(fabsf(output[5] - first) < 1e-5f); /* a sample alone gives what it gave beside another */
    assert_int_equal(net_run(net, 1, 4, H, W, input, &output, &shape, &s->err), ERR_DATA);
    assert_string_equal(scratch_words(s),
                        "error: the network takes 1x3x24x20, but a picture is 4x13x9 (channels, height, width)\n");
    net_close(net);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_resume_after_every_batch),
        TEST(test_reconstruction_in_pieces),
        TEST(test_same_seed_same_bits),
        TEST(test_stop),
        TEST(test_more_epochs),
        TEST(test_damaged_last),
        TEST(test_changed_settings),
        TEST(test_run_directories),
        TEST(test_disk_full),
        TEST(test_not_a_number),
        TEST(test_bad_configs),
        TEST(test_without_val),
        TEST(test_net),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
