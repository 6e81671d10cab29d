/* salt_pepper_noise.c - sets values to black or white at random in training: the corruption of denoising autoencoders,
 * Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3.
 *
 *     dst = u < rate / 2 ? low : u < rate ? high : src          u uniform in [0, 1), anew for each value and step
 *
 * src and dst of any shape; draws in logical order (replace.h). Each value is replaced on its own, so a sample has a
 * share `rate` of replaced values on average, not exactly.
 */
#include "layers/replace.h"

typedef struct SaltPepperNoise {
    double rate, low, high;
} SaltPepperNoise;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(SaltPepperNoise, rate), NULL, 0, 1, NULL, "share of the values replaced"},
    {"low", PARAM_FLOAT, offsetof(SaltPepperNoise, low), "0", 0, 0, NULL, "what replaces one half of them"},
    {"high", PARAM_FLOAT, offsetof(SaltPepperNoise, high), "1", 0, 0, NULL, "what replaces the other half"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    return true;
}

static Replacement replacement(const LayerBuild *l) {
    const SaltPepperNoise *p = l->params;
    return (Replacement){.name = "salt_pepper_noise",
                         .backward_name = "salt_pepper_noise backward",
                         .layout = NATIVE_DENSE, /* low and high must stay out of padding */
                         .low_rate = (float)(p->rate / 2),
                         .low = (float)p->low,
                         .rate = (float)p->rate,
                         .high = (float)p->high,
                         .scale = 1};
}

static void forward(Build *b, LayerBuild *l) {
    Replacement r = replacement(l);
    l->dst = l->src[0];
    if (l->draws) layer_replace(b, l, &r);
}

static void backward(Build *b, LayerBuild *l) {
    Replacement r = replacement(l);
    if (l->want_diff_src[0]) l->diff_src[0] = l->diff_dst;
    if (l->draws) layer_replace_backward(b, l, &r);
}

const LayerKind layer_salt_pepper_noise = {
    .name = "salt_pepper_noise",
    .doc = "in training sets a share `rate` of the values to `low` or `high`, by a fair coin (Vincent et al. 2010)",
    .params = params,
    .params_bytes = sizeof(SaltPepperNoise),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
    .corrupts = true,
};
