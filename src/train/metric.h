/* metric.h - scores from 64-bit counts: one confusion matrix for segmentation and classification, error sums for
 * reconstruction. */
#ifndef SANDGLASS_TRAIN_METRIC_H
#define SANDGLASS_TRAIN_METRIC_H

#include "base/arena.h"

#include <stdint.h>

typedef struct Confusion {
    int n;          /* classes */
    int64_t *count; /* n * n: [target][predicted] */
    int64_t ignored;
} Confusion;

/* Predicted class at each place: argmax over C of scores C,S, the first of equals. channels at most 256. */
void scores_argmax(int64_t channels, int64_t places, const float *scores, uint8_t *classes);

Err confusion_new(Confusion *out, int n_classes, Error *err);
void confusion_free(Confusion *c);
void confusion_clear(Confusion *c);
/* Predicted classes from scores N,C,S. target uint8_t N,S with 255 ignored (labels in
 * int32_t N: see below). A target that is no class is an error, never dropped. */
Err confusion_add_mask(Confusion *c, int64_t n, int64_t s, const float *scores, const uint8_t *target, Error *err);
Err confusion_add_label(Confusion *c, int64_t n, const float *scores, const int32_t *target, Error *err);

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
    bool bounded; /* boundary_f1 was wanted */
    int64_t pixels;
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
