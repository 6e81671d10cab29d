/* sampler.c - see sampler.h: the kinds, and the draws of an epoch. */
#include "data/sampler.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- kinds ---- */

typedef struct Knobs {
    double threshold; /* repeat_factor */
    int64_t min_pixels;
} Knobs;
#define MIN_PIXELS                                                                                                     \
    {                                                                                                                  \
        "min_pixels", PARAM_INT, offsetof(Knobs, min_pixels), "1", 1, 1e15, NULL,                                      \
            "a mask holds a class when it has so many pixels of it"                                                    \
    }

static const Param no_params[] = {{0}};
static const SamplingKind uniform = {
    .name = "uniform", .doc = "each sample once an epoch", .params = no_params, .params_bytes = sizeof(Knobs)};

/* The chance of sample i when a class is drawn first, then a sample that holds it: sum over its classes of 1 / samples
 * with the class. A sample without any is never drawn. */
static void weigh_by_class(const void *params, const Presence *p, double *weight) {
    for (int64_t i = 0; i < p->n; i++) {
        weight[i] = 0;
        for (int c = 0; c < p->n_classes; c++)
            if (p->holds[i * p->n_classes + c]) weight[i] += 1.0 / (double)p->samples[c];
    }
}

static const Param class_balanced_params[] = {MIN_PIXELS, {0}};
static const SamplingKind class_balanced = {
    .name = "class_balanced",
    .doc = "all classes alike: a class, then a sample that holds it; w = sum over its classes of 1 / samples(c) (Shen, "
           "Lin, Huang 2016)",
    .params = class_balanced_params,
    .params_bytes = sizeof(Knobs),
    .weigh = weigh_by_class};

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the shares of samples that hold a class, those of absent classes left out. */
static double median_share(const Presence *p) {
    double shares[MAX_CLASSES];
    int n = 0;
    for (int c = 0; c < p->n_classes; c++)
        if (p->samples[c] > 0) shares[n++] = (double)p->samples[c] / (double)p->n;
    qsort(shares, (size_t)n, sizeof *shares, compare_doubles);
    return n == 0 ? 0 : n % 2 == 1 ? shares[n / 2] : (shares[n / 2 - 1] + shares[n / 2]) / 2;
}

static void weigh_by_repeat_factor(const void *params, const Presence *p, double *weight) {
    const Knobs *knobs = params;
    double threshold = knobs->threshold > 0 ? knobs->threshold : median_share(p);
    for (int64_t i = 0; i < p->n; i++) {
        weight[i] = 1;
        for (int c = 0; c < p->n_classes; c++) {
            if (!p->holds[i * p->n_classes + c]) continue;
            double factor = sqrt(threshold * (double)p->n / (double)p->samples[c]);
            if (factor > weight[i]) weight[i] = factor;
        }
    }
}

static const Param repeat_factor_params[] = {
    {"threshold", PARAM_FLOAT, offsetof(Knobs, threshold), "0", 0, 1, NULL,
     "t: classes that fewer than this share of the samples hold are drawn more often; 0: the median of f"},
    MIN_PIXELS,
    {0}};
static const SamplingKind repeat_factor = {
    .name = "repeat_factor",
    .doc = "rare classes more often: w = the largest of its classes' max(1, sqrt(t / f(c))), f the share of samples "
           "that hold the class (LVIS, Gupta et al. 2019)",
    .params = repeat_factor_params,
    .params_bytes = sizeof(Knobs),
    .weigh = weigh_by_repeat_factor};

const SamplingKind *const sampling_kinds[] = {&uniform, &class_balanced, &repeat_factor, NULL};

Err sampling_read(SamplingRule *out, const Experiment *experiment, Arena *arena, Error *err) {
    const Node *node = experiment->train.sampling;
    *out = (SamplingRule){.kind = &uniform};
    if (!node || node->type == NODE_NULL) return OK;
    KindRef ref = {0};
    TRY(config_kind(&ref, node, "train.sampling", err));
    const char *known[sizeof sampling_kinds / sizeof *sampling_kinds] = {0};
    out->kind = NULL;
    for (int i = 0; sampling_kinds[i]; i++) {
        known[i] = sampling_kinds[i]->name;
        if (strcmp(ref.name, known[i]) == 0) out->kind = sampling_kinds[i];
    }
    if (!out->kind) return config_unknown_kind(&ref, "sampling", known, err);
    void *params = arena_alloc(arena, out->kind->params_bytes);
    out->params = params;
    out->mark = ref.mark;
    FillSpec fill = {.what = arena_printf(arena, "train.sampling (%s)", ref.name),
                     .mark = ref.mark,
                     .maps = {ref.args},
                     .targets = {{out->kind->params, params}}};
    TRY(config_fill(&fill, arena, err));
    if (!out->kind->weigh || experiment->train.shuffle) return OK;
    return err_at(err, ERR_CONFIG, ref.mark,
                  "train.sampling: '%s' draws samples at random: leave out train.shuffle: false, or use uniform",
                  out->kind->name);
}

/* ---- a sampler ---- */

struct Sampler {
    int64_t n;
    double *weight, total; /* n; their sum */
    int64_t *order[2];     /* n each: of samples, and of draws, while an epoch is drawn */
};

typedef struct Looking {
    const volatile sig_atomic_t *stop;
} Looking;

static bool not_stopped(void *context, int64_t done, int64_t n) {
    const Looking *looking = context;
    return !looking->stop || !*looking->stop;
}

static Err take_weights(Sampler *s, const SamplingRule *sampling, const Presence *presence, Error *err) {
    sampling->kind->weigh(sampling->params, presence, s->weight);
    for (int64_t i = 0; i < s->n; i++) s->total += s->weight[i];
    if (s->total > 0) return OK;
    return err_at(err, ERR_DATA, sampling->mark,
                  "train.sampling: no sample holds any class, so '%s' has nothing to draw", sampling->kind->name);
}

static Err look_at_samples(Sampler *s, const SamplingRule *sampling, Split *split, Task task,
                           const volatile sig_atomic_t *stop, Error *err) {
    const DatasetInfo *info = split_info(split);
    int n_classes = split_config(split)->n_classes;
    bool masks = info->has_mask && task != TASK_CLASSIFICATION;
    if ((!masks && !info->has_label) || n_classes < 1)
        return err_at(err, ERR_CONFIG, sampling->mark,
                      "train.sampling: '%s' goes by the classes of masks or labels, data.train has none",
                      sampling->kind->name);
    size_t bytes = (size_t)s->n * (size_t)n_classes;
    uint8_t *holds = block_alloc(bytes);
    if (!holds) return err_set(err, ERR_MEMORY, "no memory for the classes of %lld samples", (long long)s->n);
    const Knobs *knobs = sampling->params;
    Looking looking = {.stop = stop};
    Err code = split_class_presence(split, masks ? knobs->min_pixels : 0, holds, not_stopped, &looking, err);
    if (code == OK) {
        int64_t samples[MAX_CLASSES] = {0};
        for (int64_t i = 0; i < s->n; i++)
            for (int c = 0; c < n_classes; c++) samples[c] += holds[i * n_classes + c];
        Presence presence = {.n = s->n, .n_classes = n_classes, .holds = holds, .samples = samples};
        code = take_weights(s, sampling, &presence, err);
    }
    block_free(holds);
    return code;
}

Err sampler_new(Sampler **out, const SamplingRule *sampling, Split *split, Task task, const volatile sig_atomic_t *stop,
                Error *err) {
    *out = NULL;
    if (!sampling->kind->weigh) return OK;
    Sampler *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ERR_MEMORY, "out of memory");
    s->n = split_info(split)->n;
    size_t n = (size_t)s->n;
    s->weight = malloc(n * sizeof *s->weight);
    for (int k = 0; k < 2; k++) s->order[k] = malloc(n * sizeof *s->order[k]);
    Err code = OK;
    if (!s->weight || !s->order[0] || !s->order[1])
        code = err_set(err, ERR_MEMORY, "no memory to sample from %lld samples", (long long)s->n);
    if (code == OK) code = look_at_samples(s, sampling, split, task, stop, err);
    if (code == OK)
        *out = s;
    else
        sampler_free(s);
    return code;
}

void sampler_free(Sampler *s) {
    if (!s) return;
    free(s->weight);
    free(s->order[0]);
    free(s->order[1]);
    free(s);
}

void sampler_draw(Sampler *s, uint64_t seed, int64_t epoch, int64_t *draws) {
    Rng rng = rng_stream(seed, RNG_SAMPLING, (uint64_t)epoch, 0);
    int64_t n = s->n, *visit = s->order[0], *place = s->order[1];
    rng_permutation(&rng, n, visit);
    rng_permutation(&rng, n, place);
    double step = s->total / (double)n, start = rng_uniform(&rng), passed = 0;
    int64_t drawn = 0, last = visit[0]; /* last: the draw that would be the next of the last sample drawn */
    for (int64_t k = 0; k < n; k++) {
        int64_t draw = visit[k];
        passed += s->weight[visit[k]];
        for (; drawn < n && (start + (double)drawn) * step < passed; draw += n) draws[place[drawn++]] = draw;
        if (draw != visit[k]) last = draw;
    }
    for (; drawn < n; last += n) draws[place[drawn++]] = last; /* a sum that rounding left just short */
}

void sampler_range(const Sampler *s, double *least, double *most) {
    *least = *most = s->weight[0];
    for (int64_t i = 1; i < s->n; i++) {
        if (s->weight[i] < *least) *least = s->weight[i];
        if (s->weight[i] > *most) *most = s->weight[i];
    }
    *least *= (double)s->n / s->total;
    *most *= (double)s->n / s->total;
}
