/* cmd_check.c - sandglass check: reads a config and all of its data, reports every problem, trains nothing.
 *
 * Problems go to stderr as they would in training, many files with one mistake as one line, and so do warnings: what
 * training would not mind, but a person might. What is there (sizes, values, classes, network, memory) goes to stdout.
 * With --preview, where there are no problems, pictures of what augmentation does go to a folder.
 */
#include "cli/check.h"
#include "cli/command.h"
#include "cli/preview.h"
#include "cli/progress.h"

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

static void keep_first(Err *first, Err code) {
    if (*first == OK) *first = code;
}

/* Open all splits and read every sample; bad ones are reported and left out of the counts. */
static Err collect_data(CheckReport *report, Arena *arena, Error *err) {
    Setup *s = &report->setup;
    Display display = display_begin(stderr);
    report->findings.arena = arena;
    s->findings = &report->findings;
    Err first = setup_splits(s, err);
    report->surveys = ARENA_ARRAY(arena, Survey, s->n_splits + 1);
    for (int i = 0; i < s->n_splits; i++) {
        if (!s->splits[i]) continue;
        Reading reading = {.display = &display, .what = arena_printf(arena, "reading '%s'", s->names[i])};
        TRY(survey_split(&report->surveys[i], s->splits[i], s->names[i], &report->findings, on_sample, &reading, arena,
                         err));
        display_clear(&display);
    }
    TRY(survey_duplicates(s->n_splits, report->surveys, &report->findings, err));
    keep_first(&first, findings_to_error(&report->findings, err));
    return first;
}

static Err collect(CheckReport *report, const CheckOptions *options, Arena *arena, Error *err) {
    Setup *s = &report->setup;
    Err first = collect_data(report, arena, err);
    keep_first(&first, setup_network(s, err));
    report->has_network = s->graph != NULL;
    if (first != OK) return first;
    TRY(setup_program(s, true, (int)options->threads, err));
    report->program = program_stats(s->program);
    report->has_program = true;
    return OK;
}

static Err preview(CheckReport *report, const CheckOptions *options, Arena *arena, Error *err) {
    const Setup *s = &report->setup;
    PreviewSpec spec = {.split = s->train,
                        .augment = s->augment,
                        .seed = (uint64_t)s->experiment.train.seed,
                        .dir = options->preview,
                        .count = options->count};
    return preview_write(&spec, &report->n_previews, arena, err);
}

/* ---- what comes out ---- */

static void print_warnings(const CheckReport *report) {
    for (int i = 0; i < report->findings.n; i++) {
        const FindingGroup *g = &report->findings.groups[i];
        if (!g->kind->error) fprintf(stderr, "warning: %s\n", finding_text(&report->findings, g));
    }
}

static void print_report_json(const Call *call, const CheckReport *report, const Error *err) {
    const Setup *s = &report->setup;
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "config", call->args[0]);
    json_bool(&j, "ok", err->count == 0);
    json_int(&j, "problems", err->count + err->dropped);
    json_int(&j, "warnings", check_warnings(report));
    if (s->experiment.name) {
        json_string(&j, "name", s->experiment.name);
        json_string(&j, "task", task_names[s->experiment.task]);
    }
    check_write_json(report, &j);
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
    CheckReport report = {0};
    TRY(check_options_fit(call, err));
    Err code = setup_config(&report.setup, call->args[0], &options->sets, call->arena, err);
    bool readable = code == OK;
    if (readable) code = collect(&report, options, call->arena, err);
    if (code == OK && options->preview) code = preview(&report, options, call->arena, err);
    print_warnings(&report);
    if (options->json)
        print_report_json(call, &report, err);
    else if (readable)
        check_print(&report, code == OK, call->arena);
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
            "prints what it found: sizes, formats, mask values, pixels per class, the table of layers. Trains\n"
            "nothing. What training would refuse is an error, and the exit code is 1; what it would not mind\n"
            "but a person might (pictures that two splits share, masks of one class alone ...) is a warning.\n"
            "\n"
            "--preview writes DIR/sample_NUMBER.png for samples spread over the train split: on the left as it is,\n"
            "then as the first epochs of training see it; below the same under the colours of its classes, ignored\n"
            "pixels dark. DIR is made; one that holds anything is refused.\n",
    .options = check_options,
    .options_bytes = sizeof(CheckOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_check};
