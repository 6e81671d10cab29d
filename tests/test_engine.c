/* test_engine.c - programs as such: layouts and reorders, shared memory, outputs, refresh, NaN search, no allocation
 * while running. That the operations compute the right numbers is the business of test_layers.c. */
#include "base/rng.h"
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocations.h"

/* ---- a small network by hand: conv + relu, pool, transposed conv with bias, concat, conv, squared loss ---- */

enum { BATCH = 3, IN = 3, MID = 16, OUT = 20, SIZE = 12 };

typedef struct Net {
    float w1[MID * IN * 9], b1[MID], w2[MID * MID * 4], b2[MID], w3[OUT * 2 * MID * 9];
    float g1[MID * IN * 9], gb1[MID], g2[MID * MID * 4], gb2[MID], g3[OUT * 2 * MID * 9];
    float input[BATCH * IN * SIZE * SIZE];
} Net;

static Net *net_new(void) {
    Net *n = calloc(1, sizeof(*n));
    rng_fill_normal(1, RNG_TEST, 0, 0, sizeof(n->w1) / 4, n->w1);
    rng_fill_normal(1, RNG_TEST, 1, 0, sizeof(n->b1) / 4, n->b1);
    rng_fill_normal(1, RNG_TEST, 2, 0, sizeof(n->w2) / 4, n->w2);
    rng_fill_normal(1, RNG_TEST, 3, 0, sizeof(n->b2) / 4, n->b2);
    rng_fill_normal(1, RNG_TEST, 4, 0, sizeof(n->w3) / 4, n->w3);
    rng_fill_normal(1, RNG_TEST, 5, 0, sizeof(n->input) / 4, n->input);
    return n;
}

static void square_loss(const NativeCall *call) {
    const float *x = call->src[0].data;
    float *diff = call->dst[1].data;
    double sum = 0;
    for (int64_t i = 0; i < call->src[0].size; i++) {
        sum += (double)x[i] * x[i];
        diff[i] = 2 * x[i];
    }
    *(double *)call->dst[0].data = sum;
}

static ConvSpec conv_spec(int64_t kernel, int64_t stride, int64_t pad, Shape dst, Act act) {
    return (ConvSpec){.stride = {stride, stride},
                      .dilation = {1, 1},
                      .pad_lo = {pad, pad},
                      .pad_hi = {pad, pad},
                      .groups = 1,
                      .dst = dst,
                      .act = act};
}

static Program *build_net(Engine *engine, Net *n, bool training, bool separate) {
    Build *b = build_new(engine, &(BuildOptions){.training = training, .separate = separate});
    Act relu = {ACT_RELU, 0}, none = {ACT_NONE, 0};
    Tensor *(*external)(Build *, const char *, Shape, void *) = build_weights;
    Tensor *x = build_external(b, "input", F32, SHAPE(BATCH, IN, SIZE, SIZE), n->input);
    Tensor *w1 = external(b, "w1", SHAPE(MID, IN, 3, 3), n->w1), *b1 = external(b, "b1", SHAPE(MID), n->b1);
    Tensor *w2 = external(b, "w2", SHAPE(MID, MID, 2, 2), n->w2), *b2 = external(b, "b2", SHAPE(MID), n->b2);
    Tensor *w3 = external(b, "w3", SHAPE(OUT, 2 * MID, 3, 3), n->w3);

    build_scope(b, "first");
    ConvSpec s1 = conv_spec(3, 1, 1, SHAPE(BATCH, MID, SIZE, SIZE), relu);
    Tensor *a = op_conv(b, &s1, x, w1, b1);
    build_scope(b, "pool");
    PoolSpec sp = {.kind = POOL_MAX, .kernel = {2, 2}, .stride = {2, 2}, .dst = SHAPE(BATCH, MID, SIZE / 2, SIZE / 2)};
    Tensor *ws = NULL, *p = op_pool(b, &sp, a, &ws);
    build_scope(b, "up");
    ConvSpec s2 = conv_spec(2, 2, 0, SHAPE(BATCH, MID, SIZE, SIZE), none);
    Tensor *u = op_deconv(b, &s2, p, w2, b2);
    build_scope(b, "cat");
    Tensor *cat = op_concat(b, 1, 2, (Tensor *[]){a, u});
    build_scope(b, "last");
    ConvSpec s3 = conv_spec(3, 1, 1, SHAPE(BATCH, OUT, SIZE, SIZE), none);
    Tensor *y = op_conv(b, &s3, cat, w3, NULL);
    build_output(b, "result", y);
    if (training) {
        Tensor *loss = build_tensor(b, F64, SHAPE(1)), *dy = build_tensor(b, F32, tensor_shape(y));
        op_native(b, &(NativeSpec){.name = "loss",
                                   .fn = square_loss,
                                   .layout = NATIVE_ELEMENTWISE,
                                   .n_src = 1,
                                   .src = {y},
                                   .n_dst = 2,
                                   .dst = {loss, dy}});
        build_output(b, "loss", loss);
        Tensor *g1 = build_external(b, "g1", F32, SHAPE(MID, IN, 3, 3), n->g1);
        Tensor *gb1 = build_external(b, "gb1", F32, SHAPE(MID), n->gb1);
        Tensor *g2 = build_external(b, "g2", F32, SHAPE(MID, MID, 2, 2), n->g2);
        Tensor *gb2 = build_external(b, "gb2", F32, SHAPE(MID), n->gb2);
        Tensor *g3 = build_external(b, "g3", F32, SHAPE(OUT, 2 * MID, 3, 3), n->g3);
        Tensor *dcat = op_conv_backward(b, &s3, cat, w3, dy, true, g3, NULL);
        Shape half = SHAPE(BATCH, MID, SIZE, SIZE);
        Tensor *da = op_crop(b, dcat, (int64_t[SHAPE_MAX_RANK]){0, 0}, half);
        Tensor *du = op_crop(b, dcat, (int64_t[SHAPE_MAX_RANK]){0, MID}, half);
        Tensor *dp = op_deconv_backward(b, &s2, p, w2, du, true, g2, gb2);
        Tensor *da2 = op_pool_backward(b, &sp, a, dp, ws);
        Tensor *sum = op_sum(b, 2, (Tensor *[]){da, da2});
        op_conv_backward(b, &s1, x, w1, op_act_backward(b, relu, NULL, a, sum), false, g1, gb1);
    }
    Program *program = NULL;
    Error err = ERROR_INIT;
    Err code = build_finish(&program, b, &err);
    if (code != OK) print_error("%s", err.text);
    assert_int_equal(code, OK);
    return program;
}

static Engine *new_engine(void) {
    Engine *engine = NULL;
    assert_int_equal(engine_new(&engine, 0, NULL), OK);
    return engine;
}

static void test_shared_memory_gives_the_same_bits(void **state) {
    Engine *engine = new_engine();
    Net *shared = net_new(), *separate = net_new();
    Program *p = build_net(engine, shared, true, false), *q = build_net(engine, separate, true, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(program_run(p, NULL, NULL), OK);
        assert_int_equal(program_run(q, NULL, NULL), OK);
        assert_memory_equal(shared, separate, sizeof(*shared));
        assert_memory_equal(program_read(p, "loss"), program_read(q, "loss"), sizeof(double));
    }
    assert_true(*(const double *)program_read(p, "loss") > 0);
    assert_true(program_stats(p).block_bytes < program_stats(p).unplanned_bytes);
    program_free(p);
    program_free(q);
    free(shared);
    free(separate);
    engine_free(engine);
}

/* All gradients at once: the change of the loss along a random direction against the scalar product with the gradient.
 */
static void test_gradient_along_a_direction(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, true, false);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    Net *grads = malloc(sizeof(*grads));
    memcpy(grads, n, sizeof(*grads));
    float *const parts[][2] = {
        {n->w1, grads->g1}, {n->b1, grads->gb1}, {n->w2, grads->g2}, {n->b2, grads->gb2}, {n->w3, grads->g3}};
    const size_t sizes[] = {sizeof(n->w1) / 4, sizeof(n->b1) / 4, sizeof(n->w2) / 4, sizeof(n->b2) / 4,
                            sizeof(n->w3) / 4};
    /* The loss is quadratic in what comes after the ReLU and the pooling: the central difference is exact, and the step
     * can be large against rounding. Before them it has kinks, and the step must be small. */
    const double steps[] = {1e-3, 2e-3, 0.1, 0.1, 0.1}, tolerance[] = {1e-3, 1e-3, 5e-5, 5e-5, 5e-5};
    for (int k = 0; k < 5; k++) {
        float *direction = malloc(sizes[k] * 4), *original = malloc(sizes[k] * 4);
        rng_fill_normal(7, RNG_TEST, 10, (uint64_t)k, sizes[k], direction);
        memcpy(original, parts[k][0], sizes[k] * 4);
        double expected = 0, loss[2];
        const double step = steps[k];
        for (size_t i = 0; i < sizes[k]; i++) expected += (double)direction[i] * parts[k][1][i];
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < sizes[k]; i++)
                parts[k][0][i] = original[i] + (float)((side ? step : -step) * direction[i]);
            assert_int_equal(program_run(p, NULL, NULL), OK);
            loss[side] = *(const double *)program_read(p, "loss");
        }
        memcpy(parts[k][0], original, sizes[k] * 4);
        double measured = (loss[1] - loss[0]) / (2 * step);
        if (fabs(measured - expected) > tolerance[k] * fabs(expected))
            print_error("part %d: %g, expected %g\n", k, measured, expected);
        assert_true(fabs(measured - expected) <= tolerance[k] * fabs(expected));
        free(direction);
        free(original);
    }
    program_free(p);
    free(grads);
    free(n);
    engine_free(engine);
}

static void test_inference_equals_training_forward(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *train = build_net(engine, n, true, false), *infer = build_net(engine, n, false, false);
    assert_true(program_stats(infer).constant_steps > 0);
    assert_int_equal(program_stats(train).constant_steps, 0);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(program_run(train, NULL, NULL), OK);
        assert_int_equal(program_run(infer, NULL, NULL), OK);
        const float *a = program_read(train, "result"), *b = program_read(infer, "result");
        float largest = 0; /* which the rounding of the algorithms goes by */
        for (int i = 0; i < BATCH * OUT * SIZE * SIZE; i++) largest = fmaxf(largest, fabsf(a[i]));
        for (int i = 0; i < BATCH * OUT * SIZE * SIZE; i++) assert_true(fabsf(a[i] - b[i]) <= 5e-6f * largest);
        n->w3[5] += 3; /* seen by the inference program only after a refresh */
        program_refresh(infer);
    }
    program_free(train);
    program_free(infer);
    free(n);
    engine_free(engine);
}

/* Parts of a concatenation of one sample are made within it, unless one of the two is overwritten while the other is
 * still read: `later` of the part and `after` of the whole run in place where they may. */
static Program *build_gather(Engine *engine, float *data, int order, bool separate) {
    Build *b = build_new(engine, &(BuildOptions){.separate = separate});
    const Act relu = {ACT_RELU, 0}, tanh = {ACT_TANH, 0}, sigmoid = {ACT_SIGMOID, 0};
    Tensor *x = build_external(b, "input", F32, SHAPE(1, 16, 5, 7), data);
    Tensor *part = op_act(b, relu, x), *other = op_act(b, sigmoid, x), *later = NULL;
    if (order & 4) part = op_act(b, tanh, part);
    Tensor *whole = op_concat(b, 1, 4, (Tensor *[]){part, x, other, part});
    if (order & 1) later = op_act(b, tanh, part);
    Tensor *after = op_act(b, sigmoid, whole);
    if (!(order & 1)) later = op_act(b, tanh, part);
    if (order & 2) build_output(b, "part", part);
    if (order & 8) build_output(b, "whole", whole);
    build_output(b, "later", later);
    build_output(b, "after", after);
    Program *p = NULL;
    assert_int_equal(build_finish(&p, b, NULL), OK);
    return p;
}

static void test_parts_within_a_concatenation(void **state) {
    Engine *engine = new_engine();
    enum { N = 16 * 5 * 7 };
    float *data = malloc(sizeof(float) * N);
    rng_fill_normal(3, RNG_TEST, 0, 0, N, data);
    for (int order = 0; order < 16; order++) {
        Program *together = build_gather(engine, data, order, false), *apart = build_gather(engine, data, order, true);
        assert_int_equal(program_run(together, NULL, NULL), OK);
        assert_int_equal(program_run(apart, NULL, NULL), OK);
        assert_memory_equal(program_read(together, "after"), program_read(apart, "after"), sizeof(float) * 4 * N);
        assert_memory_equal(program_read(together, "later"), program_read(apart, "later"), sizeof(float) * N);
        if (order & 2)
            assert_memory_equal(program_read(together, "part"), program_read(apart, "part"), sizeof(float) * N);
        if (order & 8)
            assert_memory_equal(program_read(together, "whole"), program_read(apart, "whole"), sizeof(float) * 4 * N);
        program_free(together);
        program_free(apart);
    }
    /* Without those who overwrite there is nothing but the whole. */
    Build *b = build_new(engine, &(BuildOptions){0});
    Tensor *x = build_external(b, "input", F32, SHAPE(1, 16, 5, 7), data);
    Tensor *parts[] = {op_act(b, (Act){ACT_RELU, 0}, x), op_act(b, (Act){ACT_SIGMOID, 0}, x)};
    build_output(b, "whole", op_concat(b, 1, 2, parts));
    Program *p = NULL;
    assert_int_equal(build_finish(&p, b, NULL), OK);
    assert_int_equal(program_stats(p).block_bytes, 2 * sizeof(float) * N);
    program_free(p);
    free(data);
    engine_free(engine);
}

static void test_weights_are_constant_until_refreshed(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, false, false);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    const size_t bytes = sizeof(float) * BATCH * OUT * SIZE * SIZE;
    float *before = malloc(bytes);
    memcpy(before, program_read(p, "result"), bytes);
    for (size_t i = 0; i < sizeof(n->w3) / 4; i++) n->w3[i] *= 2;
    assert_int_equal(program_run(p, NULL, NULL), OK);
    assert_memory_equal(before, program_read(p, "result"), bytes);
    program_refresh(p);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    assert_memory_not_equal(before, program_read(p, "result"), bytes);
    free(before);
    program_free(p);
    free(n);
    engine_free(engine);
}

static void test_a_step_allocates_nothing(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, true, false);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    assert_true(allocations > 0); /* the counter counts */
    allocations = 0;
    for (int i = 0; i < 5; i++) {
        program_bind(p, "input", n->input);
        assert_int_equal(program_run(p, &(RunState){1, (uint64_t)i}, NULL), OK);
    }
    assert_int_equal(allocations, 0);
    program_free(p);
    free(n);
    engine_free(engine);
}

static void test_binding_another_input(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, true, false);
    float *other = malloc(sizeof(n->input));
    memset(other, 0, sizeof(n->input));
    assert_int_equal(program_run(p, NULL, NULL), OK);
    double first = *(const double *)program_read(p, "loss");
    program_bind(p, "input", other);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    assert_true(*(const double *)program_read(p, "loss") != first);
    program_bind(p, "input", n->input);
    assert_int_equal(program_run(p, NULL, NULL), OK);
    assert_true(*(const double *)program_read(p, "loss") == first);
    assert_true(shape_equal(program_shape(p, "input"), SHAPE(BATCH, IN, SIZE, SIZE)));
    assert_int_equal(program_shape(p, "nothing").rank, 0);
    assert_null(program_read(p, "nothing"));
    free(other);
    program_free(p);
    free(n);
    engine_free(engine);
}

static void test_first_nonfinite_value_is_named(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, true, false);
    char where[256] = "";
    assert_false(program_find_nonfinite(p, &(RunState){0, 0}, where, sizeof(where)));
    n->w2[17] = NAN;
    assert_true(program_find_nonfinite(p, &(RunState){0, 0}, where, sizeof(where)));
    assert_string_equal(where, "w2: nan at [0, 4, 0, 1] of 16x16x2x2");
    n->w2[17] = 1e38f;
    for (int i = 0; i < MID * MID * 4; i++) n->w2[i] = 3e38f;
    assert_true(program_find_nonfinite(p, &(RunState){0, 0}, where, sizeof(where)));
    assert_non_null(strstr(where, "up (deconv): inf at ["));
    assert_non_null(strstr(where, "] of 3x16x12x12"));
    program_free(p);
    free(n);
    engine_free(engine);
}

static void test_failures_are_kept_until_the_end(void **state) {
    Engine *engine = new_engine();
    Build *b = build_new(engine, &(BuildOptions){.training = true});
    float data[8] = {0};
    Tensor *x = build_external(b, "input", F32, SHAPE(2, 4), data);
    build_scope(b, "oops");
    Tensor *y = op_reshape(b, x, SHAPE(3, 3));
    assert_true(build_failed(b));
    Tensor *z = op_sum(b, 2, (Tensor *[]){y, y});
    assert_true(shape_equal(tensor_shape(z), SHAPE(3, 3)));
    Program *p = NULL;
    Error err = ERROR_INIT;
    assert_int_equal(build_finish(&p, b, &err), ERR_ENGINE);
    assert_null(p);
    assert_string_equal(err.text, "error: oops: cannot reshape 2x4 to 3x3\n");
    engine_free(engine);
}

/* What is recorded for this network is known exactly; a step or reorder more is a loss of speed that nobody would
 * notice otherwise. */
static void test_number_of_steps(void **state) {
    Engine *engine = new_engine();
    Net *n = net_new();
    Program *p = build_net(engine, n, true, false);
    ProgramStats stats = program_stats(p);
    if (stats.reorders > 13) program_describe(p, stderr);
    assert_in_range(stats.reorders, 0, 13);
    /* bias, its gradient, loss; where the last convolution is done by Winograd's algorithm, its weights and result, its
     * weights turned round and the gradient of its source */
    assert_true(stats.natives == 3 || stats.natives == 3 + 4);
    assert_int_equal(stats.reference, 0);
    program_free(p);
    free(n);
    engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared_memory_gives_the_same_bits),
        cmocka_unit_test(test_gradient_along_a_direction),
        cmocka_unit_test(test_inference_equals_training_forward),
        cmocka_unit_test(test_parts_within_a_concatenation),
        cmocka_unit_test(test_weights_are_constant_until_refreshed),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_binding_another_input),
        cmocka_unit_test(test_first_nonfinite_value_is_named),
        cmocka_unit_test(test_failures_are_kept_until_the_end),
        cmocka_unit_test(test_number_of_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
