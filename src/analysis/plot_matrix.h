/* plot_matrix.h - a confusion matrix as a picture: for each class what it was taken for, in percent of its row. */
#ifndef SANDGLASS_ANALYSIS_PLOT_MATRIX_H
#define SANDGLASS_ANALYSIS_PLOT_MATRIX_H

#include "io/image.h"

typedef struct PlotMatrix {
    const char *title;
    const char *unit;         /* what is counted: "pixels" */
    int n;                    /* classes, at least 1 */
    const char *const *names; /* n */
    const int64_t *counts;    /* n rows of n: [target][predicted] */
} PlotMatrix;

/* RGB. Rows are targets, columns predictions; what is right is blue, what is wrong is red, the stronger the more (by
 * the square root of the share, so that small ones show). Beside a row stands how much was counted in it, or that the
 * class is absent. Above 40 classes the numbers are left out. Letters as in plot.h. */
Err plot_matrix_image(const PlotMatrix *matrix, Image *out, Error *err);

#endif
