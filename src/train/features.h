/* features.h - what a network makes of the samples of a split: the values of any named tensor, and the labels. */
#ifndef SANDGLASS_TRAIN_FEATURES_H
#define SANDGLASS_TRAIN_FEATURES_H

#include "train/net.h"

typedef struct FeatureSpec {
    const char *split;         /* "train", "val" ... */
    const char *at;            /* a layer; "input": the pictures as the network gets them; NULL: the code (net_code) */
    int64_t limit;             /* at most so many samples, the first ones; 0: all */
    bool draws;                /* noise and variational draws as when a split is scored with them */
    const TrainEvents *events; /* for stop and progress; may be NULL */
} FeatureSpec;

typedef struct Features {
    int64_t n;       /* samples, in the order of the split */
    Shape shape;     /* of one, with a batch of 1 */
    int64_t size;    /* values of one */
    float *values;   /* n,size; 64-byte aligned */
    int32_t *labels; /* n; NULL: the split has none */
} Features;

/* Takes the memory of all samples at once. `at` that is no layer is an error with the nearest name. */
Err features_read(Features *out, Net *net, const FeatureSpec *spec, Error *err);
void features_free(Features *features); /* an empty one is fine */

#endif
