/* tiled.h - a large picture by overlapping tiles, their results blended, in memory that does not grow with its height.
 *
 * Tiles lie on a grid: as few as keep the overlap that is asked for, spread evenly (Isensee et al. 2021, nnU-Net, arXiv
 * 1809.10486, whose positions and window these are). They begin at multiples of the network's stride, the last ones
 * where a picture padded to it would end: pooling meets the same pixels as in the whole picture. Where tiles overlap,
 * results are averaged, each weighted by a Gaussian about its tile's middle with a deviation of an eighth of the tile,
 * divided by the sum of the weights there. The window is a product of one along each axis, and so is that sum: a tile's
 * weights are those of its row times those of its column, normalised beforehand, and no map of sums is needed.
 *
 * Tiles are run row of tiles by row of tiles, from the left. What no later tile of the row reaches is added to what the
 * row above left there; of that, what the row below does not reach either is handed out, and the rest kept. So memory
 * holds channels x (one tile + the overlap of two rows x the picture's width), whatever the height.
 */
#ifndef SANDGLASS_TRAIN_TILED_H
#define SANDGLASS_TRAIN_TILED_H

#include "base/error.h"

#include <signal.h>
#include <stdint.h>

/* The tiles along one axis. */
typedef struct TileAxis {
    int n, tile, size; /* tiles, length of one, of the picture */
    int *at;           /* n: where each begins, multiples of `stride`; at[0] = 0, the last reaches the end */
    float *weight;     /* n * tile: of each place of each tile; over the tiles at a place they sum to 1 */
} TileAxis;
/* size and tile at least 1, 0 <= overlap < tile, stride >= 1. Tiles overlap by at least `overlap`, as far as the stride
 * allows. */
Err tile_axis_new(TileAxis *out, int size, int tile, int overlap, int stride, Error *err);
void tile_axis_free(TileAxis *axis); /* an empty one is fine */
/* How many tiles tile_axis_new makes. */
int tile_count(int size, int tile, int overlap, int stride);

/* A rectangle of the result that is done: channels planes at `values`, rows row_stride floats apart. Blocks of a row of
 * tiles come from the left and cover its rows; rows come from the top. */
typedef struct TileBlock {
    int y, x, height, width, channels;
    const float *values;
    int64_t plane_stride, row_stride;
} TileBlock;

typedef struct TiledSpec {
    int height, width, channels; /* of the picture */
    int tile_height, tile_width; /* may be larger than the picture: `read` fills up */
    int overlap_height, overlap_width;
    int stride;                        /* tiles begin at multiples of it */
    const volatile sig_atomic_t *stop; /* non-zero: end with ERR_STOPPED before the next tile; may be NULL */
    void *context;
    /* Planes (channels, tile_height, tile_width) of the picture at y, x, for the network; the edge repeated where they
     * reach beyond it. */
    Err (*read)(void *context, int y, int x, float *dst, Error *err);
    /* The network on one tile: planes (*channels, tile_height, tile_width), valid until the next call; always as many.
     */
    Err (*run)(void *context, const float *input, const float **output, int *channels, Error *err);
    Err (*take)(void *context, const TileBlock *block, Error *err);
} TiledSpec;

Err tiled_run(const TiledSpec *spec, Error *err);

/* Bytes tiled_run takes for results of this many channels, its input included. */
double tiled_bytes(const TiledSpec *spec, int out_channels);

#endif
