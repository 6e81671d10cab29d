/* activation.c - element-wise functions, and softmax over channels.
 *
 *     relu        max(x, 0)
 *     leaky_relu  x, below zero alpha * x (alpha 0.01)          Maas, Hannun & Ng 2013
 *     elu         x, below zero alpha * (exp(x) - 1) (alpha 1)  Clevert, Unterthiner & Hochreiter 2015
 *     sigmoid     1 / (1 + exp(-x))
 *     tanh
 *     softplus    log(1 + exp(x))
 *     swish       x * sigmoid(alpha * x) (alpha 1)              Ramachandran, Zoph & Le 2017
 *     softmax     exp(x_c) / sum_k exp(x_k)                     over the channels (axis 1) of each pixel or sample, or
 *                                                               the features (axis 2) of each step of a sequence
 *     identity    x
 *
 * src and dst of any shape.
 */
#include "layers/common.h"

typedef struct Activation {
    int kind;
    ParamList alpha; /* none: the kind's usual one */
} Activation;

/* In the order of `names`. */
typedef enum Function { RELU, LEAKY_RELU, ELU, SIGMOID, TANH, SOFTPLUS, SWISH, SOFTMAX, IDENTITY } Function;

static const char *const names[] = {"relu",     "leaky_relu", "elu",     "sigmoid",  "tanh",
                                    "softplus", "swish",      "softmax", "identity", NULL};

static const struct {
    ActKind kind;
    float alpha;
} functions[] = {
    [RELU] = {ACT_RELU, 0},       [LEAKY_RELU] = {ACT_RELU, 0.01f}, [ELU] = {ACT_ELU, 1},
    [SIGMOID] = {ACT_SIGMOID, 0}, [TANH] = {ACT_TANH, 0},           [SOFTPLUS] = {ACT_SOFTPLUS, 1},
    [SWISH] = {ACT_SWISH, 1},     [SOFTMAX] = {ACT_NONE, 0},        [IDENTITY] = {ACT_NONE, 0},
};

static const Param params[] = {{"kind", PARAM_CHOICE, offsetof(Activation, kind), NULL, 0, 0, names, "the function"},
                               {"alpha", PARAM_FLOATS, offsetof(Activation, alpha), "", 0, 100, NULL,
                                "slope of leaky_relu (0.01), scale of elu (1), steepness of swish (1)"},
                               {0}};

static Act act_of(const void *object) {
    const Activation *p = object;
    Act act = {functions[p->kind].kind, functions[p->kind].alpha};
    if (p->alpha.n > 0) act.alpha = (float)p->alpha.floats[0];
    return act;
}

static bool is_softmax(const void *object) {
    const Activation *p = object;
    return p->kind == SOFTMAX;
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Activation *p = object;
    bool takes_alpha = p->kind == LEAKY_RELU || p->kind == ELU || p->kind == SWISH;
    if (p->alpha.n > 1) return layer_phrase(phrase, "'alpha' must be one number, got %d", p->alpha.n);
    if (p->alpha.n == 1 && !takes_alpha)
        return layer_phrase(phrase, "'alpha' does not belong to %s: only leaky_relu, elu and swish take it",
                            names[p->kind]);
    *dst = src[0];
    return true;
}

/* The features of a sequence N,T,F lie last. */
static int channel_axis(const LayerBuild *l) {
    return tensor_shape(l->src[0]).rank == 3 ? 2 : 1;
}

static void forward(Build *b, LayerBuild *l) {
    Act act = act_of(l->params);
    if (is_softmax(l->params))
        l->dst = op_softmax(b, channel_axis(l), l->src[0]);
    else
        l->dst = act.kind == ACT_NONE ? l->src[0] : op_act(b, act, l->src[0]);
}

static void backward(Build *b, LayerBuild *l) {
    Act act = act_of(l->params);
    if (!l->want_diff_src[0]) return;
    if (is_softmax(l->params))
        l->diff_src[0] = op_softmax_backward(b, channel_axis(l), l->dst, l->diff_dst);
    else if (act.kind == ACT_NONE)
        l->diff_src[0] = l->diff_dst;
    else if (act_from_dst(act))
        l->diff_src[0] = op_act_backward(b, act, NULL, l->dst, l->diff_dst);
    else
        l->diff_src[0] = op_act_backward(b, act, l->src[0], NULL, l->diff_dst);
}

const LayerKind layer_activation = {
    .name = "activation",
    .doc = "an element-wise function of the source, or softmax over its channels",
    .params = params,
    .params_bytes = sizeof(Activation),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .act = act_of,
    .is_softmax = is_softmax,
};
