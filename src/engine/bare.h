/* bare.h - what operations note of themselves while they are recorded, so that profile.h can time the primitives behind
 * them alone. Private to this folder.
 *
 * The notes hold shapes, never memory or descriptors: they cost nothing until program_run_bare is called.
 */
#ifndef SANDGLASS_ENGINE_BARE_H
#define SANDGLASS_ENGINE_BARE_H

#include "engine/internal.h"

typedef enum BareWay { BARE_FORWARD, BARE_BACKWARD_DATA, BARE_BACKWARD_WEIGHTS, BARE_BACKWARD } BareWay;

struct Bare {
    StepKind kind; /* STEP_CONV, STEP_DECONV, STEP_DENSE, STEP_POOL, STEP_NORM or STEP_LSTM */
    BareWay way;
    const char *scope, *name;
    DType type;              /* of data and weights; gradients of weights are F32 */
    Shape src, weights, dst; /* of the forward operation; weights as oneDNN sees them, with groups */
    bool bias;
    union {
        ConvSpec conv;
        PoolSpec pool;
        BatchNormSpec norm;
    } spec;
    dnnl_primitive_desc_t pd; /* STEP_LSTM: the step's own */
    const char *implementation;
    struct Bare *next;
};

/* To be called by the operation of that name, whatever it is recorded as. */
void note_conv(Build *b, bool transposed, BareWay way, const ConvSpec *spec, const Tensor *src, const Tensor *weights,
               bool bias);
void note_dense(Build *b, BareWay way, const Tensor *src, const Tensor *weights, bool bias);
void note_pool(Build *b, BareWay way, const PoolSpec *spec, const Tensor *src);
void note_norm(Build *b, BareWay way, const BatchNormSpec *spec, const Tensor *src);
void note_lstm(Build *b, BareWay way, dnnl_primitive_desc_t pd);

#endif
