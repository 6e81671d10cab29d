/* plot.c - where things go in a plot; see plot.h. */
#include "analysis/plot.h"

#include "analysis/axis.h"
#include "analysis/plot_canvas.h"
#include "base/number.h"

#include <math.h>

enum { PANEL = 520, LEFT = 76, TOP = 84, BOTTOM = 64, GAP = 96, LEGEND = 150, RIGHT = 24, TICK = 5, ROW = 22 };
enum { TITLE_SIZE = 18, PANEL_SIZE = 14, TEXT_SIZE = 12 };

static const Ink black = {{40, 40, 40}, 1}, grey = {{150, 150, 150}, 1};

void plot_color(int c, uint8_t rgb[3]) {
    static const uint8_t fixed[12][3] = {{31, 98, 178},  {222, 106, 8}, {30, 140, 52},  {204, 32, 44},
                                         {128, 76, 184}, {126, 78, 58}, {222, 86, 174}, {88, 88, 88},
                                         {150, 150, 0},  {0, 164, 188}, {0, 60, 60},    {140, 170, 255}};
    if (c >= 0 && c < 12) {
        for (int i = 0; i < 3; i++) rgb[i] = fixed[c][i];
        return;
    }
    /* Hues by the golden ratio, which keeps each away from those before; two levels of darkness in turn. */
    double hue = fmod(c * 0.61803398875, 1.0), value = c % 2 ? 0.55 : 0.8;
    for (int i = 0; i < 3; i++) {
        double part = fabs(fmod(hue * 6 + 2 * (3 - i), 6.0) - 3) - 1; /* a triangle wave per primary */
        part = part < 0 ? 0 : part > 1 ? 1 : part;
        rgb[i] = (uint8_t)(255 * value * (0.15 + 0.85 * part));
    }
}

static bool has_legend(const Plot *plot) {
    return plot->n_classes > 0;
}

PlotSize plot_size(const Plot *plot) {
    int panels = plot->n_panels * PANEL + (plot->n_panels - 1) * GAP, below = TOP + PANEL + BOTTOM;
    int legend = TOP + plot->n_classes * ROW + RIGHT;
    return (PlotSize){LEFT + panels + RIGHT + (has_legend(plot) ? LEGEND : 0), below > legend ? below : legend};
}

/* ---- axes ---- */

/* Of points with a place in the panel. */
static bool has_place(const float *point) {
    return isfinite(point[0]) && isfinite(point[1]);
}

static Axis axis_of(const PlotPanel *panel, int which) {
    Axis axis = axis_begin(false);
    for (int64_t i = 0; i < panel->n; i++)
        if (has_place(panel->points + 2 * i)) axis_widen(&axis, (double)panel->points[2 * i + which]);
    axis_end(&axis, 0.04, 0.04);
    return axis;
}

static void draw_ticks(const Canvas *c, const Axis *axis, int which, double left, double top) {
    double ticks[AXIS_MAX_TICKS];
    int n = axis_ticks(axis, ticks);
    for (int i = 0; i < n; i++) {
        char text[NUMBER_BYTES];
        number_format(text, ticks[i], 6);
        double at = PANEL * axis_place(axis, ticks[i]);
        if (which == 0) {
            c->line(c->context, left + at, top + PANEL, left + at, top + PANEL + TICK, black);
            c->text(c->context, left + at, top + PANEL + 20, TEXT_SIZE, ALIGN_MIDDLE, text, black);
        } else {
            c->line(c->context, left - TICK, top + PANEL - at, left, top + PANEL - at, black);
            c->text(c->context, left - 9, top + PANEL - at + 4, TEXT_SIZE, ALIGN_END, text, black);
        }
    }
}

static void draw_frame(const Canvas *c, double left, double top) {
    double right = left + PANEL, bottom = top + PANEL;
    c->line(c->context, left, top, right, top, grey);
    c->line(c->context, right, top, right, bottom, grey);
    c->line(c->context, left, bottom, right, bottom, black);
    c->line(c->context, left, top, left, bottom, black);
}

/* ---- panels and legend ---- */

static Ink class_ink(int32_t class_index, int n_classes, float opacity) {
    Ink ink = grey;
    if (class_index >= 0 && class_index < n_classes) plot_color(class_index, ink.rgb);
    ink.opacity = opacity;
    return ink;
}

static void draw_panel(const Plot *plot, const PlotPanel *panel, const Canvas *c, double left, double top) {
    Axis x = axis_of(panel, 0), y = axis_of(panel, 1);
    double radius = panel->n > 20000 ? 1.2 : panel->n > 2000 ? 1.8 : 3;
    for (int64_t i = 0; i < panel->n; i++) {
        const float *point = panel->points + 2 * i;
        if (!has_place(point)) continue;
        Ink ink = panel->classes ? class_ink(panel->classes[i], plot->n_classes, 0.7f) : class_ink(0, 1, 0.7f);
        c->disc(c->context, left + PANEL * axis_place(&x, (double)point[0]),
                top + PANEL - PANEL * axis_place(&y, (double)point[1]), radius, ink);
    }
    draw_frame(c, left, top);
    draw_ticks(c, &x, 0, left, top);
    draw_ticks(c, &y, 1, left, top);
    c->text(c->context, left + PANEL / 2.0, top - 14, PANEL_SIZE, ALIGN_MIDDLE, panel->title, black);
    c->text(c->context, left + PANEL / 2.0, top + PANEL + 44, TEXT_SIZE, ALIGN_MIDDLE, panel->x_label, black);
    c->text(c->context, left - 52, top + PANEL / 2.0, TEXT_SIZE, ALIGN_UPWARDS, panel->y_label, black);
}

static void draw_legend(const Plot *plot, const Canvas *c, double left, double top) {
    for (int i = 0; i < plot->n_classes; i++) {
        double y = top + 8 + i * ROW;
        c->disc(c->context, left + 8, y, 6, class_ink(i, plot->n_classes, 1));
        c->text(c->context, left + 22, y + 4, TEXT_SIZE, ALIGN_START, plot->class_names[i], black);
    }
}

void plot_draw(const Plot *plot, const Canvas *c) {
    c->text(c->context, LEFT, 32, TITLE_SIZE, ALIGN_START, plot->title, black);
    double left = LEFT;
    for (int i = 0; i < plot->n_panels; i++, left += PANEL + GAP) draw_panel(plot, &plot->panels[i], c, left, TOP);
    if (has_legend(plot)) draw_legend(plot, c, left - GAP + RIGHT, TOP);
}
