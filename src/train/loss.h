/* loss.h - loss kinds: value and gradient in one pass over the network's output.
 *
 * A loss is a mean: sum / weight, where weight counts what the sum ran over (pixels with their class weights, elements
 * ...), so that the value over a whole split does not depend on the batch size. The gradient is that of sum / weight of
 * its batch, times `scale`.
 */
#ifndef SANDGLASS_TRAIN_LOSS_H
#define SANDGLASS_TRAIN_LOSS_H

#include "data/split.h"
#include "model/compile.h"

/* Which target a kind compares with. */
typedef enum LossTarget { TARGET_INPUT, TARGET_MASK, TARGET_LABEL } LossTarget;

/* What the functions work on: dense arrays, N samples of C channels over S places (H*W, 1 for vectors). */
typedef struct LossArgs {
    int64_t n, c, s;
    const float *src;           /* N,C,S: the value, or the logits when the kind wants them and gets them */
    const void *target;         /* float N,C,S (TARGET_INPUT), uint8_t N,S (TARGET_MASK), int32_t N (TARGET_LABEL) */
    LossTarget target_kind;     /* which of them */
    const float *class_weights; /* C, or NULL: all 1 */
    bool logits;
    float scale;
    float *diff_src; /* N,C,S, overwritten; NULL: only the value */
    double *sum, *weight;
} LossArgs;

typedef struct LossKind {
    const char *name, *doc; /* with formula */
    const Param *params;
    size_t params_bytes;
    LossTarget target, target_alt;     /* cross_entropy takes masks or labels; equal when there is no alternative */
    bool takes_sigmoid, takes_softmax; /* computes from logits when the network ends in that */
    bool needs_probabilities;          /* without such an end, values are taken as probabilities and clamped */
    void (*run)(const void *params, const LossArgs *args);
} LossKind;
extern const LossKind *const loss_kinds[]; /* NULL-terminated */

/* The experiment's losses as terms for compile_program. `train.loss`: a kind, or a list of entries with `weight` and
 * `on` (a layer's name; default the first output). class_weights: [..] | median_frequency | inverse, the latter two
 * from `train` (may be NULL when neither is asked for). Class weights used are written into *class_weights (arena, NULL
 * when none). */
typedef struct LossSet {
    int n;
    LossTerm *terms;       /* for CompileSpec */
    const double *weights; /* n: factor of each in the total */
    const float *class_weights;
} LossSet;
Err loss_set_build(LossSet *out, const Experiment *experiment, const Graph *graph, Split *train, Arena *arena,
                   Error *err);

/* Collects a split's or an epoch's loss: feed each batch's results, get the mean. Plain numbers, so that a checkpoint
 * can hold it. */
typedef struct LossTotal {
    double sum[8], weight[8]; /* per term */
    double activity, batches; /* activity penalties: sum of batch values, number of batches */
} LossTotal;
void loss_total_add(LossTotal *total, const LossSet *set, const Program *program);
double loss_total_value(const LossTotal *total,
                        const LossSet *set); /* weighted sum of the terms' means, plus mean activity */
/* The value of the last batch alone (for the progress line and the NaN guard). */
double loss_batch_value(const LossSet *set, const Program *program);

#endif
