/* Random streams: published Philox vectors, independence of the number of threads, moments of the distributions. */
#include "base/rng.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A stream of key 0 or all ones, as in Random123's kat_vectors file (philox4x32, 10 rounds). */
static void test_known_answers(void **state) {
    Rng zeros = {.used = 4};
    static const uint32_t want_zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (int i = 0; i < 4; i++) assert_int_equal(rng_u32(&zeros), want_zeros[i]);
    Rng ones = {.key = {~0u, ~0u}, .counter = {~0u, ~0u, ~0u, ~0u}, .used = 4};
    static const uint32_t want_ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    for (int i = 0; i < 4; i++) assert_int_equal(rng_u32(&ones), want_ones[i]);
}

static void test_streams_differ_by_every_part_of_their_name(void **state) {
    Rng s[] = {
        rng_stream(1, RNG_TEST, 2, 3),  rng_stream(2, RNG_TEST, 2, 3), rng_stream(1 | 1ull << 32, RNG_TEST, 2, 3),
        rng_stream(1, RNG_LAYER, 2, 3), rng_stream(1, RNG_TEST, 3, 3), rng_stream(1, RNG_TEST, 2 | 1ull << 40, 3),
        rng_stream(1, RNG_TEST, 2, 4),  rng_stream(1, RNG_TEST, 3, 2)};
    uint64_t first[8];
    for (int i = 0; i < 8; i++) first[i] = (uint64_t)rng_u32(&s[i]) << 32 | rng_u32(&s[i]);
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++) assert_true(first[i] != first[j]);
    Rng again = rng_stream(1, RNG_TEST, 2, 3);
    assert_true(((uint64_t)rng_u32(&again) << 32 | rng_u32(&again)) == first[0]);
}

/* Element i of a fill is the i-th number of the stream, whatever the length. */
static void test_uniform_fill_is_the_stream(void **state) {
    enum { N = 4 * 4096 + 13 };
    float *filled = malloc(N * sizeof *filled);
    rng_fill_uniform(7, RNG_TEST, 1, 2, N, filled);
    Rng rng = rng_stream(7, RNG_TEST, 1, 2);
    for (int i = 0; i < N; i++) assert_true(filled[i] == (float)(rng_u32(&rng) >> 8) * 0x1p-24f);
    float few[5];
    rng_fill_uniform(7, RNG_TEST, 1, 2, 5, few);
    assert_memory_equal(few, filled, sizeof few);
    free(filled);
}

static void test_fills_do_not_depend_on_threads(void **state) {
    enum { N = 100003 };
    float *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    rng_fill_normal(3, RNG_LAYER, 4, 5, N, a);
    omp_set_num_threads(3);
    rng_fill_normal(3, RNG_LAYER, 4, 5, N, b);
    omp_set_num_threads(threads);
    assert_memory_equal(a, b, N * sizeof *a);
    free(a);
    free(b);
}

/* Mean, deviation, skew, kurtosis and two tail shares within six standard errors of a standard normal's. */
static void check_normal(const float *x, int n) {
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, beyond1 = 0, beyond3 = 0;
    for (int i = 0; i < n; i++) {
        double v = x[i];
        m1 += v, m2 += v * v, m3 += v * v * v, m4 += v * v * v * v;
        beyond1 += fabs(v) > 1, beyond3 += fabs(v) > 3;
    }
    double unit = 6 / sqrt(n);
    assert_true(fabs(m1 / n) < unit);
    assert_true(fabs(m2 / n - 1) < unit * sqrt(2));
    assert_true(fabs(m3 / n) < unit * sqrt(15));
    assert_true(fabs(m4 / n - 3) < unit * sqrt(96));
    assert_true(fabs(beyond1 / n - 0.317310508) < unit * sqrt(0.3173 * 0.6827));
    assert_true(fabs(beyond3 / n - 0.002699796) < unit * sqrt(0.0027));
}

static void test_normal_distribution(void **state) {
    enum { N = 1 << 20 };
    float *x = malloc(N * sizeof *x);
    rng_fill_normal(11, RNG_TEST, 0, 0, N, x);
    check_normal(x, N);
    double lagged = 0; /* neighbours, and the two numbers of a pair, are independent */
    for (int i = 0; i + 16 < N; i++) lagged += (double)x[i] * x[i + 1] + (double)x[i] * x[i + 16];
    assert_true(fabs(lagged / N) < 10 / sqrt(N));
    Rng rng = rng_stream(11, RNG_TEST, 0, 1);
    for (int i = 0; i < N; i++) x[i] = (float)rng_normal(&rng);
    check_normal(x, N);
    free(x);
}

static void test_uniform_distribution(void **state) {
    enum { N = 1 << 20, BINS = 64 };
    float *x = malloc(N * sizeof *x);
    rng_fill_uniform(5, RNG_TEST, 9, 9, N, x);
    int count[BINS] = {0}, count64[BINS] = {0};
    Rng rng = rng_stream(5, RNG_TEST, 9, 10);
    for (int i = 0; i < N; i++) {
        assert_true(x[i] >= 0 && x[i] < 1);
        count[(int)(x[i] * BINS)]++;
        double v = rng_range(&rng, -2, 3);
        assert_true(v >= -2 && v < 3);
        count64[(int)((v + 2) / 5 * BINS)]++;
    }
    double chi = 0, chi64 = 0, each = (double)N / BINS;
    for (int i = 0; i < BINS; i++) {
        chi += (count[i] - each) * (count[i] - each) / each;
        chi64 += (count64[i] - each) * (count64[i] - each) / each;
    }
    assert_true(chi < 130 && chi64 < 130); /* 63 degrees of freedom: once in a million */
    free(x);
}

static void test_below_and_permutation(void **state) {
    Rng rng = rng_stream(1, RNG_TEST, 0, 0);
    int count[7] = {0};
    for (int i = 0; i < 70000; i++) count[rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++) assert_in_range(count[i], 9400, 10600);
    assert_int_equal(rng_below(&rng, 1), 0);
    assert_true(rng_below(&rng, INT64_MAX) >= 0);

    int64_t order[100];
    bool seen[100] = {false};
    int fixed = 0;
    rng_permutation(&rng, 100, order);
    for (int i = 0; i < 100; i++) {
        assert_in_range(order[i], 0, 99);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
        fixed += order[i] == i;
    }
    assert_true(fixed < 12);
    rng_permutation(&rng, 0, order);
}

static void test_draws_of_many(void **state) {
    enum { N = 1000 };
    float fill[N], drawn[N], more[64];
    rng_fill_normal(5, RNG_TEST, 6, 7, N, fill);
    Rng rng = rng_stream(5, RNG_TEST, 6, 7);
    rng_draw_normals(&rng, N, drawn);
    assert_memory_equal(fill, drawn, sizeof fill); /* the stream from its beginning */
    rng_draw_normals(&rng, 64, more);
    rng_fill_normal(5, RNG_TEST, 6, 7, N, fill);
    for (int i = 0; i + 64 <= N; i += 64) assert_memory_not_equal(more, fill + i, sizeof more); /* goes on */
    /* and one at a time as well, behind all that: block 1024 / 4 + 16 of the stream */
    Rng other = rng_stream(5, RNG_TEST, 6, 7);
    for (int i = 0; i < 1024 + 64; i++) rng_u32(&other);
    assert_int_equal(rng_u32(&rng), rng_u32(&other));
    rng_u32(&rng);
    rng_draw_normals(&rng, 3, more); /* begins with a new block */
    for (int i = 0; i < 3 + 64; i++) rng_u32(&other);
    assert_int_equal(rng_u32(&rng), rng_u32(&other));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_streams_differ_by_every_part_of_their_name),
        cmocka_unit_test(test_uniform_fill_is_the_stream),
        cmocka_unit_test(test_fills_do_not_depend_on_threads),
        cmocka_unit_test(test_draws_of_many),
        cmocka_unit_test(test_normal_distribution),
        cmocka_unit_test(test_uniform_distribution),
        cmocka_unit_test(test_below_and_permutation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
