/* cmd_check.c - sandglass check: reads a config and all of its data, reports every problem, trains nothing.
 *
 * Problems go to stderr as they would in training; what is there (sizes, classes, network, memory) goes to stdout.
 * With --preview, where there are no problems, pictures of what augmentation does go to a folder.
 */
#include "cli/command.h"
#include "cli/preview.h"
#include "cli/progress.h"
#include "cli/setup.h"

typedef struct CheckOptions {
    ParamList sets;
    int64_t threads, count;
    const char *preview;
    bool json;
} CheckOptions;

static const Option check_options[] = {OPTION_SET(CheckOptions),
                                       {{"preview", PARAM_STRING, offsetof(CheckOptions, preview), "", 0, 0, NULL,
                                         "write pictures of what train.augment makes of training samples"},
                                        "DIR"},
                                       {{"preview-count", PARAM_INT, offsetof(CheckOptions, count), "8", 1, 1000000,
                                         NULL, "with --preview: of how many samples"},
                                        "N"},
                                       OPTION_THREADS(CheckOptions),
                                       OPTION_JSON(CheckOptions),
                                       OPTIONS_END};

/* What reading a split's samples gives. */
typedef struct SplitReport {
    const char *name;
    const DatasetInfo *info; /* NULL: could not be opened */
    int64_t shape[4];
    ClassStats stats;
} SplitReport;

typedef struct Report {
    Setup setup;
    SplitReport *splits; /* setup.n_splits */
    bool has_network, has_program;
    ProgramStats program;
    int64_t n_previews; /* written to options->preview */
} Report;

/* ---- reading ---- */

typedef struct Reading {
    Display *display;
    const char *what;
} Reading;

static bool on_sample(void *context, int64_t done, int64_t n) {
    const Reading *reading = context;
    if (done % 16 == 0) display_count(reading->display, reading->what, done, n);
    return true;
}

/* Read every sample. A bad one is reported and left out of the counts. */
static Err read_split(SplitReport *r, Split *split, Arena *arena, Display *display, Error *err) {
    r->info = split_info(split);
    r->stats = class_stats_new(split, arena);
    split_shape(split, r->shape);
    Reading reading = {.display = display, .what = arena_printf(arena, "reading '%s'", r->name)};
    Err code = split_check(split, &r->stats, on_sample, &reading, err);
    display_clear(display);
    return code;
}

static Err collect(Report *report, const CheckOptions *options, Arena *arena, Error *err) {
    Setup *s = &report->setup;
    Display display = display_begin(stderr);
    Err first = setup_splits(s, err);
    report->splits = ARENA_ARRAY(arena, SplitReport, s->n_splits + 1);
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
    report->program = program_stats(s->program);
    report->has_program = true;
    return OK;
}

static Err preview(Report *report, const CheckOptions *options, Arena *arena, Error *err) {
    const Setup *s = &report->setup;
    PreviewSpec spec = {.split = s->train,
                        .augment = s->augment,
                        .seed = (uint64_t)s->experiment.train.seed,
                        .dir = options->preview,
                        .count = options->count};
    return preview_write(&spec, &report->n_previews, arena, err);
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
            int64_t count = masks ? r->stats.pixels[c] : r->stats.labels[c];
            printf("  %16s", count || ignored ? text_count(count, arena) : "absent");
            if (masks) printf("  %6s", ignored ? "" : text_count(r->stats.images[c], arena));
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
           text_bytes((double)report->program.block_bytes, arena),
           text_bytes((double)report->program.unplanned_bytes, arena));
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
                json_int(j, "pixels", r->stats.pixels[c]);
                json_int(j, "images", r->stats.images[c]);
            }
            if (r->info->has_label) json_int(j, "samples", r->stats.labels[c]);
            json_close(j);
        }
        json_close(j);
        if (r->info->has_mask) json_int(j, "ignored_pixels", r->stats.pixels[s->data.n_classes]);
        json_close(j);
    }
    json_close(j);
}

static void print_report_json(const Call *call, const Report *report, const Error *err) {
    const Setup *s = &report->setup;
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "config", call->args[0]);
    json_bool(&j, "ok", err->count == 0);
    json_int(&j, "problems", err->count + err->dropped);
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
        json_int(&j, "program_bytes", (int64_t)report->program.block_bytes);
    }
    if (report->n_previews > 0) json_int(&j, "previews", report->n_previews);
    json_close(&j);
    print_json(call, &j);
}

static Err check_options_fit(const Call *call, Error *err) {
    static const char *const without_preview[] = {"set", "threads", "json", NULL};
    const CheckOptions *options = call->options;
    if (!options->preview) return options_allow(call, without_preview, "check without --preview", err);
    return preview_check(options->preview, err);
}

static Err run_check(const Call *call, Error *err) {
    const CheckOptions *options = call->options;
    Report report = {0};
    TRY(check_options_fit(call, err));
    Err code = setup_config(&report.setup, call->args[0], &options->sets, call->arena, err);
    bool readable = code == OK;
    if (readable) code = collect(&report, options, call->arena, err);
    if (code == OK && options->preview) code = preview(&report, options, call->arena, err);
    if (options->json)
        print_report_json(call, &report, err);
    else if (readable)
        print_report(&report, call->arena);
    if (!options->json && report.n_previews > 0)
        printf("%lld pictures of augmented samples in %s\n", (long long)report.n_previews, options->preview);
    fflush(stdout);
    setup_free(&report.setup);
    return code;
}

const Command cmd_check = {
    .name = "check",
    .usage = "CONFIG [--set KEY=VALUE]... [--preview DIR [--preview-count N]] [--threads N] [--json]",
    .doc = "read a config and all its data, report every problem",
    .help = "Reads the config and every picture and mask it names, builds the network and plans its memory, and\n"
            "prints what it found: sizes, pixels per class, the table of layers. Trains nothing.\n"
            "\n"
            "--preview writes DIR/sample_NUMBER.png for samples spread over the train split: on the left as it is,\n"
            "then as the first epochs of training see it; below the same under the colours of its classes, ignored\n"
            "pixels dark. DIR is made; one that holds anything is refused.\n",
    .options = check_options,
    .options_bytes = sizeof(CheckOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_check};
