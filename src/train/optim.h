/* optim.h - optimizer kinds: one fused pass over the flat arrays of weights, gradients and slots. */
#ifndef SANDGLASS_TRAIN_OPTIM_H
#define SANDGLASS_TRAIN_OPTIM_H

#include "config/config.h"
#include "model/weights.h"

/* One step over a stretch of parameters. */
typedef struct OptimArgs {
    int64_t n;
    float *value;
    const float *grad;
    float *slot[WEIGHTS_MAX_SLOTS];
    float grad_scale; /* the gradient counts times this (clipping, accumulation) */
    float clip_value; /* then each element is limited to +-this; INFINITY: off */
    double lr;
    float weight_decay; /* 0 where the entry is not decayed */
    int64_t step;       /* from 1 */
} OptimArgs;

typedef struct OptimKind {
    const char *name, *doc; /* formula and paper */
    const Param *params;
    size_t params_bytes;
    int n_slots;
    const char *const *slot_names;                           /* n_slots: "momentum", "m", "v": names in checkpoints */
    void (*step)(const void *params, const OptimArgs *args); /* vectorised, single stretch, no threads */
} OptimKind;
extern const OptimKind *const optim_kinds[]; /* NULL-terminated */

typedef struct Optimizer {
    const OptimKind *kind;
    const void *params;
    double clip_norm, clip_value, weight_decay;
} Optimizer;
Err optimizer_read(Optimizer *out, const Experiment *experiment, Arena *arena, Error *err);

/* Sum of squares of the gradient in double, in a fixed order whatever the number of threads. Inf or NaN when an element
 * is. */
double gradient_square_sum(const Weights *weights);
/* The name of an entry (buffers too) with a NaN or Inf among its values; NULL: all are finite. */
const char *weights_first_nonfinite(const Weights *weights);
/* One step over all trained entries, in parallel by fixed stretches (same bits for any number of threads). grad_scale:
 * applied to the gradient before clipping (1 / accumulated micro-batches). *grad_norm (may be NULL): norm before
 * clipping. Returns false, and changes nothing, when the norm is not finite. */
bool optimizer_step(const Optimizer *optimizer, Weights *weights, double lr, int64_t step, double grad_scale,
                    double *grad_norm);

#endif
