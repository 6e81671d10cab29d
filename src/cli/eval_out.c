/* eval_out.c - see eval_out.h. */
#include "cli/eval_out.h"

#include "analysis/plot_matrix.h"
#include "base/number.h"
#include "io/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *new_file(EvalOut *out, const char *file, Arena *arena) {
    assert(out->n_files < EVAL_FILES);
    return out->files[out->n_files++] = arena_printf(arena, "%s/%s", out->folder, file);
}

/* ---- CSV ---- */

/* A field that may hold anything: in quotes when it has to be. */
static void put_text(FILE *csv, const char *text) {
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, csv);
        return;
    }
    fputc('"', csv);
    for (const char *s = text; *s; s++) {
        if (*s == '"') fputc('"', csv);
        fputc(*s, csv);
    }
    fputc('"', csv);
}

static void put_scores(const EvalOut *out, FILE *csv) {
    const Evaluation *e = out->scores;
    const MetricName *metrics = evaluation_class_metrics(e->task);
    fputs(e->task == TASK_SEGMENTATION ? "class,pixels,images,absent" : "class,images,absent", csv);
    for (const MetricName *m = metrics; m->name; m++) fprintf(csv, ",%s", m->name);
    fputc('\n', csv);
    for (int c = 0; c < e->n_classes; c++) {
        const ClassScore *score = &e->classes[c];
        put_text(csv, out->class_names[c]);
        if (e->task == TASK_SEGMENTATION) fprintf(csv, ",%lld", (long long)score->pixels);
        fprintf(csv, ",%lld,%s", (long long)score->images, score->present ? "false" : "true");
        for (const MetricName *m = metrics; m->name; m++) {
            char number[NUMBER_BYTES] = "";
            double value;
            if (evaluation_class_metric(e, m->name, c, &value)) number_format(number, value, 9);
            fprintf(csv, ",%s", number);
        }
        fputc('\n', csv);
    }
}

static void put_confusion(const EvalOut *out, FILE *csv) {
    const Evaluation *e = out->scores;
    fputs("target", csv);
    for (int c = 0; c < e->n_classes; c++) {
        fputc(',', csv);
        put_text(csv, out->class_names[c]);
    }
    fputc('\n', csv);
    for (int row = 0; row <= e->n_classes; row++) {
        put_text(csv, row < e->n_classes ? out->class_names[row] : "(ignored)");
        for (int c = 0; c < e->n_classes; c++)
            fprintf(csv, ",%lld", (long long)e->confusion[(int64_t)row * e->n_classes + c]);
        fputc('\n', csv);
    }
}

static Err write_csv(EvalOut *out, const char *file, void (*put)(const EvalOut *out, FILE *csv), Arena *arena,
                     Error *err) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *csv = open_memstream(&text, &bytes);
    if (csv) put(out, csv);
    bool good = csv && !ferror(csv);
    if (csv && fclose(csv) != 0) good = false;
    Err code = good ? file_replace(new_file(out, file, arena), text, bytes, err)
                    : err_set(err, ERR_MEMORY, "no memory for the text of %s/%s", out->folder, file);
    free(text);
    return code;
}

/* ---- all files ---- */

static Err write_picture(EvalOut *out, Arena *arena, Error *err) {
    const Evaluation *e = out->scores;
    PlotMatrix matrix = {.title = out->title,
                         .unit = e->task == TASK_SEGMENTATION ? "pixels" : "images",
                         .n = e->n_classes,
                         .names = out->class_names,
                         .counts = e->confusion};
    Image image = {0};
    TRY(plot_matrix_image(&matrix, &image, err));
    Err code = image_save(new_file(out, "confusion.png", arena), &image, err);
    image_free(&image);
    return code;
}

Err eval_out_tables(EvalOut *out, Arena *arena, Error *err) {
    TRY(write_csv(out, "scores.csv", put_scores, arena, err));
    TRY(write_csv(out, "confusion.csv", put_confusion, arena, err));
    return write_picture(out, arena, err);
}

Err eval_out_json(EvalOut *out, Json *json, Arena *arena, Error *err) {
    const char *path = new_file(out, "scores.json", arena);
    json_open_array(json, "files");
    for (int i = 0; i < out->n_files; i++) json_string(json, NULL, out->files[i]);
    json_close(json);
    json_close(json);
    const char *line = arena_printf(arena, "%s\n", json_text(json));
    return file_replace(path, line, strlen(line), err);
}
