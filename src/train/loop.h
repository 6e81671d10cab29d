/* loop.h - what the clock decides in a run: progress, checkpoints, stopping. It never touches what is computed. Shared
 * by training proper and pre-training, and private to them. */
#ifndef SANDGLASS_TRAIN_LOOP_H
#define SANDGLASS_TRAIN_LOOP_H

#include "train/run.h"

/* Times of this process; all in seconds of the same clock. */
typedef struct Clock {
    double began, mark; /* of the process's part; end of the last stretch accounted for */
    double told, saved; /* last progress line, last checkpoint */
    double training;    /* spent on batches */
    int64_t samples;    /* trained on in that time */
} Clock;

typedef struct Loop {
    Run *run;
    Clock clock;
    Evaluation val;
    Arena *val_arena; /* holds the lists in val; NULL: there is no val */
    bool out_of_time;
} Loop;

Loop loop_begin(Run *run);
/* Account for the time since the last call, and return it. */
double loop_tick(Loop *l);
/* Whether a progress line is due; if so, the next one has to wait. */
bool loop_tells(Loop *l);
/* Seconds to go: the estimate, or what is left of train.max_seconds. */
double loop_eta(const Loop *l, double estimate);

Err loop_save_last(Loop *l, Error *err);
/* step: the number of the step just done; 0: none was completed. */
Err loop_save_if_due(Loop *l, int64_t step, Error *err);
/* Save and end, resumably: a signal (ERR_STOPPED), or train.max_seconds (l->out_of_time). */
bool loop_asked_to_stop(const Run *run);
Err loop_stop_if_asked(Loop *l, Error *err);

/* A line for history.jsonl, which has to live in the run's arena: it goes into every checkpoint from now on. */
void loop_add_history(Run *run, const char *line);

/* Pre-train what is left to be pre-trained. On resume the layer under way goes on where it was. */
Err pretrain_run(Loop *l, Error *err);
bool pretrain_is_done(const Run *run);

#endif
