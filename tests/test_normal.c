/* test_normal.c - analysis/normal.h: a fit gives back what was drawn from, singular or not; quantiles of the normal
 * distribution against known values. */
#include "analysis/normal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

enum { ROWS = 20000 };

/* x = mean + A z with A = {{2, 0, 0}, {1, 0.5, 0}, {0, 0, 0}}: the third unit never varies. */
static float *make_rows(void) {
    float *rows = malloc(sizeof *rows * 3 * ROWS);
    Rng rng = rng_stream(5, RNG_TEST, 0, 0);
    for (int i = 0; i < ROWS; i++) {
        double a = rng_normal(&rng), b = rng_normal(&rng);
        rows[3 * i] = (float)(1 + 2 * a);
        rows[3 * i + 1] = (float)(-3 + a + 0.5 * b);
        rows[3 * i + 2] = 7;
    }
    return rows;
}

static void check_near(double value, double wanted, double tolerance) {
    if (!(fabs(value - wanted) <= tolerance)) fail_msg("got %.9g, wanted %.9g", value, wanted);
}

static void test_fit(void **state) {
    float *rows = make_rows();
    Normal normal;
    assert_int_equal(normal_fit(&normal, ROWS, 3, rows, NULL), OK);
    assert_non_null(normal.root);
    check_near(normal.mean[0], 1, 0.05);
    check_near(normal.mean[1], -3, 0.05);
    check_near(normal.deviation[0], 2, 0.05);
    check_near(normal.deviation[2], 0, 0);
    const double root[9] = {2, 0, 0, 1, 0.5, 0, 0, 0, 0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j <= i; j++) check_near(normal.root[3 * i + j], root[3 * i + j], 0.05);

    /* Draws have the same mean and covariance. */
    float *draws = malloc(sizeof *draws * 3 * ROWS);
    for (int i = 0; i < ROWS; i++) {
        Rng rng = rng_stream(9, RNG_TEST, (uint64_t)i, 0);
        normal_draw(&normal, &rng, draws + 3 * i);
    }
    Normal again;
    assert_int_equal(normal_fit(&again, ROWS, 3, draws, NULL), OK);
    for (int i = 0; i < 3; i++) {
        check_near(again.mean[i], normal.mean[i], 0.05);
        for (int j = 0; j <= i; j++) check_near(again.root[3 * i + j], normal.root[3 * i + j], 0.05);
    }
    assert_true(draws[2] == 7);
    normal_free(&again);
    normal_free(&normal);
    normal_free(&normal); /* empty */
    free(draws);
    free(rows);
}

/* Fits rows of n values and draws as often again. */
static float *draw_like(int n_rows, int n, const float *rows, Normal *normal) {
    float *draws = malloc(sizeof *draws * (size_t)(n * n_rows));
    assert_int_equal(normal_fit(normal, n_rows, n, rows, NULL), OK);
    for (int i = 0; i < n_rows; i++) {
        Rng rng = rng_stream(3, RNG_TEST, (uint64_t)i, 1);
        normal_draw(normal, &rng, draws + n * i);
    }
    return draws;
}

/* A unit that others determine: draws keep to the plane, and have the variance of the rows. */
static void test_plane(void **state) {
    float *rows = make_rows();
    for (int i = 0; i < ROWS; i++) rows[3 * i + 2] = 2 * rows[3 * i] - rows[3 * i + 1];
    Normal normal;
    float *draws = draw_like(ROWS, 3, rows, &normal);
    for (int i = 0; i < ROWS; i++) {
        double wanted = 2 * (double)draws[3 * i] - (double)draws[3 * i + 1];
        check_near((double)draws[3 * i + 2], wanted, 1e-3);
    }
    Normal again;
    assert_int_equal(normal_fit(&again, ROWS, 3, draws, NULL), OK);
    for (int j = 0; j < 3; j++) check_near(again.deviation[j], normal.deviation[j], 0.05);
    check_near(normal.deviation[2], sqrt(9 + 0.25), 0.05); /* 2 (2 a) - (a + b / 2) */
    normal_free(&again);
    normal_free(&normal);
    free(draws);
    free(rows);
}

/* Fewer rows than units: on the line between two, a single point, and what is not finite. */
static void test_few_rows(void **state) {
    float rows[] = {1, 5, 0, 3, 1, -2}, draw[3];
    Normal normal;
    float *draws = draw_like(2, 3, rows, &normal);
    for (int i = 0; i < 2; i++) {
        double along = ((double)draws[3 * i] - 1) / 2;
        check_near((double)draws[3 * i + 1], 5 - 4 * along, 1e-4);
        check_near((double)draws[3 * i + 2], -2 * along, 1e-4);
    }
    normal_free(&normal);
    free(draws);
    assert_int_equal(normal_fit(&normal, 1, 3, rows, NULL), OK);
    Rng rng = rng_stream(1, RNG_TEST, 0, 0);
    normal_draw(&normal, &rng, draw);
    for (int i = 0; i < 3; i++) assert_true(draw[i] == rows[i]);
    normal_free(&normal);
    rows[4] = NAN;
    assert_int_equal(normal_fit(&normal, 2, 3, rows, NULL), ERR_NUMERIC);
    assert_null(normal.mean);
}

/* More units than a covariance is made for: each on its own. */
static void test_many_units(void **state) {
    enum { MANY = NORMAL_MAX_UNITS + 1, FEW = 3 };
    float *rows = calloc((size_t)MANY * FEW, sizeof *rows);
    for (int i = 0; i < MANY * FEW; i++) rows[i] = (float)(i / MANY * (i % MANY % 5));
    Normal normal;
    float *draws = draw_like(FEW, MANY, rows, &normal);
    assert_null(normal.root);
    check_near(normal.deviation[4], 4 * sqrt(2.0 / 3), 1e-6);
    for (int i = 0; i < MANY; i += 5) assert_true(draws[i] == 0);
    normal_free(&normal);
    free(draws);
    free(rows);
}

static void test_quantiles(void **state) {
    check_near(normal_quantile(0.5), 0, 1e-12);
    check_near(normal_quantile(0.975), 1.959963984540054, 1e-9);
    check_near(normal_quantile(0.05), -1.6448536269514722, 1e-9);
    check_near(normal_quantile(1e-6), -4.753424308822899, 1e-8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fit), cmocka_unit_test(test_plane),
                                       cmocka_unit_test(test_few_rows), cmocka_unit_test(test_many_units),
                                       cmocka_unit_test(test_quantiles)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
