/* loss.h - loss kinds: value and gradient in one pass over the network's output.
 *
 * A loss is a mean: sum / weight, where weight counts what the sum ran over (pixels with their class weights, elements,
 * images ...), so that the value over a whole split does not depend on the batch size. The gradient is that of sum /
 * weight of its batch, times `scale`.
 *
 * Some losses are not means over anything but of a batch as a whole: dice, tversky and lovasz_softmax over a batch, and
 * cross_entropy with hard example mining, which chooses in a batch. Over a split the former are the mean over batches
 * weighted by their images, the latter the mean over all that was chosen; both depend a little on the batch size.
 */
#ifndef SANDGLASS_TRAIN_LOSS_H
#define SANDGLASS_TRAIN_LOSS_H

#include "data/split.h"
#include "model/compile.h"

#include <signal.h>

/* Which target a kind compares with. TARGET_NONE: with nothing, it judges the value alone. */
typedef enum LossTarget { TARGET_INPUT, TARGET_MASK, TARGET_LABEL, TARGET_NONE } LossTarget;

/* The part of the pictures in a batch that is theirs; the rest repeats their edges to fill the network's stride. A loss
 * against the input leaves the rest out: of its sum, its weight, and with gradient 0. All 0: nothing is padded. */
typedef struct LossExtent {
    int64_t height, width; /* of the batch */
    int64_t valid_height, valid_width;
} LossExtent;

/* What the functions work on: dense arrays, N samples of C channels over S places (H*W, 1 for vectors). */
typedef struct LossArgs {
    int64_t n, c, s;
    const float *src;           /* N,C,S: the value, or the logits when the kind wants them and gets them */
    const void *target;         /* float N,C,S (TARGET_INPUT), uint8_t N,S (TARGET_MASK), int32_t N (TARGET_LABEL), or
                                   NULL (TARGET_NONE) */
    LossTarget target_kind;     /* which of them */
    const float *class_weights; /* C, or NULL: all 1 */
    const LossExtent *extent;   /* NULL: nothing is padded; else src is planes of height x width */
    bool logits;
    float scale;
    float *diff_src; /* N,C,S, overwritten; NULL: only the value */
    void *scratch;   /* what the kind's scratch_bytes asked for, aligned to 64 bytes; NULL: nothing */
    double *sum, *weight;
} LossArgs;

typedef struct LossKind {
    const char *name, *doc; /* with formula */
    const Param *params;
    size_t params_bytes;
    LossTarget target, target_alt;     /* cross_entropy takes masks or labels; equal when there is no alternative */
    bool takes_sigmoid, takes_softmax; /* computes from logits when the network ends in that */
    size_t (*scratch_bytes)(const void *params, int64_t n, int64_t c, int64_t s); /* NULL: none */
    void (*run)(const void *params, const LossArgs *args);
} LossKind;
extern const LossKind *const loss_kinds[]; /* NULL-terminated */

/* The experiment's losses as terms for compile_program. `train.loss`: a kind, or a list of entries with `weight` and
 * `on` (a layer's name; default the first output; a kind without a target needs it). class_weights: [..] |
 * median_frequency | inverse, the latter two from `train` (may be NULL when neither is asked for), one of them for all
 * terms. For segmentation the first output must have the size of the masks; a term's layer may be smaller. */
typedef struct LossSet {
    int n;
    LossTerm *terms;            /* for CompileSpec */
    const double *weights;      /* n: factor of each in the total */
    const float *class_weights; /* those counted from the data, else the first that are given; NULL: none */
    LossExtent *extent;         /* of the batch to come; whoever binds a batch sets it (net_bind_batch) */
} LossSet;
/* stop: non-zero ends the counting of classes with ERR_STOPPED; may be NULL. */
Err loss_set_build(LossSet *out, const Experiment *experiment, const Graph *graph, Split *train,
                   const volatile sig_atomic_t *stop, Arena *arena, Error *err);

enum { LOSS_MAX_TERMS = 8 };

/* Collects a split's or an epoch's loss: feed each batch's results, get the mean. Plain numbers, so that a checkpoint
 * can hold it. */
typedef struct LossTotal {
    double sum[LOSS_MAX_TERMS], weight[LOSS_MAX_TERMS]; /* per term */
    double activity, samples;                           /* activity penalties: sum over samples, number of samples */
} LossTotal;
void loss_total_add(LossTotal *total, const LossSet *set, const Program *program);
/* Weighted sum of the terms' means, plus the mean activity penalty. */
double loss_total_value(const LossTotal *total, const LossSet *set);
/* What each term contributes: its name and its mean, without its weight. Returns how many. */
typedef struct LossPart {
    const char *name; /* lives as long as the set */
    double value;
} LossPart;
int loss_total_parts(const LossTotal *total, const LossSet *set, LossPart parts[LOSS_MAX_TERMS]);
/* The value of the last batch alone (for the progress line and the NaN guard). */
double loss_batch_value(const LossSet *set, const Program *program);

#endif
