/* lbp.c - see lbp.h. */
#include "analysis/lbp.h"

#include "base/arena.h"

#include <omp.h>
#include <string.h>

/* By how much a neighbour on the diagonal exceeds the centre, all given as differences from it: bilinear between the
 * pixels beside it (h and v, horizontal and vertical) and the corner, at sin(45 degrees) from the centre. */
static float diagonal(float h, float v, float corner) {
    const float a = 0.70710678f;
    return a * (1 - a) * (h + v) + a * a * corner;
}

uint8_t lbp_pattern(const float *centre, int64_t step) {
    float c = *centre;
    float right = centre[1] - c, left = centre[-1] - c, up = centre[-step] - c, down = centre[step] - c;
    float neighbours[8] = {
        right, diagonal(right, up, centre[1 - step] - c),  up,   diagonal(left, up, centre[-1 - step] - c),
        left,  diagonal(left, down, centre[step - 1] - c), down, diagonal(right, down, centre[step + 1] - c)};
    unsigned pattern = 0;
    for (unsigned p = 0; p < 8; p++) pattern |= (neighbours[p] >= 0 ? 1u : 0u) << p;
    return (uint8_t)pattern;
}

void lbp_bins(uint8_t bins[256]) {
    uint8_t next = 0;
    for (unsigned pattern = 0; pattern < 256; pattern++) {
        unsigned turned = (pattern >> 1 | pattern << 7) & 255, changes = 0;
        for (unsigned differ = pattern ^ turned; differ; differ >>= 1) changes += differ & 1;
        bins[pattern] = changes <= 2 ? next++ : LBP_BINS - 1;
    }
}

int64_t lbp_features(const LbpSpec *spec) {
    return (int64_t)spec->grid_rows * spec->grid_columns * LBP_BINS;
}

/* The mean of the channels; a picture of one channel is its own. */
static const float *grey_of(const LbpSpec *s, const float *picture, float *room) {
    if (s->channels == 1) return picture;
    int64_t plane = (int64_t)s->height * s->width;
    for (int64_t i = 0; i < plane; i++) {
        float sum = 0;
        for (int c = 0; c < s->channels; c++) sum += picture[c * plane + i];
        room[i] = sum / (float)s->channels;
    }
    return room;
}

/* Histogram of the cell at row, column of the grid over the pixels that have all neighbours. */
static void cell_histogram(const LbpSpec *s, const uint8_t bins[256], const float *grey, int row, int column,
                           float *out) {
    int64_t inner_height = s->height - 2, inner_width = s->width - 2;
    int64_t top = 1 + inner_height * row / s->grid_rows, bottom = 1 + inner_height * (row + 1) / s->grid_rows;
    int64_t left = 1 + inner_width * column / s->grid_columns, right = 1 + inner_width * (column + 1) / s->grid_columns;
    int32_t counts[LBP_BINS] = {0};
    for (int64_t y = top; y < bottom; y++)
        for (int64_t x = left; x < right; x++) counts[bins[lbp_pattern(grey + y * s->width + x, s->width)]]++;
    float share = 1.0f / (float)((bottom - top) * (right - left));
    for (int b = 0; b < LBP_BINS; b++) out[b] = (float)counts[b] * share;
}

Err lbp_histograms(const LbpSpec *s, const float *x, float *out, Error *err) {
    if (s->channels < 1 || s->grid_rows < 1 || s->grid_columns < 1 || s->height - 2 < s->grid_rows ||
        s->width - 2 < s->grid_columns)
        return err_set(err, ERR_DATA,
                       "pictures of %dx%d are too small for local binary patterns in %dx%d cells: %dx%d or more",
                       s->width, s->height, s->grid_columns, s->grid_rows, s->grid_columns + 2, s->grid_rows + 2);
    uint8_t bins[256];
    lbp_bins(bins);
    int64_t plane = (int64_t)s->height * s->width, size = plane * s->channels, features = lbp_features(s);
    float *rooms = block_alloc((size_t)omp_get_max_threads() * (size_t)plane * sizeof *rooms);
    if (!rooms) return err_set(err, ERR_MEMORY, "no memory for local binary patterns");
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < s->n; i++) {
        const float *grey = grey_of(s, x + i * size, rooms + omp_get_thread_num() * plane);
        for (int row = 0; row < s->grid_rows; row++)
            for (int column = 0; column < s->grid_columns; column++)
                cell_histogram(s, bins, grey, row, column,
                               out + i * features + ((int64_t)row * s->grid_columns + column) * LBP_BINS);
    }
    block_free(rooms);
    return OK;
}
