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
    size_t n = (size_t)n_classes;
    out->count = calloc((n + 1) * n, sizeof *out->count);
    out->images = calloc(n, sizeof *out->images);
    if (out->count && out->images) return OK;
    confusion_free(out);
    return err_set(err, ERR_MEMORY, "no memory for a confusion matrix of %d classes", n_classes);
}

void confusion_free(Confusion *c) {
    free(c->count);
    free(c->images);
    *c = (Confusion){0};
}

void confusion_clear(Confusion *c) {
    size_t n = (size_t)c->n;
    memset(c->count, 0, sizeof *c->count * (n + 1) * n);
    memset(c->images, 0, sizeof *c->images * n);
    c->ignored = c->top = 0;
}

/* The first channel with the largest score, and that score, for n neighbouring places; channels are `stride` apart. */
VECTOR_CLONES
static void argmax_block(int n, int64_t channels, int64_t stride, const float *restrict scores, int32_t *restrict best,
                         float *restrict top) {
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

void scores_best(int64_t channels, int64_t places, int64_t stride, const float *scores, uint8_t *classes,
                 float *values) {
    int32_t best[BLOCK];
    float top[BLOCK];
    for (int64_t first = 0; first < places; first += BLOCK) {
        int count = (int)(places - first < BLOCK ? places - first : BLOCK);
        argmax_block(count, channels, stride, scores + first, best, top);
        for (int i = 0; classes && i < count; i++) classes[first + i] = (uint8_t)best[i];
        if (values) memcpy(values + first, top, (size_t)count * sizeof *top);
    }
}

void scores_argmax(int64_t channels, int64_t places, const float *scores, uint8_t *classes) {
    scores_best(channels, places, places, scores, classes, NULL);
}

Err confusion_add_mask(Confusion *c, int height, int width, const uint8_t *predicted, const uint8_t *target,
                       Error *err) {
    int64_t n = (int64_t)height * width;
    for (int64_t i = 0; i < n; i++) { /* all is checked before anything is counted */
        if (target[i] >= c->n && target[i] != IGNORED)
            return err_set(err, ERR_DATA, "pixel (%lld, %lld) has value %d, which is no class (0..%d) and not ignored",
                           (long long)(i % width), (long long)(i / width), target[i], c->n - 1);
    }
    bool holds[256] = {false};
    for (int64_t i = 0; i < n; i++) {
        assert(predicted[i] < c->n);
        int row = target[i] == IGNORED ? c->n : target[i];
        c->count[(int64_t)row * c->n + predicted[i]]++;
        holds[target[i]] = true;
        c->ignored += target[i] == IGNORED;
    }
    for (int k = 0; k < c->n; k++) c->images[k] += holds[k];
    return OK;
}

Err confusion_add_label(Confusion *c, const float *scores, int32_t label, Error *err) {
    bool ignored = label == IGNORED;
    if (!ignored && (label < 0 || label >= c->n))
        return err_set(err, ERR_DATA, "label %d is no class (0..%d) and not ignored", label, c->n - 1);
    int32_t best = 0;
    float top;
    argmax_block(1, c->n, 1, scores, &best, &top);
    c->count[(int64_t)(ignored ? c->n : label) * c->n + best]++;
    c->ignored += ignored;
    if (ignored) return OK;
    int before = 0;
    for (int k = 0; k < c->n; k++) before += scores[k] > scores[label] || (scores[k] == scores[label] && k < label);
    c->top += before < TOP_CLASSES;
    c->images[label]++;
    return OK;
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0.0;
}

/* Targets and predictions of class k, where the target is not ignored. */
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
        ClassScore score = {.images = c->images[k],
                            .present = targets > 0,
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
    out->ignored = c->ignored;
    out->top5_accuracy = ratio((double)c->top, (double)out->pixels);
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
                                           {"boundary_f1", true},
                                           {NULL, false}};
const MetricName reconstruction_metrics[] = {
    {"loss", false}, {"mse", false}, {"mae", false}, {"squared_error_per_image", false}, {NULL, false}};
const MetricName classification_metrics[] = {
    {"loss", false},   {"accuracy", true}, {"mean_accuracy", true}, {"mean_precision", true}, {"mean_recall", true},
    {"mean_f1", true}, {NULL, false}};
const MetricName segmentation_class_metrics[] = {{"iou", true},    {"accuracy", true}, {"precision", true},
                                                 {"recall", true}, {"dice", true},     {"boundary_f1", true},
                                                 {NULL, false}};
const MetricName classification_class_metrics[] = {
    {"accuracy", true}, {"precision", true}, {"recall", true}, {"f1", true}, {NULL, false}};
