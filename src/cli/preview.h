/* preview.h - what augmentation makes of training samples, as pictures to look at. */
#ifndef SANDGLASS_CLI_PREVIEW_H
#define SANDGLASS_CLI_PREVIEW_H

#include "data/augment.h"

typedef struct PreviewSpec {
    Split *split;
    const Augment *augment; /* bound */
    uint64_t seed;
    const char *dir;
    int64_t count; /* samples, spread over the split; no more than it has */
} PreviewSpec;

/* An error when the folder is there and holds anything: nothing is written over. */
Err preview_check(const char *dir, Error *err);

/* Write DIR/sample_NUMBER.png for each: on the left the sample as it is, then what the first epochs of training make of
 * it; where there are masks, in a second row the same below half-transparent class colours, ignored pixels black.
 * *count is how many were written. */
Err preview_write(const PreviewSpec *spec, int64_t *count, Arena *arena, Error *err);

#endif
