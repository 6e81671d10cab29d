/* loss_elements.c - losses that compare element by element with a target of the same size: mse, mae, bce and
 * kl_divergence.
 *
 * Each is a mean over all elements (kl_divergence: over places), or, with `reduction: sum`, the sum over an image's
 * elements and the mean over images, so the gradient is that of one element times scale / their number. One pass reads
 * value and target and writes the gradient. What a batch was padded with is left out.
 */
#include "base/spans.h"
#include "base/vmath.h"
#include "train/loss_kinds.h"

enum { GRAIN = 16384 }; /* elements: about ten microseconds of work */

/* What the knobs fill. */
typedef struct ElementsKnobs {
    int reduction;
} ElementsKnobs;
enum { REDUCTION_MEAN, REDUCTION_SUM };

static const char *const reductions[] = {"mean", "sum", NULL};

static const Param knobs[] = {{"reduction", PARAM_CHOICE, offsetof(ElementsKnobs, reduction), "mean", 0, 0, reductions,
                               "mean: over all elements; sum: over the elements of an image, the mean over images"},
                              {0}};

/* One stretch: returns the sum of the elements' losses, writes their gradients times `factor` unless diff is NULL. */
typedef double (*ElementsFn)(int64_t n, const float *restrict x, const float *restrict t, float factor,
                             float *restrict diff);

typedef struct ElementsRun {
    const float *x, *t;
    float *diff;
    float factor;
    ElementsFn fn;
    const LossExtent *extent;
} ElementsRun;

static double elements_span(const void *context, int64_t first, int64_t last) {
    const ElementsRun *r = context;
    return r->fn(last - first, r->x + first, r->t + first, r->factor, r->diff ? r->diff + first : NULL);
}

/* The same over rows of padded planes: what is padding counts nothing and gets gradient 0. */
static double rows_span(const void *context, int64_t first, int64_t last) {
    const ElementsRun *r = context;
    const LossExtent *e = r->extent;
    double sum = 0;
    for (int64_t row = first; row < last; row++) {
        int64_t at = row * e->width, n = row % e->height < e->valid_height ? e->valid_width : 0;
        float *diff = r->diff ? r->diff + at : NULL;
        if (n > 0) sum += r->fn(n, r->x + at, r->t + at, r->factor, diff);
        if (diff) memset(diff + n, 0, sizeof *diff * (size_t)(e->width - n));
    }
    return sum;
}

static int64_t count_elements(const LossArgs *args) {
    const LossExtent *e = args->extent;
    int64_t n = args->n * args->c * args->s;
    return e ? n / (e->height * e->width) * e->valid_height * e->valid_width : n;
}

/* each: elements that count as one in a mean over all of them. params NULL: the defaults. */
static void elements_run(const void *params, const LossArgs *args, ElementsFn fn, int64_t each) {
    const ElementsKnobs *k = params;
    const LossExtent *e = args->extent;
    int64_t n = args->n * args->c * args->s;
    int64_t weight = k && k->reduction == REDUCTION_SUM ? args->n : count_elements(args) / each;
    ElementsRun run = {.x = args->src, .t = args->target, .diff = args->diff_src, .fn = fn, .extent = e};
    run.factor = weight > 0 ? (float)((double)args->scale / (double)weight) : 0.0f;
    if (e)
        *args->sum = spans_run(n / e->width, e->width < GRAIN ? GRAIN / e->width : 1, rows_span, &run);
    else
        *args->sum = spans_run(n, GRAIN, elements_span, &run);
    *args->weight = (double)weight;
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
    elements_run(params, args, mse_elements, 1);
}

const LossKind loss_mse = {
    .name = "mse",
    .doc = "mean squared error: mean over elements of (x - t)^2",
    .params = knobs,
    .params_bytes = sizeof(ElementsKnobs),
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
    elements_run(params, args, mae_elements, 1);
}

const LossKind loss_mae = {
    .name = "mae",
    .doc = "mean absolute error: mean over elements of |x - t|",
    .params = knobs,
    .params_bytes = sizeof(ElementsKnobs),
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .run = mae_run,
};

/* ---- bce: -(t log p + (1 - t) log(1 - p))
 *
 * From logits x, p = sigmoid(x):  max(x, 0) - x t + log(1 + exp(-|x|)),  gradient sigmoid(x) - t. Nothing in it can
 * overflow or lose its digits. From probabilities: p limited to [1e-7, 1 - 1e-7] as in Keras, with gradient
 * (p - t) / (p (1 - p)), and 0 where the limit holds. */

/* One element; *p: sigmoid(x). log(1 + e) is taken as 2 atanh(e / (2 + e)), and one division serves it and the
 * sigmoid. */
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
    elements_run(params, args, args->logits ? bce_logits_elements : bce_elements, 1);
}

const LossKind loss_bce = {
    .name = "bce",
    .doc = "binary cross-entropy: mean over elements of -(t log p + (1 - t) log(1 - p)); computed from logits when the "
           "network ends in a sigmoid, else p is limited to 1e-7 .. 1 - 1e-7",
    .params = knobs,
    .params_bytes = sizeof(ElementsKnobs),
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .takes_sigmoid = true,
    .run = bce_run,
};

/* ---- kl_divergence: sum over channels of y log(y / p), mean over places */

VECTOR_CLONES
static double kl_elements(int64_t n, const float *restrict p, const float *restrict y, float factor,
                          float *restrict diff) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        float a = y[i] < LOSS_EPSILON ? LOSS_EPSILON : y[i];
        a = a > 1.0f ? 1.0f : a;
        float b = p[i] < LOSS_EPSILON ? LOSS_EPSILON : p[i];
        b = b > 1.0f ? 1.0f : b;
        sum += (double)(a * (vm_logf(a) - vm_logf(b)));
    }
    if (!diff) return sum;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float a = y[i] < LOSS_EPSILON ? LOSS_EPSILON : y[i];
        a = a > 1.0f ? 1.0f : a;
        float g = -factor * a / p[i];
        g = p[i] < LOSS_EPSILON ? 0.0f : g; /* where p is limited, moving it changes nothing */
        diff[i] = p[i] > 1.0f ? 0.0f : g;
    }
    return sum;
}

/* Nothing couples the channels of a place here: only the count of what the mean runs over knows them. */
static void kl_run(const void *params, const LossArgs *args) {
    elements_run(params, args, kl_elements, args->c);
}

const LossKind loss_kl_divergence = {
    .name = "kl_divergence",
    .doc = "Kullback-Leibler divergence: mean over places of the sum over channels of t log(t / p), t and p "
           "distributions limited to 1e-7 .. 1",
    .params = knobs,
    .params_bytes = sizeof(ElementsKnobs),
    .target = TARGET_INPUT,
    .target_alt = TARGET_INPUT,
    .run = kl_run,
};
