/* precision.c - see precision.h. */
#include "train/precision.h"

bool precision_is_bf16(const TrainConfig *train, const Engine *engine) {
    if (train->precision == PRECISION_AUTO) return engine_has_bf16(engine);
    return train->precision == PRECISION_BF16;
}
