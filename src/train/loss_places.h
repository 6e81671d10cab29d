/* loss_places.h - what the losses that look at all channels of a place together share: cross_entropy, focal, dice,
 * tversky, lovasz_softmax. Private to train/loss*.c.
 *
 * A place is one (n, s) of N,C,S arrays, numbered n * S + s; its channels lie S elements apart. Loops run over blocks
 * of neighbouring places of one sample, so that they vectorise for any number of channels. (Where S is 1 a block is one
 * place; cross_entropy has rows for that case.)
 */
#ifndef SANDGLASS_TRAIN_LOSS_PLACES_H
#define SANDGLASS_TRAIN_LOSS_PLACES_H

#include "base/spans.h"
#include "base/vmath.h"
#include "train/loss_kinds.h"

enum {
    BLOCK = 256,           /* places worked on together: a block of 16 channels is 16 KiB, at home in the first cache */
    GRAIN = 16384,         /* elements a thread should get at least */
    IGNORED = MASK_IGNORE, /* target of a place that counts nowhere */
    NO_CLASS = -1          /* what place_class makes of a target that is no class */
};

/* Work in units of blocks, numbered through all samples. */
static inline int64_t blocks_per_sample(const LossArgs *args) {
    return (args->s + BLOCK - 1) / BLOCK;
}

static inline int64_t blocks_grain(const LossArgs *args) {
    int64_t elements = args->c * (args->s < BLOCK ? args->s : BLOCK);
    return elements < GRAIN ? GRAIN / (elements > 0 ? elements : 1) : 1;
}

typedef struct PlaceBlock {
    int64_t first;  /* its first place */
    int64_t offset; /* of that place's channel 0 in N,C,S */
    int n;          /* places */
} PlaceBlock;

static inline PlaceBlock place_block(const LossArgs *args, int64_t block) {
    int64_t per = blocks_per_sample(args), sample = block / per, s = block % per * BLOCK;
    return (PlaceBlock){.first = sample * args->s + s,
                        .offset = sample * args->c * args->s + s,
                        .n = (int)(args->s - s < BLOCK ? args->s - s : BLOCK)};
}

/* The class of a place; IGNORED; NO_CLASS. Masks and labels are checked where they are read; should a wrong target slip
 * through, a loss becomes NaN, because a run that stops is better than a place silently dropped. */
static inline int32_t place_class(const LossArgs *args, int64_t place) {
    int32_t t = args->target_kind == TARGET_MASK ? ((const uint8_t *)args->target)[place]
                                                 : ((const int32_t *)args->target)[place];
    if (t == IGNORED) return IGNORED;
    return t >= 0 && t < args->c ? t : NO_CLASS;
}

static inline float class_weight(const LossArgs *args, int64_t c) {
    return args->class_weights ? args->class_weights[c] : 1.0f;
}

/* Largest logit of each place. */
VECTOR_INLINE void block_tops(float *restrict top, int n, int64_t channels, int64_t stride, const float *restrict z) {
    memcpy(top, z, sizeof *top * (size_t)n);
    for (int64_t c = 1; c < channels; c++) {
        const float *zc = z + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) top[i] = zc[i] > top[i] ? zc[i] : top[i];
    }
}

/* l / u for l = -log(1 - u), where l as computed has lost its digits to a small u. */
VECTOR_INLINE float surprise_ratio(float u, float l) {
    float series = 1.0f + u * (0.5f + u * (1.0f / 3.0f + u * 0.25f));
    return u < 0.01f ? series : l / u;
}

/* Sum of the weights of the places' classes over the batch, ignored ones left out; NaN when a target is no class. */
double places_weight(const LossArgs *args);

/* How many places in [first, last) each class has: counts, C of them, 256 at most. Returns how many are labelled, -1
 * when a target is no class. Masks only. */
int64_t places_count(const LossArgs *args, int64_t first, int64_t last, int64_t *counts);

/* Online hard example mining: the least key of the places to keep (loss_hardest.c). */
int32_t hardest_cut(const int32_t *keys, int64_t n_places, int64_t n_keep, int32_t hard);

#endif
