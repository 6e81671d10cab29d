/* scores.c - see scores.h. */
#include "cli/scores.h"

#include <string.h>

static void print_classes(FILE *out, const Evaluation *e, const char *const *class_names) {
    int width = 5;
    for (int c = 0; c < e->n_classes; c++)
        if (class_names && (int)strlen(class_names[c]) > width) width = (int)strlen(class_names[c]);
    const char *unit = e->task == TASK_SEGMENTATION ? "pixels" : "images";
    fprintf(out, "\n%-*s  %8s  %8s  %12s\n", width, "class", "iou", "accuracy", unit);
    for (int c = 0; c < e->n_classes; c++) {
        const ClassScore *s = &e->classes[c];
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        fprintf(out, "%-*s  ", width, class_names ? class_names[c] : number);
        if (s->scored)
            fprintf(out, "%8.4f  ", s->iou);
        else
            fprintf(out, "%8s  ", "-");
        if (s->present)
            fprintf(out, "%8.4f  ", s->accuracy);
        else
            fprintf(out, "%8s  ", "-");
        fprintf(out, "%12lld%s\n", (long long)s->pixels, s->present ? "" : "  (not in this split)");
    }
}

void print_scores(FILE *out, const Evaluation *e, const char *const *class_names) {
    fprintf(out, "images                   %lld\n", (long long)e->images);
    fprintf(out, "loss                     %.6g\n", e->loss);
    for (int i = 0; i < e->n_parts && e->n_parts > 1; i++)
        fprintf(out, "  %-23s%.6g\n", e->parts[i].name, e->parts[i].value);
    switch (e->task) {
    case TASK_SEGMENTATION:
        fprintf(out, "pixel accuracy           %.4f\n", e->segmentation.pixel_accuracy);
        fprintf(out, "mean accuracy            %.4f\n", e->segmentation.mean_accuracy);
        fprintf(out, "mean IoU                 %.4f\n", e->segmentation.miou);
        break;
    case TASK_CLASSIFICATION:
        fprintf(out, "accuracy                 %.4f\n", e->segmentation.pixel_accuracy);
        break;
    case TASK_RECONSTRUCTION:
        fprintf(out, "mean squared error       %.6g\n", e->mse);
        fprintf(out, "mean absolute error      %.6g\n", e->mae);
        fprintf(out, "squared error per image  %.6g\n", e->squared_error_per_image);
        break;
    }
    if (e->task != TASK_RECONSTRUCTION && e->classes) print_classes(out, e, class_names);
}
