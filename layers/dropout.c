/* dropout.c - sets values to zero at random in training: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov
 * 2014, in the inverted form, which leaves inference untouched.
 *
 *     dst = u < rate ? 0 : src / (1 - rate)          u uniform in [0, 1), drawn anew for each value and step
 *
 * src and dst of any shape. The draws are the stream (seed, RNG_LAYER, step, layer number) over the values in memory
 * order, so they do not depend on the number of threads. What was kept is remembered for the gradient, a byte a value.
 */
#include "layers/common.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"

enum { MASK }; /* kept: U8, 1 where the value was let through */

typedef struct Dropout {
    double rate;
} Dropout;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(Dropout, rate), "0.5", 0, 0.999, NULL, "share of the values set to zero"}, {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    *dst = src[0];
    return true;
}

typedef struct Draw {
    float rate, scale;
    uint32_t number;
} Draw;

/* Arrays of one call; the loops over them are cut into spans. */
typedef struct Job {
    const float *from;
    float *to;
    uint8_t *mask;
    float rate, scale;
} Job;

/* `to` holds the draws at first. */
VECTOR_CLONES static double drop(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        bool kept = job.to[i] >= job.rate;
        float value = job.from[i] * job.scale;
        job.mask[i] = kept;
        job.to[i] = kept ? value : 0;
    }
    return 0;
}

VECTOR_CLONES static double drop_backward(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i] * job.scale;
        job.to[i] = job.mask[i] ? value : 0;
    }
    return 0;
}

static void run_forward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {call->src[0].data, call->dst[0].data, call->dst[1].data, p->rate, p->scale};
    int64_t n = call->src[0].size;
    rng_fill_uniform(call->run->seed, RNG_LAYER, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, NATIVE_SMALL, drop, &job);
}

static void run_backward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {call->src[0].data, call->dst[0].data, call->src[1].data, p->rate, p->scale};
    spans_run(call->src[0].size, NATIVE_SMALL, drop_backward, &job);
}

static Draw draw(const LayerBuild *l) {
    const Dropout *p = l->params;
    return (Draw){.rate = (float)p->rate, .scale = (float)(1 / (1 - p->rate)), .number = l->number};
}

static bool does_nothing(const LayerBuild *l) {
    const Dropout *p = l->params;
    return !l->training || p->rate == 0;
}

static void forward(Build *b, LayerBuild *l) {
    Draw p = draw(l);
    l->dst = l->src[0];
    if (does_nothing(l)) return;
    Shape shape = tensor_shape(l->src[0]);
    l->dst = build_tensor(b, F32, shape);
    l->kept[MASK] = build_tensor(b, U8, shape);
    op_native(b, &(NativeSpec){.name = "dropout",
                               .fn = run_forward,
                               .layout = NATIVE_ELEMENTWISE,
                               .params = &p,
                               .params_bytes = sizeof(p),
                               .n_src = 1,
                               .n_dst = 2,
                               .src = {l->src[0]},
                               .dst = {l->dst, l->kept[MASK]}});
}

static void backward(Build *b, LayerBuild *l) {
    Draw p = draw(l);
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = l->diff_dst;
    if (does_nothing(l)) return;
    l->diff_src[0] = build_tensor(b, F32, tensor_shape(l->src[0]));
    op_native(b, &(NativeSpec){.name = "dropout backward",
                               .fn = run_backward,
                               .layout = NATIVE_ELEMENTWISE,
                               .params = &p,
                               .params_bytes = sizeof(p),
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {l->diff_dst, l->kept[MASK]},
                               .dst = {l->diff_src[0]},
                               .in_place = true});
}

const LayerKind layer_dropout = {
    .name = "dropout",
    .doc = "in training sets a share `rate` of the values to 0 and divides the others by 1 - rate (Srivastava et al. "
           "2014)",
    .params = params,
    .params_bytes = sizeof(Dropout),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
};
