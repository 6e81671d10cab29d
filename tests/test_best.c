/* test_best.c - train.best: what each name means, what is said of names that mean nothing, its value, and runs that are
 * judged by one class or one term of the loss.
 */
#include "runs.h"
#include "train/best.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

#define SEGMENTATION                                                                                                   \
    "task: segmentation\n"                                                                                             \
    "name: small\n"                                                                                                    \
    "data: {kind: shapes, height: 16, width: 16, train: {n: 10}, val: {n: 6}}\n"                                       \
    "model:\n"                                                                                                         \
    "  layers:\n"                                                                                                      \
    "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"                                                           \
    "    - activation: relu\n"                                                                                         \
    "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"                                                           \
    "    - activation: softmax\n"
#define RECONSTRUCTION                                                                                                 \
    "task: reconstruction\n"                                                                                           \
    "name: small\n"                                                                                                    \
    "data: {kind: shapes, height: 8, width: 8, train: {n: 10}, val: {n: 5}}\n"                                         \
    "model: {layers: [dense: 12, activation: relu, {dense: 192, name: out}]}\n"

/* best_read as a run does it. */
static Err read_best(Scratch *s, const char *config, const char *best, Best *out) {
    Experiment x;
    Split *split;
    Graph *graph;
    LossSet losses;
    const char *set = arena_printf(s->arena, "train.best=%s", best);
    CHECK(config_load_text(&x, "small.yaml", config, 1, &set, s->arena, &s->err));
    CHECK(split_open(&split, &x, "train", &s->err));
    int64_t shape[4];
    split_shape(split, shape);
    bool masks = x.task == TASK_SEGMENTATION;
    CHECK(graph_build(&graph, &x, SHAPE(1, shape[1], (int)shape[2], (int)shape[3]), masks ? 6 : 0, s->arena, &s->err));
    CHECK(loss_set_build(&losses, &x, graph, split, NULL, s->arena, &s->err));
    Err code = best_read(out, &x, split_config(split), &losses, s->arena, &s->err);
    split_close(split);
    return code;
}

static void test_names(void **state) {
    Scratch *s = *state;
    static const char two[] = RECONSTRUCTION "train: {loss: [mse, bce]}\n";
    static const char segmentation[] = SEGMENTATION;
    static const struct {
        const char *config, *name;
        Best expected;
    } cases[] = {
        {segmentation, "''", {{"miou", true}, BEST_METRIC, NULL, 0}},
        {segmentation, "loss", {{"loss", false}, BEST_METRIC, NULL, 0}},
        {segmentation, "frequency_weighted_iou", {{"frequency_weighted_iou", true}, BEST_METRIC, NULL, 0}},
        {segmentation, "iou:circle", {{"iou:circle", true}, BEST_CLASS, "iou", 1}},
        {segmentation, "dice:5", {{"dice:5", true}, BEST_CLASS, "dice", 5}},
        {segmentation, "precision:0", {{"precision:0", true}, BEST_CLASS, "precision", 0}},
        {segmentation, "cross_entropy", {{"cross_entropy", false}, BEST_TERM, NULL, 0}},
        {two, "mse", {{"mse", false}, BEST_METRIC, NULL, 0}},
        {two, "loss:mse", {{"loss:mse", false}, BEST_TERM, NULL, 0}},
        {two, "bce", {{"bce", false}, BEST_TERM, NULL, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Best best;
        const Best *e = &cases[i].expected;
        CHECK(read_best(s, cases[i].config, cases[i].name, &best));
        assert_string_equal(best.metric.name, e->metric.name);
        assert_true(best.metric.higher_is_better == e->metric.higher_is_better && best.sort == e->sort);
        assert_true(best.sort == BEST_METRIC || best.index == e->index);
        if (e->score) assert_string_equal(best.score, e->score);
    }
}

static void expect_refused(Scratch *s, const char *config, const char *name, const char *expected) {
    Best best;
    assert_int_equal(read_best(s, config, name, &best), ERR_CONFIG);
    assert_string_equal(scratch_words(s),
                        arena_printf(s->arena, "--set train.best=%s: error: train.best: %s\n", name, expected));
}

static void test_refused(void **state) {
    Scratch *s = *state;
    static const char segmentation[] = SEGMENTATION, reconstruction[] = RECONSTRUCTION;
    expect_refused(s, reconstruction, "msa",
                   "unknown metric 'msa', did you mean 'mse'? known: loss, mse, mae, squared_error_per_image, "
                   "loss:mse");
    expect_refused(s, reconstruction, "loss:bce",
                   "unknown metric 'loss:bce', did you mean 'loss:mse'? known: loss, mse, mae, "
                   "squared_error_per_image, loss:mse");
    expect_refused(s, reconstruction, "iou:1", "'iou:1': task reconstruction has no scores of single classes");
    expect_refused(s, segmentation, "iou:cirle",
                   "'iou:cirle': there is no class 'cirle', did you mean 'circle'? known: background, circle, square, "
                   "triangle, star, ring");
    expect_refused(s, segmentation, "iou:6", "'iou:6': there are 6 classes, 0 to 5");
    expect_refused(s, segmentation, "iou:-1", "'iou:-1': there are 6 classes, 0 to 5");
    expect_refused(s, segmentation, "iou:99999999999999999999",
                   "'iou:99999999999999999999': there are 6 classes, 0 to 5");
    static const char blind[] = SEGMENTATION "train: {eval_every: 0}\n";
    expect_refused(s, blind, "iou:circle",
                   "'iou:circle' is scored on the split 'val', which this config lacks or never evaluates; give "
                   "data.val and train.eval_every, or use loss");
    Best best;
    assert_int_equal(read_best(s, segmentation, "iuo:circle", &best), ERR_CONFIG);
    const char *words = scratch_words(s);
    if (!strstr(words, "train.best: 'iuo:circle': 'iuo' is no score of a class, did you mean 'iou'? known: iou, "))
        fail_msg("%s", words);
    assert_int_equal(read_best(s, segmentation, "mioo", &best), ERR_CONFIG);
    words = scratch_words(s);
    if (!strstr(words, "did you mean 'miou'? known: loss, miou, ") || !strstr(words, ", iou:CLASS, ") ||
        !strstr(words, ", loss:cross_entropy\n"))
        fail_msg("%s", words);
    CHECK(read_best(s, blind, "cross_entropy", &best)); /* the training has it */
}

static void test_value(void **state) {
    ClassScore classes[] = {{.present = true, .scored = true, .iou = 0.25, .dice = 0.4, .accuracy = 0.5},
                            {.present = false, .scored = false}};
    const Evaluation e = {.task = TASK_SEGMENTATION,
                          .loss = 3,
                          .n_parts = 2,
                          .parts = {{"a", 1}, {"b", 2}},
                          .segmentation = {.miou = 0.125, .pixels = 1},
                          .n_classes = 2,
                          .classes = classes};
    assert_true(best_value(&(Best){{"miou", true}, BEST_METRIC, NULL, 0}, &e) == 0.125);
    assert_true(best_value(&(Best){{"loss", false}, BEST_METRIC, NULL, 0}, &e) == 3);
    assert_true(best_value(&(Best){{"iou:0", true}, BEST_CLASS, "iou", 0}, &e) == 0.25);
    assert_true(best_value(&(Best){{"dice:0", true}, BEST_CLASS, "dice", 0}, &e) == 0.4);
    assert_true(isnan(best_value(&(Best){{"iou:1", true}, BEST_CLASS, "iou", 1}, &e)));
    assert_true(best_value(&(Best){{"b", false}, BEST_TERM, NULL, 1}, &e) == 2);
}

/* ---- runs ---- */

/* What best.h5 gives on val. */
static Evaluation evaluate_best(Scratch *s, const char *run) {
    Checkpoint *c;
    Net *net;
    Evaluation e;
    CHECK(checkpoint_open(&c, scratch_path(s, run), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    CHECK(net_evaluate(net, "val", NULL, &e, s->arena, &s->err));
    net_close(net);
    return e;
}

static void test_by_class(void **state) {
    Scratch *s = *state;
    static const char config[] = SEGMENTATION "train: {epochs: 60, batch_size: 2, lr: 0.05, sample_every: 0, "
                                              "loss: {cross_entropy: {class_weights: inverse}}}\n";
    TrainResult r;
    CHECK(train(s, &(Call){config, "run", SETS("train.best=iou:ring")}, &r));
    assert_string_equal(r.best_metric, "iou:ring");
    assert_true(r.best_value > 0);
    Evaluation e = evaluate_best(s, "run");
    assert_true(e.classes[5].iou == r.best_value);
    int64_t counted = r.val.segmentation.ignored, pixels = 6 * 16 * 16;
    for (int i = 0; i < 36; i++) counted += r.val.confusion[i];
    assert_int_equal(counted, pixels);
    TrainResult other;
    CHECK(train(s, &(Call){config, "other", SETS("train.best=iou:0")}, &other));
    assert_true(other.train_loss == r.train_loss); /* it only chooses */
    assert_true(evaluate_best(s, "other").classes[0].iou == other.best_value);
}

static void test_by_term(void **state) {
    Scratch *s = *state;
    static const char config[] = RECONSTRUCTION
        "train: {epochs: 4, batch_size: 4, sample_every: 0, loss: [mse, {kind: mae, on: out, weight: 0.5}]}\n";
    TrainResult r;
    CHECK(train(s, &(Call){config, "run", SETS("train.best=loss:mae")}, &r));
    assert_true(r.has_val && r.val.n_parts == 2);
    assert_string_equal(r.val.parts[1].name, "mae"); /* a result holds all it points to: under ASan no freed text */
    Evaluation e = evaluate_best(s, "run");
    assert_int_equal(e.n_parts, 2);
    assert_string_equal(e.parts[1].name, "mae");
    assert_true(e.parts[1].value == r.best_value);
    CHECK(train(s, &(Call){config, "blind", SETS("train.best=loss:mae", "data.val=~")}, &r));
    assert_true(r.best_epoch == 4 && r.best_value > 0 && r.best_value < r.train_loss);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_names), TEST(test_refused), cmocka_unit_test(test_value), TEST(test_by_class), TEST(test_by_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
