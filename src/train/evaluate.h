/* evaluate.h - the scores of a split, how they are reported, and the callbacks that tell how far a run is. */
#ifndef SANDGLASS_TRAIN_EVALUATE_H
#define SANDGLASS_TRAIN_EVALUATE_H

#include "base/json.h"
#include "data/loader.h"
#include "train/loss.h"
#include "train/metric.h"

#include <signal.h>

/* Scores of a split. */
typedef struct Evaluation {
    Task task;
    double loss;
    int n_parts;                    /* the loss's terms */
    LossPart parts[LOSS_MAX_TERMS]; /* names are the arena's */
    int64_t images;
    SegmentationScore segmentation; /* segmentation; classification uses pixel_accuracy as accuracy */
    int n_classes;
    ClassScore *classes;                      /* n_classes, arena */
    const int64_t *confusion;                 /* Confusion.count: n_classes + 1 rows of n_classes, arena */
    double boundary_tolerance;                /* share of the diagonal that boundary_f1 is for */
    double mse, mae, squared_error_per_image; /* reconstruction, in 0..1 scale */
    double seconds;
} Evaluation;

/* The same with all that it points to in `arena`, for one whose own arena goes. */
Evaluation evaluation_copy(const Evaluation *e, Arena *arena);

/* The terms of a loss of several as a member "terms":{NAME:VALUE}; nothing for one alone. */
void loss_parts_write_json(int n, const LossPart *parts, Json *json);

/* Write the scores as members of the object that is open in `json`: the task's metrics by name ("loss", "miou" ...),
 * boundary_f1 where it was computed, null where there was nothing to score, and "images". A loss of several terms also
 * gives "terms":{NAME:VALUE}. class_names not NULL, as for a report: also "ignored", the pixels (or labels) that were
 * left out, and "per_class":{NAME:{...}} with "pixels" (segmentation), "images", "absent" (true: not in the targets)
 * and each metric of one class, null where the class has no such score. */
void evaluation_write_json(const Evaluation *e, const char *const *class_names, Json *json);

/* The value of a metric by the name a config uses ("miou"); false when the task has no such metric, or there was
 * nothing to score: no labelled pixel, for boundary_f1 no outline. */
bool evaluation_metric(const Evaluation *e, const char *name, double *value);
/* The metrics that this task has; ends with name NULL. */
const MetricName *evaluation_metrics(Task task);
/* The value for one class of a metric of segmentation_class_metrics or classification_class_metrics; false when there
 * is no such metric, no such class, or the class has no such score here (ClassScore says when): there is no number to
 * compare then. */
bool evaluation_class_metric(const Evaluation *e, const char *name, int class_index, double *value);
/* The metrics of one class that this task has; ends with name NULL. */
const MetricName *evaluation_class_metrics(Task task);
/* Whether a value of the metric is better than the best so far (NaN: none yet). NaN never is. */
bool evaluation_is_better(const MetricName *metric, double value, double best);

/* How far it is. */
typedef struct Progress {
    bool evaluating;
    const char *pretrain;   /* the layer that is pre-trained, whose epochs and batches these are; NULL: none */
    int64_t epoch, epochs;  /* from 1; in all */
    int64_t batch, batches; /* of this epoch: done; in all */
    int64_t step;           /* optimizer steps done */
    double loss;            /* running mean of the epoch */
    double lr, samples_per_second, eta_seconds, elapsed_seconds;
} Progress;

typedef struct TrainEvents {
    void *context;
    void (*progress)(void *context, const Progress *progress); /* about ten times a second; may be NULL */
    /* At the end of an epoch; val NULL: not evaluated; json: the line of history.jsonl. May be NULL. */
    void (*epoch)(void *context, const Progress *progress, const Evaluation *val, const char *json);
    void (*note)(void *context, const char *text); /* one line for people; may be NULL */
    const volatile sig_atomic_t *stop;             /* non-zero: write last.h5 and return ERR_STOPPED; may be NULL */
} TrainEvents;

#endif
