/* replace.c - values replaced at random. See replace.h. */
#include "layers/replace.h"

#include "base/rng.h"
#include "base/spans.h"
#include "base/vmath.h"

enum { MASK }; /* kept: U8, 1 where the value was let through */

typedef struct Draw {
    Replacement r;
    uint32_t number; /* of the layer */
} Draw;

/* Arrays of one call; the loops over them are cut into spans. */
typedef struct Job {
    const float *from;
    float *to;
    uint8_t *mask;
    Replacement r;
} Job;

/* `to` holds the draws at first. */
VECTOR_CLONES static double replace(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float u = job.to[i], value = job.from[i] * job.r.scale;
        float other = u < job.r.low_rate ? job.r.low : job.r.high;
        bool kept = u >= job.r.rate;
        job.mask[i] = kept;
        job.to[i] = kept ? value : other;
    }
    return 0;
}

VECTOR_CLONES static double replace_backward(const void *context, int64_t first, int64_t last) {
    const Job job = *(const Job *)context;
    for (int64_t i = first; i < last; i++) {
        float value = job.from[i] * job.r.scale;
        job.to[i] = job.mask[i] ? value : 0;
    }
    return 0;
}

static void run_forward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {call->src[0].data, call->dst[0].data, call->dst[1].data, p->r};
    int64_t n = call->src[0].size;
    rng_fill_uniform(call->run->seed, RNG_LAYER, call->run->step, p->number, (size_t)n, job.to);
    spans_run(n, NATIVE_SMALL, replace, &job);
}

static void run_backward(const NativeCall *call) {
    const Draw *p = call->params;
    Job job = {call->src[0].data, call->dst[0].data, call->src[1].data, p->r};
    spans_run(call->src[0].size, NATIVE_SMALL, replace_backward, &job);
}

void layer_replace(Build *b, LayerBuild *l, const Replacement *r) {
    Draw p = {.r = *r, .number = l->number};
    Shape shape = tensor_shape(l->src[0]);
    l->dst = build_tensor(b, F32, shape);
    l->kept[MASK] = build_tensor(b, U8, shape);
    op_native(b, &(NativeSpec){.name = r->name,
                               .fn = run_forward,
                               .layout = r->layout,
                               .params = &p,
                               .params_bytes = sizeof(p),
                               .n_src = 1,
                               .n_dst = 2,
                               .src = {l->src[0]},
                               .dst = {l->dst, l->kept[MASK]}});
}

void layer_replace_backward(Build *b, LayerBuild *l, const Replacement *r) {
    if (!l->want_diff_src[0]) return;
    Draw p = {.r = *r, .number = l->number};
    l->diff_src[0] = build_tensor(b, F32, tensor_shape(l->src[0]));
    op_native(b, &(NativeSpec){.name = r->backward_name,
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
