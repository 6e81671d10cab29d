/* metric.c - confusion matrix and its scores, error sums, names of metrics. */
#include "train/metric.h"

#include "base/spans.h"
#include "base/vmath.h"

#include <assert.h>
#include <stdlib.h>

enum { IGNORED = 255, BLOCK = 256, GRAIN = 32768 };

Err confusion_new(Confusion *out, int n_classes, Error *err) {
    assert(n_classes > 0);
    *out = (Confusion){.n = n_classes};
    out->count = calloc((size_t)n_classes * (size_t)n_classes, sizeof *out->count);
    if (!out->count) return err_set(err, ERR_MEMORY, "no memory for a confusion matrix of %d classes", n_classes);
    return OK;
}

void confusion_free(Confusion *c) {
    free(c->count);
    *c = (Confusion){0};
}

void confusion_clear(Confusion *c) {
    memset(c->count, 0, sizeof *c->count * (size_t)c->n * (size_t)c->n);
    c->ignored = 0;
}

static Err no_class(const Confusion *c, int64_t value, int64_t sample, int64_t place, int64_t s, Error *err) {
    if (s == 1) {
        return err_set(err, ERR_DATA,
                       "label %lld of sample %lld in the batch is no class, there are %d (0 to %d, 255 is ignored)",
                       (long long)value, (long long)sample, c->n, c->n - 1);
    }
    return err_set(
        err, ERR_DATA,
        "mask value %lld at pixel %lld of sample %lld in the batch is no class, there are %d (0 to %d, 255 is ignored)",
        (long long)value, (long long)place, (long long)sample, c->n, c->n - 1);
}

/* The first channel with the largest score, for n neighbouring places; channels are `stride` apart. */
VECTOR_CLONES
static void argmax_block(int n, int64_t channels, int64_t stride, const float *restrict scores,
                         int32_t *restrict best) {
    float top[BLOCK];
    for (int i = 0; i < n; i++) {
        top[i] = scores[i];
        best[i] = 0;
    }
    for (int64_t c = 1; c < channels; c++) {
        const float *row = scores + c * stride;
        const int32_t index = (int32_t)c;
#pragma omp simd
        for (int i = 0; i < n; i++) {
            best[i] = row[i] > top[i] ? index : best[i];
            top[i] = row[i] > top[i] ? row[i] : top[i];
        }
    }
}

void scores_argmax(int64_t channels, int64_t places, const float *scores, uint8_t *classes) {
    int32_t best[BLOCK];
    for (int64_t first = 0; first < places; first += BLOCK) {
        int count = (int)(places - first < BLOCK ? places - first : BLOCK);
        argmax_block(count, channels, places, scores + first, best);
        for (int i = 0; i < count; i++) classes[first + i] = (uint8_t)best[i];
    }
}

Err confusion_add_mask(Confusion *c, int64_t n, int64_t s, const float *scores, const uint8_t *target, Error *err) {
    for (int64_t i = 0; i < n * s; i++) { /* all is checked before anything is counted */
        if (target[i] >= c->n && target[i] != IGNORED) return no_class(c, target[i], i / s, i % s, s, err);
    }
    int32_t best[BLOCK];
    for (int64_t sample = 0; sample < n; sample++) {
        for (int64_t first = 0; first < s; first += BLOCK) {
            int count = (int)(s - first < BLOCK ? s - first : BLOCK);
            argmax_block(count, c->n, s, scores + sample * c->n * s + first, best);
            const uint8_t *t = target + sample * s + first;
            for (int i = 0; i < count; i++) {
                if (t[i] == IGNORED) {
                    c->ignored++;
                } else {
                    c->count[(int64_t)t[i] * c->n + best[i]]++;
                }
            }
        }
    }
    return OK;
}

Err confusion_add_label(Confusion *c, int64_t n, const float *scores, const int32_t *target, Error *err) {
    for (int64_t i = 0; i < n; i++) {
        if ((target[i] < 0 || target[i] >= c->n) && target[i] != IGNORED) return no_class(c, target[i], i, 0, 1, err);
    }
    for (int64_t i = 0; i < n; i++) {
        if (target[i] == IGNORED) {
            c->ignored++;
            continue;
        }
        int32_t best = 0;
        argmax_block(1, c->n, 1, scores + i * c->n, &best);
        c->count[(int64_t)target[i] * c->n + best]++;
    }
    return OK;
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0.0;
}

/* Targets and predictions of class k. */
static void margins(const Confusion *c, int k, int64_t *targets, int64_t *predictions) {
    *targets = *predictions = 0;
    for (int i = 0; i < c->n; i++) {
        *targets += c->count[(int64_t)k * c->n + i];
        *predictions += c->count[(int64_t)i * c->n + k];
    }
}

void confusion_scores(const Confusion *c, SegmentationScore *out, ClassScore *classes) {
    *out = (SegmentationScore){0};
    int n_present = 0, n_scored = 0;
    int64_t right = 0;
    double frequency_weighted = 0;
    for (int k = 0; k < c->n; k++) {
        int64_t targets, predictions, hits = c->count[(int64_t)k * c->n + k];
        margins(c, k, &targets, &predictions);
        ClassScore score = {.present = targets > 0,
                            .scored = targets > 0 || predictions > 0,
                            .pixels = targets,
                            .predicted = predictions};
        score.iou = ratio((double)hits, (double)(targets + predictions - hits));
        score.accuracy = ratio((double)hits, (double)targets);
        score.precision = ratio((double)hits, (double)predictions);
        score.dice = ratio(2.0 * (double)hits, (double)targets + (double)predictions);
        right += hits;
        out->pixels += targets;
        n_present += score.present;
        n_scored += score.scored;
        out->mean_accuracy += score.accuracy;
        out->miou += score.iou;
        out->mean_precision += score.precision;
        out->mean_dice += score.dice;
        frequency_weighted += (double)targets * score.iou;
        if (classes) classes[k] = score;
    }
    out->pixel_accuracy = ratio((double)right, (double)out->pixels);
    out->mean_accuracy = ratio(out->mean_accuracy, n_present);
    out->miou = ratio(out->miou, n_scored);
    out->mean_precision = ratio(out->mean_precision, n_scored);
    out->mean_dice = ratio(out->mean_dice, n_scored);
    out->frequency_weighted_iou = ratio(frequency_weighted, (double)out->pixels);
}

/* ---- reconstruction */

typedef struct Errors {
    const float *output, *target;
} Errors;

VECTOR_CLONES
static double squared_stretch(int64_t n, const float *restrict a, const float *restrict b) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

VECTOR_CLONES
static double absolute_stretch(int64_t n, const float *restrict a, const float *restrict b) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) sum += fabs((double)a[i] - (double)b[i]);
    return sum;
}

static double squared_span(const void *context, int64_t first, int64_t last) {
    const Errors *e = context;
    return squared_stretch(last - first, e->output + first, e->target + first);
}

static double absolute_span(const void *context, int64_t first, int64_t last) {
    const Errors *e = context;
    return absolute_stretch(last - first, e->output + first, e->target + first);
}

void reconstruction_add(ReconstructionSum *sum, int64_t n, int64_t elements_each, const float *output,
                        const float *target) {
    Errors errors = {output, target};
    int64_t elements = n * elements_each;
    sum->squared += spans_run(elements, GRAIN, squared_span, &errors);
    sum->absolute += spans_run(elements, GRAIN, absolute_span, &errors);
    sum->elements += elements;
    sum->images += n;
}

/* ---- names */

const MetricName segmentation_metrics[] = {{"loss", false},
                                           {"miou", true},
                                           {"pixel_accuracy", true},
                                           {"mean_accuracy", true},
                                           {"frequency_weighted_iou", true},
                                           {"mean_precision", true},
                                           {"mean_recall", true},
                                           {"mean_dice", true},
                                           {NULL, false}};
const MetricName reconstruction_metrics[] = {
    {"loss", false}, {"mse", false}, {"mae", false}, {"squared_error_per_image", false}, {NULL, false}};
const MetricName classification_metrics[] = {
    {"loss", false},   {"accuracy", true}, {"mean_accuracy", true}, {"mean_precision", true}, {"mean_recall", true},
    {"mean_f1", true}, {NULL, false}};
const MetricName segmentation_class_metrics[] = {{"iou", true},    {"accuracy", true}, {"precision", true},
                                                 {"recall", true}, {"dice", true},     {NULL, false}};
const MetricName classification_class_metrics[] = {
    {"accuracy", true}, {"precision", true}, {"recall", true}, {"f1", true}, {NULL, false}};
