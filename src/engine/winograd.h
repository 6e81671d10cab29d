/* winograd.h - the arithmetic of Winograd's algorithm for 3x3 convolutions, on one thread: Lavin & Gray 2016,
 * arXiv 1509.09308, F(4x4, 3x3). Private to this folder.
 *
 * A result is computed in tiles of 4x4 out of windows of 6x6 of the source, which overlap by 2. With B, G and A of the
 * paper (section 4.3) a tile of one channel is
 *
 *     dst = A' [ sum_i (G weights_i G') * (B' window_i B) ] A         * element by element, at 36 points
 *
 * so the sum over the channels is 36 matrix products with a quarter of the direct algorithm's multiplications. The
 * gradient of the source is the same with the kernel turned round and its channels exchanged; that of the weights is
 *
 *     diff_weights_i = G' [ sum_tiles (A diff_dst A') * (B' window_i B) ] G
 *
 * Tensors lie as N, P, H, W, 16 with P blocks of 16 channels, lanes of no channel zero. Tiles are done in chunks that
 * fit the cache. Of a chunk, "points" lie as chunk / 12, P, 36, 12, 16: group of tiles, block, point, tile, channel, so
 * that what a tile is written to is on few pages.
 */
#ifndef SANDGLASS_ENGINE_WINOGRAD_H
#define SANDGLASS_ENGINE_WINOGRAD_H

#include <stdbool.h>
#include <stdint.h>

enum { WINO_LANES = 16, WINO_POINTS = 36, WINO_GROUP = 12 };

/* A tensor of planes, cut into tiles or windows. */
typedef struct WinoPlanes {
    int64_t blocks, h, w;
    int64_t top, left; /* a window begins so far before its tile */
} WinoPlanes;

/* Some of the tiles of all samples, counted row by row. Those past the last are zeros. */
typedef struct WinoChunk {
    int64_t rows, columns, tiles; /* of a plane; of all samples */
    int64_t first, n;             /* n a multiple of WINO_GROUP */
} WinoChunk;

/* What becomes of a result: its bias (in blocks of 16; NULL: none), then a (leaky) ReLU. */
typedef struct WinoEnd {
    const float *bias;
    bool relu;
    float slope; /* below zero */
} WinoEnd;

/* Of a block's points, at n tiles. */
static inline int64_t wino_floats(int64_t blocks, int64_t n) {
    return blocks * n * WINO_POINTS * WINO_LANES;
}

/* Channels of `weights` O, I, 3, 3 along lanes: block `ob` and row `i` of G weights G'. Swapped: of the kernel turned
 * round, with O and I exchanged. to: 36 vectors, `stride` floats apart. */
void wino_weights(const float *weights, int64_t o, int64_t i, bool swapped, int64_t block, int64_t row, int64_t stride,
                  float *to);

/* B' window B of all blocks of a chunk's windows. */
void wino_windows(const WinoPlanes *p, const WinoChunk *c, const float *src, float *points);
/* A diff_dst A' of all blocks of a chunk's tiles. */
void wino_tiles(const WinoPlanes *p, const WinoChunk *c, const float *src, float *points);
/* A' points A, with the end, into the chunk's tiles of dst. */
void wino_results(const WinoPlanes *p, const WinoChunk *c, const WinoEnd *end, const float *points, float *dst);

/* For each point: results of n tiles = sums over the channels. weights: 36, out, 16 in, 16. */
void wino_multiply(int64_t in, int64_t out, int64_t n, const float *points, const float *weights, float *results);
/* Adds the chunk's sums over the tiles to sums: 36, in, out, 16, 16. */
void wino_accumulate(int64_t in, int64_t out, int64_t n, const float *windows, const float *tiles, float *sums);
/* G' [parts added] G of channel `row` of the source and a block of dst: 9 vectors. Sums lie `part` floats apart. */
void wino_gradient(const float *sums, int64_t n_parts, int64_t part, int64_t stride, float to[9 * WINO_LANES]);

#endif
