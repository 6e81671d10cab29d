/* precision.h - what training computes in on this processor. */
#ifndef SANDGLASS_TRAIN_PRECISION_H
#define SANDGLASS_TRAIN_PRECISION_H

#include "config/config.h"
#include "engine/engine.h"

/* Whether in brain floats: where train.precision says so, or says auto and the processor multiplies them. */
bool precision_is_bf16(const TrainConfig *train, const Engine *engine);

#endif
