/* test_lbp.c - local binary patterns worked by hand, and against scikit-image. */
#include "analysis/lbp.h"
#include "lbp_golden.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int pattern_of(const float picture[9]) {
    return lbp_pattern(picture + 4, 3);
}

/* Bits from the right, counter-clockwise: right 1, upper right 2, up 4, upper left 8, left 16, ... lower right 128. */
static void patterns_by_hand(void **state) {
    assert_int_equal(pattern_of((float[9]){5, 5, 5, 5, 5, 5, 5, 5, 5}), 255); /* flat */
    assert_int_equal(pattern_of((float[9]){0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f, 0.1f}), 255);
    assert_int_equal(pattern_of((float[9]){1, 1, 1, 1, 9, 1, 1, 1, 1}), 0);             /* a bright spot */
    assert_int_equal(pattern_of((float[9]){9, 9, 9, 9, 1, 9, 9, 9, 9}), 255);           /* a dark spot */
    assert_int_equal(pattern_of((float[9]){0, 0, 9, 0, 5, 9, 0, 0, 9}), 1 + 2 + 128);   /* bright on the right */
    assert_int_equal(pattern_of((float[9]){9, 9, 9, 0, 5, 0, 0, 0, 0}), 2 + 4 + 8);     /* bright above */
    assert_int_equal(pattern_of((float[9]){9, 0, 0, 9, 5, 0, 9, 0, 0}), 8 + 16 + 32);   /* on the left */
    assert_int_equal(pattern_of((float[9]){0, 0, 0, 0, 5, 0, 9, 9, 9}), 32 + 64 + 128); /* below */
    assert_int_equal(pattern_of((float[9]){0, 0, 0, 0, 5, 9, 0, 0, 0}), 1);
    /* The corner alone has a weight of one half; 0.207 each for the pixels beside it: 0.5 * 9 - 0.414 * 5 > 0. */
    assert_int_equal(pattern_of((float[9]){0, 0, 14, 0, 5, 0, 0, 0, 0}), 2);
    assert_int_equal(pattern_of((float[9]){0, 0, 9, 0, 5, 0, 0, 0, 0}), 0);
}

/* Turning the picture by a quarter turns the pattern by two bits. */
static void quarter_turns(void **state) {
    float picture[9] = {3, 8, 1, 6, 5, 2, 9, 4, 7};
    int before = pattern_of(picture);
    for (int turn = 0; turn < 4; turn++) {
        float turned[9];
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 3; x++) turned[(2 - x) * 3 + y] = picture[y * 3 + x]; /* counter-clockwise */
        memcpy(picture, turned, sizeof picture);
        int wanted = (before << 2 | before >> 6) & 255;
        assert_int_equal(pattern_of(picture), wanted);
        before = wanted;
    }
}

/* Light added to the whole picture, or made stronger, changes nothing. */
static void light_does_not_matter(void **state) {
    static const float picture[9] = {3, 8, 1, 6, 5, 2, 9, 4, 7};
    float other[9];
    for (int i = 0; i < 9; i++) other[i] = 2 * picture[i] + 16;
    assert_int_equal(pattern_of(picture), pattern_of(other));
}

static void bins_of_patterns(void **state) {
    uint8_t bins[256];
    lbp_bins(bins);
    int uniform = 0, seen[LBP_BINS] = {0};
    for (int p = 0; p < 256; p++) {
        uniform += bins[p] < LBP_BINS - 1;
        seen[bins[p]]++;
    }
    assert_int_equal(uniform, 58);
    for (int b = 0; b < LBP_BINS; b++) assert_int_equal(seen[b], b < LBP_BINS - 1 ? 1 : 198);
    assert_int_equal(bins[0], 0);
    assert_int_equal(bins[1], 1);
    assert_int_equal(bins[3], 3);
    assert_int_equal(bins[5], 58);   /* 00000101 */
    assert_int_equal(bins[129], 30); /* behind 0, the 28 runs that leave bit 7 out, and 128 */
    assert_int_equal(bins[255], 57);
}

static void agrees_with_scikit_image(void **state) {
    Scratch *s = *state;
    for (int y = 0; y < 9; y++)
        for (int x = 0; x < 7; x++)
            assert_int_equal(lbp_pattern(&golden_lbp_image[y + 1][x + 1], 9), golden_lbp_patterns[y][x]);
    LbpSpec spec = {.n = 1, .channels = 1, .height = 11, .width = 9, .grid_rows = 1, .grid_columns = 1};
    float histogram[LBP_BINS];
    assert_int_equal(lbp_features(&spec), LBP_BINS);
    CHECK(lbp_histograms(&spec, golden_lbp_image[0], histogram, &s->err));
    for (int b = 0; b < LBP_BINS; b++) assert_true(fabs((double)histogram[b] * 63 - golden_lbp_counts[b]) < 1e-4);
}

/* Cells of a 2x3 grid share the pixels inside the edge; each histogram sums to 1, and together they count as one. */
static void cells_share_the_picture(void **state) {
    Scratch *s = *state;
    LbpSpec spec = {.n = 1, .channels = 1, .height = 11, .width = 9, .grid_rows = 2, .grid_columns = 3};
    float cells[6][LBP_BINS];
    assert_int_equal(lbp_features(&spec), 6 * LBP_BINS);
    CHECK(lbp_histograms(&spec, golden_lbp_image[0], cells[0], &s->err));
    static const int pixels[6] = {8, 8, 12, 10, 10, 15}; /* rows 4 and 5; columns 2, 2 and 3 */
    for (int b = 0; b < LBP_BINS; b++) {
        double count = 0;
        for (int c = 0; c < 6; c++) count += (double)cells[c][b] * pixels[c];
        assert_true(fabs(count - golden_lbp_counts[b]) < 1e-4);
    }
    for (int c = 0; c < 6; c++) {
        double sum = 0;
        for (int b = 0; b < LBP_BINS; b++) sum += (double)cells[c][b];
        assert_true(fabs(sum - 1) < 1e-5);
    }
}

/* Two pictures of three channels: their mean counts. */
static void colours_are_averaged(void **state) {
    Scratch *s = *state;
    static float x[2][3][11][9];
    for (int row = 0; row < 11; row++) {
        for (int column = 0; column < 9; column++) {
            float v = golden_lbp_image[row][column];
            x[1][0][row][column] = v + 0.5f;
            x[1][1][row][column] = 2 * v - 0.5f;
        }
    }
    LbpSpec spec = {.n = 2, .channels = 3, .height = 11, .width = 9, .grid_rows = 1, .grid_columns = 1};
    float histograms[2][LBP_BINS];
    CHECK(lbp_histograms(&spec, x[0][0][0], histograms[0], &s->err));
    assert_true(histograms[0][57] == 1); /* black: flat */
    for (int b = 0; b < LBP_BINS; b++) assert_true(fabs((double)histograms[1][b] * 63 - golden_lbp_counts[b]) < 1e-4);
}

static void says_what_is_wrong(void **state) {
    Scratch *s = *state;
    float x[25] = {0}, out[16 * LBP_BINS];
    LbpSpec spec = {.n = 1, .channels = 1, .height = 5, .width = 5, .grid_rows = 4, .grid_columns = 4};
    assert_int_equal(lbp_histograms(&spec, x, out, &s->err), ERR_DATA);
    assert_string_equal(scratch_words(s), "error: pictures of 5x5 are too small for local binary patterns in 4x4 "
                                          "cells: 6x6 or more\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_by_hand),
        cmocka_unit_test(quarter_turns),
        cmocka_unit_test(light_does_not_matter),
        cmocka_unit_test(bins_of_patterns),
        cmocka_unit_test_setup_teardown(agrees_with_scikit_image, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(cells_share_the_picture, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(colours_are_averaged, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_wrong, scratch_set_up, scratch_tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
