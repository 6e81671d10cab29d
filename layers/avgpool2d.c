/* avgpool2d.c - the mean of each window of each channel.
 *
 *     dst[n,c,y,x] = sum_{ky,kx} src[n, c, y*stride - top + ky, x*stride - left + kx] / count
 *
 * src N,C,H,W; dst N,C,H',W' with H' = (H + top + bottom - KH) / stride + 1. count is the number of pixels under the
 * window, or KH*KW with `count_include_pad: true` (PyTorch's default; TensorFlow never counts padding).
 */
#include "layers/window.h"

typedef struct AvgPool2d {
    int64_t size[2], stride[2];
    ParamList padding;
    bool count_include_pad;
} AvgPool2d;

static const Param params[] = {
    {"size", PARAM_PAIR, offsetof(AvgPool2d, size), "2", 1, 255, NULL, "height and width of the window"},
    {"stride", PARAM_PAIR, offsetof(AvgPool2d, stride), "0", 0, 255, NULL, "steps of the window; 0: its size"},
    WINDOW_PADDING_PARAM(AvgPool2d),
    {"count_include_pad", PARAM_BOOL, offsetof(AvgPool2d, count_include_pad), "false", 0, 0, NULL,
     "divide by the window's size where it reaches into the padding, too"},
    {0}};

static bool slide(const AvgPool2d *p, Shape src, Window *w, char phrase[LAYER_PHRASE_BYTES]) {
    *w = (Window){.dilation = {1, 1}};
    for (int i = 0; i < 2; i++) {
        w->kernel[i] = p->size[i];
        w->stride[i] = p->stride[i] ? p->stride[i] : p->size[i];
    }
    return window_slide(w, &p->padding, src, phrase) && window_pads_below_kernel(w, phrase);
}

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    Window w;
    if (!slide(object, src[0], &w, phrase)) return false;
    *dst = SHAPE(src[0].dim[0], src[0].dim[1], w.dst[0], w.dst[1]);
    return true;
}

static PoolSpec pool_spec(const LayerBuild *l) {
    const AvgPool2d *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    Window w;
    char phrase[LAYER_PHRASE_BYTES];
    slide(p, src, &w, phrase); /* infer has seen to it that this succeeds */
    return (PoolSpec){.kind = p->count_include_pad ? POOL_AVG_INCLUDE_PAD : POOL_AVG_EXCLUDE_PAD,
                      .kernel = {w.kernel[0], w.kernel[1]},
                      .stride = {w.stride[0], w.stride[1]},
                      .pad_lo = {w.pad_lo[0], w.pad_lo[1]},
                      .pad_hi = {w.pad_hi[0], w.pad_hi[1]},
                      .dst = SHAPE(src.dim[0], src.dim[1], w.dst[0], w.dst[1])};
}

static void forward(Build *b, LayerBuild *l) {
    PoolSpec spec = pool_spec(l);
    Tensor *workspace = NULL; /* averages need none */
    l->dst = op_pool(b, &spec, l->src[0], &workspace);
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    PoolSpec spec = pool_spec(l);
    l->diff_src[0] = op_pool_backward(b, &spec, l->src[0], l->diff_dst, NULL);
}

const LayerKind layer_avgpool2d = {
    .name = "avgpool2d",
    .doc = "dst[c,y,x] = mean over the window of src[c, y*stride - pad + ky, x*stride - pad + kx]",
    .params = params,
    .params_bytes = sizeof(AvgPool2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
