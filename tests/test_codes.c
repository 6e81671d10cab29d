/* test_codes.c - train/codes.h: what is written comes back; files of others are read; damaged ones are refused. */
#include "scratch.h"
#include "train/codes.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static const char *const names[] = {"a", "b", "c"};

static void test_round_trip(void **state) {
    Scratch *s = *state;
    float values[3 * 2 * 2 * 1];
    int32_t labels[] = {7, -1, 2};
    for (int i = 0; i < 12; i++) values[i] = (float)i / 3;
    Codes codes = {.n = 3,
                   .shape = SHAPE(1, 2, 2, 1),
                   .size = 4,
                   .values = values,
                   .labels = labels,
                   .names = names,
                   .at = "code",
                   .model = "runs/a/best.h5",
                   .input = SHAPE(1, 1, 8, 4)};
    const char *path = scratch_path(s, "codes.h5");
    CHECK(codes_write(path, &codes, &s->err));
    Codes back;
    CHECK(codes_read(&back, path, 0, s->arena, &s->err));
    assert_int_equal(back.n, 3);
    assert_int_equal(back.size, 4);
    assert_true(shape_equal(back.shape, codes.shape));
    assert_true(shape_equal(back.input, codes.input));
    assert_memory_equal(back.values, values, sizeof values);
    assert_memory_equal(back.labels, labels, sizeof labels);
    assert_string_equal(back.names[2], "c");
    assert_string_equal(back.at, "code");
    assert_string_equal(back.model, "runs/a/best.h5");
    codes_free(&back);
    CHECK(codes_read(&back, path, 2, s->arena, &s->err));
    assert_int_equal(back.n, 2);
    assert_memory_equal(back.values, values, sizeof values / 3 * 2);
    assert_int_equal(back.labels[1], -1);
    codes_free(&back);
    codes_free(&back); /* empty */
}

typedef struct Part {
    const char *path;
    H5Array array;
    const void *data;
} Part;

/* A file of these arrays, as another program might write it. */
static const char *write_parts(Scratch *s, int n, const Part *parts, int n_names, const char *const *texts) {
    const char *path = scratch_path(s, "other.h5");
    H5 *file;
    CHECK(h5_create(&file, path, &s->err));
    for (int i = 0; i < n; i++) CHECK(h5_write(file, parts[i].path, parts[i].array, NULL, parts[i].data, &s->err));
    if (n_names) CHECK(h5_write_texts(file, "/names", n_names, texts, &s->err));
    CHECK(h5_commit(file, NULL, &s->err));
    h5_close(file);
    return path;
}

static void test_of_others(void **state) {
    Scratch *s = *state;
    const double doubles[] = {0.5, 1, -2, 3, 4, 5};
    const int64_t whole[] = {1, 2, 3, 4};
    Codes codes;
    const char *path = write_parts(s, 1, &(Part){"/codes", {H5_F64, 2, {3, 2}}, doubles}, 0, NULL);
    CHECK(codes_read(&codes, path, 0, s->arena, &s->err));
    assert_int_equal(codes.n, 3);
    assert_true(shape_equal(codes.shape, SHAPE(1, 2)));
    assert_true(codes.values[2] == -2);
    assert_null(codes.at);
    assert_null(codes.names);
    assert_null(codes.labels);
    assert_int_equal(codes.input.rank, 0);
    codes_free(&codes);
    path = write_parts(s, 1, &(Part){"/codes", {H5_I64, 2, {1, 4}}, whole}, 0, NULL);
    CHECK(codes_read(&codes, path, 0, s->arena, &s->err));
    assert_true(codes.values[3] == 4);
    codes_free(&codes);
}

static void refused(Scratch *s, const char *path, const char *wanted) {
    Codes codes;
    assert_int_not_equal(codes_read(&codes, path, 0, s->arena, &s->err), OK);
    assert_null(codes.values);
    assert_string_equal(scratch_words(s), wanted);
}

static void test_refused(void **state) {
    Scratch *s = *state;
    const float values[] = {1, 2, 3, 4, 5, NAN};
    const int32_t labels[] = {1, 2};
    const int64_t input[] = {1, 3, 0, 4};
    const Part sound = {"/codes", {H5_F32, 2, {2, 2}}, values};
    refused(s, write_parts(s, 1, &(Part){"/values", {H5_F32, 1, {2}}, values}, 0, NULL),
            "error: other.h5: holds no /codes: is it a file of codes?\n");
    refused(s, write_parts(s, 1, &(Part){"/codes", {H5_F32, 1, {4}}, values}, 0, NULL),
            "error: other.h5: /codes must have 2 to 5 axes, codes first, got 1\n");
    refused(s, write_parts(s, 1, &(Part){"/codes", {H5_F32, 2, {3, 2}}, values}, 0, NULL),
            "error: other.h5: code 2 holds a value that is not finite\n");
    refused(s,
            write_parts(s, 2, (Part[]){{"/codes", {H5_F32, 2, {1, 2}}, values}, {"/labels", {H5_I32, 1, {2}}, labels}},
                        0, NULL),
            "error: other.h5: /labels does not have a number for each of the 1 codes\n");
    refused(s, write_parts(s, 2, (Part[]){sound, {"/input", {H5_I64, 1, {4}}, input}}, 0, NULL),
            "error: other.h5: /input is not the shape of a picture: 1, channels, height, width\n");
    refused(s, write_parts(s, 1, &sound, 3, names),
            "error: other.h5: /names does not have a name for each of the 2 codes\n");
    refused(s, write_parts(s, 1, &sound, 2, (const char *const[]){"a", "../b"}),
            "error: other.h5: name 1 in /names cannot name a file: '../b'\n");
    refused(s, write_parts(s, 1, &sound, 2, (const char *const[]){"a", ".."}),
            "error: other.h5: name 1 in /names cannot name a file: '..'\n");
    refused(s, write_parts(s, 1, &sound, 2, (const char *const[]){"a", "a"}),
            "error: other.h5: two codes in /names are called 'a'\n");
}

static void test_foreign(void **state) {
    Scratch *s = *state;
    const float values[] = {1, 2};
    const char *path = scratch_path(s, "other.h5");
    for (int i = 0; i < 2; i++) {
        H5 *file;
        CHECK(h5_create(&file, path, &s->err));
        CHECK(h5_set_text(file, "/", "format", i ? "sandglass-codes" : "sandglass-data", &s->err));
        CHECK(h5_set_int(file, "/", "version", 2, &s->err));
        CHECK(h5_write(file, "/codes", (H5Array){H5_F32, 2, {1, 2}}, NULL, values, &s->err));
        CHECK(h5_commit(file, NULL, &s->err));
        h5_close(file);
        refused(s, path,
                i ? "error: other.h5: codes of version 2, this program reads version 1\n"
                  : "error: other.h5: is a 'sandglass-data' file, not one of codes ('sandglass-codes')\n");
    }
    scratch_write(path, "no HDF5 file", 12);
    Codes codes;
    assert_int_equal(codes_read(&codes, path, 0, s->arena, &s->err), ERR_FORMAT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {TEST(test_round_trip), TEST(test_of_others), TEST(test_refused),
                                       TEST(test_foreign)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
