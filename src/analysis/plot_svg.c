/* plot_svg.c - a plot as SVG text; see plot.h. */
#include "analysis/plot_canvas.h"
#include "analysis/svg.h"

static void paint(Svg *s, const char *attribute, Ink ink) {
    svg_color(s, attribute, ink.rgb);
    if (ink.opacity >= 1) return;
    svg_number(s, " fill-opacity=\"", (double)ink.opacity);
    svg_add(s, "\"");
}

static void canvas_line(void *context, double x0, double y0, double x1, double y1, Ink ink) {
    Svg *s = context;
    svg_number(s, "<line x1=\"", x0);
    svg_number(s, "\" y1=\"", y0);
    svg_number(s, "\" x2=\"", x1);
    svg_number(s, "\" y2=\"", y1);
    svg_add(s, "\"");
    paint(s, "stroke", ink);
    svg_add(s, "/>\n");
}

static void canvas_disc(void *context, double x, double y, double radius, Ink ink) {
    Svg *s = context;
    svg_number(s, "<circle cx=\"", x);
    svg_number(s, "\" cy=\"", y);
    svg_number(s, "\" r=\"", radius);
    svg_add(s, "\"");
    paint(s, "fill", ink);
    svg_add(s, "/>\n");
}

static void canvas_text(void *context, double x, double y, int size, PlotAlign align, const char *text, Ink ink) {
    static const char *const anchors[] = {"start", "middle", "end", "middle"};
    Svg *s = context;
    svg_number(s, "<text x=\"", x);
    svg_number(s, "\" y=\"", y);
    svg_add(s, "\" font-size=\"%d\" text-anchor=\"%s\"", size, anchors[align]);
    paint(s, "fill", ink);
    if (align == ALIGN_UPWARDS) {
        svg_number(s, " transform=\"rotate(-90 ", x);
        svg_number(s, " ", y);
        svg_add(s, ")\"");
    }
    svg_add(s, ">");
    svg_escaped(s, text);
    svg_add(s, "</text>\n");
}

const char *plot_svg(const Plot *plot, Arena *arena) {
    PlotSize size = plot_size(plot);
    Svg svg = svg_begin(size.width, size.height, arena);
    Canvas canvas = {.context = &svg, .line = canvas_line, .disc = canvas_disc, .text = canvas_text};
    plot_draw(plot, &canvas);
    return svg_end(&svg);
}
