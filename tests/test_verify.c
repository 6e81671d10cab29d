/* test_verify.c - export/verify.h: a file that is what the network is, one that is not, and engines of other projects,
 * played by a shell script in Python's place; io/npy.h, through which these get their numbers. */
#include "export/calibrate.h"
#include "export/verify.h"
#include "io/npy.h"
#include "scratch.h"
#include "train/frozen.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "runs.h"

static const char config[] = "task: segmentation\n"
                             "data: {kind: shapes, size: [16, 24], fit: crop, train: {n: 4}, val: {n: 4}}\n"
                             "train: {epochs: 1, batch_size: 2, sample_every: 0}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - {conv2d: {filters: 8, padding: same, bias: false}}\n"
                             "    - {batchnorm: {activation: relu}}\n"
                             "    - {maxpool2d: 2, name: half}\n"
                             "    - {upsample2d: 2}\n"
                             "    - conv2d: {filters: \"${classes}\", kernel: 1}\n"
                             "    - {activation: softmax, name: result}\n"
                             "  outputs: [result, half]\n";

typedef struct Fixture {
    Net *net;
    VerifyInput input;
    VerifyRow rows[VERIFY_MAX_ROWS];
    int n_rows;
} Fixture;

static Fixture open_config(Scratch *s, const char *text) {
    Fixture f = {0};
    TrainResult result;
    Checkpoint *c;
    CHECK(train(s, &(Call){.config = text, .run = "run"}, &result));
    CHECK(checkpoint_open(&c, scratch_path(s, "run"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&f.net, c, 0, NULL, 1, &s->err));
    checkpoint_close(c);
    CHECK(verify_input_random(&f.input, f.net, 0, &s->err));
    return f;
}

static Fixture open_run(Scratch *s) {
    return open_config(s, config);
}

static void release(Fixture *f) {
    verify_input_free(&f->input);
    net_close(f->net);
}

static void verify(Scratch *s, Fixture *f, const ExportFormat *format, const char *file, int dtype) {
    VerifySpec spec = {f->net, scratch_path(s, file), format, dtype, 1, &f->input};
    CHECK(verify_export(&spec, &f->n_rows, f->rows, s->arena, &s->err));
}

static void export_to(Scratch *s, Fixture *f, const char *file) {
    ExportSpec spec = {.net = f->net, .path = scratch_path(s, file), .arena = s->arena};
    CHECK(export_frozen.write(&spec, &s->err));
}

/* ---- inputs ---- */

/* What the network gets is what the file's own normalisation makes of the raw pixels; edges repeat up to the stride. */
static void test_inputs(void **state) {
    Scratch *s = *state;
    Fixture f = open_run(s);
    Image image = {0};
    VerifyInput in;
    CHECK(image_new(&image, 13, 7, 3, 8, &s->err));
    for (int i = 0; i < 13 * 7 * 3; i++) image.u8[i] = (uint8_t)(i * 5 % 251);
    CHECK(verify_input(&in, f.net, &image, &s->err));
    assert_true(shape_equal(in.shape, SHAPE(1, 3, 8, 14)));
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 14; x++) {
                float raw = image.u8[((y < 7 ? y : 6) * 13 + (x < 13 ? x : 12)) * 3 + c];
                int at = (c * 8 + y) * 14 + x;
                assert_true(in.raw[at] == raw);
                assert_true(fabsf(in.normalized[at] - raw / 255) < 1e-6f);
            }
    verify_input_free(&in);
    image_free(&image);
    release(&f);
}

/* ---- our own engine ---- */

static void test_frozen(void **state) {
    Scratch *s = *state;
    Fixture f = open_run(s);
    export_to(s, &f, "m.h5");
    verify(s, &f, &export_frozen, "m.h5", EXPORT_F32);
    const VerifyRow *row = &f.rows[0];
    assert_true(f.n_rows == 1 && row->ran && row->passed);
    assert_true(row->relative < 1e-5 && row->absolute < 1e-4 && row->disagreeing == 0);
    assert_int_equal(row->places, 16 * 24);
    release(&f);
}

/* The same file with one bias changed is noticed, and so is one that cannot be opened. */
static void test_other_weights(void **state) {
    Scratch *s = *state;
    Fixture f = open_run(s);
    Weights *weights = (Weights *)net_weights(f.net); /* a test may */
    float *bias = weights->value + weights_find(weights, "conv2d2/bias")->offset;
    *bias += 3;
    export_to(s, &f, "m.h5");
    *bias -= 3;
    net_refresh(f.net);
    verify(s, &f, &export_frozen, "m.h5", EXPORT_F32);
    assert_true(f.rows[0].ran && !f.rows[0].passed);
    assert_true(f.rows[0].relative > 0.01);
    verify(s, &f, &export_frozen, "m.h5", EXPORT_BF16);
    assert_true(f.rows[0].ran && !f.rows[0].passed);
    assert_true(f.rows[0].disagreeing > f.rows[0].places / 100);
    verify(s, &f, &export_frozen, "none.h5", EXPORT_F32);
    assert_true(!f.rows[0].ran && !f.rows[0].passed);
    assert_non_null(strstr(f.rows[0].why, "No such file"));
    release(&f);
}

/* ---- ranges for 8 bits ---- */

/* A value that is not a number is told of; what is larger than it in no comparison is not taken for the largest. */
static void test_calibration_of_nan(void **state) {
    static const char two_layers[] = "task: segmentation\n"
                                     "data: {kind: shapes, size: [16, 24], fit: crop, train: {n: 4}, val: {n: 4}}\n"
                                     "train: {epochs: 1, batch_size: 2, sample_every: 0}\n"
                                     "model: {layers: [{conv2d: {filters: 8, padding: same}}, "
                                     "{conv2d: {filters: \"${classes}\", kernel: 1}}]}\n";
    Scratch *s = *state;
    Fixture f = open_config(s, two_layers);
    Weights *weights = (Weights *)net_weights(f.net); /* a test may */
    ExportSpec spec = {.net = f.net, .n_inputs = 1, .inputs = &f.input, .arena = s->arena};
    const NodeRange *ranges;
    CHECK(calibrate(&ranges, &spec, net_graph(f.net), &s->err));
    assert_true(ranges[0].largest > 0 && ranges[1].largest == 0);
    weights->value[weights_find(weights, "conv2d1/bias")->offset] = NAN;
    assert_int_equal(calibrate(&ranges, &spec, net_graph(f.net), &s->err), ERR_DATA);
    assert_string_equal(scratch_words(s), "error: calibration: layer 'conv2d1' gives values that are not finite\n");
    release(&f);
}

/* ---- engines in Python's place ---- */

/* Its arguments are those of Python: run_exported.py FORMAT MODEL FOLDER ENGINE. */
static void set_python(Scratch *s, const char *body) {
    const char *path = scratch_path(s, "python");
    const char *text = arena_printf(s->arena, "#!/bin/sh\n[ -f \"$1\" ] || exit 9\n%s\n", body);
    scratch_write(path, text, strlen(text));
    chmod(path, 0755);
    setenv("SANDGLASS_PYTHON", path, 1);
    setenv("SANDGLASS_CONFIGS", SOURCE_DIR "/configs", 1); /* the script is sought from there */
}

static const char *const two[] = {"one", "two", NULL};
static const ExportFormat foreign = {.name = "foreign", .engines = two};

/* The network's own outputs, where the script finds them; `off` is added to n values of the first, from `at` on.
 */
static void write_outputs(Scratch *s, Fixture *f, int64_t at, int64_t n, float off) {
    Program *program;
    CHECK(net_program(f->net, f->input.shape, false, &program, &s->err));
    program_bind(program, "input", f->input.normalized);
    CHECK(program_run(program, &(RunState){0}, &s->err));
    const char *const names[] = {"result", "half"};
    for (int k = 0; k < 2; k++) {
        Shape shape = program_shape(program, names[k]);
        float *values = arena_copy(s->arena, program_read(program, names[k]),
                                   sizeof(float) * (size_t)shape_size(shape));
        for (int64_t i = at; k == 0 && i < at + n; i++) values[i] += off;
        const char *name = arena_printf(s->arena, "out_0_%d.npy", k);
        CHECK(npy_write(scratch_path(s, name), shape.rank, shape.dim, values, &s->err));
    }
}

static void test_engines(void **state) {
    Scratch *s = *state;
    Fixture f = open_run(s);
    write_outputs(s, &f, 0, 0, 0);
    set_python(s, arena_printf(s->arena,
                               "[ $2 = foreign ] && [ -f $4/in_0.npy ] || exit 8\n"
                               "[ $5 = two ] && { echo 'two is not installed (no module)'; exit 3; }\n"
                               "cp %s/out_*.npy $4 && echo one 1.2.3",
                               s->folder));
    verify(s, &f, &foreign, "m.foreign", EXPORT_F32);
    assert_int_equal(f.n_rows, 2);
    assert_true(f.rows[0].installed && f.rows[0].ran && f.rows[0].passed && f.rows[0].relative == 0);
    assert_string_equal(f.rows[0].engine, "one 1.2.3");
    assert_true(!f.rows[1].installed && !f.rows[1].ran && !f.rows[1].passed);
    assert_string_equal(f.rows[1].engine, "two");
    assert_string_equal(f.rows[1].why, "two is not installed (no module)");

    write_outputs(s, &f, 0, 1, 0.25f);
    verify(s, &f, &foreign, "m.foreign", EXPORT_F32);
    assert_true(f.rows[0].ran && !f.rows[0].passed);
    assert_true(fabs(f.rows[0].absolute - 0.25) < 1e-6);
    write_outputs(s, &f, 0, 1, NAN);
    verify(s, &f, &foreign, "m.foreign", EXPORT_F32);
    assert_true(f.rows[0].ran && !f.rows[0].passed);
    /* Where a class has no number there is no largest, whichever the others would make it. */
    for (int c = 1; c <= 2; c++) {
        write_outputs(s, &f, c * 16 * 24, 16 * 24, NAN);
        verify(s, &f, &foreign, "m.foreign", EXPORT_INT8);
        assert_true(f.rows[0].ran && !f.rows[0].passed);
        assert_int_equal(f.rows[0].disagreeing, 16 * 24);
    }
    release(&f);
}

static void expect_failure(Scratch *s, Fixture *f, const char *body, const char *why) {
    set_python(s, body);
    verify(s, f, &foreign, "m.foreign", EXPORT_F32);
    assert_true(f->rows[0].installed && !f->rows[0].ran && !f->rows[0].passed);
    if (!strstr(f->rows[0].why, why)) fail_msg("'%s' does not say '%s'", f->rows[0].why, why);
}

static void test_engines_that_fail(void **state) {
    Scratch *s = *state;
    Fixture f = open_run(s);
    expect_failure(s, &f, "echo 'ValueError: no such layer'; exit 1", "ValueError: no such layer");
    expect_failure(s, &f, "exit 7", "ended with exit code 7");
    expect_failure(s, &f, "kill -9 $$", "ended with exit code -1");
    expect_failure(s, &f, "echo one", "out_0_0.npy");                           /* wrote nothing */
    expect_failure(s, &f, "head -c 100 $4/in_0.npy >$4/out_0_0.npy", "header"); /* half a file */
    expect_failure(s, &f, "cp $4/in_0.npy $4/out_0_0.npy", "output 0 is 1x3x16x24, the network's is 1x");
    setenv("SANDGLASS_PYTHON", "/nowhere/python", 1);
    verify(s, &f, &foreign, "m.foreign", EXPORT_F32);
    assert_true(!f.rows[0].installed);
    assert_string_equal(f.rows[0].why, "/nowhere/python cannot be run: No such file or directory");
    release(&f);
}

/* ---- .npy ---- */

static void expect_npy(Scratch *s, const void *bytes, size_t n, const char *words) {
    int rank;
    int64_t dim[NPY_MAX_RANK];
    float *values;
    scratch_write(scratch_path(s, "b.npy"), bytes, n);
    assert_int_equal(npy_read(scratch_path(s, "b.npy"), &rank, dim, &values, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), words);
}

static void test_npy(void **state) {
    Scratch *s = *state;
    static const float values[] = {1, -2.5f, 3e30f, 4, 5, 6};
    static const struct {
        int rank;
        int64_t dim[3];
    } shapes[] = {{1, {6}}, {2, {2, 3}}, {3, {1, 6, 1}}};
    const char *path = scratch_path(s, "a.npy");
    for (int i = 0; i < 3; i++) {
        int rank;
        int64_t dim[NPY_MAX_RANK];
        float *back;
        CHECK(npy_write(path, shapes[i].rank, shapes[i].dim, values, &s->err));
        CHECK(npy_read(path, &rank, dim, &back, &s->err));
        assert_int_equal(rank, shapes[i].rank);
        assert_memory_equal(dim, shapes[i].dim, sizeof(int64_t) * (size_t)rank);
        assert_memory_equal(back, values, sizeof values);
        free(back);
    }
    size_t n;
    char *file = scratch_read(path, &n);
    assert_int_equal((n - sizeof values) % 64, 0);
    expect_npy(s, file, 5, "error: b.npy: not a .npy file of version 1.0\n");
    expect_npy(s, file, 60, "error: b.npy: ends within its header\n");
    expect_npy(s, file, n - 1, "error: b.npy: its length does not fit its shape\n");
    char *at = memmem(file, n, "<f4", 3);
    at[2] = '8';
    expect_npy(s, file, n, "error: b.npy: holds no little-endian 32-bit floats\n");
    at[2] = '4';
    memcpy(memmem(file, n, "False", 5), "True ", 5);
    expect_npy(s, file, n, "error: b.npy: is not in row-major order\n");
    memcpy(memmem(file, n, "True ", 5), "False", 5);
    memcpy(memmem(file, n, "(1, 6", 5), "(1, -", 5);
    expect_npy(s, file, n, "error: b.npy: has no usable shape\n");
    free(file);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_inputs),        TEST(test_frozen),
        TEST(test_other_weights), TEST(test_calibration_of_nan),
        TEST(test_engines),       TEST(test_engines_that_fail),
        TEST(test_npy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
