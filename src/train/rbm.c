/* rbm.c - see rbm.h. One program: three matrix products forward, one for the gradient of both phases together. */
#include "train/rbm.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"
#include "train/pretrain_knobs.h"

#define ROW(field) PRETRAIN_ROW(field)
static const Param params[] = {
    {"lr_linear", PARAM_FLOAT, ROW(lr_linear), "0.001", 0, 1e6, NULL, "learning rate of a layer of linear units"},
    {"momentum", PARAM_FLOAT, ROW(momentum), "0.9", 0, 0.99999, NULL, "share of the last step kept"},
    {"momentum_start", PARAM_FLOAT, ROW(momentum_start), "0.5", 0, 0.99999, NULL, "the same in the first epochs"},
    {"momentum_epochs", PARAM_INT, ROW(momentum_epochs), "5", 0, 1e9, NULL, "how many of them, in each layer"},
    {"weight_decay", PARAM_FLOAT, ROW(weight_decay), "0.0002", 0, 1e6, NULL, "L2, on weights, not on biases"},
    {0}};
#undef ROW

/* ---- sampling the hidden units ---- */

typedef struct Sample {
    uint32_t number;
    bool linear;
} Sample;

typedef struct SampleJob {
    const float *mean;
    float *to; /* holds the draws at first */
} SampleJob;

VECTOR_CLONES static double sample_logistic(const void *context, int64_t first, int64_t last) {
    const SampleJob job = *(const SampleJob *)context;
    for (int64_t i = first; i < last; i++) job.to[i] = job.to[i] < job.mean[i] ? 1.0f : 0.0f;
    return 0;
}

VECTOR_CLONES static double sample_linear(const void *context, int64_t first, int64_t last) {
    const SampleJob job = *(const SampleJob *)context;
    for (int64_t i = first; i < last; i++) job.to[i] += job.mean[i];
    return 0;
}

static void run_sample(const NativeCall *call) {
    const Sample *p = call->params;
    SampleJob job = {call->src[0].data, call->dst[0].data};
    int64_t n = call->src[0].size;
    if (p->linear)
        rng_fill_normal(call->run->seed, RNG_PRETRAIN, call->run->step, p->number, (size_t)n, job.to);
    else
        rng_fill_uniform(call->run->seed, RNG_PRETRAIN, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, PRETRAIN_GRAIN, p->linear ? sample_linear : sample_logistic, &job);
}

static Tensor *record_sample(Build *b, const PretrainBuild *spec, Tensor *mean) {
    Sample p = {.number = spec->number, .linear = spec->linear};
    Tensor *dst = build_tensor(b, F32, tensor_shape(mean));
    op_native(b, &(NativeSpec){.name = "sample",
                               .fn = run_sample,
                               .layout = NATIVE_DENSE,
                               .params = &p,
                               .params_bytes = sizeof p,
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {mean},
                               .dst = {dst}});
    return dst;
}

/* ---- the reconstruction ---- */

/* Columns of v1, of the gradient of c, and of the error; each span has columns of its own. */
typedef struct Columns {
    const float *input, *bias, *data; /* N,I before bias and logistic; I; N,I */
    float *to, *gradient;             /* N,I; I */
    int64_t n, width;
} Columns;

VECTOR_CLONES static double reconstruct(const void *context, int64_t first, int64_t last) {
    const Columns c = *(const Columns *)context;
    double error = 0;
    for (int64_t j = first; j < last; j++) c.gradient[j] = 0;
    for (int64_t n = 0; n < c.n; n++) {
        const float *input = c.input + n * c.width, *data = c.data + n * c.width;
        float *to = c.to + n * c.width, sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = first; j < last; j++) {
            float y = 1.0f / (1.0f + vm_expf(-(input[j] + c.bias[j]))), d = y - data[j];
            to[j] = y;
            c.gradient[j] += d;
            sum += d * d;
        }
        error += (double)sum;
    }
    float share = 1.0f / (float)c.n;
    for (int64_t j = first; j < last; j++) c.gradient[j] *= share;
    return error;
}

static void run_reconstruct(const NativeCall *call) {
    Columns c = {.input = call->src[0].data,
                 .bias = call->src[1].data,
                 .data = call->src[2].data,
                 .to = call->dst[0].data,
                 .gradient = call->dst[1].data,
                 .n = call->src[0].shape.dim[0],
                 .width = call->src[0].shape.dim[1]};
    *(double *)call->dst[2].data = spans_run(c.width, PRETRAIN_COLUMNS, reconstruct, &c);
}

static Tensor *record_reconstruction(Build *b, const PretrainTensors *t, Tensor *hidden) {
    Tensor *v1 = build_tensor(b, F32, tensor_shape(t->visible)), *error = build_tensor(b, F64, SHAPE(1));
    op_native(b,
              &(NativeSpec){.name = "reconstruct",
                            .fn = run_reconstruct,
                            .layout = NATIVE_DENSE,
                            .n_src = 3,
                            .n_dst = 3,
                            .src = {pretrain_transposed(b, t, hidden), t->weights[PRETRAIN_VISIBLE_BIAS], t->visible},
                            .dst = {v1, t->gradients[PRETRAIN_VISIBLE_BIAS], error}});
    build_output(b, "error", error);
    return v1;
}

/* ---- the program ---- */

static Err program(Program **out, const PretrainBuild *spec, Error *err) {
    Build *b = build_new(spec->engine, &(BuildOptions){.training = true});
    PretrainTensors t = pretrain_tensors(b, spec);
    const Act act = {.kind = spec->linear ? ACT_NONE : ACT_SIGMOID};
    Tensor *h0 = op_dense(b, act, t.visible, t.weights[PRETRAIN_WEIGHTS], t.weights[PRETRAIN_BIAS]);
    Tensor *v1 = record_reconstruction(b, &t, record_sample(b, spec, h0));
    Tensor *h1 = op_dense(b, act, v1, t.weights[PRETRAIN_WEIGHTS], t.weights[PRETRAIN_BIAS]);
    /* both phases in one product: the batch of 2 N holds data and reconstruction, the first with a minus */
    const float share = 1.0f / (float)spec->n;
    Tensor *visible = pretrain_stack(b, t.visible, 1, v1, 1), *hidden = pretrain_stack(b, h0, -share, h1, share);
    op_dense_backward(b, visible, t.weights[PRETRAIN_WEIGHTS], hidden, false, t.gradients[PRETRAIN_WEIGHTS],
                      t.gradients[PRETRAIN_BIAS]);
    return build_finish(out, b, err);
}

const PretrainKind pretrain_rbm = {
    .name = "rbm",
    .doc = "restricted Boltzmann machines by contrastive divergence, CD-1 (Hinton & Salakhutdinov 2006)",
    .params = params,
    .takes_linear = true,
    .measure = "reconstruction_error",
    .program = program,
};
