/* onnx_windows.c - convolutions, pooling and resampling in ONNX: Conv, ConvTranspose, MaxPool, AveragePool, MaxUnpool,
 * Resize. */
#include "export/knob.h"
#include "export/onnx_kinds.h"
#include "layers/window.h"

#include <math.h>
#include <string.h>

/* The window of a convolution (`kernel`) or pooling (`size`) over src, of a transposed convolution from src: with the
 * pads that `padding` stands for there. */
static Window window_of(const GraphNode *node, Shape src) {
    static const int64_t dense[2] = {1, 1};
    const Param *params = node->kind->params;
    const int64_t *kernel = knob_pair(node, param_find(params, "kernel") ? "kernel" : "size");
    const int64_t *stride = knob_pair(node, "stride");
    const int64_t *dilation = param_find(params, "dilation") ? knob_pair(node, "dilation") : dense;
    Window w = {0};
    for (int i = 0; i < 2; i++) {
        w.kernel[i] = kernel[i];
        w.stride[i] = stride[i] ? stride[i] : kernel[i]; /* pooling: 0 is the window's size */
        w.dilation[i] = dilation[i];
    }
    const ParamList *padding = knob_list(node, "padding", PARAM_STRINGS);
    char unused[LAYER_PHRASE_BYTES]; /* the graph has been shaped: it fits */
    if (param_find(params, "output_padding"))
        window_spread(&w, padding, knob_pair(node, "output_padding"), src, unused);
    else
        window_slide(&w, padding, src, unused);
    return w;
}

static void set_pads(OnnxGraph *g, Onnx__NodeProto *node, const int64_t lo[2], const int64_t hi[2]) {
    onnx_set_ints(g, node, "pads", 4, (const int64_t[]){lo[0], lo[1], hi[0], hi[1]});
}

static void set_window(OnnxGraph *g, Onnx__NodeProto *node, const Window *w) {
    onnx_set_ints(g, node, "kernel_shape", 2, w->kernel);
    onnx_set_ints(g, node, "strides", 2, w->stride);
    set_pads(g, node, w->pad_lo, w->pad_hi);
}

bool onnx_conv2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const Window w = window_of(l->node, l->src_shape[0]);
    const bool bias = knob_bool(l->node, "bias");
    const char *src[] = {l->src[0], onnx_weight(l, 0), bias ? onnx_weight(l, 1) : NULL};
    Onnx__NodeProto *conv = onnx_node(l->g, "Conv", l->dst, bias ? 3 : 2, src);
    set_window(l->g, conv, &w);
    onnx_set_ints(l->g, conv, "dilations", 2, w.dilation);
    onnx_set_int(l->g, conv, "group", knob_int(l->node, "groups"));
    return true;
}

/* Ours O, I/g, KH, KW; ONNX's I, O/g, KH, KW. NULL: no memory. */
static const char *swapped_weights(const OnnxLayer *l, int64_t groups) {
    const Shape from = l->weights[0].shape;
    const int64_t out = from.dim[0] / groups, in = from.dim[1], taps = from.dim[2] * from.dim[3];
    float *to = onnx_block(l->g, shape_size(from));
    if (!to) return NULL;
    for (int64_t g = 0; g < groups; g++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++)
                memcpy(to + ((g * in + i) * out + o) * taps, l->weights[0].value + ((g * out + o) * in + i) * taps,
                       sizeof(float) * (size_t)taps);
    return onnx_floats(l->g, l->weights[0].name, SHAPE(in * groups, out, from.dim[2], from.dim[3]), to);
}

/* Not all runtimes know pads that differ between the ends of an axis: what is cut off less at the far end is output
 * padding, what is cut off more a slice. */
bool onnx_conv_transpose2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const Window w = window_of(l->node, l->src_shape[0]);
    const int64_t groups = knob_int(l->node, "groups");
    const bool bias = knob_bool(l->node, "bias");
    int64_t added[2], cut[2];
    for (int i = 0; i < 2; i++) {
        const int64_t more = w.pad_hi[i] - w.pad_lo[i];
        added[i] = more < 0 ? -more : 0;
        cut[i] = more > 0 ? more : 0;
    }
    const bool cuts = cut[0] || cut[1];
    const char *dst = cuts ? onnx_inner(l, "uncut") : l->dst;
    const char *weights = swapped_weights(l, groups);
    if (!weights) return onnx_no_memory(phrase);
    const char *src[] = {l->src[0], weights, bias ? onnx_weight(l, 1) : NULL};
    Onnx__NodeProto *node = onnx_node(l->g, "ConvTranspose", dst, bias ? 3 : 2, src);
    onnx_set_ints(l->g, node, "kernel_shape", 2, w.kernel);
    onnx_set_ints(l->g, node, "strides", 2, w.stride);
    set_pads(l->g, node, w.pad_lo, w.pad_lo);
    if (added[0] || added[1]) onnx_set_ints(l->g, node, "output_padding", 2, added);
    onnx_set_int(l->g, node, "group", groups);
    if (cuts) onnx_cut(l, dst, (const int64_t[]){0, 0}, cut);
    return true;
}

bool onnx_maxpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const Window w = window_of(l->node, l->src_shape[0]);
    Onnx__NodeProto *pool = ONNX_NODE(l->g, "MaxPool", l->dst, l->src[0]);
    set_window(l->g, pool, &w);
    if (l->keeps_indices) onnx_result(l->g, pool, arena_printf(l->g->arena, ONNX_INDICES, l->dst));
    return true;
}

bool onnx_avgpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const Window w = window_of(l->node, l->src_shape[0]);
    Onnx__NodeProto *pool = ONNX_NODE(l->g, "AveragePool", l->dst, l->src[0]);
    set_window(l->g, pool, &w);
    onnx_set_int(l->g, pool, "count_include_pad", knob_bool(l->node, "count_include_pad"));
    return true;
}

/* ---- unpooling ---- */

static Shape value_shape(const OnnxLayer *l, int size, int node) {
    return node < 0 ? l->sizes->input[size] : l->sizes->shapes[size][node];
}

/* Whether the size that MaxUnpool works out by itself is that of the pool's source, at every size of the input. */
static bool size_follows(const OnnxLayer *l, const GraphNode *pool) {
    for (int s = 0; s < l->sizes->n; s++) {
        const Shape large = value_shape(l, s, pool->src[0]), small = value_shape(l, s, l->node->partner);
        const Window w = window_of(pool, large);
        for (int i = 0; i < 2; i++)
            if ((small.dim[2 + i] - 1) * w.stride[i] + w.kernel[i] - w.pad_lo[i] - w.pad_hi[i] != large.dim[2 + i])
                return false;
    }
    return true;
}

static void emit_max_unpool(const OnnxLayer *l, const GraphNode *pool, const char *indices) {
    const Window w = window_of(pool, value_shape(l, l->at, pool->src[0]));
    const bool follows = size_follows(l, pool);
    const char *shape = follows ? NULL : onnx_inner(l, "shape");
    if (!follows) ONNX_NODE(l->g, "Shape", shape, l->pool_src);
    const char *src[] = {l->src[0], indices, shape};
    Onnx__NodeProto *node = onnx_node(l->g, "MaxUnpool", l->dst, follows ? 2 : 3, src);
    onnx_set_ints(l->g, node, "kernel_shape", 2, w.kernel);
    onnx_set_ints(l->g, node, "strides", 2, w.stride);
    if (w.pad_lo[0] || w.pad_lo[1] || w.pad_hi[0] || w.pad_hi[1]) set_pads(l->g, node, w.pad_lo, w.pad_hi);
}

/* Zeros for all of N x C x H x W in a row, the values put to their places, and the shape given back. */
static void emit_scatter(const OnnxLayer *l, const char *indices) {
    OnnxGraph *g = l->g;
    const char *row = onnx_ints(g, onnx_inner(l, "row"), 1, (const int64_t[]){-1});
    const char *shape = onnx_inner(l, "shape"), *size = onnx_inner(l, "size"), *zeros = onnx_inner(l, "zeros");
    ONNX_NODE(g, "Shape", shape, l->pool_src);
    ONNX_NODE(g, "Size", onnx_inner(l, "elements"), l->pool_src);
    ONNX_NODE(g, "Reshape", size, onnx_inner(l, "elements"), row);
    onnx_set_zero(g, ONNX_NODE(g, "ConstantOfShape", zeros, size), "value");
    ONNX_NODE(g, "Reshape", onnx_inner(l, "places"), indices, row);
    ONNX_NODE(g, "Reshape", onnx_inner(l, "values"), l->src[0], row);
    Onnx__NodeProto *scatter = ONNX_NODE(g, "ScatterElements", onnx_inner(l, "scattered"), zeros,
                                         onnx_inner(l, "places"), onnx_inner(l, "values"));
    onnx_set_int(g, scatter, "axis", 0);
    ONNX_NODE(g, "Reshape", l->dst, onnx_inner(l, "scattered"), shape);
}

bool onnx_max_unpool2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const GraphNode *pool = &l->graph->nodes[l->node->partner];
    if (strcmp(pool->kind->name, "maxpool2d") != 0)
        return layer_phrase(phrase, "'%s' keeps no indices to unpool by: it must be a maxpool2d", pool->name);
    const Window w = window_of(pool, value_shape(l, l->at, pool->src[0]));
    if (w.stride[0] < w.kernel[0] || w.stride[1] < w.kernel[1])
        return layer_phrase(phrase,
                            "the windows of '%s' overlap, and ONNX does not say which value a place gets that was "
                            "found twice",
                            pool->name);
    const char *indices = arena_printf(l->g->arena, ONNX_INDICES, pool->name);
    if (l->unpool == UNPOOL_SCATTER)
        emit_scatter(l, indices);
    else
        emit_max_unpool(l, pool, indices);
    return true;
}

/* ---- resampling ---- */

/* A factor of which floor(src * factor) is dst: how ONNX finds the size. */
static float factor(int64_t src, int64_t dst) {
    float f = (float)dst / (float)src;
    while ((double)src * (double)f < (double)dst) f = nextafterf(f, INFINITY);
    return f;
}

bool onnx_upsample2d(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const Shape src = l->src_shape[0], dst = l->dst_shape;
    const bool whole = dst.dim[2] % src.dim[2] == 0 && dst.dim[3] % src.dim[3] == 0;
    const bool bilinear = strcmp(knob_choice(l->node, "mode"), "bilinear") == 0;
    float *scales = arena_alloc(l->g->arena, sizeof(float) * 4);
    for (int i = 0; i < 4; i++) scales[i] = i < 2 ? 1 : factor(src.dim[i], dst.dim[i]);
    const char *name = onnx_floats(l->g, onnx_inner(l, "scales"), SHAPE(4), scales);
    Onnx__NodeProto *node = ONNX_NODE(l->g, "Resize", l->dst, l->src[0], NULL, name);
    onnx_set_text(l->g, node, "mode", bilinear ? "linear" : "nearest");
    /* Whole factors repeat each pixel, which more runtimes know under these words than under half_pixel. */
    bool repeats = whole && !bilinear;
    onnx_set_text(l->g, node, "coordinate_transformation_mode", repeats ? "asymmetric" : "half_pixel");
    if (!bilinear) onnx_set_text(l->g, node, "nearest_mode", repeats ? "floor" : "round_prefer_ceil");
    return true;
}
