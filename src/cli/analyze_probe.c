/* analyze_probe.c - sandglass analyze probe: how much a linear classifier makes of the codes, beside raw pixels,
 * principal components and local binary patterns. All four are trained on the same pictures in the same way. */
#include "analysis/lbp.h"
#include "analysis/pca.h"
#include "analysis/probe.h"
#include "base/clock.h"
#include "cli/analysis_out.h"

typedef struct ProbeOptions {
    AnalysisOptions common;
    const char *split, *at;
    int64_t train_limit, limit, grid;
    double l2;
} ProbeOptions;

// clang-format off
static const Option probe_options[] = {
    {{"split", PARAM_STRING, offsetof(ProbeOptions, split), "val", 0, 0, NULL, "which part of the data to test on"}, "NAME"},
    {{"at", PARAM_STRING, offsetof(ProbeOptions, at), "", 0, 0, NULL, "the layer to probe; default: the code"}, "LAYER"},
    {{"train-limit", PARAM_INT, offsetof(ProbeOptions, train_limit), "0", 0, 1e9, NULL, "train on the first N samples of the training split; 0: all"}, "N"},
    {{"limit", PARAM_INT, offsetof(ProbeOptions, limit), "0", 0, 1e9, NULL, "test on the first N samples; 0: all"}, "N"},
    {{"l2", PARAM_FLOAT, offsetof(ProbeOptions, l2), "0.001", 0, 1e6, NULL, "strength of the penalty l2 / 2 * |W|^2 on the weights"}, "X"},
    {{"grid", PARAM_INT, offsetof(ProbeOptions, grid), "4", 1, 32, NULL, "local binary patterns: cells along each side"}, "N"},
    ANALYSIS_OPTIONS(ProbeOptions),
    OPTIONS_END};
// clang-format on

enum { ROWS = 4 };

/* A line of the table. */
typedef struct Row {
    const char *name, *key;
    int64_t features;
    bool missing; /* the pictures do not allow it */
    double test_error, train_error, seconds, gradient_norm;
    int iterations;
    bool converged;
} Row;

/* Both splits, and what the table is made of. */
typedef struct Work {
    Features train, test;             /* pictures */
    Features train_codes, test_codes; /* at the layer */
    int n_classes;
    const ProbeOptions *options;
    Analysis *a;
    Row rows[ROWS];
    int n_rows;
} Work;

static void work_free(Work *w) {
    features_free(&w->train);
    features_free(&w->test);
    features_free(&w->train_codes);
    features_free(&w->test_codes);
}

static Err error_of(const Probe *probe, int64_t n, const float *x, const int32_t *labels, double *out, Error *err) {
    int32_t *classes = block_alloc((size_t)n * sizeof *classes);
    if (!classes) return err_set(err, ERR_MEMORY, "no memory for %lld classes", (long long)n);
    Err code = probe_predict(probe, n, x, classes, err);
    int64_t wrong = 0;
    for (int64_t i = 0; code == OK && i < n; i++) wrong += classes[i] != labels[i];
    *out = (double)wrong / (double)n;
    block_free(classes);
    return code;
}

/* Train on features of the training pictures, test on those of the others, and add the row. */
static Err probe_row(Work *w, Row row, const float *train, const float *test, Error *err) {
    ProbeSpec spec = {.n = w->train.n,
                      .d = row.features,
                      .x = train,
                      .labels = w->train.labels,
                      .n_classes = w->n_classes,
                      .l2 = w->options->l2,
                      .stop = w->a->events.stop};
    Probe probe;
    double began = clock_seconds();
    Err code = probe_fit(&probe, &spec, err);
    if (code != OK) return err_context(err, "%s", row.name);
    row.seconds = clock_seconds() - began;
    row.iterations = probe.iterations;
    row.converged = probe.converged;
    row.gradient_norm = probe.gradient_norm;
    code = error_of(&probe, w->train.n, train, w->train.labels, &row.train_error, err);
    if (code == OK) code = error_of(&probe, w->test.n, test, w->test.labels, &row.test_error, err);
    probe_free(&probe);
    w->rows[w->n_rows++] = row;
    display_count(&w->a->display, "probes", w->n_rows, ROWS);
    return code;
}

/* Features of another kind, for both splits. */
typedef struct Both {
    float *train, *test;
} Both;

static Err both_new(Both *out, const Work *w, int64_t features, Error *err) {
    out->train = block_alloc((size_t)w->train.n * (size_t)features * sizeof(float));
    out->test = block_alloc((size_t)w->test.n * (size_t)features * sizeof(float));
    if (out->train && out->test) return OK;
    return err_set(err, ERR_MEMORY, "no memory for %lld features of each picture", (long long)features);
}

static void both_free(Both *b) {
    block_free(b->train);
    block_free(b->test);
}

static Err probe_components(Work *w, Error *err) {
    int64_t d = w->train.size, k = w->train_codes.size, most = d < w->train.n - 1 ? d : w->train.n - 1;
    Row row = {.name = "principal components", .key = "pca", .features = k < most ? k : most};
    if (d > PCA_MAX_VALUES) {
        row.missing = true;
        w->rows[w->n_rows++] = row;
        return OK;
    }
    Pca pca = {0};
    Both b = {0};
    Err code = both_new(&b, w, row.features, err);
    if (code == OK) code = pca_fit(&pca, w->train.n, d, w->train.values, row.features, err);
    if (code == OK) code = pca_apply(&pca, w->train.n, w->train.values, &(PcaOutputs){.codes = b.train}, err);
    if (code == OK) code = pca_apply(&pca, w->test.n, w->test.values, &(PcaOutputs){.codes = b.test}, err);
    if (code == OK) code = probe_row(w, row, b.train, b.test, err);
    pca_free(&pca);
    both_free(&b);
    return code;
}

static Err probe_patterns(Work *w, Error *err) {
    Shape shape = w->train.shape;
    int cells = (int)w->options->grid;
    LbpSpec spec = {.grid_rows = cells, .grid_columns = cells};
    Row row = {.name = arena_printf(w->a->arena, "local binary patterns, %dx%d cells", cells, cells), .key = "lbp"};
    row.features = lbp_features(&spec);
    if (shape.rank != 4) { /* vectors: where pixels lie is not known */
        row.missing = true;
        w->rows[w->n_rows++] = row;
        return OK;
    }
    spec.channels = (int)shape.dim[1];
    spec.height = (int)shape.dim[2];
    spec.width = (int)shape.dim[3];
    Both b = {0};
    Err code = both_new(&b, w, row.features, err);
    spec.n = w->train.n;
    if (code == OK) code = lbp_histograms(&spec, w->train.values, b.train, err);
    spec.n = w->test.n;
    if (code == OK) code = lbp_histograms(&spec, w->test.values, b.test, err);
    if (code == OK) code = probe_row(w, row, b.train, b.test, err);
    both_free(&b);
    return code;
}

/* ---- results ---- */

static void write_row(Json *json, const Row *row) {
    if (row->missing) {
        json_null(json, row->key);
        return;
    }
    json_open_object(json, row->key);
    json_int(json, "features", row->features);
    json_float(json, "test_error", row->test_error);
    json_float(json, "train_error", row->train_error);
    json_int(json, "iterations", row->iterations);
    json_bool(json, "converged", row->converged);
    json_float(json, "gradient_norm", row->gradient_norm);
    json_float(json, "seconds", row->seconds);
    json_close(json);
}

static void report(Work *w, const char *at) {
    Json *json = &w->a->json;
    json_string(json, "split", w->options->split);
    json_string(json, "layer", at);
    json_int(json, "trained_on", w->train.n);
    json_int(json, "tested_on", w->test.n);
    json_int(json, "classes", w->n_classes);
    json_float(json, "l2", w->options->l2);
    for (int i = 0; i < w->n_rows; i++) write_row(json, &w->rows[i]);

    FILE *out = analysis_text(w->a);
    fprintf(out,
            "logistic regression on %lld training images, l2 %g; tested on %lld images of split '%s', %d classes\n\n",
            (long long)w->train.n, w->options->l2, (long long)w->test.n, w->options->split, w->n_classes);
    fprintf(out, "%-34s  %8s  %10s  %11s\n", "features", "values", "test error", "train error");
    for (int i = 0; i < w->n_rows; i++) {
        const Row *row = &w->rows[i];
        fprintf(out, "%-34s  %8lld  ", row->name, (long long)row->features);
        if (row->missing)
            fprintf(out, "%10s  %11s  (not for such pictures)\n", "-", "-");
        else
            fprintf(out, "%8.2f %%  %9.2f %%%s\n", 100 * row->test_error, 100 * row->train_error,
                    row->converged ? "" : "  (not converged)");
    }
}

static Err read_data(Work *w, const char *at, Error *err) {
    const ProbeOptions *options = w->options;
    Analysis *a = w->a;
    TRY(analysis_pictures(a, &w->test, options->split, "input", options->limit, err));
    int test_classes, train_classes;
    TRY(analysis_classes(a, &w->test, options->split, "a probe", &test_classes, err));
    TRY(analysis_pictures(a, &w->train, "train", "input", options->train_limit, err));
    TRY(analysis_classes(a, &w->train, "train", "a probe", &train_classes, err));
    w->n_classes = train_classes > test_classes ? train_classes : test_classes;
    if (w->train.size != w->test.size)
        return err_set(err, ERR_DATA, "the pictures of split 'train' have %lld values, those of '%s' %lld",
                       (long long)w->train.size, options->split, (long long)w->test.size);
    TRY(analysis_features(a, &w->train_codes, "train", at, options->train_limit, err));
    return analysis_features(a, &w->test_codes, options->split, at, options->limit, err);
}

static Err probe_all(Work *w, Error *err) {
    const char *at = w->options->at ? w->options->at : net_code(w->a->net, err);
    if (!at) return ERR_CONFIG;
    TRY(read_data(w, at, err));
    Row codes = {
        .name = arena_printf(w->a->arena, "'%s' of the network", at), .key = "codes", .features = w->train_codes.size};
    Row pixels = {.name = "raw pixels", .key = "pixels", .features = w->train.size};
    TRY(probe_row(w, codes, w->train_codes.values, w->test_codes.values, err));
    TRY(probe_row(w, pixels, w->train.values, w->test.values, err));
    TRY(probe_components(w, err));
    TRY(probe_patterns(w, err));
    report(w, at);
    return OK;
}

static Err run_probe(const Call *call, Error *err) {
    const ProbeOptions *options = call->options;
    Analysis a;
    Work work = {.options = options, .a = &a};
    Err code = analysis_begin(&a, call, &options->common, err);
    if (code == OK) code = probe_all(&work, err);
    work_free(&work);
    return analysis_end(&a, code, err);
}

const Command analyze_probe = {
    .name = "analyze probe",
    .usage = "MODEL [--split NAME] [--limit N] [--train-limit N] [--l2 X] [--grid N] [--at LAYER] [--out DIR] "
             "[--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "what a linear classifier makes of the codes, beside other features",
    .help =
        "Trains multinomial logistic regression on four kinds of features and tells its test error: the codes, raw\n"
        "pixels, as many principal components as a code has values, and uniform local binary patterns (8\n"
        "neighbours, radius 1), a histogram for each cell of a grid. The data needs labels. Writes probe.json.\n",
    .options = probe_options,
    .options_bytes = sizeof(ProbeOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_probe};
