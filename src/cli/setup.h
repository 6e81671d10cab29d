/* setup.h - what a config amounts to, set up step by step as training would, without training: for check, inspect and
 * pack. Each step needs the ones before it and reports all it finds. */
#ifndef SANDGLASS_CLI_SETUP_H
#define SANDGLASS_CLI_SETUP_H

#include "data/loader.h"
#include "model/compile.h"
#include "train/ema.h"
#include "train/net.h"
#include "train/optim.h"
#include "train/schedule.h"

typedef struct Setup {
    Arena *arena;
    Experiment experiment;
    DataConfig data; /* completed from the train split once that is open */
    int n_splits;
    const char *const *names; /* n_splits: the splits the config has, in its order */
    Split **splits;           /* n_splits; NULL: could not be opened */
    Findings *findings;       /* for a survey of the data (split_open_survey); NULL: splits open as for training */
    Split *train;             /* borrowed from splits; NULL when there is none */
    Augment *augment;
    Graph *graph;
    LossSet losses;
    Optimizer optimizer;
    Schedule schedule;
    Ema ema;
    Shape input; /* of a training batch: N,C,H,W */
    Engine *engine;
    Weights *weights;
    Program *program;
} Setup;

Err setup_config(Setup *s, const char *path, const ParamList *sets, Arena *arena, Error *err);
/* Open all splits; on failure those that could be opened are open. */
Err setup_splits(Setup *s, Error *err);
/* The network, its losses and how it is trained. Data that is not there is done without where the config says enough
 * (data.size, data.classes). */
Err setup_network(Setup *s, Error *err);
/* Engine, weights and the program of one batch, planned. A program from before is dropped. */
Err setup_program(Setup *s, bool training, int threads, Error *err);
void setup_free(Setup *s);

/* Weights, their average, gradients and optimizer state together. */
size_t setup_weight_bytes(const Setup *s);

#endif
