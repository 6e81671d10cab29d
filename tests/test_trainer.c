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
                                   "  augment:\n"
                                   "    - flip\n"
                                   "    - scale\n"
                                   "    - crop: {size: [24, 20], max_share: 0.9, classes: [star, 2]}\n"
                                   "    - elastic\n"
                                   "    - color\n"
                                   "    - noise\n";

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

/* ---- resume ---- */

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

/* A factor that falls after every epoch but the first: its memory has to survive each stop. */
static void test_plateau_in_pieces(void **state) {
    Scratch *s = *state;
    static const char *const knobs = "{patience: 0}";
    const char *at = strstr(segmentation, knobs);
    const char *config = arena_printf(s->arena, "%.*s{threshold: 1, patience: 0, factor: 0.5}%s",
                                      (int)(at - segmentation), segmentation, at + strlen(knobs));
    TrainResult result;
    CHECK(train(s, &(Call){.config = config, .run = "whole"}, &result));
    train_in_pieces(s, config, "pieces", 3 * 5);
    assert_runs_equal(s, "whole", "pieces");
    Checkpoint *c;
    TrainState end;
    CHECK(checkpoint_open(&c, scratch_path(s, "pieces"), true, NULL, s->arena, &s->err));
    CHECK(checkpoint_read_state(c, &end, NULL, NULL, s->arena, &s->err));
    checkpoint_close(c);
    assert_true(end.plateau.factor < 0.5);
}

/* Four samples and two, accumulated, make the step of a batch of six. */
static void test_accumulation_counts_samples(void **state) {
    Scratch *s = *state;
    TrainResult result;
    static const char config[] = "task: reconstruction\n"
                                 "data: {kind: shapes, height: 8, width: 8, train: {n: 6}}\n"
                                 "model: {layers: [{dense: {units: 8, activation: tanh}, activity_l2: 0.01}, "
                                 "dense: 192]}\n"
                                 "train: {epochs: 2, lr: 1, loss: mse, optimizer: sgd, shuffle: false}\n";
    CHECK(train(s, &(Call){config, "six", SETS("train.batch_size=6"), false, NULL, NULL}, &result));
    double loss = result.train_loss;
    assert_int_equal(result.steps, 2);
    CHECK(train(s, &(Call){config, "parts", SETS("train.batch_size=4", "train.accumulate=2"), false, NULL, NULL},
                &result));
    assert_int_equal(result.steps, 2);
    assert_true(fabs(result.train_loss - loss) < 1e-6 * loss);
    assert_weights_near(s, "six/last.h5", "parts/last.h5", 1e-6);
}

static void test_same_seed_same_bits(void **state) {
    Scratch *s = *state;
    TrainResult a, b, c;
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.save_steps=1"), false, NULL, NULL}, &a));
    CHECK(train(s, &(Call){reconstruction, "b", SETS("train.save_seconds=0.001"), false, NULL, NULL}, &b));
    CHECK(train(s, &(Call){reconstruction, "c", SETS("train.seed=2"), false, NULL, NULL}, &c));
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
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=0"), false, NULL, NULL}, &result));
    assert_true(result.finished);
    assert_int_equal(result.steps, 0);
    assert_true(isnan(result.train_loss));
    assert_true(result.has_val);
    assert_true(scratch_exists(s, "a/last.h5"));
    assert_false(scratch_exists(s, "a/best.h5"));
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=1"), true, NULL, NULL}, &result));
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=2"), true, NULL, NULL}, &result));
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
    CHECK(train(s, &(Call){reconstruction, "a", SETS("train.epochs=1"), false, NULL, NULL}, &result));
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
    CHECK(train(s, &(Call){reconstruction, "run", SETS("train.epochs=0"), false, NULL, NULL}, &result));
    expect_failure(s, &(Call){reconstruction, "run", SETS("train.batch_size=5", "train.loss=mse"), true, NULL, NULL},
                   ERR_CONFIG,
                   "--set train.batch_size=5: error: train.batch_size: is 5, but the run in 'run/last.h5' was begun "
                   "with 4; a run goes on only with the settings it began with (train.epochs, max_seconds and patience "
                   "may change)\n"
                   "--set train.loss=mse: error: train.loss: is mse, but the run in 'run/last.h5' was begun with bce; "
                   "a run goes on only with the settings it began with (train.epochs, max_seconds and patience may "
                   "change)\n");
    expect_failure(s, &(Call){reconstruction, "run", SETS("train.clip_norm=5"), true, NULL, NULL}, ERR_CONFIG,
                   "--set train.clip_norm=5: error: train.clip_norm: is 5, but the run in 'run/last.h5' was begun "
                   "without it; a run goes on only with the settings it began with (train.epochs, max_seconds and "
                   "patience may change)\n");
    CHECK(train(s,
                &(Call){reconstruction, "run",
                        SETS("train.epochs=1", "data.root=elsewhere", "train.samples=1", "data.cache_mb=1"), true, NULL,
                        NULL},
                &result));
}

static void test_run_directories(void **state) {
    Scratch *s = *state;
    TrainResult result;
    Call call = {reconstruction, "deep/er/run", SETS("train.epochs=0"), false, NULL, NULL};
    CHECK(train(s, &call, &result));
    assert_false(scratch_exists(s, "deep/er/run.tmp"));
    expect_failure(s, &call, ERR_IO,
                   "error: run directory 'deep/er/run' already holds a run; go on with it (--resume), choose another "
                   "(--run DIR), or remove it\n");
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

    /* without val the training loss decides, which does fall */
    CHECK(train(s, &(Call){reconstruction, "run", SETS("train.epochs=1", "data.val=~"), false, NULL, NULL}, &result));
    setrlimit(RLIMIT_FSIZE, &limit);
    const Call rest = {reconstruction, "run", SETS("data.val=~"), true, NULL, NULL};
    code = train(s, &rest, &none);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(code, ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot write 'run/best.h5': File too large\n");
    CHECK(train(s, &rest, &result));
    CHECK(train(s, &(Call){reconstruction, "whole", SETS("data.val=~"), false, NULL, NULL}, &result));
    assert_runs_equal(s, "run", "whole");
}

/* What a run that ended on a NaN leaves: weights that are finite and give a finite loss. Returns its step. */
static int64_t assert_usable(Scratch *s, const char *model, const char *split) {
    Checkpoint *c;
    Net *net;
    Evaluation e;
    TrainState at;
    CHECK(checkpoint_open(&c, scratch_path(s, model), true, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    CHECK(checkpoint_read_state(c, &at, NULL, NULL, s->arena, &s->err));
    checkpoint_close(c);
    assert_null(weights_first_nonfinite(net_weights(net)));
    CHECK(net_evaluate(net, split, NULL, &e, s->arena, &s->err));
    if (!isfinite(e.loss)) fail_msg("%s: loss %g", model, e.loss);
    net_close(net);
    return at.step;
}

/* Ten linear layers and one enormous step: the loss before it is finite, the weights after it are, but nothing computed
 * with them is. One batch an epoch. */
static const char exploding[] =
    "task: reconstruction\n"
    "data: {kind: shapes, height: 8, width: 8, train: {n: 4}, val: {n: 4}}\n"
    "model: {layers: [dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, "
    "dense: 8, dense: 8, dense: 192]}\n"
    "train: {epochs: 9, batch_size: 4, lr: 0.001, loss: mse, optimizer: sgd, "
    "sample_every: 0, save_steps: 1}\n";

static void test_val_not_a_number(void **state) {
    Scratch *s = *state;
    TrainResult result;
    char notes[NOTES_BYTES] = "";
    Call call = {exploding, "run", SETS("train.lr=1e6"), false, NULL, notes};
    assert_int_equal(train(s, &call, &result), ERR_NUMERIC);
    const char *words = scratch_words(s);
    if (!strstr(words, "error: epoch 1, after step 1: the loss on val is ") ||
        !strstr(words, "; the last good checkpoint stays; a lower train.lr or a train.clip_norm may help\n"))
        fail_msg("%s", words);
    assert_int_equal(assert_usable(s, "run", "val"), 0);
    assert_false(scratch_exists(s, "run/best.h5"));
    assert_true(scratch_exists(s, "run/last.damaged.h5"));
    assert_non_null(strstr(notes, "last.h5 held weights that give no finite loss"));

    /* the same found by the next batch, because nothing is evaluated */
    Call blind = {exploding, "blind", SETS("train.lr=1e6", "data.val=~"), false, NULL, NULL};
    assert_int_equal(train(s, &blind, &result), ERR_NUMERIC);
    words = scratch_words(s);
    if (!strstr(words, "error: step 2 (epoch 2, batch 1): the ")) fail_msg("%s", words);
    assert_int_equal(assert_usable(s, "blind", "train"), 0);
    assert_false(scratch_exists(s, "blind/best.h5")); /* judged by the loss before the step */
    assert_true(scratch_exists(s, "blind/best.damaged.h5"));

    /* a step is saved after its batch and after its epoch: the second time does not push step 1 out */
    CHECK(train(s, &(Call){exploding, "good", SETS("train.epochs=2"), false, NULL, NULL}, &result));
    assert_int_equal(assert_usable(s, "good/last.h5", "val"), 2);
    assert_int_equal(assert_usable(s, "good/last.prev.h5", "val"), 1);
}

/* NaN or Inf in a weight that no loss shows: relu hides it. */
static void test_bad_weights_are_not_saved(void **state) {
    Scratch *s = *state;
    Experiment experiment;
    Graph *graph = NULL;
    Weights *weights = NULL;
    CHECK(config_load_text(&experiment, "small.yaml", reconstruction, 0, NULL, s->arena, &s->err));
    CHECK(graph_build(&graph, &experiment, SHAPE(1, 3, 16, 16), 0, s->arena, &s->err));
    CHECK(weights_new(&weights, graph, &s->err));
    CHECK(weights_init(weights, 1, &s->err));
    assert_null(weights_first_nonfinite(weights));
    const WeightEntry *last = &weights->entries[weights->n - 1];
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        weights->value[last->offset + last->count - 1] = bad[i];
        assert_string_equal(weights_first_nonfinite(weights), last->name);
    }
    weights->value[last->offset + last->count - 1] = 3e38f;
    assert_null(weights_first_nonfinite(weights));
    weights_free(weights);
}

static void test_what_is_better(void **state) {
    const MetricName loss = {"loss", false}, miou = {"miou", true};
    assert_true(evaluation_is_better(&loss, 5, NAN) && evaluation_is_better(&miou, 0, NAN));
    assert_false(evaluation_is_better(&loss, NAN, NAN) || evaluation_is_better(&loss, NAN, 5));
    assert_false(evaluation_is_better(&miou, NAN, NAN) || evaluation_is_better(&miou, NAN, 0.5));
    assert_true(evaluation_is_better(&loss, 4, 5) && evaluation_is_better(&miou, 0.6, 0.5));
    assert_true(evaluation_is_better(&loss, 4, (double)INFINITY));
    assert_false(evaluation_is_better(&loss, 5, 5) || evaluation_is_better(&loss, 6, 5));
    assert_false(evaluation_is_better(&miou, 0.5, 0.5) || evaluation_is_better(&miou, 0.4, 0.5));
}

/* ---- what is said on resume ---- */

static void test_notes(void **state) {
    Scratch *s = *state;
    TrainResult result;
    const char *config = arena_printf(s->arena, "%s", reconstruction);
    Call call = {config, "run", SETS("train.epochs=1", "train.schedule=cosine"), false, NULL, NULL};
    CHECK(train(s, &call, &result));
    char notes[NOTES_BYTES] = "";
    Call on = {config, "run", SETS("train.epochs=2", "train.schedule=cosine"), true, NULL, notes};
    /* another oneDNN wrote it: cut off the file's checksum, and change the version in its text */
    const char *path = scratch_path(s, "run/last.h5");
    Checkpoint *c;
    CHECK(checkpoint_open(&c, path, false, NULL, s->arena, &s->err));
    const char *written_by = checkpoint_writer(c).onednn;
    checkpoint_close(c);
    size_t bytes;
    char *file = scratch_read(path, &bytes), *at = memmem(file, bytes, written_by, strlen(written_by));
    assert_non_null(at);
    *at = '1';
    scratch_write(path, file, bytes - 24);
    free(file);
    CHECK(train(s, &on, &result));
    int words = (int)(strrchr(written_by, ',') - written_by);
    const char *expected = arena_printf(
        s->arena,
        "the run was computed with oneDNN 1%.*s and goes on with %.*s: its bits may differ from one that never "
        "stopped\n"
        "train.epochs was 1 and is 2: schedule 'cosine' now runs over 2 epochs, and the rate goes on at 0.0005 instead "
        "of 0\n",
        words - 1, written_by + 1, words, written_by);
    if (!strstr(notes, expected)) fail_msg("got %swant %s", notes, expected);

    CHECK(train(s, &(Call){reconstruction, "plain", SETS("train.epochs=1"), false, NULL, NULL}, &result));
    notes[0] = '\0';
    CHECK(train(s, &(Call){.config = reconstruction, .run = "plain", .resume = true, .notes = notes}, &result));
    assert_null(strstr(notes, "train.epochs")); /* a constant rate does not care */
    assert_null(strstr(notes, "oneDNN"));
}

static void test_not_a_number(void **state) {
    Scratch *s = *state;
    TrainResult result;
    /* all linear, so that steps far too long grow without bounds */
    Call call = {reconstruction,
                 "run",
                 SETS("train.lr=1e6", "train.loss=mse", "train.optimizer=sgd", "train.epochs=9",
                      "model.layers.2={gaussian_noise: 0.1}", "model.layers.4={gaussian_noise: 0.1}"),
                 false,
                 NULL,
                 NULL};
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
    expect_failure(s, &(Call){segmentation, "run", SETS("train.best=miou", "data.val=~"), false, NULL, NULL},
                   ERR_CONFIG,
                   "--set train.best=miou: error: train.best: 'miou' is scored on the split 'val', which this config "
                   "lacks or never evaluates; give data.val and train.eval_every, or use loss\n");
    expect_failure(s, &(Call){segmentation, "run", SETS("data.train=~"), false, NULL, NULL}, ERR_CONFIG,
                   "error: data.train: missing; it says what to train on\n");
    assert_false(scratch_exists(s, "run"));
    assert_false(scratch_exists(s, "run.tmp"));
}

static void test_without_val(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){segmentation, "run", SETS("data.val=~"), false, NULL, NULL}, &result));
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

/* Pictures of no multiple of the stride: evaluation pads in the loader, net_run by itself, and the scores must be those
 * of what net_run gives; the loss counts no padding, so mse as loss and mse as score are one number. */
static void test_odd_size(void **state) {
    Scratch *s = *state;
    TrainResult result;
    enum { H = 13, W = 11, N = 5, PLACES = 3 * H * W };
    static const char config[] = "task: reconstruction\n"
                                 "data: {kind: shapes, height: 13, width: 11, train: {n: 6}, val: {n: 5}}\n"
                                 "model:\n"
                                 "  layers:\n"
                                 "    - conv2d: {filters: 6, kernel: 5, padding: same}\n"
                                 "    - maxpool2d: 2\n"
                                 "    - activation: relu\n"
                                 "    - maxpool2d: 2\n"
                                 "    - upsample2d: 4\n"
                                 "    - conv2d: {filters: 3, kernel: 3, padding: same}\n"
                                 "train: {epochs: 2, batch_size: 4, lr: 0.01, loss: mse, sample_every: 0}\n";
    CHECK(train(s, &(Call){.config = config, .run = "run"}, &result));
    assert_true(fabs(result.val.loss - result.val.mse) < 1e-6 * result.val.mse);
    Checkpoint *c;
    Net *net;
    Evaluation e;
    Split *split;
    CHECK(checkpoint_open(&c, scratch_path(s, "run/last.h5"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    assert_int_equal(net_stride(net), 4);
    CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
    CHECK(split_open(&split, net_experiment(net), "val", &s->err));
    double squared = 0;
    for (int i = 0; i < N; i++) {
        Sample sample;
        float input[PLACES];
        const float *output;
        Shape shape;
        CHECK(split_read(split, i, &sample, &s->err));
        data_normalize(split_config(split), &sample.image, input);
        image_free(&sample.image);
        image_free(&sample.mask);
        CHECK(net_run(net, 1, 3, H, W, input, &output, &shape, &s->err));
        assert_true(shape_equal(shape, SHAPE(1, 3, H, W)));
        for (int k = 0; k < PLACES; k++)
            squared += ((double)output[k] - (double)input[k]) * ((double)output[k] - (double)input[k]);
    }
    if (fabs(squared / (N * PLACES) - e.mse) > 1e-6 * e.mse)
        fail_msg("net_run's mse is %.9g, the evaluation's %.9g", squared / (N * PLACES), e.mse);
    assert_true(fabs(e.loss - e.mse) < 1e-6 * e.mse);
    split_close(split);
    net_close(net);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_resume_after_every_batch),
        TEST(test_reconstruction_in_pieces),
        TEST(test_plateau_in_pieces),
        TEST(test_accumulation_counts_samples),
        TEST(test_same_seed_same_bits),
        TEST(test_stop),
        TEST(test_more_epochs),
        TEST(test_damaged_last),
        TEST(test_changed_settings),
        TEST(test_run_directories),
        TEST(test_disk_full),
        TEST(test_not_a_number),
        TEST(test_val_not_a_number),
        TEST(test_bad_weights_are_not_saved),
        TEST(test_what_is_better),
        TEST(test_notes),
        TEST(test_bad_configs),
        TEST(test_without_val),
        TEST(test_net),
        TEST(test_odd_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
