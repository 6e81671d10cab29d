/* winograd.c - see winograd.h. Everything is done in vectors of 16 channels. The file is compiled with fused
 * multiply-add: as no element is ever computed outside of such a vector, its value does not depend on where it lies.
 */
#include "engine/winograd.h"
#include "base/vmath.h"

#include <string.h>

/* PANEL: floats of a group's points of one kind in one block. */
enum {
    LANES = WINO_LANES,
    POINTS = WINO_POINTS,
    GROUP = WINO_GROUP,
    TILE = 4,
    WINDOW = 6,
    TAPS = 3,
    PANEL = GROUP * LANES
};

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Local arrays of vectors that may cross no cache line. */
#define ALIGNED  __attribute__((aligned(64)))
#define LOAD(at) (*(const Lanes *)(at))

/* Where a tile of a chunk lies. */
typedef struct Place {
    int64_t sample, y, x; /* x, y: of its first pixel */
} Place;

static Place place_of(const WinoChunk *c, int64_t tile) {
    const int64_t in_plane = c->rows * c->columns;
    return (Place){
        .sample = tile / in_plane, .y = tile % in_plane / c->columns * TILE, .x = tile % in_plane % c->columns * TILE};
}

/* Where the points of a chunk's tile begin; the next point is a PANEL on. */
static float *points_at(float *points, int64_t blocks, int64_t tile, int64_t block) {
    return points + (tile / GROUP * blocks + block) * POINTS * PANEL + tile % GROUP * LANES;
}

/* ---- one axis: values `step` apart, into results `step_to` apart ---- */

/* B' d */
VECTOR_INLINE void window_axis(const Lanes *d, int64_t step, Lanes *v, int64_t step_to) {
    const Lanes d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    const Lanes even = d4 - 4 * d2, odd = d3 - 4 * d1, even2 = d4 - d2, odd2 = d3 - d1;
    v[0] = 4 * d0 + (d4 - 5 * d2);
    v[step_to] = even + odd;
    v[2 * step_to] = even - odd;
    v[3 * step_to] = even2 + 2 * odd2;
    v[4 * step_to] = even2 - 2 * odd2;
    v[5 * step_to] = 4 * d1 + (d5 - 5 * d3);
}

/* A' m */
VECTOR_INLINE void result_axis(const Lanes *m, int64_t step, Lanes *y, int64_t step_to) {
    const Lanes sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    const Lanes sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
    y[0] = (m[0] + sum) + sum2;
    y[step_to] = difference + 2 * difference2;
    y[2 * step_to] = sum + 4 * sum2;
    y[3 * step_to] = (difference + m[5 * step]) + 8 * difference2;
}

/* A y */
VECTOR_INLINE void tile_axis(const Lanes *y, int64_t step, Lanes *m, int64_t step_to) {
    const Lanes y0 = y[0], y1 = y[step], y2 = y[2 * step], y3 = y[3 * step];
    const Lanes even = y0 + y2, odd = y1 + y3, even2 = y0 + 4 * y2, odd2 = 2 * y1 + 8 * y3;
    m[0] = y0;
    m[step_to] = even + odd;
    m[2 * step_to] = even - odd;
    m[3 * step_to] = even2 + odd2;
    m[4 * step_to] = even2 - odd2;
    m[5 * step_to] = y3;
}

/* G g */
VECTOR_INLINE void weights_axis(const Lanes *g, int64_t step, Lanes *u, int64_t step_to) {
    const Lanes g0 = g[0], g1 = g[step], g2 = g[2 * step];
    const Lanes even = (g0 + g2) * (-1.0f / 6), odd = g1 * (1.0f / 6);
    const Lanes even2 = g0 * (1.0f / 24) + g2 * (1.0f / 6), odd2 = g1 * (1.0f / 12);
    u[0] = g0 * 0.25f;
    u[step_to] = even - odd;
    u[2 * step_to] = even + odd;
    u[3 * step_to] = even2 + odd2;
    u[4 * step_to] = even2 - odd2;
    u[5 * step_to] = g2;
}

/* G' u */
VECTOR_INLINE void gradient_axis(const Lanes *u, int64_t step, Lanes *g, int64_t step_to) {
    const Lanes sum = u[step] + u[2 * step], difference = u[2 * step] - u[step];
    const Lanes sum2 = u[3 * step] + u[4 * step], difference2 = u[3 * step] - u[4 * step];
    g[0] = (u[0] * 0.25f - sum * (1.0f / 6)) + sum2 * (1.0f / 24);
    g[step_to] = difference * (1.0f / 6) + difference2 * (1.0f / 12);
    g[2 * step_to] = (u[5 * step] - sum * (1.0f / 6)) + sum2 * (1.0f / 6);
}

/* ---- weights ---- */

VECTOR_CLONES void wino_weights(const float *weights, int64_t o, int64_t i, bool swapped, int64_t block, int64_t row,
                                int64_t stride, float *to) {
    const int64_t along = swapped ? 9 : 9 * i, channels = swapped ? i : o;
    const float *from = weights + block * LANES * along + row * (swapped ? 9 * i : 9);
    const int64_t n = row >= (swapped ? o : i)           ? 0
                      : channels - block * LANES < LANES ? channels - block * LANES
                                                         : LANES;
    ALIGNED float taps[9][LANES] = {0};
    for (int64_t l = 0; l < n; l++)
        for (int64_t k = 0; k < 9; k++) taps[swapped ? 8 - k : k][l] = from[l * along + k];
    ALIGNED Lanes g[9], half[WINDOW * TAPS], u[POINTS];
    for (int k = 0; k < 9; k++) g[k] = LOAD(taps[k]);
    for (int k = 0; k < TAPS; k++) weights_axis(g + k, TAPS, half + k, TAPS);
    for (int k = 0; k < WINDOW; k++) weights_axis(half + k * TAPS, 1, u + k * WINDOW, 1);
    for (int k = 0; k < POINTS; k++) *(Lanes *)(to + k * stride) = u[k];
}

VECTOR_CLONES void wino_gradient(const float *sums, int64_t n_parts, int64_t part, int64_t stride,
                                 float to[9 * WINO_LANES]) {
    ALIGNED Lanes u[POINTS], half[WINDOW * TAPS], g[9];
    for (int k = 0; k < POINTS; k++) {
        u[k] = LOAD(sums + k * stride);
        for (int64_t p = 1; p < n_parts; p++) u[k] += LOAD(sums + p * part + k * stride);
    }
    for (int k = 0; k < WINDOW; k++) gradient_axis(u + k * WINDOW, 1, half + k * TAPS, 1);
    for (int k = 0; k < TAPS; k++) gradient_axis(half + k, TAPS, g + k, TAPS);
    for (int k = 0; k < 9; k++) *(Lanes *)(to + k * LANES) = g[k];
}

/* ---- planes to points and back ---- */

/* A copy of n x n pixels of a plane from (y, x) on, zeros beside the plane. */
VECTOR_INLINE void copy_pixels(const float *plane, const WinoPlanes *p, int64_t y, int64_t x, const int n,
                               float *copy) {
    for (int r = 0; r < n; r++) {
        const bool in_rows = y + r >= 0 && y + r < p->h;
        const float *row = plane + (in_rows ? y + r : 0) * p->w * LANES;
        for (int k = 0; k < n; k++) {
            Lanes pixel = {0};
            if (in_rows && x + k >= 0 && x + k < p->w) pixel = LOAD(row + (x + k) * LANES);
            *(Lanes *)(copy + (r * n + k) * LANES) = pixel;
        }
    }
}

static void clear_points(float *points) {
    for (int k = 0; k < POINTS; k++) memset(points + k * PANEL, 0, sizeof *points * LANES);
}

/* What the tile below, or the first of the next plane, will be the first to read: each row is a stream of its own,
 * which the processor does not foresee. */
VECTOR_INLINE void prefetch_below(const float *from, int64_t step, const int n) {
    for (int r = n; r < n + TILE; r++)
        for (int k = 0; k < TILE; k++) __builtin_prefetch(from + r * step + k * LANES);
}

VECTOR_INLINE void window_points(const float *from, int64_t step, float *to) {
    ALIGNED Lanes half[POINTS], v[WINDOW];
#pragma GCC unroll 6
    for (int r = 0; r < WINDOW; r++) window_axis((const Lanes *)(from + r * step), 1, half + r * WINDOW, 1);
#pragma GCC unroll 6
    for (int k = 0; k < WINDOW; k++) {
        window_axis(half + k, WINDOW, v, 1);
#pragma GCC unroll 6
        for (int r = 0; r < WINDOW; r++) *(Lanes *)(to + (r * WINDOW + k) * PANEL) = v[r];
    }
}

VECTOR_INLINE void tile_points(const float *from, int64_t step, float *to) {
    ALIGNED Lanes half[TILE * WINDOW], m[WINDOW];
#pragma GCC unroll 4
    for (int r = 0; r < TILE; r++) tile_axis((const Lanes *)(from + r * step), 1, half + r * WINDOW, 1);
#pragma GCC unroll 6
    for (int k = 0; k < WINDOW; k++) {
        tile_axis(half + k, WINDOW, m, 1);
#pragma GCC unroll 6
        for (int r = 0; r < WINDOW; r++) *(Lanes *)(to + (r * WINDOW + k) * PANEL) = m[r];
    }
}

/* n: pixels of a window or tile. Block by block, which is fewest streams of memory at a time. */
VECTOR_INLINE void points_of(const WinoPlanes *p, const WinoChunk *c, const int n, const float *src, float *points) {
    ALIGNED float copy[WINDOW * WINDOW * LANES];
    for (int64_t b = 0; b < p->blocks; b++)
        for (int64_t i = 0; i < c->n; i++) {
            float *to = points_at(points, p->blocks, i, b);
            if (c->first + i >= c->tiles) {
                clear_points(to);
                continue;
            }
            const Place at = place_of(c, c->first + i);
            const float *plane = src + (at.sample * p->blocks + b) * p->h * p->w * LANES;
            const int64_t y = at.y - p->top, x = at.x - p->left;
            const float *from = plane + (y * p->w + x) * LANES;
            int64_t step = p->w * LANES;
            prefetch_below(from, step, n);
            if (y < 0 || x < 0 || y + n > p->h || x + n > p->w) {
                copy_pixels(plane, p, y, x, n, copy);
                from = copy;
                step = n * LANES;
            }
            if (n == WINDOW)
                window_points(from, step, to);
            else
                tile_points(from, step, to);
        }
}

VECTOR_CLONES void wino_windows(const WinoPlanes *p, const WinoChunk *c, const float *src, float *points) {
    points_of(p, c, WINDOW, src, points);
}

VECTOR_CLONES void wino_tiles(const WinoPlanes *p, const WinoChunk *c, const float *src, float *points) {
    points_of(p, c, TILE, src, points);
}

/* In memory, because gcc 12 fails on comparisons of vectors in clones. */
VECTOR_INLINE void relu(float *x, float slope) {
#pragma omp simd
    for (int l = 0; l < LANES; l++) x[l] = x[l] < 0 ? slope * x[l] : x[l];
}

VECTOR_CLONES void wino_results(const WinoPlanes *p, const WinoChunk *c, const WinoEnd *end, const float *points,
                                float *dst) {
    const Lanes zero = {0};
    for (int64_t b = 0; b < p->blocks; b++)
        for (int64_t i = 0; i < c->n && c->first + i < c->tiles; i++) {
            const Place at = place_of(c, c->first + i);
            const int64_t rows = p->h - at.y < TILE ? p->h - at.y : TILE;
            const int64_t columns = p->w - at.x < TILE ? p->w - at.x : TILE;
            const float *from = points_at((float *)points, p->blocks, i, b);
            float *to = dst + (((at.sample * p->blocks + b) * p->h + at.y) * p->w + at.x) * LANES;
            const Lanes bias = end->bias ? LOAD(end->bias + b * LANES) : zero;
            ALIGNED Lanes half[TILE * WINDOW], m[WINDOW], y[TILE];
#pragma GCC unroll 6
            for (int k = 0; k < WINDOW; k++) {
                for (int r = 0; r < WINDOW; r++) m[r] = LOAD(from + (r * WINDOW + k) * PANEL);
                result_axis(m, 1, half + k, WINDOW);
            }
#pragma GCC unroll 4
            for (int r = 0; r < TILE; r++) {
                result_axis(half + r * WINDOW, 1, y, 1);
                for (int k = 0; k < TILE; k++) {
                    float *pixel = to + (r * p->w + k) * LANES;
                    if (r >= rows || k >= columns) continue;
                    *(Lanes *)pixel = y[k] + bias;
                    if (end->relu) relu(pixel, end->slope);
                }
            }
        }
}

/* ---- sums ---- */

/* A group of tiles, one or two blocks of results. */
VECTOR_INLINE void multiply_group(const int blocks, int64_t in, const float *points, const float *weights,
                                  float *results) {
    Lanes sum[2][GROUP];
#pragma GCC unroll 12
    for (int t = 0; t < GROUP; t++) sum[0][t] = sum[1][t] = (Lanes){0};
    for (int64_t b = 0; b < in; b++)
        for (int64_t l = 0; l < LANES; l++) {
            const float *from = points + b * POINTS * PANEL + l, *w = weights + (b * LANES + l) * LANES;
            const Lanes w0 = LOAD(w), w1 = blocks > 1 ? LOAD(w + in * LANES * LANES) : w0;
#pragma GCC unroll 12
            for (int t = 0; t < GROUP; t++) {
                sum[0][t] += from[t * LANES] * w0;
                if (blocks > 1) sum[1][t] += from[t * LANES] * w1;
            }
        }
#pragma GCC unroll 12
    for (int t = 0; t < GROUP; t++) {
        *(Lanes *)(results + t * LANES) = sum[0][t];
        if (blocks > 1) *(Lanes *)(results + POINTS * PANEL + t * LANES) = sum[1][t];
    }
}

VECTOR_CLONES void wino_multiply(int64_t in, int64_t out, int64_t n, const float *points, const float *weights,
                                 float *results) {
    for (int64_t k = 0; k < POINTS; k++)
        for (int64_t o = 0; o < out; o += 2)
            for (int64_t g = 0; g < n / GROUP; g++) {
                const float *from = points + (g * in * POINTS + k) * PANEL;
                const float *w = weights + (k * out + o) * in * LANES * LANES;
                float *to = results + ((g * out + o) * POINTS + k) * PANEL;
                if (o + 1 < out)
                    multiply_group(2, in, from, w, to);
                else
                    multiply_group(1, in, from, w, to);
            }
}

VECTOR_CLONES void wino_accumulate(int64_t in, int64_t out, int64_t n, const float *windows, const float *tiles,
                                   float *sums) {
    for (int64_t k = 0; k < POINTS; k++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t o = 0; o < out; o++) {
                float *to = sums + ((k * in + i) * out + o) * LANES * LANES;
                Lanes sum[LANES];
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) sum[l] = LOAD(to + l * LANES);
                for (int64_t g = 0; g < n / GROUP; g++) {
                    const float *v = windows + ((g * in + i) * POINTS + k) * PANEL;
                    const float *m = tiles + ((g * out + o) * POINTS + k) * PANEL;
                    for (int64_t t = 0; t < GROUP; t++) {
                        const Lanes diff = LOAD(m + t * LANES);
#pragma GCC unroll 16
                        for (int l = 0; l < LANES; l++) sum[l] += v[t * LANES + l] * diff;
                    }
                }
#pragma GCC unroll 16
                for (int l = 0; l < LANES; l++) *(Lanes *)(to + l * LANES) = sum[l];
            }
}
