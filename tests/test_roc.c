/* test_roc.c - area under the ROC curve, the curve: cases worked by hand, and against scikit-learn and
 * numpy. */
#include "analysis/quantile.h"
#include "analysis/roc.h"
#include "roc_golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* after the headers it needs */
#include <cmocka.h>

#define SCORES(normal, anomalous)                                                                                      \
    ((RocScores){sizeof(normal) / sizeof *(normal), sizeof(anomalous) / sizeof *(anomalous), normal, anomalous})

static double auc_of(const RocScores *scores) {
    double auc = NAN;
    Error err = ERROR_INIT;
    if (roc_auc(scores, &auc, &err) != OK) fail_msg("%s", err.text);
    return auc;
}

static void near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g, expected %.17g", a, b);
}

static void test_by_hand(void **state) {
    /* pairs won by the anomaly: 4 beats 1, 2, 3; 2.5 beats 1, 2; 0 none: 5 of 9 */
    const double normal[] = {3, 1, 2}, anomalous[] = {0, 4, 2.5};
    near(auc_of(&SCORES(normal, anomalous)), 5.0 / 9, 1e-15);
    /* a tie counts half: 2 against 1, 2, 2: 1 + 0.5 + 0.5; 1: 0.5 + 0 + 0; 2.5 of 6 */
    const double tied[] = {1, 2, 2}, with[] = {2, 1};
    near(auc_of(&SCORES(tied, with)), 2.5 / 6, 1e-15);
    const double low[] = {1, 2}, high[] = {3, 4}, one[] = {7}, same[] = {5, 5, 5, 5, 5};
    near(auc_of(&SCORES(low, high)), 1, 0);
    near(auc_of(&SCORES(high, low)), 0, 0);
    near(auc_of(&SCORES(same, same)), 0.5, 0);
    near(auc_of(&SCORES(one, one)), 0.5, 0);
    const double infinite[] = {1, INFINITY};
    near(auc_of(&SCORES(low, infinite)), (0.5 + 2) / 4, 0);
}

static void test_against_scikit_learn(void **state) {
    Error err = ERROR_INIT;
    for (size_t i = 0; i < sizeof roc_golden / sizeof *roc_golden; i++) {
        const RocGolden *g = &roc_golden[i];
        double value;
        near(auc_of(&(RocScores){g->n_normal, g->n_anomalous, g->normal, g->anomalous}), g->auc, 1e-12);
        assert_int_equal(quantile(g->n_normal, g->normal, 0.9, &value, &err), OK);
        near(value, g->quantile, 1e-12);
    }
}

/* Pairs counted one by one. */
static void test_many_ties(void **state) {
    enum { N = 150, M = 90 };
    double normal[N], anomalous[M], wins = 0;
    unsigned number = 1;
    for (int i = 0; i < N + M; i++) {
        number = number * 1103515245u + 12345u;
        double score = number >> 16 & 7;
        if (i < N)
            normal[i] = score;
        else
            anomalous[i - N] = score + (number >> 24 & 1);
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < M; k++) wins += (anomalous[k] > normal[i]) + 0.5 * (anomalous[k] == normal[i]);
    near(auc_of(&SCORES(normal, anomalous)), wins / (N * M), 1e-14);
}

static void test_curve(void **state) {
    const double normal[] = {1, 2, 2, 0}, anomalous[] = {3, 2};
    RocCurve curve;
    Error err = ERROR_INIT;
    assert_int_equal(roc_curve(&SCORES(normal, anomalous), &curve, &err), OK);
    static const RocPoint expected[] = {{0, 0, INFINITY}, {0, 0.5, 3}, {0.5, 1, 2}, {0.75, 1, 1}, {1, 1, 0}};
    assert_int_equal(curve.n, 5);
    double area = 0;
    for (int i = 0; i < 5; i++) {
        near(curve.points[i].false_alarms, expected[i].false_alarms, 0);
        near(curve.points[i].detections, expected[i].detections, 0);
        assert_true(curve.points[i].score == expected[i].score);
        if (i == 0) continue;
        const RocPoint *a = &curve.points[i - 1], *b = &curve.points[i];
        area += (b->false_alarms - a->false_alarms) * (a->detections + b->detections) / 2;
    }
    near(area, auc_of(&SCORES(normal, anomalous)), 1e-15);
    roc_curve_free(&curve);
    near(roc_share_above(4, normal, 1), 0.5, 0);
    near(roc_share_above(4, normal, 2), 0, 0); /* what lies on the threshold is normal */
    near(roc_share_above(0, normal, 2), 0, 0);
}

static void test_quantile(void **state) {
    const double values[] = {40, 10, 30, 20}, holed[] = {1, NAN};
    static const double cases[][2] = {{0, 10}, {1, 40}, {0.5, 25}, {1.0 / 3, 20}, {0.9, 37}};
    double value;
    Error err = ERROR_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(quantile(4, values, cases[i][0], &value, &err), OK);
        near(value, cases[i][1], 1e-12);
    }
    assert_true(values[0] == 40); /* they stay in their order */
    assert_int_equal(quantile(1, values, 0.3, &value, &err), OK);
    near(value, 40, 0);
    assert_int_equal(quantile(0, values, 0.5, &value, &err), ERR_DATA);
    assert_int_equal(quantile(2, holed, 0.5, &value, &err), ERR_NUMERIC);
    assert_string_equal(err.text, "error: there are no values to take a quantile of\n"
                                  "error: value 1 is nan: there is no quantile\n");
}

static void test_mistakes(void **state) {
    const double some[] = {1, 2}, holed[] = {1, NAN};
    double auc;
    RocCurve curve;
    Error err = ERROR_INIT;
    assert_int_equal(roc_auc(&(RocScores){0, 2, some, some}, &auc, &err), ERR_DATA);
    assert_int_equal(roc_auc(&(RocScores){2, 0, some, some}, &auc, &err), ERR_DATA);
    assert_int_equal(roc_curve(&(RocScores){2, 2, some, holed}, &curve, &err), ERR_NUMERIC);
    assert_null(curve.points);
    assert_string_equal(err.text, "error: there are no normal samples to compare\n"
                                  "error: there are no anomalous samples to compare\n"
                                  "error: anomalous sample 1 has no score: it is nan\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_against_scikit_learn),
                                       cmocka_unit_test(test_many_ties), cmocka_unit_test(test_curve),
                                       cmocka_unit_test(test_quantile),  cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
