/* rng.c - counter-based random streams: Philox4x32-10 of Random123.
 *
 * A stream's key and the upper half of its counter come from one Philox block over (a, b) with the seed and the
 * purpose as key; the lower half of the counter numbers the stream's own blocks. The fills compute the same blocks,
 * sixteen at a time in a form that compilers turn into vector code.
 */
#include "base/rng.h"

#include "base/vmath.h"

#include <assert.h>
#include <math.h>
#include <Random123/philox.h>
#include <stdbool.h>
#include <string.h>

static const double two_pi = 6.283185307179586476925;

static void philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]) {
    philox4x32_ctr_t c;
    philox4x32_key_t k;
    memcpy(c.v, counter, sizeof c.v);
    memcpy(k.v, key, sizeof k.v);
    c = philox4x32(c, k);
    memcpy(out, c.v, sizeof c.v);
}

Rng rng_stream(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b) {
    /* The odd constant (golden ratio) keeps neighbouring seeds and purposes apart. */
    const uint32_t key[2] = {(uint32_t)seed ^ ((uint32_t)purpose * 0x9E3779B9u), (uint32_t)(seed >> 32)};
    const uint32_t name[4] = {(uint32_t)a, (uint32_t)(a >> 32), (uint32_t)b, (uint32_t)(b >> 32)};
    uint32_t out[4];
    philox_block(key, name, out);
    return (Rng){.key = {out[0], out[1]}, .counter = {0, 0, out[2], out[3]}, .used = 4};
}

uint32_t rng_u32(Rng *rng) {
    if (rng->used == 4) {
        philox_block(rng->key, rng->counter, rng->block);
        if (++rng->counter[0] == 0) rng->counter[1]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

double rng_uniform(Rng *rng) {
    uint64_t high = rng_u32(rng) >> 5, low = rng_u32(rng) >> 6; /* 27 and 26 bits */
    return (double)(high << 26 | low) * 0x1p-53;
}

double rng_range(Rng *rng, double low, double high) {
    double value = low + (high - low) * rng_uniform(rng);
    return value < high ? value : low; /* rounding may reach the end */
}

double rng_normal(Rng *rng) {
    double u = 1 - rng_uniform(rng), v = rng_uniform(rng); /* u in (0, 1] */
    return sqrt(-2 * log(u)) * cos(two_pi * v);
}

int64_t rng_below(Rng *rng, int64_t n) {
    assert(n >= 1);
    /* Numbers above the largest multiple of n would favour small remainders: draw again. */
    uint64_t range = (uint64_t)n, limit = UINT64_MAX - UINT64_MAX % range, value;
    do {
        value = (uint64_t)rng_u32(rng) << 32;
        value |= rng_u32(rng);
    } while (value >= limit);
    return (int64_t)(value % range);
}

void rng_permutation(Rng *rng, int64_t n, int64_t *order) {
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = rng_below(rng, i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* ---- fills ---- */

/* LANES blocks at a time give 4 * LANES numbers; PIECE numbers are one thread's smallest share. */
enum { LANES = 16, GROUP = 4 * LANES, PIECE = 4096 };

/* Blocks first .. first + LANES - 1 of a stream, number j of block l at out[4 * l + j]. */
VECTOR_INLINE void philox_group(const Rng *stream, uint64_t first, uint32_t out[GROUP]) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];
    for (int l = 0; l < LANES; l++) {
        uint64_t block = first + (uint64_t)l;
        c0[l] = (uint32_t)block;
        c1[l] = (uint32_t)(block >> 32);
        c2[l] = stream->counter[2];
        c3[l] = stream->counter[3];
    }
    uint32_t k0 = stream->key[0], k1 = stream->key[1];
    for (int round = 0; round < 10; round++) {
#pragma omp simd
        for (int l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)PHILOX_M4x32_0 * c0[l], p1 = (uint64_t)PHILOX_M4x32_1 * c2[l];
            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ k0;
            c1[l] = (uint32_t)p1;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ k1;
            c3[l] = (uint32_t)p0;
        }
        k0 += PHILOX_W32_0;
        k1 += PHILOX_W32_1;
    }
    for (int l = 0; l < LANES; l++) {
        out[4 * l] = c0[l];
        out[4 * l + 1] = c1[l];
        out[4 * l + 2] = c2[l];
        out[4 * l + 3] = c3[l];
    }
}

VECTOR_INLINE void uniform_group(const uint32_t u[GROUP], float out[GROUP]) {
#pragma omp simd
    for (int i = 0; i < GROUP; i++) out[i] = (float)(int32_t)(u[i] >> 8) * 0x1p-24f;
}

/* ln(x) for x in (0, 1]: x = m * 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh(s), s = (m - 1) / (m + 1), as a
 * series whose remainder is below a float's precision. vm_logf also serves infinity, with a choice that here would
 * keep the loop from becoming vector code. */
VECTOR_INLINE float unit_log(float x) {
    int32_t e = (vm_bits(x) - 0x3F3504F3) >> 23;
    float m = vm_float(vm_bits(x) - e * (1 << 23));
    float s = (m - 1) / (m + 1), s2 = s * s;
    float series = 2 * s * (1 + s2 * (1 / 3.0f + s2 * (1 / 5.0f + s2 * (1 / 7.0f + s2 * (1 / 9.0f)))));
    return (float)e * 0.693147181f + series;
}

/* cos and sin of 2 pi t for t in [-1/8, 1/8]: Taylor series. */
VECTOR_INLINE void fast_cos_sin(float t, float *c, float *s) {
    float x = 6.28318531f * t, x2 = x * x;
    *c = 1 + x2 * (-1 / 2.0f + x2 * (1 / 24.0f + x2 * (-1 / 720.0f + x2 * (1 / 40320.0f))));
    *s = x * (1 + x2 * (-1 / 6.0f + x2 * (1 / 120.0f + x2 * (-1 / 5040.0f))));
}

/* Box and Muller 1958: a pair of uniform numbers to a pair of normal ones. Numbers i and i + GROUP / 2 are a pair. */
VECTOR_INLINE void normal_group(const uint32_t u[GROUP], float out[GROUP]) {
#pragma omp simd
    for (int i = 0; i < GROUP / 2; i++) {
        float u1 = (float)(int32_t)(u[i] >> 1) * 0x1p-31f + 0x1p-33f; /* (0, 1] */
        uint32_t angle = u[i + GROUP / 2];
        int32_t quarter = (int32_t)(angle >> 30);
        float t = ((float)(int32_t)(angle & 0x3FFFFFFF) * 0x1p-30f - 0.5f) * 0.25f, c, s;
        fast_cos_sin(t, &c, &s);
        float r = sqrtf(-2 * unit_log(u1));
        /* Turn by quarters: (c, s) -> (-s, c) -> (-c, -s) -> (s, -c). Masks, because a branch stops vector code. */
        int32_t odd = -(quarter & 1);
        float x = vm_float((vm_bits(c) & ~odd) | (vm_bits(-s) & odd));
        float y = vm_float((vm_bits(s) & ~odd) | (vm_bits(c) & odd));
        float sign = r * (float)(1 - (quarter & 2));
        out[i] = sign * x;
        out[i + GROUP / 2] = sign * y;
    }
}

/* Numbers begin .. end - 1 of a stream that begins at a block; begin is a multiple of GROUP. */
VECTOR_CLONES static void fill_piece(const Rng *stream, uint64_t block, bool normal, size_t begin, size_t end,
                                     float *dst) {
    for (size_t i = begin; i < end; i += GROUP) {
        uint32_t u[GROUP];
        float out[GROUP];
        philox_group(stream, block + i / 4, u);
        if (normal) {
            normal_group(u, out);
        } else {
            uniform_group(u, out);
        }
        size_t count = end - i < GROUP ? end - i : GROUP;
        memcpy(dst + i, out, count * sizeof *dst);
    }
}

static void fill(const Rng *stream, bool normal, size_t n, float *dst) {
    int64_t pieces = (int64_t)((n + PIECE - 1) / PIECE);
#pragma omp parallel for schedule(static) if (pieces > 4)
    for (int64_t p = 0; p < pieces; p++) {
        size_t begin = (size_t)p * PIECE, end = begin + PIECE < n ? begin + PIECE : n;
        fill_piece(stream, 0, normal, begin, end, dst);
    }
}

void rng_fill_uniform(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b, size_t n, float *dst) {
    Rng stream = rng_stream(seed, purpose, a, b);
    fill(&stream, false, n, dst);
}

void rng_fill_normal(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b, size_t n, float *dst) {
    Rng stream = rng_stream(seed, purpose, a, b);
    fill(&stream, true, n, dst);
}

void rng_draw_normals(Rng *rng, size_t n, float *dst) {
    uint64_t block = (uint64_t)rng->counter[1] << 32 | rng->counter[0];
    fill_piece(rng, block, true, 0, n, dst);
    block += (n + GROUP - 1) / GROUP * LANES;
    rng->counter[0] = (uint32_t)block;
    rng->counter[1] = (uint32_t)(block >> 32);
    rng->used = 4; /* what was left of the block before is not handed out */
}
