/* masking_noise.c - replaces values by a constant at random in training: the corruption of denoising autoencoders,
 * Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3. Unlike dropout it does not scale the others.
 *
 *     dst = u < rate ? value : src          u uniform in [0, 1), drawn anew for each value and step (replace.h)
 *
 * src and dst of any shape; draws in logical order.
 */
#include "layers/replace.h"

typedef struct MaskingNoise {
    double rate, value;
} MaskingNoise;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(MaskingNoise, rate), NULL, 0, 1, NULL, "share of the values replaced"},
    {"value", PARAM_FLOAT, offsetof(MaskingNoise, value), "0", 0, 0, NULL, "what replaces them"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    return true;
}

static Replacement replacement(const LayerBuild *l) {
    const MaskingNoise *p = l->params;
    return (Replacement){.name = "masking_noise",
                         .backward_name = "masking_noise backward",
                         .layout = NATIVE_DENSE, /* `value` must stay out of padding */
                         .low_rate = (float)p->rate,
                         .low = (float)p->value,
                         .rate = (float)p->rate,
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

const LayerKind layer_masking_noise = {
    .name = "masking_noise",
    .doc =
        "in training replaces a share `rate` of the values by `value`, others stay as they are (Vincent et al. 2010)",
    .params = params,
    .params_bytes = sizeof(MaskingNoise),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
    .corrupts = true,
};
