/* test_patience.c - early stopping: when it ends, what is said, that its memory survives every stop, and that a larger
 * train.patience goes on as if the run had begun with it.
 */
#include "runs.h"
#include "train/patience.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static const char config[] = "task: reconstruction\n"
                             "name: small\n"
                             "data: {kind: shapes, height: 8, width: 8, train: {n: 10}, val: {n: 5}}\n"
                             "model: {layers: [gaussian_noise: 0.1, dense: 12, activation: relu, dense: 192]}\n"
                             "train: {epochs: 9, batch_size: 4, loss: mse, patience: 2, sample_every: 0}\n";
enum { BATCHES = 3 };

static int64_t waits(const MetricName *metric, double min_delta, int n, const double *values) {
    Patience p;
    patience_init(&p);
    assert_true(isnan(p.best) && p.waited == 0);
    for (int i = 0; i < n; i++) patience_update(&p, metric, values[i], min_delta);
    return p.waited;
}

static void test_update(void **state) {
    const MetricName loss = {"loss", false}, miou = {"miou", true};
    const double values[] = {NAN, 0.5, 0.45, 0.41, 0.3, 0.35, NAN, 0.3};
    assert_int_equal(waits(&loss, 0, 1, values), 1); /* NaN improves nothing */
    assert_int_equal(waits(&loss, 0, 2, values), 0);
    assert_int_equal(waits(&loss, 0, 5, values), 0);
    assert_int_equal(waits(&loss, 0, 8, values), 3); /* equal is not better */
    assert_int_equal(waits(&miou, 0, 2, values), 0);
    assert_int_equal(waits(&miou, 0, 8, values), 6);
    /* small gains add up, for they are measured from the last improvement */
    assert_int_equal(waits(&loss, 0.0625, 3, values), 1);
    assert_int_equal(waits(&loss, 0.0625, 4, values), 0);
    const double exact[] = {1, 1.25, 1.5};
    assert_int_equal(waits(&miou, 0.25, 2, exact), 1); /* more than min_delta is wanted */
    assert_int_equal(waits(&miou, 0.25, 3, exact), 0);
    assert_int_equal(waits(&miou, (double)INFINITY, 3, exact), 2);
}

/* "0,1,2" of the members "waited" in the lines of history.jsonl. */
static const char *waited(Scratch *s, const char *run) {
    const char *out = "", *at = run_timeless_history(s, run);
    while ((at = strstr(at, "\"waited\":"))) {
        at += strlen("\"waited\":");
        out = arena_printf(s->arena, "%s%s%d", out, *out ? "," : "", atoi(at));
    }
    return out;
}

/* At a rate of 0 nothing ever improves on the first evaluation. */
static void test_stops(void **state) {
    Scratch *s = *state;
    TrainResult r;
    CHECK(train(s, &(Call){config, "run", SETS("train.lr=0", "train.sample_every=2"), .resume = false}, &r));
    assert_true(r.finished && r.stopped_early);
    assert_int_equal(r.epochs, 3);
    assert_int_equal(r.waited, 2);
    assert_int_equal(r.best_epoch, 1);
    assert_string_equal(waited(s, "run"), "0,1,2");
    assert_true(scratch_exists(s, "run/samples/epoch_0003.png")); /* as of any last epoch */

    CHECK(train(s, &(Call){config, "run", SETS("train.lr=0", "train.sample_every=2"), .resume = true}, &r));
    assert_true(r.finished && r.stopped_early); /* nothing left to do */
    assert_int_equal(r.epochs, 3);
    CHECK(train(s, &(Call){config, "run", SETS("train.lr=0", "train.patience=4"), .resume = true}, &r));
    assert_true(r.finished && r.stopped_early);
    assert_int_equal(r.epochs, 5);
    assert_string_equal(waited(s, "run"), "0,1,2,3,4");
    CHECK(train(s, &(Call){config, "run", SETS("train.lr=0", "train.patience=0"), .resume = true}, &r));
    assert_true(r.finished && !r.stopped_early);
    assert_int_equal(r.epochs, 9);
    CHECK(train(s, &(Call){config, "whole", SETS("train.lr=0", "train.patience=0"), .resume = false}, &r));
    assert_weights_near(s, "run/last.h5", "whole/last.h5", 0);
    CHECK(train(s, &(Call){config, "whole", SETS("train.lr=0", "train.patience=20"), .resume = true}, &r));
    assert_int_equal(r.waited, 8); /* counted without train.patience too */

    CHECK(train(s, &(Call){config, "rare", SETS("train.lr=0", "train.eval_every=2"), .resume = false}, &r));
    assert_int_equal(r.epochs, 6); /* evaluations are counted, not epochs */
    assert_string_equal(waited(s, "rare"), "0,0,0,1,1,2");
}

static void test_goes_on(void **state) {
    Scratch *s = *state;
    TrainResult r;
    CHECK(train(s, &(Call){.config = config, .run = "run"}, &r));
    assert_true(r.finished && !r.stopped_early); /* while it learns */
    assert_int_equal(r.epochs, 9);
    /* best.h5 has the best all the same */
    CHECK(train(s, &(Call){config, "delta", SETS("train.min_delta=1e9"), .resume = false}, &r));
    assert_true(r.stopped_early);
    assert_int_equal(r.epochs, 3);
    assert_int_equal(r.best_epoch, 3);
    CHECK(train(s, &(Call){config, "delta", SETS("train.min_delta=1e9", "train.patience=5"), .resume = true}, &r));
    assert_int_equal(r.epochs, 6);
    CHECK(train(s, &(Call){config, "whole", SETS("train.min_delta=1e9", "train.patience=5"), .resume = false}, &r));
    assert_runs_equal(s, "delta", "whole");
    assert_int_equal(train(s, &(Call){config, "delta", SETS("train.min_delta=1"), .resume = true}, &r), ERR_CONFIG);
    assert_non_null(strstr(scratch_words(s), "train.min_delta: is 1, but the run in "));
}

/* Without val the training loss decides. */
static void test_without_val(void **state) {
    Scratch *s = *state;
    TrainResult r;
    CHECK(train(s, &(Call){config, "run", SETS("data.val=~", "train.min_delta=1e9"), .resume = false}, &r));
    assert_true(r.stopped_early);
    assert_int_equal(r.epochs, 3);
}

static void test_in_pieces(void **state) {
    Scratch *s = *state;
    TrainResult r;
    const char *train_section = strstr(config, "\ntrain: {") + 1;
    const char *restless = arena_printf(s->arena,
                                        "%.*strain: {lr: 0.03, epochs: 40, batch_size: 4, loss: mse, patience: 3}\n",
                                        (int)(train_section - config), config);
    CHECK(train(s, &(Call){.config = restless, .run = "whole"}, &r));
    assert_true(r.stopped_early);
    assert_non_null(strstr(waited(s, "whole"), "0,1,0")); /* it waited in vain first */
    train_in_pieces(s, restless, "pieces", (int)r.epochs * BATCHES);
    assert_runs_equal(s, "whole", "pieces");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update), TEST(test_stops),     TEST(test_goes_on),
        TEST(test_without_val),        TEST(test_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
