/* repeat_vector.c - a vector as a sequence of equal steps, for a decoder that unfolds a code.
 *
 *     dst[n,t,f] = src[n,f]                        t = 0 ... T - 1
 *     diff_src[n,f] = sum_t diff_dst[n,t,f]
 *
 * src N,F; dst N,T,F.
 */
#include "layers/common.h"

#include "base/vmath.h"

#include <string.h>

typedef struct RepeatVector {
    int64_t n;
} RepeatVector;

static const Param params[] = {
    {"n", PARAM_INT, offsetof(RepeatVector, n), NULL, 1, 1 << 20, NULL, "steps of the result"}, {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    char text[SHAPE_TEXT_BYTES];
    if (src[0].rank != 2)
        return layer_phrase(phrase, "needs vectors (N x F), got %s: put a flatten in front", shape_text(src[0], text));
    *dst = SHAPE(src[0].dim[0], ((const RepeatVector *)object)->n, src[0].dim[1]);
    return true;
}

static void repeat(const NativeCall *call) {
    const Shape shape = call->dst[0].shape;
    const int64_t steps = shape.dim[1], width = shape.dim[2];
    const float *from = call->src[0].data;
    float *to = call->dst[0].data;
#pragma omp parallel for if (parallel : call->dst[0].size > NATIVE_SMALL)
    for (int64_t n = 0; n < shape.dim[0]; n++)
        for (int64_t t = 0; t < steps; t++)
            memcpy(to + (n * steps + t) * width, from + n * width, sizeof(float) * (size_t)width);
}

/* The sum over the steps of one sample. */
VECTOR_CLONES static void add_steps(int64_t steps, int64_t width, const float *restrict from, float *restrict to) {
    memcpy(to, from, sizeof(float) * (size_t)width);
    for (int64_t t = 1; t < steps; t++)
        for (int64_t f = 0; f < width; f++) to[f] += from[t * width + f];
}

static void repeat_backward(const NativeCall *call) {
    const Shape shape = call->src[0].shape;
    const int64_t steps = shape.dim[1], width = shape.dim[2];
    const float *from = call->src[0].data;
    float *to = call->dst[0].data;
#pragma omp parallel for if (parallel : call->src[0].size > NATIVE_SMALL)
    for (int64_t n = 0; n < shape.dim[0]; n++) add_steps(steps, width, from + n * steps * width, to + n * width);
}

static Tensor *record(Build *b, const char *name, NativeFn fn, Tensor *src, Shape shape) {
    Tensor *dst = build_tensor(b, F32, shape);
    op_native(b,
              &(NativeSpec){
                  .name = name, .fn = fn, .layout = NATIVE_DENSE, .n_src = 1, .n_dst = 1, .src = {src}, .dst = {dst}});
    return dst;
}

static void forward(Build *b, LayerBuild *l) {
    Shape src = tensor_shape(l->src[0]);
    Shape dst = SHAPE(src.dim[0], ((const RepeatVector *)l->params)->n, src.dim[1]);
    l->dst = record(b, "repeat_vector", repeat, l->src[0], dst);
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = record(b, "repeat_vector backward", repeat_backward, l->diff_dst, tensor_shape(l->src[0]));
}

const LayerKind layer_repeat_vector = {
    .name = "repeat_vector",
    .doc = "a vector as n equal steps of a sequence: N,F to N,n,F",
    .params = params,
    .params_bytes = sizeof(RepeatVector),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
