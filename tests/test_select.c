/* test_select.c - `data.only` and `data.without`: which samples a split has, for kinds with and without a quick way to
 * their labels, and what is said when a selection makes no sense. */
#include "data/loader.h"
#include "data/pack.h"
#include "data/select.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static Folder dir;
static Arena *arena;
static Experiment experiment;

/* 25 pictures, labels i % 10. */
static void configure(const char *task, const char *keys) {
    const char *text = arena_printf(arena,
                                    "task: %s\nmodel: {layers: [dense: 1]}\ndata:\n  kind: idx\n  root: %s\n"
                                    "  images: a.idx\n  labels: l.idx\n%s",
                                    task, dir.path, keys);
    read_experiment(&experiment, text, arena);
}

static Split *open_split(const char *name) {
    Split *split;
    Error err = ERROR_INIT;
    if (split_open(&split, &experiment, name, &err) != OK) fail_msg("%s", err.text);
    return split;
}

/* The split has these samples of the dataset, which its names tell; their pictures and labels are theirs. */
static void expect(const char *name, int n, const int *numbers) {
    Split *split = open_split(name);
    assert_int_equal(split_info(split)->n, n);
    for (int i = 0; i < n; i++) {
        char found[64], expected[64];
        Sample sample, view;
        Error err = ERROR_INIT;
        split_sample_name(split, i, found, sizeof found);
        snprintf(expected, sizeof expected, "%s[%d]", name, numbers[i]);
        assert_string_equal(found, expected);
        assert_int_equal(split_read(split, i, &sample, &err), OK);
        assert_int_equal(sample.label, numbers[i] % 10);
        assert_int_equal(sample.image.u8[1], (numbers[i] + 3) & 255);
        if (split_peek(split, i, &view)) assert_int_equal(view.image.u8[1], sample.image.u8[1]);
        image_free(&sample.image);
    }
    split_close(split);
}

static void test_only_and_without(void **state) {
    configure("reconstruction", "  train: {only: [3, 0]}\n  val: {without: [0, 1, 2, 3, 4, 5, 6, 7]}\n  test: {}\n");
    expect("train", 6, (const int[]){0, 3, 10, 13, 20, 23});
    expect("val", 4, (const int[]){8, 9, 18, 19});
    Split *all = open_split("test");
    assert_int_equal(split_info(all)->n, 25);
    split_close(all);
}

static void test_for_all_splits(void **state) {
    configure("reconstruction", "  only: 7\n  train: {}\n  val: {only: [6]}\n  test: {without: []}\n"
                                "  more: {without: [1, 2, 3, 4, 5, 6, 7, 8, 9]}\n");
    expect("train", 2, (const int[]){7, 17});
    expect("val", 2, (const int[]){6, 16});
    expect("more", 3, (const int[]){0, 10, 20}); /* a split's own keys replace both */
    Split *all = open_split("test");
    assert_int_equal(split_info(all)->n, 25);
    split_close(all);
}

/* Names instead of numbers; a cache, as the samples are converted; classification, whose labels stay. */
static void test_names_and_cache(void **state) {
    configure("classification", "  classes: [a, b, c, d, e, f, g, h, i, j]\n  size: [6, 6]\n  fit: resize\n"
                                "  train: {only: [b, '9']}\n");
    Split *split = open_split("train");
    assert_int_equal(split_info(split)->n, 5);
    assert_int_equal(split_info(split)->n_classes, 10);
    static const int labels[] = {1, 9, 1, 9, 1};
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 5; i++) {
            Sample sample;
            Error err = ERROR_INIT;
            assert_int_equal(split_read(split, i, &sample, &err), OK);
            assert_int_equal(sample.label, labels[i]);
            assert_int_equal(sample.image.width, 6);
            image_free(&sample.image);
        }
    split_close(split);
}

static void test_loader(void **state) {
    configure("reconstruction", "  train: {without: [4, 5]}\n");
    Split *split = open_split("train");
    Loader *loader;
    const Batch *batch;
    Error err = ERROR_INIT;
    LoaderSpec spec = {.split = split, .batch_size = 8, .shuffle = true, .multiple = 1};
    assert_int_equal(loader_new(&loader, &spec, &err), OK);
    assert_int_equal(loader_batches(loader), 3); /* 25 samples without 4, 14, 24, 5, 15 */
    assert_int_equal(loader_start(loader, 0, 0, &err), OK);
    int64_t n = 0;
    while (loader_next(loader, &batch, &err) == OK && batch) {
        for (int64_t i = 0; i < batch->n; i++) assert_true(batch->label[i] != 4 && batch->label[i] != 5);
        n += batch->n;
    }
    assert_int_equal(n, 20);
    loader_free(loader);
    split_close(split);
}

static void test_invert(void **state) {
    configure("reconstruction", "  without: [1, 2, 3, 4, 5, 6, 7, 8]\n  train: {}\n  val: {only: [1, 2]}\n  test:\n"
                                "  all: {only: []}\n");
    const Experiment own = experiment;
    experiment.data = selection_invert(own.data, "train", arena);
    Split *split = open_split("train");
    assert_int_equal(split_info(split)->n, 20); /* 1 to 4 three times, 5 to 8 twice */
    split_close(split);
    experiment.data = selection_invert(own.data, "val", arena);
    split = open_split("val");
    assert_int_equal(split_info(split)->n, 19);
    split_close(split);
    experiment.data = selection_invert(own.data, "test", arena);
    split = open_split("test");
    assert_int_equal(split_info(split)->n, 20);
    split_close(split);
    assert_null(selection_invert(own.data, "all", arena));
    assert_string_equal(node_get(own.data, "without")->items[0]->text, "1"); /* the original is as it was */
    assert_null(node_get(node_get(own.data, "train"), "only"));
}

/* A packed dataset tells labels without pictures. */
static void test_hdf5(void **state) {
    configure("reconstruction", "  train: {}\n");
    Error err = ERROR_INIT;
    if (pack_write(&experiment, folder_file(&dir, "p.h5"), 0, NULL, NULL, &err) != OK) fail_msg("%s", err.text);
    read_experiment(
        &experiment,
        arena_printf(arena,
                     "task: reconstruction\nmodel: {layers: [dense: 1]}\ndata: {kind: hdf5, root: %s, file: "
                     "p.h5, train: {only: [2, 9]}}\n",
                     dir.path),
        arena);
    Split *split = open_split("train");
    assert_int_equal(split_info(split)->n, 5);
    static const int numbers[] = {2, 9, 12, 19, 22};
    for (int i = 0; i < 5; i++) {
        Sample sample;
        assert_int_equal(split_read(split, i, &sample, &err), OK);
        assert_int_equal(sample.label, numbers[i] % 10);
        assert_int_equal(sample.image.u8[1], numbers[i] + 3);
        image_free(&sample.image);
    }
    split_close(split);
}

static void expect_error(const char *keys, const char *text) {
    Split *split;
    Error err = ERROR_INIT;
    configure("reconstruction", keys);
    assert_int_equal(split_open(&split, &experiment, "train", &err), ERR_CONFIG);
    char *found = strstr(err.text, "error: ");
    assert_non_null(found);
    *strchr(found, '\n') = '\0';
    assert_string_equal(found, text);
}

static void test_mistakes(void **state) {
    expect_error("  train: {only: [1], without: [2]}\n", "error: data.train: 'only' and 'without' exclude each other");
    expect_error("  only: 1\n  without: 2\n  train: {}\n", "error: data: 'only' and 'without' exclude each other");
    expect_error("  train: {only: [10]}\n",
                 "error: data.train.only: there is no class '10', classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    expect_error("  without: [cat]\n  train: {}\n",
                 "error: data.without: there is no class 'cat', classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    expect_error("  train: {only: [-1]}\n",
                 "error: data.train.only: there is no class '-1', classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9");
    expect_error("  train: {without: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\n",
                 "error: data.train.without: leaves none of the 25 samples of split 'train'");
    expect_error("  train: {only: [1], labels: ''}\n",
                 "error: data.train.only: the samples of split 'train' have no labels to choose by");
    expect_error("  classes: [a, b, c, d, e, f, g, h, i, j, k]\n  train: {only: [k]}\n",
                 "error: data.train.only: leaves none of the 25 samples of split 'train'");
}

static int set_up(void **state) {
    folder_make(&dir);
    arena = arena_new();
    write_idx(folder_file(&dir, "a.idx"), folder_file(&dir, "l.idx"), 25, 5, 5);
    return 0;
}

static int tear_down(void **state) {
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_and_without), cmocka_unit_test(test_for_all_splits),
                                       cmocka_unit_test(test_names_and_cache),  cmocka_unit_test(test_loader),
                                       cmocka_unit_test(test_invert),           cmocka_unit_test(test_hdf5),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
