/* test_evaluate.c - the scores of a split against what the network gives picture by picture: pictures that differ in
 * size and are no multiple of the stride, ignored pixels, what training computes, and what the report says. */
#include "data_files.h"
#include "scratch.h"
#include "train/boundary.h"
#include "train/tta.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 5, CLASSES = 4 }; /* the last class is in no mask */

static Engine *engine;

static int open_engine(void **state) {
    return engine_new(&engine, 0, NULL);
}

static int close_engine(void **state) {
    engine_free(engine);
    return 0;
}

/* A network with random weights over a folder of pictures. */
typedef struct Fixture {
    Scratch *s;
    Experiment experiment;
    DataConfig data;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Net *net;
} Fixture;

static const char config[] = "task: segmentation\n"
                             "data:\n"
                             "  kind: folder\n"
                             "  classes: [sky, \"a, \\\"b\\\"\", road, ghost]\n"
                             "  ignore: 9\n"
                             "  root: %s\n"
                             "  val: {images: im, masks: masks}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - conv2d: {filters: 6, kernel: 3, padding: same}\n"
                             "    - maxpool2d: 4\n"
                             "    - activation: relu\n"
                             "    - upsample2d: 4\n"
                             "    - conv2d: {filters: 4, kernel: 3, padding: same, bias: false}\n"
                             "train: {batch_size: 3, loss: cross_entropy, best: %s}\n";

static const int sizes[N][2] = {{13, 9}, {8, 21}, {13, 9}, {1, 5}, {30, 17}}; /* height, width */

static void make_pictures(Scratch *s) {
    Rng rng = rng_stream(4, RNG_TEST, 0, 0);
    Folder folder;
    snprintf(folder.path, sizeof folder.path, "%s", s->folder);
    folder_sub(&folder, "im");
    folder_sub(&folder, "masks");
    for (int i = 0; i < N; i++) {
        int height = sizes[i][0], width = sizes[i][1];
        Image image = random_image(&rng, width, height, 3, 8);
        uint8_t mask[30 * 17];
        for (int p = 0; p < height * width; p++)
            mask[p] = rng_below(&rng, 9) == 0 ? 9 : (uint8_t)((p / width / 4 + p % width / 6) % 3);
        save_image(scratch_path(s, arena_printf(s->arena, "im/%d.png", i)), &image);
        save_grey(scratch_path(s, arena_printf(s->arena, "masks/%d.png", i)), width, height, mask);
        image_free(&image);
    }
}

static void open_net(Fixture *f, Scratch *s, const char *best) {
    *f = (Fixture){.s = s};
    const char *text = arena_printf(s->arena, config, s->folder, best);
    CHECK(config_load_text(&f->experiment, "test.yaml", text, 0, NULL, s->arena, &s->err));
    CHECK(data_config_read(&f->data, &f->experiment, s->arena, &s->err));
    CHECK(graph_build(&f->graph, &f->experiment, SHAPE(1, 3, 16, 16), CLASSES, s->arena, &s->err));
    CHECK(weights_new(&f->weights, f->graph, &s->err));
    CHECK(weights_init(f->weights, 3, &s->err));
    CHECK(loss_set_build(&f->losses, &f->experiment, f->graph, NULL, NULL, s->arena, &s->err));
    NetParts parts = {engine, &f->experiment, &f->data, f->graph, f->weights, &f->losses};
    CHECK(net_wrap(&f->net, &parts, &s->err));
}

static void close_net(Fixture *f) {
    net_close(f->net);
    weights_free(f->weights);
}

/* What the network says of each picture alone (tta NULL: as it is), counted. */
static void score_one_by_one(Fixture *f, Tta *tta, Confusion *counts, Boundary *boundary) {
    Scratch *s = f->s;
    Split *split;
    CHECK(split_open(&split, &f->experiment, "val", &s->err));
    for (int i = 0; i < N; i++) {
        Sample sample;
        const float *output;
        Shape shape;
        static float input[3 * 30 * 17];
        uint8_t predicted[30 * 17];
        int height = sizes[i][0], width = sizes[i][1];
        CHECK(split_read(split, i, &sample, &s->err));
        data_normalize(split_config(split), &sample.image, input);
        CHECK(tta ? tta_run(tta, 1, 3, height, width, input, &output, &shape, &s->err)
                  : net_run(f->net, 1, 3, height, width, input, &output, &shape, &s->err));
        assert_true(shape_equal(shape, SHAPE(1, CLASSES, height, width)));
        scores_argmax(CLASSES, height * width, output, predicted);
        CHECK(confusion_add_mask(counts, height, width, predicted, sample.mask.u8, &s->err));
        CHECK(boundary_add(boundary, height, width, predicted, sample.mask.u8, &s->err));
        image_free(&sample.image);
        image_free(&sample.mask);
    }
    split_close(split);
}

static void test_pictures_of_any_size(void **state) {
    Scratch *s = *state;
    Fixture f;
    Evaluation e;
    make_pictures(s);
    open_net(&f, s, "miou");
    EvaluateSpec spec = {.split = "val", .boundary = true, .boundary_tolerance = 0.07};
    CHECK(net_evaluate_split(f.net, &spec, &e, s->arena, &s->err));
    Confusion counts;
    Boundary *boundary;
    CHECK(confusion_new(&counts, CLASSES, &s->err));
    CHECK(boundary_new(&boundary, CLASSES, 0.07, &s->err));
    score_one_by_one(&f, NULL, &counts, boundary);
    assert_memory_equal(e.confusion, counts.count, sizeof(int64_t) * (CLASSES + 1) * CLASSES);
    SegmentationScore want;
    ClassScore classes[CLASSES];
    confusion_scores(&counts, &want, classes);
    boundary_scores(boundary, &want, classes);
    const SegmentationScore *got = &e.segmentation;
    assert_true(e.images == N && got->pixels + got->ignored == 13 * 9 * 2 + 8 * 21 + 5 + 30 * 17);
    assert_true(got->ignored == want.ignored && got->ignored > 0); /* not the padding */
    assert_true(got->miou == want.miou && got->bounded && got->boundary_f1 == want.boundary_f1);
    assert_true(e.boundary_tolerance == 0.07 && isfinite(e.loss));
    for (int c = 0; c < CLASSES; c++)
        assert_true(e.classes[c].iou == classes[c].iou && e.classes[c].boundary_f1 == classes[c].boundary_f1 &&
                    e.classes[c].images == classes[c].images);
    assert_true(!e.classes[3].present && e.classes[3].images == 0);
    boundary_free(boundary);
    confusion_free(&counts);
    close_net(&f);
}

/* Flips and scales are those of predict, of pictures without the padding of their batch; the loss is the network's. */
static void test_views(void **state) {
    Scratch *s = *state;
    Fixture f;
    Evaluation plain, e;
    Tta *tta;
    Confusion counts;
    Boundary *boundary;
    const TtaSpec views = {.flip = true, .n_scales = 2, .scales = {1, 1.5}};
    make_pictures(s);
    open_net(&f, s, "miou");
    EvaluateSpec spec = {.split = "val"};
    CHECK(net_evaluate_split(f.net, &spec, &plain, s->arena, &s->err));
    spec.tta = &views;
    CHECK(net_evaluate_split(f.net, &spec, &e, s->arena, &s->err));
    CHECK(tta_new(&tta, f.net, &views, &s->err));
    CHECK(confusion_new(&counts, CLASSES, &s->err));
    CHECK(boundary_new(&boundary, CLASSES, 0.07, &s->err));
    score_one_by_one(&f, tta, &counts, boundary);
    size_t bytes = sizeof(int64_t) * (CLASSES + 1) * CLASSES;
    assert_memory_equal(e.confusion, counts.count, bytes);
    assert_true(memcmp(e.confusion, plain.confusion, bytes) != 0);
    assert_true(e.loss == plain.loss && e.images == N);
    boundary_free(boundary);
    confusion_free(&counts);
    tta_free(tta);
    close_net(&f);
}

/* Edges cost time: training computes them only for a train.best that is about them. */
static void test_what_training_computes(void **state) {
    Scratch *s = *state;
    static const char *const best[] = {"miou", "boundary_f1", "mean_dice"};
    make_pictures(s);
    for (int i = 0; i < 3; i++) {
        Fixture f;
        Evaluation e;
        double value = -1;
        open_net(&f, s, best[i]);
        CHECK(net_evaluate(f.net, "val", NULL, &e, s->arena, &s->err));
        assert_int_equal(e.segmentation.bounded, i == 1);
        assert_int_equal(evaluation_metric(&e, "boundary_f1", &value), i == 1);
        if (i == 1) assert_true(value == e.segmentation.boundary_f1 && e.boundary_tolerance == BOUNDARY_TOLERANCE);
        if (i == 1) assert_true(value > 0 && value < 1);
        assert_true(evaluation_metric(&e, best[i], &value));
        assert_true(evaluation_metric(&e, "mean_recall", &value) && value == e.segmentation.mean_accuracy);
        close_net(&f);
    }
}

/* A class without a score is absent, and null where a number would stand: the text has no NaN. */
static void test_report(void **state) {
    Scratch *s = *state;
    static const char *const names[2] = {"car", "dog"};
    ClassScore classes[2] = {{.present = true,
                              .scored = true,
                              .bounded = true,
                              .pixels = 5,
                              .images = 2,
                              .iou = 0.5,
                              .accuracy = 0.75,
                              .precision = 0.25,
                              .dice = 0.125,
                              .boundary_f1 = 1}};
    Evaluation e = {.task = TASK_SEGMENTATION,
                    .images = 3,
                    .loss = 2,
                    .n_classes = 2,
                    .classes = classes,
                    .segmentation = {.miou = 0.5, .bounded = true, .n_bounded = 1, .pixels = 5, .ignored = 7}};
    Json j = json_begin(s->arena);
    json_open_object(&j, NULL);
    evaluation_write_json(&e, names, &j);
    json_close(&j);
    assert_string_equal(
        json_text(&j), "{\"loss\":2,\"pixel_accuracy\":0,\"mean_accuracy\":0,\"miou\":0.5,\"frequency_weighted_iou\":0,"
                       "\"mean_precision\":0,\"mean_dice\":0,\"boundary_f1\":0,\"ignored\":7,\"per_class\":{"
                       "\"car\":{\"pixels\":5,\"images\":2,\"absent\":false,\"iou\":0.5,\"accuracy\":0.75,"
                       "\"precision\":0.25,\"recall\":0.75,\"dice\":0.125,\"boundary_f1\":1},"
                       "\"dog\":{\"pixels\":0,\"images\":0,\"absent\":true,\"iou\":null,\"accuracy\":null,"
                       "\"precision\":null,\"recall\":null,\"dice\":null,\"boundary_f1\":null}},\"images\":3}");
    e.task = TASK_CLASSIFICATION;
    e.segmentation = (SegmentationScore){.top5_accuracy = 0.5, .pixels = 2};
    j = json_begin(s->arena);
    json_open_object(&j, NULL);
    evaluation_write_json(&e, names, &j);
    json_close(&j);
    assert_string_equal(json_text(&j),
                        "{\"loss\":2,\"accuracy\":0,\"top5_accuracy\":0.5,\"mean_accuracy\":0,\"mean_precision\":0,"
                        "\"mean_f1\":0,\"ignored\":0,\"per_class\":{\"car\":{\"images\":2,\"absent\":false,"
                        "\"accuracy\":0.75,\"precision\":0.25,\"recall\":0.75,\"f1\":0.125},\"dog\":{\"images\":0,"
                        "\"absent\":true,\"accuracy\":null,\"precision\":null,\"recall\":null,\"f1\":null}},"
                        "\"images\":3}");
    j = json_begin(s->arena); /* the line of history.jsonl */
    json_open_object(&j, NULL);
    evaluation_write_json(&e, NULL, &j);
    json_close(&j);
    assert_null(strstr(json_text(&j), "per_class"));
}

/* Of masks that are ignored altogether nothing is known; of whole pictures of one class, found so, no outline is. */
static void test_nothing_to_score(void **state) {
    Scratch *s = *state;
    static const char *const metrics[] = {"pixel_accuracy", "mean_accuracy", "miou",      "frequency_weighted_iou",
                                          "mean_precision", "mean_recall",   "mean_dice", "boundary_f1"};
    const uint8_t one[4] = {1, 1, 1, 1}, ignored[4] = {255, 255, 255, 255};
    for (int i = 0; i < 2; i++) {
        Confusion confusion;
        Boundary *boundary = NULL;
        ClassScore classes[2];
        double value;
        Evaluation e = {.task = TASK_SEGMENTATION, .n_classes = 2, .classes = classes};
        CHECK(confusion_new(&confusion, 2, &s->err));
        CHECK(boundary_new(&boundary, 2, BOUNDARY_TOLERANCE, &s->err));
        CHECK(confusion_add_mask(&confusion, 2, 2, one, i == 0 ? ignored : one, &s->err));
        CHECK(boundary_add(boundary, 2, 2, one, i == 0 ? ignored : one, &s->err));
        confusion_scores(&confusion, &e.segmentation, classes);
        boundary_scores(boundary, &e.segmentation, classes);
        for (size_t k = 0; k < sizeof metrics / sizeof *metrics; k++) {
            const bool has = i == 1 && strcmp(metrics[k], "boundary_f1") != 0;
            assert_int_equal(evaluation_metric(&e, metrics[k], &value), has);
            if (has) assert_true(value == 1);
        }
        Json j = json_begin(s->arena);
        json_open_object(&j, NULL);
        evaluation_write_json(&e, NULL, &j);
        json_close(&j);
        assert_non_null(strstr(json_text(&j), i == 0 ? "\"miou\":null" : "\"miou\":1,"));
        assert_non_null(strstr(json_text(&j), "\"boundary_f1\":null"));
        boundary_free(boundary);
        confusion_free(&confusion);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_pictures_of_any_size), TEST(test_views), TEST(test_what_training_computes), TEST(test_report),
        TEST(test_nothing_to_score),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
