/* loss_gaussian_kl.c - how far a normal distribution is from the standard one: the second term of a variational
 * autoencoder's bound, Kingma & Welling 2013, appendix B.
 *
 *     KL = sum over the code of -(1 + v - m^2 - exp(v)) / 2     mean over images; m means, v log-variances
 *     dKL/dm = m, dKL/dv = (exp(v) - 1) / 2
 *
 * It has no target. The value is N,2D,...: m in channels 0 .. D-1, v in the D behind them, as the layer gaussian_sample
 * takes them. Nothing is limited: a v above 88 gives an infinite loss.
 */
#include "base/spans.h"
#include "base/vmath.h"
#include "train/loss_kinds.h"

enum { GRAIN = 16384 }; /* values: about ten microseconds of work */

typedef struct KlRun {
    const LossArgs *args;
    int64_t half; /* values of m in an image, as many of v */
    float factor;
} KlRun;

VECTOR_CLONES
static double kl_image(int64_t n, const float *restrict m, const float *restrict v, float factor,
                       float *restrict diff_m, float *restrict diff_v) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)(0.5f * (m[i] * m[i] + (vm_expf(v[i]) - 1.0f - v[i])));
    if (!diff_m) return sum;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        diff_m[i] = factor * m[i];
        diff_v[i] = factor * 0.5f * (vm_expf(v[i]) - 1.0f);
    }
    return sum;
}

static double kl_span(const void *context, int64_t first, int64_t last) {
    const KlRun *r = context;
    double sum = 0;
    for (int64_t n = first; n < last; n++) {
        const float *m = r->args->src + n * 2 * r->half;
        float *diff = r->args->diff_src ? r->args->diff_src + n * 2 * r->half : NULL;
        sum += kl_image(r->half, m, m + r->half, r->factor, diff, diff ? diff + r->half : NULL);
    }
    return sum;
}

static void kl_run(const void *params, const LossArgs *args) {
    KlRun run = {.args = args, .half = args->c / 2 * args->s};
    run.factor = args->n > 0 ? (float)((double)args->scale / (double)args->n) : 0.0f;
    *args->sum = spans_run(args->n, run.half < GRAIN ? GRAIN / (run.half + 1) + 1 : 1, kl_span, &run);
    *args->weight = (double)args->n;
}

static const Param no_params[] = {{0}};

const LossKind loss_gaussian_kl = {
    .name = "gaussian_kl",
    .doc = "divergence of a layer's means m and log-variances v (the halves of its channels) from the standard normal: "
           "sum of -(1 + v - m^2 - exp(v)) / 2, mean over images; needs `on`; `weight` is the beta of a beta-VAE",
    .params = no_params,
    .target = TARGET_NONE,
    .target_alt = TARGET_NONE,
    .run = kl_run,
};
