/* samples.h - pictures of what a network makes of some samples, for people to look at while it trains. */
#ifndef SANDGLASS_TRAIN_SAMPLES_H
#define SANDGLASS_TRAIN_SAMPLES_H

#include "train/net.h"

/* Write a PNG with a row for each of the first n samples: input | output for reconstruction, input | target | output
 * (masks in the classes' colours, ignored pixels black) for segmentation. Small pictures are enlarged. Nothing is
 * written for classification. The split must not be in use by a loader's thread. */
Err samples_write(Net *net, Split *split, int64_t n, const char *path, Error *err);

#endif
