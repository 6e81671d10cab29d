/* conv2d.c - convolution of pictures (cross-correlation, as everywhere in the field), LeCun et al. 1989.
 *
 *     dst[n,o,y,x] = bias[o] + sum_{i,ky,kx} weights[o,i,ky,kx] * src[n, i, y*stride - top  + ky*dilation,
 *                                                                          x*stride - left + kx*dilation]
 *
 * src N,I,H,W; dst N,O,H',W' with H' = (H + top + bottom - dilation*(KH-1) - 1) / stride + 1; weights O,I/groups,KH,KW;
 * bias O. Group g of `groups` equal parts of the sources' channels makes part g of the results'. Weights start
 * glorot_uniform, as in Keras; fans are I/groups*KH*KW and O*KH*KW. A following activation is fused in.
 */
#include "layers/window.h"

#include <inttypes.h>

enum { WEIGHTS, BIAS };

typedef struct Conv2d {
    int64_t filters;
    int64_t kernel[2], stride[2], dilation[2];
    ParamList padding;
    int64_t groups;
    bool bias;
} Conv2d;

static const Param params[] = {
    {"filters", PARAM_INT, offsetof(Conv2d, filters), NULL, 1, 65536, NULL, "channels of the result"},
    {"kernel", PARAM_PAIR, offsetof(Conv2d, kernel), "3", 1, 255, NULL, "height and width of the window"},
    {"stride", PARAM_PAIR, offsetof(Conv2d, stride), "1", 1, 64, NULL, "steps of the window"},
    WINDOW_PADDING_PARAM(Conv2d),
    {"dilation", PARAM_PAIR, offsetof(Conv2d, dilation), "1", 1, 64, NULL, "distance of the window's taps; 1: dense"},
    {"groups", PARAM_INT, offsetof(Conv2d, groups), "1", 1, 65536, NULL, "parts of the channels that do not mix"},
    {"bias", PARAM_BOOL, offsetof(Conv2d, bias), "true", 0, 0, NULL, "add a trained constant to each channel"},
    {0}};

static bool slide(const Conv2d *p, Shape src, Window *w, char phrase[LAYER_PHRASE_BYTES]) {
    *w = (Window){.kernel = {p->kernel[0], p->kernel[1]},
                  .stride = {p->stride[0], p->stride[1]},
                  .dilation = {p->dilation[0], p->dilation[1]}};
    return window_slide(w, &p->padding, src, phrase);
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Conv2d *p = object;
    Window w;
    if (!slide(p, src[0], &w, phrase)) return false;
    if (src[0].dim[1] % p->groups != 0 || p->filters % p->groups != 0)
        return layer_phrase(phrase,
                            "'groups' must divide the channels of source and result, got %" PRId64
                            " groups for %" PRId64 " and %" PRId64 " channels",
                            p->groups, src[0].dim[1], p->filters);
    *dst = SHAPE(src[0].dim[0], p->filters, w.dst[0], w.dst[1]);
    return true;
}

static int weights(const void *object, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    const Conv2d *p = object;
    int64_t channels = src[0].dim[1] / p->groups, taps = p->kernel[0] * p->kernel[1];
    decls[WEIGHTS] = (WeightDecl){.name = "weights",
                                  .shape = SHAPE(p->filters, channels, p->kernel[0], p->kernel[1]),
                                  .flags = WEIGHT_TRAINED | WEIGHT_DECAYED,
                                  .init = "glorot_uniform",
                                  .fan_in = channels * taps,
                                  .fan_out = p->filters * taps};
    decls[BIAS] = (WeightDecl){.name = "bias", .shape = SHAPE(p->filters), .flags = WEIGHT_TRAINED, .init = "zeros"};
    return p->bias ? 2 : 1;
}

static ConvSpec conv_spec(const LayerBuild *l) {
    const Conv2d *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    Window w;
    char phrase[LAYER_PHRASE_BYTES];
    slide(p, src, &w, phrase); /* infer has seen to it that this succeeds */
    return (ConvSpec){.stride = {w.stride[0], w.stride[1]},
                      .dilation = {w.dilation[0], w.dilation[1]},
                      .pad_lo = {w.pad_lo[0], w.pad_lo[1]},
                      .pad_hi = {w.pad_hi[0], w.pad_hi[1]},
                      .groups = p->groups,
                      .dst = SHAPE(src.dim[0], p->filters, w.dst[0], w.dst[1]),
                      .act = l->act};
}

static void forward(Build *b, LayerBuild *l) {
    const Conv2d *p = l->params;
    ConvSpec spec = conv_spec(l);
    l->dst = op_conv(b, &spec, l->src[0], l->weights[WEIGHTS], p->bias ? l->weights[BIAS] : NULL);
}

static void backward(Build *b, LayerBuild *l) {
    ConvSpec spec = conv_spec(l);
    Tensor *diff = layer_diff_before_act(b, l);
    l->diff_src[0] = op_conv_backward(b, &spec, l->src[0], l->weights[WEIGHTS], diff, l->want_diff_src[0],
                                      l->diff_weights[WEIGHTS], l->diff_weights[BIAS]);
}

const LayerKind layer_conv2d = {
    .name = "conv2d",
    .doc =
        "dst[o,y,x] = bias[o] + sum weights[o,i,ky,kx] * src[i, y*stride - pad + ky*dilation, ...] (LeCun et al. 1989)",
    .params = params,
    .params_bytes = sizeof(Conv2d),
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
