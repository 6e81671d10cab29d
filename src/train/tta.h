/* tta.h - test-time augmentation: what a network says of a picture, averaged over flips and scales of it.
 *
 * Each view of the input (its mirror image, another size) is run, its result brought back (mirrored, resized by the
 * filter of image_resize), and the mean taken. For networks that name classes the mean is of probabilities: where the
 * network does not end in a softmax or sigmoid of its own, scores are made probabilities first.
 */
#ifndef SANDGLASS_TRAIN_TTA_H
#define SANDGLASS_TRAIN_TTA_H

#include "train/net.h"

enum { TTA_MAX_SCALES = 5 }; /* a Net keeps the programs of so many sizes */

typedef struct TtaSpec {
    bool flip;                     /* the mirror image (left and right) too */
    int n_scales;                  /* 0: only the size as it is */
    double scales[TTA_MAX_SCALES]; /* of height and width; 1 is not added */
    bool probabilities;            /* also where one view is all there is; else that one's scores stay as they are,
                                      unless tta_give_probabilities wants otherwise */
} TtaSpec;

typedef struct Tta Tta;

/* A network of one size takes no scales, and nothing but segmentation does: errors. The Net is borrowed. */
Err tta_new(Tta **out, Net *net, const TtaSpec *spec, Error *err);
void tta_free(Tta *tta); /* NULL is fine */

/* How many times the network is run for a picture. */
int tta_views(const TtaSpec *spec);

/* Whether the network names classes by scores that have to be made probabilities, as averaging wants them. */
bool tta_has_scores(const Tta *tta);
/* From now on results are probabilities, or, where one view is all there is and spec.probabilities is not set, as the
 * network gives them. */
void tta_give_probabilities(Tta *tta, bool always);

/* As net_run: n inputs (n,C,H,W normalised) of any H, W; the result is valid until the next call. */
Err tta_run(Tta *tta, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
            const float **output, Shape *shape, Error *err);

#endif
