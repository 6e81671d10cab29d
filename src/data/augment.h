/* augment.h - random changes of a sample, image and mask together; masks by nearest neighbour only.
 *
 * A table of AugmentKind rows; a pipeline is the config's list `train.augment`, applied in order. All randomness comes
 * from the stream (seed, RNG_AUGMENT, epoch, sample), so a resumed run sees the same pictures.
 *
 * Kinds of two sorts. `move` changes where pixels come from: a run of those is one View and costs one resampling, of
 * what the last of them leaves. `change` works on the pixels of the picture as it is by then.
 */
#ifndef SANDGLASS_DATA_AUGMENT_H
#define SANDGLASS_DATA_AUGMENT_H

#include "data/split.h"
#include "data/view.h"

typedef struct AugmentKind {
    const char *name, *doc;
    const Param *params;
    size_t params_bytes;
    /* What the table cannot say: a phrase in the arena about knobs that do not go together; NULL: fine. May be NULL. */
    const char *(*check)(const void *params, Arena *arena);
    /* Take class names for the numbers they have, and see that there are masks where knobs look at them: a phrase, or
     * NULL. May be NULL. */
    const char *(*bind)(void *params, const DataConfig *data, bool has_masks, Arena *arena);
    /* One of the two. */
    Err (*move)(const void *params, Rng *rng, View *view, Error *err);
    Err (*change)(const void *params, Rng *rng, Sample *sample, Error *err);
    bool whole; /* move needs a frame that is all picture: what a crop before it surrounded is fetched first */
    /* For kinds whose result has a size of its own (crop): that size. 0, 0: it varies (scale). NULL: as it came. */
    void (*size)(const void *params, int *height, int *width);
} AugmentKind;
extern const AugmentKind *const augment_kinds[]; /* NULL-terminated */

typedef struct Augment Augment;
/* node: the config's list; NULL gives an empty pipeline. One whose results differ in size is an error. */
Err augment_new(Augment **out, const Node *node, Arena *arena, Error *err);
/* Once the data is known, before the first use: kinds may name classes, and look at masks, which have to be there. */
Err augment_bind(Augment *augment, const DataConfig *data, bool has_masks, Arena *arena, Error *err);
bool augment_is_empty(const Augment *augment);
/* Size of what comes out for an input of this size (a crop's size); 0, 0 in when sizes vary. Both are changed in
 * place. */
void augment_size(const Augment *augment, int *height, int *width);
/* src is read only; out becomes a sample of the caller's own. */
Err augment_apply(const Augment *augment, uint64_t seed, int64_t epoch, int64_t sample, const Sample *src, Sample *out,
                  Error *err);

#endif
