/* pretrain.h - layer-wise pre-training: dense layers learn one after the other, bottom to top, before the network is
 * trained as a whole.
 *
 *     pretrain:
 *       kind: rbm                              # or denoise; see train/rbm.h and train/pretrain_denoise.h
 *       layers: [enc1, enc2, code]             # dense layers, bottom to top
 *       decoder: [dec2, dec1, picture]         # their mirror images, top to bottom; may be left out
 *       epochs: 10                             # or one number for each layer; so are lr and rate
 *
 * A layer learns from what the network makes of the training pictures (as they are, without augmentation and without
 * noise layers) at the layer's own source: with logistic layers below, their real-valued activations. These values are
 * computed once a layer and held in memory for all samples (60,000 x 1,000 values: 240 MB). When a layer is done its
 * weights and biases go into the network, and into its mirror image the transposed weights and the visible biases
 * ("unrolling", Hinton & Salakhutdinov 2006). It starts from the network's initial weights (a layer's `init`) and
 * biases, and from visible biases of 0.
 *
 * Everything random is named by train.seed: the order of the samples by (RNG_SHUFFLE, epoch, number of the layer in the
 * list, from 1), what is drawn in a step by (RNG_PRETRAIN, step of the layer, number of the layer in the list, from 0).
 */
#ifndef SANDGLASS_TRAIN_PRETRAIN_H
#define SANDGLASS_TRAIN_PRETRAIN_H

#include "engine/engine.h"
#include "train/optim.h"

/* What the program of a layer is made for. */
typedef struct PretrainBuild {
    Engine *engine;
    int64_t n;        /* samples of a batch */
    Weights *weights; /* pretrain_weights_new: entries in the order PRETRAIN_WEIGHTS ... */
    bool linear;      /* the hidden units */
    double rate;      /* of what is corrupted */
    uint32_t number;  /* of the layer in the list */
} PretrainBuild;
enum { PRETRAIN_WEIGHTS, PRETRAIN_BIAS, PRETRAIN_VISIBLE_BIAS, PRETRAIN_ENTRIES };

typedef struct PretrainKind {
    const char *name, *doc;
    const Param *params; /* beside pretrain_params */
    bool takes_linear;   /* the last layer's hidden units may be linear */
    const char *measure; /* what history.jsonl calls the error */
    /* A program with external input "visible" (F32 n,I) and output "error" (F64: sum over the samples of `measure`)
     * that overwrites the gradients of the weights. */
    Err (*program)(Program **out, const PretrainBuild *spec, Error *err);
} PretrainKind;
extern const PretrainKind *const pretrain_kinds[]; /* NULL-terminated */
extern const Param pretrain_params[];              /* knobs of every kind */

typedef struct PretrainLayer {
    const char *name;
    int node, decoder;  /* of the graph; decoder -1: none */
    const char *source; /* whose values it learns from: a layer's name, or "input" */
    int64_t n_visible, n_hidden;
    bool linear;
    int64_t epochs;
    double lr, rate;
} PretrainLayer;

/* The section as it is used. */
typedef struct Pretrain {
    const PretrainKind *kind; /* NULL: there is no pre-training */
    int n;                    /* layers */
    PretrainLayer *layers;
    int64_t batch_size;
    Optimizer first, then; /* the same kind, with other settings; `first` in the first n_first epochs of a layer */
    int64_t n_first;
} Pretrain;

/* Read and check the section against the network; all mistakes are collected. In the arena. */
Err pretrain_read(Pretrain *out, const Experiment *experiment, const Graph *graph, Arena *arena, Error *err);

/* Weights of a layer while it learns: "NAME/weights" O,I, "NAME/bias" O, "NAME/visible_bias" I, with n_slots. */
Err pretrain_weights_new(Weights **out, const PretrainLayer *layer, int n_slots, Error *err);
/* From the network, at the beginning; into the network and the mirror image, at the end. */
void pretrain_weights_take(Weights *weights, const PretrainLayer *layer, const Weights *network);
void pretrain_weights_give(const Weights *weights, const PretrainLayer *layer, Weights *network);

#endif
