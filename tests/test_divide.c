/* test_divide.c - splits that share one set of samples: by part, pattern and list of names; groups; mistakes. */
#include "data/split.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_PICTURES = 240, N_FILMS = 12 };

static Folder dir;
static Arena *arena;
static Experiment experiment;

static void put_picture(const char *name) {
    save_grey(folder_file(&dir, name), 2, 2, (const uint8_t[]){1, 2, 3, 4});
}

/* Pictures of 12 films, 20 each: im/f03_0007.png. */
static void put_films(void) {
    folder_sub(&dir, "im");
    for (int i = 0; i < N_PICTURES; i++)
        put_picture(arena_printf(arena, "im/f%02d_%04d.png", i % N_FILMS, i / N_FILMS));
}

static void configure(const char *data) {
    read_experiment(
        &experiment,
        arena_printf(arena, "task: reconstruction\nmodel: {layers: [dense: 1]}\ndata:\n  root: %s\n%s", dir.path, data),
        arena);
}

static void configure_films(const char *splits) {
    configure(arena_printf(arena, "  kind: folder\n  images: im\n%s", splits));
}

/* owner[i] becomes `mark` for the samples of a split, which nobody may have owned before. Returns how many. */
static int claim(const char *name, char owner[N_PICTURES], char mark) {
    Split *split;
    Error err = ERROR_INIT;
    if (split_open(&split, &experiment, name, &err) != OK) fail_msg("%s", err.text);
    int n = (int)split_info(split)->n;
    for (int i = 0; i < n; i++) {
        char text[512];
        split_sample_name(split, i, text, sizeof text);
        int film, frame;
        assert_int_equal(sscanf(strrchr(text, '/'), "/f%d_%d.png", &film, &frame), 2);
        char *at = &owner[frame * N_FILMS + film];
        if (*at != 0) fail_msg("%s is in split %c and in %c", text, *at, mark);
        *at = mark;
    }
    split_close(split);
    return n;
}

static void expect_error(const char *split_name, const char *text) {
    Split *split;
    Error err = ERROR_INIT;
    assert_int_not_equal(split_open(&split, &experiment, split_name, &err), OK);
    char *found = strdup(words(&err, &dir));
    const char *from = strstr(found, "error: "); /* without the place, which is in the config's text */
    assert_non_null(from);
    found[from - found + (ptrdiff_t)strcspn(from, "\n")] = '\0';
    assert_string_equal(from, text);
    free(found);
}

static void test_parts(void **state) {
    configure_films("  train: {part: rest}\n  val: {part: 0.2}\n  test: {part: 0.1}\n");
    char owner[N_PICTURES] = {0}, again[N_PICTURES] = {0};
    int n_train = claim("train", owner, 't'), n_val = claim("val", owner, 'v'), n_test = claim("test", owner, 'e');
    assert_int_equal(n_train + n_val + n_test, N_PICTURES);
    assert_null(memchr(owner, 0, sizeof owner));
    assert_in_range(n_val, 48 - 25, 48 + 25); /* four deviations of the binomial distribution */
    assert_in_range(n_test, 24 - 19, 24 + 19);
    claim("test", again, 'e'); /* whatever was opened before */
    claim("val", again, 'v');
    claim("train", again, 't');
    assert_memory_equal(owner, again, sizeof owner);
    configure_films("  part_seed: 1\n  train: {part: rest}\n  val: {part: 0.2}\n  test: {part: 0.1}\n");
    char other[N_PICTURES] = {0};
    claim("train", other, 't'), claim("val", other, 'v'), claim("test", other, 'e');
    assert_memory_not_equal(owner, other, sizeof owner);
    /* numbers that leave a part to nobody */
    configure_films("  train: {part: 0.5}\n  val: {part: 0.2}\n");
    memset(other, 0, sizeof other);
    int n = claim("train", other, 't') + claim("val", other, 'v');
    assert_in_range(n, 168 - 29, 168 + 29);
}

/* What is there stays where it is when pictures come, in whatever order, and when their format changes. */
static void test_parts_are_stable(void **state) {
    configure_films("  train: {part: rest}\n  val: {part: 0.3}\n");
    char before[N_PICTURES] = {0}, after[N_PICTURES] = {0};
    claim("train", before, 't'), claim("val", before, 'v');
    for (int i = 0; i < 100; i++) put_picture(arena_printf(arena, "im/%c%d.png", i % 2 ? 'a' : 'z', i));
    configure_films("  train: {part: rest, except: [\"im/a*\", \"im/z*\"]}\n  val: {part: 0.3}\n");
    expect_error("train", "error: data.train: 'part' beside pattern, except or names: a split goes by name or takes a "
                          "part");
    configure_films("  train: {part: rest}\n  val: {part: 0.3}\n  new: {pattern: [\"im/a*\", \"im/z*\"]}\n");
    claim("train", after, 't'), claim("val", after, 'v');
    assert_memory_equal(before, after, sizeof before);
    for (int i = 0; i < 100; i++) remove(folder_file(&dir, arena_printf(arena, "im/%c%d.png", i % 2 ? 'a' : 'z', i)));
}

static void expect_whole_films(const char *group) {
    configure_films(arena_printf(arena, "  part_group: \"%s\"\n  train: {part: rest}\n  val: {part: 0.4}\n", group));
    char owner[N_PICTURES] = {0};
    assert_int_equal(claim("train", owner, 't') + claim("val", owner, 'v'), N_PICTURES);
    for (int i = N_FILMS; i < N_PICTURES; i++) assert_int_equal(owner[i], owner[i % N_FILMS]);
}

static void test_groups(void **state) {
    expect_whole_films("3");
    expect_whole_films("f[0-9]+");
    expect_whole_films("/(f[0-9]+)_");
    configure_films("  part_group: \"film([0-9])\"\n  train: {part: rest}\n  val: {part: 0.4}\n");
    expect_error("val",
                 "error: data.part_group: 'film([0-9])' is not found in 'im/f00_0000.png', which then has no group");
    configure_films("  part_group: \"f(\"\n  train: {part: rest}\n  val: {part: 0.4}\n");
    expect_error("val", "error: data.part_group: expected a number of characters or a regular expression, got 'f(': "
                        "Unmatched ( or \\(");
}

static void test_patterns(void **state) {
    configure_films("  train: {part: rest}\n  val: {part: 0.5}\n  test: {pattern: [\"*f03_*\", \"im/f1?_*\"], "
                    "except: \"*_0019*\"}\n");
    char owner[N_PICTURES] = {0};
    assert_int_equal(claim("test", owner, 'e'), 3 * 19);
    for (int i = 0; i < N_PICTURES; i++) {
        int film = i % N_FILMS;
        bool wanted = (film == 3 || film >= 10) && i / N_FILMS != 19;
        assert_int_equal(owner[i] == 'e', wanted);
    }
    claim("train", owner, 't'), claim("val", owner, 'v');
    assert_null(memchr(owner, 0, sizeof owner));
    configure_films("  train: {pattern: \"*\"}\n  val: {pattern: \"*f03_*\"}\n");
    expect_error("train", "error: data: both 'train' and 'val' take 'im/f03_0000.png'");
    configure_films("  train: {part: rest}\n  val: {pattern: \"f03_*\"}\n");
    expect_error("val", "error: data.val: takes none of the 240 samples; patterns are for whole names below data.root, "
                        "as in *_val.png");
}

static void test_names(void **state) {
    write_text(folder_file(&dir, "val.txt"), "# any of four ways\nf00_0001\nim/f01_0002.png\n\nim/f02_0003\r\n"
                                             "f03_0004.png\n");
    configure_films("  train: {part: rest}\n  val: {names: val.txt}\n");
    char owner[N_PICTURES] = {0};
    assert_int_equal(claim("val", owner, 'v'), 4);
    for (int film = 0; film < 4; film++) assert_int_equal(owner[(film + 1) * N_FILMS + film], 'v');
    assert_int_equal(claim("train", owner, 't'), N_PICTURES - 4);
    write_text(folder_file(&dir, "val.txt"), "f00_0001\nnowhere\nf77_0000\n");
    expect_error("val", "error: data.val.names: 2 of the 3 names in val.txt are of no sample, the first is 'f77_0000'");
}

static void test_mistakes(void **state) {
    configure_films("  train: {}\n  val: {part: 0.2}\n");
    expect_error("train", "error: data.train: draws on the same samples as 'val', which takes some of them, but does "
                          "not say which it takes; for all others: part: rest");
    configure_films("  train: {part: 0.8}\n  val: {part: 0.3}\n");
    expect_error("val", "error: data: the parts of the splits add up to 1.1; at most 1 can be shared out");
    configure_films("  train: {part: rest}\n  val: {part: rest}\n");
    expect_error("train", "error: data: both 'train' and 'val' take the rest");
    configure_films("  train: {part: rest}\n  val: {part: 20%}\n");
    expect_error("val", "error: data.val.part: must be a fraction above 0, up to 1, or rest, got 20%");
    configure_films("  train: {part: rest}\n  val: {part: 0.0001}\n");
    expect_error("val", "error: data.val: takes none of the 240 samples; with so few, another data.part_seed may help, "
                        "or name them with 'pattern'");
    /* splits of other samples are nobody's business */
    folder_sub(&dir, "other");
    put_picture("other/a.png");
    configure("  kind: folder\n  train: {images: other}\n  val: {images: im, part: 0.7}\n  test: {images: im, part: "
              "0.3}\n");
    char owner[N_PICTURES] = {0};
    assert_int_equal(claim("val", owner, 'v') + claim("test", owner, 'e'), N_PICTURES);
    Split *split;
    assert_int_equal(split_open(&split, &experiment, "train", NULL), OK);
    assert_int_equal(split_info(split)->n, 1);
    split_close(split);
}

/* Samples without names go by their number; labels choose among those of a part. */
static void test_numbers(void **state) {
    write_idx(folder_file(&dir, "a.idx"), folder_file(&dir, "a.lab"), 200, 2, 2);
    configure("  kind: idx\n  images: a.idx\n  labels: a.lab\n  train: {part: rest}\n  val: {part: 0.25}\n"
              "  three: {part: 0.25, only: 3}\n");
    int seen[200] = {0}, n = 0;
    const char *const names[] = {"train", "val"};
    for (int k = 0; k < 2; k++) {
        Split *split;
        assert_int_equal(split_open(&split, &experiment, names[k], NULL), OK);
        for (int64_t i = 0; i < split_info(split)->n; i++, n++) {
            Sample sample;
            assert_int_equal(split_read(split, i, &sample, NULL), OK);
            seen[sample.image.u8[0]]++; /* picture i begins with i */
            image_free(&sample.image);
        }
        split_close(split);
    }
    Split *three;
    assert_int_equal(split_open(&three, &experiment, "three", NULL), OK);
    int64_t n_three = split_info(three)->n;
    assert_in_range(n_three, 1, 19);
    for (int64_t i = 0; i < n_three; i++) {
        Sample sample;
        assert_int_equal(split_read(three, i, &sample, NULL), OK);
        assert_int_equal(sample.label, 3);
        assert_int_equal(seen[sample.image.u8[0]]++, 0); /* in neither of the others */
        image_free(&sample.image);
    }
    split_close(three);
    for (int i = 0; i < 200; i++) assert_in_range(seen[i], 0, 1);
    assert_in_range(n, 150 - 25, 150 + 25);
    configure("  kind: idx\n  images: a.idx\n  labels: a.lab\n  train: {part: rest}\n  val: {pattern: \"*\"}\n");
    expect_error("val", "error: data.val: the samples of kind 'idx' have no names to choose by; use 'part'");
}

static int set_up(void **state) {
    folder_make(&dir);
    arena = arena_new();
    put_films();
    return 0;
}

static int tear_down(void **state) {
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),   cmocka_unit_test(test_parts_are_stable),
        cmocka_unit_test(test_groups),  cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
