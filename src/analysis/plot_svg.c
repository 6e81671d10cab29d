/* plot_svg.c - a plot as SVG text; see plot.h. Names come from files: what XML gives a meaning is escaped, what it does
 * not allow is replaced. */
#include "analysis/plot_canvas.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Text that grows in an arena. */
typedef struct Growing {
    Arena *arena;
    char *text;
    size_t used, capacity;
} Growing;

static void append(Growing *g, const char *text, size_t length) {
    if (g->used + length + 1 > g->capacity) {
        size_t capacity = g->capacity * 2 + length + 4096;
        char *larger = arena_alloc(g->arena, capacity);
        if (g->used) memcpy(larger, g->text, g->used);
        g->text = larger;
        g->capacity = capacity;
    }
    memcpy(g->text + g->used, text, length);
    g->used += length;
    g->text[g->used] = '\0';
}

static void append_format(Growing *g, const char *format, ...) PRINTF_LIKE(2, 3);
static void append_format(Growing *g, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0) append(g, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

static void append_escaped(Growing *g, const char *text) {
    for (const char *s = text; *s;) {
        int length = utf8_length(s);
        if (length == 0 || utf8_is_control(s, length)) {
            append(g, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
            s += length > 0 ? length : 1;
            continue;
        }
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            append(g, entity, strlen(entity));
        else
            append(g, s, (size_t)length);
        s += length;
    }
}

/* Hundredths by whole numbers, so that the decimal point is one in every locale. */
static void append_number(Growing *g, const char *before, double value) {
    long long hundredths = (long long)(value * 100 + (value < 0 ? -0.5 : 0.5));
    const char *sign = hundredths < 0 ? "-" : "";
    if (hundredths < 0) hundredths = -hundredths;
    append_format(g, "%s%s%lld.%02lld", before, sign, hundredths / 100, hundredths % 100);
}

static void append_color(Growing *g, const char *attribute, Ink ink) {
    append_format(g, " %s=\"#%02x%02x%02x\"", attribute, ink.rgb[0], ink.rgb[1], ink.rgb[2]);
    if (ink.opacity >= 1) return;
    append_number(g, " fill-opacity=\"", (double)ink.opacity);
    append(g, "\"", 1);
}

static void svg_line(void *context, double x0, double y0, double x1, double y1, Ink ink) {
    Growing *g = context;
    append_number(g, "<line x1=\"", x0);
    append_number(g, "\" y1=\"", y0);
    append_number(g, "\" x2=\"", x1);
    append_number(g, "\" y2=\"", y1);
    append(g, "\"", 1);
    append_color(g, "stroke", ink);
    append_format(g, "/>\n");
}

static void svg_disc(void *context, double x, double y, double radius, Ink ink) {
    Growing *g = context;
    append_number(g, "<circle cx=\"", x);
    append_number(g, "\" cy=\"", y);
    append_number(g, "\" r=\"", radius);
    append(g, "\"", 1);
    append_color(g, "fill", ink);
    append_format(g, "/>\n");
}

static void svg_text(void *context, double x, double y, int size, PlotAlign align, const char *text, Ink ink) {
    static const char *const anchors[] = {"start", "middle", "end", "middle"};
    Growing *g = context;
    append_number(g, "<text x=\"", x);
    append_number(g, "\" y=\"", y);
    append_format(g, "\" font-size=\"%d\" text-anchor=\"%s\"", size, anchors[align]);
    append_color(g, "fill", ink);
    if (align == ALIGN_UPWARDS) {
        append_number(g, " transform=\"rotate(-90 ", x);
        append_number(g, " ", y);
        append_format(g, ")\"");
    }
    append_format(g, ">");
    append_escaped(g, text);
    append_format(g, "</text>\n");
}

const char *plot_svg(const Plot *plot, Arena *arena) {
    PlotSize size = plot_size(plot);
    Growing g = {.arena = arena};
    append_format(&g,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                  size.width, size.height, size.width, size.height);
    Canvas canvas = {.context = &g, .line = svg_line, .disc = svg_disc, .text = svg_text};
    plot_draw(plot, &canvas);
    append_format(&g, "</svg>\n");
    return g.text;
}
