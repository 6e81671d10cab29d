/* dropout.c - sets values to zero at random in training: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov
 * 2014, in the inverted form, which leaves inference untouched.
 *
 *     dst = u < rate ? 0 : src / (1 - rate)     u uniform in [0, 1), drawn anew for each value and step (replace.h)
 *
 * src and dst of any shape. Draws are in memory order, so that no layout has to be changed for them.
 */
#include "layers/replace.h"

typedef struct Dropout {
    double rate;
} Dropout;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(Dropout, rate), "0.5", 0, 0.999, NULL, "share of the values set to zero"}, {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    return true;
}

static Replacement replacement(const LayerBuild *l) {
    const Dropout *p = l->params;
    return (Replacement){.name = "dropout",
                         .backward_name = "dropout backward",
                         .layout = NATIVE_ELEMENTWISE,
                         .low_rate = (float)p->rate,
                         .rate = (float)p->rate,
                         .scale = (float)(1 / (1 - p->rate))};
}

static bool does_nothing(const LayerBuild *l) {
    const Dropout *p = l->params;
    return !l->training || p->rate == 0;
}

static void forward(Build *b, LayerBuild *l) {
    Replacement r = replacement(l);
    l->dst = l->src[0];
    if (!does_nothing(l)) layer_replace(b, l, &r);
}

static void backward(Build *b, LayerBuild *l) {
    Replacement r = replacement(l);
    if (l->want_diff_src[0]) l->diff_src[0] = l->diff_dst;
    if (!does_nothing(l)) layer_replace_backward(b, l, &r);
}

const LayerKind layer_dropout = {
    .name = "dropout",
    .doc = "in training sets a share `rate` of the values to 0 and divides the others by 1 - rate (Srivastava et al. "
           "2014)",
    .params = params,
    .params_bytes = sizeof(Dropout),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
};
