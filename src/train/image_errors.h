/* image_errors.h - how well a network gives back each picture of a split. */
#ifndef SANDGLASS_TRAIN_IMAGE_ERRORS_H
#define SANDGLASS_TRAIN_IMAGE_ERRORS_H

#include "train/net.h"

typedef struct ImageErrors {
    int64_t n;       /* pictures, in the order of the split */
    double *mse;     /* n: mean squared error on the scale 0..1 */
    double *energy;  /* n: mean of the picture's own squares, on the same scale */
    int32_t *labels; /* n; NULL: the split has none */
} ImageErrors;

/* Runs the first `limit` pictures of a split (0: all) through the network, without what corrupts them in training, and
 * compares its first output with its input. The split may be one of other data than the network's; pictures that do
 * not fit its input are an error, and so is an output that is no picture of the input's size. events may be NULL. */
Err image_errors_read(ImageErrors *out, Net *net, Split *split, int64_t limit, const TrainEvents *events, Error *err);
void image_errors_free(ImageErrors *errors); /* an empty one is fine */

#endif
