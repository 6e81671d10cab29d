/* analyze_excite.c - sandglass analyze excite: the input that excites a unit most.
 *
 * Erhan, Bengio, Courville, Vincent, "Visualizing higher-layer features of a deep network", 2009, section 3:
 *
 *     x* = arg max over |x| = rho of  h(x),   by gradient ascent from noise
 *
 * h is a unit of a dense layer, or the mean over places of a channel, before its activation, whose gradient may be 0.
 * x is a picture on the data's scale of 0 to 1. A step goes lr rho along the gradient's direction, lr falling linearly
 * to 0; then x is clipped to 0..1, so that it stays a picture, and scaled down to the norm rho where it is above.
 * Several units are treated at once, one a sample of the batch.
 */
#include "base/rng.h"
#include "cli/analysis_out.h"
#include "cli/tiles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct ExciteOptions {
    AnalysisOptions common;
    const char *at, *unit;
    int64_t n, steps, seed;
    double lr, norm;
} ExciteOptions;

static const Option excite_options[] = {
    {{"at", PARAM_STRING, offsetof(ExciteOptions, at), "", 0, 0, NULL, "layer of the unit; default: the code"},
     "LAYER"},
    {{"unit", PARAM_STRING, offsetof(ExciteOptions, unit), "all", 0, 0, NULL, "number of a unit or channel, or all"},
     "K"},
    {{"n", PARAM_INT, offsetof(ExciteOptions, n), "16", 1, 1024, NULL, "of all: the first so many"}, "N"},
    {{"steps", PARAM_INT, offsetof(ExciteOptions, steps), "200", 0, 1000000, NULL, "of gradient ascent"}, "N"},
    {{"lr", PARAM_FLOAT, offsetof(ExciteOptions, lr), "0.1", 1e-9, 10, NULL, "length of the first step, in norms"},
     "X"},
    {{"norm", PARAM_FLOAT, offsetof(ExciteOptions, norm), "0.3", 1e-6, 1, NULL,
      "root mean square of the picture's values, at most; values are 0 to 1"},
     "X"},
    {{"seed", PARAM_INT, offsetof(ExciteOptions, seed), "0", 0, 1e15, NULL, "of the noise it starts from"}, "N"},
    ANALYSIS_OPTIONS(ExciteOptions),
    OPTIONS_END};

/* Which units the samples of the batch are for; what the loss gets. */
typedef struct Units {
    int n;
    const int64_t *unit; /* n */
    double *value;       /* n: what the units gave in the last run */
} Units;

typedef struct Excite {
    Analysis *a;
    const ExciteOptions *options;
    const char *layer; /* whose value is read: before the activation */
    Units units;
    Shape input;   /* n,C,H,W */
    float *x;      /* n,C,H,W: 0 to 1 */
    float *scaled; /* the same as the network takes it */
    Program *program;
    double *before; /* n: what the units give to the noise */
} Excite;

/* Minus the mean over places of sample i's own channel; src N,C,S. */
static void excitement(const NativeCall *call) {
    const Units *units = call->params;
    const NativeArg *src = &call->src[0];
    int64_t channels = src->shape.dim[1], places = src->size / (src->shape.dim[0] * channels);
    float *diff = call->n_dst > 1 ? call->dst[1].data : NULL;
    double sum = 0;
    if (diff) memset(diff, 0, (size_t)src->size * sizeof *diff);
    for (int i = 0; i < units->n; i++) {
        int64_t first = (i * channels + units->unit[i]) * places;
        units->value[i] = 0;
        for (int64_t s = first; s < first + places; s++) {
            units->value[i] += (double)((const float *)src->data)[s] / (double)places;
            if (diff) diff[s] = -1.0F / (float)places;
        }
        sum -= units->value[i];
    }
    double *result = call->dst[0].data;
    memset(result, 0, LOSS_RESULTS * sizeof *result);
    result[LOSS_SUM] = sum;
    result[LOSS_WEIGHT] = units->n;
}

/* ---- set-up ---- */

static Err choose_layer(Excite *e, int *node, Error *err) {
    const Graph *graph = net_graph(e->a->net);
    const char *at = e->options->at;
    const char *name = at ? net_layer(e->a->net, at, err) : net_code(e->a->net, err);
    if (!name) return ERR_CONFIG;
    *node = graph_find(graph, name);
    const LayerKind *kind = graph->nodes[*node].kind;
    bool activation = kind->act || (kind->is_softmax && kind->is_softmax(graph->nodes[*node].params));
    if (activation && graph->nodes[*node].src[0] >= 0) *node = graph->nodes[*node].src[0];
    e->layer = graph->nodes[*node].name;
    return OK;
}

static Err choose_units(Excite *e, int64_t channels, Error *err) {
    const char *text = e->options->unit;
    int64_t n = e->options->n < channels ? e->options->n : channels, first = 0;
    if (strcmp(text, "all") != 0) {
        char *end;
        first = strtoll(text, &end, 10);
        if (!*text || *end || first < 0 || first >= channels)
            return err_set(err, ERR_USAGE, "--unit: layer '%s' has units 0 to %lld, got '%s'", e->layer,
                           (long long)(channels - 1), text);
        n = 1;
    }
    int64_t *unit = ARENA_ARRAY(e->a->arena, int64_t, n);
    for (int64_t i = 0; i < n; i++) unit[i] = first + i;
    e->units = (Units){.n = (int)n, .unit = unit, .value = ARENA_ARRAY(e->a->arena, double, n)};
    return OK;
}

static Err compile(Excite *e, int node, Error *err) {
    e->input = net_graph(e->a->net)->input;
    if (e->input.rank != 4)
        return err_set(err, ERR_CONFIG, "the network takes vectors, no pictures: there is nothing to look at");
    e->input.dim[0] = e->units.n;
    LossTerm term = {
        .name = "excite", .node = node, .fn = excitement, .params = &e->units, .params_bytes = sizeof e->units};
    CompileSpec spec = {.training = true, .input_gradient = true, .input = e->input, .n_losses = 1, .losses = &term};
    TRY(net_compile(e->a->net, spec, &e->program, err));
    size_t bytes = (size_t)shape_size(e->input) * sizeof(float);
    e->x = block_alloc(bytes);
    e->scaled = block_alloc(bytes);
    e->before = ARENA_ARRAY(e->a->arena, double, e->units.n);
    if (!e->x || !e->scaled) return err_set(err, ERR_MEMORY, "no memory for %d pictures", e->units.n);
    program_bind(e->program, "input", e->scaled);
    return OK;
}

/* ---- ascent ---- */

static double norm_of(int64_t n, const float *x) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Into 0..1, and to a norm of rho at most. */
static void constrain(int64_t n, float *x, double rho) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] > 0 ? (x[i] < 1 ? x[i] : 1) : 0;
    double norm = norm_of(n, x);
    if (norm <= rho) return;
    for (int64_t i = 0; i < n; i++) x[i] *= (float)(rho / norm);
}

static Err run(Excite *e, Error *err) {
    const DataConfig *data = net_data(e->a->net);
    int64_t channels = e->input.dim[1], plane = e->input.dim[2] * e->input.dim[3];
    for (int64_t p = 0; p < e->units.n * channels; p++) {
        UnitScale unit = data_unit_scale(data, (int)(p % channels));
        for (int64_t i = p * plane; i < (p + 1) * plane; i++) e->scaled[i] = (e->x[i] - unit.shift) / unit.scale;
    }
    return program_run(e->program, &(RunState){0}, err);
}

/* x += length g / |g| for each sample; the program's gradient is that of minus the units' values. */
static void step(Excite *e, double length) {
    const DataConfig *data = net_data(e->a->net);
    const float *gradient = program_read(e->program, "input gradient");
    int64_t channels = e->input.dim[1], plane = e->input.dim[2] * e->input.dim[3], each = channels * plane;
    for (int i = 0; i < e->units.n; i++) {
        float *x = e->x + i * each;
        const float *g = gradient + i * each;
        double sum = 0;
        for (int64_t k = 0; k < each; k++) {
            double slope = (double)g[k] / (double)data_unit_scale(data, (int)(k / plane)).scale;
            sum += slope * slope;
        }
        if (!(sum > 0)) continue;
        double factor = length / sqrt(sum);
        for (int64_t k = 0; k < each; k++)
            x[k] -= (float)(factor * (double)g[k] / (double)data_unit_scale(data, (int)(k / plane)).scale);
    }
}

static Err ascend(Excite *e, Error *err) {
    const ExciteOptions *o = e->options;
    int64_t each = shape_size(e->input) / e->units.n;
    double rho = o->norm * sqrt((double)each);
    for (int i = 0; i < e->units.n; i++) { /* a unit's noise does not depend on which others are asked for */
        rng_fill_uniform((uint64_t)o->seed, RNG_ANALYSIS, (uint64_t)e->units.unit[i], 0, (size_t)each, e->x + i * each);
        constrain(each, e->x + i * each, rho / 2);
    }
    for (int64_t k = 0; k <= o->steps; k++) {
        if (e->a->events.stop && *e->a->events.stop) return err_set(err, ERR_STOPPED, "stopped");
        TRY(run(e, err));
        if (k == 0) memcpy(e->before, e->units.value, (size_t)e->units.n * sizeof *e->before);
        if (k == o->steps) break;
        step(e, o->lr * rho * (double)(o->steps - k) / (double)o->steps);
        for (int i = 0; i < e->units.n; i++) constrain(each, e->x + i * each, rho);
    }
    return OK;
}

/* ---- results ---- */

static Err draw(Excite *e, Error *err) {
    int64_t each = shape_size(e->input) / e->units.n;
    int channels = e->input.dim[1] == 3 ? 3 : 1;
    Tiles tiles;
    TRY(tiles_new(&tiles, e->units.n, (int)e->input.dim[2], (int)e->input.dim[3], 0, err));
    for (int i = 0; i < e->units.n; i++) {
        const float *x = e->x + i * each;
        float high = 0;
        for (int64_t k = 0; k < each; k++) high = fmaxf(high, x[k]);
        tiles_put(&tiles, i, x, channels, 0, high);
    }
    Err code = analysis_save_image(e->a, "excite.png", &tiles.picture, err);
    tiles_free(&tiles);
    return code;
}

static void report(Excite *e) {
    Json *j = &e->a->json;
    FILE *out = analysis_text(e->a);
    json_string(j, "layer", e->layer);
    json_int(j, "steps", e->options->steps);
    json_float(j, "lr", e->options->lr);
    json_float(j, "norm", e->options->norm);
    json_open_array(j, "units");
    fprintf(out, "units of '%s' (%d), from noise to after %lld steps:\n", e->layer, e->units.n,
            (long long)e->options->steps);
    for (int i = 0; i < e->units.n; i++) {
        json_open_object(j, NULL);
        json_int(j, "unit", e->units.unit[i]);
        json_float(j, "before", e->before[i]);
        json_float(j, "after", e->units.value[i]);
        json_close(j);
        fprintf(out, "  %4lld  %10.4f -> %10.4f\n", (long long)e->units.unit[i], e->before[i], e->units.value[i]);
    }
    json_close(j);
}

static Err work(Excite *e, Error *err) {
    int node;
    TRY(choose_layer(e, &node, err));
    Shape shape = net_graph(e->a->net)->shapes[node];
    TRY(choose_units(e, shape.rank > 1 ? shape.dim[1] : 1, err));
    TRY(compile(e, node, err));
    TRY(ascend(e, err));
    report(e);
    return draw(e, err);
}

static Err run_excite(const Call *call, Error *err) {
    Analysis a;
    Excite e = {.a = &a, .options = call->options};
    Err code = analysis_begin(&a, call, &e.options->common, err);
    if (code == OK) code = work(&e, err);
    program_free(e.program);
    block_free(e.x);
    block_free(e.scaled);
    return analysis_end(&a, code, err);
}

const Command analyze_excite = {
    .name = "analyze excite",
    .usage = "MODEL [--at LAYER] [--unit K | all] [--n N] [--steps N] [--lr X] [--out DIR] ...",
    .doc = "the input that excites a unit most",
    .help =
        "Gradient ascent on a picture, from noise, for a unit of a dense layer or the mean of a channel, before its\n"
        "activation. The picture stays within 0 to 1 (of the data's range) and within a norm. Writes excite.png, a\n"
        "tile for each unit, from black to its brightest value.\n",
    .options = excite_options,
    .options_bytes = sizeof(ExciteOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_excite};
