/* test_pca.c - principal components against NumPy, and by the properties that define them. */
#include "analysis/pca.h"
#include "base/rng.h"
#include "pca_golden.h"
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

enum { N = 14, D = 6, OTHERS = 5, K = 3 };

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.17g, expected %.17g", got, want);
}

static void agrees_with_numpy(void **state) {
    Scratch *s = *state;
    Pca pca;
    CHECK(pca_fit(&pca, N, D, golden_pca_x[0], K, &s->err));
    double total = 0;
    for (int j = 0; j < D; j++) {
        assert_near(pca.mean[j], golden_pca_mean[j], 1e-13);
        total += golden_pca_variance[j];
    }
    assert_near(pca.total_variance, total, 1e-12);
    for (int k = 0; k < K; k++) {
        assert_near(pca.variance[k], golden_pca_variance[k], 1e-12);
        for (int j = 0; j < D; j++) assert_near(pca.axes[k * D + j], golden_pca_axes[k][j], 1e-12);
    }
    float codes[OTHERS * K], back[OTHERS * D];
    double errors[OTHERS];
    CHECK(pca_apply(&pca, OTHERS, golden_pca_other[0], &(PcaOutputs){codes, back, errors}, &s->err));
    for (int i = 0; i < OTHERS; i++) {
        assert_near(errors[i], golden_pca_errors[i], 1e-11);
        double from_back = 0;
        for (int k = 0; k < K; k++) assert_near((double)codes[i * K + k], golden_pca_codes[i][k], 1e-5);
        for (int j = 0; j < D; j++) from_back += pow((double)back[i * D + j] - (double)golden_pca_other[i][j], 2);
        assert_near(from_back, golden_pca_errors[i], 1e-4);
    }
    pca_free(&pca);
}

/* Samples of more than a tile's size with a few strong directions and a value that never changes. */
enum { MANY = 333, WIDE = 150, FLAT = 7 };
static float *make_samples(uint64_t seed) {
    float *x = malloc(sizeof *x * MANY * WIDE), *mix = malloc(sizeof *mix * WIDE);
    assert_non_null(x);
    assert_non_null(mix);
    rng_fill_normal(seed, RNG_TEST, 1, 0, MANY * WIDE, x);
    for (int strong = 0; strong < 5; strong++) {
        rng_fill_normal(seed, RNG_TEST, 2, (uint64_t)strong, WIDE, mix);
        Rng rng = rng_stream(seed, RNG_TEST, 3, (uint64_t)strong);
        for (int i = 0; i < MANY; i++) {
            float amount = (float)(rng_normal(&rng) * (6 - strong));
            for (int j = 0; j < WIDE; j++) x[i * WIDE + j] += amount * mix[j] + 3;
        }
    }
    for (int i = 0; i < MANY; i++) x[i * WIDE + FLAT] = 0.1f;
    free(mix);
    return x;
}

static double mean_error(Scratch *s, const Pca *pca, int64_t n, const float *x) {
    double *errors = malloc(sizeof *errors * (size_t)n), sum = 0;
    assert_non_null(errors);
    CHECK(pca_apply(pca, n, x, &(PcaOutputs){.errors = errors}, &s->err));
    for (int64_t i = 0; i < n; i++) sum += errors[i];
    free(errors);
    return sum / (double)n;
}

static void axes_are_orthonormal(void **state) {
    Scratch *s = *state;
    float *x = make_samples(3);
    Pca pca;
    CHECK(pca_fit(&pca, MANY, WIDE, x, 40, &s->err));
    for (int a = 0; a < 40; a++) {
        const double *axis = pca.axes + a * WIDE;
        int largest = 0;
        for (int b = 0; b <= a; b++) {
            double dot = 0;
            for (int j = 0; j < WIDE; j++) dot += axis[j] * pca.axes[b * WIDE + j];
            assert_near(dot, a == b, 1e-12);
        }
        for (int j = 0; j < WIDE; j++)
            if (fabs(axis[j]) > fabs(axis[largest])) largest = j;
        assert_true(axis[largest] > 0);
        assert_near(axis[FLAT], 0, 1e-12);
        if (a > 0) assert_true(pca.variance[a] <= pca.variance[a - 1]);
    }
    pca_free(&pca);
    free(x);
}

/* Each more component lowers the training error by its variance; all together leave nothing. */
static void error_is_the_variance_left_out(void **state) {
    Scratch *s = *state;
    float *x = make_samples(4);
    double before = INFINITY;
    static const int counts[] = {1, 2, 3, 4, 9, 63, 64, 65, 148, 149, 150};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        Pca pca;
        CHECK(pca_fit(&pca, MANY, WIDE, x, counts[c], &s->err));
        double kept = 0, error = mean_error(s, &pca, MANY, x);
        for (int k = 0; k < counts[c]; k++) kept += pca.variance[k];
        double left = (pca.total_variance - kept) * (MANY - 1) / MANY;
        assert_near(error, left, 1e-9 * pca.total_variance);
        assert_near(pca_explained(&pca), kept / pca.total_variance, 1e-12);
        if (counts[c] < WIDE - 1) assert_true(error < before);
        before = error;
        pca_free(&pca);
    }
    assert_true(before < 1e-9);
    free(x);
}

static void threads_do_not_matter(void **state) {
#ifdef _OPENMP
    Scratch *s = *state;
    float *x = make_samples(5);
    int threads = omp_get_max_threads();
    Pca one, three;
    omp_set_num_threads(1);
    CHECK(pca_fit(&one, MANY, WIDE, x, 10, &s->err));
    omp_set_num_threads(3);
    CHECK(pca_fit(&three, MANY, WIDE, x, 10, &s->err));
    omp_set_num_threads(threads);
    assert_memory_equal(one.axes, three.axes, sizeof(double) * 10 * WIDE);
    assert_memory_equal(one.variance, three.variance, sizeof(double) * 10);
    pca_free(&one);
    pca_free(&three);
    free(x);
#endif
}

static void samples_all_alike(void **state) {
    Scratch *s = *state;
    static const float x[3][2] = {{1.5f, 2}, {1.5f, 2}, {1.5f, 2}};
    Pca pca;
    CHECK(pca_fit(&pca, 3, 2, x[0], 2, &s->err));
    assert_true(pca.total_variance == 0 && pca.variance[0] == 0 && pca_explained(&pca) == 1);
    assert_true(mean_error(s, &pca, 3, x[0]) == 0);
    pca_free(&pca);
}

static void refuses(Scratch *s, int64_t n, int64_t d, const float *x, int64_t k, const char *words) {
    Pca pca;
    assert_int_not_equal(pca_fit(&pca, n, d, x, k, &s->err), OK);
    assert_null(pca.axes);
    assert_string_equal(scratch_words(s), words);
}

static void says_what_is_wrong(void **state) {
    Scratch *s = *state;
    float x[4] = {1, 2, 3, 5};
    refuses(s, 1, 2, x, 1, "error: principal components need 2 samples or more, got 1\n");
    refuses(s, 2, 2, x, 3, "error: 3 principal components were asked for; samples of 2 values have 1 to 2\n");
    refuses(s, 2, 2, x, 0, "error: 0 principal components were asked for; samples of 2 values have 1 to 2\n");
    refuses(s, 2, 5000, x, 1,
            "error: principal components are for samples of 1 to 4096 values, got 5000: use smaller pictures "
            "(data.size)\n");
    refuses(s, 2, 2, x, 2, "error: 2 principal components were asked for; 2 samples lie in 1 directions\n");
    x[3] = NAN;
    refuses(s, 2, 2, x, 1, "error: value 1 of sample 1 is not finite: nan\n");
    x[3] = -INFINITY;
    refuses(s, 2, 2, x, 1, "error: value 1 of sample 1 is not finite: -inf\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agrees_with_numpy, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(axes_are_orthonormal, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(error_is_the_variance_left_out, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(threads_do_not_matter, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(samples_all_alike, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, scratch_set_up, scratch_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
