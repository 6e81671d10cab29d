/* tiled.c - see tiled.h. */
#include "train/tiled.h"

#include "base/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the grid ---- */

/* Strides from the first tile to the last, and at most from one to the next. */
static int64_t strides_to_last(int size, int tile, int stride) {
    return size <= tile ? 0 : ((int64_t)size - tile + stride - 1) / stride;
}

static int64_t strides_per_step(int tile, int overlap, int stride) {
    return tile - overlap < stride ? 1 : (tile - overlap) / stride;
}

int tile_count(int size, int tile, int overlap, int stride) {
    int64_t step = strides_per_step(tile, overlap, stride);
    return (int)((strides_to_last(size, tile, stride) + step - 1) / step) + 1;
}

/* Of a Gaussian about the tile's middle, its deviation an eighth of the tile. */
static double window(int i, int tile) {
    double d = (i - (tile - 1) / 2.0) / (tile / 8.0);
    return exp(-d * d / 2);
}

/* Each tile's window divided by the sum of all at that place. sum: size doubles. */
static void normalise(TileAxis *axis, double *sum) {
    for (int i = 0; i < axis->n; i++)
        for (int k = 0; k < axis->tile && axis->at[i] + k < axis->size; k++)
            sum[axis->at[i] + k] += window(k, axis->tile);
    for (int i = 0; i < axis->n; i++)
        for (int k = 0; k < axis->tile && axis->at[i] + k < axis->size; k++)
            axis->weight[(size_t)i * (size_t)axis->tile + (size_t)k] = (float)(window(k, axis->tile) /
                                                                               sum[axis->at[i] + k]);
}

Err tile_axis_new(TileAxis *out, int size, int tile, int overlap, int stride, Error *err) {
    *out = (TileAxis){.n = tile_count(size, tile, overlap, stride), .tile = tile, .size = size};
    out->at = calloc((size_t)out->n, sizeof *out->at);
    out->weight = calloc((size_t)out->n * (size_t)tile, sizeof *out->weight);
    double *sum = calloc((size_t)size, sizeof *sum);
    bool ready = out->at && out->weight && sum;
    double strides = (double)strides_to_last(size, tile, stride);
    for (int i = 1; ready && i < out->n; i++) out->at[i] = (int)llround(i * strides / (out->n - 1)) * stride;
    if (ready) normalise(out, sum);
    free(sum);
    if (ready) return OK;
    tile_axis_free(out);
    return err_set(err, ERR_MEMORY, "no memory for %d tiles of %d", tile_count(size, tile, overlap, stride), tile);
}

void tile_axis_free(TileAxis *axis) {
    free(axis->at);
    free(axis->weight);
    *axis = (TileAxis){0};
}

/* Places of tile i that no later tile reaches. */
static int finished_by(const TileAxis *axis, int i) {
    int end = i + 1 < axis->n ? axis->at[i + 1] : axis->size;
    return end - axis->at[i];
}

/* Places of tile i that the one before it reaches. */
static int shared_before(const TileAxis *axis, int i) {
    return i > 0 ? axis->at[i - 1] + axis->tile - axis->at[i] : 0;
}

static int most_shared(const TileAxis *axis) {
    int most = 0;
    for (int i = 1; i < axis->n; i++)
        if (shared_before(axis, i) > most) most = shared_before(axis, i);
    return most;
}

/* ---- blending ---- */

typedef struct Tiled {
    const TiledSpec *spec;
    TileAxis rows, columns;
    int kept_rows;     /* that two rows of tiles share, at most */
    int channels;      /* of results; 0: not known yet */
    float *input;      /* one tile of the picture */
    float *blend;      /* channels, tile: sums where the current tile lies */
    float *kept;       /* channels, kept_rows, width: what the row of tiles above left for this one */
    size_t tile_plane; /* places of a tile */
} Tiled;

static Err take_memory(Tiled *t, int channels, Error *err) {
    size_t c = (size_t)channels;
    t->channels = channels;
    t->blend = block_alloc(c * t->tile_plane * sizeof(float));
    t->kept = block_alloc((c * (size_t)t->kept_rows * (size_t)t->spec->width + 1) * sizeof(float));
    if (t->blend && t->kept) return OK;
    return err_set(err, ERR_MEMORY, "no memory to blend tiles: %.0f MB", tiled_bytes(t->spec, channels) / 1e6);
}

/* Move the sums to where tile `column` lies and add its result. */
static void add_tile(Tiled *t, int row, int column, const float *values) {
    const int height = t->rows.tile, width = t->columns.tile;
    const int kept = shared_before(&t->columns, column), shift = width - kept;
    const float *down = t->rows.weight + (size_t)row * (size_t)height;
    const float *across = t->columns.weight + (size_t)column * (size_t)width;
#pragma omp parallel for
    for (int c = 0; c < t->channels; c++) {
        for (int y = 0; y < height; y++) {
            size_t at = (size_t)c * t->tile_plane + (size_t)y * (size_t)width;
            float *to = t->blend + at;
            const float *from = values + at;
            memmove(to, to + shift, (size_t)kept * sizeof *to);
            for (int x = 0; x < kept; x++) to[x] += down[y] * across[x] * from[x];
            for (int x = kept; x < width; x++) to[x] = down[y] * across[x] * from[x];
        }
    }
}

/* The columns that are done in this row of tiles: add what the row above left, keep what the row below is to get, and
 * hand out the rest. */
static Err finish_columns(Tiled *t, int row, int column, Error *err) {
    const int n = finished_by(&t->columns, column), done = finished_by(&t->rows, row);
    const int from_above = shared_before(&t->rows, row), height = t->rows.tile, width = t->columns.tile;
    const bool last = row + 1 == t->rows.n;
#pragma omp parallel for
    for (int c = 0; c < t->channels; c++) {
        float *blend = t->blend + (size_t)c * t->tile_plane;
        float *kept = t->kept + (size_t)c * (size_t)t->kept_rows * (size_t)t->spec->width + t->columns.at[column];
        for (int y = 0; y < from_above; y++)
            for (int x = 0; x < n; x++) blend[y * width + x] += kept[(size_t)y * (size_t)t->spec->width + (size_t)x];
        for (int y = done; y < height && !last; y++)
            memcpy(kept + (size_t)(y - done) * (size_t)t->spec->width, blend + y * width, (size_t)n * sizeof *kept);
    }
    TileBlock block = {.y = t->rows.at[row],
                       .x = t->columns.at[column],
                       .height = done,
                       .width = n,
                       .channels = t->channels,
                       .values = t->blend,
                       .plane_stride = (int64_t)t->tile_plane,
                       .row_stride = width};
    return t->spec->take(t->spec->context, &block, err);
}

/* A picture that is one tile needs no blending. */
static Err take_whole(const Tiled *t, const float *values, int channels, Error *err) {
    TileBlock block = {.height = t->spec->height,
                       .width = t->spec->width,
                       .channels = channels,
                       .values = values,
                       .plane_stride = (int64_t)t->tile_plane,
                       .row_stride = t->columns.tile};
    return t->spec->take(t->spec->context, &block, err);
}

static Err run_tile(Tiled *t, int row, int column, Error *err) {
    const TiledSpec *spec = t->spec;
    if (spec->stop && *spec->stop) return err_set(err, ERR_STOPPED, "stopped");
    const float *values;
    int channels;
    TRY(spec->read(spec->context, t->rows.at[row], t->columns.at[column], t->input, err));
    TRY(spec->run(spec->context, t->input, &values, &channels, err));
    if (t->rows.n == 1 && t->columns.n == 1) return take_whole(t, values, channels, err);
    if (t->channels == 0) TRY(take_memory(t, channels, err));
    add_tile(t, row, column, values);
    return finish_columns(t, row, column, err);
}

static Err run_grid(Tiled *t, Error *err) {
    const TiledSpec *spec = t->spec;
    TRY(tile_axis_new(&t->rows, spec->height, spec->tile_height, spec->overlap_height, spec->stride, err));
    TRY(tile_axis_new(&t->columns, spec->width, spec->tile_width, spec->overlap_width, spec->stride, err));
    t->kept_rows = most_shared(&t->rows);
    t->tile_plane = (size_t)spec->tile_height * (size_t)spec->tile_width;
    t->input = block_alloc((size_t)spec->channels * t->tile_plane * sizeof(float));
    if (!t->input) return err_set(err, ERR_MEMORY, "no memory for a tile of the picture");
    for (int row = 0; row < t->rows.n; row++)
        for (int column = 0; column < t->columns.n; column++) TRY(run_tile(t, row, column, err));
    return OK;
}

Err tiled_run(const TiledSpec *spec, Error *err) {
    Tiled t = {.spec = spec};
    Err code = run_grid(&t, err);
    tile_axis_free(&t.rows);
    tile_axis_free(&t.columns);
    block_free(t.input);
    block_free(t.blend);
    block_free(t.kept);
    return code;
}

double tiled_bytes(const TiledSpec *spec, int out_channels) {
    double tile = (double)spec->tile_height * spec->tile_width;
    int down = tile_count(spec->height, spec->tile_height, spec->overlap_height, spec->stride);
    int across = tile_count(spec->width, spec->tile_width, spec->overlap_width, spec->stride);
    double floats = spec->channels * tile;
    if (down == 1 && across == 1) return floats * sizeof(float);
    int step = down > 1 ? (spec->height - spec->tile_height) / (down - 1) / spec->stride * spec->stride : 0;
    double kept_rows = down > 1 ? spec->tile_height - step : 0;
    return (floats + out_channels * (tile + kept_rows * spec->width)) * sizeof(float);
}
