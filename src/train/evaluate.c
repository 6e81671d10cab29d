/* evaluate.c - scores by name, and as JSON. See evaluate.h. */
#include "train/evaluate.h"

#include <math.h>
#include <string.h>

/* Name, value, and whether there is one: of nothing but ignored pixels there is no score. name NULL ends the table. */
typedef struct Score {
    const char *name;
    double value;
    bool none;
} Score;
enum { MAX_SCORES = 16 };

static void list_scores(const Evaluation *e, Score scores[MAX_SCORES]) {
    const SegmentationScore *s = &e->segmentation;
    const bool none = s->pixels == 0;
    int n = 0;
    scores[n++] = (Score){"loss", e->loss, false};
    switch (e->task) {
    case TASK_RECONSTRUCTION:
        scores[n++] = (Score){"mse", e->mse, false};
        scores[n++] = (Score){"mae", e->mae, false};
        scores[n++] = (Score){"squared_error_per_image", e->squared_error_per_image, false};
        break;
    case TASK_SEGMENTATION:
        scores[n++] = (Score){"pixel_accuracy", s->pixel_accuracy, none};
        scores[n++] = (Score){"mean_accuracy", s->mean_accuracy, none};
        scores[n++] = (Score){"miou", s->miou, none};
        scores[n++] = (Score){"frequency_weighted_iou", s->frequency_weighted_iou, none};
        scores[n++] = (Score){"mean_precision", s->mean_precision, none};
        scores[n++] = (Score){"mean_dice", s->mean_dice, none};
        if (s->bounded) scores[n++] = (Score){"boundary_f1", s->boundary_f1, s->n_bounded == 0};
        break;
    case TASK_CLASSIFICATION:
        scores[n++] = (Score){"accuracy", s->pixel_accuracy, none};
        scores[n++] = (Score){"top5_accuracy", s->top5_accuracy, none};
        scores[n++] = (Score){"mean_accuracy", s->mean_accuracy, none};
        scores[n++] = (Score){"mean_precision", s->mean_precision, none};
        scores[n++] = (Score){"mean_f1", s->mean_dice, none};
        break;
    }
    scores[n] = (Score){NULL, 0, false};
}

static void write_classes(const Evaluation *e, const char *const *class_names, Json *json) {
    json_int(json, "ignored", e->segmentation.ignored);
    json_open_object(json, "per_class");
    for (int i = 0; i < e->n_classes; i++) {
        const ClassScore *c = &e->classes[i];
        json_open_object(json, class_names[i]);
        if (e->task == TASK_SEGMENTATION) json_int(json, "pixels", c->pixels);
        json_int(json, "images", c->images);
        json_bool(json, "absent", !c->present);
        for (const MetricName *m = evaluation_class_metrics(e->task); m->name; m++) {
            double value;
            if (evaluation_class_metric(e, m->name, i, &value))
                json_float(json, m->name, value);
            else if (e->segmentation.bounded || strcmp(m->name, "boundary_f1") != 0)
                json_null(json, m->name);
        }
        json_close(json);
    }
    json_close(json);
}

Evaluation evaluation_copy(const Evaluation *e, Arena *arena) {
    Evaluation copy = *e;
    const size_t n = (size_t)e->n_classes;
    for (int i = 0; i < e->n_parts; i++) copy.parts[i].name = arena_strdup(arena, e->parts[i].name);
    if (e->classes) copy.classes = arena_copy(arena, e->classes, n * sizeof *e->classes);
    if (e->confusion) copy.confusion = arena_copy(arena, e->confusion, (n + 1) * n * sizeof *e->confusion);
    return copy;
}

void loss_parts_write_json(int n, const LossPart *parts, Json *json) {
    if (n < 2) return;
    json_open_object(json, "terms");
    for (int i = 0; i < n; i++) json_float(json, parts[i].name, parts[i].value);
    json_close(json);
}

void evaluation_write_json(const Evaluation *e, const char *const *class_names, Json *json) {
    Score scores[MAX_SCORES];
    list_scores(e, scores);
    for (const Score *s = scores; s->name; s++)
        s->none ? json_null(json, s->name) : json_float(json, s->name, s->value);
    loss_parts_write_json(e->n_parts, e->parts, json);
    if (class_names && e->classes) write_classes(e, class_names, json);
    json_int(json, "images", e->images);
}

const MetricName *evaluation_metrics(Task task) {
    switch (task) {
    case TASK_SEGMENTATION:
        return segmentation_metrics;
    case TASK_CLASSIFICATION:
        return classification_metrics;
    default:
        return reconstruction_metrics;
    }
}

bool evaluation_metric(const Evaluation *e, const char *name, double *value) {
    Score scores[MAX_SCORES];
    list_scores(e, scores);
    if (strcmp(name, "mean_recall") == 0) name = "mean_accuracy"; /* two names of one score; reports have the second */
    for (const Score *s = scores; s->name; s++)
        if (strcmp(s->name, name) == 0) {
            *value = s->value;
            return !s->none;
        }
    return false;
}

const MetricName *evaluation_class_metrics(Task task) {
    static const MetricName none[] = {{NULL, false}};
    return task == TASK_SEGMENTATION     ? segmentation_class_metrics
           : task == TASK_CLASSIFICATION ? classification_class_metrics
                                         : none;
}

/* A class's score by name, and whether it has one. */
typedef struct ClassValue {
    const char *name;
    size_t value, has; /* offsets in ClassScore: double, bool */
} ClassValue;
static const ClassValue class_values[] = {
    {"iou", offsetof(ClassScore, iou), offsetof(ClassScore, scored)},
    {"accuracy", offsetof(ClassScore, accuracy), offsetof(ClassScore, present)},
    {"recall", offsetof(ClassScore, accuracy), offsetof(ClassScore, present)},
    {"precision", offsetof(ClassScore, precision), offsetof(ClassScore, scored)},
    {"dice", offsetof(ClassScore, dice), offsetof(ClassScore, scored)},
    {"f1", offsetof(ClassScore, dice), offsetof(ClassScore, scored)},
    {"boundary_f1", offsetof(ClassScore, boundary_f1), offsetof(ClassScore, bounded)},
};

bool evaluation_class_metric(const Evaluation *e, const char *name, int class_index, double *value) {
    if (!e->classes || class_index < 0 || class_index >= e->n_classes) return false;
    const char *score = (const char *)&e->classes[class_index];
    for (const MetricName *m = evaluation_class_metrics(e->task); m->name; m++) {
        if (strcmp(m->name, name) != 0) continue;
        for (size_t i = 0; i < sizeof class_values / sizeof *class_values; i++) {
            const ClassValue *v = &class_values[i];
            if (strcmp(v->name, name) != 0) continue;
            if (!*(const bool *)(score + v->has)) return false;
            *value = *(const double *)(score + v->value);
            return true;
        }
    }
    return false;
}

bool evaluation_is_better(const MetricName *metric, double value, double best) {
    if (isnan(value)) return false;
    return isnan(best) || (metric->higher_is_better ? value > best : value < best);
}
