/* loss_overlap.c - dice and tversky: how much prediction and mask of each class overlap.
 *
 * With p = softmax(z), t 1 where a place has the class and else 0, and sums over the labelled places of a batch (or of
 * an image, `per_image`), hits = sum p t, mass = sum p, size = sum t:
 *
 *     dice     D = (2 hits + s) / (mass + size + s)                                  s: `smooth`
 *              with `denominator: squared` (Milletari et al. 2016, V-Net) mass = sum p^2
 *     tversky  D = (hits + s) / (hits + alpha (mass - hits) + beta (size - hits) + s)
 *              Salehi et al. 2017: alpha weighs false positives, beta false negatives; 1/2 and 1/2 are dice with 2 s
 *     loss     sum over classes of w (1 - D)^g / sum of w                            g: `gamma`, w: class weights
 *              Abraham & Khan 2018, focal Tversky: their gamma of 4/3 is g = 3/4 here
 *
 * `classes: present` averages over the classes that the masks of the batch (image) have, `all` over all of them: a
 * class that is not there has D = s / (mass + s) then. Where D is 0 / 0 it is 1: nothing to find, and nothing was
 * found. Images without a labelled place, and those whose classes all weigh 0, count nowhere.
 *
 * Both are one rational function, D = (a hits + s) / (b hits + c mass + d size + s), and so is the gradient:
 * dD/dp = (a t - D (b t + c)) / denominator for a plain mass; twice p times c when it is squared. Two passes: the first
 * writes p where the gradient will be and adds up, the second turns p into the gradient by z.
 */
#include "train/loss_places.h"

#include <assert.h>

enum { CHUNKS = 16 }; /* of a sample, each with sums of its own: the same bits for any number of threads */

typedef struct Dice {
    RegionKnobs region;
    double smooth;
    int denominator;
} Dice;
enum { DENOMINATOR_PLAIN, DENOMINATOR_SQUARED };

typedef struct Tversky {
    RegionKnobs region;
    double alpha, beta, gamma, smooth;
} Tversky;

/* Of a chunk, of a group: C each. */
enum { HITS, MASS, SIZE, N_SUMS };

typedef struct OverlapRun {
    const LossArgs *args;
    const RegionKnobs *region;
    double a, b, c, d, smooth, gamma; /* of the formula above */
    bool squared;
    int64_t n_groups; /* images, or 1 */
    double *sums;     /* n * CHUNKS, N_SUMS, C */
    float *slopes;    /* n_groups, 2, C: of p anywhere (or, squared, of p^2 / 2), and of p in the class besides */
} OverlapRun;

static size_t overlap_scratch_bytes(const void *params, int64_t n, int64_t c, int64_t s) {
    return sizeof(double) * N_SUMS * CHUNKS * (size_t)(n * c) + sizeof(float) * 2 * (size_t)(n * c);
}

/* ---- first pass: p and sums */

/* active: 1; 0 where a place is ignored; NaN where its target is no class. p NULL: only the sums. */
VECTOR_CLONES
static void overlap_block(const int32_t *restrict label, const float *restrict active, bool squared, int n,
                          int64_t channels, int64_t stride, const float *restrict z, float *restrict p, double *sums) {
    const float flat = squared ? 0.0f : 1.0f, steep = 1.0f - flat;
    float top[BLOCK], total[BLOCK] = {0}, unused[BLOCK];
    block_tops(top, n, channels, stride, z);
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
        float *restrict ec = p ? p + c * stride : unused;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            ec[i] = vm_exp_downf(zc[i] - top[i]);
            total[i] += ec[i];
        }
    }
#pragma omp simd
    for (int i = 0; i < n; i++) total[i] = active[i] / total[i];
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
        float *restrict pc = p ? p + c * stride : unused;
        const int32_t own = (int32_t)c;
        float hits = 0, mass = 0;
        if (!p) {
#pragma omp simd
            for (int i = 0; i < n; i++) pc[i] = vm_exp_downf(zc[i] - top[i]);
        }
#pragma omp simd reduction(+ : hits, mass)
        for (int i = 0; i < n; i++) {
            float q = pc[i] * total[i];
            q = active[i] == 0.0f ? 0.0f : q;
            float in = label[i] == own ? q : 0.0f;
            hits += in;
            mass += q * (flat + steep * q);
            pc[i] = q;
        }
        sums[HITS * channels + c] += (double)hits;
        sums[MASS * channels + c] += (double)mass;
    }
}

typedef struct Places {
    int32_t label[BLOCK];
    float active[BLOCK];
} Places;

static void read_places(const LossArgs *args, const PlaceBlock *k, Places *at) {
    for (int i = 0; i < k->n; i++) {
        int32_t t = place_class(args, k->first + i);
        at->label[i] = t == IGNORED ? NO_CLASS : t;
        at->active[i] = t == IGNORED ? 0.0f : t == NO_CLASS ? NAN : 1.0f;
    }
}

static double sums_span(const void *context, int64_t first, int64_t last) {
    const OverlapRun *r = context;
    const LossArgs *args = r->args;
    const int64_t per = blocks_per_sample(args), each = (per + CHUNKS - 1) / CHUNKS;
    Places at;
    for (int64_t chunk = first; chunk < last; chunk++) {
        double *sums = r->sums + chunk * N_SUMS * args->c;
        memset(sums, 0, sizeof *sums * N_SUMS * (size_t)args->c);
        const int64_t sample = chunk / CHUNKS, begin = chunk % CHUNKS * each;
        for (int64_t b = begin; b < begin + each && b < per; b++) {
            PlaceBlock k = place_block(args, sample * per + b);
            read_places(args, &k, &at);
            overlap_block(at.label, at.active, r->squared, k.n, args->c, args->s, args->src + k.offset,
                          args->diff_src ? args->diff_src + k.offset : NULL, sums);
            for (int i = 0; i < k.n; i++)
                if (at.label[i] >= 0) sums[SIZE * args->c + at.label[i]]++;
        }
    }
    return 0;
}

/* ---- between the passes: the loss of each group, and its slopes */

/* Adds up the group's chunks in their first. */
static double *group_sums(const OverlapRun *r, int64_t group) {
    const int64_t n = N_SUMS * r->args->c, n_chunks = r->args->n / r->n_groups * CHUNKS;
    double *total = r->sums + group * n_chunks * n;
    for (int64_t k = 1; k < n_chunks; k++)
        for (int64_t i = 0; i < n; i++) total[i] += total[k * n + i];
    return total;
}

/* Sum of the weights of the classes that the group's loss averages; 0: it has none. */
static double group_weight(const OverlapRun *r, const double *sums) {
    const LossArgs *args = r->args;
    const double *size = sums + SIZE * args->c;
    double labelled = 0, weight = 0;
    for (int64_t c = 0; c < args->c; c++) {
        labelled += size[c];
        if (size[c] > 0.0 || r->region->classes == CLASSES_ALL) weight += (double)class_weight(args, c);
    }
    return labelled > 0.0 ? weight : 0.0;
}

/* Loss of one class, to which it adds `share`. */
static double class_loss(const OverlapRun *r, const double *sums, int64_t c, double share, float *slopes) {
    const int64_t n = r->args->c;
    const double hits = sums[HITS * n + c], mass = sums[MASS * n + c], size = sums[SIZE * n + c];
    const double denominator = r->b * hits + r->c * mass + r->d * size + r->smooth;
    if (denominator <= 0.0) return 0.0;
    const double d = (r->a * hits + r->smooth) / denominator;
    double miss = 1.0 - d < 0.0 ? 0.0 : 1.0 - d; /* NaN stays NaN */
    double slope = -share;
    /* with gamma below 1 the power is infinitely steep at 0, where everything else is flat */
    if (r->gamma != 1.0)
        slope *= r->gamma * pow(miss < (double)LOSS_EPSILON ? (double)LOSS_EPSILON : miss, r->gamma - 1.0);
    slopes[c] = (float)(-slope * d * r->c * (r->squared ? 2.0 : 1.0) / denominator);
    slopes[n + c] = (float)(slope * (r->a - d * r->b) / denominator);
    return share * (r->gamma != 1.0 ? pow(miss, r->gamma) : miss);
}

/* Loss of a group, and its slopes; *counts: whether it has any class to average. */
static double group_loss(const OverlapRun *r, int64_t group, bool *counts) {
    const LossArgs *args = r->args;
    const double *sums = group_sums(r, group), weight = group_weight(r, sums);
    float *slopes = r->slopes + group * 2 * args->c;
    memset(slopes, 0, sizeof *slopes * 2 * (size_t)args->c);
    double loss = 0;
    *counts = weight > 0.0;
    if (isnan(sums[MASS * args->c])) { /* of a logit, or of a target that is no class */
        *counts = true;
        return (double)NAN;
    }
    for (int64_t c = 0; *counts && c < args->c; c++)
        if (sums[SIZE * args->c + c] > 0.0 || r->region->classes == CLASSES_ALL)
            loss += class_loss(r, sums, c, (double)class_weight(args, c) / weight, slopes);
    return loss;
}

/* ---- second pass: from p to the gradient, p_c (g_c - sum_k g_k p_k) with g the slope of the loss by p */

VECTOR_CLONES
static void overlap_gradient(const float *restrict slopes, float factor, bool squared, const int32_t *restrict label,
                             int n, int64_t channels, int64_t stride, float *restrict diff) {
    float mean[BLOCK] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t c = 0; c < channels; c++) {
            float *restrict dc = diff + c * stride;
            const int32_t own = (int32_t)c;
            const float any = factor * slopes[c], in = factor * slopes[channels + c];
            const float flat = squared ? 0.0f : any, steep = squared ? any : 0.0f;
            if (pass == 0) {
#pragma omp simd
                for (int i = 0; i < n; i++) mean[i] += dc[i] * (flat + steep * dc[i] + (label[i] == own ? in : 0.0f));
            } else {
#pragma omp simd
                for (int i = 0; i < n; i++) dc[i] *= flat + steep * dc[i] + (label[i] == own ? in : 0.0f) - mean[i];
            }
        }
    }
}

typedef struct GradientRun {
    const OverlapRun *r;
    float factor;
} GradientRun;

static double gradient_span(const void *context, int64_t first, int64_t last) {
    const GradientRun *g = context;
    const OverlapRun *r = g->r;
    const LossArgs *args = r->args;
    Places at;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(args, b);
        int64_t group = r->n_groups > 1 ? k.first / args->s : 0;
        read_places(args, &k, &at);
        overlap_gradient(r->slopes + group * 2 * args->c, g->factor, r->squared, at.label, k.n, args->c, args->s,
                         args->diff_src + k.offset);
    }
    return 0;
}

/* ---- */

static void overlap_run(OverlapRun *r) {
    const LossArgs *args = r->args;
    const int64_t chunks = args->n * CHUNKS, elements = args->c * ((args->s + CHUNKS - 1) / CHUNKS);
    assert(args->scratch || args->n == 0);
    r->n_groups = r->region->per_image ? args->n : 1;
    r->sums = args->scratch;
    r->slopes = (float *)(r->sums + chunks * N_SUMS * args->c);
    *args->sum = *args->weight = 0;
    if (args->n == 0) return;
    spans_run(chunks, elements < GRAIN ? GRAIN / elements : 1, sums_span, r);
    for (int64_t group = 0; group < r->n_groups; group++) {
        bool counts;
        *args->sum += group_loss(r, group, &counts);
        *args->weight += counts;
    }
    if (args->diff_src) {
        GradientRun g = {r, *args->weight > 0.0 ? (float)((double)args->scale / *args->weight) : 0.0f};
        spans_run(args->n * blocks_per_sample(args), blocks_grain(args), gradient_span, &g);
    }
    if (r->region->per_image) return;
    *args->sum *= (double)args->n; /* over a split: the mean over batches, weighted by their images */
    *args->weight *= (double)args->n;
}

static void dice_run(const void *params, const LossArgs *args) {
    const Dice *k = params;
    overlap_run(&(OverlapRun){.args = args,
                              .region = &k->region,
                              .a = 2,
                              .b = 0,
                              .c = 1,
                              .d = 1,
                              .smooth = k->smooth,
                              .gamma = 1,
                              .squared = k->denominator == DENOMINATOR_SQUARED});
}

static void tversky_run(const void *params, const LossArgs *args) {
    const Tversky *k = params;
    overlap_run(&(OverlapRun){.args = args,
                              .region = &k->region,
                              .a = 1,
                              .b = 1 - k->alpha - k->beta,
                              .c = k->alpha,
                              .d = k->beta,
                              .smooth = k->smooth,
                              .gamma = k->gamma});
}

/* ---- the tables */

static const char *const denominators[] = {"plain", "squared", NULL};

static const Param dice_params[] = {
    REGION_PARAMS(Dice, region),
    {"smooth", PARAM_FLOAT, offsetof(Dice, smooth), "1", 0, 1e9, NULL, "added above and below, in pixels"},
    {"denominator", PARAM_CHOICE, offsetof(Dice, denominator), "plain", 0, 0, denominators,
     "plain: sums of p and t; squared: of p^2 and t (V-Net)"},
    {0}};

static const Param tversky_params[] = {
    REGION_PARAMS(Tversky, region),
    {"alpha", PARAM_FLOAT, offsetof(Tversky, alpha), "0.3", 0, 1e3, NULL, "weight of false positives"},
    {"beta", PARAM_FLOAT, offsetof(Tversky, beta), "0.7", 0, 1e3, NULL, "weight of false negatives"},
    {"gamma", PARAM_FLOAT, offsetof(Tversky, gamma), "1", 0.1, 10, NULL,
     "(1 - index)^gamma; below 1 looks at what is nearly right; the 4/3 of focal Tversky is 0.75 here"},
    {"smooth", PARAM_FLOAT, offsetof(Tversky, smooth), "1", 0, 1e9, NULL, "added above and below, in pixels"},
    {0}};

const LossKind loss_dice = {
    .name = "dice",
    .doc = "soft Dice: mean over classes of 1 - (2 sum p t + smooth) / (sum p + sum t + smooth), p the softmax of the "
           "logits, t the mask of the class; over the labelled places of a batch or an image",
    .params = dice_params,
    .params_bytes = sizeof(Dice),
    .target = TARGET_MASK,
    .target_alt = TARGET_MASK,
    .takes_softmax = true,
    .scratch_bytes = overlap_scratch_bytes,
    .run = dice_run,
};

const LossKind loss_tversky = {
    .name = "tversky",
    .doc = "Tversky index (Salehi et al. 2017): mean over classes of (1 - (TP + smooth) / (TP + alpha FP + beta FN + "
           "smooth))^gamma, by soft counts over the labelled places of a batch or an image",
    .params = tversky_params,
    .params_bytes = sizeof(Tversky),
    .target = TARGET_MASK,
    .target_alt = TARGET_MASK,
    .takes_softmax = true,
    .scratch_bytes = overlap_scratch_bytes,
    .run = tversky_run,
};
