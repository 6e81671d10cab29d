/* loss_kinds.h - the loss kinds as their files define them; private to train/loss*.c. Everyone else uses the table
 * loss_kinds[]. */
#ifndef SANDGLASS_TRAIN_LOSS_KINDS_H
#define SANDGLASS_TRAIN_LOSS_KINDS_H

#include "train/loss.h"

extern const LossKind loss_mse, loss_mae, loss_bce, loss_kl_divergence; /* loss_elements.c */
extern const LossKind loss_cross_entropy;                               /* loss_channels.c */
extern const LossKind loss_gaussian_kl;                                 /* loss_gaussian_kl.c */

/* Probabilities are kept this far from 0 (and 1) before a logarithm, as Keras does. */
#define LOSS_EPSILON 1e-7f

typedef struct CrossEntropy {
    const void *class_weights; /* the YAML node: read in loss.c, which turns it into LossArgs.class_weights */
    double label_smoothing;
} CrossEntropy;

#endif
