/* chart.c - lines over two axes, as SVG text. See chart.h. */
#include "analysis/chart.h"

#include "base/number.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 480, LEFT = 70, RIGHT = 20, TOP = 40, BOTTOM = 60, MAX_TICKS = 40 };
static const char *const colors[CHART_MAX_SERIES] = {"#1f6fb4", "#d8531f", "#2c9a4b", "#8a4fb0",
                                                     "#b08a1f", "#1fa7b0", "#c0397a", "#555555"};

/* Text that grows in the arena, which keeps what it outgrows. */
typedef struct Text {
    Arena *arena;
    char *text;
    size_t used, room;
} Text;

static void add(Text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void add(Text *t, const char *format, ...) {
    for (;;) {
        va_list args;
        va_start(args, format);
        int n = vsnprintf(t->text + t->used, t->room - t->used, format, args);
        va_end(args);
        if (n < 0) return;
        if (t->used + (size_t)n < t->room) {
            t->used += (size_t)n;
            return;
        }
        char *more = arena_alloc(t->arena, 2 * (t->room + (size_t)n));
        if (t->used > 0) memcpy(more, t->text, t->used);
        t->text = more;
        t->room = 2 * (t->room + (size_t)n);
    }
}

static void add_escaped(Text *t, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : NULL;
        if (entity)
            add(t, "%s", entity);
        else
            add(t, "%c", *text);
    }
}

/* Hundredths of a pixel, whatever the locale says. */
static void add_number(Text *t, double value) {
    long hundredths = lround(value * 100);
    add(t, "%s%ld.%02ld", hundredths < 0 ? "-" : "", labs(hundredths) / 100, labs(hundredths) % 100);
}

/* ---- axes ---- */

typedef struct Axis {
    double low, high; /* of the values, or of their logarithms */
    bool log;
    double first, length; /* pixels */
} Axis;

static bool usable(const Axis *a, double value) {
    return isfinite(value) && (!a->log || value > 0);
}

static double scaled(const Axis *a, double value) {
    return a->log ? log10(value) : value;
}

static double place(const Axis *a, double value) {
    return a->first + (scaled(a, value) - a->low) / (a->high - a->low) * a->length;
}

static void widen(Axis *a, double value) {
    if (!usable(a, value)) return;
    double v = scaled(a, value);
    if (!(v >= a->low)) a->low = v; /* NAN: none yet */
    if (!(v <= a->high)) a->high = v;
}

static Axis make_axis(const Chart *chart, bool vertical) {
    Axis a = {.low = NAN, .high = NAN, .log = !vertical && chart->log_x};
    for (int s = 0; s < chart->n; s++)
        for (int64_t i = 0; i < chart->series[s].n; i++)
            widen(&a, vertical ? chart->series[s].y[i] : chart->series[s].x[i]);
    if (isnan(a.low)) a.low = a.high = 0;
    if (a.high - a.low < 1e-12 * fmax(1, fabs(a.low))) {
        a.low -= 0.5;
        a.high += 0.5;
    }
    if (vertical) a.high += 0.03 * (a.high - a.low);
    a.first = vertical ? HEIGHT - BOTTOM : LEFT;
    a.length = vertical ? -(HEIGHT - TOP - BOTTOM) : WIDTH - LEFT - RIGHT;
    return a;
}

/* 1, 2 or 5 times a power of ten, about six to an axis. */
static double nice_step(double range) {
    double step = pow(10, floor(log10(range / 6)));
    double times = range / 6 / step;
    return step * (times > 5 ? 10 : times > 2 ? 5 : times > 1 ? 2 : 1);
}

static int make_ticks(const Axis *a, double ticks[MAX_TICKS]) {
    int n = 0;
    double slack = (a->high - a->low) * 1e-9;
    if (a->log) {
        static const int steps[] = {1, 2, 5};
        for (int power = (int)floor(a->low); power <= (int)ceil(a->high); power++)
            for (int k = 0; k < 3 && n < MAX_TICKS; k++) {
                double value = steps[k] * pow(10, power), at = log10(value);
                if (at >= a->low - slack && at <= a->high + slack) ticks[n++] = value;
            }
        if (n > 0) return n;
    }
    double step = nice_step(a->high - a->low);
    for (double k = ceil((a->low - slack) / step); k * step <= a->high + slack && n < MAX_TICKS; k++)
        ticks[n++] = a->log ? pow(10, k * step) : k * step;
    return n;
}

static void add_axis(Text *t, const Axis *a, bool vertical, const char *title) {
    double ticks[MAX_TICKS];
    int n = make_ticks(a, ticks);
    for (int i = 0; i < n; i++) {
        double at = place(a, ticks[i]);
        char label[NUMBER_BYTES];
        number_format(label, fabs(ticks[i]) < 1e-12 ? 0 : ticks[i], 4);
        add(t, "<path class=\"grid\" d=\"M");
        add_number(t, vertical ? LEFT : at);
        add(t, " ");
        add_number(t, vertical ? at : HEIGHT - BOTTOM);
        add(t, vertical ? "H%d\"/>" : "V%d\"/>", vertical ? WIDTH - RIGHT : TOP);
        add(t, "<text text-anchor=\"%s\" x=\"", vertical ? "end" : "middle");
        add_number(t, vertical ? LEFT - 6 : at);
        add(t, "\" y=\"");
        add_number(t, vertical ? at + 4 : HEIGHT - BOTTOM + 18);
        add(t, "\">%s</text>\n", label);
    }
    if (vertical)
        add(t, "<text text-anchor=\"middle\" transform=\"translate(18 %d) rotate(-90)\">", (HEIGHT - BOTTOM + TOP) / 2);
    else
        add(t, "<text text-anchor=\"middle\" x=\"%d\" y=\"%d\">", (WIDTH - RIGHT + LEFT) / 2, HEIGHT - 18);
    add_escaped(t, title);
    add(t, "</text>\n");
}

/* ---- series ---- */

static void add_series(Text *t, const ChartSeries *s, const char *color, const Axis *x, const Axis *y) {
    add(t, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s d=\"", color,
        s->dashed ? " stroke-dasharray=\"6 4\"" : "");
    bool begun = false;
    for (int64_t i = 0; i < s->n; i++) {
        if (!usable(x, s->x[i]) || !usable(y, s->y[i])) continue;
        add(t, begun ? "L" : "M");
        add_number(t, place(x, s->x[i]));
        add(t, " ");
        add_number(t, place(y, s->y[i]));
        begun = true;
    }
    add(t, "\"/>\n");
    for (int64_t i = 0; s->marked && i < s->n; i++) {
        if (!usable(x, s->x[i]) || !usable(y, s->y[i])) continue;
        add(t, "<circle r=\"3\" fill=\"%s\" cx=\"", color);
        add_number(t, place(x, s->x[i]));
        add(t, "\" cy=\"");
        add_number(t, place(y, s->y[i]));
        add(t, "\"/>\n");
    }
}

/* In one row under the title. */
static void add_legend(Text *t, const Chart *chart) {
    int at = LEFT;
    for (int s = 0; s < chart->n; s++) {
        const char *name = chart->series[s].name;
        if (!name) continue;
        add(t, "<rect x=\"%d\" y=\"%d\" width=\"14\" height=\"4\" fill=\"%s\"/><text x=\"%d\" y=\"%d\">", at, TOP - 12,
            colors[s], at + 18, TOP - 7);
        add_escaped(t, name);
        add(t, "</text>\n");
        at += 36 + 7 * (int)strlen(name);
    }
}

const char *chart_svg(const Chart *chart, Arena *arena) {
    assert(chart->n <= CHART_MAX_SERIES);
    Text t = {.arena = arena, .room = 4096, .text = arena_alloc(arena, 4096)};
    Axis x = make_axis(chart, false), y = make_axis(chart, true);
    add(&t,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n"
        "<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd;fill:none}</style>\n"
        "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n<text x=\"%d\" y=\"16\" style=\"font-weight:bold\">",
        WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT);
    add_escaped(&t, chart->title);
    add(&t, "</text>\n");
    add_axis(&t, &x, false, chart->x_title);
    add_axis(&t, &y, true, chart->y_title);
    add(&t, "<path fill=\"none\" stroke=\"#444\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
    for (int s = 0; s < chart->n; s++) add_series(&t, &chart->series[s], colors[s], &x, &y);
    add_legend(&t, chart);
    add(&t, "</svg>\n");
    return t.text;
}
