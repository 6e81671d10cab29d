/* analyze_anomaly.c - sandglass analyze anomaly: how well the reconstruction error tells what a network was trained on
 * from what it has never seen.
 *
 * The score of a picture is its mean squared error, or, with --score relative, that divided by the picture's own mean
 * square: the plain error grows with the ink, so that strange pictures with little of it pass. The threshold is a
 * quantile of the training pictures' scores, so that no anomaly is needed to choose it. Three kinds of pictures are
 * scored: training, normal (unseen ones of the trained classes) and anomalous ones. The last are, by --anomalous,
 *   nothing given   what `only` or `without` leaves out of the normal split (data/select.h): a held-out class
 *   SPLIT           another split of the model's data
 *   CONFIG[:SPLIT]  a split of other data, prepared as the model's are
 */
#include "analysis/chart.h"
#include "analysis/quantile.h"
#include "analysis/roc.h"
#include "base/number.h"
#include "cli/analysis_out.h"
#include "cli/inputs.h"
#include "data/select.h"
#include "train/image_errors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct AnomalyOptions {
    AnalysisOptions common;
    const char *normal, *anomalous, *train;
    double quantile;
    int64_t limit;
    int score;
} AnomalyOptions;

enum { SCORE_MSE, SCORE_RELATIVE };
#define LEAST_ENERGY 1e-6 /* an empty picture is not infinitely strange */
static const char *const score_names[] = {"mse", "relative", NULL};

static const Option anomaly_options[] = {
    {{"normal", PARAM_STRING, offsetof(AnomalyOptions, normal), "val", 0, 0, NULL, "split of normal pictures"},
     "SPLIT"},
    {{"anomalous", PARAM_STRING, offsetof(AnomalyOptions, anomalous), "", 0, 0, NULL,
      "split of anomalies, or CONFIG[:SPLIT] of other data; default: what the normal split's selection leaves out"},
     "WHAT"},
    {{"train", PARAM_STRING, offsetof(AnomalyOptions, train), "train", 0, 0, NULL, "split that gives the threshold"},
     "SPLIT"},
    {{"quantile", PARAM_FLOAT, offsetof(AnomalyOptions, quantile), "0.99", 0, 1, NULL,
      "of the training pictures' errors: the threshold"},
     "Q"},
    {{"limit", PARAM_INT, offsetof(AnomalyOptions, limit), "0", 0, 1e12, NULL, "first pictures of a split; 0: all"},
     "N"},
    {{"score", PARAM_CHOICE, offsetof(AnomalyOptions, score), "mse", 0, 0, score_names,
      "a picture's error: mse, or relative to its own mean square"},
     "NAME"},
    ANALYSIS_OPTIONS(AnomalyOptions),
    OPTIONS_END};

/* Pictures of one kind and their scores. */
typedef struct Group {
    const char *name;
    Split *split;
    ImageErrors errors;
    double *scores;       /* errors.n: those of --score; borrowed */
    double mean, flagged; /* mean score; share above the threshold */
} Group;

typedef struct Anomaly {
    Analysis *a;
    const AnomalyOptions *options;
    Group train, normal, anomalous;
    double threshold, auc;
} Anomaly;

/* ---- which pictures ---- */

/* Keys that make the other data's pictures what the network takes. */
static const char *const prepared_keys[] = {"channels", "size", "mean", "std", "fit", NULL};

static const Node *nothing(Arena *arena, Mark mark) {
    Node *node = ARENA_NEW(arena, Node);
    *node = (Node){.mark = mark};
    return node;
}

/* Open CONFIG[:SPLIT]. Its pictures are prepared as the model's own. */
static Err open_other(Anomaly *x, const char *path, const char *split, Error *err) {
    Arena *arena = x->a->arena;
    const Experiment *own = net_experiment(x->a->net);
    Node *root = NULL;
    TRY(yaml_load_file(&root, find_config(path, arena), arena, err));
    Node *data = node_get(root, "data");
    if (!data || data->type != NODE_MAP) return err_set(err, ERR_CONFIG, "%s: has no section 'data'", path);
    for (const char *const *key = prepared_keys; *key; key++) {
        const Node *model = node_get(own->data, *key);
        if (model || strcmp(*key, "fit") != 0)
            node_put(data, *key, model ? node_copy(model, arena) : (Node *)nothing(arena, data->mark), arena);
    }
    Shape input = net_graph(x->a->net)->input;
    if (input.rank == 4 && !node_get(own->data, "channels"))
        node_put(data, "channels", node_new_scalar(arena, data->mark, arena_printf(arena, "%d", (int)input.dim[1])),
                 arena);
    Experiment other = *own;
    const Node *folder = node_get(data, "root");
    other.data = data;
    other.task = TASK_RECONSTRUCTION; /* whatever masks it has */
    if (folder && folder->type == NODE_SCALAR) other.data_root = folder->text;
    x->anomalous.name = arena_printf(arena, "%s:%s", path, split);
    return split_open(&x->anomalous.split, &other, split, err);
}

static Err open_left_out(Anomaly *x, Error *err) {
    const Experiment *own = net_experiment(x->a->net);
    Experiment other = *own;
    other.data = selection_invert(own->data, x->options->normal, x->a->arena);
    if (!other.data)
        return err_set(err, ERR_USAGE,
                       "--anomalous must be given: split '%s' has all classes (data.only and data.without leave none "
                       "out), so there is nothing to compare with",
                       x->options->normal);
    x->anomalous.name = arena_printf(x->a->arena, "left out of %s", x->options->normal);
    return split_open(&x->anomalous.split, &other, x->options->normal, err);
}

static Err open_own(Anomaly *x, Group *group, const char *split, Error *err) {
    group->name = split;
    return named_split_open(&group->split, net_experiment(x->a->net), split, err);
}

static Err open_anomalous(Anomaly *x, Error *err) {
    const char *what = x->options->anomalous;
    if (!what) return open_left_out(x, err);
    const char *yaml = strstr(what, ".yaml");
    if (!yaml) return open_own(x, &x->anomalous, what, err);
    const char *behind = yaml + strlen(".yaml"), *path = arena_strndup(x->a->arena, what, (size_t)(behind - what));
    if (*behind && *behind != ':')
        return err_set(err, ERR_USAGE, "--anomalous: expected SPLIT or CONFIG.yaml[:SPLIT], got '%s'", what);
    return open_other(x, path, *behind ? behind + 1 : "val", err);
}

/* ---- scores ---- */

static Err score(Anomaly *x, Group *g, Error *err) {
    TRY(image_errors_read(&g->errors, x->a->net, g->split, x->options->limit, &x->a->events, err));
    const ImageErrors *e = &g->errors;
    g->scores = e->mse;
    if (x->options->score == SCORE_RELATIVE)
        for (int64_t i = 0; i < e->n; i++) g->scores[i] /= fmax(e->energy[i], LEAST_ENERGY);
    for (int64_t i = 0; i < e->n; i++) g->mean += g->scores[i] / (double)e->n;
    return OK;
}

static Err compare(Anomaly *x, Error *err) {
    const ImageErrors *normal = &x->normal.errors, *anomalous = &x->anomalous.errors;
    RocScores scores = {normal->n, anomalous->n, x->normal.scores, x->anomalous.scores};
    TRY(quantile(x->train.errors.n, x->train.scores, x->options->quantile, &x->threshold, err));
    TRY(roc_auc(&scores, &x->auc, err));
    Group *groups[] = {&x->train, &x->normal, &x->anomalous};
    for (int i = 0; i < 3; i++)
        groups[i]->flagged = roc_share_above(groups[i]->errors.n, groups[i]->scores, x->threshold);
    return OK;
}

/* ---- what is told ---- */

typedef struct ClassRow {
    int64_t n, flagged;
    double sum;
} ClassRow;

/* A row for each class of a group that has samples; without labels none. */
static void report_classes(Anomaly *x, const Group *g, bool anomalous, FILE *out) {
    const DataConfig *data = split_config(g->split);
    ClassRow *rows = ARENA_ARRAY(x->a->arena, ClassRow, MAX_CLASSES + 1);
    for (int64_t i = 0; g->errors.labels && i < g->errors.n; i++) {
        int32_t label = g->errors.labels[i];
        if (label < 0 || label > MAX_CLASSES) continue;
        rows[label].n++;
        rows[label].sum += g->scores[i];
        rows[label].flagged += g->scores[i] > x->threshold;
    }
    for (int c = 0; c <= MAX_CLASSES; c++) {
        const ClassRow *r = &rows[c];
        if (r->n == 0) continue;
        const char *name = c < data->n_classes ? data->class_names[c] : arena_printf(x->a->arena, "%d", c);
        double n = (double)r->n;
        fprintf(out, "  %-9s %-16s %8lld  %9.6f  %6.2f %%\n", anomalous ? "anomalous" : "normal", name, (long long)r->n,
                r->sum / n, 100 * (double)r->flagged / n);
        json_open_object(&x->a->json, NULL);
        json_string(&x->a->json, "class", name);
        json_bool(&x->a->json, "anomalous", anomalous);
        json_int(&x->a->json, "images", r->n);
        json_float(&x->a->json, "mean_error", r->sum / n);
        json_float(&x->a->json, "flagged", (double)r->flagged / n);
        json_close(&x->a->json);
    }
}

static void report_group(Anomaly *x, const char *key, const Group *g, FILE *out) {
    Json *j = &x->a->json;
    json_open_object(j, key);
    json_string(j, "data", g->name);
    json_int(j, "images", g->errors.n);
    json_float(j, "mean_error", g->mean);
    json_float(j, "flagged", g->flagged);
    json_close(j);
    fprintf(out, "%-9s %8lld pictures (%s): mean error %.6f, above the threshold %.2f %%\n", key,
            (long long)g->errors.n, g->name, g->mean, 100 * g->flagged);
}

static void report(Anomaly *x) {
    Json *j = &x->a->json;
    FILE *out = analysis_text(x->a);
    report_group(x, "train", &x->train, out);
    report_group(x, "normal", &x->normal, out);
    report_group(x, "anomalous", &x->anomalous, out);
    json_string(j, "score", score_names[x->options->score]);
    json_float(j, "quantile", x->options->quantile);
    json_float(j, "threshold", x->threshold);
    json_float(j, "auc", x->auc);
    json_float(j, "detection_rate", x->anomalous.flagged);
    json_float(j, "false_alarm_rate", x->normal.flagged);
    fprintf(
        out,
        "\nROC AUC %.4f; at the threshold %.6f (quantile %g of training) detections %.2f %%, false alarms %.2f %%\n",
        x->auc, x->threshold, x->options->quantile, 100 * x->anomalous.flagged, 100 * x->normal.flagged);
    fprintf(out, "\n  %-9s %-16s %8s  %9s  %s\n", "", "class", "pictures", "error", "flagged");
    json_open_array(j, "classes");
    report_classes(x, &x->normal, false, out);
    report_classes(x, &x->anomalous, true, out);
    json_close(j);
}

/* ---- pictures ---- */

/* The curve's points without those that lie on top of the one before. */
static Err draw_roc(Anomaly *x, Error *err) {
    const ImageErrors *normal = &x->normal.errors, *anomalous = &x->anomalous.errors;
    RocScores scores = {normal->n, anomalous->n, x->normal.scores, x->anomalous.scores};
    RocCurve curve;
    TRY(roc_curve(&scores, &curve, err));
    double *false_alarms = ARENA_ARRAY(x->a->arena, double, curve.n),
           *detections = ARENA_ARRAY(x->a->arena, double, curve.n);
    int64_t n = 0;
    for (int64_t i = 0; i < curve.n; i++) {
        const RocPoint *p = &curve.points[i];
        bool last = i == curve.n - 1;
        if (n > 0 && !last && p->false_alarms - false_alarms[n - 1] < 1e-3 && p->detections - detections[n - 1] < 1e-3)
            continue;
        false_alarms[n] = p->false_alarms;
        detections[n++] = p->detections;
    }
    roc_curve_free(&curve);
    const ChartSeries series[] = {
        {.name = "reconstruction error", .n = n, .x = false_alarms, .y = detections},
        {.name = "chance", .n = 2, .x = (double[]){0, 1}, .y = (double[]){0, 1}, .dashed = true},
        {.name = "threshold", .n = 1, .x = &x->normal.flagged, .y = &x->anomalous.flagged, .marked = true}};
    char auc[NUMBER_BYTES];
    const Chart chart = {.title = arena_printf(x->a->arena, "ROC, area %s; normal: %s, anomalous: %s",
                                               number_format(auc, x->auc, 4), x->normal.name, x->anomalous.name),
                         .x_title = "false alarms, share of the normal pictures",
                         .y_title = "detections, share of the anomalies",
                         .n = 3,
                         .series = series};
    const char *svg = chart_svg(&chart, x->a->arena);
    return analysis_save_bytes(x->a, "anomaly_roc.svg", svg, strlen(svg), err);
}

enum { BINS = 80 };

/* Share of a group's pictures per bin, as an outline; pictures beyond `most` are in the last bin. */
static ChartSeries histogram(Anomaly *x, const Group *g, const char *name, double most) {
    double *at = ARENA_ARRAY(x->a->arena, double, 2 * BINS), *share = ARENA_ARRAY(x->a->arena, double, 2 * BINS);
    for (int64_t i = 0; i < g->errors.n; i++) {
        double bin = g->scores[i] / most * BINS;
        int k = bin < BINS - 1 ? (int)bin : BINS - 1;
        share[2 * k] += 1 / (double)g->errors.n;
    }
    for (int k = 0; k < BINS; k++) {
        share[2 * k + 1] = share[2 * k];
        at[2 * k] = most * k / BINS;
        at[2 * k + 1] = most * (k + 1) / BINS;
    }
    return (ChartSeries){.name = name, .n = 2 * BINS, .x = at, .y = share};
}

static Err draw_histogram(Anomaly *x, Error *err) {
    const Group *groups[] = {&x->train, &x->normal, &x->anomalous};
    double most = x->threshold, high;
    for (int i = 0; i < 3; i++) {
        TRY(quantile(groups[i]->errors.n, groups[i]->scores, 0.995, &high, err));
        if (high > most) most = high;
    }
    if (!(most > 0)) most = 1;
    ChartSeries series[4];
    series[0] = histogram(x, &x->train, "training", most);
    series[1] = histogram(x, &x->normal, "normal", most);
    series[2] = histogram(x, &x->anomalous, "anomalous", most);
    double top = 0;
    for (int i = 0; i < 3; i++)
        for (int64_t k = 0; k < series[i].n; k++) top = series[i].y[k] > top ? series[i].y[k] : top;
    series[3] = (ChartSeries){.name = "threshold",
                              .n = 2,
                              .x = (double[]){x->threshold, x->threshold},
                              .y = (double[]){0, top},
                              .dashed = true};
    const Chart chart = {.title = arena_printf(x->a->arena, "errors of reconstruction; normal: %s, anomalous: %s",
                                               x->normal.name, x->anomalous.name),
                         .x_title = x->options->score == SCORE_MSE
                                        ? "mean squared error of a picture"
                                        : "squared error of a picture, relative to its own squares",
                         .y_title = "share of the pictures",
                         .n = 4,
                         .series = series};
    const char *svg = chart_svg(&chart, x->a->arena);
    return analysis_save_bytes(x->a, "anomaly_errors.svg", svg, strlen(svg), err);
}

/* ---- all of it ---- */

static Err work(Anomaly *x, Error *err) {
    Task task = net_experiment(x->a->net)->task;
    if (task != TASK_RECONSTRUCTION)
        return err_set(err, ERR_CONFIG,
                       "anomalies are found by the error of reconstruction, but the network's task is %s",
                       task_names[task]);
    TRY(open_own(x, &x->normal, x->options->normal, err));
    TRY(open_anomalous(x, err));
    TRY(open_own(x, &x->train, x->options->train, err));
    TRY(score(x, &x->normal, err));
    TRY(score(x, &x->anomalous, err));
    TRY(score(x, &x->train, err));
    TRY(compare(x, err));
    report(x);
    TRY(draw_roc(x, err));
    return draw_histogram(x, err);
}

static Err run_anomaly(const Call *call, Error *err) {
    Analysis a;
    Anomaly x = {.a = &a, .options = call->options};
    Err code = analysis_begin(&a, call, &x.options->common, err);
    if (code == OK) code = work(&x, err);
    Group *groups[] = {&x.train, &x.normal, &x.anomalous};
    for (int i = 0; i < 3; i++) {
        image_errors_free(&groups[i]->errors);
        split_close(groups[i]->split);
    }
    return analysis_end(&a, code, err);
}

const Command analyze_anomaly = {
    .name = "analyze anomaly",
    .usage = "MODEL [--normal SPLIT] [--anomalous SPLIT | CONFIG[:SPLIT]] [--quantile Q] [--out DIR] ...",
    .doc = "find what a network was not trained on by its reconstruction error",
    .help = "Scores every picture by its error of reconstruction, takes the threshold from the training\n"
            "pictures' errors, and reports the area under the ROC curve and the rates at the threshold.\n"
            "Anomalies are, without --anomalous, the classes that the config's data.without (or only) leaves out of\n"
            "the normal split; or a split of the model's data; or data of another config, whose pictures are prepared\n"
            "as the model's (channels, size, mean, std) and to which --set does not apply:\n"
            "--anomalous configs/data/fashion_mnist.yaml:val.\n",
    .options = anomaly_options,
    .options_bytes = sizeof(AnomalyOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_anomaly};
