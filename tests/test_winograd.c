/* test_winograd.c - 3x3 convolutions with enough channels for oneDNN's Winograd's algorithm (src/engine/ops_conv.c) at
 * shapes of chance: the result and both gradients against naive sums in double. oneDNN 2.6.3 gets some shapes wrong,
 * which must not be left to it. */
#include "base/rng.h"
#include "engine/engine.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 160, MAX_SIDE = 13, MAX_BATCH = 3, MAX_CHANNELS = 80 };
enum { MAX_PLANES = MAX_BATCH * MAX_CHANNELS * (MAX_SIDE + 4) * (MAX_SIDE + 4), MAX_KERNEL = 9 * MAX_CHANNELS * 64 };

static uint64_t seed;

/* ---- a case ---- */

typedef struct Case {
    int64_t n, in, out, h, w, oh, ow, pad_lo[2], pad_hi[2];
    bool bias, relu, training;
} Case;

static int64_t from_to(Rng *rng, int64_t low, int64_t high) {
    return low + (int64_t)rng_below(rng, (uint64_t)(high - low + 1));
}

/* Pads from none to all but one of the window, mostly the same at both ends: else Winograd's algorithm is not used. */
static bool random_case(Rng *rng, Case *c) {
    static const int64_t channels[][2] = {{16, 32}, {32, 16}, {32, 64}, {64, 32}, {33, 64}, {80, 48}, {17, 35}};
    const int64_t *pair = channels[from_to(rng, 0, 6)];
    *c = (Case){.n = from_to(rng, 1, MAX_BATCH),
                .in = pair[0],
                .out = pair[1],
                .h = from_to(rng, 1, MAX_SIDE),
                .w = from_to(rng, 1, MAX_SIDE),
                .bias = from_to(rng, 0, 1),
                .relu = from_to(rng, 0, 1),
                .training = from_to(rng, 0, 3) > 0};
    for (int i = 0; i < 2; i++) {
        c->pad_lo[i] = from_to(rng, 0, 2);
        c->pad_hi[i] = from_to(rng, 0, 9) == 0 ? from_to(rng, 0, 2) : c->pad_lo[i];
    }
    c->oh = c->h + c->pad_lo[0] + c->pad_hi[0] - 2;
    c->ow = c->w + c->pad_lo[1] + c->pad_hi[1] - 2;
    return c->oh >= 1 && c->ow >= 1;
}

static void say(const Case *c, char text[256]) {
    snprintf(text, 256, "%s of %lldx%lldx%lldx%lld to %lldx%lldx%lld, pads %lld %lld %lld %lld",
             c->training ? "training" : "inference", (long long)c->n, (long long)c->in, (long long)c->h,
             (long long)c->w, (long long)c->out, (long long)c->oh, (long long)c->ow, (long long)c->pad_lo[0],
             (long long)c->pad_hi[0], (long long)c->pad_lo[1], (long long)c->pad_hi[1]);
}

static int64_t src_size(const Case *c) {
    return c->n * c->in * c->h * c->w;
}

static int64_t dst_size(const Case *c) {
    return c->n * c->out * c->oh * c->ow;
}

static int64_t weights_size(const Case *c) {
    return c->out * c->in * 9;
}

/* ---- what is computed ---- */

typedef struct Arrays {
    float src[MAX_PLANES], weights[MAX_KERNEL], bias[MAX_CHANNELS], diff_dst[MAX_PLANES];
    float dst[MAX_PLANES], diff_src[MAX_PLANES], diff_weights[MAX_KERNEL], diff_bias[MAX_CHANNELS];
} Arrays;

static void fill(Arrays *a, const Case *c, uint64_t number) {
    assert_true(src_size(c) <= MAX_PLANES && dst_size(c) <= MAX_PLANES && weights_size(c) <= MAX_KERNEL);
    rng_fill_normal(seed, RNG_TEST, number, 0, (size_t)src_size(c), a->src);
    rng_fill_normal(seed, RNG_TEST, number, 1, (size_t)weights_size(c), a->weights);
    rng_fill_normal(seed, RNG_TEST, number, 2, (size_t)c->out, a->bias);
    rng_fill_normal(seed, RNG_TEST, number, 3, (size_t)dst_size(c), a->diff_dst);
}

static void compute(Engine *engine, Arrays *a, const Case *c) {
    Build *b = build_new(engine, &(BuildOptions){.training = c->training});
    const Shape src_shape = SHAPE(c->n, c->in, c->h, c->w), dst_shape = SHAPE(c->n, c->out, c->oh, c->ow);
    const Shape kernel = SHAPE(c->out, c->in, 3, 3);
    ConvSpec spec = {.stride = {1, 1},
                     .dilation = {1, 1},
                     .pad_lo = {c->pad_lo[0], c->pad_lo[1]},
                     .pad_hi = {c->pad_hi[0], c->pad_hi[1]},
                     .groups = 1,
                     .dst = dst_shape,
                     .act = {c->relu ? ACT_RELU : ACT_NONE, 0}};
    Tensor *src = build_external(b, "src", F32, src_shape, a->src);
    Tensor *weights = build_external(b, "weights", F32, kernel, a->weights);
    Tensor *bias = c->bias ? build_external(b, "bias", F32, SHAPE(c->out), a->bias) : NULL;
    build_output(b, "dst", op_conv(b, &spec, src, weights, bias));
    if (c->training) {
        Tensor *diff = build_external(b, "diff_dst", F32, dst_shape, a->diff_dst);
        Tensor *diff_weights = build_external(b, "diff_weights", F32, kernel, a->diff_weights);
        Tensor *diff_bias = bias ? build_external(b, "diff_bias", F32, SHAPE(c->out), a->diff_bias) : NULL;
        spec.act.kind = ACT_NONE; /* the gradient is that of the sums */
        build_output(b, "diff_src", op_conv_backward(b, &spec, src, weights, diff, true, diff_weights, diff_bias));
    }
    Error err = ERROR_INIT;
    Program *p;
    if (build_finish(&p, b, &err) != OK || program_run(p, &(RunState){0}, &err) != OK) fail_msg("%s", err.text);
    memcpy(a->dst, program_read(p, "dst"), sizeof(float) * (size_t)dst_size(c));
    if (c->training) memcpy(a->diff_src, program_read(p, "diff_src"), sizeof(float) * (size_t)src_size(c));
    program_free(p);
}

/* ---- against naive sums ---- */

typedef struct Sums {
    double dst[MAX_PLANES], diff_src[MAX_PLANES], diff_weights[MAX_KERNEL], diff_bias[MAX_CHANNELS];
} Sums;

/* One place of the result: its value, and its share of the gradients. */
static void add_place(const Arrays *a, const Case *c, int64_t n, int64_t o, int64_t y, int64_t x, Sums *s) {
    const int64_t at = ((n * c->out + o) * c->oh + y) * c->ow + x;
    const double diff = (double)a->diff_dst[at];
    double sum = c->bias ? (double)a->bias[o] : 0;
    for (int64_t i = 0; i < c->in; i++)
        for (int64_t k = 0; k < 9; k++) {
            const int64_t sy = y + k / 3 - c->pad_lo[0], sx = x + k % 3 - c->pad_lo[1];
            if (sy < 0 || sy >= c->h || sx < 0 || sx >= c->w) continue;
            const int64_t from = ((n * c->in + i) * c->h + sy) * c->w + sx, tap = (o * c->in + i) * 9 + k;
            sum += (double)a->src[from] * (double)a->weights[tap];
            s->diff_src[from] += diff * (double)a->weights[tap];
            s->diff_weights[tap] += diff * (double)a->src[from];
        }
    s->dst[at] = c->relu && sum < 0 ? 0 : sum;
    s->diff_bias[o] += diff;
}

static void naive(const Arrays *a, const Case *c, Sums *s) {
    memset(s, 0, sizeof *s);
    for (int64_t n = 0; n < c->n; n++)
        for (int64_t o = 0; o < c->out; o++)
            for (int64_t y = 0; y < c->oh; y++)
                for (int64_t x = 0; x < c->ow; x++) add_place(a, c, n, o, y, x, s);
}

static void assert_close(const Case *c, const char *what, int64_t n, const float *found, const double *wanted) {
    double largest = 1;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(wanted[i]));
    for (int64_t i = 0; i < n; i++) {
        if (fabs((double)found[i] - wanted[i]) <= 2e-5 * largest) continue;
        char text[256];
        say(c, text);
        fail_msg("%s: %s[%lld] is %g, wanted %g", text, what, (long long)i, (double)found[i], wanted[i]);
    }
}

static void test_shapes_of_chance(void **state) {
    Engine *engine;
    assert_int_equal(engine_new(&engine, 2, NULL), OK);
    Rng rng = rng_stream(seed, RNG_TEST, 0, 10);
    Arrays *a = malloc(sizeof *a);
    Sums *s = malloc(sizeof *s);
    assert_true(a && s);
    for (int k = 0; k < N_CASES; k++) {
        Case c;
        while (!random_case(&rng, &c)) {
        }
        fill(a, &c, (uint64_t)k);
        compute(engine, a, &c);
        naive(a, &c, s);
        assert_close(&c, "dst", dst_size(&c), a->dst, s->dst);
        if (!c.training) continue;
        assert_close(&c, "diff_src", src_size(&c), a->diff_src, s->diff_src);
        assert_close(&c, "diff_weights", weights_size(&c), a->diff_weights, s->diff_weights);
        if (c.bias) assert_close(&c, "diff_bias", c.out, a->diff_bias, s->diff_bias);
    }
    free(a);
    free(s);
    engine_free(engine);
}

int main(void) {
    seed = test_seed();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes_of_chance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
