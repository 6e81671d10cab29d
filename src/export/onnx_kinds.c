/* onnx_kinds.c - the table: each layer kind as ONNX operators, and the emitters of those without windows. */
#include "export/onnx_kinds.h"
#include "export/knob.h"
#include "layers/common.h"

#include <string.h>

const char *onnx_inner(const OnnxLayer *l, const char *suffix) {
    return arena_printf(l->g->arena, "%s:%s", l->dst, suffix);
}

const char *onnx_weight(const OnnxLayer *l, int which) {
    const OnnxWeight *w = &l->weights[which];
    return onnx_floats(l->g, w->name, w->shape, w->value);
}

bool onnx_no_memory(char phrase[LAYER_PHRASE_BYTES]) {
    return layer_phrase(phrase, "no memory for its weights in ONNX's order");
}

/* ---- dense, LSTM ---- */

/* Weights O,I as I,O. NULL: no memory. */
static const char *transposed_weights(const OnnxLayer *l) {
    const int64_t rows = l->weights[0].shape.dim[0], columns = l->weights[0].shape.dim[1];
    const float *from = l->weights[0].value;
    float *to = onnx_block(l->g, rows * columns);
    if (!to) return NULL;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
    return onnx_floats(l->g, l->weights[0].name, SHAPE(columns, rows), to);
}

/* Each step of a sequence N,T,I by itself: MatMul with weights I,O. */
static bool dense_steps(const OnnxLayer *l, bool bias, char phrase[LAYER_PHRASE_BYTES]) {
    const char *weights = transposed_weights(l), *product = bias ? onnx_inner(l, "product") : l->dst;
    if (!weights) return onnx_no_memory(phrase);
    ONNX_NODE(l->g, "MatMul", product, l->src[0], weights);
    if (bias) ONNX_NODE(l->g, "Add", l->dst, product, onnx_weight(l, 1));
    return true;
}

static bool emit_dense(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const bool bias = knob_bool(l->node, "bias");
    const char *rows = l->src[0];
    if (l->src_shape[0].rank == 3) return dense_steps(l, bias, phrase);
    if (l->src_shape[0].rank > 2) {
        rows = onnx_inner(l, "rows");
        ONNX_NODE(l->g, "Flatten", rows, l->src[0]);
    }
    const char *src[] = {rows, onnx_weight(l, 0), bias ? onnx_weight(l, 1) : NULL};
    onnx_set_int(l->g, onnx_node(l->g, "Gemm", l->dst, bias ? 3 : 2, src), "transB", 1);
    return true;
}

/* A weight of 4 gates, which are ours in the order i, f, g, o and ONNX's i, o, f, g, as shape `of`, which has room for
 * them or more (zeros). NULL: no memory. */
static const char *lstm_weight(const OnnxLayer *l, int which, Shape of) {
    static const int order[] = {0, 3, 1, 2};
    const OnnxWeight *w = &l->weights[which];
    const int64_t each = shape_size(w->shape) / 4;
    float *to = onnx_block(l->g, shape_size(of));
    if (!to) return NULL;
    for (int gate = 0; gate < 4; gate++)
        memcpy(to + gate * each, w->value + order[gate] * each, sizeof(float) * (size_t)each);
    return onnx_floats(l->g, w->name, of, to);
}

/* N,T,F to T,N,F and back: ONNX's sequences begin with the steps. Its results have an axis for the direction, which a
 * Reshape takes away: Squeeze changed in opset 13, and not all runtimes know the new one. */
static bool emit_lstm(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    OnnxGraph *g = l->g;
    const int64_t units = knob_int(l->node, "units");
    const bool sequences = knob_bool(l->node, "sequences");
    const char *steps = onnx_inner(l, "steps"), *states = onnx_inner(l, "states"), *joined = onnx_inner(l, "joined");
    onnx_set_ints(g, ONNX_NODE(g, "Transpose", steps, l->src[0]), "perm", 3, (const int64_t[]){1, 0, 2});
    const char *weights = lstm_weight(l, 0, SHAPE(1, 4 * units, l->src_shape[0].dim[2]));
    const char *recurrent = lstm_weight(l, 1, SHAPE(1, 4 * units, units));
    /* a bias for the weights and one for the recurrence: ours is their sum */
    const char *bias = lstm_weight(l, 2, SHAPE(1, 8 * units));
    if (!weights || !recurrent || !bias) return onnx_no_memory(phrase);
    Onnx__NodeProto *lstm = ONNX_NODE(g, "LSTM", states, steps, weights, recurrent, bias);
    onnx_set_int(g, lstm, "hidden_size", units);
    onnx_set_text(g, lstm, "direction", knob_bool(l->node, "reverse") ? "reverse" : "forward");
    if (!sequences) {
        const char *last = onnx_inner(l, "last");
        onnx_result(g, lstm, last);
        ONNX_NODE(g, "Reshape", l->dst, last, onnx_ints(g, onnx_inner(l, "shape"), 2, (const int64_t[]){-1, units}));
        return true;
    }
    const int64_t shape[] = {l->dst_shape.dim[1], -1, units};
    ONNX_NODE(g, "Reshape", joined, states, onnx_ints(g, onnx_inner(l, "shape"), 3, shape));
    onnx_set_ints(g, ONNX_NODE(g, "Transpose", l->dst, joined), "perm", 3, (const int64_t[]){1, 0, 2});
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
    const ParamList *shape = knob_list(l->node, "shape", PARAM_INTS);
    int64_t axes[SHAPE_MAX_RANK] = {0}; /* 0: the batch, as it is */
    memcpy(axes + 1, shape->ints, sizeof *axes * (size_t)shape->n);
    ONNX_NODE(l->g, "Reshape", l->dst, l->src[0], onnx_ints(l->g, onnx_inner(l, "shape"), shape->n + 1, axes));
    return true;
}

static void slice(const OnnxLayer *l, const char *src, int n, const int64_t *starts, const int64_t *ends,
                  const int64_t *axes) {
    ONNX_NODE(l->g, "Slice", l->dst, src, onnx_ints(l->g, onnx_inner(l, "starts"), n, starts),
              onnx_ints(l->g, onnx_inner(l, "ends"), n, ends), onnx_ints(l->g, onnx_inner(l, "axes"), n, axes));
}

/* The means, which lie before the log-variances. */
static bool emit_gaussian_sample(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    slice(l, l->src[0], 1, (const int64_t[]){0}, (const int64_t[]){l->dst_shape.dim[1]}, (const int64_t[]){1});
    return true;
}

/* The ends are counted from the end, so that they hold for any size. */
void onnx_cut(const OnnxLayer *l, const char *src, const int64_t lo[2], const int64_t hi[2]) {
    const int64_t ends[2] = {hi[0] ? -hi[0] : INT64_MAX, hi[1] ? -hi[1] : INT64_MAX};
    slice(l, src, 2, lo, ends, (const int64_t[]){2, 3});
}

static bool emit_crop(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const int64_t *c = knob_quad(l->node, "crop"); /* top, bottom, left, right */
    onnx_cut(l, l->src[0], (const int64_t[]){c[0], c[2]}, (const int64_t[]){c[1], c[3]});
    return true;
}

static bool emit_pad(const OnnxLayer *l, char phrase[LAYER_PHRASE_BYTES]) {
    const int64_t *p = knob_quad(l->node, "padding"); /* top, bottom, left, right */
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
