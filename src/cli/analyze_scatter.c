/* analyze_scatter.c - sandglass analyze scatter: the codes of pictures as points, coloured by class, beside the first
 * two principal components of the pictures themselves. Codes of more than two values are shown by their own first two
 * principal components. */
#include "analysis/pca.h"
#include "analysis/plot.h"
#include "cli/analysis_out.h"

#include <string.h>

typedef struct ScatterOptions {
    AnalysisOptions common;
    const char *split, *at;
    int64_t limit;
} ScatterOptions;

// clang-format off
static const Option scatter_options[] = {
    {{"split", PARAM_STRING, offsetof(ScatterOptions, split), "val", 0, 0, NULL, "which part of the data to show"}, "NAME"},
    {{"at", PARAM_STRING, offsetof(ScatterOptions, at), "", 0, 0, NULL, "the layer to show; default: the code"}, "LAYER"},
    {{"limit", PARAM_INT, offsetof(ScatterOptions, limit), "5000", 0, 1e9, NULL, "show the first N samples; 0: all"}, "N"},
    ANALYSIS_OPTIONS(ScatterOptions),
    OPTIONS_END};
// clang-format on

/* Samples as points of a plane. */
typedef struct Plane {
    Features values;
    float *points;   /* n,2 */
    bool components; /* points are the first two principal components */
    double explained;
} Plane;

static void plane_free(Plane *p) {
    features_free(&p->values);
    block_free(p->points);
}

static Err project(Plane *p, Error *err) {
    const Features *v = &p->values;
    p->components = true;
    Pca pca;
    TRY(pca_fit(&pca, v->n, v->size, v->values, 2, err));
    p->explained = pca_explained(&pca);
    Err code = pca_apply(&pca, v->n, v->values, &(PcaOutputs){.codes = p->points}, err);
    pca_free(&pca);
    return code;
}

/* The points of p->values: themselves, with 0 beside single values, or their components. */
static Err find_points(Plane *p, Error *err) {
    const Features *v = &p->values;
    p->points = block_alloc((size_t)v->n * 2 * sizeof *p->points);
    if (!p->points) return err_set(err, ERR_MEMORY, "no memory for %lld points", (long long)v->n);
    if (v->size > 2) return project(p, err);
    for (int64_t i = 0; i < v->n; i++)
        for (int64_t j = 0; j < v->size; j++) p->points[2 * i + j] = v->values[i * v->size + j];
    return OK;
}

static PlotPanel panel_of(const Plane *p, const char *what, const int32_t *labels, Arena *arena) {
    PlotPanel panel = {.n = p->values.n, .points = p->points, .classes = labels};
    if (p->components) {
        panel.title = arena_printf(arena, "%s: 2 principal components of %lld values (%.0f %% of variance)", what,
                                   (long long)p->values.size, 100 * p->explained);
        panel.x_label = "first component";
        panel.y_label = "second component";
    } else {
        panel.title = arena_printf(arena, "%s of %lld value%s", what, (long long)p->values.size,
                                   p->values.size == 1 ? "" : "s");
        panel.x_label = "first value";
        panel.y_label = p->values.size == 1 ? "" : "second value";
    }
    return panel;
}

/* Classes for colours, where every sample has one. */
static Err find_classes(Analysis *a, const Features *codes, const char *split, Plot *plot, Error *err) {
    if (!codes->labels) {
        fprintf(stderr, "split '%s' has no labels: all points have one colour\n", split);
        return OK;
    }
    TRY(analysis_classes(a, codes, split, "colouring by class", &plot->n_classes, err));
    const char **names = ARENA_ARRAY(a->arena, const char *, plot->n_classes);
    for (int c = 0; c < plot->n_classes; c++) names[c] = analysis_class_name(a, c);
    plot->class_names = names;
    return OK;
}

static Err save_plot(Analysis *a, const Plot *plot, Error *err) {
    const char *svg = plot_svg(plot, a->arena);
    TRY(analysis_save_bytes(a, "scatter.svg", svg, strlen(svg), err));
    Image image = {0};
    TRY(plot_image(plot, &image, err));
    Err code = analysis_save_image(a, "scatter.png", &image, err);
    image_free(&image);
    return code;
}

static void report(Analysis *a, const char *split, const Plane *codes, const Plane *pictures, const char *at) {
    Json *json = &a->json;
    json_string(json, "split", split);
    json_string(json, "layer", at);
    json_int(json, "images", codes->values.n);
    json_int(json, "code_values", codes->values.size);
    if (codes->components) json_float(json, "code_explained_variance", codes->explained);
    json_float(json, "picture_explained_variance", pictures->explained);
    FILE *out = analysis_text(a);
    fprintf(out, "%lld images of split '%s', layer '%s' of %lld values%s\n", (long long)codes->values.n, split, at,
            (long long)codes->values.size, codes->components ? ": its first two principal components" : "");
}

static Err show(Analysis *a, const ScatterOptions *options, Plane *codes, Plane *pictures, Error *err) {
    const char *at = options->at ? options->at : net_code(a->net, err);
    if (!at) return ERR_CONFIG;
    TRY(analysis_features(a, &codes->values, options->split, at, options->limit, err));
    TRY(analysis_pictures(a, &pictures->values, options->split, "input", options->limit, err));
    Plot plot = {.n_panels = 2};
    TRY(find_classes(a, &codes->values, options->split, &plot, err));
    TRY(find_points(codes, err));
    TRY(find_points(pictures, err));
    PlotPanel panels[2] = {panel_of(codes, arena_printf(a->arena, "'%s'", at), codes->values.labels, a->arena),
                           panel_of(pictures, "pictures", codes->values.labels, a->arena)};
    plot.panels = panels;
    plot.title = arena_printf(a->arena, "%s: %lld images of split '%s'", net_experiment(a->net)->name,
                              (long long)codes->values.n, options->split);
    TRY(save_plot(a, &plot, err));
    report(a, options->split, codes, pictures, at);
    return OK;
}

static Err run_scatter(const Call *call, Error *err) {
    const ScatterOptions *options = call->options;
    Analysis a;
    Plane codes = {.points = NULL}, pictures = {.points = NULL};
    Err code = analysis_begin(&a, call, &options->common, err);
    if (code == OK) code = show(&a, options, &codes, &pictures, err);
    plane_free(&codes);
    plane_free(&pictures);
    return analysis_end(&a, code, err);
}

const Command analyze_scatter = {
    .name = "analyze scatter",
    .usage = "MODEL [--split NAME] [--limit N] [--at LAYER] [--out DIR] [--set KEY=VALUE]... [--threads N] [--json]",
    .doc = "codes as points, coloured by class",
    .help = "Draws the code of each picture as a point in the colour of its class, beside the first two principal\n"
            "components of the pictures. Codes of more than 2 values are shown by their own first two principal\n"
            "components. Writes scatter.svg, scatter.png and scatter.json.\n",
    .options = scatter_options,
    .options_bytes = sizeof(ScatterOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_scatter};
