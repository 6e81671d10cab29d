/* cmd_decode.c - sandglass decode: a file of codes (train/codes.h) through a network's decoder, back to pictures. */
#include "cli/decoder.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/tiles.h"
#include "train/codes.h"

#include <string.h>

typedef struct DecodeOptions {
    const char *out, *from;
    bool grid;
    int64_t limit;
    ParamList sets;
    int64_t threads;
    bool json;
} DecodeOptions;

static const Option decode_options[] = {
    {{"out", PARAM_STRING, offsetof(DecodeOptions, out), "", 0, 0, NULL, "folder for the pictures; made if missing"},
     "DIR"},
    {{"from", PARAM_STRING, offsetof(DecodeOptions, from), "", 0, 0, NULL,
      "layer whose results the codes are; default: the network's code"},
     "NAME"},
    {{"grid", PARAM_BOOL, offsetof(DecodeOptions, grid), "false", 0, 0, NULL,
      "one picture grid.png instead of one for each code"},
     NULL},
    {{"limit", PARAM_INT, offsetof(DecodeOptions, limit), "0", 0, 1e15, NULL, "only the first N codes; 0: all"}, "N"},
    OPTION_SET(DecodeOptions),
    OPTION_THREADS(DecodeOptions),
    OPTION_JSON(DecodeOptions),
    OPTIONS_END};

typedef struct Decode {
    const DecodeOptions *options;
    const char *codes_path, *out_dir;
    Net *net;
    Codes codes;
    Decoder decoder;
    Tiles tiles;
    Display *display;
    const volatile sig_atomic_t *stop;
    Json *json; /* NULL: text */
    Arena *arena;
} Decode;

/* The layer to begin at, which the file has to agree with. */
static Err choose_layer(Decode *d, const char **from, Error *err) {
    const char *at = d->codes.at;
    *from = d->options->from ? d->options->from : net_code(d->net, err);
    if (!*from) return err_context(err, "--from NAME says where codes go in");
    const char *wanted = net_layer(d->net, *from, err);
    if (!wanted) return ERR_CONFIG;
    if (!at) return OK;
    Error unknown = ERROR_INIT;
    const char *found = net_layer(d->net, at, &unknown);
    if (found == wanted) return OK;
    if (found)
        return err_set(err, ERR_DATA, "%s: holds results of '%s', not of '%s': --from %s decodes them", d->codes_path,
                       at, *from, at);
    return err_set(err, ERR_DATA, "%s: holds results of '%s', a layer this network does not have", d->codes_path, at);
}

static const char *picture_path(const Decode *d, int64_t i) {
    if (d->codes.names) return arena_printf(d->arena, "%s/%s_out.png", d->out_dir, d->codes.names[i]);
    return arena_printf(d->arena, "%s/code_%04lld.png", d->out_dir, (long long)i + 1);
}

static Err put_picture(Decode *d, int64_t i, const Image *image, Error *err) {
    if (d->options->grid) {
        tiles_put_image(&d->tiles, (int)i, image);
        return OK;
    }
    const char *path = picture_path(d, i);
    if (d->json) json_string(d->json, NULL, path);
    return image_save(path, image, err);
}

static Err begin_grid(Decode *d, Error *err) {
    if (!d->options->grid) return OK;
    if (d->codes.n > INT32_MAX)
        return err_set(err, ERR_DATA, "%s: %lld codes are too many for one picture: --limit N takes the first",
                       d->codes_path, (long long)d->codes.n);
    return tiles_new(&d->tiles, (int)d->codes.n, d->decoder.height, d->decoder.width, 0, err);
}

static Err decode_codes(Decode *d, Error *err) {
    const Codes *codes = &d->codes;
    for (int64_t i = 0; i < codes->n; i++) {
        if (*d->stop) return err_set(err, ERR_STOPPED, "stopped");
        Image image = {0};
        TRY(decoder_run(&d->decoder, codes->values + i * codes->size, &image, err));
        Err code = put_picture(d, i, &image, err);
        image_free(&image);
        TRY(code);
        display_count(d->display, "decoding", i + 1, codes->n);
    }
    if (!d->options->grid) return OK;
    const char *path = arena_printf(d->arena, "%s/grid.png", d->out_dir);
    if (d->json) json_string(d->json, NULL, path);
    return image_save(path, &d->tiles.picture, err);
}

static Err decode_all(Decode *d, Error *err) {
    const char *from;
    TRY(choose_layer(d, &from, err));
    Err code = decoder_open(&d->decoder, d->net, from, d->codes.shape, d->codes.input, err);
    if (code != OK) return err_context(err, "%s", d->codes_path);
    TRY(begin_grid(d, err));
    TRY(make_folder(d->out_dir, err));
    if (d->json) {
        json_open_object(d->json, NULL);
        json_string(d->json, "codes", d->codes_path);
        json_string(d->json, "from", from);
        json_int(d->json, "n", d->codes.n);
        json_open_array(d->json, "pictures");
    }
    TRY(decode_codes(d, err));
    display_clear(d->display);
    if (d->json) {
        json_close(d->json);
        json_close(d->json);
    } else {
        printf("%lld codes ('%s') -> %s/%s\n", (long long)d->codes.n, from, d->out_dir,
               d->options->grid ? "grid.png"
               : d->codes.names ? "NAME_out.png"
                                : "code_NNNN.png");
    }
    return OK;
}

static Err open_and_decode(const Call *call, Decode *d, Error *err) {
    const char *model;
    TRY(model_open(&d->net, &model, call, &d->options->sets, d->options->threads, err));
    TRY(codes_read(&d->codes, d->codes_path, d->options->limit, call->arena, err));
    return decode_all(d, err);
}

static Err run_decode(const Call *call, Error *err) {
    const DecodeOptions *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no folder for the pictures: --out DIR");
    Display display = display_begin(stderr);
    Json json = json_begin(call->arena);
    Decode d = {.options = options,
                .codes_path = call->args[1],
                .out_dir = without_slash(options->out, call->arena),
                .display = &display,
                .stop = signals_catch(),
                .json = options->json ? &json : NULL,
                .arena = call->arena};
    Err code = open_and_decode(call, &d, err);
    display_clear(&display);
    if (code == OK && options->json) print_json(call, &json);
    decoder_close(&d.decoder);
    tiles_free(&d.tiles);
    codes_free(&d.codes);
    net_close(d.net);
    return code;
}

const Command cmd_decode = {
    .name = "decode",
    .usage = "MODEL CODES.h5 --out DIR [--from NAME] [--grid] [--limit N] [--set KEY=VALUE]... [--json]",
    .doc = "turn codes back into pictures",
    .help =
        "MODEL is a checkpoint or a run directory; CODES.h5 a file of 'sandglass encode', or any HDF5 file with a\n"
        "data set /codes: n x size numbers, as h5py writes them. Each code becomes NAME_out.png by the names in\n"
        "the file, or code_0001.png and so on. Where codes are the results of another layer than the network's code,\n"
        "--from names it.\n",
    .options = decode_options,
    .options_bytes = sizeof(DecodeOptions),
    .min_args = 2,
    .max_args = 2,
    .run = run_decode};
