/* run.h - what a training run consists of. Private to the trainer: run_setup.c makes it, trainer.c runs it, bench.c
 * times it. */
#ifndef SANDGLASS_TRAIN_RUN_H
#define SANDGLASS_TRAIN_RUN_H

#include "train/best.h"
#include "train/ema.h"
#include "train/pretrain.h"
#include "train/rundir.h"
#include "train/trainer.h"

/* The data of a run, and the batches made from it. */
typedef struct RunData {
    Split *train, *val; /* val NULL: none */
    Augment *augment;
    SamplingRule sampling;
    Sampler *sampler;                  /* NULL: uniform */
    Loader *train_loader, *val_loader; /* val_loader NULL: never evaluated */
    int64_t n_images, n_batches;       /* of an epoch */
} RunData;

/* The training program for full batches and the one for the short last batch; NULL where there is no such batch. */
typedef struct RunPrograms {
    Program *full, *last;
    int64_t batch_size; /* of full */
} RunPrograms;

/* Where training was when last.h5 was written. */
typedef struct SavedState {
    bool is_there;
    int64_t epoch, batch, changes;
    PretrainState pretrain;
} SavedState;

typedef struct Run {
    const TrainSpec *spec;
    const Experiment *experiment;
    const TrainConfig *train;
    Arena *arena;

    RunData data;
    Engine *engine;
    Graph *graph;
    Weights *weights;
    LossSet losses;
    Optimizer optimizer;
    Schedule schedule;
    Best best; /* what decides best.h5, patience and reduce_on_plateau */
    RunPrograms programs;
    Pretrain pretrain;
    Ema ema;
    Weights *average;    /* of the weights, by train.ema; NULL: off. Before the first step it is the weights */
    Weights *pretrained; /* the layer whose pre-training is under way; NULL: none */
    Net *net;            /* for evaluation and pictures: inference on the average, else on the same weights */
    float *accumulated;  /* sum over micro-batches of gradient times share; NULL when each batch makes a step */
    int64_t steps_per_epoch;

    TrainState state;
    int history_capacity;
    RunDir dir;
    int64_t changes; /* optimizer steps, of pre-training too, that this process has done */
    SavedState saved;
    bool proven; /* the present weights have given a finite loss; in pre-training, those of the layer under way */
} Run;

/* Read the config's sections, open the data, build network, losses and programs; the weights are initialised. Touches
 * no file but the data's. On failure run_close is still due. */
Err run_setup(Run *run, Error *err);
void run_close(Run *run);

/* Train on one batch (trainer.c): forward, loss, backward and, where the batch completes a step, the optimizer. */
Err run_batch(Run *run, const Batch *batch, Error *err);

/* Begin a run directory with a first checkpoint, or take up one that is there: weights, slots and state are read, the
 * config compared, history.jsonl written anew. */
Err run_begin(Run *run, Error *err);

/* Write last.h5 or best.h5; weights with a NaN or Inf are ERR_NUMERIC instead. last.h5 is left alone when it holds this
 * very state. The one before it is kept as last.prev.h5 unless it holds the same weights, so last.prev.h5 is always one
 * whose weights went on to give a finite loss. */
Err run_save_last(Run *run, Error *err);
Err run_save_best(Run *run, Error *err);
/* A loss was not finite. Unless the present weights are proven, a last.h5 that holds them becomes last.damaged.h5 and
 * last.prev.h5 takes its place; a best.h5 that holds them (judged by a training loss, without val) becomes
 * best.damaged.h5. */
void run_withdraw(Run *run);

/* The learning rate of the step after `step` steps, in a run of so many epochs. A pure function of the step, so that a
 * resumed run and history.jsonl need not remember it. */
double run_rate(const Run *run, int64_t step, int64_t epochs);

/* A line for people. */
void run_note(const Run *run, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
