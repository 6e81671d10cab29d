/* gaussian_sample.c - draws the code of a variational autoencoder: Kingma & Welling 2013, section 2.4, with the
 * reparametrisation that lets the gradient pass.
 *
 *     dst = mean + exp(log_variance / 2) * e          e normal, drawn anew for each value and step
 *
 * src N,2D,...: mean in channels 0 .. D-1, log_variance in the D behind them; dst N,D,... Where nothing is drawn (in
 * inference, unless a program asks for it) dst = mean. e is the stream (seed, RNG_LAYER, step, layer number) over dst's
 * values in logical order.
 *
 * A log_variance above 80 counts as 80, a deviation of 2e17, and gets no gradient: exp would soon be infinite, and the
 * sample with it. The loss that belongs to it, gaussian_kl, has no such limit: a run that gets there is stopped by it.
 */
#include "layers/common.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"

enum { NOISE }; /* kept: exp(log_variance / 2) * e, of dst's shape */

#define MOST_LOG_VARIANCE 80.0f

typedef struct GaussianSample {
    char unused; /* no knobs, but a struct needs a member */
} GaussianSample;

static const Param params[] = {{0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    char text[SHAPE_TEXT_BYTES];
    if (src[0].rank == 3)
        return layer_phrase(phrase, "needs vectors or pictures, got a sequence, %s: put a flatten in front",
                            shape_text(src[0], text));
    if (src[0].rank < 2 || src[0].dim[1] % 2 != 0)
        return layer_phrase(phrase,
                            "needs an even number of channels, means and then as many log-variances, got %s: twice the "
                            "code's size in front",
                            shape_text(src[0], text));
    *dst = src[0];
    dst->dim[1] /= 2;
    return true;
}

/* Arrays of one call, each of `samples` parts: half values of mean, noise, dst; 2 * half of src. */
typedef struct Job {
    const float *src, *diff_dst;
    float *noise, *dst, *diff_src;
    int64_t half;
} Job;

/* `noise` holds e at first. */
VECTOR_CLONES static double draw(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t n = first; n < last; n++) {
        const float *mean = job.src + n * 2 * job.half, *log_variance = mean + job.half;
        float *noise = job.noise + n * job.half, *dst = job.dst + n * job.half;
        for (int64_t i = 0; i < job.half; i++) {
            float v = log_variance[i];
            v = v > MOST_LOG_VARIANCE ? MOST_LOG_VARIANCE : v;
            noise[i] *= vm_expf(0.5f * v);
            dst[i] = mean[i] + noise[i];
        }
    }
    return 0;
}

/* d dst / d mean = 1, d dst / d log_variance = noise / 2. */
VECTOR_CLONES static double draw_backward(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t n = first; n < last; n++) {
        const float *log_variance = job.src + (2 * n + 1) * job.half, *noise = job.noise + n * job.half;
        const float *diff = job.diff_dst + n * job.half;
        float *to_mean = job.diff_src + n * 2 * job.half, *to_log_variance = to_mean + job.half;
        for (int64_t i = 0; i < job.half; i++) {
            float change = 0.5f * noise[i] * diff[i];
            to_mean[i] = diff[i];
            to_log_variance[i] = log_variance[i] > MOST_LOG_VARIANCE ? 0 : change;
        }
    }
    return 0;
}

static void run_samples(const Job *job, int64_t n, SpanFn fn) {
    spans_run(n, job->half < NATIVE_SMALL ? NATIVE_SMALL / job->half : 1, fn, job);
}

static void run_forward(const NativeCall *call) {
    const uint32_t number = *(const uint32_t *)call->params;
    int64_t n = call->dst[0].shape.dim[0], size = call->dst[0].size;
    Job job = {
        .src = call->src[0].data, .dst = call->dst[0].data, .noise = call->dst[1].data, .half = n > 0 ? size / n : 1};
    rng_fill_normal(call->run->seed, RNG_LAYER, call->run->step, number, (size_t)size, job.noise);
    run_samples(&job, n, draw);
}

static void run_backward(const NativeCall *call) {
    int64_t n = call->src[0].shape.dim[0], size = call->src[0].size;
    Job job = {.diff_dst = call->src[0].data,
               .src = call->src[1].data,
               .noise = call->src[2].data,
               .diff_src = call->dst[0].data,
               .half = n > 0 ? size / n : 1};
    run_samples(&job, n, draw_backward);
}

static void forward(Build *b, LayerBuild *l) {
    Shape shape = tensor_shape(l->src[0]);
    shape.dim[1] /= 2;
    if (!l->draws) {
        l->dst = op_crop(b, l->src[0], (int64_t[SHAPE_MAX_RANK]){0}, shape);
        return;
    }
    l->dst = build_tensor(b, F32, shape);
    l->kept[NOISE] = build_tensor(b, F32, shape);
    op_native(b, &(NativeSpec){.name = "gaussian_sample",
                               .fn = run_forward,
                               .layout = NATIVE_DENSE,
                               .params = &l->number,
                               .params_bytes = sizeof(l->number),
                               .n_src = 1,
                               .n_dst = 2,
                               .src = {l->src[0]},
                               .dst = {l->dst, l->kept[NOISE]}});
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    Shape shape = tensor_shape(l->src[0]);
    if (!l->draws) {
        l->diff_src[0] = op_embed(b, l->diff_dst, (int64_t[SHAPE_MAX_RANK]){0}, shape);
        return;
    }
    l->diff_src[0] = build_tensor(b, F32, shape);
    op_native(b, &(NativeSpec){.name = "gaussian_sample backward",
                               .fn = run_backward,
                               .layout = NATIVE_DENSE,
                               .n_src = 3,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->src[0], l->kept[NOISE]},
                               .dst = {l->diff_src[0]}});
}

const LayerKind layer_gaussian_sample = {
    .name = "gaussian_sample",
    .doc = "mean | log-variance along the channels to a draw, mean + exp(log-variance / 2) * e; in inference the mean "
           "(Kingma & Welling 2013)",
    .params = params,
    .params_bytes = sizeof(GaussianSample),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .corrupts = true,
};
