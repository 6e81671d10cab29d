/* loss_lovasz.c - lovasz_softmax, Berman, Rannen Triki, Blaschko 2018, "The Lovasz-softmax loss: a tractable surrogate
 * for the optimization of the intersection-over-union measure".
 *
 * For each class, of the labelled places of a batch (or of an image, `per_image`): errors e = |t - p|, p = softmax(z),
 * t 1 where a place has the class and else 0, sorted from the largest; G places have the class, F(r) of them among the
 * first r. The Jaccard loss of the first r is J(r) = 1 - (G - F(r)) / (G + r - F(r)), and
 *
 *     loss of the class = sum over r of e(r) (J(r) - J(r - 1)),    dloss/dp = -(J(r) - J(r - 1)) where t is 1, else +
 *
 * The step of J is 1 / union where t is 1 and intersection / (union (union + 1)) elsewhere: no differences of near
 * numbers. The loss is the mean over the classes that are present, or over all of them: one that is absent costs its
 * largest error. With class weights it is a weighted mean.
 *
 * The sort is by 22 bits of e: errors nearer to each other than 2.4e-7 may change places, which changes the loss by no
 * more than that. Two passes of a stable counting sort, in chunks: the same order for any number of threads.
 */
#include "train/loss_places.h"

#include <assert.h>

enum {
    CHUNKS_MAX = 32,
    CHUNK_LEAST = 8192, /* places */
    DIGIT_BITS = 11,
    N_DIGITS = 1 << DIGIT_BITS
};

typedef struct Lovasz {
    RegionKnobs region;
} Lovasz;

/* A place as it is sorted. */
typedef struct Ranked {
    float error;
    uint32_t place; /* twice its number in the group, plus 1 when it has the class */
} Ranked;

typedef struct LovaszRun {
    const LossArgs *args;
    float *top, *inverse;          /* N,S: largest logit; 1 / sum of exp(z - top) */
    Ranked *ranked[2];             /* places of a group */
    uint32_t *starts;              /* n_chunks, N_DIGITS: how many of each digit, then where the next goes */
    int64_t first, last;           /* places of the group */
    int64_t labelled;              /* of them */
    int n_chunks;                  /* for all passes over the group */
    int64_t c;                     /* class at work */
    int64_t size;                  /* places that have it */
    float slope;                   /* of the total by this class's loss */
    int digit;                     /* of the sort's pass */
    int64_t begin[CHUNKS_MAX + 1]; /* labelled places before each chunk */
    int64_t hits[CHUNKS_MAX + 1];  /* places of the class before each chunk, when sorted */
} LovaszRun;

static size_t lovasz_scratch_bytes(const void *params, int64_t n, int64_t c, int64_t s) {
    const Lovasz *k = params;
    const size_t places = (size_t)(n * s), group = k->region.per_image ? (size_t)s : places;
    return sizeof(float) * 2 * places + sizeof(Ranked) * 2 * group + sizeof(uint32_t) * CHUNKS_MAX * N_DIGITS;
}

/* ---- softmax, all but the exponentials, which are cheaper to take again than to keep */

VECTOR_CLONES
static void lovasz_totals(int n, int64_t channels, int64_t stride, const float *restrict z, float *restrict top,
                          float *restrict inverse) {
    float total[BLOCK] = {0};
    block_tops(top, n, channels, stride, z);
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) total[i] += vm_exp_downf(zc[i] - top[i]);
    }
#pragma omp simd
    for (int i = 0; i < n; i++) inverse[i] = 1.0f / total[i];
}

static double totals_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(r->args, b);
        lovasz_totals(k.n, r->args->c, r->args->s, r->args->src + k.offset, r->top + k.first, r->inverse + k.first);
    }
    return 0;
}

/* ---- one class of one group: the errors of its labelled places */

VECTOR_CLONES
static void errors_of(const uint8_t *restrict mask, uint8_t own, int n, const float *restrict z,
                      const float *restrict top, const float *restrict inverse, float *restrict error) {
#pragma omp simd
    for (int i = 0; i < n; i++) {
        float p = vm_exp_downf(z[i] - top[i]) * inverse[i];
        error[i] = fabsf((mask[i] == own ? 1.0f : 0.0f) - p);
    }
}

static uint32_t digit_of(float error, int digit) {
    const float most = 4194303.0f; /* 2^22 - 1; NaN goes first, as the largest */
    uint32_t key = (uint32_t)(most - (error < 1.0f ? error : 1.0f) * most);
    return key >> digit * DIGIT_BITS & (N_DIGITS - 1);
}

/* The places of chunk k, as they lie. */
static int64_t chunk_at(int64_t n, int n_chunks, int64_t k) {
    return n * k / n_chunks;
}

static double labelled_span(const void *context, int64_t first, int64_t last) {
    LovaszRun *r = (LovaszRun *)context;
    const uint8_t *mask = (const uint8_t *)r->args->target + r->first;
    for (int64_t k = first; k < last; k++) {
        const int64_t n = r->last - r->first, end = chunk_at(n, r->n_chunks, k + 1);
        r->begin[k + 1] = 0;
        for (int64_t i = chunk_at(n, r->n_chunks, k); i < end; i++) r->begin[k + 1] += mask[i] != IGNORED;
    }
    return 0;
}

/* Errors of a chunk's labelled places, side by side behind those of the chunks before, and the first digit's count. */
static double errors_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    const LossArgs *args = r->args;
    const uint8_t *mask = args->target;
    float error[BLOCK];
    for (int64_t k = first; k < last; k++) {
        uint32_t *counts = r->starts + k * N_DIGITS;
        Ranked *to = r->ranked[0] + r->begin[k];
        memset(counts, 0, sizeof *counts * N_DIGITS);
        int64_t at = r->first + chunk_at(r->last - r->first, r->n_chunks, k);
        const int64_t end = r->first + chunk_at(r->last - r->first, r->n_chunks, k + 1);
        while (at < end) {
            const int64_t sample = at / args->s, s = at % args->s;
            int64_t left = args->s - s < end - at ? args->s - s : end - at; /* in this sample, in this chunk */
            const int n = left < BLOCK ? (int)left : BLOCK;
            errors_of(mask + at, (uint8_t)r->c, n, args->src + (sample * args->c + r->c) * args->s + s, r->top + at,
                      r->inverse + at, error);
            for (int i = 0; i < n; i++) {
                if (mask[at + i] == IGNORED) continue;
                const uint32_t place = (uint32_t)(at + i - r->first);
                *to++ = (Ranked){error[i], 2 * place + (mask[at + i] == r->c)};
                counts[digit_of(error[i], 0)]++;
            }
            at += n;
        }
    }
    return 0;
}

/* ---- sorting them */

/* From counts to where each chunk's next of a digit goes: behind all smaller digits, and behind the chunks before. */
static void place_digits(const LovaszRun *r) {
    uint32_t next[N_DIGITS] = {0}, before = 0;
    for (int k = 0; k < r->n_chunks; k++)
        for (int d = 0; d < N_DIGITS; d++) next[d] += r->starts[k * N_DIGITS + d];
    for (int d = 0; d < N_DIGITS; d++) {
        uint32_t n = next[d];
        next[d] = before;
        before += n;
    }
    for (int k = 0; k < r->n_chunks; k++) {
        for (int d = 0; d < N_DIGITS; d++) {
            uint32_t *at = &r->starts[k * N_DIGITS + d], n = *at;
            *at = next[d];
            next[d] += n;
        }
    }
}

static double count_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    const Ranked *from = r->ranked[r->digit % 2];
    for (int64_t k = first; k < last; k++) {
        uint32_t *counts = r->starts + k * N_DIGITS;
        memset(counts, 0, sizeof *counts * N_DIGITS);
        for (int64_t i = r->begin[k]; i < r->begin[k + 1]; i++) counts[digit_of(from[i].error, r->digit)]++;
    }
    return 0;
}

static double move_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    const Ranked *from = r->ranked[r->digit % 2];
    Ranked *to = r->ranked[1 - r->digit % 2];
    for (int64_t k = first; k < last; k++) {
        uint32_t *starts = r->starts + k * N_DIGITS;
        for (int64_t i = r->begin[k]; i < r->begin[k + 1]; i++)
            to[starts[digit_of(from[i].error, r->digit)]++] = from[i];
    }
    return 0;
}

/* Into ranked[0], the largest error first. The first digit has been counted. */
static void sort_errors(LovaszRun *r) {
    for (r->digit = 0; r->digit < 2; r->digit++) {
        if (r->digit > 0) spans_run(r->n_chunks, 1, count_span, r);
        place_digits(r);
        spans_run(r->n_chunks, 1, move_span, r);
    }
}

/* ---- walking down the sorted errors */

static double hits_span(const void *context, int64_t first, int64_t last) {
    LovaszRun *r = (LovaszRun *)context;
    for (int64_t k = first; k < last; k++) {
        int64_t hits = 0;
        for (int64_t i = r->begin[k]; i < r->begin[k + 1]; i++) hits += r->ranked[0][i].place & 1;
        r->hits[k + 1] = hits;
    }
    return 0;
}

/* Turns counts behind a 0 into sums of those before. */
static void add_up(int64_t *counts, int n) {
    counts[0] = 0;
    for (int k = 0; k < n; k++) counts[k + 1] += counts[k];
}

/* J(r) - J(r - 1) of a place with `hits` of the class among the `rank` before it. */
static double jaccard_step(int64_t size, int64_t hits, int64_t rank, bool hit) {
    if (size == 0) return rank == 0 ? 1.0 : 0.0;
    const double sum = (double)(size + rank - hits); /* the union so far */
    return hit ? 1.0 / sum : (double)(size - hits) / (sum * (sum + 1.0));
}

static double walk_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    const LossArgs *args = r->args;
    double loss = 0;
    for (int64_t k = first; k < last; k++) {
        int64_t hits = r->hits[k];
        for (int64_t i = r->begin[k]; i < r->begin[k + 1]; i++) {
            const Ranked *at = &r->ranked[0][i];
            const bool hit = at->place & 1;
            const double step = jaccard_step(r->size, hits, i, hit);
            loss += (double)at->error * step;
            hits += hit;
            if (!args->diff_src) continue;
            const uint32_t place = (uint32_t)r->first + at->place / 2, s = (uint32_t)args->s;
            const int64_t sample = place / s;
            args->diff_src[(sample * args->c + r->c) * args->s + place % s] = (hit ? -r->slope : r->slope) *
                                                                              (float)step;
        }
    }
    return loss;
}

static double class_loss(LovaszRun *r) {
    spans_run(r->n_chunks, 1, errors_span, r);
    sort_errors(r);
    spans_run(r->n_chunks, 1, hits_span, r);
    add_up(r->hits, r->n_chunks);
    return spans_run(r->n_chunks, 1, walk_span, r);
}

/* ---- groups: images, or the batch */

/* No slope by this class. */
static void clear_class(const LovaszRun *r) {
    const LossArgs *args = r->args;
    for (int64_t sample = r->first / args->s; args->diff_src && sample * args->s < r->last; sample++)
        memset(args->diff_src + (sample * args->c + r->c) * args->s, 0, sizeof(float) * (size_t)args->s);
}

static void open_group(LovaszRun *r, int64_t first, int64_t last) {
    const int64_t chunks = (last - first) / CHUNK_LEAST;
    r->first = first;
    r->last = last;
    r->n_chunks = chunks < 1 ? 1 : chunks > CHUNKS_MAX ? CHUNKS_MAX : (int)chunks;
    spans_run(r->n_chunks, 1, labelled_span, r);
    add_up(r->begin, r->n_chunks);
}

/* Loss of a group, with the slopes by p in diff_src; *counts: whether it has any class to average. factor: of the
 * gradient. */
static double group_loss(LovaszRun *r, const RegionKnobs *region, const int64_t *sizes, double factor) {
    const LossArgs *args = r->args;
    double weight = 0, loss = 0;
    for (int64_t c = 0; c < args->c; c++)
        if (sizes[c] > 0 || region->classes == CLASSES_ALL) weight += (double)class_weight(args, c);
    for (r->c = 0; r->c < args->c; r->c++) {
        const double share = weight > 0.0 ? (double)class_weight(args, r->c) / weight : 0.0;
        r->size = sizes[r->c];
        r->slope = (float)(factor * share);
        if (share > 0.0 && (r->size > 0 || region->classes == CLASSES_ALL))
            loss += share * class_loss(r);
        else
            clear_class(r);
    }
    return loss;
}

/* Whether a group has a place and a class that count. */
static bool group_counts(const LossArgs *args, const RegionKnobs *region, const int64_t *sizes, int64_t labelled) {
    for (int64_t c = 0; labelled > 0 && c < args->c; c++)
        if ((sizes[c] > 0 || region->classes == CLASSES_ALL) && class_weight(args, c) > 0.0f) return true;
    return false;
}

/* ---- from slopes by p to the gradient by z: p_c (g_c - sum_k g_k p_k) */

VECTOR_CLONES
static void lovasz_gradient(const uint8_t *restrict mask, int n, int64_t channels, int64_t stride,
                            const float *restrict z, const float *restrict top, const float *restrict inverse,
                            float *restrict diff) {
    float mean[BLOCK] = {0};
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride, *dc = diff + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) mean[i] += dc[i] * (vm_exp_downf(zc[i] - top[i]) * inverse[i]);
    }
    for (int64_t c = 0; c < channels; c++) {
        const float *zc = z + c * stride;
        float *restrict dc = diff + c * stride;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            float d = vm_exp_downf(zc[i] - top[i]) * inverse[i] * (dc[i] - mean[i]);
            dc[i] = mask[i] == IGNORED ? 0.0f : d;
        }
    }
}

static double gradient_span(const void *context, int64_t first, int64_t last) {
    const LovaszRun *r = context;
    const LossArgs *args = r->args;
    for (int64_t b = first; b < last; b++) {
        PlaceBlock k = place_block(args, b);
        lovasz_gradient((const uint8_t *)args->target + k.first, k.n, args->c, args->s, args->src + k.offset,
                        r->top + k.first, r->inverse + k.first, args->diff_src + k.offset);
    }
    return 0;
}

/* ---- */

static void lovasz_run(const void *params, const LossArgs *args) {
    const RegionKnobs *region = &((const Lovasz *)params)->region;
    const int64_t places = args->n * args->s, each = region->per_image ? args->s : places;
    int64_t sizes[MASK_IGNORE + 1];
    LovaszRun r = {.args = args, .top = args->scratch};
    assert(places < INT32_MAX && args->c <= MASK_IGNORE && (args->scratch || places == 0));
    r.inverse = r.top + places;
    r.ranked[0] = (Ranked *)(r.inverse + places);
    r.ranked[1] = r.ranked[0] + each;
    r.starts = (uint32_t *)(r.ranked[1] + each);
    *args->sum = *args->weight = 0;
    for (int64_t at = 0; at < places; at += each) {
        int64_t labelled = places_count(args, at, at + each, sizes);
        if (labelled < 0) *args->sum = (double)NAN; /* a target that is no class */
        *args->weight += labelled < 0 || group_counts(args, region, sizes, labelled);
    }
    if (isnan(*args->sum) || *args->weight == 0.0) {
        if (args->diff_src) memset(args->diff_src, 0, sizeof(float) * (size_t)(places * args->c));
        return;
    }
    spans_run(args->n * blocks_per_sample(args), blocks_grain(args), totals_span, &r);
    const double factor = (double)args->scale / *args->weight;
    for (int64_t at = 0; at < places; at += each) {
        places_count(args, at, at + each, sizes);
        open_group(&r, at, at + each);
        *args->sum += group_loss(&r, region, sizes, factor);
    }
    if (args->diff_src) spans_run(args->n * blocks_per_sample(args), blocks_grain(args), gradient_span, &r);
    if (region->per_image) return;
    *args->sum *= (double)args->n; /* over a split: the mean over batches, weighted by their images */
    *args->weight *= (double)args->n;
}

static const Param lovasz_params[] = {REGION_PARAMS(Lovasz, region), {0}};

const LossKind loss_lovasz_softmax = {
    .name = "lovasz_softmax",
    .doc = "Lovasz-softmax (Berman et al. 2018): mean over classes of a surrogate of 1 - intersection over union that "
           "can be minimised; over the labelled places of a batch or an image",
    .params = lovasz_params,
    .params_bytes = sizeof(Lovasz),
    .target = TARGET_MASK,
    .target_alt = TARGET_MASK,
    .takes_softmax = true,
    .scratch_bytes = lovasz_scratch_bytes,
    .run = lovasz_run,
};
