/* loss_kinds.h - the loss kinds as their files define them; private to train/loss*.c. Everyone else uses the table
 * loss_kinds[]. */
#ifndef SANDGLASS_TRAIN_LOSS_KINDS_H
#define SANDGLASS_TRAIN_LOSS_KINDS_H

#include "train/loss.h"

extern const LossKind loss_mse, loss_mae, loss_bce, loss_kl_divergence; /* loss_elements.c */
extern const LossKind loss_cross_entropy;                               /* loss_cross_entropy.c */
extern const LossKind loss_focal;                                       /* loss_focal.c */
extern const LossKind loss_dice, loss_tversky;                          /* loss_overlap.c */
extern const LossKind loss_lovasz_softmax;                              /* loss_lovasz.c */
extern const LossKind loss_gaussian_kl;                                 /* loss_gaussian_kl.c */

/* Probabilities are kept this far from 0 (and 1) before a logarithm, as Keras does. */
#define LOSS_EPSILON 1e-7f

typedef struct CrossEntropy {
    const void *class_weights; /* the YAML node: read in loss.c, which turns it into LossArgs.class_weights */
    double label_smoothing;
    double ohem_threshold, ohem_keep;
} CrossEntropy;

/* Knobs of the losses over whole regions: which classes are averaged, and of what. */
typedef struct RegionKnobs {
    const void *class_weights;
    int classes;
    bool per_image;
} RegionKnobs;
enum { CLASSES_PRESENT, CLASSES_ALL };
extern const char *const region_classes[]; /* loss_places.c: their names */

/* The rows of a RegionKnobs `field` in a struct. */
#define REGION_PARAMS(Type, field)                                                                                     \
    {"class_weights",                                                                                                  \
     PARAM_NODE,                                                                                                       \
     offsetof(Type, field.class_weights),                                                                              \
     "",                                                                                                               \
     0,                                                                                                                \
     0,                                                                                                                \
     NULL,                                                                                                             \
     "factor of each class in the mean: a list (0: left out), median_frequency or inverse"},                           \
        {"classes",                                                                                                    \
         PARAM_CHOICE,                                                                                                 \
         offsetof(Type, field.classes),                                                                                \
         "present",                                                                                                    \
         0,                                                                                                            \
         0,                                                                                                            \
         region_classes,                                                                                               \
         "present: the mean is over the classes that the masks have; all: over all"},                                  \
    {                                                                                                                  \
        "per_image", PARAM_BOOL, offsetof(Type, field.per_image), "false", 0, 0, NULL,                                 \
            "true: the loss of each image, then their mean; false: of the batch as one large image"                    \
    }

#endif
