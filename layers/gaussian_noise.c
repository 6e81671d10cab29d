/* gaussian_noise.c - adds normal noise in training: the corruption of denoising autoencoders, Vincent, Larochelle,
 * Lajoie, Bengio & Manzagol 2010, section 3.3.
 *
 *     dst = src + deviation * z, then clipped to [low, high] where `clip` is given       z normal, mean 0, deviation 1
 *
 * src and dst of any shape. z is the stream (seed, RNG_LAYER, step, layer number) over the values in logical order. No
 * gradient passes a value that was clipped.
 */
#include "layers/common.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"

#include <math.h>

typedef struct GaussianNoise {
    double deviation;
    ParamList clip;
} GaussianNoise;

static const Param params[] = {
    {"deviation", PARAM_FLOAT, offsetof(GaussianNoise, deviation), NULL, 0, 1e6, NULL, "of the noise"},
    {"clip", PARAM_FLOATS, offsetof(GaussianNoise, clip), "", 0, 0, NULL, "[low, high]: limits of the result"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const ParamList *clip = &((const GaussianNoise *)object)->clip;
    if (clip->n != 0 && clip->n != 2) return layer_phrase(phrase, "'clip' must be [low, high], got %d values", clip->n);
    if (clip->n == 2 && !(clip->floats[0] < clip->floats[1]))
        return layer_phrase(phrase, "'clip' must have low below high, got [%g, %g]", clip->floats[0], clip->floats[1]);
    *dst = src[0];
    return true;
}

typedef struct Draw {
    float deviation, low, high;
    uint32_t number;
} Draw;

static Draw draw(const LayerBuild *l) {
    const GaussianNoise *p = l->params;
    bool clips = p->clip.n == 2;
    return (Draw){.deviation = (float)p->deviation,
                  .low = clips ? (float)p->clip.floats[0] : -INFINITY,
                  .high = clips ? (float)p->clip.floats[1] : INFINITY,
                  .number = l->number};
}

/* Arrays of one call; the loops over them are cut into spans. */
typedef struct Job {
    const float *from, *dst;
    float *to;
    Draw draw;
} Job;

/* `to` holds the draws at first. */
VECTOR_CLONES static double add_noise(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i] + job.draw.deviation * job.to[i];
        value = value < job.draw.low ? job.draw.low : value;
        job.to[i] = value > job.draw.high ? job.draw.high : value;
    }
    return 0;
}

VECTOR_CLONES static double stop_at_limits(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i];
        job.to[i] = (job.dst[i] > job.draw.low) & (job.dst[i] < job.draw.high) ? value : 0;
    }
    return 0;
}

static void run_forward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {.from = call->src[0].data, .to = call->dst[0].data, .draw = *p};
    int64_t n = call->src[0].size;
    rng_fill_normal(call->run->seed, RNG_LAYER, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, NATIVE_SMALL, add_noise, &job);
}

static void run_backward(const NativeCall *call) {
    Job job = {.from = call->src[0].data,
               .dst = call->src[1].data,
               .to = call->dst[0].data,
               .draw = *(const Draw *)call->params};
    spans_run(call->src[0].size, NATIVE_SMALL, stop_at_limits, &job);
}

static void forward(Build *b, LayerBuild *l) {
    Draw p = draw(l);
    l->dst = l->src[0];
    if (!l->draws) return;
    l->dst = build_tensor(b, F32, tensor_shape(l->src[0]));
    op_native(b, &(NativeSpec){.name = "gaussian_noise",
                               .fn = run_forward,
                               .layout = NATIVE_DENSE, /* noise must stay out of padding */
                               .params = &p,
                               .params_bytes = sizeof(p),
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {l->src[0]},
                               .dst = {l->dst}});
}

static void backward(Build *b, LayerBuild *l) {
    Draw p = draw(l);
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = l->diff_dst;
    if (!l->draws || p.low == -INFINITY) return;
    l->diff_src[0] = build_tensor(b, F32, tensor_shape(l->src[0]));
    op_native(b, &(NativeSpec){.name = "gaussian_noise backward",
                               .fn = run_backward,
                               .layout = NATIVE_ELEMENTWISE,
                               .params = &p,
                               .params_bytes = sizeof(p),
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->dst},
                               .dst = {l->diff_src[0]},
                               .in_place = true});
}

const LayerKind layer_gaussian_noise = {
    .name = "gaussian_noise",
    .doc = "in training adds normal noise: dst = src + deviation * z, clipped on request (Vincent et al. 2010)",
    .params = params,
    .params_bytes = sizeof(GaussianNoise),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
    .corrupts = true,
};
