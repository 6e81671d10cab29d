/* test_chart.c - charts as SVG: where points come to lie, ticks, escaped names, and what is left out. */
#include "analysis/chart.h"
#include "comma_locale.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static int count(const char *text, const char *word) {
    int n = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) n++;
    return n;
}

static void has(const char *svg, const char *part) {
    if (!strstr(svg, part)) fail_msg("no %s in %s", part, svg);
}

/* The plane is 70..700 wide and 420..40 high; the y axis has 3 percent above the highest value. */
static void test_places(void **state) {
    Arena *arena = arena_new();
    const double x[] = {0, 1, 2, NAN, 4}, y[] = {0, 50, 100, 3, INFINITY};
    const ChartSeries series[] = {{.name = "a < b & c", .n = 5, .x = x, .y = y, .marked = true}};
    const Chart chart = {.title = "<t>", .x_title = "x & y", .y_title = "up", .n = 1, .series = series};
    const char *svg = chart_svg(&chart, arena);
    has(svg, "<svg xmlns=\"http://www.w3.org/2000/svg\"");
    has(svg, "d=\"M70.00 420.00L227.50 235.53L385.00 51.07\"/>"); /* 4 wide: an infinite y still has an x */
    assert_int_equal(count(svg, "<circle"), 3);
    has(svg, "&lt;t&gt;");
    has(svg, "x &amp; y");
    has(svg, ">a &lt; b &amp; c</text>");
    has(svg, ">20</text>");
    has(svg, ">100</text>");
    assert_int_equal(count(svg, "<text"), count(svg, "</text>"));
    assert_int_equal(count(svg, "nan") + count(svg, "inf"), 0);
    assert_string_equal(svg + strlen(svg) - 7, "</svg>\n");
    arena_free(arena);
}

static void test_logarithms(void **state) {
    Arena *arena = arena_new();
    const double x[] = {0, 1, 10, 100}, y[] = {7, 1, 1, 1};
    const ChartSeries series[] = {{.n = 4, .x = x, .y = y, .dashed = true}, {.name = "none"}};
    const Chart chart = {.title = "t", .x_title = "x", .y_title = "y", .log_x = true, .n = 2, .series = series};
    const char *svg = chart_svg(&chart, arena);
    has(svg, " 420.00L385.00 420.00L700.00 420.00\"/>"); /* 0 has no place */
    has(svg, ">1</text>");
    has(svg, ">50</text>");
    has(svg, "stroke-dasharray");
    arena_free(arena);
}

/* No points, one point, all equal; and a locale with a comma changes nothing. */
static void test_edges(void **state) {
    Arena *arena = arena_new();
    const double one[] = {2.5};
    const ChartSeries series[] = {{.name = "one", .n = 1, .x = one, .y = one, .marked = true}};
    Chart chart = {.title = "t", .x_title = "x", .y_title = "y"};
    has(chart_svg(&chart, arena), "</svg>");
    chart.n = 1;
    chart.series = series;
    const char *svg = chart_svg(&chart, arena);
    assert_int_equal(count(svg, "<circle"), 1);
    has(svg, ">2.4</text>");
    const double huge[] = {1e17, 1e17}, few[] = {3.1, 3.3};
    const ChartSeries flat[] = {{.name = "a\x01 \"z\"\xff", .n = 2, .x = few, .y = huge}};
    const Chart extreme = {.title = "t", .x_title = "x", .y_title = "y", .log_x = true, .n = 1, .series = flat};
    const char *other = chart_svg(&extreme, arena);
    assert_int_equal(count(other, "nan") + count(other, "inf"), 0);
    has(other, ">1e+17</text>");
    has(other, ">a\xEF\xBF\xBD &quot;z&quot;\xEF\xBF\xBD</text>");
    assert_true(count(other, "class=\"grid\"") > 6); /* between two powers of ten too there are numbers */
    if (comma_locale_begin()) {
        assert_string_equal(chart_svg(&chart, arena), svg);
        comma_locale_end();
    }
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_places), cmocka_unit_test(test_logarithms),
                                       cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
