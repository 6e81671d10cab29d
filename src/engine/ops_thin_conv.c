/* ops_thin_conv.c - convolutions with very few output channels. See ops_thin_conv.h; the formula is op_conv's.
 *
 * src lies as N, P, H, W, 16 with P blocks of 16 channels, so all three passes are sums of products of 16 lanes:
 *
 *     dst[n,o,y,x]           = bias[o] + sum_{p,ky,kx} sum_lanes src[n,p,y+ky-top,x+kx-left] * w[o,p,ky,kx]
 *     diff_src[n,p,y,x]      = sum_{o,ky,kx} diff_dst[n,o,y+top-ky,x+left-kx] * w[o,p,ky,kx]
 *     diff_w[o,p,ky,kx]      = sum_{n,y,x} diff_dst[n,o,y,x] * src[n,p,y+ky-top,x+kx-left]
 *
 * with w the weights O, P, KH, KW, 16 (lanes of missing channels zero). dst and diff_dst are plain. Sums over the batch
 * run in a fixed number of parts, so the bits do not depend on the number of threads.
 */
#include "engine/ops_thin_conv.h"
#include "base/vmath.h"
#include "engine/internal.h"

#include <string.h>

enum { LANES = 16, MAX_CHANNELS = 4, MAX_KERNEL = 5, PARTS = 16, BLOCK = 4 };

typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

typedef struct Thin {
    int64_t n, channels, planes; /* batch, channels of src and blocks of them */
    int64_t h, w;                /* of src */
    int64_t o, oh, ow;           /* of dst */
    int64_t kh, kw, top, left;
} Thin;

typedef float Half __attribute__((vector_size(LANES / 2 * sizeof(float)), aligned(4), may_alias));
typedef float Quarter __attribute__((vector_size(LANES / 4 * sizeof(float)), aligned(4), may_alias));

#define LOAD(at) (*(const Lanes *)(at))

/* The 16 lanes in four sums, 4 by 4. */
VECTOR_INLINE Quarter fold(Lanes x) {
    Half half = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
}

/* The sum of each one's lanes. */
VECTOR_INLINE Quarter sums_of(Lanes a, Lanes b, Lanes c, Lanes d) {
    Quarter p = fold(a), q = fold(b), r = fold(c), s = fold(d);
    Quarter pq = __builtin_shufflevector(p, q, 0, 4, 1, 5) + __builtin_shufflevector(p, q, 2, 6, 3, 7);
    Quarter rs = __builtin_shufflevector(r, s, 0, 4, 1, 5) + __builtin_shufflevector(r, s, 2, 6, 3, 7);
    return __builtin_shufflevector(pq, rs, 0, 1, 4, 5) + __builtin_shufflevector(pq, rs, 2, 3, 6, 7);
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Outputs [*first, *last) of a row of `n` whose windows lie wholly within the other row's `m` values, for a window that
 * begins `before` in front. */
static void interior(int64_t n, int64_t m, int64_t kernel, int64_t before, int64_t *first, int64_t *last) {
    *first = smaller(larger(before, 0), n);
    *last = larger(*first, smaller(n, m - kernel + before + 1));
}

static int64_t packed_floats(const Thin *t) {
    return t->o * t->planes * t->kh * t->kw * LANES;
}

/* O, I, KH, KW to O, P, KH, KW, 16. */
static void pack(const Thin *t, const float *weights, float *packed) {
    int64_t taps = t->kh * t->kw;
    memset(packed, 0, sizeof *packed * (size_t)packed_floats(t));
    for (int64_t o = 0; o < t->o; o++)
        for (int64_t i = 0; i < t->channels; i++)
            for (int64_t k = 0; k < taps; k++)
                packed[((o * t->planes + i / LANES) * taps + k) * LANES + i % LANES] =
                    weights[(o * t->channels + i) * taps + k];
}

/* ---- forward ---- */

/* One row of dst. kw, the kernel's width, is a constant where this is inlined, so that the loop over it is unrolled. */
VECTOR_INLINE void forward_row_of(const Thin *t, const int64_t kw, const float *src, const float *w, float bias,
                                  int64_t y, float *dst) {
    int64_t first, last, ky0 = larger(0, t->top - y), ky1 = smaller(t->kh, t->h + t->top - y);
    interior(t->ow, t->w, kw, t->left, &first, &last);
    for (int64_t x = 0; x < t->ow;) {
        bool inside = x >= first && x < last && last - first >= BLOCK;
        if (inside && x + BLOCK > last) x = last - BLOCK; /* some twice rather than one by one */
        int64_t kx0 = larger(0, t->left - x), kx1 = smaller(kw, t->w + t->left - x);
        Lanes a = {0}, b = {0}, c = {0}, d = {0};
        for (int64_t p = 0; p < t->planes; p++)
            for (int64_t ky = ky0; ky < ky1; ky++) {
                const float *row = src + ((p * t->h + y + ky - t->top) * t->w + x - t->left) * LANES;
                const float *tap = w + (p * t->kh + ky) * kw * LANES;
                if (!inside) {
                    for (int64_t kx = kx0; kx < kx1; kx++) a += LOAD(row + kx * LANES) * LOAD(tap + kx * LANES);
                    continue;
                }
#pragma GCC unroll 5
                for (int64_t kx = 0; kx < kw; kx++) {
                    const float *at = row + kx * LANES;
                    Lanes weight = LOAD(tap + kx * LANES);
                    a += LOAD(at) * weight;
                    b += LOAD(at + LANES) * weight;
                    c += LOAD(at + 2 * LANES) * weight;
                    d += LOAD(at + 3 * LANES) * weight;
                }
            }
        Quarter sums = bias + sums_of(a, b, c, d);
        if (inside)
            *(Quarter *)(dst + x) = sums;
        else
            dst[x] = sums[0];
        x += inside ? BLOCK : 1;
    }
}

VECTOR_CLONES static void forward_row(const Thin *t, const float *src, const float *w, float bias, int64_t y,
                                      float *dst) {
    if (t->kw == 1) forward_row_of(t, 1, src, w, bias, y, dst);
    if (t->kw == 3) forward_row_of(t, 3, src, w, bias, y, dst);
    if (t->kw == 5) forward_row_of(t, 5, src, w, bias, y, dst);
}

static void run_forward(const NativeCall *call) {
    const Thin t = *(const Thin *)call->params;
    const float *src = call->src[0].data, *bias = call->n_src > 2 ? call->src[2].data : NULL;
    float *dst = call->dst[0].data, *packed = call->dst[1].data;
    pack(&t, call->src[1].data, packed);
#pragma omp parallel for
    for (int64_t i = 0; i < t.n * t.oh; i++) {
        int64_t n = i / t.oh, y = i % t.oh;
        for (int64_t o = 0; o < t.o; o++)
            forward_row(&t, src + n * t.planes * t.h * t.w * LANES, packed + o * packed_floats(&t) / t.o,
                        bias ? bias[o] : 0, y, dst + ((n * t.o + o) * t.oh + y) * t.ow);
    }
}

/* ---- gradient of the source ---- */

/* Row y of block p; diff_dst is that of one sample. kw as in forward_row_of. */
VECTOR_INLINE void backward_row_of(const Thin *t, const int64_t kw, const float *diff_dst, const float *w, int64_t p,
                                   int64_t y, float *diff_src) {
    int64_t first, last, ky0 = larger(0, y + t->top - t->oh + 1), ky1 = smaller(t->kh, y + t->top + 1);
    interior(t->w, t->ow, kw, kw - 1 - t->left, &first, &last);
    for (int64_t x = 0; x < t->w;) {
        bool inside = x >= first && x < last && last - first >= BLOCK;
        if (inside && x + BLOCK > last) x = last - BLOCK; /* some twice rather than one by one */
        int64_t kx0 = larger(0, x + t->left - t->ow + 1), kx1 = smaller(kw, x + t->left + 1);
        Lanes a = {0}, b = {0}, c = {0}, d = {0};
        for (int64_t o = 0; o < t->o; o++)
            for (int64_t ky = ky0; ky < ky1; ky++) {
                const float *row = diff_dst + (o * t->oh + y + t->top - ky) * t->ow + x + t->left;
                const float *tap = w + ((o * t->planes + p) * t->kh + ky) * kw * LANES;
                if (!inside) {
                    for (int64_t kx = kx0; kx < kx1; kx++) a += row[-kx] * LOAD(tap + kx * LANES);
                    continue;
                }
#pragma GCC unroll 5
                for (int64_t kx = 0; kx < kw; kx++) {
                    Lanes weight = LOAD(tap + kx * LANES);
                    a += row[-kx] * weight;
                    b += row[1 - kx] * weight;
                    c += row[2 - kx] * weight;
                    d += row[3 - kx] * weight;
                }
            }
        float *to = diff_src + x * LANES;
        *(Lanes *)to = a;
        x++;
        if (!inside) continue;
        *(Lanes *)(to + LANES) = b;
        *(Lanes *)(to + 2 * LANES) = c;
        *(Lanes *)(to + 3 * LANES) = d;
        x += BLOCK - 1;
    }
}

VECTOR_CLONES static void backward_row(const Thin *t, const float *diff_dst, const float *w, int64_t p, int64_t y,
                                       float *diff_src) {
    if (t->kw == 1) backward_row_of(t, 1, diff_dst, w, p, y, diff_src);
    if (t->kw == 3) backward_row_of(t, 3, diff_dst, w, p, y, diff_src);
    if (t->kw == 5) backward_row_of(t, 5, diff_dst, w, p, y, diff_src);
}

static void run_backward_data(const NativeCall *call) {
    const Thin t = *(const Thin *)call->params;
    const float *diff_dst = call->src[0].data;
    float *diff_src = call->dst[0].data, *packed = call->dst[1].data;
    pack(&t, call->src[1].data, packed);
#pragma omp parallel for
    for (int64_t i = 0; i < t.n * t.planes * t.h; i++) {
        int64_t n = i / (t.planes * t.h), p = i / t.h % t.planes;
        backward_row(&t, diff_dst + n * t.o * t.oh * t.ow, packed, p, i % t.h, diff_src + i * t.w * LANES);
    }
}

/* ---- gradient of the weights ---- */

/* Adds a row's share to the KW taps of (o, p, ky): diff is the row of diff_dst, src the row of the source. */
__attribute__((always_inline)) static inline void weights_row(const Thin *t, const int64_t kw, const float *diff,
                                                              const float *src, float *taps) {
    int64_t first, last;
    interior(t->ow, t->w, kw, t->left, &first, &last);
    Lanes sum[MAX_KERNEL], other[MAX_KERNEL]; /* two, because an addition has to wait for the one before */
    for (int64_t k = 0; k < kw; k++) {
        sum[k] = LOAD(taps + k * LANES);
        other[k] = (Lanes){0};
    }
    int64_t at = first;
    for (; at + 1 < last; at += 2)
#pragma GCC unroll 5
        for (int64_t k = 0; k < kw; k++) {
            sum[k] += diff[at] * LOAD(src + (at + k - t->left) * LANES);
            other[k] += diff[at + 1] * LOAD(src + (at + 1 + k - t->left) * LANES);
        }
    for (int64_t k = 0; k < kw; k++) {
        if (at < last) sum[k] += diff[at] * LOAD(src + (at + k - t->left) * LANES);
        sum[k] += other[k];
        for (int64_t x = larger(0, t->left - k); x < smaller(first, t->w + t->left - k); x++)
            sum[k] += diff[x] * LOAD(src + (x + k - t->left) * LANES);
        for (int64_t x = larger(last, t->left - k); x < smaller(t->ow, t->w + t->left - k); x++)
            sum[k] += diff[x] * LOAD(src + (x + k - t->left) * LANES);
        *(Lanes *)(taps + k * LANES) = sum[k];
    }
}

VECTOR_CLONES static void weights_sample(const Thin *t, const float *diff_dst, const float *src, float *partial) {
    for (int64_t o = 0; o < t->o; o++)
        for (int64_t p = 0; p < t->planes; p++)
            for (int64_t ky = 0; ky < t->kh; ky++) {
                float *taps = partial + ((o * t->planes + p) * t->kh + ky) * t->kw * LANES;
                int64_t y0 = larger(0, t->top - ky), y1 = smaller(t->oh, t->h + t->top - ky);
                for (int64_t y = y0; y < y1; y++) {
                    const float *diff = diff_dst + (o * t->oh + y) * t->ow;
                    const float *row = src + (p * t->h + y + ky - t->top) * t->w * LANES;
                    if (t->kw == 1) weights_row(t, 1, diff, row, taps);
                    if (t->kw == 3) weights_row(t, 3, diff, row, taps);
                    if (t->kw == 5) weights_row(t, 5, diff, row, taps);
                }
            }
}

static void run_backward_weights(const NativeCall *call) {
    const Thin t = *(const Thin *)call->params;
    const float *src = call->src[0].data, *diff_dst = call->src[1].data;
    float *diff_weights = call->dst[0].data, *partial = call->dst[1].data;
    const int64_t floats = packed_floats(&t), taps = t.kh * t.kw;
    memset(partial, 0, sizeof *partial * (size_t)(PARTS * floats));
#pragma omp parallel for schedule(static, 1)
    for (int64_t part = 0; part < PARTS; part++)
        for (int64_t n = t.n * part / PARTS; n < t.n * (part + 1) / PARTS; n++)
            weights_sample(&t, diff_dst + n * t.o * t.oh * t.ow, src + n * t.planes * t.h * t.w * LANES,
                           partial + part * floats);
    for (int64_t o = 0; o < t.o; o++)
        for (int64_t i = 0; i < t.channels; i++)
            for (int64_t k = 0; k < taps; k++) {
                int64_t at = ((o * t.planes + i / LANES) * taps + k) * LANES + i % LANES;
                double sum = 0;
                for (int64_t part = 0; part < PARTS; part++) sum += (double)partial[part * floats + at];
                diff_weights[(o * t.channels + i) * taps + k] = (float)sum;
            }
}

/* ---- recording ---- */

static Thin geometry(const ConvSpec *spec, const Tensor *src, const Tensor *weights) {
    const int64_t *s = src->shape.dim, *d = spec->dst.dim, *k = weights->shape.dim;
    return (Thin){.n = s[0],
                  .channels = s[1],
                  .planes = (s[1] + LANES - 1) / LANES,
                  .h = s[2],
                  .w = s[3],
                  .o = d[1],
                  .oh = d[2],
                  .ow = d[3],
                  .kh = k[2],
                  .kw = k[3],
                  .top = spec->pad_lo[0],
                  .left = spec->pad_lo[1]};
}

bool thin_conv_fits(const ConvSpec *spec, const Tensor *src, const Tensor *weights) {
    const int64_t *k = weights->shape.dim;
    return src->shape.rank == 4 && src->layout == LAYOUT_BLOCK16 && src->type == F32 && spec->groups == 1 &&
           spec->stride[0] == 1 && spec->stride[1] == 1 && spec->dilation[0] == 1 && spec->dilation[1] == 1 &&
           spec->dst.dim[1] <= MAX_CHANNELS && (k[3] == 1 || k[3] == 3 || k[3] == 5) && spec->pad_lo[0] >= 0 &&
           spec->pad_lo[1] >= 0 && spec->pad_lo[0] < k[2] && spec->pad_lo[1] < k[3];
}

/* Plain, and as a matrix, so that its layout is nobody's choice. */
static Tensor *flat(Build *b, Tensor *t) {
    return op_reshape(b, t, SHAPE(t->shape.dim[0], shape_size(t->shape) / t->shape.dim[0]));
}

Tensor *record_thin_conv(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *bias) {
    Thin t = geometry(spec, src, weights);
    Tensor *dst = build_tensor(b, F32, SHAPE(t.n, t.o * t.oh * t.ow));
    op_native(b, &(NativeSpec){.name = "thin_conv",
                               .fn = run_forward,
                               .layout = NATIVE_PLANES,
                               .params = &t,
                               .params_bytes = sizeof t,
                               .n_src = bias ? 3 : 2,
                               .src = {src, flat(b, weights), bias},
                               .n_dst = 2,
                               .dst = {dst, build_tensor(b, F32, SHAPE(packed_floats(&t)))}});
    return op_reshape(b, dst, spec->dst);
}

static void record_weights(Build *b, const Thin *t, Tensor *src, Tensor *diff_dst, Tensor *diff_weights) {
    Shape matrix = SHAPE(t->o, t->channels * t->kh * t->kw);
    op_native(b, &(NativeSpec){.name = "thin_conv_backward_weights",
                               .fn = run_backward_weights,
                               .layout = NATIVE_PLANES,
                               .params = t,
                               .params_bytes = sizeof *t,
                               .n_src = 2,
                               .src = {src, diff_dst},
                               .n_dst = 2,
                               .dst = {tensor_view(b, diff_weights, matrix, md_plain(b, F32, matrix)),
                                       build_tensor(b, F32, SHAPE(PARTS, packed_floats(t)))}});
}

Tensor *record_thin_conv_backward(Build *b, const ConvSpec *spec, Tensor *src, Tensor *weights, Tensor *diff_dst,
                                  bool want_diff_src, Tensor *diff_weights) {
    Thin t = geometry(spec, src, weights);
    Tensor *diff = flat(b, diff_dst);
    if (diff_weights) record_weights(b, &t, src, diff, diff_weights);
    if (!want_diff_src) return NULL;
    Tensor *diff_src = build_tensor(b, F32, src->shape);
    op_native(b, &(NativeSpec){.name = "thin_conv_backward_data",
                               .fn = run_backward_data,
                               .layout = NATIVE_PLANES,
                               .params = &t,
                               .params_bytes = sizeof t,
                               .n_src = 3,
                               .src = {diff, flat(b, weights), src}, /* src: for its layout, which diff_src takes */
                               .n_dst = 2,
                               .dst = {diff_src, build_tensor(b, F32, SHAPE(packed_floats(&t)))}});
    return diff_src;
}
