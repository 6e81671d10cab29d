/* test_rbm.c - one step of pre-training (train/rbm.h, train/pretrain_denoise.h): statistics of contrastive divergence
 * against naive sums in double precision on the same draws; that it raises the exact likelihood of an RBM small enough
 * to enumerate; gradients of the denoising autoencoder against differences of a naive loss. */
#include "base/rng.h"
#include "train/pretrain_denoise.h"
#include "train/rbm.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_N = 16, MAX_UNITS = 96 };

static uint64_t seed;
static Error err;

#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s", err.text);                                                                    \
    } while (0)

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

/* ---- a layer with a program ---- */

typedef struct Bench {
    Engine *engine;
    Program *program;
    Weights *weights;
    PretrainLayer layer;
    int n;
    float *visible; /* n,I */
} Bench;

static Bench bench_new(const PretrainKind *kind, int n, int n_visible, int n_hidden, bool linear, double rate) {
    Bench b = {.n = n, .layer = {.name = "unit", .n_visible = n_visible, .n_hidden = n_hidden, .linear = linear}};
    assert_true(n <= MAX_N && n_visible <= MAX_UNITS && n_hidden <= MAX_UNITS);
    CHECK(engine_new(&b.engine, 2, &err));
    CHECK(pretrain_weights_new(&b.weights, &b.layer, 1, &err));
    PretrainBuild build = {
        .engine = b.engine, .n = n, .weights = b.weights, .linear = linear, .rate = rate, .number = 3};
    CHECK(kind->program(&b.program, &build, &err));
    b.visible = block_alloc(sizeof(float) * (size_t)(n * n_visible));
    assert_non_null(b.visible);
    program_bind(b.program, "visible", b.visible);
    return b;
}

static void bench_free(Bench *b) {
    program_free(b->program);
    weights_free(b->weights);
    engine_free(b->engine);
    block_free(b->visible);
}

static float *value(const Bench *b, int entry) {
    return b->weights->value + b->weights->entries[entry].offset;
}

static const float *gradient(const Bench *b, int entry) {
    return b->weights->grad + b->weights->entries[entry].offset;
}

/* Weights of a size at which units are neither all off nor all on; visible values that a picture might have. */
static void bench_fill(Bench *b, uint64_t number) {
    Rng rng = rng_stream(seed, RNG_TEST, number, 0);
    for (int64_t i = 0; i < b->weights->size; i++) b->weights->value[i] = (float)(0.3 * rng_normal(&rng));
    for (int64_t i = 0; i < b->n * b->layer.n_visible; i++) b->visible[i] = (float)rng_uniform(&rng);
}

static double bench_run(Bench *b, uint64_t step) {
    CHECK(program_run(b->program, &(RunState){.seed = seed, .step = step}, &err));
    return *(const double *)program_read(b->program, "error");
}

static void assert_near(double got, double wanted, double tolerance, const char *what, int i) {
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%s [%d]: %.9g, should be %.9g", what, i, got, wanted);
}

/* ---- the reference ---- */

typedef struct Reference {
    double weights[MAX_UNITS][MAX_UNITS], bias[MAX_UNITS], visible[MAX_UNITS]; /* of an entry, or its gradient */
} Reference;

static Reference reference_values(const Bench *b) {
    Reference r = {0};
    for (int o = 0; o < b->layer.n_hidden; o++) {
        r.bias[o] = (double)value(b, PRETRAIN_BIAS)[o];
        for (int i = 0; i < b->layer.n_visible; i++)
            r.weights[o][i] = (double)value(b, PRETRAIN_WEIGHTS)[o * b->layer.n_visible + i];
    }
    for (int i = 0; i < b->layer.n_visible; i++) r.visible[i] = (double)value(b, PRETRAIN_VISIBLE_BIAS)[i];
    return r;
}

static void reference_up(const Bench *b, const Reference *r, const double *visible, double *hidden) {
    for (int o = 0; o < b->layer.n_hidden; o++) {
        double sum = r->bias[o];
        for (int i = 0; i < b->layer.n_visible; i++) sum += r->weights[o][i] * visible[i];
        hidden[o] = b->layer.linear ? sum : logistic(sum);
    }
}

static void reference_down(const Bench *b, const Reference *r, const double *hidden, double *visible) {
    for (int i = 0; i < b->layer.n_visible; i++) {
        double sum = r->visible[i];
        for (int o = 0; o < b->layer.n_hidden; o++) sum += r->weights[o][i] * hidden[o];
        visible[i] = logistic(sum);
    }
}

/* The gradient of CD-1 and the squared error of the reconstruction. */
static double reference_cd(const Bench *b, const float *draws, Reference *out) {
    Reference r = reference_values(b);
    double error = 0;
    *out = (Reference){0};
    for (int n = 0; n < b->n; n++) {
        double v0[MAX_UNITS], v1[MAX_UNITS], h0[MAX_UNITS], h1[MAX_UNITS], sample[MAX_UNITS];
        for (int i = 0; i < b->layer.n_visible; i++) v0[i] = (double)b->visible[n * b->layer.n_visible + i];
        reference_up(b, &r, v0, h0);
        for (int o = 0; o < b->layer.n_hidden; o++) {
            double draw = (double)draws[n * b->layer.n_hidden + o];
            sample[o] = b->layer.linear ? h0[o] + draw : draw < h0[o];
        }
        reference_down(b, &r, sample, v1);
        reference_up(b, &r, v1, h1);
        for (int o = 0; o < b->layer.n_hidden; o++) {
            out->bias[o] -= (h0[o] - h1[o]) / b->n;
            for (int i = 0; i < b->layer.n_visible; i++) out->weights[o][i] -= (h0[o] * v0[i] - h1[o] * v1[i]) / b->n;
        }
        for (int i = 0; i < b->layer.n_visible; i++) {
            out->visible[i] -= (v0[i] - v1[i]) / b->n;
            error += (v0[i] - v1[i]) * (v0[i] - v1[i]);
        }
    }
    return error;
}

static void assert_gradients(const Bench *b, const Reference *wanted, double tolerance) {
    int n_visible = (int)b->layer.n_visible;
    for (int o = 0; o < b->layer.n_hidden; o++) {
        assert_near((double)gradient(b, PRETRAIN_BIAS)[o], wanted->bias[o], tolerance, "bias", o);
        for (int i = 0; i < n_visible; i++)
            assert_near((double)gradient(b, PRETRAIN_WEIGHTS)[o * n_visible + i], wanted->weights[o][i], tolerance,
                        "weights", o * n_visible + i);
    }
    for (int i = 0; i < n_visible; i++)
        assert_near((double)gradient(b, PRETRAIN_VISIBLE_BIAS)[i], wanted->visible[i], tolerance, "visible bias", i);
}

static void test_statistics(void **state) {
    const struct {
        int n, n_visible, n_hidden;
        bool linear;
    } cases[] = {{1, 5, 3, false}, {7, 19, 33, false}, {16, 96, 40, false}, {7, 19, 33, true}, {3, 70, 1, true}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        Bench b = bench_new(&pretrain_rbm, cases[k].n, cases[k].n_visible, cases[k].n_hidden, cases[k].linear, 0);
        bench_fill(&b, k);
        float draws[MAX_N * MAX_UNITS];
        size_t n_draws = (size_t)(cases[k].n * cases[k].n_hidden);
        if (cases[k].linear)
            rng_fill_normal(seed, RNG_PRETRAIN, 11, 3, n_draws, draws);
        else
            rng_fill_uniform(seed, RNG_PRETRAIN, 11, 3, n_draws, draws);
        Reference *wanted = malloc(sizeof *wanted);
        double error = reference_cd(&b, draws, wanted);
        assert_near(bench_run(&b, 11), error, 1e-5 * (1 + error), "error", 0);
        assert_gradients(&b, wanted, 2e-5);
        double other = bench_run(&b, 12); /* other draws */
        assert_true(other != error);
        free(wanted);
        bench_free(&b);
    }
}

/* ---- likelihood ---- */

enum { TOY_VISIBLE = 9, TOY_HIDDEN = 6, TOY_N = 14 };

/* log sum_h exp(-E(v, h)) = c'v + sum_o log(1 + exp(b_o + W_o v)). */
static double log_weight(const Bench *b, const Reference *r, const double *visible) {
    double sum = 0;
    for (int i = 0; i < TOY_VISIBLE; i++) sum += r->visible[i] * visible[i];
    for (int o = 0; o < TOY_HIDDEN; o++) {
        double x = r->bias[o];
        for (int i = 0; i < TOY_VISIBLE; i++) x += r->weights[o][i] * visible[i];
        sum += log1p(exp(x));
    }
    return sum;
}

/* Mean over the data of log p(v), with the partition function summed over all visible states. */
static double log_likelihood(const Bench *b) {
    Reference r = reference_values(b);
    double partition = 0, mean = 0, v[TOY_VISIBLE];
    for (int bits = 0; bits < 1 << TOY_VISIBLE; bits++) {
        for (int i = 0; i < TOY_VISIBLE; i++) v[i] = bits >> i & 1;
        partition += exp(log_weight(b, &r, v));
    }
    for (int n = 0; n < b->n; n++) {
        for (int i = 0; i < TOY_VISIBLE; i++) v[i] = (double)b->visible[n * TOY_VISIBLE + i];
        mean += (log_weight(b, &r, v) - log(partition)) / b->n;
    }
    return mean;
}

/* The rows and columns of a 3x3 picture, alone and in pairs, MacKay's bars: 14 pictures, so no model can give more than
 * -log 14 = -2.64, and one that knows nothing gives -9 log 2 = -6.24. */
static void fill_bars(float *visible) {
    int n = 0;
    for (int vertical = 0; vertical < 2; vertical++)
        for (int bars = vertical; bars < 8 - vertical; bars++, n++)
            for (int i = 0; i < TOY_VISIBLE; i++)
                visible[n * TOY_VISIBLE + i] = (float)(bars >> (vertical ? i % 3 : i / 3) & 1);
    assert_int_equal(n, TOY_N);
}

static void test_likelihood_rises(void **state) {
    Bench b = bench_new(&pretrain_rbm, TOY_N, TOY_VISIBLE, TOY_HIDDEN, false, 0);
    Rng rng = rng_stream(seed, RNG_TEST, 20, 0);
    for (int64_t i = 0; i < b.weights->entries[PRETRAIN_WEIGHTS].count; i++)
        b.weights->value[i] = (float)(0.05 * rng_normal(&rng));
    fill_bars(b.visible);
    double before = log_likelihood(&b), after[3];
    assert_true(fabs(before + 9 * log(2)) < 0.5);
    uint64_t step = 0;
    for (int stage = 0; stage < 3; stage++) {
        for (int k = 0; k < 1000; k++, step++) {
            bench_run(&b, step);
            for (int64_t i = 0; i < b.weights->trained_size; i++) b.weights->value[i] -= 0.1f * b.weights->grad[i];
        }
        after[stage] = log_likelihood(&b);
    }
    print_message("log-likelihood %.3f, then %.3f, %.3f, %.3f\n", before, after[0], after[1], after[2]);
    assert_true(after[0] > before + 0.3);
    assert_true(after[2] > after[0]);
    assert_true(after[2] > before + 1.5);
    bench_free(&b);
}

/* ---- the denoising autoencoder ---- */

/* Mean over samples of the cross-entropy, corrupted where draw < rate. */
static double denoise_loss(const Bench *b, const Reference *r, const float *draws, double rate) {
    double loss = 0;
    for (int n = 0; n < b->n; n++) {
        double x[MAX_UNITS], h[MAX_UNITS], y[MAX_UNITS];
        for (int i = 0; i < b->layer.n_visible; i++) {
            int64_t k = n * b->layer.n_visible + i;
            x[i] = draws[k] < (float)rate ? 0 : (double)b->visible[k];
        }
        reference_up(b, r, x, h);
        reference_down(b, r, h, y);
        for (int i = 0; i < b->layer.n_visible; i++) {
            double v = (double)b->visible[n * b->layer.n_visible + i];
            loss -= (v * log(y[i]) + (1 - v) * log(1 - y[i])) / b->n;
        }
    }
    return loss;
}

static double difference(const Bench *b, Reference *r, double *at, const float *draws, double rate) {
    const double kept = *at, step = 1e-5;
    *at = kept + step;
    double above = denoise_loss(b, r, draws, rate);
    *at = kept - step;
    double below = denoise_loss(b, r, draws, rate);
    *at = kept;
    return (above - below) / (2 * step);
}

static void test_denoise_gradient(void **state) {
    const struct {
        int n, n_visible, n_hidden;
        double rate;
    } cases[] = {{1, 5, 3, 0.5}, {6, 17, 11, 0.25}, {9, 20, 33, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        double rate = cases[k].rate;
        Bench b = bench_new(&pretrain_denoise, cases[k].n, cases[k].n_visible, cases[k].n_hidden, false, rate);
        bench_fill(&b, 30 + k);
        float draws[MAX_N * MAX_UNITS];
        rng_fill_uniform(seed, RNG_PRETRAIN, 5, 3, (size_t)(cases[k].n * cases[k].n_visible), draws);
        Reference *r = malloc(2 * sizeof *r), *wanted = r + 1;
        *r = reference_values(&b);
        for (int o = 0; o < cases[k].n_hidden; o++) {
            wanted->bias[o] = difference(&b, r, &r->bias[o], draws, rate);
            for (int i = 0; i < cases[k].n_visible; i++)
                wanted->weights[o][i] = difference(&b, r, &r->weights[o][i], draws, rate);
        }
        for (int i = 0; i < cases[k].n_visible; i++)
            wanted->visible[i] = difference(&b, r, &r->visible[i], draws, rate);
        double loss = denoise_loss(&b, r, draws, rate);
        assert_near(bench_run(&b, 5) / b.n, loss, 1e-5 * loss, "loss", 0);
        assert_gradients(&b, wanted, 2e-5);
        free(r);
        bench_free(&b);
    }
}

/* ---- the weights of a layer ---- */

static void test_names(void **state) {
    Bench b = bench_new(&pretrain_rbm, 2, 4, 3, false, 0);
    assert_int_equal(b.weights->n, PRETRAIN_ENTRIES);
    assert_string_equal(b.weights->entries[PRETRAIN_WEIGHTS].name, "unit/weights");
    assert_string_equal(b.weights->entries[PRETRAIN_BIAS].name, "unit/bias");
    assert_string_equal(b.weights->entries[PRETRAIN_VISIBLE_BIAS].name, "unit/visible_bias");
    assert_true(shape_equal(b.weights->entries[PRETRAIN_WEIGHTS].shape, SHAPE(3, 4)));
    assert_int_equal(b.weights->entries[PRETRAIN_WEIGHTS].flags, WEIGHT_TRAINED | WEIGHT_DECAYED);
    assert_int_equal(b.weights->entries[PRETRAIN_VISIBLE_BIAS].flags, WEIGHT_TRAINED);
    assert_int_equal(b.weights->n_slots, 1);
    bench_free(&b);
}

int main(void) {
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_likelihood_rises),
        cmocka_unit_test(test_denoise_gradient),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
