/* quantize.c - codes to whole numbers of a few bits and back. See quantize.h. */
#include "analysis/quantize.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static float top_level(int bits) {
    return (float)((1 << bits) - 1);
}

Err quantizer_new(Quantizer *out, int bits, int64_t n, int64_t units, const float *codes, Error *err) {
    assert(bits >= 1 && bits <= QUANTIZE_MAX_BITS && units >= 1);
    *out = (Quantizer){.units = units, .bits = bits};
    if (n < 1) return err_set(err, ERR_DATA, "there are no codes to take the range of");
    out->low = malloc((size_t)units * sizeof *out->low);
    out->step = malloc((size_t)units * sizeof *out->step);
    float *high = out->step; /* until all is seen */
    if (!out->low || !out->step) {
        quantizer_free(out);
        return err_set(err, ERR_MEMORY, "no memory for the ranges of %" PRId64 " units", units);
    }
    memcpy(out->low, codes, (size_t)units * sizeof *codes);
    memcpy(high, codes, (size_t)units * sizeof *codes);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t u = 0; u < units; u++) {
            float value = codes[i * units + u];
            if (!isfinite(value)) {
                quantizer_free(out);
                return err_set(err, ERR_NUMERIC, "unit %" PRId64 " of code %" PRId64 " is not finite", u, i);
            }
            if (value < out->low[u]) out->low[u] = value;
            if (value > high[u]) high[u] = value;
        }
    }
    for (int64_t u = 0; u < units; u++)
        out->step[u] = (float)(((double)high[u] - (double)out->low[u]) / (double)top_level(bits));
    return OK;
}

void quantizer_free(Quantizer *q) {
    free(q->low);
    free(q->step);
    *q = (Quantizer){0};
}

void quantize(const Quantizer *q, int64_t n, const float *codes, uint8_t *levels) {
    float top = top_level(q->bits);
#pragma omp parallel for if (n > 256)
    for (int64_t i = 0; i < n; i++) {
        for (int64_t u = 0; u < q->units; u++) {
            float step = q->step[u], level = step > 0 ? roundf((codes[i * q->units + u] - q->low[u]) / step) : 0;
            /* written so that a nan becomes 0 */
            levels[i * q->units + u] = (uint8_t)(level > 0 ? (level < top ? level : top) : 0);
        }
    }
}

void dequantize(const Quantizer *q, int64_t n, const uint8_t *levels, float *codes) {
#pragma omp parallel for if (n > 256)
    for (int64_t i = 0; i < n; i++)
        for (int64_t u = 0; u < q->units; u++)
            codes[i * q->units + u] = q->low[u] + (float)levels[i * q->units + u] * q->step[u];
}

int64_t quantize_bytes(int64_t units, int bits) {
    return (units * bits + 7) / 8;
}

void quantize_pack(const Quantizer *q, int64_t n, const uint8_t *levels, uint8_t *packed) {
    int64_t bytes = quantize_bytes(q->units, q->bits);
    memset(packed, 0, (size_t)(n * bytes));
    for (int64_t i = 0; i < n; i++) {
        uint8_t *to = packed + i * bytes;
        for (int64_t u = 0; u < q->units; u++) {
            int64_t bit = u * q->bits;
            /* the level in the upper bits of two bytes, moved to where it begins in the first */
            unsigned wide = (unsigned)levels[i * q->units + u] << (16 - q->bits) >> (bit % 8);
            to[bit / 8] |= (uint8_t)(wide >> 8);
            if (wide & 0xFF) to[bit / 8 + 1] |= (uint8_t)wide;
        }
    }
}
