/* test_thin_conv.c - convolutions by passes of our own, with few output channels (src/engine/ops_thin_conv.c) and by
 * Winograd's algorithm (src/engine/ops_winograd.c), at shapes of chance: against a naive sum in double, the same bits
 * on any number of threads, and that they do run where the processor has AVX-512. */
#include "base/rng.h"
#include "engine/engine.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_CASES = 300, MAX_FLOATS = 1 << 16, MAX_WEIGHTS = 1 << 14, MAX_CHANNELS = 40 };

static uint64_t seed;

/* ---- a case ---- */

typedef struct Case {
    int64_t n, channels, h, w, o, oh, ow, kh, kw, top, left, bottom, right;
    bool bias;
    Act act;
} Case;

static int64_t from_to(Rng *rng, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low + 1));
}

/* Places of the window along an axis. */
static int64_t places(int64_t size, int64_t lo, int64_t hi, int64_t kernel) {
    return size + lo + hi - kernel + 1;
}

/* Pads from none to all but one of the window; at the far end also negative. */
static bool random_case(Rng *rng, Case *c) {
    *c = (Case){.n = from_to(rng, 1, 20),
                .channels = from_to(rng, 16, 40),
                .h = from_to(rng, 1, 9),
                .w = from_to(rng, 1, 13),
                .o = from_to(rng, 1, 4),
                .kh = from_to(rng, 1, 6),
                .kw = 1 + 2 * from_to(rng, 0, 2)};
    c->top = from_to(rng, 0, c->kh - 1);
    c->left = from_to(rng, 0, c->kw - 1);
    c->bottom = from_to(rng, -2, c->kh - 1);
    c->right = from_to(rng, -2, c->kw - 1);
    c->oh = places(c->h, c->top, c->bottom, c->kh);
    c->ow = places(c->w, c->left, c->right, c->kw);
    c->bias = from_to(rng, 0, 1);
    return c->oh >= 1 && c->ow >= 1;
}

/* 3x3, pads of all kinds, tiles that are not full, from less than a chunk to several. */
static bool random_winograd_case(Rng *rng, Case *c) {
    static const Act acts[] = {{ACT_NONE, 0}, {ACT_RELU, 0}, {ACT_RELU, 0.1f}};
    *c = (Case){.n = from_to(rng, 1, 60),
                .channels = from_to(rng, 8, MAX_CHANNELS),
                .h = from_to(rng, 1, 13),
                .w = from_to(rng, 1, 14),
                .o = from_to(rng, 8, MAX_CHANNELS),
                .kh = 3,
                .kw = 3};
    c->top = from_to(rng, 0, 2);
    c->left = from_to(rng, 0, 2);
    c->bottom = from_to(rng, 0, 2);
    c->right = from_to(rng, 0, 2);
    c->oh = places(c->h, c->top, c->bottom, c->kh);
    c->ow = places(c->w, c->left, c->right, c->kw);
    c->bias = from_to(rng, 0, 1);
    c->act = acts[from_to(rng, 0, 2)];
    return c->oh >= 1 && c->ow >= 1 && c->n * c->o * c->oh * c->ow <= MAX_FLOATS &&
           c->n * c->channels * c->h * c->w <= 2 * MAX_FLOATS;
}

static void say(const Case *c, char text[256]) {
    snprintf(text, 256, "%lldx%lldx%lldx%lld to %lldx%lldx%lld, kernel %lldx%lld, pads %lld %lld %lld %lld",
             (long long)c->n, (long long)c->channels, (long long)c->h, (long long)c->w, (long long)c->o,
             (long long)c->oh, (long long)c->ow, (long long)c->kh, (long long)c->kw, (long long)c->top,
             (long long)c->left, (long long)c->bottom, (long long)c->right);
}

/* ---- what is computed ---- */

typedef struct Arrays {
    float src[MAX_FLOATS * 2], weights[MAX_WEIGHTS], bias[MAX_CHANNELS], diff_dst[MAX_FLOATS];
    float identity[MAX_CHANNELS * MAX_CHANNELS];
    float diff_src[MAX_FLOATS * 2], diff_weights[MAX_WEIGHTS], diff_bias[MAX_CHANNELS], dst[MAX_FLOATS];
} Arrays;

static int64_t src_size(const Case *c) {
    return c->n * c->channels * c->h * c->w;
}

static int64_t weights_size(const Case *c) {
    return c->o * c->channels * c->kh * c->kw;
}

static int64_t dst_size(const Case *c) {
    return c->n * c->o * c->oh * c->ow;
}

static void fill(Arrays *a, const Case *c, uint64_t number) {
    assert_true(src_size(c) <= 2 * MAX_FLOATS && dst_size(c) <= MAX_FLOATS && weights_size(c) <= MAX_WEIGHTS);
    rng_fill_normal(seed, RNG_TEST, number, 0, (size_t)src_size(c), a->src);
    rng_fill_normal(seed, RNG_TEST, number, 1, (size_t)weights_size(c), a->weights);
    rng_fill_normal(seed, RNG_TEST, number, 2, MAX_CHANNELS, a->bias);
    rng_fill_normal(seed, RNG_TEST, number, 3, (size_t)dst_size(c), a->diff_dst);
    memset(a->identity, 0, sizeof a->identity);
    for (int64_t i = 0; i < c->channels; i++) a->identity[i * c->channels + i] = 1;
}

/* The convolution behind one that changes nothing but, as oneDNN likes it, the layout. */
static Program *record(Engine *engine, Arrays *a, const Case *c) {
    Build *b = build_new(engine, &(BuildOptions){.training = true});
    const Shape shape = SHAPE(c->n, c->channels, c->h, c->w), dst_shape = SHAPE(c->n, c->o, c->oh, c->ow);
    const Shape kernel = SHAPE(c->o, c->channels, c->kh, c->kw);
    ConvSpec same = {.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .dst = shape}, spec = same;
    spec.dst = dst_shape;
    spec.act = c->act;
    spec.pad_lo[0] = c->top;
    spec.pad_lo[1] = c->left;
    spec.pad_hi[0] = c->bottom;
    spec.pad_hi[1] = c->right;
    Tensor *x = build_external(b, "src", F32, shape, a->src);
    Tensor *identity = build_external(b, "identity", F32, SHAPE(c->channels, c->channels, 1, 1), a->identity);
    Tensor *weights = build_external(b, "weights", F32, kernel, a->weights);
    Tensor *bias = c->bias ? build_external(b, "bias", F32, SHAPE(c->o), a->bias) : NULL;
    Tensor *diff = build_external(b, "diff_dst", F32, dst_shape, a->diff_dst);
    Tensor *diff_weights = build_external(b, "diff_weights", F32, kernel, a->diff_weights);
    Tensor *diff_bias = bias ? build_external(b, "diff_bias", F32, SHAPE(c->o), a->diff_bias) : NULL;
    Tensor *src = op_conv(b, &same, x, identity, NULL);
    build_output(b, "dst", op_conv(b, &spec, src, weights, bias));
    Tensor *back = op_conv_backward(b, &spec, src, weights, diff, true, diff_weights, diff_bias);
    build_output(b, "diff_src", op_conv_backward(b, &same, x, identity, back, true, NULL, NULL));
    Error err = ERROR_INIT;
    Program *p;
    if (build_finish(&p, b, &err) != OK) fail_msg("%s", err.text);
    return p;
}

static void compute(Engine *engine, Arrays *a, const Case *c) {
    Program *p = record(engine, a, c);
    Error err = ERROR_INIT;
    if (program_run(p, &(RunState){0}, &err) != OK) fail_msg("%s", err.text);
    memcpy(a->dst, program_read(p, "dst"), sizeof(float) * (size_t)dst_size(c));
    memcpy(a->diff_src, program_read(p, "diff_src"), sizeof(float) * (size_t)src_size(c));
    program_free(p);
}

/* ---- against naive sums ---- */

typedef struct Sums {
    double dst[MAX_FLOATS], diff_src[MAX_FLOATS * 2], diff_weights[MAX_WEIGHTS], diff_bias[MAX_CHANNELS];
} Sums;

/* One place of the result: its value, and its share of the gradients. */
static void add_place(const Arrays *a, const Case *c, int64_t n, int64_t o, int64_t y, int64_t x, Sums *s) {
    const int64_t at = ((n * c->o + o) * c->oh + y) * c->ow + x;
    const double diff = (double)a->diff_dst[at];
    double sum = c->bias ? (double)a->bias[o] : 0;
    for (int64_t i = 0; i < c->channels; i++)
        for (int64_t ky = 0; ky < c->kh; ky++)
            for (int64_t kx = 0; kx < c->kw; kx++) {
                int64_t sy = y + ky - c->top, sx = x + kx - c->left;
                if (sy < 0 || sy >= c->h || sx < 0 || sx >= c->w) continue;
                int64_t from = ((n * c->channels + i) * c->h + sy) * c->w + sx;
                int64_t tap = ((o * c->channels + i) * c->kh + ky) * c->kw + kx;
                sum += (double)a->src[from] * (double)a->weights[tap];
                s->diff_src[from] += diff * (double)a->weights[tap];
                s->diff_weights[tap] += diff * (double)a->src[from];
            }
    s->dst[at] = c->act.kind == ACT_RELU && sum < 0 ? (double)c->act.alpha * sum : sum;
    s->diff_bias[o] += diff;
}

static void naive(const Arrays *a, const Case *c, Sums *s) {
    memset(s, 0, sizeof *s);
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t o = 0; o < c->o; o++)
            for (int64_t y = 0; y < c->oh; y++)
                for (int64_t x = 0; x < c->ow; x++) add_place(a, c, n, o, y, x, s);
}

static void assert_close(const Case *c, const char *what, int64_t n, const float *found, const double *wanted) {
    double largest = 1;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < n; i++) {
        if (fabs((double)found[i] - wanted[i]) <= 1e-5 * largest) continue;
        char text[256];
        say(c, text);
        fail_msg("%s: %s[%lld] is %g, wanted %g", text, what, (long long)i, (double)found[i], wanted[i]);
    }
}

static void check_shapes_of_chance(bool (*random)(Rng *rng, Case *c), int n_cases, uint64_t first) {
    Engine *engine;
    assert_int_equal(engine_new(&engine, 2, NULL), OK);
    Rng rng = rng_stream(seed, RNG_TEST, first, 9);
    Arrays *a = malloc(sizeof *a);
    Sums *s = malloc(sizeof *s);
    assert_true(a && s);
    for (int k = 0; k < n_cases; k++) {
        Case c;
        while (!random(&rng, &c)) {
        }
        fill(a, &c, first + (uint64_t)k);
        compute(engine, a, &c);
        naive(a, &c, s);
        assert_close(&c, "dst", dst_size(&c), a->dst, s->dst);
        assert_close(&c, "diff_src", src_size(&c), a->diff_src, s->diff_src);
        assert_close(&c, "diff_weights", weights_size(&c), a->diff_weights, s->diff_weights);
        if (c.bias) assert_close(&c, "diff_bias", c.o, a->diff_bias, s->diff_bias);
    }
    free(a);
    free(s);
    engine_free(engine);
}

static void test_shapes_of_chance(void **state) {
    check_shapes_of_chance(random_case, N_CASES, 0);
}

static void test_winograd_shapes_of_chance(void **state) {
    check_shapes_of_chance(random_winograd_case, N_CASES / 4, 1000);
}

/* ---- threads, and who computes ---- */

static const Case picture = {.n = 19,
                             .channels = 32,
                             .h = 9,
                             .w = 11,
                             .o = 3,
                             .oh = 9,
                             .ow = 11,
                             .kh = 3,
                             .kw = 3,
                             .top = 1,
                             .left = 1,
                             .bottom = 1,
                             .right = 1,
                             .bias = true};

static const Case wide_picture = {.n = 40,
                                  .channels = 24,
                                  .h = 8,
                                  .w = 10,
                                  .o = 20,
                                  .oh = 8,
                                  .ow = 10,
                                  .kh = 3,
                                  .kw = 3,
                                  .top = 1,
                                  .left = 1,
                                  .bottom = 1,
                                  .right = 1,
                                  .bias = true};

/* Whether there are steps of this name, with "_backward_data" and "_backward_weights" too. The sums over the batch are
 * ours everywhere but where oneDNN lays pictures out in other blocks. */
static bool has_steps(Engine *engine, Arrays *a, const Case *c, const char *name) {
    Program *p = record(engine, a, c);
    char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    assert_non_null(file);
    program_describe(p, file);
    fclose(file);
    const char *const ends[] = {" ", "_backward_data ", "_backward_weights "};
    bool has = true;
    for (int k = 0; k < 3; k++) {
        char whole[64];
        snprintf(whole, sizeof whole, " %s%s", name, ends[k]);
        has = has && strstr(text, whole);
    }
    free(text);
    program_free(p);
    return has;
}

static void check_threads(const Case *c, const char *name) {
    Engine *engine;
    Arrays *one = calloc(1, sizeof *one), *many = calloc(1, sizeof *many);
    assert_true(one && many);
    fill(one, c, 500);
    fill(many, c, 500);
    assert_int_equal(engine_new(&engine, 1, NULL), OK);
    compute(engine, one, c);
    engine_free(engine);
    for (int threads = 2; threads <= 5; threads += 3) {
        assert_int_equal(engine_new(&engine, threads, NULL), OK);
        bool ours = has_steps(engine, many, c, name);
        if (__builtin_cpu_supports("avx512f")) assert_true(ours);
        compute(engine, many, c);
        engine_free(engine);
        if (!ours) continue; /* oneDNN promises nothing of the kind */
        assert_memory_equal(one->dst, many->dst, sizeof one->dst);
        assert_memory_equal(one->diff_src, many->diff_src, sizeof one->diff_src);
        assert_memory_equal(one->diff_weights, many->diff_weights, sizeof one->diff_weights);
        assert_memory_equal(one->diff_bias, many->diff_bias, sizeof one->diff_bias);
    }
    free(one);
    free(many);
}

static void test_threads_do_not_show(void **state) {
    check_threads(&picture, "thin_conv");
    check_threads(&wide_picture, "winograd");
}

int main(void) {
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_of_chance),
        cmocka_unit_test(test_winograd_shapes_of_chance),
        cmocka_unit_test(test_threads_do_not_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
