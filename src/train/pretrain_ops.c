/* pretrain_ops.c - pieces of the programs of pre-training; see pretrain_knobs.h. */
#include "base/spans.h"
#include "train/pretrain_knobs.h"

#include <stdio.h>

PretrainTensors pretrain_tensors(Build *b, const PretrainBuild *spec) {
    PretrainTensors t = {0};
    const Weights *w = spec->weights;
    for (int i = 0; i < PRETRAIN_ENTRIES; i++) {
        const WeightEntry *entry = &w->entries[i];
        char name[512];
        snprintf(name, sizeof name, "gradient of %s", entry->name);
        t.weights[i] = build_external(b, entry->name, F32, entry->shape, w->value + entry->offset);
        t.gradients[i] = build_external(b, name, F32, entry->shape, w->grad + entry->offset);
    }
    t.visible = build_external(b, "visible", F32, SHAPE(spec->n, w->entries[PRETRAIN_VISIBLE_BIAS].count), NULL);
    return t;
}

/* The gradient of a dense layer with regard to its source, which is this very product. */
Tensor *pretrain_transposed(Build *b, const PretrainTensors *t, Tensor *src) {
    return op_dense_backward(b, t->visible, t->weights[PRETRAIN_WEIGHTS], src, true, NULL, NULL);
}

typedef struct Stack {
    const float *from;
    float *to;
    float factor;
} Stack;

static double stack_span(const void *context, int64_t first, int64_t last) {
    const Stack s = *(const Stack *)context;
    for (int64_t i = first; i < last; i++) s.to[i] = s.factor * s.from[i];
    return 0;
}

static void run_stack(const NativeCall *call) {
    const float *factors = call->params;
    float *to = call->dst[0].data;
    for (int k = 0; k < 2; k++) {
        Stack s = {call->src[k].data, to, factors[k]};
        spans_run(call->src[k].size, PRETRAIN_GRAIN, stack_span, &s);
        to += call->src[k].size;
    }
}

Tensor *pretrain_stack(Build *b, Tensor *a_src, float a_factor, Tensor *b_src, float b_factor) {
    Shape shape = tensor_shape(a_src);
    const float factors[2] = {a_factor, b_factor};
    Tensor *dst = build_tensor(b, F32, SHAPE(2 * shape.dim[0], shape.dim[1]));
    op_native(b, &(NativeSpec){.name = "stack",
                               .fn = run_stack,
                               .layout = NATIVE_DENSE,
                               .params = factors,
                               .params_bytes = sizeof factors,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {a_src, b_src},
                               .dst = {dst}});
    return dst;
}
