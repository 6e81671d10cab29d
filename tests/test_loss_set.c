/* test_loss_set.c - train.loss as a set of terms: how it is read, what is said of mistakes, class weights counted from
 * the data, and totals. The kinds themselves: test_loss.c, test_loss_masks.c. */
#include "train/evaluate.h"
#include "train/loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Error err; /* large: not on the stack */

/* A set from the lines under `train:`, for a network with layers code (relu, 3), out (784, sigmoid) and pic. */
static Err build_set(LossSet *out, const char *task, const char *model, const char *train, Arena *arena) {
    Experiment experiment = {0};
    Graph *graph = NULL;
    err_clear(&err);
    const char *text = arena_printf(
        arena, "task: %s\nmodel: {input: [1, 4, 4], layers: [%s]}\ndata: {kind: idx}\ntrain:\n%s", task, model, train);
    if (config_load_text(&experiment, "t.yaml", text, 0, NULL, arena, &err) != OK) fail_msg("%s", err.text);
    if (graph_build(&graph, &experiment, (Shape){0}, 0, arena, &err) != OK) fail_msg("%s", err.text);
    return loss_set_build(out, &experiment, graph, NULL, NULL, arena, &err);
}

static LossSet set_of(const char *task, const char *model, const char *train, Arena *arena) {
    LossSet set;
    if (build_set(&set, task, model, train, arena) != OK) fail_msg("%s", err.text);
    return set;
}

static const char dense_model[] = "flatten, {dense: {units: 3, activation: relu}, name: code}, {dense: 16, name: lin}, "
                                  "{activation: sigmoid, name: out}";
static const char vae_model[] = "flatten, {dense: 6, name: posterior}, {gaussian_sample: ~, name: code}, "
                                "{dense: 16, name: lin}, {activation: sigmoid, name: out}";
static const char conv_model[] = "{conv2d: {filters: 5, kernel: 1}, name: logits}";
static const char softmax_model[] = "{conv2d: {filters: 5, kernel: 1}, name: logits}, {activation: softmax, name: p}";
/* aux and small are smaller than the masks, p5 is a softmax on the way; the result is the last */
static const char deep_model[] = "{conv2d: {filters: 5, kernel: 2, stride: 2}, name: aux}, "
                                 "{activation: softmax, name: p5}, {conv2d: {filters: 3, kernel: 1}, name: small}, "
                                 "{upsample2d: 4, from: aux, name: big}, {flatten: ~, from: aux, name: long}, "
                                 "{dense: 5, name: flat}, {upsample2d: 2, from: aux, name: logits}";
static const char class_model[] = "flatten, {dense: 7, name: logits}";

static void sets_are_read(void **state) {
    Arena *arena = arena_new();
    LossSet s = set_of("reconstruction", dense_model, "  lr: 1\n", arena); /* the task's default */
    assert_true(s.n == 1 && s.weights[0] == 1 && !s.class_weights && !s.terms[0].logits);
    assert_string_equal(s.terms[0].name, "mse");
    assert_string_equal(s.terms[0].target, "target");
    assert_true(s.terms[0].target_type == F32);
    s = set_of("reconstruction", dense_model, "  loss: bce\n", arena); /* a final sigmoid is taken over */
    assert_true(s.terms[0].logits);
    s = set_of("segmentation", conv_model, "  lr: 1\n", arena);
    assert_true(!s.terms[0].logits && s.terms[0].target_type == U8);
    assert_string_equal(s.terms[0].name, "cross_entropy");
    assert_string_equal(s.terms[0].target, "mask");
    s = set_of("segmentation", softmax_model, "  loss: {cross_entropy: {class_weights: [1, 2, 3, 0, 0.5]}}\n", arena);
    assert_true(s.terms[0].logits && s.class_weights[1] == 2.0f && s.class_weights[4] == 0.5f);
    s = set_of("classification", class_model, "  loss: {cross_entropy: {label_smoothing: 0.1}}\n", arena);
    assert_true(s.terms[0].target_type == S32);
    assert_string_equal(s.terms[0].target, "label");

    /* deep supervision: a softmax that is not the result is taken over too */
    s = set_of("segmentation", deep_model, "  loss: [dice, {focal: {weight: 0.4}, on: p5}, {dice: {on: aux}}]\n",
               arena);
    assert_true(s.n == 3 && s.weights[1] == 0.4 && !s.terms[0].logits && s.terms[1].logits && !s.terms[2].logits);
    assert_true(s.terms[1].node == 1 && s.terms[2].node == 0 && s.terms[0].node > 5);
    assert_string_equal(s.terms[2].name, "dice2");
    assert_string_equal(s.terms[2].target, "mask");

    /* a kind that compares with nothing: no target */
    s = set_of("reconstruction", vae_model,
               "  loss: [{bce: {reduction: sum}}, {gaussian_kl: ~, on: posterior, weight: 0.5}]\n", arena);
    assert_true(s.n == 2 && s.weights[1] == 0.5 && s.terms[0].logits && !s.terms[1].logits);
    assert_null(s.terms[1].target);
    assert_int_equal(s.terms[1].node, 1);
    assert_string_equal(s.terms[1].name, "gaussian_kl");

    /* a list, with weight and on beside the kind or in its map */
    s = set_of("reconstruction", dense_model,
               "  loss:\n    - bce\n    - mse: {weight: 0.25}\n      on: lin\n    - {kind: mse, weight: 2}\n", arena);
    assert_int_equal(s.n, 3);
    assert_true(s.weights[0] == 1 && s.weights[1] == 0.25 && s.weights[2] == 2);
    assert_true(s.terms[0].node == s.terms[2].node && s.terms[1].node == s.terms[0].node - 1);
    assert_string_equal(s.terms[1].name, "mse");
    assert_string_equal(s.terms[2].name, "mse2");
    arena_free(arena);
}

static void sets_complain(void **state) {
    static const struct {
        const char *task, *model, *train, *text;
    } cases[] = {
        {"reconstruction", dense_model, "  loss:\n    - {mse: {}, on: code}\n",
         "t.yaml:6:7: error: train.loss[0] (mse): compares layer 'code/activation' with the input, but "
         "'code/activation' is 1x3 "
         "(3 "
         "values) and the input 1x1x4x4 (16)\n"},
        {"reconstruction", dense_model, "  loss:\n    - {mse: {}, on: coed}\n",
         "t.yaml:6:7: error: train.loss[0] (mse): there is no layer 'coed', did you mean 'code'?\n"},
        {"reconstruction", dense_model, "  loss: cross_entropy\n",
         "t.yaml:5:9: error: train.loss (cross_entropy): compares with masks or labels, which task reconstruction has "
         "not; "
         "use task segmentation or classification, or a loss such as mse or bce\n"},
        {"segmentation", "{conv2d: {filters: 1, kernel: 1}, name: logits}", "  loss: cross_entropy\n",
         "t.yaml:5:9: error: train.loss (cross_entropy): needs a channel for each class, at least 2, but layer "
         "'logits' is "
         "1x1x4x4; two classes are two channels\n"},
        {"segmentation", "{conv2d: {filters: 5, kernel: 2, stride: 2}, name: logits}", "  loss: cross_entropy\n",
         "t.yaml:2:37: error: model.layers[0] 'logits' (conv2d): the network's first output is compared with masks and "
         "must have the height and width of the input, but it is 1x5x2x2 and the input 1x1x4x4\n"},
        {"classification", class_model, "  loss: [cross_entropy, tversky]\n",
         "t.yaml:5:25: error: train.loss[1] (tversky): compares with masks, which task classification has not; use "
         "cross_entropy or focal\n"},
        {"segmentation", deep_model, "  loss: [dice, {dice: {on: big}}]\n",
         "t.yaml:5:16: error: train.loss[1] (dice): layer 'big' is larger than the masks, which have the height and "
         "width of the input: it is 1x5x8x8, the input 1x1x4x4\n"},
        {"segmentation", deep_model, "  loss: [focal, {lovasz_softmax: ~, on: small}]\n",
         "t.yaml:5:17: error: train.loss[1] (lovasz_softmax): needs a channel for each class, but layer 'small' has 3, "
         "the network's first output 5\n"},
        {"segmentation", deep_model, "  loss: {tversky: {on: flat}}\n",
         "t.yaml:5:9: error: train.loss (tversky): compares with masks, but layer 'flat' is 1x5: name one that gives "
         "pictures\n"},
        {"classification", conv_model, "  loss: cross_entropy\n",
         "t.yaml:5:9: error: train.loss (cross_entropy): needs one score for each class and sample, but layer 'logits' "
         "is "
         "1x5x4x4; a global pooling or flatten and dense in front would do\n"},
        {"segmentation", conv_model, "  loss: {cross_entropy: {class_weights: [1, 2]}}\n",
         "t.yaml:5:41: error: train.loss (cross_entropy): 'class_weights' has 2 numbers, there are 5 classes\n"},
        {"segmentation", conv_model, "  loss: {cross_entropy: {class_weights: [1, 2, -3, 4, 5]}}\n",
         "t.yaml:5:48: error: train.loss (cross_entropy): 'class_weights' of class 2 must be between 0 and 1000000000, "
         "got "
         "-3\n"},
        {"segmentation", conv_model, "  loss: {cross_entropy: {class_weights: [0, 0, 0, 0, 0]}}\n",
         "t.yaml:5:41: error: train.loss (cross_entropy): 'class_weights' are all 0, at least one must be more\n"},
        {"segmentation", conv_model, "  loss: {cross_entropy: {class_weights: inverse}}\n",
         "t.yaml:5:41: error: train.loss (cross_entropy): 'class_weights: inverse' needs a training split with masks "
         "to "
         "count; give a list of numbers\n"},
        {"segmentation", conv_model, "  loss: {cross_entropy: {class_weights: median}}\n",
         "t.yaml:5:41: error: train.loss (cross_entropy): unknown choice 'median' for 'class_weights' (a list of "
         "numbers, "
         "median_frequency, inverse)\n"},
        {"reconstruction", dense_model, "  loss: {bce: {from_logits: true}}\n",
         "t.yaml:5:16: error: train.loss (bce): unknown key 'from_logits' (known: reduction, weight, on)\n"},
        {"reconstruction", dense_model, "  loss: {mse: {weigth: 2}}\n",
         "t.yaml:5:16: error: train.loss (mse): unknown key 'weigth', did you mean 'weight'?\n"},
        {"reconstruction", vae_model, "  loss: [bce, gaussian_kl]\n",
         "t.yaml:5:15: error: train.loss[1] (gaussian_kl): needs 'on', the layer that gives means and log-variances: "
         "the "
         "one before gaussian_sample\n"},
        {"reconstruction", dense_model, "  loss: [{gaussian_kl: ~, on: code}]\n",
         "t.yaml:5:10: error: train.loss[0] (gaussian_kl): needs an even number of channels, means and then as many "
         "log-variances, but layer 'code/activation' is 1x3\n"},
        {"reconstruction", vae_model, "  loss: [{gaussian_kl: ~, on: code}]\n",
         "t.yaml:5:10: error: train.loss[0] (gaussian_kl): layer 'code' is the draw itself; name the layer in front of "
         "it, which gives means and log-variances\n"},
        {"reconstruction", "flatten, {reshape: [2, 8], name: rows}", "  loss: [{gaussian_kl: ~, on: rows}]\n",
         "t.yaml:5:10: error: train.loss[0] (gaussian_kl): needs vectors or pictures, but layer 'rows' is a sequence, "
         "1x2x8: put a flatten behind it\n"},
        {"reconstruction", dense_model, "  loss: {bce: {reduction: some}}\n", "t.yaml:5:27: error: train.loss (bce): "},
        {"reconstruction", dense_model, "  loss: []\n",
         "t.yaml:5:9: error: train.loss: must have 1 to 8 entries, got 0\n"},
    };
    Arena *arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        LossSet set;
        if (build_set(&set, cases[i].task, cases[i].model, cases[i].train, arena) == OK)
            fail_msg("%s: no error", cases[i].train);
        /* the first line; the source and the caret follow */
        if (strncmp(err.text, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("got %swant %s", err.text, cases[i].text);
    }
    LossSet set;
    assert_int_equal(build_set(&set, "reconstruction", dense_model, "  loss: mze\n", arena), ERR_CONFIG);
    assert_non_null(strstr(err.text, "t.yaml:5:9: error: "));
    assert_non_null(strstr(err.text, "'mze', did you mean 'mse'?"));
    arena_free(arena);
}

/* Weights counted from generated scenes: the two formulas, by the split's own counts. */
static void class_weights_from_data(void **state) {
    static const char *const choices[] = {"median_frequency", "inverse"};
    Arena *arena = arena_new();
    for (int k = 0; k < 2; k++) {
        Experiment experiment = {0};
        Graph *graph = NULL;
        Split *split = NULL;
        LossSet set;
        err_clear(&err);
        const char *text = arena_printf(arena,
                                        "task: segmentation\n"
                                        "model: {layers: [{conv2d: {filters: %d, kernel: 1}, name: logits}]}\n"
                                        "data: {kind: shapes, train: {n: 6, height: 32, width: 24}}\n"
                                        "train: {loss: {cross_entropy: {class_weights: %s}}}\n",
                                        6, choices[k]);
        if (config_load_text(&experiment, "t.yaml", text, 0, NULL, arena, &err) != OK) fail_msg("%s", err.text);
        if (split_open(&split, &experiment, "train", &err) != OK) fail_msg("%s", err.text);
        int classes = split_config(split)->n_classes;
        assert_int_equal(classes, 6);
        if (graph_build(&graph, &experiment, SHAPE(1, 3, 32, 24), classes, arena, &err) != OK) fail_msg("%s", err.text);
        if (loss_set_build(&set, &experiment, graph, split, NULL, arena, &err) != OK) fail_msg("%s", err.text);
        const volatile sig_atomic_t stop = SIGINT;
        assert_int_equal(loss_set_build(&(LossSet){0}, &experiment, graph, split, &stop, arena, NULL), ERR_STOPPED);
        ClassStats stats;
        float want[MAX_CLASSES];
        assert_int_equal(split_class_stats(split, &stats, NULL, NULL, arena, &err), OK);
        if (k == 0) {
            class_weights_median_frequency(&stats, classes, want);
        } else {
            class_weights_inverse(&stats, classes, want);
        }
        assert_memory_equal(set.class_weights, want, sizeof(float) * (size_t)classes);
        split_close(split);
    }
    arena_free(arena);
}

static void totals(void **state) {
    const double factor[2] = {1.0, 0.5};
    LossTerm terms[2] = {{.name = "bce"}, {.name = "gaussian_kl"}};
    LossSet set = {.n = 2, .terms = terms, .weights = factor};
    LossTotal total = {.sum = {6, 5}, .weight = {3, 0}, .activity = 4, .samples = 8};
    assert_true(loss_total_value(&total, &set) == 2.0 + 0.5); /* a term over nothing counts 0 */
    total.weight[1] = 10;
    assert_true(loss_total_value(&total, &set) == 2.0 + 0.25 + 0.5);
    LossPart parts[LOSS_MAX_TERMS];
    assert_int_equal(loss_total_parts(&total, &set, parts), 2); /* without their weights */
    assert_true(parts[0].value == 2.0 && parts[1].value == 0.5 && strcmp(parts[1].name, "gaussian_kl") == 0);
    Arena *arena = arena_new();
    for (int n = 1; n <= 2; n++) {
        Json j = json_begin(arena);
        json_open_object(&j, NULL);
        loss_parts_write_json(n, parts, &j);
        json_close(&j);
        assert_string_equal(json_text(&j), n == 1 ? "{}" : "{\"terms\":{\"bce\":2,\"gaussian_kl\":0.5}}");
    }
    arena_free(arena);
    total = (LossTotal){0};
    assert_true(loss_total_value(&total, &set) == 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_are_read),
        cmocka_unit_test(sets_complain),
        cmocka_unit_test(class_weights_from_data),
        cmocka_unit_test(totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
