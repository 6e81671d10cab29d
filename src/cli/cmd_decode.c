/* cmd_decode.c - sandglass decode: a file of codes (train/codes.h) through a network's decoder, back to pictures. */
#include "cli/command.h"
#include "cli/decoder.h"
#include "cli/grid.h"
#include "cli/progress.h"
#include "cli/signals.h"
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
    Grid grid;
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
    if (d->codes.names) return arena_printf(d->arena, "%s/%s.png", d->out_dir, d->codes.names[i]);
    return arena_printf(d->arena, "%s/code_%04lld.png", d->out_dir, (long long)i + 1);
}

static Err put_picture(Decode *d, int64_t i, const Image *image, Error *err) {
    int rows, columns;
    grid_shape(d->codes.n, &rows, &columns);
    if (!d->options->grid) {
        const char *path = picture_path(d, i);
        if (d->json) json_string(d->json, NULL, path);
        return image_save(path, image, err);
    }
    if (i == 0) TRY(grid_new(&d->grid, rows, columns, image, err));
    return grid_put(&d->grid, (int)(i / columns), (int)(i % columns), image, err);
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
    return image_save(path, &d->grid.picture, err);
}

static Err decode_all(Decode *d, Error *err) {
    const char *from;
    TRY(choose_layer(d, &from, err));
    Err code = decoder_open(&d->decoder, d->net, from, d->codes.shape, d->codes.input, err);
    if (code != OK) return err_context(err, "%s", d->codes_path);
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
               : d->codes.names ? "NAME.png"
                                : "code_NNNN.png");
    }
    return OK;
}

static const char *without_slash(const char *path, Arena *arena) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return arena_strndup(arena, path, length);
}

static Err open_and_decode(const Call *call, Decode *d, Error *err) {
    Checkpoint *checkpoint = NULL;
    const char *note = NULL;
    const ParamList *sets = &d->options->sets;
    Err code = checkpoint_open(&checkpoint, call->args[0], false, &note, call->arena, err);
    if (note) fprintf(stderr, "%s\n", note);
    if (code == OK) code = net_open(&d->net, checkpoint, sets->n, sets->strings, (int)d->options->threads, err);
    if (code == OK) code = codes_read(&d->codes, d->codes_path, d->options->limit, call->arena, err);
    if (code == OK) code = decode_all(d, err);
    checkpoint_close(checkpoint);
    return code;
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
    grid_free(&d.grid);
    codes_free(&d.codes);
    net_close(d.net);
    return code;
}

const Command cmd_decode = {
    .name = "decode",
    .usage = "MODEL CODES.h5 --out DIR [--from NAME] [--grid] [--limit N] [--set KEY=VALUE]... [--json]",
    .doc = "turn codes back into pictures",
    .help = "MODEL is a checkpoint or a run directory; CODES.h5 a file of 'sandglass encode', or any HDF5 file with a\n"
            "data set /codes: n x size numbers, as h5py writes them. Each code becomes NAME.png by the names in the\n"
            "file, or code_0001.png and so on. Where codes are the results of another layer than the network's code,\n"
            "--from names it.\n",
    .options = decode_options,
    .options_bytes = sizeof(DecodeOptions),
    .min_args = 2,
    .max_args = 2,
    .run = run_decode};
