/* trainer.h - the training loop: steps, epochs, checkpoints, resume, NaN guard.
 *
 * Says nothing itself: progress and notes go to callbacks. A run is a directory: config.yaml (resolved), history.jsonl
 * (a line an epoch), last.h5 (its predecessor kept as last.prev.h5), best.h5, samples/. It appears with its first
 * checkpoint or not at all. Pre-training (train/pretrain.h), where the config has it, comes first; its epochs have
 * lines of their own in history.jsonl: {"pretrain": LAYER, "epoch": N, MEASURE: value, "lr", "seconds",
 * "samples_per_second"}. best.h5 is of training proper alone.
 * With train.ema (train/ema.h) scores, samples/ and best.h5 are those of the averaged weights.
 *
 * The same seed, machine and number of threads give the same bits; a run that was killed at any moment and resumed
 * gives the bits of one that was not. Only "seconds" and "samples_per_second" in history.jsonl differ.
 */
#ifndef SANDGLASS_TRAIN_TRAINER_H
#define SANDGLASS_TRAIN_TRAINER_H

#include "train/net.h"
#include "train/optim.h"

typedef struct TrainSpec {
    const Experiment *experiment;
    const char *run_dir;
    bool resume; /* go on from last.h5; without one: start */
    int threads; /* 0: all */
    TrainEvents events;
} TrainSpec;

typedef struct TrainResult {
    int64_t epochs, steps; /* done in all, earlier parts of a resumed run included, pre-training not */
    double train_loss;     /* of the last finished epoch, or of the unfinished one when there is none; NaN: no step */
    bool has_val;
    Evaluation val;          /* last, of has_val */
    const DataConfig *data;  /* class names; in the arena */
    int64_t best_epoch;      /* 0: none */
    const char *best_metric; /* "miou", "loss" ... */
    double best_value;
    bool stopped_early;                 /* by train.patience, before train.epochs */
    int64_t waited;                     /* evaluations since best_metric last improved (by train.min_delta) */
    double seconds, samples_per_second; /* of training, in all; of this process's part */
    bool finished; /* all epochs done, or stopped early; false: stopped by max_seconds or a signal, resumable */
} TrainResult;

/* Train. A run directory that already holds a run is refused unless resume is set; on resume every setting but those
 * that cannot change the result (train.epochs, train.patience, train.max_seconds, train.save_*, train.sample*,
 * data.root, data.cache_mb, name, about) must be as it was. With train.patience training also ends early; a resumed run
 * with a larger one goes on as if it had begun with that. Returns OK when finished or out of train.max_seconds
 * (out->finished tells), ERR_STOPPED when events.stop said so (last.h5 is written, out is filled), ERR_NUMERIC on NaN
 * or Inf in a loss, a gradient or a weight: neither last.h5 nor best.h5 is written with such weights, and a last.h5
 * that turns out to hold them is put aside. */
Err train_run(TrainResult *out, const TrainSpec *spec, Arena *arena, Error *err);

#endif
