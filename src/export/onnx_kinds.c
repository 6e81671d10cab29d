/* onnx_kinds.c - the table: each layer kind as ONNX operators, and the emitters of those without windows. */
#include "export/onnx_kinds.h"
#include "export/knobs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const char *onnx_inner(const OnnxLayer *l, const char *suffix) {
    return arena_printf(l->g->arena, "%s:%s", l->dst, suffix);
}

const char *onnx_weight(const OnnxLayer *l, int which) {
    const OnnxWeight *w = &l->weights[which];
    return onnx_floats(l->g, w->name, w->shape, w->value);
}

/* rows x columns of `from`, turned over. */
static const float *transposed(Arena *arena, const float *from, int64_t rows, int64_t columns) {
    float *to = arena_alloc(arena, sizeof(float) * (size_t)(rows * columns));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
    return to;
}

/* ---- dense, LSTM ---- */

/* Each step of a sequence N,T,I by itself: MatMul with weights I,O. */
static void dense_steps(const OnnxLayer *l, bool bias) {
    const Shape w = l->weights[0].shape;
    const float *values = transposed(l->g->arena, l->weights[0].value, w.dim[0], w.dim[1]);
    const char *weights = onnx_floats(l->g, l->weights[0].name, SHAPE(w.dim[1], w.dim[0]), values);
    const char *product = bias ? onnx_inner(l, "product") : l->dst;
    ONNX_NODE(l->g, "MatMul", product, l->src[0], weights);
    if (bias) ONNX_NODE(l->g, "Add", l->dst, product, onnx_weight(l, 1));
}

static bool emit_dense(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const bool bias = knob_bool(l->node, "bias");
    const char *rows = l->src[0];
    if (l->src_shape[0].rank == 3) {
        dense_steps(l, bias);
        return true;
    }
    if (l->src_shape[0].rank > 2) {
        rows = onnx_inner(l, "rows");
        ONNX_NODE(l->g, "Flatten", rows, l->src[0]);
    }
    const char *src[] = {rows, onnx_weight(l, 0), bias ? onnx_weight(l, 1) : NULL};
    onnx_set_int(l->g, onnx_node(l->g, "Gemm", l->dst, bias ? 3 : 2, src), "transB", 1);
    return true;
}

/* Ours has the gates in the order i, f, g, o, ONNX i, o, f, g: four parts of `count` floats each. */
static float *reorder_gates(const float *from, int64_t count, float *to) {
    static const int order[] = {0, 3, 1, 2};
    for (int gate = 0; gate < 4; gate++)
        memcpy(to + gate * count, from + order[gate] * count, sizeof(float) * (size_t)count);
    return to;
}

static const char *lstm_weight(const OnnxLayer *l, int which) {
    const OnnxWeight *w = &l->weights[which];
    float *to = arena_alloc(l->g->arena, sizeof(float) * (size_t)shape_size(w->shape));
    reorder_gates(w->value, shape_size(w->shape) / 4, to);
    return onnx_floats(l->g, w->name, SHAPE(1, w->shape.dim[0], w->shape.dim[1]), to);
}

/* ONNX has a bias for the weights and one for the recurrence; ours is their sum. */
static const char *lstm_bias(const OnnxLayer *l, int64_t units) {
    float *to = arena_alloc(l->g->arena, sizeof(float) * (size_t)(8 * units)); /* zeros */
    reorder_gates(l->weights[2].value, units, to);
    return onnx_floats(l->g, l->weights[2].name, SHAPE(1, 8 * units), to);
}

/* N,T,F to T,N,F and back: ONNX's sequences begin with the steps, and its results have an axis for the direction. */
static bool emit_lstm(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    OnnxGraph *g = l->g;
    const int64_t units = knob_int(l->node, "units");
    const bool sequences = knob_bool(l->node, "sequences");
    const char *steps = onnx_inner(l, "steps"), *states = onnx_inner(l, "states");
    onnx_set_ints(g, ONNX_NODE(g, "Transpose", steps, l->src[0]), "perm", 3, (const int64_t[]){1, 0, 2});
    Onnx__NodeProto *lstm = ONNX_NODE(g, "LSTM", states, steps, lstm_weight(l, 0), lstm_weight(l, 1),
                                      lstm_bias(l, units));
    if (!sequences) onnx_result(g, lstm, onnx_inner(l, "last"));
    onnx_set_int(g, lstm, "hidden_size", units);
    onnx_set_text(g, lstm, "direction", knob_bool(l->node, "reverse") ? "reverse" : "forward");
    const char *axis = onnx_ints(g, onnx_inner(l, "axis"), 1, (const int64_t[]){sequences ? 1 : 0});
    if (!sequences) {
        ONNX_NODE(g, "Squeeze", l->dst, onnx_inner(l, "last"), axis);
        return true;
    }
    ONNX_NODE(g, "Squeeze", onnx_inner(l, "squeezed"), states, axis);
    onnx_set_ints(g, ONNX_NODE(g, "Transpose", l->dst, onnx_inner(l, "squeezed")), "perm", 3,
                  (const int64_t[]){1, 0, 2});
    return true;
}

static bool emit_repeat_vector(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const char *axis = onnx_ints(l->g, onnx_inner(l, "axis"), 1, (const int64_t[]){1});
    const char *times = onnx_ints(l->g, onnx_inner(l, "times"), 3, (const int64_t[]){1, knob_int(l->node, "n"), 1});
    ONNX_NODE(l->g, "Unsqueeze", onnx_inner(l, "step"), l->src[0], axis);
    ONNX_NODE(l->g, "Expand", l->dst, onnx_inner(l, "step"), times);
    return true;
}

/* ---- element-wise, normalisation ---- */

static bool emit_batchnorm(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    Onnx__NodeProto *node = ONNX_NODE(l->g, "BatchNormalization", l->dst, l->src[0], onnx_weight(l, 0),
                                      onnx_weight(l, 1), onnx_weight(l, 2), onnx_weight(l, 3));
    onnx_set_float(l->g, node, "epsilon", (float)knob_float(l->node, "epsilon"));
    return true;
}

/* x * sigmoid(alpha * x) */
static void swish(const OnnxLayer *l, float alpha) {
    const char *x = l->src[0], *gate = onnx_inner(l, "gate");
    if (alpha != 1) {
        ONNX_NODE(l->g, "Mul", onnx_inner(l, "steep"), x, onnx_float(l->g, onnx_inner(l, "alpha"), alpha));
        x = onnx_inner(l, "steep");
    }
    ONNX_NODE(l->g, "Sigmoid", gate, x);
    ONNX_NODE(l->g, "Mul", l->dst, l->src[0], gate);
}

static bool emit_activation(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    static const struct {
        const char *kind, *op;
        bool alpha;
    } functions[] = {
        {"relu", "Relu", false},         {"leaky_relu", "LeakyRelu", true}, {"elu", "Elu", true},
        {"sigmoid", "Sigmoid", false},   {"tanh", "Tanh", false},           {"softplus", "Softplus", false},
        {"identity", "Identity", false}, {"softmax", "Softmax", false},     {NULL, NULL, false}};
    const char *kind = knob_choice(l->node, "kind");
    const float alpha = l->node->kind->act(l->node->params).alpha;
    if (strcmp(kind, "swish") == 0) {
        swish(l, alpha);
        return true;
    }
    for (int i = 0; functions[i].kind; i++) {
        if (strcmp(functions[i].kind, kind) != 0) continue;
        Onnx__NodeProto *node = ONNX_NODE(l->g, functions[i].op, l->dst, l->src[0]);
        if (functions[i].alpha) onnx_set_float(l->g, node, "alpha", alpha);
        /* the features of a sequence N,T,F lie last */
        if (strcmp(kind, "softmax") == 0) onnx_set_int(l->g, node, "axis", l->src_shape[0].rank == 3 ? 2 : 1);
        return true;
    }
    return layer_phrase(phrase, "no operator is known for '%s'", kind);
}

static bool emit_add(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    onnx_node(l->g, l->node->n_src == 2 ? "Add" : "Sum", l->dst, l->node->n_src, l->src);
    return true;
}

/* ---- structure ---- */

static bool emit_concat(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    onnx_set_int(l->g, onnx_node(l->g, "Concat", l->dst, l->node->n_src, l->src), "axis", knob_int(l->node, "axis"));
    return true;
}

static bool emit_flatten(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    ONNX_NODE(l->g, "Flatten", l->dst, l->src[0]);
    return true;
}

static bool emit_reshape(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const ParamList *shape = knob_list(l->node, "shape");
    int64_t axes[SHAPE_MAX_RANK] = {0}; /* 0: the batch, as it is */
    memcpy(axes + 1, shape->ints, sizeof *axes * (size_t)shape->n);
    ONNX_NODE(l->g, "Reshape", l->dst, l->src[0], onnx_ints(l->g, onnx_inner(l, "shape"), shape->n + 1, axes));
    return true;
}

static void slice(const OnnxLayer *l, int n, const int64_t *starts, const int64_t *ends, const int64_t *axes) {
    ONNX_NODE(l->g, "Slice", l->dst, l->src[0], onnx_ints(l->g, onnx_inner(l, "starts"), n, starts),
              onnx_ints(l->g, onnx_inner(l, "ends"), n, ends), onnx_ints(l->g, onnx_inner(l, "axes"), n, axes));
}

/* The means, which lie before the log-variances. */
static bool emit_gaussian_sample(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    slice(l, 1, (const int64_t[]){0}, (const int64_t[]){l->dst_shape.dim[1]}, (const int64_t[]){1});
    return true;
}

/* Counted from the end, so that it holds for any size. */
static bool emit_crop(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const int64_t *c = knob_ints(l->node, "crop"); /* top, bottom, left, right */
    slice(l, 2, (const int64_t[]){c[0], c[2]}, (const int64_t[]){c[1] ? -c[1] : INT64_MAX, c[3] ? -c[3] : INT64_MAX},
          (const int64_t[]){2, 3});
    return true;
}

static bool emit_pad(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const int64_t *p = knob_ints(l->node, "padding"); /* top, bottom, left, right */
    const char *mode = knob_choice(l->node, "mode");
    const int64_t pads[8] = {0, 0, p[0], p[2], 0, 0, p[1], p[3]};
    Onnx__NodeProto *node = ONNX_NODE(l->g, "Pad", l->dst, l->src[0], onnx_ints(l->g, onnx_inner(l, "pads"), 8, pads));
    onnx_set_text(l->g, node, "mode", strcmp(mode, "zero") == 0 ? "constant" : mode);
    return true;
}

/* ---- the table ---- */

static const OnnxKind kinds[] = {
    {{"dense", NULL}, emit_dense},
    {{"conv2d", NULL}, onnx_conv2d},
    {{"conv_transpose2d", NULL}, onnx_conv_transpose2d},
    {{"maxpool2d", NULL}, onnx_maxpool2d},
    {{"avgpool2d", NULL}, onnx_avgpool2d},
    {{"max_unpool2d", NULL}, onnx_max_unpool2d},
    {{"upsample2d", NULL}, onnx_upsample2d},
    {{"batchnorm", NULL}, emit_batchnorm},
    {{"lstm", NULL}, emit_lstm},
    {{"repeat_vector", NULL}, emit_repeat_vector},
    {{"activation", NULL}, emit_activation},
    {{"gaussian_sample", NULL}, emit_gaussian_sample},
    {{"concat", NULL}, emit_concat},
    {{"add", NULL}, emit_add},
    {{"flatten", NULL}, emit_flatten},
    {{"reshape", NULL}, emit_reshape},
    {{"pad", NULL}, emit_pad},
    {{"crop", NULL}, emit_crop},
    /* nothing in inference */
    {{"dropout", NULL}, NULL},
    {{"dropout2d", NULL}, NULL},
    {{"gaussian_noise", NULL}, NULL},
    {{"masking_noise", NULL}, NULL},
    {{"salt_pepper_noise", NULL}, NULL},
};

const OnnxKind *onnx_kind(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind.kind, name) == 0) return &kinds[i];
    return NULL;
}
