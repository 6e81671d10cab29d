/* plot_canvas.h - what a plot is drawn on: plot.c says where things go, a canvas (SVG or pixels) draws them. Private to
 * plot*.c. */
#ifndef SANDGLASS_ANALYSIS_PLOT_CANVAS_H
#define SANDGLASS_ANALYSIS_PLOT_CANVAS_H

#include "analysis/plot.h"

typedef struct Ink {
    uint8_t rgb[3];
    float opacity; /* 0..1 */
} Ink;

typedef enum PlotAlign {
    ALIGN_START,
    ALIGN_MIDDLE,
    ALIGN_END,
    ALIGN_UPWARDS /* centred, turned by 90 degrees */
} PlotAlign;

/* Coordinates are pixels from the upper left. */
typedef struct Canvas {
    void *context;
    void (*line)(void *context, double x0, double y0, double x1, double y1, Ink ink); /* horizontal or vertical */
    void (*disc)(void *context, double x, double y, double radius, Ink ink);
    /* y: of the base line. */
    void (*text)(void *context, double x, double y, int size, PlotAlign align, const char *text, Ink ink);
} Canvas;

/* One that draws on an RGB picture, which has to outlive it. A letter takes 6 x 7 pixels, from size 18 on 12 x 14; a
 * line between corners that differ in both directions is the rectangle between them. */
Canvas raster_canvas(Image *image);

typedef struct PlotSize {
    int width, height;
} PlotSize;
PlotSize plot_size(const Plot *plot);
void plot_draw(const Plot *plot, const Canvas *canvas);

#endif
