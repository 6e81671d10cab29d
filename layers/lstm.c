/* lstm.c - a recurrent layer with long short-term memory: Hochreiter & Schmidhuber 1997, with the forget gate of Gers,
 * Schmidhuber & Cummins 2000. No peepholes.
 *
 *     i = sigmoid(Wi x_t + Ri h_(t-1) + bi)        how much of the candidate enters the cell
 *     f = sigmoid(Wf x_t + Rf h_(t-1) + bf)        how much of the cell stays
 *     g =    tanh(Wg x_t + Rg h_(t-1) + bg)        the candidate
 *     o = sigmoid(Wo x_t + Ro h_(t-1) + bo)        how much of the cell shows
 *     c_t = f * c_(t-1) + i * g
 *     h_t = o * tanh(c_t)                          c_0 = h_0 = 0
 *
 * src N,T,F (batch, steps, features); dst N,U, the state h after the last step, or with `sequences` N,T,U, the state
 * after each step. With `reverse` the steps are taken from the last to the first; step t of dst still belongs to step t
 * of src.
 * weights 4*U,F; recurrent 4*U,U; bias 4*U: U rows a gate, the gates in the order i, f, g, o, as in PyTorch, and
 * transposed in Keras. One bias, where PyTorch has the sum of two. As in Keras, weights start glorot_uniform, recurrent
 * orthogonal, bias 0 except that of the forget gate, which is 1 (Jozefowicz, Zaremba & Sutskever 2015).
 */
#include "layers/common.h"

#include <inttypes.h>

enum { WEIGHTS, RECURRENT, BIAS };
enum { STEPS, LAST_CELL, WORKSPACE }; /* kept: what op_lstm hands to op_lstm_backward */
enum { GATES = 4 };

typedef struct Lstm {
    int64_t units;
    bool sequences, reverse, unit_forget_bias;
} Lstm;

static const Param params[] = {
    {"units", PARAM_INT, offsetof(Lstm, units), NULL, 1, 1 << 14, NULL, "values of the state"},
    {"sequences", PARAM_BOOL, offsetof(Lstm, sequences), "false", 0, 0, NULL,
     "result: the state after each step; else after the last one"},
    {"reverse", PARAM_BOOL, offsetof(Lstm, reverse), "false", 0, 0, NULL, "from the last step to the first"},
    {"unit_forget_bias", PARAM_BOOL, offsetof(Lstm, unit_forget_bias), "true", 0, 0, NULL,
     "start the forget gate's bias at 1, so that the cell remembers at first"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Lstm *p = object;
    char text[SHAPE_TEXT_BYTES];
    if (src[0].rank != 3)
        return layer_phrase(phrase, "needs a sequence (N x T x F), got %s: put a %s in front", shape_text(src[0], text),
                            src[0].rank == 2 ? "repeat_vector or a reshape" : "reshape");
    if (src[0].dim[2] > INT32_MAX / (GATES * p->units))
        return layer_phrase(phrase, "has too many weights: 4 gates of %" PRId64 " units for %" PRId64 " values a step",
                            p->units, src[0].dim[2]);
    *dst = SHAPE(src[0].dim[0], p->units);
    if (p->sequences) *dst = SHAPE(src[0].dim[0], src[0].dim[1], p->units);
    return true;
}

static int weights(const void *object, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    const Lstm *p = object;
    const int64_t rows = GATES * p->units, features = src[0].dim[2];
    decls[WEIGHTS] = (WeightDecl){.name = "weights",
                                  .shape = SHAPE(rows, features),
                                  .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                                  .init = "glorot_uniform",
                                  .fan_in = features,
                                  .fan_out = rows};
    decls[RECURRENT] = (WeightDecl){.name = "recurrent",
                                    .shape = SHAPE(rows, p->units),
                                    .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                                    .init = "orthogonal",
                                    .fan_in = p->units,
                                    .fan_out = rows};
    decls[BIAS] = (WeightDecl){.name = "bias",
                               .shape = SHAPE(rows),
                               .flags = WEIGHT_TRAINED,
                               .init = p->unit_forget_bias ? "forget_bias" : "zeros"};
    return 3;
}

static LstmSpec spec_of(const Lstm *p) {
    return (LstmSpec){.units = p->units, .sequences = p->sequences, .reverse = p->reverse};
}

static void forward(Build *b, LayerBuild *l) {
    LstmSpec spec = spec_of(l->params);
    LstmKept kept;
    l->dst = op_lstm(b, &spec, l->src[0], &(LstmWeights){l->weights[WEIGHTS], l->weights[RECURRENT], l->weights[BIAS]},
                     &kept);
    l->kept[STEPS] = kept.steps;
    l->kept[LAST_CELL] = kept.last_cell;
    l->kept[WORKSPACE] = kept.workspace;
}

static void backward(Build *b, LayerBuild *l) {
    LstmSpec spec = spec_of(l->params);
    LstmGradient gradient = {
        .diff_dst = l->diff_dst,
        .diff = {l->diff_weights[WEIGHTS], l->diff_weights[RECURRENT], l->diff_weights[BIAS]},
    };
    l->diff_src[0] = op_lstm_backward(
        b, &spec, l->src[0], &(LstmWeights){l->weights[WEIGHTS], l->weights[RECURRENT], l->weights[BIAS]},
        &(LstmKept){l->kept[STEPS], l->kept[LAST_CELL], l->kept[WORKSPACE]}, l->dst, &gradient);
}

const LayerKind layer_lstm = {
    .name = "lstm",
    .doc = "a recurrent layer with long short-term memory over N,T,F (Hochreiter & Schmidhuber 1997)",
    .params = params,
    .params_bytes = sizeof(Lstm),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .weights = weights,
    .forward = forward,
    .backward = backward,
};
