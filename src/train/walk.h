/* walk.h - a walk through the first samples of a split in their order, batch after batch: it stops when it is asked to
 * and tells how far it is. What is done with a batch is the caller's. Private to this folder. */
#ifndef SANDGLASS_TRAIN_WALK_H
#define SANDGLASS_TRAIN_WALK_H

#include "train/net.h"

/* A batch on the way. */
typedef struct WalkStep {
    const Batch *batch;
    int64_t n;        /* samples of the batch that are wanted: the last one may have more */
    int64_t first;    /* number of its first sample */
    int64_t number;   /* of the batch, from 0 */
    int64_t channels; /* of the pictures */
} WalkStep;

typedef struct WalkSpec {
    Net *net; /* its train.batch_size */
    Split *split;
    int64_t n;                 /* samples, at most as many as the split has */
    bool padded;               /* repeat edges up to the network's stride */
    const TrainEvents *events; /* for stop and progress; may be NULL */
    Err (*take)(void *context, const WalkStep *step, Error *err);
    void *context;
} WalkSpec;

/* Samples of a walk over the first `limit` of a split; 0: all. */
int64_t walk_samples(const Split *split, int64_t limit);
Err walk_split(const WalkSpec *spec, Error *err);

#endif
