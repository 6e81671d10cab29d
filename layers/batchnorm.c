/* batchnorm.c - batch normalisation: Ioffe & Szegedy 2015, algorithms 1 and 2.
 *
 *     training:   dst = scale * (src - mean) / sqrt(variance + epsilon) + shift      mean, variance over N (and H, W)
 *     inference:  the same with running_mean and running_var
 *     after each training step:  running = (1 - momentum) * running + momentum * batch
 *
 * src and dst N,C or N,C,H,W; scale, shift (trained), running_mean, running_var (buffers) C. momentum has PyTorch's
 * meaning (Keras's is 1 minus it). The variance that normalises is the biased one, the one that enters running_var the
 * unbiased one (m / (m - 1) times larger for m values), as in PyTorch; a batch with one value a channel leaves
 * running_var as it is. A frozen layer normalises by its running statistics and leaves them alone. A following plain
 * ReLU is fused in.
 */
#include "layers/common.h"

#include <math.h>

enum { SCALE, SHIFT, RUNNING_MEAN, RUNNING_VAR };
enum { MEAN, VARIANCE, WORKSPACE }; /* kept */

typedef struct BatchNorm {
    double momentum, epsilon;
    bool use_running;
} BatchNorm;

static const Param params[] = {
    {"momentum", PARAM_FLOAT, offsetof(BatchNorm, momentum), "0.1", 0, 1, NULL,
     "share of the new batch in the running statistics (PyTorch's meaning; Keras's is 1 minus it)"},
    {"epsilon", PARAM_FLOAT, offsetof(BatchNorm, epsilon), "1e-5", 1e-12, 1, NULL, "added to the variance"},
    {"use_running", PARAM_BOOL, offsetof(BatchNorm, use_running), "false", 0, 0, NULL,
     "normalise by the running statistics in training too, and leave them as they are (fine-tuning)"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    if (src[0].rank != 2 && !layer_is_picture(src[0], phrase)) return false;
    *dst = src[0];
    return true;
}

static int weights(const void *object, const Shape *src, Shape dst, WeightDecl decls[LAYER_MAX_WEIGHTS]) {
    Shape shape = SHAPE(src[0].dim[1]);
    decls[SCALE] = (WeightDecl){.name = "scale", .shape = shape, .flags = WEIGHT_TRAINED, .init = "ones"};
    decls[SHIFT] = (WeightDecl){.name = "shift", .shape = shape, .flags = WEIGHT_TRAINED, .init = "zeros"};
    decls[RUNNING_MEAN] = (WeightDecl){.name = "running_mean", .shape = shape, .init = "zeros"};
    decls[RUNNING_VAR] = (WeightDecl){.name = "running_var", .shape = shape, .init = "ones"};
    return 4;
}

/* A plain ReLU only: the operation knows no other. */
static bool fuses_act(const void *object, Act act) {
    return act.kind == ACT_RELU && act.alpha == 0;
}

static BatchNormSpec norm_spec(const LayerBuild *l) {
    const BatchNorm *p = l->params;
    return (BatchNormSpec){
        .epsilon = (float)p->epsilon, .relu = l->act.kind == ACT_RELU, .use_global = p->use_running || l->frozen};
}

typedef struct Update {
    float momentum;
    float unbias; /* m / (m - 1); 0: a single value has no variance */
} Update;

static void run_update(const NativeCall *call) {
    const Update *u = call->params;
    const float *mean = call->src[0].data, *variance = call->src[1].data;
    float *running_mean = call->dst[0].data, *running_var = call->dst[1].data;
    for (int64_t c = 0; c < call->src[0].shape.dim[0]; c++) {
        running_mean[c] = (1 - u->momentum) * running_mean[c] + u->momentum * mean[c];
        if (u->unbias > 0)
            running_var[c] = (1 - u->momentum) * running_var[c] + u->momentum * (u->unbias * variance[c]);
    }
}

static void record_update(Build *b, const LayerBuild *l) {
    const BatchNorm *p = l->params;
    Shape src = tensor_shape(l->src[0]);
    const int64_t m = shape_size(src) / src.dim[1]; /* values a channel */
    Update update = {.momentum = (float)p->momentum, .unbias = m > 1 ? (float)((double)m / (double)(m - 1)) : 0};
    op_native(b, &(NativeSpec){.name = "running statistics",
                               .fn = run_update,
                               .layout = NATIVE_DENSE,
                               .params = &update,
                               .params_bytes = sizeof(update),
                               .n_src = 2,
                               .n_dst = 2,
                               .src = {l->kept[MEAN], l->kept[VARIANCE]},
                               .dst = {l->weights[RUNNING_MEAN], l->weights[RUNNING_VAR]}});
}

static void forward(Build *b, LayerBuild *l) {
    const BatchNorm *p = l->params;
    BatchNormSpec spec = norm_spec(l);
    bool of_batch = l->training && !p->use_running && !l->frozen;
    if (!of_batch) {
        l->kept[MEAN] = l->weights[RUNNING_MEAN];
        l->kept[VARIANCE] = l->weights[RUNNING_VAR];
    }
    l->dst = op_batchnorm(b, &spec, l->src[0], l->weights[SCALE], l->weights[SHIFT], &l->kept[MEAN], &l->kept[VARIANCE],
                          &l->kept[WORKSPACE]);
    if (of_batch) record_update(b, l);
}

static void backward(Build *b, LayerBuild *l) {
    BatchNormSpec spec = norm_spec(l);
    Tensor *diff = op_batchnorm_backward(b, &spec, l->src[0], l->weights[SCALE], l->weights[SHIFT], l->kept[MEAN],
                                         l->kept[VARIANCE], l->kept[WORKSPACE], l->diff_dst, l->diff_weights[SCALE],
                                         l->diff_weights[SHIFT]);
    if (l->want_diff_src[0]) l->diff_src[0] = diff;
}

/* factor = scale / sqrt(running_var + epsilon), shift' = shift - factor * running_mean; epsilon in 32 bits, as the
 * operation has it. */
static void scale_shift(const void *object, const float *const *w, int64_t channels, double *factor, double *shift) {
    const BatchNorm *p = object;
    for (int64_t c = 0; c < channels; c++) {
        factor[c] = (double)w[SCALE][c] / sqrt((double)w[RUNNING_VAR][c] + (double)(float)p->epsilon);
        shift[c] = (double)w[SHIFT][c] - factor[c] * (double)w[RUNNING_MEAN][c];
    }
}

const LayerKind layer_batchnorm = {
    .name = "batchnorm",
    .doc = "dst = scale * (src - mean) / sqrt(variance + epsilon) + shift per channel (Ioffe & Szegedy 2015)",
    .params = params,
    .params_bytes = sizeof(BatchNorm),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .weights = weights,
    .forward = forward,
    .backward = backward,
    .fuses_act = fuses_act,
    .scale_shift = scale_shift,
};
