/* lbp.h - local binary patterns: features made by hand, to measure learned ones against.
 *
 * Ojala, Pietikainen, Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification with local
 * binary patterns", PAMI 2002: the 8 neighbours on a circle of radius 1 around a pixel (those on the diagonals
 * interpolated) give a bit each, 1 where not darker than the pixel. Neighbour p is at the angle p * 45 degrees, from
 * the right and counter-clockwise, and has the weight 2^p. A pattern is uniform when at most 2 of its bits differ from
 * the next around the circle: 58 are, and get a bin each; all others share the last bin. A picture's features are the
 * histograms of the cells of a grid, one behind the other.
 *
 * Pixels at the edge lack neighbours and are left out.
 */
#ifndef SANDGLASS_ANALYSIS_LBP_H
#define SANDGLASS_ANALYSIS_LBP_H

#include "base/error.h"

#include <stdint.h>

enum { LBP_BINS = 59 };

/* The pattern of the pixel at `centre`, which has neighbours on all sides, in a picture with rows of `step` values. */
uint8_t lbp_pattern(const float *centre, int64_t step);
/* The bin of each pattern: uniform ones by rising pattern, then the rest. */
void lbp_bins(uint8_t bins[256]);

typedef struct LbpSpec {
    int64_t n;                   /* pictures */
    int channels, height, width; /* of one; channels are averaged */
    int grid_rows, grid_columns; /* cells */
} LbpSpec;
int64_t lbp_features(const LbpSpec *spec); /* values a picture: grid_rows * grid_columns * LBP_BINS */

/* x: n,channels,height,width; out: n,grid_rows,grid_columns,LBP_BINS, shares of the cell's pixels. Pictures with less
 * than a pixel per cell inside their edge are an error. */
Err lbp_histograms(const LbpSpec *spec, const float *x, float *out, Error *err);

#endif
