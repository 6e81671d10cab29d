/* Words of errors: places, carets, collection, context, nearest names. */
#include "base/error.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const Source source = {.name = "a.yaml", .text = "first: 1\n      kernel: 0\n\tx: é: 7\nlast"};

static void test_words_without_a_place(void **state) {
    Error err = ERROR_INIT;
    assert_int_equal(err_set(&err, ERR_IO, "cannot read '%s'", "x.png"), ERR_IO);
    assert_string_equal(err.text, "error: cannot read 'x.png'\n");
    assert_int_equal(err.code, ERR_IO);
    assert_int_equal(err.count, 1);
    assert_int_equal(err_set(NULL, ERR_DATA, "nobody listens"), ERR_DATA);
}

static void test_place_and_caret(void **state) {
    Error err = ERROR_INIT;
    err_at(&err, ERR_CONFIG, (Mark){&source, 2, 15}, "'kernel' must be between 1 and 31, got 0");
    assert_string_equal(err.text, "a.yaml:2:15: error: 'kernel' must be between 1 and 31, got 0\n"
                                  "  2 |       kernel: 0\n"
                                  "    |               ^\n");
}

/* Columns count characters; a tab is shown as one space, so that the caret stays in place. */
static void test_caret_counts_characters(void **state) {
    Error err = ERROR_INIT;
    err_at(&err, ERR_CONFIG, (Mark){&source, 3, 8}, "here");
    assert_string_equal(err.text, "a.yaml:3:8: error: here\n"
                                  "  3 |  x: é: 7\n"
                                  "    |        ^\n");
}

static void test_places_beyond_the_text(void **state) {
    Error err = ERROR_INIT;
    err_at(&err, ERR_CONFIG, (Mark){&source, 4, 9}, "behind the end");
    err_at(&err, ERR_CONFIG, (Mark){&source, 12, 1}, "no such line");
    Source set = {.name = "--set train.lr=fast"};
    err_at(&err, ERR_CONFIG, (Mark){.source = &set}, "train.lr: expected a number, got 'fast'");
    err_at(&err, ERR_CONFIG, (Mark){0}, "nowhere");
    assert_string_equal(err.text, "a.yaml:4:9: error: behind the end\n"
                                  "  4 | last\n"
                                  "    |         ^\n"
                                  "a.yaml:12:1: error: no such line\n"
                                  "--set train.lr=fast: error: train.lr: expected a number, got 'fast'\n"
                                  "error: nowhere\n");
    assert_int_equal(err.count, 4);
}

/* Damaged files hold bytes that a terminal obeys; a caret still stands under its character. */
static void test_control_characters_are_not_shown(void **state) {
    static const Source damaged = {.name = "a\x1b.yaml", .text = "a\x9b\x7f\xc2\x9b\x1b[2J\xff\xe2\x82 b"};
    Error err = ERROR_INIT;
    err_at(&err, ERR_CONFIG, (Mark){&damaged, 1, 12}, "got '%s'", "\x1b[31m\x85\n\xc2\x85");
    err_set(&err, ERR_CONFIG, "é\x80\tx");
#define R "\xEF\xBF\xBD"
    assert_string_equal(err.text, "a" R ".yaml:1:12: error: got '" R "[31m" R R R "'\n"
                                  "  1 | a" R R R R "[2J" R R R " b\n"
                                  "    |            ^\n"
                                  "error: é" R " x\n");
}

/* A line of several hundred characters is shown around the column. */
static void test_long_lines_are_cut(void **state) {
    char text[1001];
    memset(text, 'x', 1000);
    text[499] = '!';
    text[1000] = 0;
    Source longer = {.name = "l", .text = text};
    Error err = ERROR_INIT;
    err_at(&err, ERR_CONFIG, (Mark){&longer, 1, 500}, "long");
    const char *shown = strchr(err.text, '|') + 2, *caret = strchr(err.text, '^');
    const char *caret_line = strrchr(err.text, '|') + 2;
    assert_int_equal(strcspn(shown, "\n"), 120);
    assert_int_equal(shown[caret - caret_line], '!');
}

static void test_context_goes_before_the_last_words(void **state) {
    Error err = ERROR_INIT;
    assert_int_equal(err_context(&err, "nothing yet"), OK);
    err_set(&err, ERR_IO, "first");
    err_at(&err, ERR_CONFIG, (Mark){&source, 2, 7}, "second");
    assert_int_equal(err_context(&err, "layer '%s'", "enc"), ERR_IO);
    err_context(&err, "model");
    assert_string_equal(err.text, "error: first\n"
                                  "a.yaml:2:7: error: model: layer 'enc': second\n"
                                  "  2 |       kernel: 0\n"
                                  "    |       ^\n");
    assert_int_equal(err_context(NULL, "nobody"), OK);
}

static void test_twenty_are_kept(void **state) {
    Error err = ERROR_INIT;
    for (int i = 0; i < 25; i++) err_set(&err, ERR_DATA, "number %d", i);
    assert_int_equal(err.count, ERROR_MAX);
    assert_int_equal(err.dropped, 5);
    assert_non_null(strstr(err.text, "number 19\n"));
    assert_null(strstr(err.text, "number 20"));
    err_context(&err, "not for number 19");
    assert_null(strstr(err.text, "not for"));
    err_clear(&err);
    assert_int_equal(err.code, OK);
    assert_string_equal(err.text, "");
    err_set(&err, ERR_IO, "anew");
    assert_string_equal(err.text, "error: anew\n");
}

static void test_long_words_are_cut_to_a_line(void **state) {
    char words[20000];
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = 0;
    Error err = ERROR_INIT;
    for (int i = 0; i < 10; i++) err_set(&err, ERR_DATA, "%s", words);
    assert_in_range(err.count, 2, 5);
    assert_int_equal(err.count + err.dropped, 10);
    assert_int_equal(err.text[err.used - 1], '\n');
    assert_int_equal(strlen(err.text), err.used);
}

static void test_append(void **state) {
    Error a = ERROR_INIT, b = ERROR_INIT, none = ERROR_INIT;
    err_set(&a, ERR_IO, "one");
    err_at(&b, ERR_CONFIG, (Mark){&source, 2, 7}, "two");
    err_set(&b, ERR_DATA, "three");
    assert_int_equal(err_append(&a, &none), OK);
    assert_int_equal(err_append(&a, &b), ERR_CONFIG);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.code, ERR_IO);
    err_context(&a, "context");
    assert_string_equal(a.text, "error: one\n"
                                "a.yaml:2:7: error: two\n"
                                "  2 |       kernel: 0\n"
                                "    |       ^\n"
                                "error: context: three\n");
    for (int i = 0; i < 18; i++) err_set(&b, ERR_DATA, "more");
    err_append(&a, &b);
    assert_int_equal(a.count, ERROR_MAX);
    assert_int_equal(a.dropped, 3);
    assert_int_equal(err_append(NULL, &b), ERR_CONFIG);
    assert_int_equal(err_append(&a, NULL), OK);
}

static void test_nearest_name(void **state) {
    static const char *const names[] = {"kernel", "filters", "average", "max", "batch_size", NULL};
    assert_string_equal(nearest_name("kernal", names), "kernel");
    assert_string_equal(nearest_name("flters", names), "filters");
    assert_string_equal(nearest_name("fitlers", names), "filters"); /* neighbours swapped: one step */
    assert_string_equal(nearest_name("avrage", names), "average");
    assert_string_equal(nearest_name("Batch-Size", names), "batch_size"); /* case and dashes count nothing */
    assert_string_equal(nearest_name("mix", names), "max");
    assert_null(nearest_name("ma", names)); /* half of the word would be wrong */
    assert_null(nearest_name("kernelling", names));
    assert_null(nearest_name("", names));
    assert_null(nearest_name("x", NULL));
    char longer[300];
    memset(longer, 'a', 299);
    longer[299] = 0;
    assert_null(nearest_name(longer, names));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_without_a_place),
        cmocka_unit_test(test_place_and_caret),
        cmocka_unit_test(test_caret_counts_characters),
        cmocka_unit_test(test_places_beyond_the_text),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_control_characters_are_not_shown),
        cmocka_unit_test(test_context_goes_before_the_last_words),
        cmocka_unit_test(test_twenty_are_kept),
        cmocka_unit_test(test_long_words_are_cut_to_a_line),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_nearest_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
