/* ops_winograd.c - see ops_winograd.h: chunks of tiles over the threads, and the recording. */
#include "engine/ops_winograd.h"
#include "engine/internal.h"
#include "engine/winograd.h"

#include <omp.h>
#include <string.h>

enum { LANES = WINO_LANES, POINTS = WINO_POINTS, GROUP = WINO_GROUP, TILE = 4, FEWEST_CHANNELS = 8 };
/* Tiles for which the transformation of the weights, and clearing and adding sums of their size, are worth it. */
enum { FEWEST_TILES = 24, FEWEST_SUMMED = 96 };

/* A convolution from a to b: of src to dst, or in the gradient of the source of diff_dst to diff_src. */
typedef struct Winograd {
    WinoPlanes a, b;
    WinoChunk tiles; /* of b; n: tiles in a chunk */
    int64_t n_chunks;
    int64_t o, i;  /* channels of the weights */
    int64_t parts; /* in which the gradient of the weights is summed */
    int threads;
    bool swapped; /* gradient of the source: the kernel turned round */
    bool bias, relu;
    float slope;
} Winograd;

static int64_t blocks_of(int64_t channels) {
    return (channels + LANES - 1) / LANES;
}

static int64_t up_to_groups(int64_t tiles) {
    return (tiles + GROUP - 1) / GROUP * GROUP;
}

static int64_t chunk_floats(const Winograd *g) {
    return wino_floats(g->a.blocks + g->b.blocks, g->tiles.n);
}

static int64_t weights_floats(const Winograd *g) {
    return POINTS * g->a.blocks * g->b.blocks * LANES * LANES;
}

static WinoChunk chunk_of(const Winograd *g, int64_t number) {
    WinoChunk chunk = g->tiles;
    chunk.first = number * chunk.n;
    return chunk;
}

/* ---- weights ---- */

static void run_weights(const NativeCall *call) {
    const Winograd *g = call->params;
    const float *weights = call->src[0].data;
    float *to = call->dst[0].data;
    const int64_t rows = g->a.blocks * LANES;
#pragma omp parallel for
    for (int64_t at = 0; at < g->b.blocks * rows; at++)
        wino_weights(weights, g->o, g->i, g->swapped, at / rows, at % rows, weights_floats(g) / POINTS,
                     to + at * LANES);
}

/* ---- forward, and the gradient of the source ---- */

static void run_conv(const NativeCall *call) {
    const Winograd *g = call->params;
    const float *src = call->src[0].data, *weights = call->src[1].data;
    float *dst = call->dst[0].data, *rooms = call->dst[1].data, *bias = rooms + g->threads * chunk_floats(g);
    const WinoEnd end = {.bias = g->bias ? bias : NULL, .relu = g->relu, .slope = g->slope};
    if (g->bias) {
        memset(bias, 0, sizeof *bias * (size_t)(g->b.blocks * LANES)); /* lanes of no channel stay 0 */
        memcpy(bias, call->src[2].data, sizeof *bias * (size_t)call->src[2].size);
    }
#pragma omp parallel for num_threads(g->threads) schedule(static)
    for (int64_t k = 0; k < g->n_chunks; k++) {
        const WinoChunk chunk = chunk_of(g, k);
        float *points = rooms + omp_get_thread_num() * chunk_floats(g);
        float *results = points + wino_floats(g->a.blocks, chunk.n);
        wino_windows(&g->a, &chunk, src, points);
        wino_multiply(g->a.blocks, g->b.blocks, chunk.n, points, weights, results);
        wino_results(&g->b, &chunk, &end, results, dst);
    }
}

/* ---- gradient of the weights ---- */

static void sum_part(const Winograd *g, int64_t part, const float *src, const float *diff_dst, float *room,
                     float *sums) {
    float *tiles = room + wino_floats(g->a.blocks, g->tiles.n);
    memset(sums, 0, sizeof *sums * (size_t)weights_floats(g));
    for (int64_t k = g->n_chunks * part / g->parts; k < g->n_chunks * (part + 1) / g->parts; k++) {
        const WinoChunk chunk = chunk_of(g, k);
        wino_windows(&g->a, &chunk, src, room);
        wino_tiles(&g->b, &chunk, diff_dst, tiles);
        wino_accumulate(g->a.blocks, g->b.blocks, chunk.n, room, tiles, sums);
    }
}

/* One channel of the source, one block of dst. */
static void scatter(const Winograd *g, int64_t channel, int64_t block, const float *sums, float *diff_weights) {
    float taps[9 * LANES];
    const int64_t at = ((channel / LANES * g->b.blocks + block) * LANES + channel % LANES) * LANES;
    wino_gradient(sums + at, g->parts, weights_floats(g), weights_floats(g) / POINTS, taps);
    for (int64_t l = 0; l < LANES && block * LANES + l < g->o; l++)
        for (int64_t k = 0; k < 9; k++)
            diff_weights[((block * LANES + l) * g->i + channel) * 9 + k] = taps[k * LANES + l];
}

static void run_backward_weights(const NativeCall *call) {
    const Winograd *g = call->params;
    const float *src = call->src[0].data, *diff_dst = call->src[1].data;
    float *diff_weights = call->dst[0].data, *sums = call->dst[1].data;
    float *rooms = sums + g->parts * weights_floats(g);
#pragma omp parallel for num_threads(g->threads) schedule(static, 1)
    for (int64_t part = 0; part < g->parts; part++)
        sum_part(g, part, src, diff_dst, rooms + omp_get_thread_num() * chunk_floats(g),
                 sums + part * weights_floats(g));
#pragma omp parallel for collapse(2)
    for (int64_t block = 0; block < g->b.blocks; block++)
        for (int64_t channel = 0; channel < g->i; channel++) scatter(g, channel, block, sums, diff_weights);
}

/* ---- recording ---- */

/* Tiles in a chunk: as many as keep its points within a second-level cache, but enough of them to read the weights
 * rarely, and a chunk for each of `shares`. */
static void choose_chunks(Winograd *g, int64_t room_floats, int64_t fewest, int64_t shares) {
    WinoChunk *c = &g->tiles;
    c->n = room_floats / (POINTS * LANES * (g->a.blocks + g->b.blocks)) / GROUP * GROUP;
    if (c->n < fewest) c->n = fewest;
    if (c->n > up_to_groups((c->tiles + shares - 1) / shares)) c->n = up_to_groups((c->tiles + shares - 1) / shares);
    g->n_chunks = (c->tiles + c->n - 1) / c->n;
}

static Winograd geometry(Build *b, const ConvSpec *spec, const Tensor *src, const Tensor *weights) {
    const int64_t *s = src->shape.dim, *d = spec->dst.dim;
    Winograd g = {.a = {blocks_of(s[1]), s[2], s[3], spec->pad_lo[0], spec->pad_lo[1]},
                  .b = {blocks_of(d[1]), d[2], d[3], 0, 0},
                  .o = weights->shape.dim[0],
                  .i = weights->shape.dim[1],
                  .threads = b->engine->threads};
    g.tiles = (WinoChunk){.rows = (d[2] + TILE - 1) / TILE, .columns = (d[3] + TILE - 1) / TILE};
    g.tiles.tiles = s[0] * g.tiles.rows * g.tiles.columns;
    return g;
}

/* From diff_dst to diff_src, whose padding is what the kernel leaves of the other. */
static Winograd turned_round(const Winograd *forward) {
    Winograd g = *forward;
    g.a = forward->b;
    g.b = forward->a;
    g.a.top = 2 - forward->a.top;
    g.a.left = 2 - forward->a.left;
    g.b.top = g.b.left = 0;
    g.swapped = true;
    const int64_t samples = g.tiles.tiles / (g.tiles.rows * g.tiles.columns);
    g.tiles.rows = (g.b.h + TILE - 1) / TILE;
    g.tiles.columns = (g.b.w + TILE - 1) / TILE;
    g.tiles.tiles = samples * g.tiles.rows * g.tiles.columns;
    return g;
}

static int64_t tiles_of(Shape dst) {
    return dst.dim[0] * ((dst.dim[2] + TILE - 1) / TILE) * ((dst.dim[3] + TILE - 1) / TILE);
}

bool winograd_fits(const ConvSpec *spec, const Tensor *src, const Tensor *weights) {
    const int64_t *w = weights->shape.dim, *d = spec->dst.dim;
    if (dnnl_get_effective_cpu_isa() < dnnl_cpu_isa_avx512_core) return false;
    if (src->shape.rank != 4 || weights->shape.rank != 4 || w[2] != 3 || w[3] != 3 || spec->groups != 1) return false;
    for (int i = 0; i < 2; i++)
        if (spec->stride[i] != 1 || spec->dilation[i] != 1 || spec->pad_lo[i] < 0 || spec->pad_lo[i] > 2) return false;
    if (tiles_of(spec->dst) < FEWEST_TILES || tiles_of(spec->dst) * TILE * TILE > 2 * d[0] * d[2] * d[3]) return false;
    return compute_type(src->build) == F32 && w[0] >= FEWEST_CHANNELS && w[1] >= FEWEST_CHANNELS;
}

bool winograd_sums_pay(const ConvSpec *spec) {
    return tiles_of(spec->dst) >= 2 * FEWEST_SUMMED;
}

/* A native step that counts among the convolutions. */
static void record_native(Build *b, const NativeSpec *spec) {
    op_native(b, spec);
    if (!build_failed(b)) b->last_step->kind = STEP_CONV;
}

static Tensor *record_weights(Build *b, const Winograd *g, Tensor *weights) {
    Tensor *packed = build_tensor(b, F32, SHAPE(weights_floats(g)));
    record_native(b, &(NativeSpec){.name = "winograd_weights",
                                   .fn = run_weights,
                                   .layout = NATIVE_DENSE,
                                   .params = g,
                                   .params_bytes = sizeof *g,
                                   .n_src = 1,
                                   .src = {weights},
                                   .n_dst = 1,
                                   .dst = {packed}});
    return packed;
}

/* Chunks of half a megabyte; 48 tiles use each weight often enough. */
static Tensor *record_conv(Build *b, const char *name, Winograd *g, Tensor *src, Tensor *weights, Tensor *bias,
                           Shape shape) {
    choose_chunks(g, 1 << 17, 48, g->threads);
    Tensor *packed = record_weights(b, g, weights);
    Tensor *dst = build_tensor(b, F32, shape);
    const int64_t room = g->threads * chunk_floats(g) + (bias ? g->b.blocks * LANES : 0);
    record_native(b, &(NativeSpec){.name = name,
                                   .fn = run_conv,
                                   .layout = NATIVE_PLANES,
                                   .params = g,
                                   .params_bytes = sizeof *g,
                                   .n_src = bias ? 3 : 2,
                                   .src = {tensor_in_layout(b, src, LAYOUT_BLOCK16), packed, bias},
                                   .n_dst = 2,
                                   .dst = {dst, build_tensor(b, F32, SHAPE(room))}});
    return dst;
}

Tensor *record_winograd(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    Winograd g = geometry(b, spec, src, weights);
    g.bias = bias;
    g.relu = spec->act.kind == ACT_RELU;
    g.slope = spec->act.alpha;
    return record_conv(b, g.relu ? "winograd, relu" : "winograd", &g, src, weights, bias, spec->dst);
}

/* The sums are in parts, as many as cost little memory, and two where each gets enough tiles. */
void record_winograd_backward_weights(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                                      Tensor *diff_weights) {
    Winograd g = geometry(b, spec, src, weights);
    src = tensor_in_layout(b, src, LAYOUT_BLOCK16);
    diff_dst = tensor_in_layout(b, diff_dst, LAYOUT_BLOCK16);
    const int64_t affordable = (1 << 19) / weights_floats(&g), filled = g.tiles.tiles / FEWEST_SUMMED;
    g.parts = affordable < 2 ? 2 : affordable > 16 ? 16 : affordable;
    if (g.parts > filled) g.parts = filled;
    choose_chunks(&g, 1 << 17, 48, g.parts);
    const int64_t room = g.parts * weights_floats(&g) + g.threads * chunk_floats(&g);
    const Shape matrix = SHAPE(g.o, g.i * 9);
    record_native(b, &(NativeSpec){.name = "winograd_backward_weights",
                                   .fn = run_backward_weights,
                                   .layout = NATIVE_PLANES,
                                   .params = &g,
                                   .params_bytes = sizeof g,
                                   .n_src = 2,
                                   .src = {src, diff_dst},
                                   .n_dst = 2,
                                   .dst = {tensor_view(b, diff_weights, matrix, md_plain(b, F32, matrix)),
                                           build_tensor(b, F32, SHAPE(room))}});
}

Tensor *record_winograd_backward_data(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst) {
    const Winograd forward = geometry(b, spec, src, weights);
    Winograd g = turned_round(&forward);
    return record_conv(b, "winograd_backward_data", &g, diff_dst, weights, NULL, src->shape);
}
