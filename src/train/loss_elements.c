/* loss_elements.c - losses that compare element by element with a target of the same size: mse, mae, bce.
 *
 * Each is a mean over all elements, so the gradient is that of one element times scale / (N C S). One pass reads value
 * and target and writes the gradient.
 */
#include "base/spans.h"
#include "base/vmath.h"
#include "train/loss_kinds.h"

enum { GRAIN = 16384 }; /* elements: about ten microseconds of work */

/* One stretch: returns the sum of the elements' losses, writes their gradients times `factor` unless diff is NULL. */
typedef double (*ElementsFn)(int64_t n, const float *restrict x, const float *restrict t, float factor,
                             float *restrict diff);

typedef struct ElementsRun {
    const float *x, *t;
    float *diff;
    float factor;
    ElementsFn fn;
} ElementsRun;

static double elements_span(const void *context, int64_t first, int64_t last) {
    const ElementsRun *r = context;
    return r->fn(last - first, r->x + first, r->t + first, r->factor, r->diff ? r->diff + first : NULL);
}

static void elements_run(const LossArgs *args, ElementsFn fn) {
    int64_t n = args->n * args->c * args->s;
    ElementsRun run = {.x = args->src, .t = args->target, .diff = args->diff_src, .fn = fn};
    run.factor = n > 0 ? (float)((double)args->scale / (double)n) : 0.0f;
    *args->sum = spans_run(n, GRAIN, elements_span, &run);
    *args->weight = (double)n;
}

/* ---- mse: (x - t)^2; gradient 2 (x - t) */

VECTOR_CLONES
static double mse_elements(int64_t n, const float *restrict x, const float *restrict t, float factor,
                           float *restrict diff) {
    double sum = 0;
    if (!diff) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) {
            float d = x[i] - t[i];
            sum += (double)d * (double)d;
        }
        return sum;
    }
    float twice = 2.0f * factor;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - t[i];
        sum += (double)d * (double)d;
        diff[i] = twice * d;
    }
    return sum;
}

static void mse_run(const void *params, const LossArgs *args) {
    elements_run(args, mse_elements);
}

static const Param no_params[] = {{0}};

const LossKind loss_mse = {
    .name = "mse",
    .doc = "mean squared error: mean over elements of (x - t)^2",
    .params = no_params,
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .run = mse_run,
};

/* ---- mae: |x - t|; gradient sign(x - t), 0 where they are equal */

VECTOR_CLONES
static double mae_elements(int64_t n, const float *restrict x, const float *restrict t, float factor,
                           float *restrict diff) {
    double sum = 0;
    if (!diff) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) sum += (double)fabsf(x[i] - t[i]);
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - t[i];
        sum += (double)fabsf(d);
        float positive = d > 0.0f ? factor : 0.0f, negative = d < 0.0f ? factor : 0.0f;
        /* d - d: 0, but NaN when d is: a broken value must not get a harmless gradient */
        diff[i] = positive - negative + (d - d);
    }
    return sum;
}

static void mae_run(const void *params, const LossArgs *args) {
    elements_run(args, mae_elements);
}

const LossKind loss_mae = {
    .name = "mae",
    .doc = "mean absolute error: mean over elements of |x - t|",
    .params = no_params,
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .run = mae_run,
};

/* ---- bce: -(t log p + (1 - t) log(1 - p))
 *
 * From logits x, p = sigmoid(x):  max(x, 0) - x t + log(1 + exp(-|x|)),  gradient sigmoid(x) - t. Nothing in it can
 * overflow or lose its digits. From probabilities: p limited to [1e-7, 1 - 1e-7] as in Keras, with gradient
 * (p - t) / (p (1 - p)), and 0 where the limit holds. */

/* One element; *p: sigmoid(x). log(1 + e) is taken as 2 atanh(e / (2 + e)), and one division serves it and the sigmoid.
 */
VECTOR_INLINE float bce_from_logit(float x, float t, float *p) {
    float e = vm_exp_downf(-fabsf(x));
    float once = 1.0f + e, twice = 2.0f + e, inverse = 1.0f / (once * twice);
    *p = (x >= 0.0f ? 1.0f : e) * (twice * inverse);
    return (x > 0.0f ? x : 0.0f) - x * t + vm_twice_atanhf(e * once * inverse);
}

VECTOR_CLONES
static double bce_logits_elements(int64_t n, const float *restrict x, const float *restrict t, float factor,
                                  float *restrict diff) {
    double sum = 0;
    if (!diff) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) {
            float p;
            sum += (double)bce_from_logit(x[i], t[i], &p);
        }
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float p;
        sum += (double)bce_from_logit(x[i], t[i], &p);
        diff[i] = factor * (p - t[i]);
    }
    return sum;
}

VECTOR_CLONES
static double bce_elements(int64_t n, const float *restrict x, const float *restrict t, float factor,
                           float *restrict diff) {
    const float low = LOSS_EPSILON, high = 1.0f - LOSS_EPSILON;
    double sum = 0;
    if (!diff) {
#pragma omp simd reduction(+ : sum)
        for (int64_t i = 0; i < n; i++) {
            float p = x[i] < low ? low : x[i];
            p = p > high ? high : p;
            sum -= (double)(t[i] * vm_logf(p) + (1.0f - t[i]) * vm_logf(1.0f - p));
        }
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float p = x[i] < low ? low : x[i];
        p = p > high ? high : p;
        sum -= (double)(t[i] * vm_logf(p) + (1.0f - t[i]) * vm_logf(1.0f - p));
        float g = factor * (p - t[i]) / (p * (1.0f - p));
        g = x[i] < low ? 0.0f : g;
        diff[i] = x[i] > high ? 0.0f : g;
    }
    return sum;
}

static void bce_run(const void *params, const LossArgs *args) {
    const Bce *bce = params;
    elements_run(args, args->logits || (bce && bce->from_logits) ? bce_logits_elements : bce_elements);
}

static const Param bce_params[] = {
    {"from_logits", PARAM_BOOL, offsetof(Bce, from_logits), "false", 0, 0, NULL,
     "the values are logits, not probabilities (a final sigmoid is recognised without this)"},
    {0}};

const LossKind loss_bce = {
    .name = "bce",
    .doc = "binary cross-entropy: mean over elements of -(t log p + (1 - t) log(1 - p)); computed from logits when the "
           "network ends in a sigmoid, else p is limited to 1e-7 .. 1 - 1e-7",
    .params = bce_params,
    .params_bytes = sizeof(Bce),
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .takes_sigmoid = true,
    .needs_probabilities = true,
    .run = bce_run,
};
