/* initializer.h - how the weights of a new network are drawn.
 *
 * zeros, ones, constant: V, uniform: LIMIT, normal: DEVIATION, glorot_uniform, glorot_normal (Glorot & Bengio 2010),
 * he_uniform, he_normal (He et al. 2015), lecun_uniform, lecun_normal, orthogonal: GAIN (Saxe et al. 2014), torch
 * (PyTorch's default for convolutions and linear layers: uniform, limit 1/sqrt(fan_in)), forget_bias: V (of an lstm: V
 * in the second quarter, else 0; Jozefowicz et al. 2015). One row of a table in initializer.c each.
 */
#ifndef SANDGLASS_MODEL_INITIALIZER_H
#define SANDGLASS_MODEL_INITIALIZER_H

#include "base/param.h"
#include "engine/build.h"

extern const char *const initializer_names[]; /* NULL-terminated */

/* NULL when `init` ("he_normal", "constant: 0.1") is well-formed, else a phrase in `phrase`. */
const char *initializer_check(const char *init, char phrase[PARAM_PHRASE_BYTES]);

typedef struct InitSpec {
    const char *init;
    Shape shape;
    int64_t count;           /* of values */
    int64_t fan_in, fan_out; /* 0: has none */
    uint64_t seed, number;   /* draws from the stream (seed, RNG_INIT, number) */
} InitSpec;
Err initializer_run(const InitSpec *spec, float *dst, Error *err);

#endif
