/* probe.c - see probe.h. The only file that includes lbfgs.h.
 *
 * A pass over the data goes in blocks of ROWS samples: standardise, scores, softmax, and the block's share of the
 * gradient while it is still in the cache. PARTS parts of the samples have gradients of their own, added up in order.
 */
#include "analysis/probe.h"

#include "analysis/product.h"
#include "base/arena.h"

#include <lbfgs.h>
#include <math.h>
#include <string.h>

enum { ROWS = 32, PARTS = 16, CLASSES_STEP = 4, MAX_CLASSES_OF_PROBE = 4096 };

/* What passes over the training samples need. */
typedef struct Pass {
    const ProbeSpec *spec;
    const Probe *probe; /* sizes and standardisation */
    size_t n_weights;   /* (d+1) * stride */
    double *gradients;  /* PARTS,d+1,stride */
    double *rooms;      /* PARTS: a block of features, and one of scores */
    double losses[PARTS];
} Pass;

int64_t probe_stride(int n_classes) {
    return (n_classes + CLASSES_STEP - 1) / CLASSES_STEP * CLASSES_STEP;
}

/* ---- preparation ---- */

static Err check_spec(const ProbeSpec *s, Error *err) {
    if (s->n < 1 || s->d < 1)
        return err_set(err, ERR_DATA, "a probe needs samples and features, got %lld of %lld", (long long)s->n,
                       (long long)s->d);
    if (s->n_classes < 2 || s->n_classes > MAX_CLASSES_OF_PROBE)
        return err_set(err, ERR_DATA, "a probe is for 2 to %d classes, got %d", MAX_CLASSES_OF_PROBE, s->n_classes);
    if (!(s->l2 >= 0) || !isfinite(s->l2)) return err_set(err, ERR_DATA, "l2 must be 0 or more, got %g", s->l2);
    for (int64_t i = 0; i < s->n; i++)
        if (s->labels[i] < 0 || s->labels[i] >= s->n_classes)
            return err_set(err, ERR_DATA, "label %d of sample %lld is none of the %d classes", s->labels[i],
                           (long long)i, s->n_classes);
    return OK;
}

static Err name_bad_feature(int64_t n, int64_t d, const float *x, Error *err) {
    for (int64_t i = 0; i < n * d; i++)
        if (!isfinite(x[i]))
            return err_set(err, ERR_NUMERIC, "feature %lld of sample %lld is not finite: %g", (long long)(i % d),
                           (long long)(i / d), (double)x[i]);
    return OK;
}

/* Mean and one over the deviation of features first..last-1. Two passes: the squares of differences do not cancel. */
static bool standardise_features(const ProbeSpec *s, int64_t first, int64_t last, double *mean, double *scale) {
    bool good = true;
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = first; j < last; j++) mean[j] += (double)s->x[i * s->d + j];
    for (int64_t j = first; j < last; j++) mean[j] /= (double)s->n;
    for (int64_t i = 0; i < s->n; i++) {
        for (int64_t j = first; j < last; j++) {
            double difference = (double)s->x[i * s->d + j] - mean[j];
            scale[j] += difference * difference;
        }
    }
    for (int64_t j = first; j < last; j++) {
        double deviation = sqrt(scale[j] / (double)s->n);
        good = good && isfinite(deviation);
        /* What differs from the mean by rounding only never changes. */
        scale[j] = deviation > 1e-12 * fabs(mean[j]) ? 1 / deviation : 0;
    }
    return good;
}

static Err standardise(const ProbeSpec *s, Probe *probe, Error *err) {
    enum { FEATURES = 32 };
    int bad = 0;
#pragma omp parallel for schedule(static) reduction(| : bad)
    for (int64_t first = 0; first < s->d; first += FEATURES) {
        int64_t last = first + FEATURES < s->d ? first + FEATURES : s->d;
        bad |= !standardise_features(s, first, last, probe->mean, probe->scale);
    }
    return bad ? name_bad_feature(s->n, s->d, s->x, err) : OK;
}

static size_t room_size(const Probe *probe) {
    return (size_t)ROWS * (size_t)(probe->d + probe->stride);
}

static void pass_end(Pass *pass) {
    block_free(pass->gradients);
    block_free(pass->rooms);
}

/* The probe with its standardisation, without weights; and what passes need. */
static Err begin(const ProbeSpec *spec, Probe *probe, Pass *pass, Error *err) {
    *probe = (Probe){0};
    *pass = (Pass){.spec = spec, .probe = probe};
    TRY(check_spec(spec, err));
    *probe = (Probe){.d = spec->d, .stride = probe_stride(spec->n_classes), .n_classes = spec->n_classes};
    pass->n_weights = (size_t)(spec->d + 1) * (size_t)probe->stride;
    probe->mean = block_alloc((size_t)spec->d * sizeof(double));
    probe->scale = block_alloc((size_t)spec->d * sizeof(double));
    probe->weights = block_alloc(pass->n_weights * sizeof(double));
    pass->gradients = block_alloc(PARTS * pass->n_weights * sizeof(double));
    pass->rooms = block_alloc(PARTS * room_size(probe) * sizeof(double));
    if (!probe->mean || !probe->scale || !probe->weights || !pass->gradients || !pass->rooms)
        return err_set(err, ERR_MEMORY, "no memory for a probe on %lld features", (long long)spec->d);
    return standardise(spec, probe, err);
}

void probe_free(Probe *probe) {
    block_free(probe->mean);
    block_free(probe->scale);
    block_free(probe->weights);
    *probe = (Probe){0};
}

/* ---- the objective ---- */

/* Standardise a block of samples into x (rows,d) and compute their scores (rows,stride). */
static void score_block(const Probe *p, const double *weights, int64_t rows, const float *samples, double *x,
                        double *scores) {
    product_pack(rows, p->d, samples, p->d, p->mean, p->scale, x);
    for (int64_t r = 0; r < rows; r++)
        memcpy(scores + r * p->stride, weights + p->d * p->stride, (size_t)p->stride * sizeof *scores);
    product_add(rows, p->stride, p->d, (Matrix){x, p->d, 1}, (Matrix){(double *)weights, p->stride, 1},
                (Matrix){scores, p->stride, 1});
}

/* Scores of one sample to the gradient of its loss, softmax - [label]; returns the loss. */
static double softmax_loss(int n_classes, int32_t label, double *scores) {
    double most = scores[0], sum = 0, own = scores[label];
    for (int c = 1; c < n_classes; c++) most = scores[c] > most ? scores[c] : most;
    for (int c = 0; c < n_classes; c++) {
        scores[c] = exp(scores[c] - most);
        sum += scores[c];
    }
    for (int c = 0; c < n_classes; c++) scores[c] /= sum;
    scores[label] -= 1;
    return log(sum) + most - own;
}

static void pass_part(Pass *pass, int part, const double *weights) {
    const ProbeSpec *s = pass->spec;
    const Probe *p = pass->probe;
    double *x = pass->rooms + (size_t)part * room_size(p), *scores = x + ROWS * p->d, loss = 0;
    double *gradient = pass->gradients + (size_t)part * pass->n_weights, *bias = gradient + p->d * p->stride;
    memset(gradient, 0, pass->n_weights * sizeof *gradient);
    int64_t last = s->n * (part + 1) / PARTS;
    for (int64_t row = s->n * part / PARTS; row < last; row += ROWS) {
        int64_t rows = last - row < ROWS ? last - row : ROWS;
        score_block(p, weights, rows, s->x + row * s->d, x, scores);
        for (int64_t r = 0; r < rows; r++) {
            double *one = scores + r * p->stride;
            loss += softmax_loss(s->n_classes, s->labels[row + r], one);
            for (int c = 0; c < s->n_classes; c++) bias[c] += one[c];
        }
        product_add(p->d, p->stride, rows, (Matrix){x, 1, p->d}, (Matrix){scores, p->stride, 1},
                    (Matrix){gradient, p->stride, 1});
    }
    pass->losses[part] = loss;
}

/* The padding's scores are 0 and would have gradients; they stay out of it. */
static double objective(Pass *pass, const double *weights, double *gradient) {
    const ProbeSpec *s = pass->spec;
    const Probe *p = pass->probe;
#pragma omp parallel for schedule(static, 1)
    for (int part = 0; part < PARTS; part++) pass_part(pass, part, weights);
    double loss = 0, squares = 0;
    for (int part = 0; part < PARTS; part++) loss += pass->losses[part];
    for (int64_t j = 0; j < p->d; j++)
        for (int c = 0; c < s->n_classes; c++) squares += weights[j * p->stride + c] * weights[j * p->stride + c];
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j <= p->d; j++) {
        for (int64_t c = 0; c < p->stride; c++) {
            int64_t at = j * p->stride + c;
            double sum = 0;
            for (int part = 0; part < PARTS; part++)
                sum += pass->gradients[(size_t)part * pass->n_weights + (size_t)at];
            double decay = j < p->d ? s->l2 * weights[at] : 0;
            gradient[at] = c < s->n_classes ? sum / (double)s->n + decay : 0;
        }
    }
    return loss / (double)s->n + 0.5 * s->l2 * squares;
}

Err probe_objective(const ProbeSpec *spec, const double *weights, double *gradient, double *value, Error *err) {
    Probe probe;
    Pass pass;
    Err code = begin(spec, &probe, &pass, err);
    if (code == OK) *value = objective(&pass, weights, gradient ? gradient : probe.weights);
    pass_end(&pass);
    probe_free(&probe);
    return code;
}

/* ---- going down ---- */

enum { STOP_CONVERGED = 1000, STOP_ASKED, LBFGS_STEP = 16 };

typedef struct Descent {
    Pass *pass;
    Probe *probe;
    double tolerance;
} Descent;

static lbfgsfloatval_t on_evaluate(void *instance, const lbfgsfloatval_t *x, lbfgsfloatval_t *g, const int n,
                                   const lbfgsfloatval_t step) {
    const Descent *descent = instance;
    /* n is rounded up by libLBFGS; what is beyond our weights stays 0. */
    for (size_t i = descent->pass->n_weights; i < (size_t)n; i++) g[i] = 0;
    return objective(descent->pass, x, g);
}

static int on_progress(void *instance, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx,
                       const lbfgsfloatval_t xnorm, const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n,
                       int k, int ls) {
    Descent *descent = instance;
    const volatile sig_atomic_t *stop = descent->pass->spec->stop;
    descent->probe->iterations = k;
    if (stop && *stop) return STOP_ASKED;
    return gnorm <= descent->tolerance ? STOP_CONVERGED : 0;
}

/* The end of the descent as an outcome; a line search that finds nothing lower is one that rounding ended. */
static Err judge(int outcome, Error *err) {
    switch (outcome) {
    case STOP_ASKED:
        return err_set(err, ERR_STOPPED, "stopped");
    case LBFGSERR_OUTOFMEMORY:
        return err_set(err, ERR_MEMORY, "no memory for L-BFGS");
    case LBFGSERR_LOGICERROR:
    case LBFGSERR_UNKNOWNERROR:
        return err_set(err, ERR_NUMERIC, "L-BFGS failed with code %d", outcome);
    default:
        return OK;
    }
}

static double length_of(size_t n, const double *v) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sqrt(sum);
}

static Err descend(Descent *descent, Error *err) {
    Pass *pass = descent->pass;
    Probe *probe = descent->probe;
    size_t n = pass->n_weights;
    lbfgs_parameter_t parameters;
    lbfgs_parameter_init(&parameters);
    parameters.m = 10;
    parameters.epsilon = 1e-15; /* on_progress decides */
    parameters.max_iterations = pass->spec->max_iterations > 0 ? pass->spec->max_iterations : 1000;
    size_t rounded = (n + LBFGS_STEP - 1) / LBFGS_STEP * LBFGS_STEP;
    lbfgsfloatval_t *x = lbfgs_malloc((int)rounded);
    double *gradient = block_alloc(n * sizeof *gradient);
    Err code = x && gradient ? OK : err_set(err, ERR_MEMORY, "no memory for a probe of %zu weights", n);
    if (code == OK) {
        memset(x, 0, rounded * sizeof *x);
        code = judge(lbfgs((int)rounded, x, NULL, on_evaluate, on_progress, descent, &parameters), err);
    }
    if (code == OK) {
        memcpy(probe->weights, x, n * sizeof *x);
        probe->loss = objective(pass, probe->weights, gradient);
        probe->gradient_norm = length_of(n, gradient);
        probe->converged = probe->gradient_norm <= descent->tolerance;
    }
    block_free(gradient);
    lbfgs_free(x);
    return code;
}

Err probe_fit(Probe *out, const ProbeSpec *spec, Error *err) {
    Probe probe;
    Pass pass;
    Err code = begin(spec, &probe, &pass, err);
    Descent descent = {&pass, &probe, spec->tolerance > 0 ? spec->tolerance : 1e-4};
    if (code == OK && pass.n_weights > INT32_MAX / 2)
        code = err_set(err, ERR_DATA, "a probe of %zu weights is too large", pass.n_weights);
    if (code == OK) code = descend(&descent, err);
    pass_end(&pass);
    *out = (Probe){0};
    if (code == OK)
        *out = probe;
    else
        probe_free(&probe);
    return code;
}

/* ---- use ---- */

Err probe_predict(const Probe *probe, int64_t n, const float *x, int32_t *classes, Error *err) {
    double *rooms = block_alloc(PARTS * room_size(probe) * sizeof *rooms);
    if (!rooms) return err_set(err, ERR_MEMORY, "no memory to apply a probe on %lld features", (long long)probe->d);
#pragma omp parallel for schedule(static, 1)
    for (int part = 0; part < PARTS; part++) {
        double *block = rooms + (size_t)part * room_size(probe), *scores = block + ROWS * probe->d;
        int64_t last = n * (part + 1) / PARTS;
        for (int64_t row = n * part / PARTS; row < last; row += ROWS) {
            int64_t rows = last - row < ROWS ? last - row : ROWS;
            score_block(probe, probe->weights, rows, x + row * probe->d, block, scores);
            for (int64_t r = 0; r < rows; r++) {
                const double *one = scores + r * probe->stride;
                int best = 0;
                for (int c = 1; c < probe->n_classes; c++)
                    if (one[c] > one[best]) best = c;
                classes[row + r] = best;
            }
        }
    }
    block_free(rooms);
    return OK;
}
