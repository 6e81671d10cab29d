/* test_plot_matrix.c - the picture of a confusion matrix: colours of cells, absent classes, any number of classes, any
 * names. */
#include "analysis/plot_matrix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t *pixel(const Image *image, int x, int y) {
    return image->u8 + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static bool is(const uint8_t *p, int r, int g, int b) {
    return p[0] == r && p[1] == g && p[2] == b;
}

/* The upper left corner of the first cell: the grid's lines are of one colour, found nowhere before it. */
static void find_cells(const Image *image, int *left, int *top) {
    for (*top = 0; *top < image->height; ++*top)
        for (*left = 0; *left < image->width; ++*left)
            if (is(pixel(image, *left, *top), 224, 224, 224)) {
                ++*left, ++*top;
                return;
            }
    fail_msg("no cells");
}

static void colours_of_cells(void **state) {
    const int64_t counts[9] = {100, 0, 0, 25, 75, 0, 0, 0, 0};
    static const char *const names[3] = {"sky", "road", "ghost"};
    PlotMatrix m = {.title = "three", .unit = "pixels", .n = 3, .names = names, .counts = counts};
    Image image;
    int x = 0, y = 0;
    assert_int_equal(plot_matrix_image(&m, &image, NULL), OK);
    assert_true(image.channels == 3 && image.depth == 8);
    find_cells(&image, &x, &y);
    enum { W = 68, H = 40 };
    assert_true(is(pixel(&image, x, y), 24, 84, 168)); /* all of the first class is right: the full colour */
    assert_true(is(pixel(&image, x + W, y), 255, 255, 255));
    const uint8_t *wrong = pixel(&image, x, y + H), *right = pixel(&image, x + W, y + H);
    assert_true(is(wrong, 228, 143, 148)); /* a quarter is wrong: half of the red */
    assert_true(right[2] > right[0] && right[0] > 24 && right[0] < 84);
    for (int k = 0; k < 3; k++) assert_true(is(pixel(&image, x + k * W, y + 2 * H), 238, 238, 238)); /* absent */
    image_free(&image);
}

static void any_number_and_names(void **state) {
    static int64_t counts[255 * 255];
    static char text[255][64];
    static const char *names[255];
    const int sizes[] = {1, 2, 20, 21, 40, 41, 255};
    for (int i = 0; i < 255; i++) {
        counts[i * 256] = INT64_C(1) << (i % 62);
        snprintf(text[i], sizeof text[i], i % 3 ? "%d" : "%d \xc3\xa4\xe2\x82\xac a name that goes on and on", i);
        names[i] = text[i];
    }
    names[1] = "";
    names[2] = "\xff\xfe \x01";
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        PlotMatrix m = {.title = "", .unit = "", .n = sizes[k], .names = names, .counts = counts};
        Image image;
        int x = 0, y = 0;
        assert_int_equal(plot_matrix_image(&m, &image, NULL), OK);
        find_cells(&image, &x, &y);
        assert_true(is(pixel(&image, x, y), 24, 84, 168));
        image_free(&image);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(colours_of_cells),
        cmocka_unit_test(any_number_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
