/* sampler.h - train.sampling: how often each sample is drawn in an epoch.
 *
 * A kind gives each sample a weight w(i) by the classes it holds. An epoch always has as many draws as there are
 * samples, n, so batches, steps and schedules are those of uniform sampling; sample i is drawn n w(i) / sum(w) times,
 * rounded down or up: systematic sampling (Madow 1949; Kitagawa 1996), that is the points u, u + 1 ... u + n - 1 on the
 * line of these expected numbers, one random u in [0, 1) and one random order of the samples for each epoch. So the
 * rounding is without bias, the counts vary as little as they can, and over the epochs even rare draws come true.
 * Then the draws are shuffled. All is a pure function of (seed, epoch): nothing has to be remembered on resume.
 */
#ifndef SANDGLASS_DATA_SAMPLER_H
#define SANDGLASS_DATA_SAMPLER_H

#include "data/split.h"

#include <signal.h>

/* Which classes each sample holds, and how many samples hold a class. */
typedef struct Presence {
    int64_t n;
    int n_classes;
    const uint8_t *holds;   /* n,n_classes: 0 or 1 */
    const int64_t *samples; /* n_classes */
} Presence;

typedef struct SamplingKind {
    const char *name, *doc; /* with formula */
    const Param *params;
    size_t params_bytes;
    /* weight: n, not negative. NULL: all alike, and no sample has to be looked at. */
    void (*weigh)(const void *params, const Presence *presence, double *weight);
} SamplingKind;
extern const SamplingKind *const sampling_kinds[]; /* uniform, class_balanced, repeat_factor; NULL-terminated */

/* train.sampling, read. */
typedef struct SamplingRule {
    const SamplingKind *kind;
    const void *params;
    Mark mark;
} SamplingRule;
Err sampling_read(SamplingRule *out, const Experiment *experiment, Arena *arena, Error *err);

typedef struct Sampler Sampler;
/* Look at all samples of the split (classes of masks after fitting, before augmentation; in a classification, or
 * without masks, labels). *out is NULL for uniform sampling. stop: non-zero ends it with ERR_STOPPED; may be NULL. */
Err sampler_new(Sampler **out, const SamplingRule *sampling, Split *split, Task task, const volatile sig_atomic_t *stop,
                Error *err);
void sampler_free(Sampler *sampler); /* NULL is fine */
/* The draws of an epoch, n of them, in order: sample + occurrence * n, so that a sample drawn twice can be told from
 * itself. Uses memory of the sampler's: one thread at a time. */
void sampler_draw(Sampler *sampler, uint64_t seed, int64_t epoch, int64_t *draws);
/* How often a sample is drawn in an epoch on average: the least and the most of all. */
void sampler_range(const Sampler *sampler, double *least, double *most);

#endif
