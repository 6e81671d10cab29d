/* conv_transpose2d.c - transposed convolution: the gradient of conv2d with regard to its source, used forward.
 * Zeiler, Krishnan, Taylor & Fergus, "Deconvolutional networks", 2010; Dumoulin & Visin 2016, chapter 4.
 *
 *     dst[n,o,Y,X] = bias[o] + sum over all i, y, x, ky, kx with y*stride - top + ky = Y, x*stride - left + kx = X of
 *                    weights[o,i,ky,kx] * src[n,i,y,x]
 *
 * src N,I,H,W; dst N,O,H',W' with H' = (H-1)*stride + KH - top - bottom + output_padding; `padding: same` gives
 * H' = H*stride + output_padding, and is the reverse of conv2d's `same`; `valid` is padding 0, as in PyTorch. weights
 * O,I/groups,KH,KW: the first axis counts the result's channels. Fans as Keras and PyTorch take them: in
 * O/groups*KH*KW, out I*KH*KW. A following activation is fused in.
 */
#include "layers/window.h"

#include <inttypes.h>

enum { WEIGHTS, BIAS };

typedef struct ConvTranspose2d {
    int64_t filters;
    int64_t kernel[2], stride[2], output_padding[2];
    ParamList padding;
    int64_t groups;
    bool bias;
} ConvTranspose2d;

static const Param params[] = {
    {"filters", PARAM_INT, offsetof(ConvTranspose2d, filters), NULL, 1, 65536, NULL, "channels of the result"},
    {"kernel", PARAM_PAIR, offsetof(ConvTranspose2d, kernel), "3", 1, 255, NULL, "height and width of the window"},
    {"stride", PARAM_PAIR, offsetof(ConvTranspose2d, stride), "1", 1, 64, NULL, "how many times larger the result is"},
    WINDOW_PADDING_PARAM(ConvTranspose2d),
    {"output_padding", PARAM_PAIR, offsetof(ConvTranspose2d, output_padding), "0", 0, 63, NULL,
     "rows and columns added at the bottom and right, less than the stride"},
    {"groups", PARAM_INT, offsetof(ConvTranspose2d, groups), "1", 1, 65536, NULL,
     "parts of the channels that do not mix"},
    {"bias", PARAM_BOOL, offsetof(ConvTranspose2d, bias), "true", 0, 0, NULL, "add a trained constant to each channel"},
    {0}};

static bool spread(const ConvTranspose2d *p, Shape src, Window *w, char phrase[LAYER_PHRASE_BYTES]) {
    *w = (Window){.kernel = {p->kernel[0], p->kernel[1]}, .stride = {p->stride[0], p->stride[1]}, .dilation = {1, 1}};
    return window_spread(w, &p->padding, p->output_padding, src, phrase);
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const ConvTranspose2d *p = object;
    Window w;
    if (!spread(p, src[0], &w, phrase)) return false;
    if (src[0].dim[1] % p->groups != 0 || p->filters % p->groups != 0)
        return layer_phrase(phrase,
                            "'groups' must divide the channels of source and result, got %" PRId64
                            " groups for %" PRId64 " and %" PRId64 " channels",
                            p->groups, src[0].dim[1], p->filters);
    *dst = SHAPE(src[0].dim[0], p->filters, w.dst[0], w.dst[1]);
    return true;
}

static int weights(const void *object, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    const ConvTranspose2d *p = object;
    int64_t taps = p->kernel[0] * p->kernel[1];
    decls[WEIGHTS] = (WeightDecl){.name = "weights",
                                  .shape = SHAPE(p->filters, src[0].dim[1] / p->groups, p->kernel[0], p->kernel[1]),
                                  .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                                  .init = "glorot_uniform",
                                  .fan_in = p->filters / p->groups * taps,
                                  .fan_out = src[0].dim[1] * taps};
    decls[BIAS] = (WeightDecl){.name = "bias", .shape = SHAPE(p->filters), .flags = WEIGHT_TRAINED, .init = "zeros"};
    return p->bias ? 2 : 1;
}

static ConvSpec deconv_spec(const LayerBuild *l) {
    const ConvTranspose2d *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    Window w;
    char phrase[LAYER_PHRASE_BYTES];
    spread(p, src, &w, phrase); /* infer has seen to it that this succeeds */
    return (ConvSpec){.stride = {w.stride[0], w.stride[1]},
                      .dilation = {1, 1},
                      .pad_lo = {w.pad_lo[0], w.pad_lo[1]},
                      .pad_hi = {w.pad_hi[0], w.pad_hi[1]},
                      .groups = p->groups,
                      .dst = SHAPE(src.dim[0], p->filters, w.dst[0], w.dst[1]),
                      .act = l->act};
}

static void forward(Build *b, LayerBuild *l) {
    const ConvTranspose2d *p = l->params;
    ConvSpec spec = deconv_spec(l);
    l->dst = op_deconv(b, &spec, l->src[0], l->weights[WEIGHTS], p->bias ? l->weights[BIAS] : NULL);
}

static void backward(Build *b, LayerBuild *l) {
    ConvSpec spec = deconv_spec(l);
    Tensor *diff = layer_diff_before_act(b, l);
    l->diff_src[0] = op_deconv_backward(b, &spec, l->src[0], l->weights[WEIGHTS], diff, l->want_diff_src[0],
                                        l->diff_weights[WEIGHTS], l->diff_weights[BIAS]);
}

const LayerKind layer_conv_transpose2d = {
    .name = "conv_transpose2d",
    .doc = "the gradient of a convolution, used forward: dst[Y] = bias + sum of weights[k] * src[y] with y*stride - "
           "pad + k "
           "= Y (Zeiler et al. 2010)",
    .params = params,
    .params_bytes = sizeof(ConvTranspose2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .weights = weights,
    .forward = forward,
    .backward = backward,
    .fuses_act = layer_fuses_act,
    .bias_param = "bias",
    .act_apart = true,
};
