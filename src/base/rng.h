/* rng.h - counter-based random streams: Philox4x32-10 of Random123.
 *
 * Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. A stream is named, not advanced
 * into being: (seed, purpose, a, b) gives the same numbers whatever was drawn before, on any number of threads. So the
 * state of all randomness in a run is the seed and the counters a checkpoint holds anyway (epoch, step, sample).
 */
#ifndef SANDGLASS_BASE_RNG_H
#define SANDGLASS_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef enum RngPurpose {
    RNG_INIT = 1, /* a = weight number */
    RNG_SHUFFLE,  /* a = epoch */
    RNG_AUGMENT,  /* a = epoch, b = sample */
    RNG_LAYER,    /* a = step, b = layer number: dropout, noise, sampling */
    RNG_DATASET,  /* a = sample: generated scenes, splits by fraction */
    RNG_PRETRAIN, /* a = step, b = layer */
    RNG_TEST,
    RNG_ANALYSIS, /* a = what: where an analysis starts from */
    RNG_SAMPLING  /* a = epoch: which samples it draws */
} RngPurpose;

typedef struct Rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4]; /* numbers drawn and not yet handed out */
    int used;          /* of block */
} Rng;

Rng rng_stream(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b);

uint32_t rng_u32(Rng *rng);
double rng_uniform(Rng *rng);                              /* [0, 1), 53 bits */
double rng_range(Rng *rng, double low, double high);       /* [low, high) */
double rng_normal(Rng *rng);                               /* mean 0, deviation 1 (Box-Muller) */
int64_t rng_below(Rng *rng, int64_t n);                    /* 0..n-1, without bias; n >= 1 */
void rng_permutation(Rng *rng, int64_t n, int64_t *order); /* Fisher-Yates; order is the caller's, n long */

/* n normal numbers of the stream, many at a time, by the calling thread alone. */
void rng_draw_normals(Rng *rng, size_t n, float *dst);

/* Element i of the stream as a pure function, for parallel fills: the same whatever the number of threads. */
void rng_fill_uniform(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b, size_t n, float *dst); /* [0, 1) */
void rng_fill_normal(uint64_t seed, RngPurpose purpose, uint64_t a, uint64_t b, size_t n, float *dst);

#endif
