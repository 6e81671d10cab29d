/* test_profile.c - clocks around a program's steps, and the bare primitives of its shapes: which there are, their
 * arithmetic, and that each can be run alone. */
#include "base/clock.h"
#include "base/rng.h"
#include "engine/profile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocations.h"

/* ---- a network with every operation that has a bare primitive ---- */

enum { BATCH = 2, IN = 3, MID = 32, SIZE = 16, HALF = SIZE / 2, UNITS = 5 };

typedef struct Weights {
    float conv[MID * IN * 9], group[MID * MID / 4 * 9], deconv[MID * MID * 4], thin[MID * 9], bias[MID];
    float scale[MID], shift[MID], dense[UNITS * SIZE * SIZE], input[BATCH * IN * SIZE * SIZE];
} Weights;

static ConvSpec conv_spec(int64_t kernel, int64_t stride, int64_t groups, Shape dst) {
    const int64_t pad = stride == 1 ? kernel / 2 : 0;
    return (ConvSpec){.stride = {stride, stride},
                      .dilation = {1, 1},
                      .pad_lo = {pad, pad},
                      .pad_hi = {pad, pad},
                      .groups = groups,
                      .dst = dst};
}

/* conv - batch norm with ReLU - max pool - grouped conv - transposed conv with bias - conv to one channel - dense, and
 * all the way back. */
static Program *build_net(Engine *engine, Weights *w, Weights *g, bool bf16) {
    Build *b = build_new(engine, &(BuildOptions){.training = true, .bf16 = bf16});
    const Shape full = SHAPE(BATCH, MID, SIZE, SIZE), half = SHAPE(BATCH, MID, HALF, HALF);
    Tensor *x = build_external(b, "input", F32, SHAPE(BATCH, IN, SIZE, SIZE), w->input);
    Tensor *conv = build_external(b, "conv", F32, SHAPE(MID, IN, 3, 3), w->conv);
    Tensor *group = build_external(b, "group", F32, SHAPE(MID, MID / 4, 3, 3), w->group);
    Tensor *deconv = build_external(b, "deconv", F32, SHAPE(MID, MID, 2, 2), w->deconv);
    Tensor *thin = build_external(b, "thin", F32, SHAPE(1, MID, 3, 3), w->thin);
    Tensor *bias = build_external(b, "bias", F32, SHAPE(MID), w->bias);
    Tensor *scale = build_external(b, "scale", F32, SHAPE(MID), w->scale);
    Tensor *shift = build_external(b, "shift", F32, SHAPE(MID), w->shift);
    Tensor *dense = build_external(b, "dense", F32, SHAPE(UNITS, SIZE * SIZE), w->dense);

    const ConvSpec s1 = conv_spec(3, 1, 1, full), s2 = conv_spec(3, 1, 4, half), s3 = conv_spec(2, 2, 1, full);
    const ConvSpec s4 = conv_spec(3, 1, 1, SHAPE(BATCH, 1, SIZE, SIZE));
    const PoolSpec pool = {.kind = POOL_MAX, .kernel = {2, 2}, .stride = {2, 2}, .dst = half};
    const BatchNormSpec norm = {.epsilon = 1e-5F, .relu = true};
    Tensor *mean = NULL, *variance = NULL, *norm_ws = NULL, *pool_ws = NULL;
    Tensor *a = op_conv(b, &s1, x, conv, NULL);
    Tensor *n = op_batchnorm(b, &norm, a, scale, shift, &mean, &variance, &norm_ws);
    Tensor *p = op_pool(b, &pool, n, &pool_ws);
    Tensor *q = op_conv(b, &s2, p, group, NULL);
    Tensor *u = op_deconv(b, &s3, q, deconv, bias);
    Tensor *t = op_conv(b, &s4, u, thin, NULL);
    Tensor *rows = op_reshape(b, t, SHAPE(BATCH, SIZE * SIZE));
    Tensor *y = op_dense(b, (Act){ACT_NONE, 0}, rows, dense, NULL);
    build_output(b, "result", y);

    Tensor *d = op_dense_backward(b, rows, dense, y, true,
                                  build_external(b, "d dense", F32, SHAPE(UNITS, SIZE * SIZE), g->dense), NULL);
    d = op_reshape(b, d, SHAPE(BATCH, 1, SIZE, SIZE));
    d = op_conv_backward(b, &s4, u, thin, d, true, build_external(b, "d thin", F32, SHAPE(1, MID, 3, 3), g->thin),
                         NULL);
    d = op_deconv_backward(b, &s3, q, deconv, d, true,
                           build_external(b, "d deconv", F32, SHAPE(MID, MID, 2, 2), g->deconv),
                           build_external(b, "d bias", F32, SHAPE(MID), g->bias));
    d = op_conv_backward(b, &s2, p, group, d, true,
                         build_external(b, "d group", F32, SHAPE(MID, MID / 4, 3, 3), g->group), NULL);
    d = op_pool_backward(b, &pool, n, d, pool_ws);
    d = op_batchnorm_backward(b, &norm, a, scale, shift, mean, variance, norm_ws, d,
                              build_external(b, "d scale", F32, SHAPE(MID), g->scale),
                              build_external(b, "d shift", F32, SHAPE(MID), g->shift));
    op_conv_backward(b, &s1, x, conv, d, false, build_external(b, "d conv", F32, SHAPE(MID, IN, 3, 3), g->conv), NULL);
    Program *program = NULL;
    Error err = ERROR_INIT;
    if (build_finish(&program, b, &err) != OK) fail_msg("%s", err.text);
    return program;
}

typedef struct Fixture {
    Engine *engine;
    Weights *weights, *gradients;
    Program *program;
} Fixture;

static Fixture set_up(bool bf16) {
    Fixture f = {.weights = calloc(1, sizeof(Weights)), .gradients = calloc(1, sizeof(Weights))};
    assert_int_equal(engine_new(&f.engine, 2, NULL), OK);
    if (bf16 && !engine_has_bf16(f.engine)) return f;
    rng_fill_normal(1, RNG_TEST, 0, 0, sizeof(Weights) / sizeof(float), (float *)f.weights);
    f.program = build_net(f.engine, f.weights, f.gradients, bf16);
    return f;
}

static void tear_down(Fixture *f) {
    program_free(f->program);
    engine_free(f->engine);
    free(f->weights);
    free(f->gradients);
}

/* ---- tests ---- */

static const struct {
    const char *kind, *name;
    double flop; /* of the whole batch */
} expected[] = {
    {"convolution", "conv", 2.0 * BATCH *MID *IN * 9 * SIZE *SIZE},
    {"normalization", "batchnorm", 0},
    {"pooling", "pool", 0},
    {"convolution", "conv", 2.0 * BATCH *MID *MID / 4 * 9 * HALF *HALF},
    {"deconvolution", "deconv", 2.0 * BATCH *MID *MID * 4 * HALF *HALF},
    {"convolution", "conv", 2.0 * BATCH *MID * 9 * SIZE *SIZE},
    {"dense", "dense", 2.0 * BATCH *UNITS *SIZE *SIZE},
    {"dense", "dense_backward_weights", 2.0 * BATCH *UNITS *SIZE *SIZE},
    {"dense", "dense_backward_data", 2.0 * BATCH *UNITS *SIZE *SIZE},
    {"convolution", "conv_backward_weights", 2.0 * BATCH *MID * 9 * SIZE *SIZE},
    {"convolution", "conv_backward_data", 2.0 * BATCH *MID * 9 * SIZE *SIZE},
    {"deconvolution", "deconv_backward_weights", 2.0 * BATCH *MID *MID * 4 * HALF *HALF},
    {"deconvolution", "deconv_backward_data", 2.0 * BATCH *MID *MID * 4 * HALF *HALF},
    {"convolution", "conv_backward_weights", 2.0 * BATCH *MID *MID / 4 * 9 * HALF *HALF},
    {"convolution", "conv_backward_data", 2.0 * BATCH *MID *MID / 4 * 9 * HALF *HALF},
    {"pooling", "pool_backward", 0},
    {"normalization", "batchnorm_backward", 0},
    {"convolution", "conv_backward_weights", 2.0 * BATCH *MID *IN * 9 * SIZE *SIZE},
};
enum { N_EXPECTED = sizeof expected / sizeof *expected, RUNS = 4 };

/* All of them, in order, and no others: the gradient of the input is nobody's. */
static void test_what_the_shapes_ask_for(void **state) {
    Fixture f = set_up(false);
    assert_int_equal(program_n_bare(f.program), N_EXPECTED);
    for (int i = 0; i < N_EXPECTED; i++) {
        BareInfo info = program_bare(f.program, i);
        assert_string_equal(info.kind, expected[i].kind);
        assert_string_equal(info.name, expected[i].name);
        assert_true(info.flop == expected[i].flop);
        assert_string_equal(info.implementation, "");
    }
    tear_down(&f);
}

static void run_all_bare(bool bf16) {
    Fixture f = set_up(bf16);
    for (int i = 0; f.program && i < N_EXPECTED; i++) {
        double seconds[RUNS] = {0};
        int n = RUNS;
        Error err = ERROR_INIT;
        if (program_run_bare(f.program, i, &n, seconds, &err) != OK) fail_msg("%s", err.text);
        assert_in_range(n, 1, RUNS);
        for (int k = 0; k < n; k++) assert_true(seconds[k] > 0);
        const char *implementation = program_bare(f.program, i).implementation;
        assert_true(strlen(implementation) > 0); /* oneDNN's, also where the program has a pass of its own */
        assert_string_not_equal(implementation, "native");
    }
    tear_down(&f);
}

static void test_each_alone(void **state) {
    run_all_bare(false);
}

static void test_each_alone_in_bf16(void **state) {
    run_all_bare(true);
}

/* Neither the clock nor bare runs in between change what the program computes. */
static void test_moments(void **state) {
    Fixture f = set_up(false);
    const int n = program_n_steps(f.program);
    double *moments = calloc((size_t)n + 1, sizeof *moments), before = clock_seconds();
    assert_int_equal(program_run(f.program, NULL, NULL), OK);
    Weights *unwatched = malloc(sizeof *unwatched);
    memcpy(unwatched, f.gradients, sizeof *unwatched);

    int runs = 1;
    double seconds;
    assert_int_equal(program_run_bare(f.program, 0, &runs, &seconds, NULL), OK);
    program_watch(f.program, moments);
    assert_true(allocations > 0); /* the counter counts */
    allocations = 0;
    assert_int_equal(program_run(f.program, NULL, NULL), OK);
    assert_int_equal(allocations, 0);
    assert_memory_equal(unwatched, f.gradients, sizeof *unwatched);
    assert_true(moments[0] >= before && moments[n] <= clock_seconds());
    for (int i = 0; i < n; i++) assert_true(moments[i + 1] >= moments[i]);
    assert_true(moments[n] > moments[0]);

    program_watch(f.program, NULL);
    memset(moments, 0, sizeof *moments * ((size_t)n + 1));
    assert_int_equal(program_run(f.program, NULL, NULL), OK);
    for (int i = 0; i <= n; i++) assert_true(moments[i] == 0);
    free(moments);
    free(unwatched);
    tear_down(&f);
}

static void test_steps(void **state) {
    Fixture f = set_up(false);
    ProgramStats stats = program_stats(f.program);
    int reorders = 0, natives = 0, reference = 0;
    assert_int_equal(program_n_steps(f.program), stats.steps);
    assert_false(program_is_bf16(f.program));
    for (int i = 0; i < stats.steps; i++) {
        StepInfo info = program_step(f.program, i);
        reorders += strcmp(info.kind, "reorder") == 0;
        natives += strcmp(info.implementation, "native") == 0;
        reference += info.reference;
        assert_false(info.constant);
    }
    assert_int_equal(reorders, stats.reorders);
    assert_int_equal(natives, stats.natives);
    assert_int_equal(reference, stats.reference);
    tear_down(&f);
}

static void test_median(void **state) {
    assert_true(clock_median(0, NULL) == 0);
    assert_true(clock_median(1, (double[]){3}) == 3);
    assert_true(clock_median(3, (double[]){9, 1, 4}) == 4);
    assert_true(clock_median(4, (double[]){9, 1, 4, 2}) == 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_shapes_ask_for),
        cmocka_unit_test(test_each_alone),
        cmocka_unit_test(test_each_alone_in_bf16),
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
