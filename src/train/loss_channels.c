/* loss_channels.c - the loss that looks at all channels of a place together: cross_entropy.
 *
 * A place is one (n, s) of N,C,S arrays; its channels lie S elements apart. Where there are places side by side
 * (S > 1) the loops run over blocks of neighbouring places, so that they vectorise for any number of channels; plain
 * vectors (S = 1) are handled row by row.
 */
#include "base/spans.h"
#include "base/vmath.h"
#include "train/loss_kinds.h"

enum {
    BLOCK = 256,  /* places worked on together: a block of 16 channels is 16 KiB, at home in the first cache */
    GRAIN = 16384 /* elements a thread should get at least */
};

/* Work in units of blocks, numbered through all samples. */
static int64_t blocks_per_sample(const LossArgs *args) {
    return (args->s + BLOCK - 1) / BLOCK;
}

static int64_t blocks_grain(const LossArgs *args) {
    int64_t elements = args->c * (args->s < BLOCK ? args->s : BLOCK);
    return elements < GRAIN ? GRAIN / (elements > 0 ? elements : 1) : 1;
}

/* ---- cross_entropy from logits z, p = softmax(z), y the class of the place, w class weights, e label smoothing:
 *
 *     loss = (1 - e) w_y (L - z_y) + e / C * sum_c w_c (L - z_c),   L = log sum_c exp(z_c)
 *     d/dz_c = p_c ((1 - e) w_y + e / C sum w) - (1 - e) w_y [c = y] - e / C w_c
 *
 * summed over places and divided by the sum of w_y: PyTorch's definition. Ignored places (target 255) count nowhere and
 * get gradient 0. */

enum { IGNORED = MASK_IGNORE };

typedef struct CeRun {
    const LossArgs *args;
    const float *w;   /* C or NULL */
    float hard, soft; /* 1 - e, e / C */
    float soft_total; /* e / C * sum of w */
    float factor;     /* of the gradient */
} CeRun;

static float ce_class_weight(const CeRun *r, int64_t c) {
    return r->w ? r->w[c] : 1.0f;
}

/* The class of a place; IGNORED; -1 for what is no class. */
static int32_t ce_target(const LossArgs *args, int64_t place) {
    int32_t t = args->target_kind == TARGET_MASK ? ((const uint8_t *)args->target)[place]
                                                 : ((const int32_t *)args->target)[place];
    if (t == IGNORED) return IGNORED;
    return t >= 0 && t < args->c ? t : -1;
}

/* Sum of the weights of the places' classes. A target that is no class makes it NaN: masks and labels are checked where
 * they are read, and if one slips through, a run that stops is better than a place silently dropped. */
static double ce_weight_span(const void *context, int64_t first, int64_t last) {
    const CeRun *r = context;
    int64_t count[4][256] = {{0}}; /* four tables, so that equal neighbours do not wait for each other */
    if (r->args->target_kind == TARGET_MASK) {
        const uint8_t *t = r->args->target;
        int64_t i = first;
        for (; i + 4 <= last; i += 4) {
            for (int k = 0; k < 4; k++) count[k][t[i + k]]++;
        }
        for (; i < last; i++) count[0][t[i]]++;
    } else {
        double sum = 0;
        for (int64_t i = first; i < last; i++) {
            int32_t t = ce_target(r->args, i);
            if (t != IGNORED) sum += t < 0 ? (double)NAN : (double)ce_class_weight(r, t);
        }
        return sum;
    }
    double sum = 0;
    for (int c = 0; c < 256; c++) {
        int64_t n = count[0][c] + count[1][c] + count[2][c] + count[3][c];
        if (n == 0 || c == IGNORED) continue;
        sum += c < r->args->c ? (double)n * (double)ce_class_weight(r, c) : (double)NAN;
    }
    return sum;
}

/* What a place contributes: its class (-1: none) and the three factors of the formulas above. */
typedef struct CePlaces {
    int32_t label[BLOCK];
    float hard[BLOCK];   /* (1 - e) w_y; 0 when ignored */
    float active[BLOCK]; /* 1, or 0 when ignored */
} CePlaces;

static void ce_places(const CeRun *r, int64_t first, int n, CePlaces *out) {
    for (int i = 0; i < n; i++) {
        int32_t t = ce_target(r->args, first + i);
        bool active = t != IGNORED && t >= 0;
        out->label[i] = active ? t : -1;
        out->hard[i] = active ? r->hard * ce_class_weight(r, t) : 0.0f;
        out->active[i] = active ? 1.0f : 0.0f;
    }
}

/* Sums over the channels of each place, of logits counted from the largest. */
typedef struct CeSums {
    float top[BLOCK], total[BLOCK];     /* largest logit; sum of exp(z - top) */
    float picked[BLOCK], smooth[BLOCK]; /* z_y - top; e / C * sum of w (z - top) */
} CeSums;

VECTOR_INLINE void ce_tops(CeSums *s, int n, int64_t channels, int64_t stride, const float *restrict z) {
    for (int i = 0; i < n; i++) {
        s->top[i] = z[i];
        s->total[i] = s->picked[i] = s->smooth[i] = 0.0f;
    }
    for (int64_t c = 1; c < channels; c++) {
        const float *zc = z + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) s->top[i] = zc[i] > s->top[i] ? zc[i] : s->top[i];
    }
}

/* Adds channel c to the sums; e (NULL: not wanted) receives exp(z - top). */
VECTOR_INLINE void ce_add_channel(CeSums *s, const CePlaces *at, int n, int32_t c, float soft, const float *restrict z,
                                  float *restrict e) {
    if (e) {
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float shifted = z[i] - s->top[i];
            e[i] = vm_exp_downf(shifted);
            s->total[i] += e[i];
            s->picked[i] = at->label[i] == c ? shifted : s->picked[i];
            s->smooth[i] += soft * shifted;
        }
        return;
    }
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float shifted = z[i] - s->top[i];
        s->total[i] += vm_exp_downf(shifted);
        s->picked[i] = at->label[i] == c ? shifted : s->picked[i];
        s->smooth[i] += soft * shifted;
    }
}

VECTOR_INLINE double ce_value(const CeSums *s, const CePlaces *at, int n, float soft_total) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int i = 0; i < n; i++) {
        float l = vm_logf(s->total[i]);
        float value = at->hard[i] * (l - s->picked[i]) + (soft_total * l - s->smooth[i]);
        sum += at->active[i] > 0.0f ? (double)value : 0.0;
    }
    return sum;
}

/* Turns the exponentials in diff into the gradient. Uses up the sums. */
VECTOR_INLINE void ce_gradient(const CeRun *r, CeSums *s, const CePlaces *at, int n, int64_t channels, int64_t stride,
                               float *restrict diff) {
    const float factor = r->factor, soft_total = r->soft_total;
#pragma omp simd
    for (int i = 0; i < n; i++) {
        s->total[i] = factor * (at->hard[i] + soft_total) / s->total[i]; /* of exp(z - top) */
        s->picked[i] = factor * at->hard[i];
    }
    for (int64_t c = 0; c < channels; c++) {
        float *dc = diff + c * stride;
        const int32_t label = (int32_t)c;
        const float soft = factor * r->soft * (r->w ? r->w[c] : 1.0f);
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float d = dc[i] * s->total[i] - (at->label[i] == label ? s->picked[i] : 0.0f) - soft;
            dc[i] = at->active[i] > 0.0f ? d : 0.0f;
        }
    }
}

/* One block of n places; z and diff point at its first place in channel 0, channels are `stride` apart. */
VECTOR_CLONES
static double ce_block(const CeRun *r, const CePlaces *at, int n, int64_t channels, int64_t stride,
                       const float *restrict z, float *restrict diff) {
    CeSums s;
    ce_tops(&s, n, channels, stride, z);
    for (int64_t c = 0; c < channels; c++) {
        const float soft = r->soft * (r->w ? r->w[c] : 1.0f);
        ce_add_channel(&s, at, n, (int32_t)c, soft, z + c * stride, diff ? diff + c * stride : NULL);
    }
    double sum = ce_value(&s, at, n, r->soft_total);
    if (diff) ce_gradient(r, &s, at, n, channels, stride, diff);
    return sum;
}

static double ce_blocks_span(const void *context, int64_t first, int64_t last) {
    const CeRun *r = context;
    const LossArgs *args = r->args;
    int64_t per = blocks_per_sample(args);
    CePlaces at;
    double sum = 0;
    for (int64_t b = first; b < last; b++) {
        int64_t sample = b / per, place = b % per * BLOCK;
        int n = (int)(args->s - place < BLOCK ? args->s - place : BLOCK);
        int64_t offset = sample * args->c * args->s + place;
        ce_places(r, sample * args->s + place, n, &at);
        sum += ce_block(r, &at, n, args->c, args->s, args->src + offset,
                        args->diff_src ? args->diff_src + offset : NULL);
    }
    return sum;
}

/* One vector of C logits of class y. */
VECTOR_CLONES
static double ce_row(const CeRun *r, int64_t y, int64_t channels, const float *restrict z, float *restrict diff) {
    float top = z[0], total = 0, smooth = 0;
#pragma omp simd reduction(max : top)
    for (int64_t c = 0; c < channels; c++) top = z[c] > top ? z[c] : top;
    if (diff) {
#pragma omp simd reduction(+ : total)
        for (int64_t c = 0; c < channels; c++) {
            float e = vm_exp_downf(z[c] - top);
            diff[c] = e;
            total += e;
        }
    } else {
#pragma omp simd reduction(+ : total)
        for (int64_t c = 0; c < channels; c++) total += vm_exp_downf(z[c] - top);
    }
    for (int64_t c = 0; r->soft > 0.0f && c < channels; c++) smooth += r->soft * (r->w ? r->w[c] : 1.0f) * (z[c] - top);
    const float hard = r->hard * (r->w ? r->w[y] : 1.0f), l = vm_logf(total);
    double sum = (double)(hard * (l - (z[y] - top)) + (r->soft_total * l - smooth));
    if (!diff) return sum;
    const float a = r->factor * (hard + r->soft_total) / total;
#pragma omp simd
    for (int64_t c = 0; c < channels; c++) diff[c] *= a;
    for (int64_t c = 0; r->soft > 0.0f && c < channels; c++) diff[c] -= r->factor * r->soft * (r->w ? r->w[c] : 1.0f);
    diff[y] -= r->factor * hard;
    return sum;
}

static double ce_rows_span(const void *context, int64_t first, int64_t last) {
    const CeRun *r = context;
    const LossArgs *args = r->args;
    double sum = 0;
    for (int64_t i = first; i < last; i++) {
        float *diff = args->diff_src ? args->diff_src + i * args->c : NULL;
        int32_t y = ce_target(args, i);
        if (y != IGNORED && y >= 0) {
            sum += ce_row(r, y, args->c, args->src + i * args->c, diff);
        } else if (diff) {
            memset(diff, 0, sizeof *diff * (size_t)args->c);
        }
    }
    return sum;
}

static void ce_run(const void *params, const LossArgs *args) {
    const CrossEntropy *ce = params;
    const double e = ce ? ce->label_smoothing : 0.0;
    CeRun run = {
        .args = args, .w = args->class_weights, .hard = (float)(1.0 - e), .soft = (float)(e / (double)args->c)};
    for (int64_t c = 0; c < args->c; c++) run.soft_total += run.soft * ce_class_weight(&run, c);
    *args->weight = spans_run(args->n * args->s, 4 * GRAIN, ce_weight_span, &run);
    run.factor = *args->weight != 0.0 ? (float)((double)args->scale / *args->weight) : 0.0f;
    if (args->s == 1) {
        *args->sum = spans_run(args->n, blocks_grain(args), ce_rows_span, &run);
    } else {
        *args->sum = spans_run(args->n * blocks_per_sample(args), blocks_grain(args), ce_blocks_span, &run);
    }
    if (isnan(*args->weight)) *args->sum = (double)NAN;
}

static const Param ce_params[] = {
    {"class_weights", PARAM_NODE, offsetof(CrossEntropy, class_weights), "", 0, 0, NULL,
     "factor of each class: a list, median_frequency or inverse (both from the training split)"},
    {"label_smoothing", PARAM_FLOAT, offsetof(CrossEntropy, label_smoothing), "0", 0, 0.999, NULL,
     "share of the target spread evenly over all classes (Szegedy et al. 2016)"},
    {0}};

const LossKind loss_cross_entropy = {
    .name = "cross_entropy",
    .doc = "softmax cross-entropy over channels: -sum w_y log p_y / sum w_y over places whose target is not 255; takes "
           "logits: a final softmax is recognised and undone, any other output is taken as logits",
    .params = ce_params,
    .params_bytes = sizeof(CrossEntropy),
    .target = TARGET_MASK,
    .target_alt = TARGET_LABEL,
    .takes_softmax = true,
    .run = ce_run,
};
