/* chart.c - lines over two axes, as SVG text. See chart.h. */
#include "analysis/chart.h"

#include "analysis/axis.h"
#include "analysis/plot.h"
#include "analysis/svg.h"
#include "base/number.h"

#include <assert.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 480, LEFT = 70, RIGHT = 20, TOP = 40, BOTTOM = 60 };

/* ---- axes ---- */

static Axis make_axis(const Chart *chart, bool vertical) {
    Axis a = axis_begin(!vertical && chart->log_x);
    for (int s = 0; s < chart->n; s++)
        for (int64_t i = 0; i < chart->series[s].n; i++)
            axis_widen(&a, vertical ? chart->series[s].y[i] : chart->series[s].x[i]);
    axis_end(&a, 0, vertical ? 0.03 : 0);
    return a;
}

/* Pixels from the left, and from the top. */
static double place_x(const Axis *a, double value) {
    return LEFT + axis_place(a, value) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const Axis *a, double value) {
    return HEIGHT - BOTTOM - axis_place(a, value) * (HEIGHT - TOP - BOTTOM);
}

static void add_axis(Svg *s, const Axis *a, bool vertical, const char *title) {
    double ticks[AXIS_MAX_TICKS];
    int n = axis_ticks(a, ticks);
    for (int i = 0; i < n; i++) {
        double at = vertical ? place_y(a, ticks[i]) : place_x(a, ticks[i]);
        char label[NUMBER_BYTES];
        number_format(label, ticks[i], 4);
        svg_number(s, "<path class=\"grid\" d=\"M", vertical ? LEFT : at);
        svg_number(s, " ", vertical ? at : HEIGHT - BOTTOM);
        svg_add(s, vertical ? "H%d\"/>" : "V%d\"/>", vertical ? WIDTH - RIGHT : TOP);
        svg_add(s, "<text text-anchor=\"%s\"", vertical ? "end" : "middle");
        svg_number(s, " x=\"", vertical ? LEFT - 6 : at);
        svg_number(s, "\" y=\"", vertical ? at + 4 : HEIGHT - BOTTOM + 18);
        svg_add(s, "\">%s</text>\n", label);
    }
    if (vertical)
        svg_add(s, "<text text-anchor=\"middle\" transform=\"translate(18 %d) rotate(-90)\">",
                (HEIGHT - BOTTOM + TOP) / 2);
    else
        svg_add(s, "<text text-anchor=\"middle\" x=\"%d\" y=\"%d\">", (WIDTH - RIGHT + LEFT) / 2, HEIGHT - 18);
    svg_escaped(s, title);
    svg_add(s, "</text>\n");
}

/* ---- series ---- */

static bool shown(const ChartSeries *series, int64_t i, const Axis *x, const Axis *y) {
    return axis_shows(x, series->x[i]) && axis_shows(y, series->y[i]);
}

static void add_series(Svg *s, const ChartSeries *series, const uint8_t rgb[3], const Axis *x, const Axis *y) {
    svg_add(s, "<path fill=\"none\"");
    svg_color(s, "stroke", rgb);
    svg_add(s, " stroke-width=\"2\"%s d=\"", series->dashed ? " stroke-dasharray=\"6 4\"" : "");
    bool begun = false;
    for (int64_t i = 0; i < series->n; i++) {
        if (!shown(series, i, x, y)) continue;
        svg_number(s, begun ? "L" : "M", place_x(x, series->x[i]));
        svg_number(s, " ", place_y(y, series->y[i]));
        begun = true;
    }
    svg_add(s, "\"/>\n");
    for (int64_t i = 0; series->marked && i < series->n; i++) {
        if (!shown(series, i, x, y)) continue;
        svg_add(s, "<circle r=\"3\"");
        svg_color(s, "fill", rgb);
        svg_number(s, " cx=\"", place_x(x, series->x[i]));
        svg_number(s, "\" cy=\"", place_y(y, series->y[i]));
        svg_add(s, "\"/>\n");
    }
}

/* In one row under the title. */
static void add_legend(Svg *s, const Chart *chart) {
    int at = LEFT;
    for (int i = 0; i < chart->n; i++) {
        const char *name = chart->series[i].name;
        uint8_t rgb[3];
        if (!name) continue;
        plot_color(i, rgb);
        svg_add(s, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"4\"", at, TOP - 12);
        svg_color(s, "fill", rgb);
        svg_add(s, "/><text x=\"%d\" y=\"%d\">", at + 18, TOP - 7);
        svg_escaped(s, name);
        svg_add(s, "</text>\n");
        at += 36 + 7 * (int)strlen(name);
    }
}

const char *chart_svg(const Chart *chart, Arena *arena) {
    assert(chart->n <= CHART_MAX_SERIES);
    Svg svg = svg_begin(WIDTH, HEIGHT, arena);
    Axis x = make_axis(chart, false), y = make_axis(chart, true);
    svg_add(&svg,
            "<style>text{font-size:12px;fill:#222}.grid{stroke:#ddd;fill:none}</style>\n"
            "<text x=\"%d\" y=\"16\" style=\"font-weight:bold\">",
            LEFT);
    svg_escaped(&svg, chart->title);
    svg_add(&svg, "</text>\n");
    add_axis(&svg, &x, false, chart->x_title);
    add_axis(&svg, &y, true, chart->y_title);
    svg_add(&svg, "<path fill=\"none\" stroke=\"#444\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM,
            WIDTH - RIGHT);
    for (int i = 0; i < chart->n; i++) {
        uint8_t rgb[3];
        plot_color(i, rgb);
        add_series(&svg, &chart->series[i], rgb, &x, &y);
    }
    add_legend(&svg, chart);
    return svg_end(&svg);
}
