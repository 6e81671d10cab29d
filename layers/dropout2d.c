/* dropout2d.c - sets whole channels of a picture to zero at random in training: Tompson, Goroshin, Jain, LeCun &
 * Bregler 2015, section 3.2 ("SpatialDropout"). Neighbouring pixels of a channel say nearly the same, so dropout.c's
 * single values hide little.
 *
 *     dst[n,c,:,:] = u[n,c] < rate ? 0 : src[n,c,:,:] / (1 - rate)     u uniform in [0, 1), drawn anew for each step
 *
 * src and dst N,C,H,W. u is the stream (seed, RNG_LAYER, step, layer number), in the order n, c.
 */
#include "layers/common.h"

#include "base/rng.h"
#include "base/vmath.h"

enum { FACTORS }; /* kept: N,C */
enum { LANES = 16 };

typedef struct Dropout2d {
    double rate;
} Dropout2d;

static const Param params[] = {
    {"rate", PARAM_FLOAT, offsetof(Dropout2d, rate), "0.5", 0, 0.999, NULL, "share of the channels set to zero"}, {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    if (!layer_is_picture(src[0], phrase)) return false;
    *dst = src[0];
    return true;
}

typedef struct Draw {
    float rate, scale;
    uint32_t number; /* of the layer */
} Draw;

static void run_draw(const NativeCall *call) {
    const Draw *p = call->params;
    float *factor = call->dst[0].data;
    int64_t n = call->dst[0].size;
    rng_fill_uniform(call->run->seed, RNG_LAYER, call->run->step, p->number, (size_t)n, factor);
    for (int64_t i = 0; i < n; i++) factor[i] = factor[i] < p->rate ? 0 : p->scale;
}

VECTOR_CLONES static void multiply_16(int64_t places, const float *factor, const float *from, float *to) {
    for (int64_t i = 0; i < places; i++)
#pragma omp simd
        for (int64_t l = 0; l < LANES; l++) to[i * LANES + l] = factor[l] * from[i * LANES + l];
}

VECTOR_CLONES static void multiply(int64_t places, int64_t lanes, const float *factor, const float *from, float *to) {
    for (int64_t i = 0; i < places; i++)
        for (int64_t l = 0; l < lanes; l++) to[i * lanes + l] = factor[l] * from[i * lanes + l];
}

/* dst[n,c,:,:] = factor[n,c] * src[n,c,:,:], of the values as of their gradient. */
static void run_multiply(const NativeCall *call) {
    const NativeArg *src = &call->src[0];
    const Shape shape = src->shape;
    const int64_t inner = src->inner, planes = src->outer / shape.dim[0], places = shape.dim[2] * shape.dim[3];
#pragma omp parallel for if (src->size > NATIVE_SMALL)
    for (int64_t p = 0; p < src->outer; p++) {
        const int64_t first = p % planes * inner; /* channel of lane 0 */
        const float *factor = (const float *)call->src[1].data + p / planes * shape.dim[1] + first;
        const float *from = (const float *)src->data + p * places * inner;
        float *to = (float *)call->dst[0].data + p * places * inner, padded[LANES] = {0};
        if (inner == LANES) {
            for (int64_t l = 0; l < LANES && first + l < shape.dim[1]; l++) padded[l] = factor[l];
            multiply_16(places, padded, from, to);
            continue;
        }
        if (inner > 1 && inner < LANES)
            for (int64_t l = 0; l < inner && first + l < shape.dim[1]; l++) padded[l] = factor[l];
        multiply(places, inner, inner > 1 && inner < LANES ? padded : factor, from, to);
    }
}

static Tensor *multiplied(Build *b, Tensor *src, Tensor *factors, const char *name) {
    Tensor *dst = build_tensor(b, F32, tensor_shape(src));
    op_native(b, &(NativeSpec){.name = name,
                               .fn = run_multiply,
                               .layout = NATIVE_PLANES,
                               .n_src = 2,
                               .n_dst = 1,
                               .src = {src, factors},
                               .dst = {dst},
                               .in_place = true});
    return dst;
}

static bool does_nothing(const LayerBuild *l) {
    const Dropout2d *p = l->params;
    return !l->training || p->rate == 0;
}

static void forward(Build *b, LayerBuild *l) {
    const Dropout2d *p = l->params;
    Shape shape = tensor_shape(l->src[0]);
    Draw draw = {.rate = (float)p->rate, .scale = (float)(1 / (1 - p->rate)), .number = l->number};
    l->dst = l->src[0];
    if (does_nothing(l)) return;
    l->kept[FACTORS] = build_tensor(b, F32, SHAPE(shape.dim[0], shape.dim[1]));
    op_native(b, &(NativeSpec){.name = "dropout2d draw",
                               .fn = run_draw,
                               .layout = NATIVE_DENSE,
                               .params = &draw,
                               .params_bytes = sizeof(draw),
                               .n_dst = 1,
                               .dst = {l->kept[FACTORS]}});
    l->dst = multiplied(b, l->src[0], l->kept[FACTORS], "dropout2d");
}

static void backward(Build *b, LayerBuild *l) {
    if (!l->want_diff_src[0]) return;
    l->diff_src[0] = does_nothing(l) ? l->diff_dst : multiplied(b, l->diff_dst, l->kept[FACTORS], "dropout2d backward");
}

const LayerKind layer_dropout2d = {
    .name = "dropout2d",
    .doc = "in training sets a share `rate` of the channels to 0 and divides the others by 1 - rate (Tompson et al. "
           "2015)",
    .params = params,
    .params_bytes = sizeof(Dropout2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
    .training_only = true,
};
