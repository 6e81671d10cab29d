/* cmd_check.c - sandglass check: reads a config and all of its data, reports every problem, trains nothing.
 *
 * Problems go to stderr as they would in training; what is there (sizes, classes, network, memory) goes to stdout.
 */
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/setup.h"

#include <string.h>

typedef struct CheckOptions {
    ParamList sets;
    int64_t threads;
    bool json;
} CheckOptions;

static const Option check_options[] = {OPTION_SET(CheckOptions), OPTION_THREADS(CheckOptions),
                                       OPTION_JSON(CheckOptions), OPTIONS_END};

/* What reading a split's samples gives. */
typedef struct SplitReport {
    const char *name;
    const DatasetInfo *info; /* NULL: could not be opened */
    int64_t shape[4];
    int64_t *pixels, *images; /* per class; pixels[n_classes] counts ignored ones */
    int64_t *labels;          /* per class */
} SplitReport;

typedef struct Report {
    Setup setup;
    SplitReport splits[SETUP_MAX_SPLITS];
    bool has_network, has_program;
    ProgramStats stats;
} Report;

/* ---- reading ---- */

static void count_sample(SplitReport *r, const Sample *sample, int n_classes) {
    if (sample->label >= 0 && sample->label < n_classes) r->labels[sample->label]++;
    if (!sample->mask.data) return;
    int64_t count[256] = {0};
    int64_t places = (int64_t)sample->mask.width * sample->mask.height;
    for (int64_t i = 0; i < places; i++) count[sample->mask.u8[i]]++;
    for (int c = 0; c < n_classes; c++) {
        r->pixels[c] += count[c];
        r->images[c] += count[c] > 0;
    }
    r->pixels[n_classes] += count[MASK_IGNORE];
}

/* Read every sample. A bad one is reported and left out; after ERROR_MAX of them the rest is not looked at. */
static Err read_split(SplitReport *r, Split *split, Arena *arena, Display *display, Error *err) {
    int n_classes = split_config(split)->n_classes;
    r->info = split_info(split);
    r->pixels = ARENA_ARRAY(arena, int64_t, n_classes + 1);
    r->images = ARENA_ARRAY(arena, int64_t, n_classes + 1);
    r->labels = ARENA_ARRAY(arena, int64_t, n_classes + 1);
    split_shape(split, r->shape);
    Err first = OK;
    char what[64];
    snprintf(what, sizeof what, "reading '%s'", r->name);
    for (int64_t i = 0; i < r->info->n && !(err && err->count >= ERROR_MAX); i++) {
        Sample sample = {.label = -1};
        Err code = split_read(split, i, &sample, err);
        if (code == OK) count_sample(r, &sample, n_classes);
        if (first == OK) first = code;
        image_free(&sample.image);
        image_free(&sample.mask);
        if (i % 16 == 15) display_count(display, what, i + 1, r->info->n);
    }
    display_clear(display);
    return first;
}

static Err collect(Report *report, const CheckOptions *options, Arena *arena, Error *err) {
    Setup *s = &report->setup;
    Display display = display_begin(stderr);
    Err first = setup_splits(s, err);
    for (int i = 0; i < s->n_splits; i++) {
        SplitReport *r = &report->splits[i];
        r->name = s->names[i];
        if (!s->splits[i]) continue;
        Err code = read_split(r, s->splits[i], arena, &display, err);
        if (first == OK) first = code;
    }
    Err code = setup_network(s, err);
    report->has_network = s->graph != NULL;
    if (first == OK) first = code;
    if (first != OK) return first;
    TRY(setup_program(s, true, (int)options->threads, err));
    report->stats = program_stats(s->program);
    report->has_program = true;
    return OK;
}

/* ---- for people ---- */

static void print_split(const SplitReport *r, Arena *arena) {
    if (!r->info) {
        printf("  %-6s could not be opened\n", r->name);
        return;
    }
    printf("  %-6s %s samples of %lld channels", r->name, text_count(r->info->n, arena), (long long)r->shape[1]);
    if (r->shape[2] > 0)
        printf(", %lld high, %lld wide\n", (long long)r->shape[2], (long long)r->shape[3]);
    else
        printf(", of several sizes\n");
}

/* Pixels per class and images that show it (or samples per class), a column pair a split. */
static void print_class_table(const Report *report, bool masks, Arena *arena) {
    const Setup *s = &report->setup;
    printf("\n%-16s", "class");
    for (int i = 0; i < s->n_splits; i++) {
        const char *what = arena_printf(arena, "%s %s", report->splits[i].name, masks ? "pixels" : "samples");
        printf("  %16s%s", what, masks ? "  images" : "");
    }
    printf("\n");
    for (int c = 0; c < s->data.n_classes + masks; c++) {
        bool ignored = c == s->data.n_classes;
        printf("%-16s", ignored ? "(ignored)" : s->data.class_names[c]);
        for (int i = 0; i < s->n_splits; i++) {
            const SplitReport *r = &report->splits[i];
            if (!r->info) continue;
            int64_t count = masks ? r->pixels[c] : r->labels[c];
            printf("  %16s", count || ignored ? text_count(count, arena) : "absent");
            if (masks) printf("  %6s", ignored ? "" : text_count(r->images[c], arena));
        }
        printf("\n");
    }
}

static void print_report(const Report *report, Arena *arena) {
    const Setup *s = &report->setup;
    printf("config %s, task %s\ndata\n", s->experiment.name, task_names[s->experiment.task]);
    bool masks = false, labels = false;
    for (int i = 0; i < s->n_splits; i++) {
        print_split(&report->splits[i], arena);
        masks |= report->splits[i].info && report->splits[i].info->has_mask;
        labels |= report->splits[i].info && report->splits[i].info->has_label;
    }
    if (s->experiment.task == TASK_SEGMENTATION && masks) print_class_table(report, true, arena);
    if (s->experiment.task == TASK_CLASSIFICATION && labels) print_class_table(report, false, arena);
    if (report->has_network) printf("\n%s", graph_describe(s->graph, arena));
    if (!report->has_program) return;
    printf("\nmemory for training with batch size %lld\n", (long long)s->input.dim[0]);
    printf("  weights, gradients, optimizer  %s\n", text_bytes((double)setup_weight_bytes(s), arena));
    printf("  activations and scratch        %s (%s without sharing)\n",
           text_bytes((double)report->stats.block_bytes, arena),
           text_bytes((double)report->stats.unplanned_bytes, arena));
    printf("no problems found\n");
}

/* ---- JSON ---- */

static void write_splits_json(const Report *report, Json *j) {
    const Setup *s = &report->setup;
    json_open_object(j, "splits");
    for (int i = 0; i < s->n_splits; i++) {
        const SplitReport *r = &report->splits[i];
        if (!r->info) {
            json_null(j, r->name);
            continue;
        }
        json_open_object(j, r->name);
        json_int(j, "samples", r->info->n);
        json_int(j, "channels", r->shape[1]);
        json_int(j, "height", r->shape[2]);
        json_int(j, "width", r->shape[3]);
        json_open_object(j, "classes");
        for (int c = 0; c < s->data.n_classes; c++) {
            json_open_object(j, s->data.class_names[c]);
            if (r->info->has_mask) {
                json_int(j, "pixels", r->pixels[c]);
                json_int(j, "images", r->images[c]);
            }
            if (r->info->has_label) json_int(j, "samples", r->labels[c]);
            json_close(j);
        }
        json_close(j);
        if (r->info->has_mask) json_int(j, "ignored_pixels", r->pixels[s->data.n_classes]);
        json_close(j);
    }
    json_close(j);
}

static void print_report_json(const Report *report, const char *config, const Error *err, Arena *arena) {
    const Setup *s = &report->setup;
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "config", config);
    json_bool(&j, "ok", err->count == 0);
    json_int(&j, "problems", err->count + err->dropped);
    json_string(&j, "text", err->text);
    if (s->experiment.name) {
        json_string(&j, "name", s->experiment.name);
        json_string(&j, "task", task_names[s->experiment.task]);
    }
    write_splits_json(report, &j);
    if (report->has_program) {
        json_int(&j, "parameters", s->weights->count);
        json_int(&j, "stride", graph_stride(s->graph));
        json_int(&j, "batch_size", s->input.dim[0]);
        json_int(&j, "weight_bytes", (int64_t)setup_weight_bytes(s));
        json_int(&j, "program_bytes", (int64_t)report->stats.block_bytes);
    }
    json_close(&j);
    print_json(&j);
}

static Err run_check(const Call *call, Error *err) {
    const CheckOptions *options = call->options;
    Report report = {0};
    Err code = setup_config(&report.setup, call->args[0], &options->sets, call->arena, err);
    bool readable = code == OK;
    if (readable) code = collect(&report, options, call->arena, err);
    if (options->json)
        print_report_json(&report, call->args[0], err, call->arena);
    else if (readable)
        print_report(&report, call->arena);
    fflush(stdout);
    setup_free(&report.setup);
    return code;
}

const Command cmd_check = {
    .name = "check",
    .usage = "CONFIG [--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "read a config and all its data, report every problem",
    .help = "Reads the config and every picture and mask it names, builds the network and plans its memory, and\n"
            "prints what it found: sizes, pixels per class, the table of layers. Trains and writes nothing.\n",
    .options = check_options,
    .options_bytes = sizeof(CheckOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_check};
