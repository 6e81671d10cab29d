/* analyze_codes.c - sandglass analyze codes: how a network uses the units of its code.
 *
 * Mean, deviation and range of each unit over a split, the share of values that are zero (within 1e-6), and the units
 * that never say anything: what tells a sparse code from a dense one.
 */
#include "cli/analysis_out.h"

#include <math.h>

typedef struct CodesOptions {
    AnalysisOptions common;
    const char *split, *at;
    int64_t limit;
} CodesOptions;

// clang-format off
static const Option codes_options[] = {
    {{"split", PARAM_STRING, offsetof(CodesOptions, split), "val", 0, 0, NULL, "which part of the data"}, "NAME"},
    {{"at", PARAM_STRING, offsetof(CodesOptions, at), "", 0, 0, NULL, "the layer; default: the code"}, "LAYER"},
    {{"limit", PARAM_INT, offsetof(CodesOptions, limit), "0", 0, 1e9, NULL, "the first N samples; 0: all"}, "N"},
    ANALYSIS_OPTIONS(CodesOptions),
    OPTIONS_END};
// clang-format on

enum { SHOWN_UNITS = 64 };
static const double zero = 1e-6;

/* Of one unit over all samples, or of all units together. */
typedef struct CodeStats {
    double mean, deviation, low, high, zeros; /* zeros: share of the values */
} CodeStats;

static CodeStats stats_of(const float *values, int64_t n, int64_t step) {
    CodeStats s = {.low = INFINITY, .high = -INFINITY};
    double sum = 0, squares = 0;
    int64_t n_zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)values[i * step];
        sum += v;
        s.low = v < s.low ? v : s.low;
        s.high = v > s.high ? v : s.high;
        n_zeros += fabs(v) < zero;
    }
    s.mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double from_mean = (double)values[i * step] - s.mean;
        squares += from_mean * from_mean;
    }
    s.deviation = sqrt(squares / (double)n);
    s.zeros = (double)n_zeros / (double)n;
    return s;
}

static void write_stats(Json *json, const CodeStats *s) {
    json_float(json, "mean", s->mean);
    json_float(json, "deviation", s->deviation);
    json_float(json, "min", s->low);
    json_float(json, "max", s->high);
    json_float(json, "zeros", s->zeros);
}

static void print_stats(FILE *out, const char *name, const CodeStats *s) {
    fprintf(out, "%-10s  %10.4g  %10.4g  %10.4g  %10.4g  %9.2f %%\n", name, s->mean, s->deviation, s->low, s->high,
            100 * s->zeros);
}

static void report(Analysis *a, const CodesOptions *options, const Features *codes) {
    CodeStats all = stats_of(codes->values, codes->n * codes->size, 1);
    CodeStats *units = ARENA_ARRAY(a->arena, CodeStats, codes->size);
    int64_t silent = 0;
    for (int64_t u = 0; u < codes->size; u++) {
        units[u] = stats_of(codes->values + u, codes->n, codes->size);
        silent += units[u].zeros == 1;
    }
    Json *json = &a->json;
    json_string(json, "split", options->split);
    json_int(json, "samples", codes->n);
    json_int(json, "units", codes->size);
    json_int(json, "silent_units", silent);
    write_stats(json, &all);
    json_open_array(json, "per_unit");
    for (int64_t u = 0; u < codes->size; u++) {
        json_open_object(json, NULL);
        write_stats(json, &units[u]);
        json_close(json);
    }
    json_close(json);

    FILE *out = analysis_text(a);
    char shape[SHAPE_TEXT_BYTES];
    fprintf(out, "codes of %lld samples of split '%s': %s, %lld values, %lld of them always zero\n\n",
            (long long)codes->n, options->split, shape_text(codes->shape, shape), (long long)codes->size,
            (long long)silent);
    fprintf(out, "%-10s  %10s  %10s  %10s  %10s  %11s\n", "unit", "mean", "deviation", "min", "max", "zeros");
    print_stats(out, "all", &all);
    for (int64_t u = 0; u < codes->size && u < SHOWN_UNITS; u++)
        print_stats(out, arena_printf(a->arena, "%lld", (long long)u), &units[u]);
    if (codes->size > SHOWN_UNITS) fprintf(out, "(the other units are in the JSON file)\n");
}

static Err run_codes(const Call *call, Error *err) {
    const CodesOptions *options = call->options;
    Analysis a;
    Features codes = {0};
    Err code = analysis_begin(&a, call, &options->common, err);
    if (code == OK) code = analysis_features(&a, &codes, options->split, options->at, options->limit, err);
    if (code == OK) report(&a, options, &codes);
    features_free(&codes);
    return analysis_end(&a, code, err);
}

const Command analyze_codes = {
    .name = "analyze codes",
    .usage = "MODEL [--split NAME] [--at LAYER] [--limit N] [--out DIR] [--json]",
    .doc = "mean, range and zeros of each unit of the code",
    .help = "MODEL is a checkpoint or a run directory. A unit is one value of the code, in the order of its shape.\n",
    .options = codes_options,
    .options_bytes = sizeof(CodesOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_codes};
