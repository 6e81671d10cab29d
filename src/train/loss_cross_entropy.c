/* loss_cross_entropy.c - cross_entropy from logits z, p = softmax(z), y the class of the place, w class weights, e
 * label smoothing:
 *
 *     loss = (1 - e) w_y (L - z_y) + e / C * sum_c w_c (L - z_c),   L = log sum_c exp(z_c)
 *     d/dz_c = p_c ((1 - e) w_y + e / C sum w) - (1 - e) w_y [c = y] - e / C w_c
 *
 * summed over places and divided by the sum of w_y: PyTorch's definition. Ignored places (target 255) count nowhere and
 * get gradient 0. With hard example mining (loss_hardest.c) only the hardest places of a batch count, everything else
 * stays as it is.
 *
 * Where there are places side by side (S > 1) the loops run over blocks of them; plain vectors (S = 1) are handled row
 * by row.
 */
#include "train/loss_places.h"

typedef struct CeRun {
    const LossArgs *args;
    const float *w;   /* C or NULL */
    float hard, soft; /* 1 - e, e / C */
    float soft_total; /* e / C * sum of w */
    float factor;     /* of the gradient */
    int32_t *keys;    /* N,S: how hard a place is; NULL: all count */
    int32_t cut;      /* those with at least this key count */
} CeRun;

/* The class of a place; IGNORED, also when it is too easy; NO_CLASS. */
static int32_t ce_target(const CeRun *r, int64_t place) {
    if (r->keys && r->keys[place] < r->cut) return IGNORED;
    return place_class(r->args, place);
}

/* What a place contributes: its class (-1: none) and the three factors of the formulas above. */
typedef struct CePlaces {
    int32_t label[BLOCK];
    float hard[BLOCK];   /* (1 - e) w_y; 0 when ignored */
    float active[BLOCK]; /* 1, or 0 when ignored */
} CePlaces;

static void ce_places(const CeRun *r, int64_t first, int n, CePlaces *out) {
    for (int i = 0; i < n; i++) {
        int32_t t = ce_target(r, first + i);
        bool active = t != IGNORED && t != NO_CLASS;
        out->label[i] = active ? t : NO_CLASS;
        out->hard[i] = active ? r->hard * class_weight(r->args, t) : 0.0f;
        out->active[i] = active ? 1.0f : 0.0f;
    }
}

/* Sums over the channels of each place, of logits counted from the largest. */
typedef struct CeSums {
    float top[BLOCK], total[BLOCK];     /* largest logit; sum of exp(z - top) */
    float picked[BLOCK], smooth[BLOCK]; /* z_y - top; e / C * sum of w (z - top) */
} CeSums;

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
    block_tops(s.top, n, channels, stride, z);
    for (int i = 0; i < n; i++) s.total[i] = s.picked[i] = s.smooth[i] = 0.0f;
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
    CePlaces at;
    double sum = 0;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(args, b);
        ce_places(r, k.first, k.n, &at);
        sum += ce_block(r, &at, k.n, args->c, args->s, args->src + k.offset,
                        args->diff_src ? args->diff_src + k.offset : NULL);
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
        int32_t y = ce_target(r, i);
        if (y != IGNORED && y != NO_CLASS) {
            sum += ce_row(r, y, args->c, args->src + i * args->c, diff);
        } else if (diff) {
            memset(diff, 0, sizeof *diff * (size_t)args->c);
        }
    }
    return sum;
}

/* ---- which places count */

/* How hard each place is: the bits of -log p_y, which are ordered as the numbers are; NaN is hardest. */
VECTOR_CLONES
static void ce_keys_block(const int32_t *restrict label, int n, int64_t channels, int64_t stride,
                          const float *restrict z, int32_t *restrict keys) {
    float top[BLOCK], total[BLOCK] = {0}, others[BLOCK] = {0}, picked[BLOCK] = {0};
    block_tops(top, n, channels, stride, z);
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
        const int32_t own = (int32_t)c;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float shifted = zc[i] - top[i], e = vm_exp_downf(shifted);
            total[i] += e;
            others[i] += label[i] == own ? 0.0f : e;
            picked[i] = label[i] == own ? shifted : picked[i];
        }
    }
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float u = others[i] / total[i]; /* 1 - p_y: two that are nearly right are told apart by it */
        float l = u * surprise_ratio(u, vm_logf(total[i]) - picked[i]);
        keys[i] = label[i] >= 0 ? vm_bits(l) & INT32_MAX : -1;
    }
}

static double ce_keys_span(const void *context, int64_t first, int64_t last) {
    const CeRun *r = context;
    double n_labelled = 0;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(r->args, b);
        int32_t label[BLOCK];
        for (int i = 0; i < k.n; i++) {
            int32_t t = place_class(r->args, k.first + i);
            label[i] = t == IGNORED ? NO_CLASS : t;
            n_labelled += label[i] >= 0;
        }
        ce_keys_block(label, k.n, r->args->c, r->args->s, r->args->src + k.offset, r->keys + k.first);
    }
    return n_labelled;
}

static double ce_kept_weight_span(const void *context, int64_t first, int64_t last) {
    const CeRun *r = context;
    double sum = 0;
    for (int64_t i = first; i < last; i++)
        if (r->keys[i] >= r->cut) sum += (double)class_weight(r->args, place_class(r->args, i));
    return sum;
}

static bool ce_mines(const CrossEntropy *ce) {
    return ce && (ce->ohem_threshold > 0.0 || ce->ohem_keep > 0.0);
}

/* Finds what counts; returns its weight. */
static double ce_choose(CeRun *r, const CrossEntropy *ce) {
    const LossArgs *args = r->args;
    r->keys = args->scratch;
    double labelled = spans_run(args->n * blocks_per_sample(args), blocks_grain(args), ce_keys_span, r);
    double keep = ce->ohem_keep > 1.0 ? ce->ohem_keep * (double)args->n : ceil(ce->ohem_keep * labelled);
    int32_t hard = ce->ohem_threshold > 0.0 ? vm_bits((float)-log(ce->ohem_threshold) + 0.0f) : INT32_MAX;
    r->cut = hardest_cut(r->keys, args->n * args->s, (int64_t)(keep < labelled ? keep : labelled), hard);
    return spans_run(args->n * args->s, 4 * GRAIN, ce_kept_weight_span, r);
}

static size_t ce_scratch_bytes(const void *params, int64_t n, int64_t c, int64_t s) {
    return ce_mines(params) ? sizeof(int32_t) * (size_t)(n * s) : 0;
}

static void ce_run(const void *params, const LossArgs *args) {
    const CrossEntropy *ce = params;
    const double e = ce ? ce->label_smoothing : 0.0;
    CeRun run = {
        .args = args, .w = args->class_weights, .hard = (float)(1.0 - e), .soft = (float)(e / (double)args->c)};
    for (int64_t c = 0; c < args->c; c++) run.soft_total += run.soft * class_weight(args, c);
    *args->weight = places_weight(args);
    const bool valid = !isnan(*args->weight);
    if (valid && ce_mines(ce)) *args->weight = ce_choose(&run, ce);
    run.factor = *args->weight != 0.0 ? (float)((double)args->scale / *args->weight) : 0.0f;
    if (args->s == 1) {
        *args->sum = spans_run(args->n, blocks_grain(args), ce_rows_span, &run);
    } else {
        *args->sum = spans_run(args->n * blocks_per_sample(args), blocks_grain(args), ce_blocks_span, &run);
    }
    if (!valid) *args->sum = (double)NAN;
}

static const Param ce_params[] = {
    {"class_weights", PARAM_NODE, offsetof(CrossEntropy, class_weights), "", 0, 0, NULL,
     "factor of each class: a list, median_frequency or inverse (both from the training split)"},
    {"label_smoothing", PARAM_FLOAT, offsetof(CrossEntropy, label_smoothing), "0", 0, 0.999, NULL,
     "share of the target spread evenly over all classes (Szegedy et al. 2016)"},
    {"ohem_threshold", PARAM_FLOAT, offsetof(CrossEntropy, ohem_threshold), "0", 0, 1, NULL,
     "online hard example mining: only places whose class has a probability below this count; usual 0.7; 0: off"},
    {"ohem_keep", PARAM_FLOAT, offsetof(CrossEntropy, ohem_keep), "0", 0, 1e9, NULL,
     "but at least so many, the hardest: up to 1 a share of the batch's labelled places, above 1 a number for each "
     "image; alone: just those"},
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
    .scratch_bytes = ce_scratch_bytes,
    .run = ce_run,
};
