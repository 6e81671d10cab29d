/* test_quant.c - convolutions in 8-bit integers against the formula of ops_quant.c, computed with integers and doubles:
 * signed and unsigned sources, values beyond the range, strides, pads, dilation, channels that fill no register,
 * activations, several readers of one source; and when they are not used. */
#include "base/rng.h"
#include "engine/engine.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Engine *engine;
static Error err;

typedef struct Row {
    Shape src;
    int64_t filters, kernel, stride, dilation, pad;
    bool has_negative, bias;
    Act act;
    float range; /* values are up to about 4 */
} Row;

static const Row rows[] = {
    {SHAPE(1, 16, 9, 11), 16, 3, 1, 1, 1, false, true, {ACT_RELU, 0}, 4},
    {SHAPE(2, 17, 8, 7), 21, 3, 1, 1, 1, false, true, {ACT_NONE, 0}, 2},
    {SHAPE(2, 32, 8, 7), 24, 3, 2, 1, 1, true, true, {ACT_RELU, 0.1f}, 4},
    {SHAPE(1, 4, 12, 12), 33, 3, 1, 2, 2, true, false, {ACT_NONE, 0}, 4},
    {SHAPE(1, 64, 5, 6), 19, 1, 1, 1, 0, false, true, {ACT_NONE, 0}, 3},
    {SHAPE(1, 20, 14, 10), 16, 5, 2, 1, 2, true, true, {ACT_ELU, 1}, 1},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

typedef struct Data {
    Shape weights, dst;
    float *x, *w, *b;
} Data;

static float *normals(uint64_t number, int64_t n) {
    float *v = block_alloc(sizeof *v * (size_t)n);
    rng_fill_normal(3, RNG_TEST, number, 0, (size_t)n, v);
    return v;
}

static Data make(const Row *r) {
    Data d = {.weights = SHAPE(r->filters, r->src.dim[1], r->kernel, r->kernel)};
    int64_t span = r->dilation * (r->kernel - 1) + 1;
    d.dst = SHAPE(r->src.dim[0], r->filters, (r->src.dim[2] + 2 * r->pad - span) / r->stride + 1,
                  (r->src.dim[3] + 2 * r->pad - span) / r->stride + 1);
    d.x = normals(1, shape_size(r->src));
    d.w = normals(2, shape_size(d.weights));
    d.b = normals(3, r->filters);
    for (int64_t i = 0; !r->has_negative && i < shape_size(r->src); i++) d.x[i] = fmaxf(d.x[i], 0);
    for (int64_t k = 0; k < shape_size(d.weights) / r->filters; k++) d.w[k] = 0; /* a channel of zeros */
    return d;
}

static void release(Data *d) {
    block_free(d->x);
    block_free(d->w);
    block_free(d->b);
}

static ConvSpec conv_spec(const Row *r, const Data *d) {
    return (ConvSpec){.stride = {r->stride, r->stride},
                      .dilation = {r->dilation, r->dilation},
                      .pad_lo = {r->pad, r->pad},
                      .pad_hi = {r->pad, r->pad},
                      .groups = 1,
                      .dst = d->dst,
                      .act = r->act};
}

static double act(Act a, double v) {
    if (v >= 0 || a.kind == ACT_NONE) return v;
    return a.kind == ACT_RELU ? (double)a.alpha * v : (double)a.alpha * expm1(v);
}

static int clamp(double v, int low, int high) {
    double r = nearbyint(v);
    return r < low ? low : r > high ? high : (int)r;
}

/* One value by the formula. */
static double value_at(const Row *r, const Data *d, int64_t n, int64_t o, int64_t y, int64_t x) {
    const int64_t in = r->src.dim[1], h = r->src.dim[2], w = r->src.dim[3], k = r->kernel;
    const int low = r->has_negative ? -127 : 0, high = r->has_negative ? 127 : 255;
    const float a = r->range / (float)high;
    const float *row = d->w + o * in * k * k;
    float largest = 0;
    for (int64_t i = 0; i < in * k * k; i++) largest = fmaxf(largest, fabsf(row[i]));
    const float step = largest > 0 ? largest / 127 : 1;
    int64_t sum = 0;
    for (int64_t i = 0; i < in; i++)
        for (int64_t ky = 0; ky < k; ky++)
            for (int64_t kx = 0; kx < k; kx++) {
                const int64_t sy = y * r->stride - r->pad + ky * r->dilation,
                              sx = x * r->stride - r->pad + kx * r->dilation;
                if (sy < 0 || sx < 0 || sy >= h || sx >= w) continue;
                const float v = d->x[((n * in + i) * h + sy) * w + sx], f = row[(i * k + ky) * k + kx];
                sum += clamp((double)(v * (1 / a)), low, high) * clamp((double)(f / step), -127, 127);
            }
    return act(r->act, (double)sum * (double)(a * step) + (r->bias ? (double)d->b[o] : 0));
}

static Program *record(const Row *r, Data *d, bool ranged, bool twice) {
    Program *program = NULL;
    Build *b = build_new(engine, &(BuildOptions){0});
    ConvSpec spec = conv_spec(r, d);
    Tensor *x = build_external(b, "x", F32, r->src, d->x), *w = build_weights(b, "w", d->weights, d->w);
    Tensor *bias = r->bias ? build_weights(b, "b", SHAPE(r->filters), d->b) : NULL;
    if (ranged) build_range(x, r->range, r->has_negative);
    build_output(b, "y", op_conv(b, &spec, x, w, bias));
    if (twice) build_output(b, "z", op_conv(b, &spec, x, w, bias));
    if (build_finish(&program, b, &err) != OK) fail_msg("%s", err.text);
    if (program_run(program, &(RunState){0}, &err) != OK) fail_msg("%s", err.text);
    return program;
}

/* A product of the factors may round a value just at the middle between two numbers to the other side: one step of one
 * term. Everything else is exact but for the last factor. */
static void check(const Row *r) {
    Data d = make(r);
    Program *program = record(r, &d, true, false);
    const float *y = program_read(program, "y");
    double largest = 0, worst = 0;
    int64_t at = 0;
    for (int64_t n = 0; n < d.dst.dim[0]; n++)
        for (int64_t o = 0; o < d.dst.dim[1]; o++)
            for (int64_t i = 0; i < d.dst.dim[2]; i++)
                for (int64_t k = 0; k < d.dst.dim[3]; k++, at++) {
                    double want = value_at(r, &d, n, o, i, k);
                    largest = fmax(largest, fabs(want));
                    worst = fmax(worst, fabs(want - (double)y[at]));
                }
    if (getenv("SANDGLASS_TEST_VERBOSE")) print_message("  %g of %g\n", worst, largest);
    if (!(worst <= 1e-5 * largest)) fail_msg("row %d: off by %g of %g", (int)(r - rows), worst, largest);
    program_free(program);
    release(&d);
}

static void test_formula(void **state) {
    if (!engine_has_int8(engine)) skip();
    for (int i = 0; i < N_ROWS; i++) check(&rows[i]);
}

static int count_steps(const Program *program, const char *name) {
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    program_describe(program, out);
    fclose(out);
    int n = 0;
    for (const char *at = text; (at = strstr(at, name)); at++) n++;
    free(text);
    return n;
}

/* One rounding for two readers; none where no range is known. New weights come through a refresh. */
static void test_steps(void **state) {
    if (!engine_has_int8(engine)) skip();
    const Row *r = &rows[0];
    Data d = make(r);
    Program *two = record(r, &d, true, true), *none = record(r, &d, false, false);
    assert_int_equal(count_steps(two, "conv int8"), 2);
    assert_int_equal(count_steps(two, "quantize") - count_steps(two, "quantize weights"), 1);
    assert_int_equal(count_steps(none, "int8"), 0);
    const size_t bytes = sizeof(float) * (size_t)shape_size(d.dst);
    assert_memory_equal(program_read(two, "y"), program_read(two, "z"), bytes);
    for (int64_t i = 0; i < shape_size(d.weights); i++) d.w[i] *= 2;
    for (int64_t i = 0; i < r->filters; i++) d.b[i] *= 2;
    float *before = malloc(bytes);
    memcpy(before, program_read(two, "y"), bytes);
    program_refresh(two);
    assert_int_equal(program_run(two, &(RunState){0}, &err), OK);
    const float *after = program_read(two, "y");
    for (int64_t i = 0; i < shape_size(d.dst); i++) assert_true(after[i] == 2 * before[i]);
    free(before);
    program_free(two);
    program_free(none);
    release(&d);
}

/* What reads a picture or makes few values, as a network's last layer does, stays in 32 bits. */
static void test_few_channels(void **state) {
    if (!engine_has_int8(engine)) skip();
    const Row few[] = {{SHAPE(1, 3, 9, 11), 16, 3, 1, 1, 1, false, true, {ACT_NONE, 0}, 4},
                       {SHAPE(1, 32, 9, 11), 15, 1, 1, 1, 0, false, true, {ACT_NONE, 0}, 4}};
    for (int i = 0; i < 2; i++) {
        Data d = make(&few[i]);
        Program *program = record(&few[i], &d, true, false);
        assert_int_equal(count_steps(program, "int8"), 0);
        assert_int_equal(count_steps(program, "quantize"), 0);
        program_free(program);
        release(&d);
    }
}

static int set_up(void **state) {
    return engine_new(&engine, 0, &err);
}

static int tear_down(void **state) {
    engine_free(engine);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_steps),
                                       cmocka_unit_test(test_few_channels)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
