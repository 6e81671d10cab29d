/* cmd_encode.c - sandglass encode: what a network's encoder (or any of its layers) makes of pictures, as a file of
 * codes (train/codes.h). Pictures go through one at a time, exactly as predict runs them; a split in batches. */
#include "cli/inputs.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "train/codes.h"
#include "train/features.h"

#include <string.h>
#include <sys/stat.h>

typedef struct EncodeOptions {
    const char *out, *at, *split;
    int64_t limit;
    ParamList sets;
    int64_t threads;
    bool json;
} EncodeOptions;

static const Option encode_options[] = {
    {{"out", PARAM_STRING, offsetof(EncodeOptions, out), "", 0, 0, NULL, "file to write"}, "FILE.h5"},
    {{"at", PARAM_STRING, offsetof(EncodeOptions, at), "", 0, 0, NULL,
      "layer whose result is wanted; default: the network's code"},
     "NAME"},
    {{"split", PARAM_STRING, offsetof(EncodeOptions, split), "", 0, 0, NULL,
      "a split of the network's own data instead of pictures"},
     "NAME"},
    {{"limit", PARAM_INT, offsetof(EncodeOptions, limit), "0", 0, 1e15, NULL, "only the first N; 0: all"}, "N"},
    OPTION_SET(EncodeOptions),
    OPTION_THREADS(EncodeOptions),
    OPTION_JSON(EncodeOptions),
    OPTIONS_END};

typedef struct Encode {
    const EncodeOptions *options;
    Net *net;
    const char *at;
    Inputs inputs;
    TrainEvents events;
    Display *display;
    Codes codes;
    Arena *arena;
} Encode;

/* ---- a split ---- */

static Err encode_split(Encode *e, Error *err) {
    Features features;
    FeatureSpec spec = {.split = e->options->split, .at = e->at, .limit = e->options->limit, .events = &e->events};
    TRY(features_read(&features, e->net, &spec, err));
    Codes *codes = &e->codes;
    codes->n = features.n;
    codes->shape = features.shape;
    codes->size = features.size;
    codes->values = features.values; /* now the codes' */
    codes->labels = features.labels;
    Image first = {0};
    const char *name = arena_printf(e->arena, "%s:0", e->options->split);
    TRY(input_read_one(name, e->net, &first, err));
    codes->input = SHAPE(1, first.channels, first.height, first.width);
    image_free(&first);
    return OK;
}

/* ---- pictures ---- */

/* The first picture says how much room all need; the others have to be like it. */
static Err fit_codes(Encode *e, int i, const Planes *planes, Shape shape, Error *err) {
    Codes *codes = &e->codes;
    Shape input = SHAPE(1, planes->channels, planes->height, planes->width);
    const PictureList *list = &e->inputs.list;
    if (i > 0 && shape_equal(input, codes->input)) return OK;
    char first[SHAPE_TEXT_BYTES], here[SHAPE_TEXT_BYTES];
    if (i > 0)
        return err_set(err, ERR_DATA,
                       "'%s' is %s, '%s' is %s: pictures of one file of codes must have one size; "
                       "--set data.fit=resize with data.size resizes them",
                       list->items[0].path, shape_text(codes->input, first), list->items[i].path,
                       shape_text(input, here));
    codes->n = list->n;
    codes->shape = shape;
    codes->size = shape_size(shape);
    codes->input = input;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)codes->n, (size_t)codes->size * sizeof(float), &bytes) ||
        !(codes->values = block_alloc(bytes)))
        return err_set(err, ERR_MEMORY, "no memory for %d codes of %lld values", list->n, (long long)codes->size);
    return OK;
}

static Err encode_planes(Encode *e, int i, const Planes *planes, Error *err) {
    const float *values;
    Shape shape;
    Codes *codes = &e->codes;
    TRY(net_run_part(e->net, &(NetPart){.at = e->at}, &(RunState){0}, 1, planes->channels, planes->height,
                     planes->width, planes->values, &values, &shape, err));
    TRY(fit_codes(e, i, planes, shape, err));
    memcpy(codes->values + i * codes->size, values, (size_t)codes->size * sizeof *values);
    return OK;
}

static Err encode_picture(Encode *e, int i, Error *err) {
    Image image = {0};
    Planes planes = {0};
    TRY(inputs_read(&e->inputs, i, net_channels(e->net), &image, err));
    Err code = planes_from_image(&planes, e->net, &image, err);
    if (code == OK) code = encode_planes(e, i, &planes, err);
    planes_free(&planes);
    image_free(&image);
    return code == OK ? OK : err_context(err, "%s", e->inputs.list.items[i].path);
}

static Err encode_pictures(Encode *e, Error *err) {
    const PictureList *list = &e->inputs.list;
    const char **names = ARENA_ARRAY(e->arena, const char *, list->n);
    for (int i = 0; i < list->n; i++) {
        if (*e->events.stop) return err_set(err, ERR_STOPPED, "stopped");
        TRY(encode_picture(e, i, err));
        names[i] = list->items[i].stem;
        display_count(e->display, "encoding", i + 1, list->n);
    }
    e->codes.names = names;
    return OK;
}

/* ---- all ---- */

static void report(const Call *call, const Encode *e) {
    const EncodeOptions *options = e->options;
    const Codes *codes = &e->codes;
    char text[SHAPE_TEXT_BYTES];
    if (!options->json) {
        printf("%lld codes of %s ('%s') -> %s\n", (long long)codes->n, strchr(shape_text(codes->shape, text), 'x') + 1,
               codes->at, options->out);
        return;
    }
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "model", codes->model);
    json_string(&j, "at", codes->at);
    json_string(&j, "out", options->out);
    json_int(&j, "n", codes->n);
    json_open_array(&j, "shape");
    for (int i = 1; i < codes->shape.rank; i++) json_int(&j, NULL, codes->shape.dim[i]);
    json_close(&j);
    json_bool(&j, "labels", codes->labels != NULL);
    json_close(&j);
    print_json(call, &j);
}

static Err encode_all(Encode *e, const char *model, Error *err) {
    e->at = e->options->at ? e->options->at : net_code(e->net, err);
    if (!e->at || !net_layer(e->net, e->at, err)) return ERR_CONFIG;
    e->codes.at = e->at;
    e->codes.model = model;
    TRY(e->options->split ? encode_split(e, err) : encode_pictures(e, err));
    if (e->codes.shape.rank < 2) return err_set(err, ERR_DATA, "'%s' has no values of each picture", e->at);
    return codes_write(e->options->out, &e->codes, err);
}

/* A file of codes may be replaced; nothing else is written over: not a model, not a picture. */
static Err check_out(const char *out, Arena *arena, Error *err) {
    struct stat info;
    TRY(check_out_folder(out, arena, err));
    if (stat(out, &info) != 0 || codes_is_file(out, arena)) return OK;
    return err_set(err, ERR_DATA, "--out %s: is there already and is no file of codes: choose another name", out);
}

static Err run_encode(const Call *call, Error *err) {
    const EncodeOptions *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no file for the codes: --out FILE.h5");
    Display display = display_begin(stderr);
    Encode e = {.options = options, .display = &display, .arena = call->arena};
    InputsSpec spec = {call->n_args - 1, call->args + 1, options->split, options->limit, {0}};
    TRY(inputs_check(&e.inputs, &spec, call->arena, err));
    TRY(check_out(options->out, call->arena, err));
    e.events = display_events(&display, signals_catch());
    const char *model;
    Err code = model_open(&e.net, &model, call, &options->sets, options->threads, err);
    if (code == OK) code = encode_all(&e, model, err);
    display_clear(&display);
    if (code == OK) report(call, &e);
    codes_free(&e.codes);
    net_close(e.net);
    return code;
}

const Command cmd_encode = {
    .name = "encode",
    .usage = "MODEL INPUT... | --split NAME --out FILE.h5 [--at NAME] [--limit N] [--set KEY=VALUE]... [--json]",
    .doc = "write the codes of pictures into a file",
    .help =
        "MODEL is a checkpoint or a run directory; an INPUT is a picture or a folder of pictures, all of one size.\n"
        "With --split the pictures are those of the network's own data, and their labels go into the file too.\n"
        "The file is HDF5: /codes float32 (n x size, or n x channels x height x width), /labels, /names, /input,\n"
        "and the attribute `at`. The code is the layer `model.code`, else the one named 'code'; --at NAME is for\n"
        "any other: feature maps of a convolution, the values of a hidden layer. 'sandglass decode' is the way\n"
        "back.\n",
    .options = encode_options,
    .options_bytes = sizeof(EncodeOptions),
    .min_args = 1,
    .max_args = -1,
    .run = run_encode};
