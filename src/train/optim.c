/* optim.c - the table of optimizers, the norm of the gradient, and a step over all weights.
 *
 * The formulas are PyTorch's, in its order of operations. g is the gradient after scaling and clipping; for all kinds
 * but adamw, weight decay d adds d w to it. Each kind is one pass over its arrays. Nothing in a pass depends on where
 * a stretch begins, so the cut into stretches does not show in the bits.
 */
#include "train/optim.h"

#include "base/spans.h"
#include "base/vmath.h"

enum { GRAIN = 32768 /* floats: below it a parallel region costs more than it saves */ };

/* Start of every kernel's loop: the gradient as the formulas want it. */
VECTOR_INLINE float gradient(float g, float scale, float limit) {
    g *= scale;
    g = g > limit ? limit : g;
    return g < -limit ? -limit : g;
}

/* ---- sgd: b = mu b + g;  w -= lr b  (Nesterov: w -= lr (g + mu b)). Without momentum: w -= lr g */

typedef struct Sgd {
    double momentum;
    bool nesterov;
} Sgd;

VECTOR_CLONES
static void sgd_plain(const OptimArgs *a) {
    const float scale = a->grad_scale, limit = a->clip_value, decay = a->weight_decay, lr = (float)a->lr;
    const float *restrict grad = a->grad;
    float *restrict w = a->value;
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) w[i] -= lr * (gradient(grad[i], scale, limit) + decay * w[i]);
}

VECTOR_CLONES
static void sgd_momentum(const OptimArgs *a, float mu, bool nesterov) {
    const float scale = a->grad_scale, limit = a->clip_value, decay = a->weight_decay, lr = (float)a->lr;
    const float *restrict grad = a->grad;
    float *restrict w = a->value, *restrict b = a->slot[0];
    if (nesterov) {
#pragma omp simd
        for (int64_t i = 0; i < a->n; i++) {
            float g = gradient(grad[i], scale, limit) + decay * w[i];
            b[i] = mu * b[i] + g;
            w[i] -= lr * (g + mu * b[i]);
        }
        return;
    }
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) {
        float g = gradient(grad[i], scale, limit) + decay * w[i];
        b[i] = mu * b[i] + g;
        w[i] -= lr * b[i];
    }
}

static void sgd_step(const void *params, const OptimArgs *args) {
    const Sgd *p = params;
    if (p->momentum == 0.0) {
        sgd_plain(args);
    } else {
        sgd_momentum(args, (float)p->momentum, p->nesterov);
    }
}

static const Param sgd_params[] = {
    {"momentum", PARAM_FLOAT, offsetof(Sgd, momentum), "0", 0, 0.99999, NULL, "mu: share of the last step kept"},
    {"nesterov", PARAM_BOOL, offsetof(Sgd, nesterov), "false", 0, 0, NULL, "Nesterov's variant"},
    {0}};
static const char *const sgd_slots[] = {"momentum"};
static const OptimKind sgd = {.name = "sgd",
                              .doc = "b = mu b + g; w -= lr b, or lr (g + mu b) with nesterov (Sutskever et al. 2013)",
                              .params = sgd_params,
                              .params_bytes = sizeof(Sgd),
                              .n_slots = 1,
                              .slot_names = sgd_slots,
                              .step = sgd_step};

/* ---- adam, adamw:  m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *                    w -= lr / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + epsilon)
 * adamw takes the decay out of g and shrinks the weight first: w *= 1 - lr d */

typedef struct Adam {
    double beta1, beta2, epsilon;
} Adam;

VECTOR_CLONES
static void adam_pass(const Adam *p, const OptimArgs *a, float decay, float keep) {
    const float scale = a->grad_scale, limit = a->clip_value;
    const float b1 = (float)p->beta1, c1 = (float)(1.0 - p->beta1);
    const float b2 = (float)p->beta2, c2 = (float)(1.0 - p->beta2);
    const float size = (float)(a->lr / (1.0 - pow(p->beta1, (double)a->step)));
    const float root = (float)sqrt(1.0 - pow(p->beta2, (double)a->step)), epsilon = (float)p->epsilon;
    const float *restrict grad = a->grad;
    float *restrict w = a->value, *restrict m = a->slot[0], *restrict v = a->slot[1];
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) {
        float g = gradient(grad[i], scale, limit) + decay * w[i];
        m[i] = b1 * m[i] + c1 * g;
        v[i] = b2 * v[i] + c2 * g * g;
        w[i] = keep * w[i] - size * (m[i] / (sqrtf(v[i]) / root + epsilon));
    }
}

static void adam_step(const void *params, const OptimArgs *args) {
    adam_pass(params, args, args->weight_decay, 1.0f);
}

static void adamw_step(const void *params, const OptimArgs *args) {
    adam_pass(params, args, 0.0f, (float)(1.0 - args->lr * (double)args->weight_decay));
}

static const Param adam_params[] = {
    {"beta1", PARAM_FLOAT, offsetof(Adam, beta1), "0.9", 0, 0.999999, NULL, "memory of the mean"},
    {"beta2", PARAM_FLOAT, offsetof(Adam, beta2), "0.999", 0, 0.9999999, NULL, "memory of the mean square"},
    {"epsilon", PARAM_FLOAT, offsetof(Adam, epsilon), "1e-8", 0, 1, NULL, "added to the root (Keras: 1e-7)"},
    {0}};
static const char *const adam_slots[] = {"m", "v"};
static const OptimKind adam = {.name = "adam",
                               .doc = "w -= lr m' / (sqrt(v') + epsilon) with bias-corrected means m', v' of g and g^2 "
                                      "(Kingma & Ba 2015)",
                               .params = adam_params,
                               .params_bytes = sizeof(Adam),
                               .n_slots = 2,
                               .slot_names = adam_slots,
                               .step = adam_step};
static const OptimKind adamw = {.name = "adamw",
                                .doc = "adam with w *= 1 - lr weight_decay in place of decay in the gradient "
                                       "(Loshchilov & Hutter 2019)",
                                .params = adam_params,
                                .params_bytes = sizeof(Adam),
                                .n_slots = 2,
                                .slot_names = adam_slots,
                                .step = adamw_step};

/* ---- rmsprop: v = rho v + (1 - rho) g^2;  b = mu b + g / (sqrt(v) + epsilon);  w -= lr b */

typedef struct RmsProp {
    double rho, epsilon, momentum;
} RmsProp;

VECTOR_CLONES
static void rmsprop_pass(const RmsProp *p, const OptimArgs *a) {
    const float scale = a->grad_scale, limit = a->clip_value, decay = a->weight_decay, lr = (float)a->lr;
    const float rho = (float)p->rho, rest = (float)(1.0 - p->rho), epsilon = (float)p->epsilon;
    const float mu = (float)p->momentum;
    const float *restrict grad = a->grad;
    float *restrict w = a->value, *restrict v = a->slot[0], *restrict b = a->slot[1];
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) {
        float g = gradient(grad[i], scale, limit) + decay * w[i];
        v[i] = rho * v[i] + rest * g * g;
        b[i] = mu * b[i] + g / (sqrtf(v[i]) + epsilon);
        w[i] -= lr * b[i];
    }
}

static void rmsprop_step(const void *params, const OptimArgs *args) {
    rmsprop_pass(params, args);
}

static const Param rmsprop_params[] = {
    {"rho", PARAM_FLOAT, offsetof(RmsProp, rho), "0.99", 0, 0.999999, NULL, "memory of the mean square (Keras: 0.9)"},
    {"epsilon", PARAM_FLOAT, offsetof(RmsProp, epsilon), "1e-8", 0, 1, NULL, "added to the root (Keras: 1e-7)"},
    {"momentum", PARAM_FLOAT, offsetof(RmsProp, momentum), "0", 0, 0.99999, NULL, "share of the last step kept"},
    {0}};
static const char *const rmsprop_slots[] = {"v", "momentum"};
static const OptimKind rmsprop = {
    .name = "rmsprop",
    .doc = "w -= lr g / (sqrt(v) + epsilon), v the running mean of g^2 (Tieleman & Hinton "
           "2012)",
    .params = rmsprop_params,
    .params_bytes = sizeof(RmsProp),
    .n_slots = 2,
    .slot_names = rmsprop_slots,
    .step = rmsprop_step};

/* ---- adagrad: s += g^2;  w -= lr g / (sqrt(s) + epsilon) */

typedef struct AdaGrad {
    double initial, lr_decay, epsilon;
} AdaGrad;

VECTOR_CLONES
static void adagrad_pass(const AdaGrad *p, const OptimArgs *a) {
    const float scale = a->grad_scale, limit = a->clip_value, decay = a->weight_decay;
    const float lr = (float)(a->lr / (1.0 + (double)(a->step - 1) * p->lr_decay)), epsilon = (float)p->epsilon;
    const float initial = a->step == 1 ? (float)p->initial : 0.0f; /* slots start as zeros */
    const float *restrict grad = a->grad;
    float *restrict w = a->value, *restrict s = a->slot[0];
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) {
        float g = gradient(grad[i], scale, limit) + decay * w[i];
        s[i] = (s[i] + initial) + g * g;
        w[i] -= lr * (g / (sqrtf(s[i]) + epsilon));
    }
}

static void adagrad_step(const void *params, const OptimArgs *args) {
    adagrad_pass(params, args);
}

static const Param adagrad_params[] = {
    {"initial", PARAM_FLOAT, offsetof(AdaGrad, initial), "0", 0, 1e9, NULL, "sum to start with (Keras: 0.1)"},
    {"lr_decay", PARAM_FLOAT, offsetof(AdaGrad, lr_decay), "0", 0, 1e9, NULL,
     "lr is divided by 1 + (step - 1) lr_decay"},
    {"epsilon", PARAM_FLOAT, offsetof(AdaGrad, epsilon), "1e-10", 0, 1, NULL, "added to the root (Keras: 1e-7)"},
    {0}};
static const char *const adagrad_slots[] = {"sum"};
static const OptimKind adagrad = {
    .name = "adagrad",
    .doc = "w -= lr g / (sqrt(s) + epsilon), s the sum of all g^2 so far (Duchi et al. 2011)",
    .params = adagrad_params,
    .params_bytes = sizeof(AdaGrad),
    .n_slots = 1,
    .slot_names = adagrad_slots,
    .step = adagrad_step};

/* ---- adadelta: v = rho v + (1 - rho) g^2;  d = g sqrt(u + epsilon) / sqrt(v + epsilon)
 *                u = rho u + (1 - rho) d^2;  w -= lr d
 * The method chooses its own step length, so lr is meant to be 1. Keras once had 1 as default and now has 0.001, with
 * which recipes written for the old default hardly learn. */

typedef struct AdaDelta {
    double rho, epsilon;
} AdaDelta;

VECTOR_CLONES
static void adadelta_pass(const AdaDelta *p, const OptimArgs *a) {
    const float scale = a->grad_scale, limit = a->clip_value, decay = a->weight_decay, lr = (float)a->lr;
    const float rho = (float)p->rho, rest = (float)(1.0 - p->rho), epsilon = (float)p->epsilon;
    const float *restrict grad = a->grad;
    float *restrict w = a->value, *restrict v = a->slot[0], *restrict u = a->slot[1];
#pragma omp simd
    for (int64_t i = 0; i < a->n; i++) {
        float g = gradient(grad[i], scale, limit) + decay * w[i];
        v[i] = rho * v[i] + rest * g * g;
        float d = sqrtf(u[i] + epsilon) / sqrtf(v[i] + epsilon) * g;
        u[i] = rho * u[i] + rest * d * d;
        w[i] -= lr * d;
    }
}

static void adadelta_step(const void *params, const OptimArgs *args) {
    adadelta_pass(params, args);
}

static const Param adadelta_params[] = {
    {"rho", PARAM_FLOAT, offsetof(AdaDelta, rho), "0.9", 0, 0.999999, NULL, "memory of both means (Keras: 0.95)"},
    {"epsilon", PARAM_FLOAT, offsetof(AdaDelta, epsilon), "1e-6", 0, 1, NULL,
     "inside both roots (Keras: 1e-8, later 1e-7)"},
    {0}};
static const char *const adadelta_slots[] = {"v", "u"};
static const OptimKind adadelta = {
    .name = "adadelta",
    .doc = "w -= lr g sqrt(u) / sqrt(v), running means of d^2 and g^2 (Zeiler 2012); set "
           "train.lr to 1",
    .params = adadelta_params,
    .params_bytes = sizeof(AdaDelta),
    .n_slots = 2,
    .slot_names = adadelta_slots,
    .step = adadelta_step};

/* ---- the table, and reading it */

const OptimKind *const optim_kinds[] = {&sgd, &adam, &adamw, &rmsprop, &adagrad, &adadelta, NULL};

static const OptimKind *optim_find(const char *name) {
    for (int i = 0; optim_kinds[i]; i++) {
        if (strcmp(optim_kinds[i]->name, name) == 0) return optim_kinds[i];
    }
    return NULL;
}

Err optimizer_read(Optimizer *out, const Experiment *experiment, Arena *arena, Error *err) {
    const TrainConfig *train = &experiment->train;
    *out = (Optimizer){
        .clip_norm = train->clip_norm, .clip_value = train->clip_value, .weight_decay = train->weight_decay};
    KindRef ref = {.name = "adam"};
    if (train->optimizer && train->optimizer->type != NODE_NULL) {
        TRY(config_kind(&ref, train->optimizer, "train.optimizer", err));
    }
    out->kind = optim_find(ref.name);
    if (!out->kind) {
        const char *names[sizeof optim_kinds / sizeof optim_kinds[0]] = {0};
        for (int i = 0; optim_kinds[i]; i++) names[i] = optim_kinds[i]->name;
        return config_unknown_kind(&ref, "optimizer", names, err);
    }
    void *params = arena_alloc(arena, out->kind->params_bytes);
    out->params = params;
    FillSpec fill = {.what = arena_printf(arena, "train.optimizer (%s)", ref.name),
                     .mark = ref.mark,
                     .maps = {ref.args},
                     .targets = {{out->kind->params, params}}};
    TRY(config_fill(&fill, arena, err));
    const Sgd *s = params;
    if (out->kind == &sgd && s->nesterov && s->momentum == 0.0) {
        return err_at(err, ERR_CONFIG, ref.mark,
                      "train.optimizer (sgd): 'nesterov' needs a momentum, as in momentum: 0.9");
    }
    return OK;
}

/* ---- all weights */

VECTOR_CLONES
static double square_sum(int64_t n, const float *restrict x) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static double square_span(const void *context, int64_t first, int64_t last) {
    const Weights *weights = context;
    return square_sum(last - first, weights->grad + first);
}

/* No square of a float overflows a double, so the sum is finite exactly when every element is. Gaps hold zeros. */
double gradient_square_sum(const Weights *weights) {
    return spans_run(weights->trained_size, GRAIN, square_span, weights);
}

static double value_span(const void *context, int64_t first, int64_t last) {
    const Weights *weights = context;
    return square_sum(last - first, weights->value + first);
}

const char *weights_first_nonfinite(const Weights *weights) {
    if (isfinite(spans_run(weights->size, GRAIN, value_span, weights))) return NULL;
    for (int i = 0; i < weights->n; i++) {
        const WeightEntry *e = &weights->entries[i];
        if (!isfinite(square_sum(e->count, weights->value + e->offset))) return e->name;
    }
    return "a gap"; /* between entries, where nothing may ever write */
}

typedef struct StepRun {
    const Optimizer *optimizer;
    Weights *weights;
    OptimArgs args; /* what is the same for all entries */
} StepRun;

/* The trained entry that holds `offset`, or the next one behind it (entries lie in order of their offsets). */
static int entry_at(const Weights *weights, int64_t offset) {
    int low = 0, high = weights->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        const WeightEntry *e = &weights->entries[middle];
        if (e->offset + e->count <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static double step_span(const void *context, int64_t first, int64_t last) {
    const StepRun *run = context;
    Weights *weights = run->weights;
    for (int i = entry_at(weights, first); i < weights->n; i++) {
        const WeightEntry *e = &weights->entries[i];
        if (e->offset >= last || !(e->flags & WEIGHT_TRAINED)) break;
        int64_t from = e->offset > first ? e->offset : first;
        int64_t to = e->offset + e->count < last ? e->offset + e->count : last;
        OptimArgs args = run->args;
        args.n = to - from;
        args.value = weights->value + from;
        args.grad = weights->grad + from;
        for (int k = 0; k < weights->n_slots; k++) args.slot[k] = weights->slot[k] + from;
        args.weight_decay = e->flags & WEIGHT_DECAYED ? (float)run->optimizer->weight_decay : 0.0f;
        run->optimizer->kind->step(run->optimizer->params, &args);
    }
    return 0;
}

bool optimizer_step(const Optimizer *optimizer, Weights *weights, double lr, int64_t step, double grad_scale,
                    double *grad_norm) {
    double norm = sqrt(gradient_square_sum(weights)) * fabs(grad_scale);
    if (grad_norm) *grad_norm = norm;
    if (!isfinite(norm)) return false;
    /* As torch.nn.utils.clip_grad_norm_: the small constant keeps the clipped norm just below the limit. */
    if (optimizer->clip_norm > 0 && norm + 1e-6 > optimizer->clip_norm)
        grad_scale *= optimizer->clip_norm / (norm + 1e-6);
    StepRun run = {.optimizer = optimizer, .weights = weights};
    run.args.grad_scale = (float)grad_scale;
    run.args.clip_value = optimizer->clip_value > 0 ? (float)optimizer->clip_value : INFINITY;
    run.args.lr = lr;
    run.args.step = step;
    spans_run(weights->trained_size, GRAIN, step_span, &run);
    return true;
}
