/* metric.h - scores from 64-bit counts: one confusion matrix for segmentation and classification, error sums for
 * reconstruction. Nothing here is ever NaN: what has no value says so. */
#ifndef SANDGLASS_TRAIN_METRIC_H
#define SANDGLASS_TRAIN_METRIC_H

#include "base/arena.h"

#include <stdint.h>

typedef struct Confusion {
    int n;           /* classes */
    int64_t *count;  /* n + 1 rows of n: [target][predicted]; in row n what was predicted where the target is ignored */
    int64_t *images; /* n: pictures that hold the class in their target; of labels: samples */
    int64_t ignored; /* pixels (labels) without a class */
    int64_t top;     /* labels among the TOP_CLASSES classes with the highest scores */
} Confusion;
enum { TOP_CLASSES = 5 };

/* Predicted class at each place: argmax over C of scores C,S, the first of equals. channels at most 256. */
void scores_argmax(int64_t channels, int64_t places, const float *scores, uint8_t *classes);
/* The same where channels lie `stride` floats apart, and the scores themselves; classes or values may be NULL. */
void scores_best(int64_t channels, int64_t places, int64_t stride, const float *scores, uint8_t *classes,
                 float *values);

Err confusion_new(Confusion *out, int n_classes, Error *err);
void confusion_free(Confusion *c);
void confusion_clear(Confusion *c);
/* Count one picture: predicted H,W classes, target H,W classes and 255 for ignored. A target that is no class is an
 * error that says at which pixel, never dropped: then nothing of the picture is counted. */
Err confusion_add_mask(Confusion *c, int height, int width, const uint8_t *predicted, const uint8_t *target,
                       Error *err);
/* Count one sample of a classification: n scores, label 0..n-1, or 255 for ignored. Of equal scores the class with the
 * lower number comes first. */
Err confusion_add_label(Confusion *c, const float *scores, int32_t label, Error *err);

/* Of one class, with tp, fp, fn its pixels that are hit, wrongly predicted and missed:
 *
 *     iou       = tp / (tp + fp + fn)        dice = 2 tp / (2 tp + fp + fn), the F1 of precision and recall
 *     precision = tp / (tp + fp)             accuracy = recall = tp / (tp + fn)
 *
 * A class in neither targets nor predictions has no scores. One that is only predicted has 0 for iou, precision and
 * dice, and no accuracy; one that is never predicted has the precision 0, so that leaving a class out never pays. */
typedef struct ClassScore {
    bool present; /* the class occurs in the targets: has an accuracy */
    bool scored;  /* occurs in targets or predictions: has iou, precision, dice */
    bool bounded; /* has a boundary_f1: that was wanted, and some picture has an edge of the class (boundary.h) */
    int64_t pixels, predicted, images;                  /* target pixels (support); predicted pixels; pictures that
                                                           hold the class in their target */
    double iou, accuracy, precision, dice, boundary_f1; /* 0 where there is none */
} ClassScore;

/* Means over the classes that have the score: mean_accuracy, the mean recall, over those in the targets; miou,
 * mean_precision and mean_dice over those in targets or predictions; boundary_f1 over those that have one. So do
 * mmsegmentation (miou, mean_accuracy) and torchmetrics and scikit-learn (macro averages) too.
 * frequency_weighted_iou = sum of pixels * iou / sum of pixels. */
typedef struct SegmentationScore {
    double pixel_accuracy, mean_accuracy, miou, frequency_weighted_iou, mean_precision, mean_dice, boundary_f1;
    bool bounded;         /* boundary_f1 was wanted */
    int n_bounded;        /* classes that have one; 0: the mean is over nothing */
    double top5_accuracy; /* classification: labels among the TOP_CLASSES highest scores */
    int64_t pixels;       /* with a class in the target; 0: all the means are over nothing */
    int64_t ignored;
} SegmentationScore;
/* All but boundary_f1. classes: c->n entries, or NULL. */
void confusion_scores(const Confusion *c, SegmentationScore *out, ClassScore *classes);

/* Reconstruction: squared error of outputs against targets in 0..1 scale. Plain sums; a checkpoint can hold them. */
typedef struct ReconstructionSum {
    double squared; /* sum over all elements */
    double absolute;
    int64_t elements, images;
} ReconstructionSum;
void reconstruction_add(ReconstructionSum *sum, int64_t n, int64_t elements_each, const float *output,
                        const float *target);

/* Names a config may use in `train.best`, per task, with the direction; end with name NULL. */
typedef struct MetricName {
    const char *name;
    bool higher_is_better;
} MetricName;
extern const MetricName segmentation_metrics[], reconstruction_metrics[], classification_metrics[];
/* Those of one class: `iou` of `iou:car`. Reconstruction has none. */
extern const MetricName segmentation_class_metrics[], classification_class_metrics[];

#endif
