/* predict_report.c - see predict_report.h. */
#include "cli/predict_report.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <string.h>

void predict_report_begin(PredictReport *r) {
    pthread_mutex_init(&r->lock, NULL);
    r->display = display_begin(stderr);
    r->began = clock_seconds();
}

/* ---- for people ---- */

/* The four classes with most pixels: "road 61.0%, sky 20.3%". */
static void print_classes(const PredictReport *r, const int64_t *pixels) {
    int64_t left[256], all = 0;
    memcpy(left, pixels, sizeof left);
    for (int c = 0; c < 256; c++) all += left[c];
    for (int shown = 0; shown < 4; shown++) {
        int most = 0;
        for (int c = 1; c < r->results->n_classes; c++)
            if (left[c] > left[most]) most = c;
        if (left[most] <= 0) break;
        printf("%s %s %.1f%%", shown ? "," : "", r->results->class_names[most],
               100.0 * (double)left[most] / (double)all);
        left[most] = 0;
    }
}

static void print_files(const PredictReport *r, const Outcome *o, Arena *arena) {
    const char *words = results_words(r->results, arena);
    bool several = strchr(words, ',') != NULL, whole_name = strchr(words, '.') != NULL;
    printf("%s -> %s/%s_%s%s%s%s", utf8_printable(o->picture->path, arena), utf8_printable(r->results->out_dir, arena),
           utf8_printable(o->picture->stem, arena), several ? "{" : "", words, several ? "}" : "",
           whole_name ? "" : ".png");
}

static void print_one(const PredictReport *r, const Outcome *o) {
    Arena *arena = arena_new();
    if (r->task == TASK_CLASSIFICATION) {
        printf("%s: %s\n", utf8_printable(o->picture->path, arena), r->results->class_names[o->class_index]);
    } else {
        print_files(r, o, arena);
        if (r->task == TASK_SEGMENTATION) {
            printf(" ");
            print_classes(r, o->pixels);
        } else {
            printf("  mse %.5g", o->mse);
            if (o->compared) printf("  psnr %.2f -> %.2f dB", o->before, o->after);
        }
        if (o->plan->tiles > 1)
            printf("  (%d tiles of %dx%d)", o->plan->tiles, o->plan->tile_width, o->plan->tile_height);
        printf("\n");
    }
    fflush(stdout);
    arena_free(arena);
}

/* ---- JSON ---- */

static void write_one(const PredictReport *r, const Outcome *o) {
    Json *j = r->json;
    json_open_object(j, NULL);
    json_string(j, "input", o->picture->path);
    if (o->code != OK) {
        json_string(j, "error", arena_strndup(j->arena, o->err->text, strcspn(o->err->text, "\n")));
    } else if (r->task == TASK_CLASSIFICATION) {
        json_string(j, "class", r->results->class_names[o->class_index]);
        json_int(j, "index", o->class_index);
    } else {
        results_write_json(r->results, o->picture->stem, j);
        json_int(j, "tiles", o->plan->tiles);
        if (r->task == TASK_SEGMENTATION) {
            json_open_object(j, "pixels");
            for (int c = 0; c < r->results->n_classes; c++) json_int(j, r->results->class_names[c], o->pixels[c]);
            json_close(j);
        } else {
            json_float(j, "mse", o->mse);
        }
        if (o->compared) {
            json_float(j, "psnr_before", o->before);
            json_float(j, "psnr_after", o->after);
        }
    }
    json_close(j);
}

/* ---- how far ---- */

static void show_progress(PredictReport *r, double done_of_next) {
    display_rate(&r->display, "pictures", r->began, r->done, r->n, done_of_next);
}

void predict_report_tiles(PredictReport *r, int done, int all) {
    pthread_mutex_lock(&r->lock);
    show_progress(r, (double)done / all);
    pthread_mutex_unlock(&r->lock);
}

void predict_report_one(PredictReport *r, const Outcome *o) {
    pthread_mutex_lock(&r->lock);
    if (o->code != OK || !r->json) display_clear(&r->display);
    if (o->code != OK) fputs(o->err->text, stderr);
    if (r->json)
        write_one(r, o);
    else if (o->code == OK)
        print_one(r, o);
    r->failed += o->code != OK;
    if (o->code == OK && o->compared) {
        r->compared++;
        r->before += o->before;
        r->after += o->after;
    }
    r->done++;
    show_progress(r, 0);
    pthread_mutex_unlock(&r->lock);
}

void predict_report_end(PredictReport *r) {
    display_clear(&r->display);
    pthread_mutex_destroy(&r->lock);
    double before = r->compared ? r->before / r->compared : 0, after = r->compared ? r->after / r->compared : 0;
    if (r->json) {
        json_close(r->json);
        json_int(r->json, "failed", r->failed);
        json_float(r->json, "seconds", clock_seconds() - r->began);
    }
    if (r->compared == 0) return;
    if (r->json) {
        json_float(r->json, "mean_psnr_before", before);
        json_float(r->json, "mean_psnr_after", after);
    } else {
        printf("mean psnr of %d picture%s: %.2f -> %.2f dB\n", r->compared, r->compared == 1 ? "" : "s", before, after);
    }
}
