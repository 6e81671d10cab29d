/* patience.h - early stopping: how long ago the watched score was last improved (Prechelt 1998, "Early stopping - but
 * when?", criterion UP in its simplest form; the knobs are those of Keras' EarlyStopping). */
#ifndef SANDGLASS_TRAIN_PATIENCE_H
#define SANDGLASS_TRAIN_PATIENCE_H

#include "train/metric.h"

/* Plain data, in every checkpoint. Kept whether train.patience is set or not, so that it may be set later. */
typedef struct Patience {
    double best;    /* score of the last improvement; NaN: none yet */
    int64_t waited; /* evaluations since */
} Patience;
void patience_init(Patience *p);
/* After an evaluation: a value that is better than the last improvement by more than min_delta is one. NaN never is. */
void patience_update(Patience *p, const MetricName *metric, double value, double min_delta);

#endif
