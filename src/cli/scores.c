/* scores.c - see scores.h. */
#include "cli/scores.h"

#include <string.h>

/* The columns of the table: recall is accuracy, so one of them is left out, and boundary_f1 where it was not computed.
 */
static bool has_column(const Evaluation *e, const char *metric) {
    if (strcmp(metric, "boundary_f1") == 0) return e->segmentation.bounded;
    return strcmp(metric, e->task == TASK_SEGMENTATION ? "recall" : "accuracy") != 0;
}

static void print_class(FILE *out, const Evaluation *e, int c) {
    const ClassScore *s = &e->classes[c];
    if (e->task == TASK_SEGMENTATION) fprintf(out, "  %12lld", (long long)s->pixels);
    fprintf(out, "  %7lld", (long long)s->images);
    if (s->scored) {
        for (const MetricName *m = evaluation_class_metrics(e->task); m->name; m++) {
            double value;
            if (!has_column(e, m->name)) continue;
            int width = (int)strlen(m->name) > 8 ? (int)strlen(m->name) : 8;
            if (evaluation_class_metric(e, m->name, c, &value))
                fprintf(out, "  %*.4f", width, value);
            else
                fprintf(out, "  %*s", width, "-");
        }
    }
    if (!s->present && s->scored)
        fprintf(out, "  absent, but predicted %lld times", (long long)s->predicted);
    else if (!s->present)
        fputs("  absent", out);
    fputc('\n', out);
}

static void print_classes(FILE *out, const Evaluation *e, const char *const *class_names) {
    int width = 5;
    for (int c = 0; c < e->n_classes; c++)
        if (class_names && (int)strlen(class_names[c]) > width) width = (int)strlen(class_names[c]);
    fprintf(out, "\n%-*s", width, "class");
    if (e->task == TASK_SEGMENTATION) fprintf(out, "  %12s", "pixels");
    fprintf(out, "  %7s", "images");
    for (const MetricName *m = evaluation_class_metrics(e->task); m->name; m++)
        if (has_column(e, m->name)) fprintf(out, "  %8s", m->name);
    fputc('\n', out);
    for (int c = 0; c < e->n_classes; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        fprintf(out, "%-*s", width, class_names ? class_names[c] : number);
        print_class(out, e, c);
    }
}

/* One line; "-" where there is nothing to score. */
static void print_mean(FILE *out, const Evaluation *e, const char *words, const char *metric) {
    double value;
    if (evaluation_metric(e, metric, &value))
        fprintf(out, "%-23s  %.4f", words, value);
    else
        fprintf(out, "%-23s  -", words);
}

static void print_means(FILE *out, const Evaluation *e, const char *const (*rows)[2]) {
    for (; (*rows)[0]; rows++) {
        print_mean(out, e, (*rows)[0], (*rows)[1]);
        fputc('\n', out);
    }
}

static void print_segmentation(FILE *out, const Evaluation *e) {
    static const char *const rows[][2] = {{"pixel accuracy", "pixel_accuracy"},
                                          {"mean accuracy", "mean_accuracy"},
                                          {"mean IoU", "miou"},
                                          {"frequency-weighted IoU", "frequency_weighted_iou"},
                                          {"mean precision", "mean_precision"},
                                          {"mean Dice", "mean_dice"},
                                          {NULL, NULL}};
    const SegmentationScore *s = &e->segmentation;
    print_means(out, e, rows);
    if (s->bounded) {
        print_mean(out, e, "boundary F1", "boundary_f1");
        fprintf(out, " (within %g %% of the diagonal)\n", 100 * e->boundary_tolerance);
    }
    int64_t all = s->pixels + s->ignored;
    if (s->ignored > 0)
        fprintf(out, "ignored pixels           %lld of %lld (%.1f %%)\n", (long long)s->ignored, (long long)all,
                100.0 * (double)s->ignored / (double)all);
}

static void print_classification(FILE *out, const Evaluation *e) {
    static const char *const first[][2] = {{"accuracy", "accuracy"}, {NULL, NULL}};
    static const char *const rows[][2] = {{"top-5 accuracy", "top5_accuracy"}, /* only where there are more classes */
                                          {"mean accuracy", "mean_accuracy"},
                                          {"mean precision", "mean_precision"},
                                          {"mean F1", "mean_f1"},
                                          {NULL, NULL}};
    const SegmentationScore *s = &e->segmentation;
    print_means(out, e, first);
    print_means(out, e, e->n_classes > TOP_CLASSES ? rows : rows + 1);
    if (s->ignored > 0) fprintf(out, "ignored images           %lld\n", (long long)s->ignored);
}

void print_scores(FILE *out, const Evaluation *e, const char *const *class_names) {
    fprintf(out, "images                   %lld\n", (long long)e->images);
    fprintf(out, "loss                     %.6g\n", e->loss);
    for (int i = 0; i < e->n_parts && e->n_parts > 1; i++)
        fprintf(out, "  %-23s%.6g\n", e->parts[i].name, e->parts[i].value);
    switch (e->task) {
    case TASK_SEGMENTATION:
        print_segmentation(out, e);
        break;
    case TASK_CLASSIFICATION:
        print_classification(out, e);
        break;
    case TASK_RECONSTRUCTION:
        fprintf(out, "mean squared error       %.6g\n", e->mse);
        fprintf(out, "mean absolute error      %.6g\n", e->mae);
        fprintf(out, "squared error per image  %.6g\n", e->squared_error_per_image);
        break;
    }
    if (e->task != TASK_RECONSTRUCTION && e->classes) print_classes(out, e, class_names);
}
