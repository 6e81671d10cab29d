/* loader.h - shuffled batches, prepared by a thread of its own while the network computes.
 *
 * The order of an epoch is the permutation of (seed, RNG_SHUFFLE, epoch), or what the sampler draws for (seed, epoch):
 * to go on in the middle of an epoch a loader is started at a batch number; nothing else has to be remembered. Two
 * batches are in flight: one being used, one being filled.
 */
#ifndef SANDGLASS_DATA_LOADER_H
#define SANDGLASS_DATA_LOADER_H

#include "data/augment.h"
#include "data/sampler.h"

typedef struct Batch {
    int64_t n;            /* samples; the last batch of an epoch may be short */
    const int64_t *index; /* n sample numbers */
    float *input;         /* n,C,H,W normalised; 64-byte aligned */
    uint8_t *mask;        /* n,H,W classes and MASK_IGNORE; NULL without masks */
    int32_t *label;       /* n; NULL without labels */
    /* Of input: padded to a multiple of spec.multiple, right and bottom; there the input repeats its edges and the mask
     * is MASK_IGNORE. */
    int height, width;
    int valid_height, valid_width; /* of the samples themselves */
} Batch;

typedef struct LoaderSpec {
    Split *split; /* used by the loader's thread alone between start and stop */
    int64_t batch_size;
    uint64_t seed;
    bool shuffle;
    Sampler *sampler;       /* whose draws make an epoch; NULL: each sample once. The loader's thread's alone */
    const Augment *augment; /* NULL: none */
    int64_t multiple;       /* pad height and width to multiples of it; 1: no padding */
    bool any_size;          /* samples may differ in size: then a batch is one sample, of its own size */
} LoaderSpec;

typedef struct Loader Loader;
/* Without any_size all samples must come out at one size (after fitting and augmentation); memory for the two batches
 * is taken here. With it, and sizes that differ, a batch's memory grows with the samples. */
Err loader_new(Loader **out, const LoaderSpec *spec, Error *err);
void loader_free(Loader *loader);                          /* stops the thread */
int64_t loader_batches(const Loader *loader);              /* in an epoch, the short one included */
void loader_shape(const Loader *loader, int64_t shape[4]); /* batch_size,C,H,W as delivered; H,W 0: they differ */

/* Begin preparing batches first_batch, first_batch + 1 ... of an epoch (numbers from 0). Stops what was under way. */
Err loader_start(Loader *loader, int64_t epoch, int64_t first_batch, Error *err);
/* The next batch, waiting for it; *batch NULL at the end of the epoch. Valid until the next call. Errors of reading
 * come out here. */
Err loader_next(Loader *loader, const Batch **batch, Error *err);
double loader_wait_seconds(const Loader *loader); /* time spent waiting in loader_next since loader_new */

#endif
