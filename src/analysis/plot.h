/* plot.h - scatter plots: panels side by side, points coloured by class, axes with round numbers, a legend.
 *
 * One description, drawn twice: as SVG text, for documents, and as a picture, to look at once.
 */
#ifndef SANDGLASS_ANALYSIS_PLOT_H
#define SANDGLASS_ANALYSIS_PLOT_H

#include "base/arena.h"
#include "io/image.h"

typedef struct PlotPanel {
    const char *title, *x_label, *y_label;
    int64_t n;
    const float *points;    /* n,2: x and y; those that are not finite are left out */
    const int32_t *classes; /* n: 0..n_classes-1, others are grey; NULL: all of one colour */
} PlotPanel;

typedef struct Plot {
    const char *title;
    int n_panels;
    const PlotPanel *panels;
    int n_classes; /* in the legend; 0: no legend */
    const char *const *class_names;
} Plot;

/* Colours that read well on white and apart from each other: 12 fixed ones, then generated. */
void plot_color(int c, uint8_t rgb[3]);

const char *plot_svg(const Plot *plot, Arena *arena);
/* RGB. Letters are drawn as capitals; what is not ASCII as '?'. */
Err plot_image(const Plot *plot, Image *out, Error *err);

#endif
