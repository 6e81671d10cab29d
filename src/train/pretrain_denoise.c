/* pretrain_denoise.c - see pretrain_denoise.h. */
#include "train/pretrain_denoise.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"
#include "train/pretrain_knobs.h"

static const char *const optimizers[] = {"sgd", "adam", NULL};

#define ROW(field) PRETRAIN_ROW(field)
static const Param params[] = {
    {"rate", PARAM_FLOATS, ROW(rate), "0.25", 0, 1, NULL, "share of the values set to 0; one number, or one a layer"},
    {"optimizer", PARAM_CHOICE, ROW(optimizer), "sgd", 0, 0, optimizers, "how a step is made"},
    {"momentum", PARAM_FLOAT, ROW(momentum), "0", 0, 0.99999, NULL, "of sgd: share of the last step kept"},
    {"weight_decay", PARAM_FLOAT, ROW(weight_decay), "0", 0, 1e6, NULL, "L2, on weights, not on biases"},
    {0}};
#undef ROW

/* ---- corruption ---- */

typedef struct Corrupt {
    uint32_t number;
    float rate;
} Corrupt;

typedef struct CorruptJob {
    const float *from;
    float *to; /* holds the draws at first */
    float rate;
} CorruptJob;

VECTOR_CLONES static double corrupt_span(const void *context, int64_t first, int64_t last) {
    const CorruptJob job = *(const CorruptJob *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i];
        job.to[i] = job.to[i] < job.rate ? 0.0f : value;
    }
    return 0;
}

static void run_corrupt(const NativeCall *call) {
    const Corrupt *p = call->params;
    CorruptJob job = {call->src[0].data, call->dst[0].data, p->rate};
    int64_t n = call->src[0].size;
    rng_fill_uniform(call->run->seed, RNG_PRETRAIN, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, PRETRAIN_GRAIN, corrupt_span, &job);
}

static Tensor *record_corruption(Build *b, const PretrainBuild *spec, Tensor *visible) {
    if (!(spec->rate > 0)) return visible;
    Corrupt p = {.number = spec->number, .rate = (float)spec->rate};
    Tensor *dst = build_tensor(b, F32, tensor_shape(visible));
    op_native(b, &(NativeSpec){.name = "corrupt",
                               .fn = run_corrupt,
                               .layout = NATIVE_DENSE,
                               .params = &p,
                               .params_bytes = sizeof p,
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {visible},
                               .dst = {dst}});
    return dst;
}

/* ---- cross-entropy against the clean values ---- */

/* Columns of d, of the gradient of c, and of the loss; each span has columns of its own. */
typedef struct Columns {
    const float *input, *bias, *clean; /* N,I before bias and logistic; I; N,I */
    float *diff, *gradient;            /* N,I; I */
    int64_t n, width;
} Columns;

/* - v log s(z) - (1 - v) log(1 - s(z)) = max(z, 0) - v z + log(1 + exp(-|z|)). */
VECTOR_CLONES static double compare(const void *context, int64_t first, int64_t last) {
    const Columns c = *(const Columns *)context;
    const float share = 1.0f / (float)c.n;
    double loss = 0;
    for (int64_t j = first; j < last; j++) c.gradient[j] = 0;
    for (int64_t n = 0; n < c.n; n++) {
        const float *input = c.input + n * c.width, *clean = c.clean + n * c.width;
        float *diff = c.diff + n * c.width, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < last; j++) {
            float z = input[j] + c.bias[j], v = clean[j], above = z > 0 ? z : 0;
            float power = vm_exp_downf(-fabsf(z)), inverse = 1.0f / (1.0f + power);
            float y = z < 0 ? power * inverse : inverse, d = (y - v) * share;
            sum += above - v * z + vm_log1pf(power);
            diff[j] = d;
            c.gradient[j] += d;
        }
        loss += (double)sum;
    }
    return loss;
}

static void run_compare(const NativeCall *call) {
    Columns c = {.input = call->src[0].data,
                 .bias = call->src[1].data,
                 .clean = call->src[2].data,
                 .diff = call->dst[0].data,
                 .gradient = call->dst[1].data,
                 .n = call->src[0].shape.dim[0],
                 .width = call->src[0].shape.dim[1]};
    *(double *)call->dst[2].data = spans_run(c.width, PRETRAIN_COLUMNS, compare, &c);
}

/* d; leaves the gradient of c and the loss. */
static Tensor *record_loss(Build *b, const PretrainTensors *t, Tensor *input) {
    Tensor *diff = build_tensor(b, F32, tensor_shape(input)), *loss = build_tensor(b, F64, SHAPE(1));
    op_native(b, &(NativeSpec){.name = "cross-entropy",
                               .fn = run_compare,
                               .layout = NATIVE_DENSE,
                               .n_src = 3,
                               .n_dst = 3,
                               .src = {input, t->weights[PRETRAIN_VISIBLE_BIAS], t->visible},
                               .dst = {diff, t->gradients[PRETRAIN_VISIBLE_BIAS], loss}});
    build_output(b, "error", loss);
    return diff;
}

/* ---- the gradient of the hidden biases ---- */

typedef struct Sums {
    const float *from; /* N,O */
    float *to;         /* O */
    int64_t n, width;
} Sums;

VECTOR_CLONES static double add_columns(const void *context, int64_t first, int64_t last) {
    const Sums s = *(const Sums *)context;
    for (int64_t j = first; j < last; j++) s.to[j] = 0;
    for (int64_t n = 0; n < s.n; n++)
        for (int64_t j = first; j < last; j++) s.to[j] += s.from[n * s.width + j];
    return 0;
}

static void run_sums(const NativeCall *call) {
    Sums s = {call->src[0].data, call->dst[0].data, call->src[0].shape.dim[0], call->src[0].shape.dim[1]};
    spans_run(s.width, PRETRAIN_COLUMNS, add_columns, &s);
}

static void record_sums(Build *b, Tensor *src, Tensor *dst) {
    op_native(b, &(NativeSpec){.name = "sums",
                               .fn = run_sums,
                               .layout = NATIVE_DENSE,
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {src},
                               .dst = {dst}});
}

/* ---- the program ---- */

static Err program(Program **out, const PretrainBuild *spec, Error *err) {
    Build *b = build_new(spec->engine, &(BuildOptions){.training = true});
    PretrainTensors t = pretrain_tensors(b, spec);
    const Act act = {.kind = ACT_SIGMOID};
    Tensor *corrupted = record_corruption(b, spec, t.visible);
    Tensor *hidden = op_dense(b, act, corrupted, t.weights[PRETRAIN_WEIGHTS], t.weights[PRETRAIN_BIAS]);
    Tensor *diff = record_loss(b, &t, pretrain_transposed(b, &t, hidden));
    Tensor *diff_hidden = op_dense(b, (Act){.kind = ACT_NONE}, diff, t.weights[PRETRAIN_WEIGHTS], NULL);
    Tensor *diff_input = op_act_backward(b, act, NULL, hidden, diff_hidden);
    record_sums(b, diff_input, t.gradients[PRETRAIN_BIAS]);
    /* the weights' part in decoding and in encoding, in one product */
    Tensor *below = pretrain_stack(b, diff, 1, corrupted, 1), *above = pretrain_stack(b, hidden, 1, diff_input, 1);
    op_dense_backward(b, below, t.weights[PRETRAIN_WEIGHTS], above, false, t.gradients[PRETRAIN_WEIGHTS], NULL);
    return build_finish(out, b, err);
}

const PretrainKind pretrain_denoise = {
    .name = "denoise",
    .doc =
        "denoising autoencoders of one layer, tied weights, masking noise, cross-entropy (Vincent et al. 2008, 2010)",
    .params = params,
    .measure = "loss",
    .program = program,
};
