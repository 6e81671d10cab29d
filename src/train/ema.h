/* ema.h - train.ema: the exponential moving average of the weights, which is what the network is used with.
 *
 *     average += (1 - keep) (weights - average)     after optimizer step t, keep = min(decay, (1 + t) / (10 + t))
 *
 * Polyak & Juditsky 1992; as an exponential average with this ramp in Szegedy et al. 2016 (TensorFlow's
 * ExponentialMovingAverage). Without warmup keep is decay from the first step on, and the first values count for about
 * 1 / (1 - decay) steps.
 *
 * All weights are averaged: frozen ones (which stay what they are), and the running statistics of batch normalisation
 * too, as timm's ModelEmaV2 does, rather than taken as they are: they then belong to the stretch of training that the
 * averaged weights belong to. Evaluation, samples/ and best.h5 use the average; training never sees it.
 */
#ifndef SANDGLASS_TRAIN_EMA_H
#define SANDGLASS_TRAIN_EMA_H

#include "config/config.h"
#include "model/weights.h"

typedef struct Ema {
    bool on;
    double decay;
    bool warmup;
} Ema;

extern const Param ema_params[];

/* train.ema: `0.999`, or {decay: 0.999, warmup: true}; absent or null: off. */
Err ema_read(Ema *out, const Experiment *experiment, Arena *arena, Error *err);
/* How much of the average stays at the step-th step, from 1. */
double ema_keep(const Ema *ema, int64_t step);
/* One pass over the values of both, which have one directory (weights_shadow). */
void ema_update(Weights *average, const Weights *weights, double keep);

#endif
