/* chart.h - lines over two axes, as SVG text. */
#ifndef SANDGLASS_ANALYSIS_CHART_H
#define SANDGLASS_ANALYSIS_CHART_H

#include "base/arena.h"

enum { CHART_MAX_SERIES = 8 };

typedef struct ChartSeries {
    const char *name; /* in the legend; NULL: not there */
    int64_t n;
    const double *x, *y; /* n; points that are not finite, and on a logarithmic axis not above 0, are left out */
    bool marked;         /* a dot at each point */
    bool dashed;
} ChartSeries;

typedef struct Chart {
    const char *title, *x_title, *y_title;
    bool log_x;
    int n; /* series, at most CHART_MAX_SERIES */
    const ChartSeries *series;
} Chart;

/* A whole SVG file, in the arena. The axes reach from the lowest to the highest value; names are escaped. */
const char *chart_svg(const Chart *chart, Arena *arena);

#endif
