/* analyze_maps.c - sandglass analyze maps: what each layer makes of one picture.
 *
 * For every layer (or the one of --at) a picture maps_LAYER.png with a tile for each channel; a layer without spatial
 * axes has a tile of one value for each unit. All tiles of a layer share one scale, from its lowest value (but at most
 * 0) to its highest, so that channels compare. The picture itself is a file, or a sample of a split.
 */
#include "cli/analysis_out.h"
#include "cli/inputs.h"
#include "cli/tiles.h"

#include <string.h>

typedef struct MapsOptions {
    AnalysisOptions common;
    const char *split, *at;
    int64_t index;
} MapsOptions;

static const Option maps_options[] = {
    {{"split", PARAM_STRING, offsetof(MapsOptions, split), "val", 0, 0, NULL, "where the picture is, without a file"},
     "NAME"},
    {{"index", PARAM_INT, offsetof(MapsOptions, index), "0", 0, 1e12, NULL, "number of the picture in the split"}, "N"},
    {{"at", PARAM_STRING, offsetof(MapsOptions, at), "", 0, 0, NULL, "one layer; default: all"}, "LAYER"},
    ANALYSIS_OPTIONS(MapsOptions),
    OPTIONS_END};

enum { MOST_CHANNELS = 4096 };

typedef struct Maps {
    Analysis *a;
    const MapsOptions *options;
    Planes planes; /* the picture */
    const char *source;
} Maps;

/* ---- the picture ---- */

static Err from_file(Maps *m, const char *path, Error *err) {
    Image image = {0};
    m->source = path;
    TRY(image_load(path, net_channels(m->a->net), &image, err));
    Err code = planes_from_image(&m->planes, m->a->net, &image, err);
    if (code != OK) err_context(err, "%s", path);
    image_free(&image);
    return code;
}

static Err from_split(Maps *m, Error *err) {
    const MapsOptions *options = m->options;
    Split *split = NULL;
    Sample sample = {0};
    TRY(named_split_open(&split, net_experiment(m->a->net), options->split, err));
    int64_t n = split_info(split)->n;
    Err code = OK;
    if (options->index >= n)
        code = err_set(err, ERR_USAGE, "--index: split '%s' has pictures 0 to %lld, got %lld", options->split,
                       (long long)(n - 1), (long long)options->index);
    if (code == OK) code = split_read(split, options->index, &sample, err);
    if (code == OK) {
        char name[1024];
        split_sample_name(split, options->index, name, sizeof name);
        m->source = arena_strdup(m->a->arena, name);
        code = planes_from_image(&m->planes, m->a->net, &sample.image, err);
    }
    image_free(&sample.image);
    image_free(&sample.mask);
    split_close(split);
    return code;
}

/* ---- a layer ---- */

/* "enc1/conv2d1" as part of a file's name. */
static const char *file_of(const char *layer, Arena *arena) {
    char *name = arena_printf(arena, "maps_%s.png", layer);
    for (char *c = name; *c; c++)
        if (*c == '/') *c = '.';
    return name;
}

static Err draw_layer(Maps *m, const char *layer, Error *err) {
    Analysis *a = m->a;
    const Planes *in = &m->planes;
    const float *values;
    Shape shape;
    TRY(net_run_part(a->net, &(NetPart){.at = layer}, &(RunState){0}, 1, in->channels, in->height, in->width,
                     in->values, &values, &shape, err));
    bool spatial = shape.rank == 4;
    int64_t channels = shape.rank == 3 ? 1 : shape.dim[1];
    int64_t height = spatial ? shape.dim[2] : shape.rank == 3 ? shape.dim[1] : 1;
    int64_t width = spatial ? shape.dim[3] : shape.rank == 3 ? shape.dim[2] : 1, n = shape_size(shape);
    int shown = (int)(channels < MOST_CHANNELS ? channels : MOST_CHANNELS);
    float low = 0, high = values[0];
    for (int64_t i = 0; i < n; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    Tiles tiles;
    TRY(tiles_new(&tiles, shown, (int)height, (int)width, 0, err));
    for (int c = 0; c < shown; c++) tiles_put(&tiles, c, values + c * height * width, 1, low, high);
    json_open_object(&a->json, NULL);
    json_string(&a->json, "layer", layer);
    json_int(&a->json, "channels", channels);
    json_int(&a->json, "height", height);
    json_int(&a->json, "width", width);
    json_float(&a->json, "low", (double)low);
    json_float(&a->json, "high", (double)high);
    json_close(&a->json);
    char text[SHAPE_TEXT_BYTES];
    fprintf(analysis_text(a), "  %-28s %-16s black %9.4g, white %9.4g%s\n", layer, shape_text(shape, text), (double)low,
            (double)high, shown < channels ? " (the first channels)" : "");
    Err code = analysis_save_image(a, file_of(layer, a->arena), &tiles.picture, err);
    tiles_free(&tiles);
    return code;
}

/* Not worth a picture of its own: what only rearranges, what does nothing here, and what its activation, the next
 * layer, shows. */
static bool is_shown(const Graph *graph, int node) {
    const LayerKind *kind = graph->nodes[node].kind;
    if (kind->keeps_elements || kind->training_only) return false;
    for (int i = node + 1; i < graph->n; i++)
        if (graph->nodes[i].n_src == 1 && graph->nodes[i].src[0] == node && graph->nodes[i].kind->act) return false;
    return true;
}

static Err draw_layers(Maps *m, Error *err) {
    const Graph *graph = net_graph(m->a->net);
    enum { MOST_PICTURES = sizeof m->a->files / sizeof *m->a->files - 1 };
    if (m->options->at) {
        const char *layer = net_layer(m->a->net, m->options->at, err);
        return layer ? draw_layer(m, layer, err) : ERR_CONFIG;
    }
    int n = 0;
    for (int i = 0; i < graph->n; i++) n += is_shown(graph, i);
    if (n > MOST_PICTURES)
        return err_set(err, ERR_USAGE,
                       "the network has %d layers to show, at most %d are shown at once: choose one with --at", n,
                       MOST_PICTURES);
    for (int i = 0; i < graph->n; i++)
        if (is_shown(graph, i)) TRY(draw_layer(m, graph->nodes[i].name, err));
    return OK;
}

static Err work(Maps *m, const Call *call, Error *err) {
    static const char *const with_file[] = {"at", "out", "set", "threads", "json", NULL};
    if (call->n_args > 1) TRY(options_allow(call, with_file, "a picture from a file", err));
    TRY(call->n_args > 1 ? from_file(m, call->args[1], err) : from_split(m, err));
    json_string(&m->a->json, "picture", m->source);
    json_open_array(&m->a->json, "layers");
    fprintf(analysis_text(m->a), "%s:\n", m->source);
    TRY(draw_layers(m, err));
    json_close(&m->a->json);
    return OK;
}

static Err run_maps(const Call *call, Error *err) {
    Analysis a;
    Maps m = {.a = &a, .options = call->options};
    Err code = analysis_begin(&a, call, &m.options->common, err);
    if (code == OK) code = work(&m, call, err);
    planes_free(&m.planes);
    return analysis_end(&a, code, err);
}

const Command analyze_maps = {
    .name = "analyze maps",
    .usage = "MODEL [PICTURE | --split NAME --index N] [--at LAYER] [--out DIR] ...",
    .doc = "what each layer makes of a picture",
    .help =
        "Writes maps_LAYER.png for every layer: a tile for each channel of its result for one picture, a file or a\n"
        "sample of a split. All tiles of a layer have one scale, whose ends are printed.\n",
    .options = maps_options,
    .options_bytes = sizeof(MapsOptions),
    .min_args = 1,
    .max_args = 2,
    .run = run_maps};
