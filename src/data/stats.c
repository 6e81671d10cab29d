/* stats.c - what all samples of a split have to say: class counts and weights, mean and deviation. */
#include "data/split.h"

#include "data/moments.h"

#include <stdlib.h>
#include <string.h>

/* ---- every sample once ---- */

typedef struct Visit {
    void (*see)(void *context, int64_t i, const Sample *sample); /* from several threads, each i once */
    void *context;
    SplitProgress progress;
    void *progress_context;
} Visit;

static Err see_one(Split *split, int64_t i, const Visit *visit, Error *err) {
    Sample sample;
    if (split_peek(split, i, &sample)) {
        visit->see(visit->context, i, &sample);
        return OK;
    }
    TRY(split_read(split, i, &sample, err));
    visit->see(visit->context, i, &sample);
    image_free(&sample.image);
    image_free(&sample.mask);
    return OK;
}

/* Visit all samples, in parallel, up to the first that cannot be read. Which fail is noted first, the words are had by
 * reading the first of them again. */
static Err visit_all(Split *split, const Visit *visit, Error *err) {
    int64_t n = split_info(split)->n, n_done = 0;
    bool stop = false, stopped = false;
    Err *codes = calloc((size_t)n, sizeof *codes);
    if (codes == NULL) return err_set(err, ERR_MEMORY, "no memory to visit %lld samples", (long long)n);
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t i = 0; i < n; i++) {
        bool skip;
#pragma omp atomic read
        skip = stop;
        if (skip) continue;
        codes[i] = see_one(split, i, visit, NULL);
#pragma omp critical(visit_all_progress)
        {
            n_done++;
            if (codes[i] != OK) {
#pragma omp atomic write
                stop = true;
            }
            if (visit->progress != NULL && !visit->progress(visit->progress_context, n_done, n)) {
                stopped = true;
#pragma omp atomic write
                stop = true;
            }
        }
    }
    int64_t bad = 0;
    while (bad < n && codes[bad] == OK) bad++;
    free(codes);
    if (bad < n) {
        Sample sample;
        TRY(split_read(split, bad, &sample, err));
        image_free(&sample.image); /* whoever made it unreadable has mended it */
        image_free(&sample.mask);
    }
    return stopped ? err_set(err, ERR_STOPPED, "stopped") : OK;
}

/* ---- classes ---- */

typedef struct ClassCount {
    const ClassStats *stats;
    int n_classes;
} ClassCount;

/* Pixels of each value. */
static size_t count_mask(const Image *mask, int64_t count[256]) {
    memset(count, 0, 256 * sizeof *count);
    size_t n = (size_t)mask->width * (size_t)mask->height;
    for (size_t p = 0; p < n; p++) count[mask->u8[p]]++;
    return n;
}

void class_stats_count(const ClassStats *stats, int n_classes, const Sample *sample) {
    int64_t count[256];
    size_t n = count_mask(&sample->mask, count);
#pragma omp critical(count_classes)
    {
        for (int k = 0; k < n_classes; k++) {
            stats->pixels[k] += count[k];
            if (count[k] == 0) continue;
            stats->images[k]++;
            stats->image_pixels[k] += (int64_t)n;
        }
        stats->pixels[n_classes] += count[MASK_IGNORE];
        if (sample->label >= 0 && sample->label < n_classes) stats->labels[sample->label]++;
    }
}

static void count_classes(void *context, int64_t i, const Sample *sample) {
    const ClassCount *c = context;
    class_stats_count(c->stats, c->n_classes, sample);
}

ClassStats class_stats_new(const Split *split, Arena *arena) {
    int n = split_config(split)->n_classes;
    return (ClassStats){.pixels = ARENA_ARRAY(arena, int64_t, n + 1),
                        .images = ARENA_ARRAY(arena, int64_t, n + 1),
                        .image_pixels = ARENA_ARRAY(arena, int64_t, n + 1),
                        .labels = ARENA_ARRAY(arena, int64_t, n + 1)};
}

Err split_class_stats(Split *split, ClassStats *out, SplitProgress progress, void *context, Arena *arena, Error *err) {
    *out = class_stats_new(split, arena);
    if (!split_info(split)->has_mask) return err_set(err, ERR_DATA, "class weights need masks, the data have none");
    ClassCount count = {.stats = out, .n_classes = split_config(split)->n_classes};
    Visit visit = {.see = count_classes, .context = &count, .progress = progress, .progress_context = context};
    return visit_all(split, &visit, err);
}

typedef struct PresenceSeen {
    int64_t min_pixels;
    int n_classes;
    uint8_t *holds;
} PresenceSeen;

static void see_presence(void *context, int64_t i, const Sample *sample) {
    const PresenceSeen *p = context;
    uint8_t *row = p->holds + i * p->n_classes;
    int64_t count[256];
    if (p->min_pixels > 0) count_mask(&sample->mask, count);
    for (int c = 0; c < p->n_classes; c++) row[c] = p->min_pixels > 0 ? count[c] >= p->min_pixels : c == sample->label;
}

Err split_class_presence(Split *split, int64_t min_pixels, uint8_t *holds, SplitProgress progress, void *context,
                         Error *err) {
    PresenceSeen seen = {.min_pixels = min_pixels, .n_classes = split_config(split)->n_classes, .holds = holds};
    Visit visit = {.see = see_presence, .context = &seen, .progress = progress, .progress_context = context};
    return visit_all(split, &visit, err);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void class_weights_median_frequency(const ClassStats *stats, int n_classes, float *weights) {
    double frequency[MAX_CLASSES], sorted[MAX_CLASSES];
    int n = 0;
    for (int k = 0; k < n_classes; k++) {
        frequency[k] = stats->image_pixels[k] > 0 ? (double)stats->pixels[k] / (double)stats->image_pixels[k] : 0;
        if (frequency[k] > 0) sorted[n++] = frequency[k];
    }
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    double median = n == 0 ? 0 : n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    for (int k = 0; k < n_classes; k++) weights[k] = frequency[k] > 0 ? (float)(median / frequency[k]) : 0;
}

void class_weights_inverse(const ClassStats *stats, int n_classes, float *weights) {
    double total = 0;
    int present = 0;
    for (int k = 0; k < n_classes; k++) {
        total += (double)stats->pixels[k];
        present += stats->pixels[k] > 0;
    }
    for (int k = 0; k < n_classes; k++)
        weights[k] = stats->pixels[k] > 0 ? (float)(total / (present * (double)stats->pixels[k])) : 0;
}

/* ---- channels ---- */

/* Per sample and channel; joined afterwards in order of the samples. */
typedef struct ChannelSums {
    int channels;
    Moments *of; /* n samples x channels */
} ChannelSums;

static void sum_channels(void *context, int64_t i, const Sample *sample) {
    const ChannelSums *sums = context;
    for (int k = 0; k < sums->channels; k++) sums->of[i * sums->channels + k] = image_moments(&sample->image, k);
}

Err split_channel_stats(Split *split, double *mean, double *deviation, Error *err) {
    const DatasetInfo *info = split_info(split);
    ChannelSums sums = {.channels = info->channels};
    sums.of = calloc((size_t)info->n * (size_t)info->channels, sizeof *sums.of);
    if (sums.of == NULL) return err_set(err, ERR_MEMORY, "no memory for the statistics of the data");
    Err code = visit_all(split, &(Visit){.see = sum_channels, .context = &sums}, err);
    for (int k = 0; code == OK && k < info->channels; k++) {
        Moments all = {0};
        for (int64_t i = 0; i < info->n; i++) moments_join(&all, sums.of[i * info->channels + k]);
        mean[k] = all.mean;
        deviation[k] = moments_deviation(&all);
    }
    free(sums.of);
    return code;
}
