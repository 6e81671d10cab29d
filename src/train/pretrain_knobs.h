/* pretrain_knobs.h - what the kinds of pre-training share: the struct behind their tables of knobs, and pieces of their
 * programs. Private to pre-training. */
#ifndef SANDGLASS_TRAIN_PRETRAIN_KNOBS_H
#define SANDGLASS_TRAIN_PRETRAIN_KNOBS_H

#include "train/pretrain.h"

/* Filled through pretrain_params and PretrainKind.params; what a kind has no row for stays 0. */
typedef struct PretrainKnobs {
    ParamList layers, decoder; /* strings */
    ParamList epochs;          /* ints */
    int64_t batch_size;
    ParamList lr; /* floats, so is rate */
    double lr_linear;
    double momentum_start, momentum;
    int64_t momentum_epochs;
    double weight_decay;
    ParamList rate;
    int optimizer; /* PRETRAIN_SGD, PRETRAIN_ADAM */
} PretrainKnobs;
enum { PRETRAIN_SGD, PRETRAIN_ADAM };

#define PRETRAIN_ROW(field) offsetof(PretrainKnobs, field)

/* ---- recording ---- */

/* Elements, and columns of a batch, that are worth a thread. */
enum { PRETRAIN_GRAIN = 16384, PRETRAIN_COLUMNS = 64 };

/* The program under way. */
typedef struct PretrainTensors {
    Tensor *visible;
    Tensor *weights[PRETRAIN_ENTRIES], *gradients[PRETRAIN_ENTRIES];
} PretrainTensors;
PretrainTensors pretrain_tensors(Build *b, const PretrainBuild *spec);
/* src W of src N,O: N,I without bias and activation. */
Tensor *pretrain_transposed(Build *b, const PretrainTensors *t, Tensor *src);
/* [a_factor * a; b_factor * b]: 2N,X of two N,X. */
Tensor *pretrain_stack(Build *b, Tensor *a_src, float a_factor, Tensor *b_src, float b_factor);

#endif
