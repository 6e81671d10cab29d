/* ema.c - see ema.h. */
#include "train/ema.h"

#include "base/spans.h"
#include "base/vmath.h"

enum { GRAIN = 32768 /* floats: below it a parallel region costs more than it saves */ };

const Param ema_params[] = {
    {"decay", PARAM_FLOAT, offsetof(Ema, decay), "0.999", 0, 0.9999999, NULL, "share of the average kept at each step"},
    {"warmup", PARAM_BOOL, offsetof(Ema, warmup), "true", 0, 0, NULL,
     "after t steps keep no more than (1 + t) / (10 + t), so that the first weights are soon forgotten"},
    {0}};

Err ema_read(Ema *out, const Experiment *experiment, Arena *arena, Error *err) {
    const Node *node = experiment->train.ema;
    *out = (Ema){.on = node && node->type != NODE_NULL};
    if (!out->on) return OK;
    FillSpec fill = {.what = "train.ema", .mark = node->mark, .maps = {node}, .targets = {{ema_params, out}}};
    return config_fill(&fill, arena, err);
}

double ema_keep(const Ema *ema, int64_t step) {
    double most = (1.0 + (double)step) / (10.0 + (double)step);
    return ema->warmup && most < ema->decay ? most : ema->decay;
}

typedef struct Update {
    float *average;
    const float *value;
    float share; /* of the new weights */
} Update;

/* In this form a weight that does not change leaves its average at its very bits. */
VECTOR_CLONES
static void update(int64_t n, float *restrict average, const float *restrict value, float share) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) average[i] += share * (value[i] - average[i]);
}

static double update_span(const void *context, int64_t first, int64_t last) {
    const Update *u = context;
    update(last - first, u->average + first, u->value + first, u->share);
    return 0;
}

void ema_update(Weights *average, const Weights *weights, double keep) {
    Update u = {.average = average->value, .value = weights->value, .share = (float)(1.0 - keep)};
    spans_run(weights->size, GRAIN, update_span, &u);
}
