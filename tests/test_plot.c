/* test_plot.c - scatter plots: where points land, colours, ticks, names that would break the SVG. */
#include "analysis/plot.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Left, top and side of the first panel. */
enum { LEFT = 76, TOP = 84, SIDE = 520 };

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) n++;
    return n;
}

static Plot corners(PlotPanel *panel) {
    static const float points[4][2] = {{0, 0}, {10, 0}, {0, 4}, {10, 4}};
    static const int32_t classes[4] = {0, 1, 2, 1};
    static const char *const names[3] = {"zero", "one", "two"};
    *panel = (PlotPanel){
        .title = "corners", .x_label = "right", .y_label = "up", .n = 4, .points = points[0], .classes = classes};
    return (Plot){.title = "four points", .n_panels = 1, .panels = panel, .n_classes = 3, .class_names = names};
}

static void points_and_legend_as_svg(void **state) {
    Scratch *s = *state;
    PlotPanel panel;
    Plot plot = corners(&panel);
    const char *svg = plot_svg(&plot, s->arena);
    assert_int_equal(strncmp(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"", 39), 0);
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    assert_int_equal(count(svg, "<circle"), 4 + 3);
    assert_int_equal(count(svg, "#1f62b2"), 2); /* the first class: a point and its legend */
    assert_int_equal(count(svg, "#de6a08"), 3);
    for (int i = 0; i < 3; i++) assert_int_equal(count(svg, arena_printf(s->arena, ">%s<", plot.class_names[i])), 1);
    assert_int_equal(count(svg, ">four points<"), 1);
    assert_int_equal(count(svg, ">corners<"), 1);
    assert_int_equal(count(svg, ">right<") + count(svg, ">up<"), 2);
    /* A margin of 4 % on each side: 0.4 of 10.8, so 19.26 pixels in; y goes up. */
    assert_int_equal(count(svg, "<circle cx=\"95.26\" cy=\"584.74\""), 1);
    assert_int_equal(count(svg, "<circle cx=\"576.74\" cy=\"103.26\""), 1);
    /* Ticks at 0, 2 .. 10 and 0, 1 .. 4, or finer ones that include them. */
    for (int tick = 0; tick <= 10; tick += 2) assert_true(count(svg, arena_printf(s->arena, ">%d<", tick)) >= 1);
}

static void names_are_escaped(void **state) {
    Scratch *s = *state;
    PlotPanel panel;
    Plot plot = corners(&panel);
    static const char *const names[3] = {"<script>&\"x\"", "a\x01z\xff", "\xc3\xa4gypten"};
    plot.class_names = names;
    panel.title = "1 < 2";
    const char *svg = plot_svg(&plot, s->arena);
    assert_int_equal(count(svg, ">&lt;script&gt;&amp;&quot;x&quot;<"), 1);
    assert_int_equal(count(svg, ">a\xEF\xBF\xBDz\xEF\xBF\xBD<"), 1);
    assert_int_equal(count(svg, ">\xc3\xa4gypten<"), 1);
    assert_int_equal(count(svg, ">1 &lt; 2<"), 1);
    assert_int_equal(count(svg, "<script"), 0);
}

static void what_cannot_be_placed(void **state) {
    Scratch *s = *state;
    static const float points[3][2] = {{NAN, 1}, {2, INFINITY}, {7, 7}};
    PlotPanel panel = {.title = "", .x_label = "", .y_label = "", .n = 3, .points = points[0]};
    Plot plot = {.title = "", .n_panels = 1, .panels = &panel};
    const char *svg = plot_svg(&plot, s->arena);
    assert_int_equal(count(svg, "<circle"), 1);
    assert_int_equal(count(svg, "<circle cx=\"336.00\" cy=\"344.00\""), 1); /* alone: in the middle */
    assert_int_equal(count(svg, "nan") + count(svg, "inf"), 0);
    panel.n = 0;
    svg = plot_svg(&plot, s->arena);
    assert_int_equal(count(svg, "<circle"), 0);
    assert_true(count(svg, ">0.2<") >= 1); /* axes from 0 to 1 */
}

/* Huge, tiny and nearly equal values still get axes with a few ticks. */
static void extreme_ranges(void **state) {
    Scratch *s = *state;
    static const float cases[][2] = {{-3e38f, 3e38f}, {1e-38f, 3e-38f}, {1e6f, 1000000.1f}, {-5, -5}, {0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float points[2][2] = {{cases[i][0], cases[i][0]}, {cases[i][1], cases[i][1]}};
        PlotPanel panel = {.title = "", .x_label = "", .y_label = "", .n = 2, .points = points[0]};
        Plot plot = {.title = "", .n_panels = 1, .panels = &panel};
        const char *svg = plot_svg(&plot, s->arena);
        int ticks = (count(svg, "<line") - 4) / 2;
        if (ticks < 3 || ticks > 14)
            fail_msg("%d ticks from %g to %g", ticks, (double)cases[i][0], (double)cases[i][1]);
        assert_int_equal(count(svg, "nan") + count(svg, "inf"), 0);
    }
}

static bool has_color(const Image *image, int x, int y, const uint8_t rgb[3], int tolerance) {
    const uint8_t *p = image->u8 + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    for (int c = 0; c < 3; c++)
        if (abs(p[c] - rgb[c]) > tolerance) return false;
    return true;
}

static void points_as_pixels(void **state) {
    Scratch *s = *state;
    PlotPanel panel;
    Plot plot = corners(&panel);
    Image image = {0};
    CHECK(plot_image(&plot, &image, &s->err));
    static const uint8_t white[3] = {255, 255, 255};
    uint8_t rgb[3], blended[3];
    plot_color(0, rgb);
    for (int c = 0; c < 3; c++) blended[c] = (uint8_t)(255 * 0.3 + rgb[c] * 0.7 + 0.5); /* 70 % opaque */
    assert_true(has_color(&image, 95, 584, blended, 2));
    assert_true(has_color(&image, LEFT + SIDE / 2, TOP + SIDE / 2, white, 0));
    assert_true(has_color(&image, 0, 0, white, 0) && has_color(&image, image.width - 1, image.height - 1, white, 0));
    plot_color(1, rgb);
    assert_true(has_color(&image, LEFT + SIDE + 24 + 8, TOP + 8 + 22, rgb, 0)); /* the legend's disc, opaque */
    /* Text has left its marks: dark dots where the title is, none far beside it. */
    int dark = 0, beside = 0;
    for (int y = 10; y < 40; y++) {
        for (int x = 0; x < image.width; x++) {
            bool mark = !has_color(&image, x, y, white, 0);
            dark += mark && x >= LEFT && x < LEFT + 11 * 12;
            beside += mark && (x < LEFT || x > LEFT + 11 * 12);
        }
    }
    assert_true(dark > 200);
    assert_int_equal(beside, 0);
    image_free(&image);
}

/* Every two of the colours differ, and none is nearly white. */
static void colours_differ(void **state) {
    enum { COLORS = 40 };
    uint8_t rgb[COLORS][3];
    for (int a = 0; a < COLORS; a++) {
        plot_color(a, rgb[a]);
        int light = rgb[a][0] * 299 + rgb[a][1] * 587 + rgb[a][2] * 114;
        if (light > 200 * 1000) fail_msg("colour %d is too light: %d %d %d", a, rgb[a][0], rgb[a][1], rgb[a][2]);
        for (int b = 0; b < a; b++) {
            int apart = abs(rgb[a][0] - rgb[b][0]) + abs(rgb[a][1] - rgb[b][1]) + abs(rgb[a][2] - rgb[b][2]);
            if (apart < (a < 12 ? 60 : 8)) fail_msg("colours %d and %d are %d apart", a, b, apart);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(points_and_legend_as_svg, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(names_are_escaped, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_placed, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(extreme_ranges, scratch_set_up, scratch_tear_down),
        cmocka_unit_test_setup_teardown(points_as_pixels, scratch_set_up, scratch_tear_down),
        cmocka_unit_test(colours_differ)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
