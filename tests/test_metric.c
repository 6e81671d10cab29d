/* test_metric.c - confusion matrix and scores against cases worked by hand and a plain count; error sums. */
#include "base/rng.h"
#include "train/evaluate.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add_scores(Confusion *c, int height, int width, const float *scores, const uint8_t *target) {
    uint8_t *predicted = malloc((size_t)height * (size_t)width);
    scores_argmax(c->n, (int64_t)height * width, scores, predicted);
    assert_int_equal(confusion_add_mask(c, height, width, predicted, target, NULL), OK);
    free(predicted);
}

/* 2 classes, 6 pixels:  target 0 0 0 1 1 255, predicted 0 0 1 1 0 1. */
static void worked_by_hand(void **state) {
    Confusion c;
    assert_int_equal(confusion_new(&c, 2, NULL), OK);
    const float scores[12] = {2, 2, 0, 0, 5, 1, /* class 1: */ 1, 1, 3, 1, 4, 2};
    const uint8_t target[6] = {0, 0, 0, 1, 1, 255};
    add_scores(&c, 1, 6, scores, target);
    assert_true(c.count[0] == 2 && c.count[1] == 1 && c.count[2] == 1 && c.count[3] == 1 && c.ignored == 1);
    assert_true(c.count[4] == 0 && c.count[5] == 1); /* what was predicted where the target is ignored */
    SegmentationScore s;
    ClassScore k[2];
    confusion_scores(&c, &s, k);
    assert_true(s.pixels == 5 && s.pixel_accuracy == 3.0 / 5);
    assert_true(k[0].iou == 2.0 / 4 && k[1].iou == 1.0 / 3 && s.miou == (2.0 / 4 + 1.0 / 3) / 2);
    assert_true(k[0].accuracy == 2.0 / 3 && k[1].accuracy == 1.0 / 2 && s.mean_accuracy == (2.0 / 3 + 1.0 / 2) / 2);
    assert_true(k[0].precision == 2.0 / 3 && k[1].precision == 1.0 / 2);
    assert_true(k[0].dice == 4.0 / 6 && k[1].dice == 2.0 / 4);
    assert_true(fabs(s.frequency_weighted_iou - (3 * 0.5 + 2.0 / 3) / 5) < 1e-15);
    assert_true(k[0].pixels == 3 && k[1].pixels == 2 && k[0].predicted == 3 && k[1].predicted == 2);
    assert_true(k[0].images == 1 && k[1].images == 1 && s.ignored == 1);
    assert_true(s.mean_precision == (2.0 / 3 + 1.0 / 2) / 2 && s.mean_dice == (4.0 / 6 + 2.0 / 4) / 2);
    confusion_clear(&c);
    confusion_scores(&c, &s, k);
    assert_true(c.count[5] == 0 && k[0].images == 0);
    assert_true(s.pixels == 0 && s.miou == 0 && s.pixel_accuracy == 0 && !k[0].present && !k[0].scored &&
                c.ignored == 0);
    confusion_free(&c);
}

/* Class 1 is only predicted, class 2 only a target, class 3 nowhere. */
static void absent_classes(void **state) {
    Confusion c;
    assert_int_equal(confusion_new(&c, 4, NULL), OK);
    c.count[0 * 4 + 0] = 6;
    c.count[0 * 4 + 1] = 2;
    c.count[2 * 4 + 0] = 2;
    SegmentationScore s;
    ClassScore k[4];
    confusion_scores(&c, &s, k);
    assert_true(k[0].present && !k[1].present && k[1].scored && k[2].present && !k[3].present && !k[3].scored);
    assert_true(s.miou == 0.6 / 3 && s.mean_accuracy == 0.75 / 2);
    assert_true(k[1].iou == 0 && k[2].iou == 0 && k[3].iou == 0);
    assert_true(k[2].precision == 0 && k[2].predicted == 0); /* never predicted: 0, not left out */
    assert_true(s.mean_precision == 0.75 / 3 && fabs(s.mean_dice - 2 * 6.0 / (8 + 8) / 3) < 1e-15);
    confusion_scores(&c, &s, NULL);
    assert_true(s.pixel_accuracy == 0.6);
    confusion_free(&c);
}

/* Scores of one class by name: a class that has none gives no number. */
static void class_metrics_by_name(void **state) {
    ClassScore classes[3] = {
        {.present = true, .scored = true, .iou = 0.5, .accuracy = 0.6, .precision = 0.7, .dice = 0.8},
        {.scored = true}, /* only predicted */
        {0},              /* absent */
    };
    Evaluation e = {.task = TASK_SEGMENTATION, .n_classes = 3, .classes = classes};
    double v = -1;
    assert_true(evaluation_class_metric(&e, "iou", 0, &v) && v == 0.5);
    assert_true(evaluation_class_metric(&e, "accuracy", 0, &v) && v == 0.6);
    assert_true(evaluation_class_metric(&e, "recall", 0, &v) && v == 0.6);
    assert_true(evaluation_class_metric(&e, "precision", 0, &v) && v == 0.7);
    assert_true(evaluation_class_metric(&e, "dice", 0, &v) && v == 0.8);
    v = -1;
    assert_false(evaluation_class_metric(&e, "f1", 0, &v)); /* classification's name */
    assert_true(evaluation_class_metric(&e, "iou", 1, &v) && v == 0);
    v = -1;
    assert_false(evaluation_class_metric(&e, "recall", 1, &v));
    assert_false(evaluation_class_metric(&e, "iou", 2, &v));
    assert_false(evaluation_class_metric(&e, "iou", 3, &v) || evaluation_class_metric(&e, "iou", -1, &v));
    assert_false(evaluation_class_metric(&e, "miou", 0, &v));
    e.task = TASK_CLASSIFICATION;
    assert_true(v == -1 && evaluation_class_metric(&e, "f1", 0, &v) && v == 0.8);
    assert_false(evaluation_class_metric(&e, "iou", 0, &v));
    e.task = TASK_RECONSTRUCTION;
    assert_false(evaluation_class_metric(&e, "accuracy", 0, &v));
    for (Task task = TASK_RECONSTRUCTION; task <= TASK_CLASSIFICATION; task++) {
        e.task = task; /* every name of the tables is known */
        for (const MetricName *m = evaluation_class_metrics(task); m->name; m++)
            if (strcmp(m->name, "boundary_f1") != 0) assert_true(evaluation_class_metric(&e, m->name, 0, &v));
    }
}

/* One class only, all ignored, a class that is never predicted, and one that is predicted alone: numbers, never NaN. */
static void extremes(void **state) {
    uint8_t zeros[6] = {0}, ones[6] = {1, 1, 1, 1, 1, 1}, ignored[6] = {255, 255, 255, 255, 255, 255};
    Confusion c;
    SegmentationScore s;
    ClassScore k[2];
    assert_int_equal(confusion_new(&c, 2, NULL), OK);
    assert_int_equal(confusion_add_mask(&c, 2, 3, zeros, zeros, NULL), OK); /* one class only */
    confusion_scores(&c, &s, k);
    assert_true(s.miou == 1 && s.pixel_accuracy == 1 && s.mean_accuracy == 1 && s.frequency_weighted_iou == 1 &&
                s.mean_dice == 1 && s.mean_precision == 1 && s.pixels == 6 && k[0].images == 1);
    assert_true(!k[1].present && !k[1].scored && k[1].images == 0 && k[1].iou == 0);
    confusion_clear(&c);
    assert_int_equal(confusion_add_mask(&c, 2, 3, ones, ignored, NULL), OK); /* all ignored */
    confusion_scores(&c, &s, k);
    assert_true(s.pixels == 0 && s.ignored == 6 && s.miou == 0 && s.pixel_accuracy == 0 && s.mean_accuracy == 0 &&
                s.frequency_weighted_iou == 0 && s.mean_dice == 0 && s.mean_precision == 0);
    assert_true(!k[0].scored && !k[1].scored && !k[1].present && k[1].images == 0);
    confusion_clear(&c);
    assert_int_equal(confusion_add_mask(&c, 2, 3, zeros, ones, NULL), OK); /* nothing of the class is found */
    confusion_scores(&c, &s, k);
    assert_true(s.miou == 0 && s.pixel_accuracy == 0 && s.mean_accuracy == 0 && s.mean_precision == 0);
    assert_true(k[1].present && k[1].precision == 0 && k[1].accuracy == 0 && k[1].predicted == 0);
    assert_true(!k[0].present && k[0].scored && k[0].predicted == 6);
    assert_int_equal(confusion_add_mask(&c, 2, 3, zeros, zeros, NULL), OK); /* a second picture */
    confusion_scores(&c, &s, k);
    assert_true(k[0].images == 1 && k[1].images == 1 && k[0].iou == 0.5 && k[1].iou == 0 && s.miou == 0.25);
    confusion_free(&c);
}

static void first_of_equals_and_labels(void **state) {
    Confusion c;
    assert_int_equal(confusion_new(&c, 3, NULL), OK);
    const float scores[12] = {1, 1, 1, 0, 2, 2, -3, -2, -1, 0, 0, 9};
    const int32_t target[4] = {0, 1, 2, 255};
    for (int i = 0; i < 4; i++) assert_int_equal(confusion_add_label(&c, scores + 3 * i, target[i], NULL), OK);
    assert_true(c.count[0] == 1 && c.count[4] == 1 && c.count[8] == 1 && c.ignored == 1 && c.count[11] == 1);
    assert_true(c.images[0] == 1 && c.images[1] == 1 && c.images[2] == 1 && c.top == 3);
    confusion_free(&c);
}

/* The label's score is the fifth, the sixth, and one of equals at that border. */
static void labels_among_the_top(void **state) {
    Confusion c;
    SegmentationScore s;
    assert_int_equal(confusion_new(&c, 7, NULL), OK);
    const float scores[7] = {6, 5, 5, 3, 2, 2, 0};
    const int32_t labels[4] = {4, 5, 6, 1};
    const int64_t top[4] = {1, 1, 1, 2};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(confusion_add_label(&c, scores, labels[i], NULL), OK);
        assert_true(c.top == top[i]);
    }
    confusion_scores(&c, &s, NULL);
    assert_true(s.top5_accuracy == 0.5 && s.pixel_accuracy == 0 && s.pixels == 4);
    confusion_free(&c);
}

static void counts_are_64_bit(void **state) {
    Confusion c;
    assert_int_equal(confusion_new(&c, 2, NULL), OK);
    c.count[0] = (INT64_C(1) << 33) + 1;
    c.count[1] = INT64_C(1) << 33;
    SegmentationScore s;
    confusion_scores(&c, &s, NULL);
    assert_true(s.pixels == (INT64_C(1) << 34) + 1);
    confusion_free(&c);
}

static void targets_that_are_no_class(void **state) {
    Confusion c;
    static Error err;
    assert_int_equal(confusion_new(&c, 2, NULL), OK);
    const uint8_t predicted[600] = {0};
    uint8_t mask[600] = {0};
    mask[1] = 1;
    mask[301] = 7;
    assert_int_equal(confusion_add_mask(&c, 2, 300, predicted, mask, &err), ERR_DATA);
    assert_string_equal(err.text, "error: pixel (1, 1) has value 7, which is no class (0..1) and not ignored\n");
    for (int i = 0; i < 6; i++) assert_true(c.count[i] == 0); /* nothing half counted */
    const float scores[2] = {0};
    const int32_t wrong[3] = {-1, 2, 256};
    for (int i = 0; i < 3; i++) {
        char words[80];
        err_clear(&err);
        assert_int_equal(confusion_add_label(&c, scores, wrong[i], &err), ERR_DATA);
        snprintf(words, sizeof words, "error: label %d is no class (0..1) and not ignored\n", wrong[i]);
        assert_string_equal(err.text, words);
    }
    for (int i = 0; i < 6; i++) assert_true(c.count[i] == 0);
    assert_true(c.images[0] == 0 && c.images[1] == 0 && c.ignored == 0 && c.top == 0);
    confusion_free(&c);
}

/* Against a plain loop, over sizes around the block length. */
static void matches_plain_count(void **state) {
    Rng rng = rng_stream(test_seed(), RNG_TEST, 0, 0);
    const int64_t sizes[][3] = {{1, 2, 1}, {3, 5, 255}, {2, 12, 256}, {2, 7, 257}, {1, 255, 600}};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        int64_t n = sizes[k][0], classes = sizes[k][1], s = sizes[k][2];
        float *scores = malloc(sizeof(float) * (size_t)(n * classes * s));
        uint8_t *target = malloc((size_t)(n * s));
        for (int64_t i = 0; i < n * classes * s; i++) scores[i] = (float)rng_below(&rng, 50);
        for (int64_t i = 0; i < n * s; i++) target[i] = rng_below(&rng, 9) ? (uint8_t)rng_below(&rng, classes) : 255;
        Confusion c;
        assert_int_equal(confusion_new(&c, (int)classes, NULL), OK);
        for (int64_t i = 0; i < n; i++) add_scores(&c, 1, (int)s, scores + i * classes * s, target + i * s);
        int64_t *want = calloc((size_t)(classes * classes), sizeof *want), ignored = 0;
        for (int64_t i = 0; i < n * s; i++) {
            int64_t best = 0;
            for (int64_t ch = 1; ch < classes; ch++) {
                const float *at = scores + i / s * classes * s + i % s;
                if (at[ch * s] > at[best * s]) best = ch;
            }
            if (target[i] == 255) {
                ignored++;
            } else {
                want[target[i] * classes + best]++;
            }
        }
        assert_true(c.ignored == ignored);
        assert_memory_equal(c.count, want, sizeof *want * (size_t)(classes * classes));
        confusion_free(&c);
        free(want);
        free(scores);
        free(target);
    }
}

static void reconstruction(void **state) {
    ReconstructionSum sum = {0};
    const float output[6] = {0.5f, 1, 0, 0.25f, 1, 1}, target[6] = {0, 1, 1, 0.5f, 1, 0};
    reconstruction_add(&sum, 2, 3, output, target);
    assert_true(sum.squared == 0.25 + 1 + 0.0625 + 1 && sum.absolute == 0.5 + 1 + 0.25 + 1);
    assert_true(sum.elements == 6 && sum.images == 2);
    reconstruction_add(&sum, 1, 3, output, output);
    assert_true(sum.squared == 2.3125 && sum.elements == 9 && sum.images == 3);
    reconstruction_add(&sum, 0, 3, output, output);
    assert_true(sum.images == 3);
    /* long: a sum that single precision could not hold */
    int64_t n = 300000;
    float *a = calloc((size_t)n, sizeof *a), *b = calloc((size_t)n, sizeof *b);
    for (int64_t i = 0; i < n; i++) a[i] = 0.001953125f;
    a[0] = 100.0f;
    sum = (ReconstructionSum){0};
    reconstruction_add(&sum, 10, n / 10, a, b);
    assert_true(fabs(sum.squared - (1e4 + (double)(n - 1) * 0.001953125 * 0.001953125)) < 1e-9);
    free(a);
    free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_by_hand),        cmocka_unit_test(absent_classes),
        cmocka_unit_test(class_metrics_by_name), cmocka_unit_test(extremes),
        cmocka_unit_test(labels_among_the_top),  cmocka_unit_test(first_of_equals_and_labels),
        cmocka_unit_test(counts_are_64_bit),     cmocka_unit_test(targets_that_are_no_class),
        cmocka_unit_test(matches_plain_count),   cmocka_unit_test(reconstruction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
