/* augment.h - random changes of a sample, image and mask together; masks by nearest neighbour only.
 *
 * A table of AugmentKind rows; a pipeline is the config's list `train.augment`, applied in order. All randomness comes
 * from the stream (seed, RNG_AUGMENT, epoch, sample), so a resumed run sees the same pictures.
 */
#ifndef SANDGLASS_DATA_AUGMENT_H
#define SANDGLASS_DATA_AUGMENT_H

#include "config/config.h"
#include "data/dataset.h"

typedef struct AugmentKind {
    const char *name, *doc;
    const Param *params;
    size_t params_bytes;
    /* Change the sample; may replace its images (the old ones are freed by apply). */
    Err (*apply)(const void *params, Rng *rng, Sample *sample, Error *err);
    /* For kinds whose result has a size of its own (crop): that size. NULL: as it came. */
    void (*size)(const void *params, int *height, int *width);
} AugmentKind;
extern const AugmentKind *const augment_kinds[]; /* NULL-terminated */

typedef struct Augment Augment;
/* node: the config's list; NULL gives an empty pipeline. */
Err augment_new(Augment **out, const Node *node, Arena *arena, Error *err);
bool augment_is_empty(const Augment *augment);
/* Size of what comes out for an input of this size (a crop's size); 0, 0 in when sizes vary. Both are changed in
 * place. */
void augment_size(const Augment *augment, int *height, int *width);
Err augment_apply(const Augment *augment, uint64_t seed, int64_t epoch, int64_t sample, Sample *s, Error *err);

#endif
