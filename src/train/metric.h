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

typedef struct ClassScore {
    bool present;                          /* the class occurs in the targets */
    bool scored;                           /* occurs in targets or predictions: counts in the means */
    int64_t pixels;                        /* support: target pixels */
    double iou, accuracy, precision, dice; /* 0 where not scored */
} ClassScore;
typedef struct SegmentationScore {
    double pixel_accuracy, mean_accuracy, miou, frequency_weighted_iou;
    int64_t pixels;
} SegmentationScore;
/* IoU = tp / (tp + fp + fn); accuracy = tp / (tp + fn). Means run over classes present in the targets (accuracy) or in
 * targets or predictions (IoU). classes: c->n entries, or NULL. */
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

#endif
