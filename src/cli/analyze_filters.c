/* analyze_filters.c - sandglass analyze filters: the weights of a layer as pictures.
 *
 * Convolutions (O,I,KH,KW): a tile for each filter when it sees 1 or 3 channels (as RGB), else a row for each filter
 * with a tile for each channel it sees. Dense layers (O,I): a tile for each unit when what it sees is the network's
 * input picture; when the result is such a picture (a decoder's last layer), a tile for each of its sources: what that
 * one draws. Each filter is scaled by its own largest magnitude: 0 is mid grey, white positive, black negative.
 */
#include "cli/analysis_out.h"
#include "cli/tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct FiltersOptions {
    AnalysisOptions common;
    const char *at;
    int64_t n;
} FiltersOptions;

static const Option filters_options[] = {
    {{"at", PARAM_STRING, offsetof(FiltersOptions, at), "", 0, 0, NULL,
      "layer; default: the first dense or convolutional one"},
     "LAYER"},
    {{"n", PARAM_INT, offsetof(FiltersOptions, n), "0", 0, 1 << 20, NULL, "the first so many filters; 0: all"}, "N"},
    ANALYSIS_OPTIONS(FiltersOptions),
    OPTIONS_END};

/* How the weights of a layer are cut into tiles: tile k, channel c, place s is at
 * (k / fan) * step_outer + (k % fan) * step_inner + c * step_channel + s * step_place. */
typedef struct Cut {
    int n, columns; /* tiles; 0: free */
    int channels, height, width;
    int64_t fan, step_outer, step_inner, step_channel, step_place;
} Cut;

static bool has_filters(const WeightEntry *e) {
    size_t length = strlen(e->name), suffix = strlen("/weights");
    bool named = length > suffix && strcmp(e->name + length - suffix, "/weights") == 0;
    return named && (e->shape.rank == 2 || e->shape.rank == 4);
}

static const WeightEntry *filters_of(const Weights *weights, int node) {
    for (int i = 0; i < weights->n; i++)
        if (weights->entries[i].node == node && has_filters(&weights->entries[i])) return &weights->entries[i];
    return NULL;
}

/* The weights of the layer that is asked for; a name may stand for the layer with its activation. */
static const WeightEntry *find_filters(const Analysis *a, const char *at, Error *err) {
    const Graph *graph = net_graph(a->net);
    const Weights *weights = net_weights(a->net);
    if (!at) {
        for (int node = 0; node < graph->n; node++)
            if (filters_of(weights, node)) return filters_of(weights, node);
        err_set(err, ERR_CONFIG, "the network has no dense or convolutional layer");
        return NULL;
    }
    const char *name = net_layer(a->net, at, err);
    if (!name) return NULL;
    int node = graph_find(graph, name);
    while (node >= 0 && graph->nodes[node].kind->act) node = graph->nodes[node].src[0];
    const WeightEntry *found = node >= 0 ? filters_of(weights, node) : NULL;
    if (!found) err_set(err, ERR_CONFIG, "layer '%s' has no filters: --at takes a dense or convolutional layer", at);
    return found;
}

static Err cut_conv(const WeightEntry *e, Cut *cut, Error *err) {
    int64_t o = e->shape.dim[0], i = e->shape.dim[1], place = e->shape.dim[2] * e->shape.dim[3];
    bool color = i == 3;
    if (o * i > 1 << 16)
        return err_set(err, ERR_DATA,
                       "'%s' has %lld filters of %lld channels, too many for one picture: take the first with --n",
                       e->name, (long long)o, (long long)i);
    *cut = (Cut){.n = (int)(color ? o : o * i),
                 .columns = color || i == 1 ? 0 : (int)i,
                 .channels = color ? 3 : 1,
                 .height = (int)e->shape.dim[2],
                 .width = (int)e->shape.dim[3],
                 .fan = color ? 1 : i,
                 .step_outer = i * place,
                 .step_inner = place,
                 .step_channel = place,
                 .step_place = 1};
    return OK;
}

/* Channels, height and width of the network's input picture, which `values` have to be; false: they are none. */
static bool is_picture(const Analysis *a, int64_t values, Cut *cut) {
    Shape input = net_graph(a->net)->input;
    if (input.rank != 4 || shape_size(input) != values || (input.dim[1] != 1 && input.dim[1] != 3)) return false;
    cut->channels = (int)input.dim[1];
    cut->height = (int)input.dim[2];
    cut->width = (int)input.dim[3];
    return true;
}

static Err cut_dense(const Analysis *a, const WeightEntry *e, Cut *cut, Error *err) {
    int64_t o = e->shape.dim[0], i = e->shape.dim[1];
    *cut = (Cut){.fan = 1};
    if (is_picture(a, i, cut)) {
        cut->n = (int)o;
        cut->step_outer = i;
        cut->step_place = 1;
    } else if (is_picture(a, o, cut)) {
        cut->n = (int)i;
        cut->step_outer = 1;
        cut->step_place = i;
    } else {
        return err_set(err, ERR_CONFIG,
                       "the weights '%s' are %lldx%lld: neither what its units see nor what they give is a picture of "
                       "the network's input",
                       e->name, (long long)o, (long long)i);
    }
    cut->step_channel = cut->step_place * cut->height * cut->width;
    return OK;
}

/* Fill the tiles; `values` has room for one. Returns the mean magnitude of each filter's largest weight. */
static double fill(Tiles *tiles, const Cut *cut, const float *weights, float *values) {
    int64_t place = (int64_t)cut->height * cut->width;
    double sum = 0;
    for (int k = 0; k < tiles->n; k++) {
        const float *from = weights + k / cut->fan * cut->step_outer + k % cut->fan * cut->step_inner;
        float largest = 0;
        for (int64_t v = 0; v < cut->channels * place; v++) {
            values[v] = from[v / place * cut->step_channel + v % place * cut->step_place];
            largest = fmaxf(largest, fabsf(values[v]));
        }
        tiles_put(tiles, k, values, cut->channels, -largest, largest);
        sum += (double)largest / tiles->n;
    }
    return sum;
}

static Err work(Analysis *a, const FiltersOptions *options, Error *err) {
    const WeightEntry *e = find_filters(a, options->at, err);
    if (!e) return ERR_CONFIG;
    WeightEntry first = *e;
    bool by_filter = e->shape.rank == 4;
    if (by_filter && options->n > 0 && options->n < e->shape.dim[0]) first.shape.dim[0] = options->n;
    Cut cut = {0};
    TRY(by_filter ? cut_conv(&first, &cut, err) : cut_dense(a, e, &cut, err));
    int n = !by_filter && options->n > 0 && options->n < cut.n ? (int)options->n : cut.n;
    Tiles tiles = {0};
    float *values = calloc((size_t)cut.channels * (size_t)cut.height * (size_t)cut.width, sizeof *values);
    if (!values) return err_set(err, ERR_MEMORY, "no memory for a filter");
    Err code = tiles_new(&tiles, n, cut.height, cut.width, cut.columns, err);
    if (code == OK) {
        double largest = fill(&tiles, &cut, net_weights(a->net)->value + e->offset, values);
        json_string(&a->json, "weights", e->name);
        json_int(&a->json, "tiles", n);
        json_int(&a->json, "height", cut.height);
        json_int(&a->json, "width", cut.width);
        json_int(&a->json, "channels", cut.channels);
        json_float(&a->json, "mean_largest_magnitude", largest);
        fprintf(analysis_text(a), "%s: %d tiles of %dx%d%s; 0 is mid grey, each filter on its own scale\n", e->name, n,
                cut.height, cut.width, cut.channels == 3 ? ", RGB" : "");
        code = analysis_save_image(a, "filters.png", &tiles.picture, err);
    }
    tiles_free(&tiles);
    free(values);
    return code;
}

static Err run_filters(const Call *call, Error *err) {
    Analysis a;
    const FiltersOptions *options = call->options;
    Err code = analysis_begin(&a, call, &options->common, err);
    if (code == OK) code = work(&a, options, err);
    return analysis_end(&a, code, err);
}

const Command analyze_filters = {
    .name = "analyze filters",
    .usage = "MODEL [--at LAYER] [--n N] [--out DIR] ...",
    .doc = "the weights of a layer as pictures",
    .help =
        "Writes filters.png: a tile for each filter of a dense or convolutional layer. A dense layer's weights are\n"
        "shown as pictures where it sees the network's input, or gives a picture of that size.\n",
    .options = filters_options,
    .options_bytes = sizeof(FiltersOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_filters};
