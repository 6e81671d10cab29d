/* loss_focal.c - focal loss, Lin et al. 2017, "Focal loss for dense object detection", over a softmax: cross-entropy
 * that looks away from places that are right already.
 *
 *     loss = w_y u^g l,   l = -log p_y,  u = 1 - p_y,   g gamma, w class weights (the paper's alpha)
 *     d/dz_c = w_y (u^g + g p_y u^(g-1) l) (p_c - [c = y])
 *
 * summed over places and divided by the sum of w_y, as cross_entropy is: with gamma 0 the two are the same. (The paper
 * divides by the number of objects, which masks have not.) u is a sum of the other classes' probabilities, not 1 minus
 * something near 1, and l / u goes to 1 with u, so nothing is lost where a place is nearly right.
 */
#include "train/loss_places.h"

typedef struct Focal {
    const void *class_weights;
    double gamma;
} Focal;

typedef struct FocalRun {
    const LossArgs *args;
    float gamma, factor;
} FocalRun;

/* One block; weight: w_y of each place, 0 when it is ignored. Returns the sum of losses. */
VECTOR_CLONES
static double focal_block(const FocalRun *r, const int32_t *restrict label, const float *restrict weight, int n,
                          int64_t channels, int64_t stride, const float *restrict z, float *restrict diff) {
    float top[BLOCK], total[BLOCK] = {0}, others[BLOCK] = {0}, picked[BLOCK] = {0}, unused[BLOCK];
    block_tops(top, n, channels, stride, z);
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
        float *restrict ec = diff ? diff + c * stride : unused;
        const int32_t own = (int32_t)c;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float shifted = zc[i] - top[i], e = vm_exp_downf(shifted);
            total[i] += e;
            others[i] += label[i] == own ? 0.0f : e;
            picked[i] = label[i] == own ? shifted : picked[i];
            ec[i] = e;
        }
    }
    const float gamma = r->gamma, factor = r->factor;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++) {
        float u = others[i] / total[i], l = vm_logf(total[i]) - picked[i];
        float ratio = surprise_ratio(u, l), safe = u < 1e-37f ? 1e-37f : u;
        float power = vm_expf(gamma * vm_logf(safe));
        float value = weight[i] * power * (ratio * u);
        sum += weight[i] > 0.0f ? (double)value : 0.0;
        float slope = factor * weight[i] * power * (1.0f + gamma * (1.0f - u) * ratio);
        top[i] = slope / total[i]; /* of exp(z - top), for the other classes */
        picked[i] = slope * u;     /* for its own */
    }
    for (int64_t c = 0; diff && c < channels; c++) {
        float *dc = diff + c * stride;
        const int32_t own = (int32_t)c;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float d = label[i] == own ? -picked[i] : dc[i] * top[i];
            dc[i] = weight[i] > 0.0f ? d : 0.0f;
        }
    }
    return sum;
}

static double focal_span(const void *context, int64_t first, int64_t last) {
    const FocalRun *r = context;
    const LossArgs *args = r->args;
    double sum = 0;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(args, b);
        int32_t label[BLOCK];
        float weight[BLOCK];
        for (int i = 0; i < k.n; i++) {
            int32_t t = place_class(args, k.first + i);
            label[i] = t == IGNORED ? NO_CLASS : t;
            weight[i] = label[i] == NO_CLASS ? 0.0f : class_weight(args, t);
        }
        sum += focal_block(r, label, weight, k.n, args->c, args->s, args->src + k.offset,
                           args->diff_src ? args->diff_src + k.offset : NULL);
    }
    return sum;
}

static void focal_run(const void *params, const LossArgs *args) {
    const Focal *f = params;
    *args->weight = places_weight(args);
    FocalRun run = {.args = args, .gamma = (float)f->gamma};
    run.factor = *args->weight != 0.0 ? (float)((double)args->scale / *args->weight) : 0.0f;
    *args->sum = spans_run(args->n * blocks_per_sample(args), blocks_grain(args), focal_span, &run);
    if (isnan(*args->weight)) *args->sum = (double)NAN;
}

static const Param focal_params[] = {
    {"gamma", PARAM_FLOAT, offsetof(Focal, gamma), "2", 0, 20, NULL,
     "how much less a place counts that is nearly right; 0: cross_entropy"},
    {"class_weights", PARAM_NODE, offsetof(Focal, class_weights), "", 0, 0, NULL,
     "alpha, factor of each class: a list, median_frequency or inverse (both from the training split)"},
    {0}};

const LossKind loss_focal = {
    .name = "focal",
    .doc = "focal loss (Lin et al. 2017): -sum w_y (1 - p_y)^gamma log p_y / sum w_y over labelled places, p the "
           "softmax of the logits",
    .params = focal_params,
    .params_bytes = sizeof(Focal),
    .target = TARGET_MASK,
    .target_alt = TARGET_LABEL,
    .takes_softmax = true,
    .run = focal_run,
};
