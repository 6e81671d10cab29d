/* quantize.h - real codes to whole numbers of a few bits, each unit by its own affine scale, and back.
 *
 *     level = round((value - low) / step), clipped to 0 .. 2^bits - 1;  value' = low + level * step
 *
 * low and step of a unit come from the range it has over some samples (the training split): step = (high - low) /
 * (2^bits - 1). A unit that never changes has step 0 and comes back as low. See Jacob et al. 2018, section 2.1, for the
 * scheme.
 */
#ifndef SANDGLASS_ANALYSIS_QUANTIZE_H
#define SANDGLASS_ANALYSIS_QUANTIZE_H

#include "base/error.h"

#include <stdint.h>

enum { QUANTIZE_MAX_BITS = 8 };

typedef struct Quantizer {
    int64_t units;
    int bits;
    float *low, *step; /* units; malloc'ed */
} Quantizer;

/* From n samples' codes, n,units, finite. bits 1 to 8. */
Err quantizer_new(Quantizer *out, int bits, int64_t n, int64_t units, const float *codes, Error *err);
void quantizer_free(Quantizer *q); /* an empty one is fine */

/* n codes (n,units) to levels, and levels to codes. */
void quantize(const Quantizer *q, int64_t n, const float *codes, uint8_t *levels);
void dequantize(const Quantizer *q, int64_t n, const uint8_t *levels, float *codes);

/* Bytes of one code when its levels are packed without gaps: ceil(units * bits / 8). */
int64_t quantize_bytes(int64_t units, int bits);
/* Pack n codes, each into quantize_bytes of its own, most significant bits first, the last byte filled up with 0. */
void quantize_pack(const Quantizer *q, int64_t n, const uint8_t *levels, uint8_t *packed);

#endif
