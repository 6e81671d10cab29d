/* analyze_pca.c - sandglass analyze pca: an autoencoder against the best linear code of the same size.
 *
 * Principal components are fitted to the training split; both reconstruct the pictures of another one. As Hinton and
 * Salakhutdinov (Science 2006) report them: squared error per picture, of values 0..1, unclipped.
 */
#include "analysis/pca.h"
#include "cli/analysis_out.h"
#include "cli/tiles.h"

typedef struct PcaOptions {
    AnalysisOptions common;
    int64_t k, limit, train_limit;
    const char *split;
} PcaOptions;

// clang-format off
static const Option pca_options[] = {
    {{"k", PARAM_INT, offsetof(PcaOptions, k), "0", 0, PCA_MAX_VALUES, NULL, "components; 0: as many as the code has values, at most one less than samples"}, "N"},
    {{"split", PARAM_STRING, offsetof(PcaOptions, split), "val", 0, 0, NULL, "which part of the data to reconstruct"}, "NAME"},
    {{"limit", PARAM_INT, offsetof(PcaOptions, limit), "0", 0, 1e9, NULL, "reconstruct the first N samples; 0: all"}, "N"},
    {{"train-limit", PARAM_INT, offsetof(PcaOptions, train_limit), "0", 0, 1e9, NULL, "fit to the first N samples of the training split; 0: all"}, "N"},
    ANALYSIS_OPTIONS(PcaOptions),
    OPTIONS_END};
// clang-format on

enum { SHOWN = 12 };

/* How well one of the two reconstructs. */
typedef struct Score {
    double squared_error_per_image, mse;
} Score;

static Score score_of(int64_t n, int64_t d, const double *errors) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += errors[i];
    return (Score){sum / (double)n, sum / (double)n / (double)d};
}

static Score score_against(const Features *pictures, const Features *outputs) {
    double sum = 0;
    for (int64_t i = 0; i < pictures->n; i++) {
        double one = 0;
        const float *x = pictures->values + i * pictures->size, *y = outputs->values + i * pictures->size;
        for (int64_t j = 0; j < pictures->size; j++)
            one += ((double)x[j] - (double)y[j]) * ((double)x[j] - (double)y[j]);
        sum += one;
    }
    double each = sum / (double)pictures->n;
    return (Score){each, each / (double)pictures->size};
}

/* ---- the picture: columns of samples, rows original, principal components, autoencoder ---- */

static Err save_sheet(Analysis *a, const Features *pictures, const float *pca, const Features *outputs, Error *err) {
    Shape shape = pictures->shape;
    if (shape.rank != 4) return OK; /* vectors have no picture */
    int columns = pictures->n < SHOWN ? (int)pictures->n : SHOWN;
    const float *rows[] = {pictures->values, pca, outputs->values};
    Tiles tiles;
    TRY(tiles_new(&tiles, 3 * columns, (int)shape.dim[2], (int)shape.dim[3], columns, err));
    for (int row = 0; row < 3; row++)
        for (int i = 0; i < columns; i++)
            tiles_put(&tiles, row * columns + i, rows[row] + i * pictures->size, (int)shape.dim[1], 0, 1);
    Err code = analysis_save_image(a, "pca.png", &tiles.picture, err);
    tiles_free(&tiles);
    return code;
}

/* ---- figures ---- */

static void write_score(Json *json, const char *key, const Score *score) {
    json_open_object(json, key);
    json_float(json, "squared_error_per_image", score->squared_error_per_image);
    json_float(json, "mse", score->mse);
    json_close(json);
}

static void report(Analysis *a, const PcaOptions *options, const Pca *pca, int64_t n, int64_t code_size, Score linear,
                   Score network) {
    Json *json = &a->json;
    json_string(json, "split", options->split);
    json_int(json, "images", n);
    json_int(json, "fitted_to", pca->n);
    json_int(json, "values", pca->d);
    json_int(json, "components", pca->k);
    json_int(json, "code_values", code_size);
    json_float(json, "explained_variance", pca_explained(pca));
    write_score(json, "pca", &linear);
    write_score(json, "autoencoder", &network);

    FILE *out = analysis_text(a);
    fprintf(out, "%lld images of split '%s'; principal components of %lld training images, unclipped\n\n", (long long)n,
            options->split, (long long)pca->n);
    fprintf(out, "%-22s  %6s  %23s  %10s\n", "", "values", "squared error per image", "mse");
    fprintf(out, "%-22s  %6lld  %23.4f  %10.6f\n", "principal components", (long long)pca->k,
            linear.squared_error_per_image, linear.mse);
    fprintf(out, "%-22s  %6lld  %23.4f  %10.6f\n", "autoencoder", (long long)code_size, network.squared_error_per_image,
            network.mse);
    fprintf(out, "\nthe components hold %.2f %% of the training images' variance\n", 100 * pca_explained(pca));
}

/* Everything of a run that is freed at the end. */
typedef struct Work {
    Features train, pictures, outputs, codes;
    Pca pca;
    double *errors;
    float *back; /* reconstruction of the samples that are shown */
} Work;

static void work_free(Work *w) {
    features_free(&w->train);
    features_free(&w->pictures);
    features_free(&w->outputs);
    features_free(&w->codes);
    pca_free(&w->pca);
    block_free(w->errors);
    block_free(w->back);
}

static Err apply(Work *w, Error *err) {
    int64_t n = w->pictures.n, d = w->pictures.size, shown = n < SHOWN ? n : SHOWN;
    w->errors = block_alloc((size_t)n * sizeof(double));
    w->back = block_alloc((size_t)(shown * d) * sizeof(float));
    if (!w->errors || !w->back) return err_set(err, ERR_MEMORY, "no memory for %lld reconstructions", (long long)n);
    TRY(pca_apply(&w->pca, n, w->pictures.values, &(PcaOutputs){.errors = w->errors}, err));
    return pca_apply(&w->pca, shown, w->pictures.values, &(PcaOutputs){.reconstruction = w->back}, err);
}

static Err compare(Analysis *a, const PcaOptions *options, Work *w, Error *err) {
    TRY(analysis_features(a, &w->codes, options->split, NULL, 1, err));
    TRY(analysis_pictures(a, &w->pictures, options->split, "input", options->limit, err));
    int64_t k = options->k ? options->k : w->codes.size;
    if (k > w->pictures.size) /* said before all the training pictures are read */
        return err_set(err, ERR_USAGE, "%lld principal components were asked for; the pictures have %lld values",
                       (long long)k, (long long)w->pictures.size);
    TRY(analysis_pictures(a, &w->outputs, options->split, net_output_name(a->net), options->limit, err));
    if (w->outputs.size != w->pictures.size)
        return err_set(err, ERR_CONFIG,
                       "the network's output '%s' has %lld values, its input %lld: no reconstruction "
                       "to compare with",
                       net_output_name(a->net), (long long)w->outputs.size, (long long)w->pictures.size);
    TRY(analysis_pictures(a, &w->train, "train", "input", options->train_limit, err));
    if (w->train.size != w->pictures.size)
        return err_set(err, ERR_DATA, "the pictures of split 'train' have %lld values, those of '%s' %lld",
                       (long long)w->train.size, options->split, (long long)w->pictures.size);
    /* n samples lie in n - 1 directions: without --k as many components as there can be */
    if (options->k == 0 && k > w->train.n - 1) k = w->train.n - 1;
    TRY(pca_fit(&w->pca, w->train.n, w->train.size, w->train.values, k, err));
    TRY(apply(w, err));
    TRY(save_sheet(a, &w->pictures, w->back, &w->outputs, err));
    report(a, options, &w->pca, w->pictures.n, w->codes.size, score_of(w->pictures.n, w->pictures.size, w->errors),
           score_against(&w->pictures, &w->outputs));
    return OK;
}

static Err run_pca(const Call *call, Error *err) {
    const PcaOptions *options = call->options;
    Analysis a;
    Work work = {0};
    Err code = analysis_begin(&a, call, &options->common, err);
    if (code == OK) code = compare(&a, options, &work, err);
    work_free(&work);
    return analysis_end(&a, code, err);
}

const Command analyze_pca = {
    .name = "analyze pca",
    .usage =
        "MODEL [--k N] [--split NAME] [--limit N] [--train-limit N] [--out DIR] [--set KEY=VALUE]... [--threads N] "
        "[--json]",
    .doc = "reconstruction error beside that of principal components",
    .help = "Fits principal components to the training split and reconstructs another one with them and with the\n"
            "network. Errors are of values 0..1 and not clipped to that range. Writes pca.png (rows: originals,\n"
            "principal components, network) and pca.json.\n",
    .options = pca_options,
    .options_bytes = sizeof(PcaOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_pca};
