/* test_boundary.c - boundary F1 against cases worked by hand and a naive search over all pairs of edge pixels; all
 * scores of whole cases against scikit-learn and scipy (metric_golden.h). */
#include "base/clock.h"
#include "base/rng.h"
#include "metric_golden.h"
#include "seed.h"
#include "train/boundary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct Maps {
    int height, width;
    uint8_t *predicted, *target;
} Maps;

/* ---- the reference: every edge pixel of one map against every one of the other, in double ---- */

static bool is_edge(const Maps *m, const uint8_t *map, int y, int x, int class) {
    const int dy[4] = {-1, 1, 0, 0}, dx[4] = {0, 0, -1, 1};
    if (m->target[y * m->width + x] == 255 || map[y * m->width + x] != class) return false;
    for (int k = 0; k < 4; k++) {
        int v = y + dy[k], u = x + dx[k];
        if (v < 0 || u < 0 || v >= m->height || u >= m->width || m->target[v * m->width + u] == 255) continue;
        if (map[v * m->width + u] != class) return true;
    }
    return false;
}

/* Share of the edge pixels of `of` that have one of `to` nearer than theta; -1: `of` has none. */
static double share_near(const Maps *m, const uint8_t *of, const uint8_t *to, int class, double theta) {
    int n = 0, near = 0;
    for (int i = 0; i < m->height * m->width; i++) {
        if (!is_edge(m, of, i / m->width, i % m->width, class)) continue;
        double best = INFINITY;
        for (int j = 0; j < m->height * m->width; j++)
            if (is_edge(m, to, j / m->width, j % m->width, class))
                best = fmin(best, hypot(i / m->width - j / m->width, i % m->width - j % m->width));
        n++;
        near += best == 0 || best < theta;
    }
    return n ? (double)near / n : -1;
}

/* F1 of the class in one picture; -1: not judged. */
static double naive_f1(const Maps *m, int class, double tolerance) {
    bool holds = memchr(m->target, class, (size_t)(m->height * m->width)) != NULL;
    double theta = tolerance * hypot(m->height, m->width);
    double precision = share_near(m, m->predicted, m->target, class, theta);
    double recall = share_near(m, m->target, m->predicted, class, theta);
    if (!holds || (precision < 0 && recall < 0)) return -1;
    if (precision <= 0 || recall <= 0) return 0;
    return 2 * precision * recall / (precision + recall);
}

/* ---- tests ---- */

static void score(int n_classes, double tolerance, int n, const Maps *maps, SegmentationScore *s, ClassScore *k) {
    Boundary *b;
    assert_int_equal(boundary_new(&b, n_classes, tolerance, NULL), OK);
    for (int i = 0; i < n; i++)
        assert_int_equal(boundary_add(b, maps[i].height, maps[i].width, maps[i].predicted, maps[i].target, NULL), OK);
    boundary_scores(b, s, k);
    boundary_free(b);
}

/* An edge moved by one pixel: 3 x 4, diagonal 5. With a tolerance of a fifth theta is 1 and a distance of 1 is not less
 * than it; with a bit more it is. */
static void worked_by_hand(void **state) {
    uint8_t target[12] = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}, predicted[12] = {0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1};
    Maps maps = {3, 4, predicted, target};
    SegmentationScore s;
    ClassScore k[3];
    score(3, 0.2, 1, &maps, &s, k); /* edges of class 0 in columns 1 and 0, of class 1 in columns 2 and 1 */
    assert_true(k[0].bounded && k[1].bounded && !k[2].bounded && s.bounded);
    assert_true(k[0].boundary_f1 == 0 && k[1].boundary_f1 == 0 && k[2].boundary_f1 == 0 && s.boundary_f1 == 0);
    score(3, 0.21, 1, &maps, &s, k);
    assert_true(k[0].boundary_f1 == 1 && k[1].boundary_f1 == 1 && s.boundary_f1 == 1);
    /* One row right: of the edges of class 1, 1 of 3 and 1 of 3 are in the very place. */
    predicted[1] = 0;
    score(3, 0.2, 1, &maps, &s, k);
    assert_true(fabs(k[1].boundary_f1 - 1.0 / 3) < 1e-15);
    score(3, 0, 1, &maps, &s, k); /* tolerance 0: the very place alone */
    assert_true(fabs(k[1].boundary_f1 - 1.0 / 3) < 1e-15);
}

static void extremes(void **state) {
    uint8_t zeros[20] = {0}, ignored[20], some[20] = {[6] = 1, [7] = 1}, most[20];
    memset(ignored, 255, sizeof ignored);
    memset(most, 0, sizeof most);
    for (int i = 0; i < 20; i += 3) most[i] = 255;
    const Maps one_class = {4, 5, zeros, zeros}, all_ignored = {4, 5, some, ignored}, empty = {4, 5, zeros, some},
               found = {4, 5, some, zeros}, right = {4, 5, some, some}, holes = {4, 5, zeros, most};
    SegmentationScore s;
    ClassScore k[2];
    score(2, 0.01, 1, &one_class, &s, k); /* a perfect prediction without an outline: nothing to judge */
    assert_true(!k[0].bounded && !k[1].bounded && s.boundary_f1 == 0 && s.bounded);
    score(2, 0.01, 1, &all_ignored, &s, k);
    assert_true(!k[0].bounded && !k[1].bounded && s.boundary_f1 == 0);
    score(2, 0.01, 1, &holes, &s, k); /* beside ignored pixels there is no edge */
    assert_true(!k[0].bounded && !k[1].bounded);
    score(2, 0.01, 1, &empty, &s, k);
    assert_true(k[0].bounded && k[1].bounded && k[0].boundary_f1 == 0 && k[1].boundary_f1 == 0);
    score(2, 0.01, 1, &found, &s, k); /* class 1 where the target has none: class 0's outline is wrong */
    assert_true(k[0].bounded && !k[1].bounded && k[0].boundary_f1 == 0 && s.boundary_f1 == 0);
    score(2, 0.01, 1, &right, &s, k);
    assert_true(k[0].boundary_f1 == 1 && k[1].boundary_f1 == 1 && s.boundary_f1 == 1);
    score(2, 1, 1, &right, &s, k); /* a tolerance of the whole picture */
    assert_true(s.boundary_f1 == 1);
    const Maps two[2] = {right, empty}; /* the mean over pictures */
    score(2, 0.01, 2, two, &s, k);
    assert_true(k[0].boundary_f1 == 0.5 && k[1].boundary_f1 == 0.5);
    uint8_t pixel[1] = {0};
    const Maps tiny = {1, 1, pixel, pixel};
    score(2, 0.0075, 1, &tiny, &s, k);
    assert_true(!k[0].bounded);
}

/* Patches of classes, so that there are outlines, and ignored pixels. */
static Maps random_maps(Rng *rng, int height, int width, int n_classes) {
    Maps m = {height, width, malloc((size_t)(height * width)), malloc((size_t)(height * width))};
    memset(m.target, 0, (size_t)(height * width));
    for (int p = 0; p < 6; p++) {
        int top = (int)rng_below(rng, height), left = (int)rng_below(rng, width),
            class = (int)rng_below(rng, n_classes);
        for (int y = top; y < height && y < top + 9; y++)
            for (int x = left; x < width && x < left + 12; x++) m.target[y * width + x] = (uint8_t) class;
    }
    int shift = (int)rng_below(rng, 4);
    for (int i = 0; i < height * width; i++) {
        m.predicted[i] = m.target[(i + shift) % (height * width)];
        if (rng_below(rng, 40) == 0) m.predicted[i] = (uint8_t)rng_below(rng, n_classes);
    }
    for (int i = 0; i < height * width; i++)
        if (rng_below(rng, 30) == 0) m.target[i] = 255;
    return m;
}

static void matches_naive_search(void **state) {
    Rng rng = rng_stream(test_seed(), RNG_TEST, 0, 0);
    const int sizes[][2] = {{1, 40}, {40, 1}, {2, 2}, {17, 33}, {24, 32}, {31, 20}, {3, 65}};
    const double tolerances[] = {0, 0.0075, 0.05, 0.1, 0.2, 1};
    enum { CLASSES = 5 };
    Boundary *all; /* one for all sizes, as with pictures that differ */
    for (size_t t = 0; t < sizeof tolerances / sizeof *tolerances; t++) {
        double sum[CLASSES] = {0};
        int n[CLASSES] = {0};
        assert_int_equal(boundary_new(&all, CLASSES, tolerances[t], NULL), OK);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            Maps m = random_maps(&rng, sizes[i][0], sizes[i][1], CLASSES);
            assert_int_equal(boundary_add(all, m.height, m.width, m.predicted, m.target, NULL), OK);
            for (int c = 0; c < CLASSES; c++) {
                double f1 = naive_f1(&m, c, tolerances[t]);
                if (f1 < 0) continue;
                sum[c] += f1;
                n[c]++;
            }
            free(m.predicted);
            free(m.target);
        }
        SegmentationScore s;
        ClassScore k[CLASSES];
        boundary_scores(all, &s, k);
        boundary_free(all);
        double mean = 0;
        int bounded = 0;
        for (int c = 0; c < CLASSES; c++) {
            assert_int_equal(k[c].bounded, n[c] > 0);
            double want = n[c] ? sum[c] / n[c] : 0;
            if (fabs(k[c].boundary_f1 - want) > 1e-12)
                fail_msg("tolerance %g, class %d: %.17g, naive %.17g", tolerances[t], c, k[c].boundary_f1, want);
            mean += want;
            bounded += n[c] > 0;
        }
        assert_true(fabs(s.boundary_f1 - (bounded ? mean / bounded : 0)) < 1e-12);
    }
}

/* ---- scikit-learn and scipy ---- */

static uint8_t class_of(char digit) {
    return digit == '-' ? 255 : (uint8_t)(digit - '0');
}

static void near(const char *what, int class, double got, double want) {
    if (!(fabs(got - want) <= 1e-12)) fail_msg("%s, class %d: %.17g, golden %.17g", what, class, got, want);
}

static void check_golden(const MetricGolden *g) {
    int pixels = g->height * g->width;
    assert_int_equal(strlen(g->target), g->n_pictures * pixels);
    assert_int_equal(strlen(g->predicted), g->n_pictures * pixels);
    Confusion c;
    Boundary *b;
    assert_int_equal(confusion_new(&c, g->n_classes, NULL), OK);
    assert_int_equal(boundary_new(&b, g->n_classes, GOLDEN_TOLERANCE, NULL), OK);
    uint8_t *target = malloc((size_t)pixels), *predicted = malloc((size_t)pixels);
    for (int i = 0; i < g->n_pictures; i++) {
        for (int p = 0; p < pixels; p++) {
            target[p] = class_of(g->target[i * pixels + p]);
            predicted[p] = class_of(g->predicted[i * pixels + p]);
        }
        assert_int_equal(confusion_add_mask(&c, g->height, g->width, predicted, target, NULL), OK);
        assert_int_equal(boundary_add(b, g->height, g->width, predicted, target, NULL), OK);
    }
    SegmentationScore s;
    ClassScore k[GOLDEN_CLASSES];
    confusion_scores(&c, &s, k);
    boundary_scores(b, &s, k);
    const double whole[7] = {s.pixel_accuracy, s.mean_accuracy, s.miou,       s.frequency_weighted_iou,
                             s.mean_precision, s.mean_dice,     s.boundary_f1};
    for (int i = 0; i < 7; i++) near(g->name, -1 - i, whole[i], g->whole[i]);
    for (int i = 0; i < g->n_classes; i++) {
        const double got[5] = {k[i].scored ? k[i].iou : -1, k[i].present ? k[i].accuracy : -1,
                               k[i].scored ? k[i].precision : -1, k[i].scored ? k[i].dice : -1,
                               k[i].bounded ? k[i].boundary_f1 : -1};
        for (int j = 0; j < 5; j++) near(g->name, i, got[j], g->classes[i][j]);
    }
    boundary_free(b);
    confusion_free(&c);
    free(target);
    free(predicted);
}

static void matches_scikit_learn_and_scipy(void **state) {
    for (size_t i = 0; i < sizeof metric_golden / sizeof *metric_golden; i++) check_golden(&metric_golden[i]);
}

/* 480x360, 12 classes: not a test of the machine, only of the method (the naive one takes minutes). */
static void is_fast(void **state) {
    enum { H = 360, W = 480, N = 20 };
    uint8_t *target = malloc(H * W), *predicted = malloc(H * W);
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            target[y * W + x] = (uint8_t)((y / 45 * 3 + x / 60) % 12);
            predicted[y * W + x] = (uint8_t)(((y + 3) / 45 * 3 + (x + 5) / 60) % 12);
        }
    }
    Boundary *b;
    assert_int_equal(boundary_new(&b, 12, BOUNDARY_TOLERANCE, NULL), OK);
    double began = clock_seconds();
    for (int i = 0; i < N; i++) assert_int_equal(boundary_add(b, H, W, predicted, target, NULL), OK);
    double each = (clock_seconds() - began) / N;
    print_message("%.2f ms for a picture\n", 1e3 * each);
    assert_true(each < 1);
    boundary_free(b);
    free(target);
    free(predicted);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worked_by_hand),
        cmocka_unit_test(extremes),
        cmocka_unit_test(matches_naive_search),
        cmocka_unit_test(matches_scikit_learn_and_scipy),
        cmocka_unit_test(is_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
