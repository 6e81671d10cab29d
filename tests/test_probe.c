/* test_probe.c - multinomial logistic regression against scikit-learn, its gradient against differences. */
#include "analysis/probe.h"
#include "base/rng.h"
#include "probe_golden.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { N = 48, D = 4, CLASSES = 3 };

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.17g, expected %.17g", got, want);
}

static ProbeSpec golden_spec(void) {
    return (ProbeSpec){.n = N,
                       .d = D,
                       .x = golden_probe_x[0],
                       .labels = golden_probe_labels,
                       .n_classes = CLASSES,
                       .l2 = golden_probe_l2,
                       .tolerance = 1e-9};
}

static void agrees_with_scikit_learn(void **state) {
    Scratch *s = *state;
    ProbeSpec spec = golden_spec();
    Probe probe;
    CHECK(probe_fit(&probe, &spec, &s->err));
    assert_true(probe.converged && probe.gradient_norm <= 1e-9 && probe.iterations > 0);
    assert_near(probe.loss, golden_probe_loss, 1e-10);
    const double *bias = probe.weights + D * probe.stride;
    double mean = (bias[0] + bias[1] + bias[2]) / CLASSES; /* a shift of all biases changes nothing */
    for (int c = 0; c < CLASSES; c++) {
        for (int j = 0; j < D; j++) assert_near(probe.weights[j * probe.stride + c], golden_probe_coef[c][j], 1e-6);
        assert_near(bias[c] - mean, golden_probe_bias[c], 1e-6);
    }
    int32_t classes[N];
    CHECK(probe_predict(&probe, N, golden_probe_test[0], classes, &s->err));
    for (int i = 0; i < N; i++) assert_int_equal(classes[i], golden_probe_predicted[i]);
    probe_free(&probe);
}

/* Sizes that fill no block or vector evenly: samples, features and classes beyond and below the steps. */
enum { MANY = 531, WIDE = 11, KINDS = 6 };
typedef struct Sample {
    float x[MANY][WIDE];
    int32_t labels[MANY];
} Sample;

static ProbeSpec make_sample(Sample *s, uint64_t seed) {
    rng_fill_normal(seed, RNG_TEST, 1, 0, MANY * WIDE, s->x[0]);
    Rng rng = rng_stream(seed, RNG_TEST, 2, 0);
    for (int i = 0; i < MANY; i++) {
        s->labels[i] = (int32_t)rng_below(&rng, KINDS);
        s->x[i][s->labels[i]] += 1.5f;
        s->x[i][3] *= 100; /* features of another scale, and one that never changes */
        s->x[i][8] = 4;
    }
    return (ProbeSpec){.n = MANY, .d = WIDE, .x = s->x[0], .labels = s->labels, .n_classes = KINDS, .l2 = 0.01};
}

static void gradient_is_that_of_the_objective(void **state) {
    Scratch *s = *state;
    static Sample sample;
    const uint64_t seed = 11;
    print_message("seed %d\n", (int)seed);
    ProbeSpec spec = make_sample(&sample, seed);
    int64_t stride = probe_stride(KINDS);
    assert_int_equal(stride, 8);
    double weights[(WIDE + 1) * 8] = {0}, gradient[(WIDE + 1) * 8], unused[(WIDE + 1) * 8], value;
    Rng rng = rng_stream(seed, RNG_TEST, 3, 0);
    for (int j = 0; j <= WIDE; j++)
        for (int c = 0; c < KINDS; c++) weights[j * stride + c] = 0.3 * rng_normal(&rng);
    CHECK(probe_objective(&spec, weights, gradient, &value, &s->err));
    for (int at = 0; at < (WIDE + 1) * 8; at++) {
        if (at % stride >= KINDS) {
            assert_true(gradient[at] == 0);
            continue;
        }
        double up, down, kept = weights[at], step = 1e-5;
        weights[at] = kept + step;
        CHECK(probe_objective(&spec, weights, unused, &up, &s->err));
        weights[at] = kept - step;
        CHECK(probe_objective(&spec, weights, NULL, &down, &s->err));
        weights[at] = kept;
        assert_near(gradient[at], (up - down) / (2 * step), 1e-9);
    }
}

/* At the start all classes are alike: the loss is the logarithm of their number. */
static void value_at_zero(void **state) {
    Scratch *s = *state;
    static Sample sample;
    ProbeSpec spec = make_sample(&sample, 12);
    double weights[(WIDE + 1) * 8] = {0}, value;
    CHECK(probe_objective(&spec, weights, NULL, &value, &s->err));
    assert_near(value, log(KINDS), 1e-12);
}

static void a_better_fit_is_found_and_used(void **state) {
    Scratch *s = *state;
    static Sample train, test;
    ProbeSpec spec = make_sample(&train, 13);
    make_sample(&test, 14);
    Probe probe;
    CHECK(probe_fit(&probe, &spec, &s->err));
    assert_true(probe.converged && probe.loss < 1.5 && probe.scale[8] == 0);
    int32_t classes[MANY];
    CHECK(probe_predict(&probe, MANY, test.x[0], classes, &s->err));
    int right = 0;
    for (int i = 0; i < MANY; i++) right += classes[i] == test.labels[i];
    print_message("%d of %d right\n", right, MANY);
    assert_true(right > MANY * 6 / 10); /* the best possible is about 0.66; chance 0.17 */
    probe_free(&probe);
}

static void threads_do_not_matter(void **state) {
#ifdef _OPENMP
    Scratch *s = *state;
    static Sample sample;
    ProbeSpec spec = make_sample(&sample, 15);
    int threads = omp_get_max_threads();
    Probe one, three;
    omp_set_num_threads(1);
    CHECK(probe_fit(&one, &spec, &s->err));
    omp_set_num_threads(3);
    CHECK(probe_fit(&three, &spec, &s->err));
    omp_set_num_threads(threads);
    assert_int_equal(one.iterations, three.iterations);
    assert_memory_equal(one.weights, three.weights, sizeof(double) * (WIDE + 1) * 8);
    probe_free(&one);
    probe_free(&three);
#endif
}

static void stops_when_it_should(void **state) {
    Scratch *s = *state;
    static Sample sample;
    ProbeSpec spec = make_sample(&sample, 16);
    spec.max_iterations = 2;
    Probe probe;
    CHECK(probe_fit(&probe, &spec, &s->err));
    assert_true(!probe.converged && probe.iterations == 2);
    probe_free(&probe);
    volatile sig_atomic_t stop = 1;
    spec.stop = &stop;
    assert_int_equal(probe_fit(&probe, &spec, &s->err), ERR_STOPPED);
    assert_null(probe.weights);
}

static void refuses(Scratch *s, const ProbeSpec *spec, const char *words) {
    Probe probe;
    assert_int_not_equal(probe_fit(&probe, spec, &s->err), OK);
    assert_null(probe.weights);
    assert_string_equal(scratch_words(s), words);
}

static void says_what_is_wrong(void **state) {
    Scratch *s = *state;
    static Sample sample;
    ProbeSpec spec = make_sample(&sample, 17), bad = spec;
    bad.n = 0;
    refuses(s, &bad, "error: a probe needs samples and features, got 0 of 11\n");
    bad = spec;
    bad.n_classes = 1;
    refuses(s, &bad, "error: a probe is for 2 to 4096 classes, got 1\n");
    bad = spec;
    bad.l2 = -1;
    refuses(s, &bad, "error: l2 must be 0 or more, got -1\n");
    sample.labels[20] = -1;
    refuses(s, &spec, "error: label -1 of sample 20 is none of the 6 classes\n");
    sample.labels[20] = 6;
    refuses(s, &spec, "error: label 6 of sample 20 is none of the 6 classes\n");
    sample.labels[20] = 0;
    sample.x[33][2] = INFINITY;
    refuses(s, &spec, "error: feature 2 of sample 33 is not finite: inf\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_scikit_learn, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(gradient_is_that_of_the_objective, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(value_at_zero, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(a_better_fit_is_found_and_used, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(threads_do_not_matter, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(stops_when_it_should, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, scratch_set_up, scratch_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
