/* best.h - train.best: the number that decides best.h5, patience and reduce_on_plateau.
 *
 *     best: miou            a metric of the task (metric.h)
 *     best: iou:car         a metric of one class, by its name or number
 *     best: dice_loss       a term of the loss, by its kind; loss:NAME where a metric has the same name
 *
 * Scores are those of the split val; without evaluations of one only the loss and its terms, the training's, are there.
 */
#ifndef SANDGLASS_TRAIN_BEST_H
#define SANDGLASS_TRAIN_BEST_H

#include "train/evaluate.h"

typedef enum BestSort { BEST_METRIC, BEST_CLASS, BEST_TERM } BestSort;
typedef struct Best {
    MetricName metric; /* as the config names it, and which direction is better */
    BestSort sort;
    const char *score; /* BEST_CLASS: "iou" */
    int index;         /* of the class or the term */
} Best;

/* Absent or "": miou, accuracy or loss by the task. data: with the classes; losses: the experiment's. */
Err best_read(Best *out, const Experiment *experiment, const DataConfig *data, const LossSet *losses, Arena *arena,
              Error *err);
/* Whether a config evaluates a val split while it trains. */
bool best_has_val(const Experiment *experiment);

/* NaN where there is none: a class that is neither in the targets nor predicted has no scores. */
double best_value(const Best *best, const Evaluation *e);
/* Of a training, without val. */
double best_train_value(const Best *best, const LossTotal *total, const LossSet *losses);

#endif
