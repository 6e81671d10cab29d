/* test_ema.c - train.ema: the average is that of a double-precision reference and leaves training alone; it is what is
 * evaluated, saved as /weights and used afterwards; runs that are stopped go on with the same bits; the NaN guard.
 */
#include "runs.h"
#include "train/ema.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

/* Batch norm, a frozen layer, steps of two batches with a short last one. */
static const char config[] = "task: segmentation\n"
                             "name: small\n"
                             "data: {kind: shapes, height: 16, width: 16, train: {n: 11}, val: {n: 5}}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - {conv2d: {filters: 6, kernel: 3, padding: same}, frozen: true}\n"
                             "    - batchnorm\n"
                             "    - activation: relu\n"
                             "    - dropout: 0.1\n"
                             "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                             "    - activation: softmax\n"
                             "train:\n"
                             "  epochs: 3\n"
                             "  batch_size: 2\n"
                             "  accumulate: 2\n"
                             "  lr: 0.02\n"
                             "  sample_every: 0\n"
                             "  augment: [flip]\n"
                             "  ema: {decay: 0.6}\n";
enum { EPOCHS = 3, BATCHES = 6, STEPS = 3 /* an epoch */ };

static void test_keep(void **state) {
    const Ema ramp = {.on = true, .decay = 0.999, .warmup = true}, plain = {.on = true, .decay = 0.999};
    assert_true(ema_keep(&ramp, 1) == 2.0 / 11);
    assert_true(ema_keep(&ramp, 100) == 101.0 / 110);
    assert_true(ema_keep(&ramp, 8989) < 0.999 && ema_keep(&ramp, 8991) == 0.999);
    assert_true(ema_keep(&plain, 1) == 0.999);
}

static void test_read(void **state) {
    Scratch *s = *state;
    static const struct {
        const char *text;
        Ema expected;
    } cases[] = {{"", {false, 0, false}},
                 {"ema: ~", {false, 0, false}},
                 {"ema: {}", {true, 0.999, true}},
                 {"ema: 0.99", {true, 0.99, true}},
                 {"ema: {decay: 0.5, warmup: false}", {true, 0.5, false}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Experiment x;
        Ema ema;
        const char *text = arena_printf(s->arena, "task: segmentation\nmodel: {}\ndata: {}\ntrain: {%s}\n",
                                        cases[i].text);
        CHECK(config_load_text(&x, "small.yaml", text, 0, NULL, s->arena, &s->err));
        CHECK(ema_read(&ema, &x, s->arena, &s->err));
        assert_true(ema.on == cases[i].expected.on && ema.decay == cases[i].expected.decay &&
                    ema.warmup == cases[i].expected.warmup);
    }
}

/* A checkpoint's weights and their average. */
typedef struct Pair {
    Weights *weights, *average;
    int64_t step;
} Pair;

static Pair read_pair(Scratch *s, const char *name) {
    Pair p = {0};
    Checkpoint *c;
    Experiment x;
    Graph *graph;
    TrainState at;
    CHECK(checkpoint_open(&c, scratch_path(s, name), true, NULL, s->arena, &s->err));
    CHECK(config_load_text(&x, "small.yaml", checkpoint_config(c), 0, NULL, s->arena, &s->err));
    CHECK(graph_build(&graph, &x, checkpoint_input(c), x.task == TASK_SEGMENTATION ? 6 : 0, s->arena, &s->err));
    CHECK(weights_new(&p.weights, graph, &s->err));
    CHECK(weights_shadow(&p.average, p.weights, &s->err));
    CHECK(checkpoint_read_training(c, p.weights, p.average, &s->err));
    CHECK(checkpoint_read_state(c, &at, NULL, NULL, s->arena, &s->err));
    checkpoint_close(c);
    p.step = at.step;
    return p;
}

static void free_pair(Pair *p) {
    weights_free(p->average);
    weights_free(p->weights);
}

/* Batch by batch, with the average in double precision beside it; running statistics are averaged, a frozen layer keeps
 * its bits. */
static void test_against_reference(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){config, "run", SETS("train.epochs=0"), .resume = false}, &result));
    Pair first = read_pair(s, "run");
    int64_t n = first.weights->size, moved = 0;
    assert_memory_equal(first.weights->value, first.average->value, (size_t)n * sizeof(float));
    double *reference = ARENA_ARRAY(s->arena, double, n);
    for (int64_t i = 0; i < n; i++) reference[i] = (double)first.weights->value[i];
    int64_t step = 0;
    for (int batch = 1; batch <= EPOCHS * BATCHES; batch++) {
        CHECK(train(s, &(Call){config, "run", SETS("train.max_seconds=1e-9"), .resume = true}, &result));
        Pair now = read_pair(s, "run");
        double keep = fmin(0.6, (1.0 + (double)now.step) / (10.0 + (double)now.step));
        assert_int_equal(now.step, (batch - 1) / BATCHES * STEPS + ((batch - 1) % BATCHES + 1) / 2);
        for (int64_t i = 0; i < n; i++) {
            if (now.step > step) reference[i] = keep * reference[i] + (1 - keep) * (double)now.weights->value[i];
            double got = (double)now.average->value[i];
            if (fabs(got - reference[i]) > 1e-6 * (1 + fabs(reference[i])))
                fail_msg("batch %d, value %lld: %.9g, expected %.9g", batch, (long long)i, got, reference[i]);
        }
        step = now.step;
        if (batch < EPOCHS * BATCHES) {
            free_pair(&now);
            continue;
        }
        for (int k = 0; k < now.weights->n; k++) {
            const WeightEntry *e = &now.weights->entries[k];
            bool frozen = strncmp(e->name, "conv2d1/", 8) == 0;
            size_t bytes = (size_t)e->count * sizeof(float);
            const float *average = now.average->value + e->offset;
            bool still = memcmp(average, first.average->value + e->offset, bytes) == 0;
            assert_int_equal(still, frozen);
            moved += memcmp(average, now.weights->value + e->offset, bytes) != 0;
            if (strstr(e->name, "running")) assert_true(memcmp(average, now.weights->value + e->offset, bytes) != 0);
        }
        assert_true(moved >= 4);
        free_pair(&now);
    }
    free_pair(&first);
}

static void test_training_is_the_same(void **state) {
    Scratch *s = *state;
    TrainResult with, without;
    CHECK(train(s, &(Call){.config = config, .run = "with"}, &with));
    CHECK(train(s, &(Call){config, "without", SETS("train.ema=~"), .resume = false}, &without));
    assert_true(with.train_loss == without.train_loss);
    assert_true(with.val.loss != without.val.loss);
    Pair a = read_pair(s, "with");
    Checkpoint *c;
    Net *net;
    CHECK(checkpoint_open(&c, scratch_path(s, "without/last.h5"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    assert_memory_equal(a.weights->value, net_weights(net)->value, (size_t)a.weights->size * sizeof(float));
    net_close(net);
    free_pair(&a);
}

static void test_average_is_used(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = config, .run = "run"}, &result));
    Pair p = read_pair(s, "run");
    static const char *const files[] = {"run/last.h5", "run/best.h5"};
    for (int i = 0; i < 2; i++) {
        Checkpoint *c;
        Net *net;
        Evaluation e;
        CHECK(checkpoint_open(&c, scratch_path(s, files[i]), false, NULL, s->arena, &s->err));
        CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
        CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
        if (i == 0) {
            assert_memory_equal(p.average->value, net_weights(net)->value, (size_t)p.average->size * sizeof(float));
            assert_true(e.loss == result.val.loss);
        } else {
            assert_true(e.segmentation.miou == result.best_value);
            assert_int_equal(checkpoint_read_training(c, p.weights, p.average, &s->err), ERR_FORMAT);
            assert_string_equal(scratch_words(s),
                                "error: run/best.h5: there is no '/training_weights/batchnorm1/scale'\n");
        }
        checkpoint_close(c);
        net_close(net);
    }
    free_pair(&p);
}

static void test_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult result;
    CHECK(train(s, &(Call){.config = config, .run = "whole"}, &result));
    train_in_pieces(s, config, "pieces", EPOCHS * BATCHES);
    assert_runs_equal(s, "whole", "pieces");
    CHECK(train(s, &(Call){config, "other", SETS("train.ema.warmup=false"), .resume = false}, &result));
    assert_string_not_equal(run_timeless_history(s, "whole"), run_timeless_history(s, "other"));
    assert_int_equal(train(s, &(Call){config, "whole", SETS("train.ema=0.7"), .resume = true}, &result), ERR_CONFIG);
    assert_non_null(strstr(scratch_words(s), "train.ema: is 0.7, but the run in "));
}

/* What pre-training leaves is where the average begins. */
static void test_after_pretraining(void **state) {
    Scratch *s = *state;
    static const char stack[] = "task: reconstruction\n"
                                "data: {kind: shapes, height: 8, width: 8, train: {n: 10}, val: {n: 4}}\n"
                                "model:\n"
                                "  layers:\n"
                                "    - flatten\n"
                                "    - {dense: {units: 9, activation: sigmoid}, name: enc}\n"
                                "    - {dense: 192, name: dec}\n"
                                "    - reshape: [3, 8, 8]\n"
                                "    - {activation: sigmoid, name: picture}\n"
                                "pretrain: {kind: rbm, layers: [enc], decoder: [dec], epochs: 2, batch_size: 4}\n"
                                "train: {epochs: 2, batch_size: 4, loss: bce, sample_every: 0, ema: 0.9}\n";
    TrainResult result;
    CHECK(train(s, &(Call){stack, "run", SETS("train.epochs=0"), .resume = false}, &result));
    Pair p = read_pair(s, "run");
    assert_memory_equal(p.weights->value, p.average->value, (size_t)p.weights->size * sizeof(float));
    free_pair(&p);
    CHECK(train(s, &(Call){stack, "plain", SETS("train.epochs=0", "train.ema=~"), .resume = false}, &result));
    assert_weights_near(s, "run/last.h5", "plain/last.h5", 0);
    CHECK(train(s, &(Call){.config = stack, .run = "whole"}, &result));
    train_in_pieces(s, stack, "pieces", 2 * 3 + 2 * 3);
    assert_runs_equal(s, "whole", "pieces");
}

/* One enormous step, of which the average takes so little that its loss on val is finite: the weights that training
 * would go on with are found out by the next batch and withdrawn, best.h5 stays. */
static void test_average_proves_nothing(void **state) {
    Scratch *s = *state;
    static const char exploding[] =
        "task: reconstruction\n"
        "data: {kind: shapes, height: 8, width: 8, train: {n: 4}, val: {n: 4}}\n"
        "model: {layers: [dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, dense: 8, "
        "dense: 8, dense: 8, dense: 192]}\n"
        "train: {epochs: 9, batch_size: 4, lr: 1e6, loss: mse, optimizer: sgd, sample_every: 0, "
        "ema: {decay: 0.9999999, warmup: false}}\n";
    TrainResult result;
    assert_int_equal(train(s, &(Call){.config = exploding, .run = "run"}, &result), ERR_NUMERIC);
    const char *words = scratch_words(s);
    if (!strstr(words, "error: step 2 (epoch 2, batch 1): the ")) fail_msg("%s", words);
    assert_true(scratch_exists(s, "run/last.damaged.h5"));
    Pair p = read_pair(s, "run");
    assert_int_equal(p.step, 0);
    free_pair(&p);
    Checkpoint *c;
    Net *net;
    Evaluation e;
    CHECK(checkpoint_open(&c, scratch_path(s, "run/best.h5"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
    assert_true(isfinite(e.loss));
    net_close(net);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep),  TEST(test_read),
        TEST(test_against_reference), TEST(test_training_is_the_same),
        TEST(test_average_is_used),   TEST(test_in_pieces),
        TEST(test_after_pretraining), TEST(test_average_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
