/* masking_noise.c - replaces values by a constant at random in training: the corruption of denoising autoencoders,
 * Vincent, Larochelle, Lajoie, Bengio & Manzagol 2010, section 3.3. Unlike dropout it does not scale the others.
 *
 *     dst = u < rate ? value : src          u uniform in [0, 1), drawn anew for each value and step
 *
 * src and dst of any shape. The draws are the stream (seed, RNG_LAYER, step, layer number) over the values in logical
 * order. What was let through is remembered for the gradient, a byte a value.
 */
#include "layers/common.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"

enum { MASK }; /* kept: U8, 1 where the value was let through */

typedef struct MaskingNoise {
    double rate, value;
} MaskingNoise;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(MaskingNoise, rate), NULL, 0, 1, NULL, "share of the values replaced"},
    {"value", PARAM_FLOAT, offsetof(MaskingNoise, value), "0", 0, 0, NULL, "what replaces them"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    return true;
}

typedef struct Draw {
    float rate, value;
    uint32_t number;
} Draw;

/* Arrays of one call; the loops over them are cut into spans. */
typedef struct Job {
    const float *from;
    float *to;
    uint8_t *mask;
    float rate, value;
} Job;

/* `to` holds the draws at first. */
VECTOR_CLONES static double replace(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        bool kept = job.to[i] >= job.rate;
        float value = job.from[i];
        job.mask[i] = kept;
        job.to[i] = kept ? value : job.value;
    }
    return 0;
}

VECTOR_CLONES static double replace_backward(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i];
        job.to[i] = job.mask[i] ? value : 0;
    }
    return 0;
}

static void run_forward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {call->src[0].data, call->dst[0].data, call->dst[1].data, p->rate, p->value};
    int64_t n = call->src[0].size;
    rng_fill_uniform(call->run->seed, RNG_LAYER, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, NATIVE_SMALL, replace, &job);
}

static void run_backward(const NativeCall *call) {
    Job job = {.from = call->src[0].data, .to = call->dst[0].data, .mask = call->src[1].data};
    spans_run(call->src[0].size, NATIVE_SMALL, replace_backward, &job);
}

static void forward(Build *b, LayerBuild *l) {
    const MaskingNoise *p = l->params;
    l->dst = l->src[0];
    if (!l->draws) return;
    Draw draw = {.rate = (float)p->rate, .value = (float)p->value, .number = l->number};
    Shape shape = tensor_shape(l->src[0]);
    l->dst = build_tensor(b, F32, shape);
    l->kept[MASK] = build_tensor(b, U8, shape);
    op_native(b, &(NativeSpec){.name = "masking_noise",
                               .fn = run_forward,
                               .layout = NATIVE_DENSE, /* `value` must stay out of padding */
                               .params = &draw,
                               .params_bytes = sizeof(draw),
                               .n_src = 1,
                               .n_dst = 2,
                               .src = {l->src[0]},
                               .dst = {l->dst, l->kept[MASK]}});
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = l->diff_dst;
    if (!l->draws) return;
    l->diff_src[0] = build_tensor(b, F32, tensor_shape(l->src[0]));
    op_native(b, &(NativeSpec){.name = "masking_noise backward",
                               .fn = run_backward,
                               .layout = NATIVE_ELEMENTWISE,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->kept[MASK]},
                               .dst = {l->diff_src[0]},
                               .in_place = true});
}

const LayerKind layer_masking_noise = {
    .name = "masking_noise",
    .doc =
        "in training replaces a share `rate` of the values by `value`, others stay as they are (Vincent et al. 2010)",
    .params = params,
    .params_bytes = sizeof(MaskingNoise),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
    .corrupts = true,
};
