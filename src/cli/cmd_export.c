/* cmd_export.c - sandglass export: a trained network as a file for use elsewhere (export/export.h). */
#include "cli/export_verify.h"
#include "cli/model.h"

#include <string.h>

typedef struct ExportCommand {
    const char *out, *format;
    ExportOptions to;
    const char *verify, *calibrate;
    int64_t count;
    ParamList sets;
    int64_t threads;
    bool json;
} ExportCommand;

static const char *const dtypes[] = {"f32", "bf16", "int8", NULL};
static const char *const unpools[] = {"maxunpool", "scatter", NULL};

static const Option export_options[] = {
    {{"out", PARAM_STRING, offsetof(ExportCommand, out), "", 0, 0, NULL,
      "file to write; its ending chooses the format"},
     "FILE"},
    {{"format", PARAM_STRING, offsetof(ExportCommand, format), "", 0, 0, NULL,
      "frozen, onnx or keras, whatever FILE is called"},
     "NAME"},
    {{"dtype", PARAM_CHOICE, offsetof(ExportCommand, to.dtype), "f32", 0, 0, dtypes, "numbers of a frozen model"},
     "TYPE"},
    {{"onnx-unpool", PARAM_CHOICE, offsetof(ExportCommand, to.unpool), "maxunpool", 0, 0, unpools,
      "how ONNX puts values back where pooling found them; scatter: for runtimes without MaxUnpool"},
     "HOW"},
    {{"verify", PARAM_STRING, offsetof(ExportCommand, verify), "", 0, 0, NULL,
      "run the network and the file on these: a split of the network's data, pictures, a folder of them, or 'random'"},
     "DATA"},
    {{"calibrate", PARAM_STRING, offsetof(ExportCommand, calibrate), "", 0, 0, NULL,
      "with --dtype int8: inputs, as for --verify, that show how large the network's values get"},
     "DATA"},
    {{"count", PARAM_INT, offsetof(ExportCommand, count), "8", 0, 1e6, NULL, "the first N of DATA; 0: all"}, "N"},
    {{"onnx-height", PARAM_INT, offsetof(ExportCommand, to.size[0]), "0", 0, 65536, NULL,
      "rows of ONNX's input, for runtimes that want them fixed (the network's own for the width, where that is not "
      "given); 0: free where the network allows"},
     "N"},
    {{"onnx-width", PARAM_INT, offsetof(ExportCommand, to.size[1]), "0", 0, 65536, NULL, "columns, likewise"}, "N"},
    OPTION_SET(ExportCommand),
    OPTION_THREADS(ExportCommand),
    OPTION_JSON(ExportCommand),
    OPTIONS_END};

/* Options that mean nothing for the format are mistakes of the command line. */
static Err check_options(const Call *call, const ExportFormat *format, Error *err) {
    static const char *const shared[] = {"out", "format", "verify", "calibrate", "count", "set", "threads", "json"};
    enum { N_SHARED = sizeof shared / sizeof *shared, MAX_ALLOWED = 32 };
    const char *allowed[MAX_ALLOWED] = {NULL};
    int n = 0;
    for (; n < N_SHARED; n++) allowed[n] = shared[n];
    for (int i = 0; format->options[i] && n < MAX_ALLOWED - 1; i++) allowed[n++] = format->options[i];
    return options_allow(call, allowed, arena_printf(call->arena, "--format %s", format->name), err);
}

/* Written, and then what is printed. */
static Err write_file(const Call *call, const ExportFormat *format, Net *net, const ExportInputs *calibration,
                      const char *model, Error *err) {
    const ExportCommand *options = call->options;
    ExportSpec spec = {.net = net,
                       .path = options->out,
                       .options = options->to,
                       .n_inputs = calibration->n,
                       .inputs = calibration->items,
                       .arena = call->arena};
    TRY(format->write(&spec, err));
    if (!options->json) printf("%s -> %s (%s)\n", model, options->out, format->name);
    return OK;
}

static Err verify_file(const Call *call, const ExportFormat *format, Net *net, const ExportInputs *inputs, Json *json,
                       Error *err) {
    const ExportCommand *options = call->options;
    VerifySpec verify = {.net = net,
                         .path = options->out,
                         .format = format,
                         .dtype = options->to.dtype,
                         .n = inputs->n,
                         .inputs = inputs->items};
    return export_verify(&verify, inputs, options->json ? json : NULL, call->arena, err);
}

/* Inputs are read before anything is written: a wrong --verify leaves no file. What 8 bits cost is told in any case, on
 * the inputs of the calibration where no others are named. */
static Err export_model(const Call *call, const ExportFormat *format, Net *net, const char *model, Error *err) {
    const ExportCommand *options = call->options;
    ExportInputs inputs = {0}, calibration = {0};
    Json json = json_begin(call->arena);
    json_open_object(&json, NULL);
    json_string(&json, "model", model);
    json_string(&json, "format", format->name);
    json_string(&json, "out", options->out);
    Err code = OK;
    if (options->calibrate)
        code = export_inputs_read(&calibration, options->calibrate, options->count, net, call->arena, err);
    if (code == OK && options->verify)
        code = export_inputs_read(&inputs, options->verify, options->count, net, call->arena, err);
    if (code == OK) code = write_file(call, format, net, &calibration, model, err);
    const bool written = code == OK;
    const ExportInputs *judges = options->verify ? &inputs : &calibration;
    if (written && judges->n > 0) code = verify_file(call, format, net, judges, &json, err);
    json_close(&json);
    if (written && options->json) print_json(call, &json);
    export_inputs_free(&inputs);
    export_inputs_free(&calibration);
    return code;
}

/* Options that mean something only together. */
static Err check_together(const Call *call, Error *err) {
    const ExportCommand *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no file to write: --out FILE");
    if (option_is_given(call, "count") && !options->verify && !options->calibrate)
        return err_set(err, ERR_USAGE, "--count means nothing without --verify or --calibrate");
    if (options->to.dtype == EXPORT_INT8 && !options->calibrate)
        return err_set(
            err, ERR_USAGE,
            "--dtype int8 needs to know how large the network's values get: --calibrate DATA, a split of the "
            "network's data or a folder of pictures like those to come");
    if (options->calibrate && options->to.dtype != EXPORT_INT8)
        return err_set(err, ERR_USAGE, "--calibrate means nothing without --dtype int8");
    return OK;
}

/* A file of this name may be replaced, but not one that a training may have to go on from. */
static Err check_replaced(const Call *call, Error *err) {
    const ExportCommand *options = call->options;
    Checkpoint *checkpoint;
    if (checkpoint_open(&checkpoint, options->out, false, NULL, call->arena, NULL) != OK) return OK;
    const bool frozen = checkpoint_is_frozen(checkpoint);
    checkpoint_close(checkpoint);
    return frozen ? OK
                  : err_set(err, ERR_DATA,
                            "--out %s would overwrite a checkpoint, which training can go on from and an exported file "
                            "cannot: choose another name",
                            options->out);
}

static Err run_export(const Call *call, Error *err) {
    const ExportCommand *options = call->options;
    TRY(check_together(call, err));
    const ExportFormat *format = export_find(options->format, options->out, err);
    if (!format) return ERR_USAGE;
    TRY(check_options(call, format, err));
    TRY(check_out_folder(options->out, call->arena, err));
    TRY(check_replaced(call, err));
    Net *net;
    const char *model;
    TRY(model_open(&net, &model, call, &options->sets, options->threads, err));
    net_compute_f32(net); /* --verify compares with it */
    Err code = export_model(call, format, net, model, err);
    net_close(net);
    return code;
}

const Command cmd_export = {
    .name = "export",
    .usage = "MODEL --out FILE [--format NAME] [--dtype TYPE] [--calibrate DATA] [--verify DATA [--count N]] [--set "
             "KEY=VALUE]... [--json]",
    .doc = "write a trained network for use elsewhere",
    .help =
        "MODEL is a checkpoint or a run directory. What cannot be expressed in the format is an error before\n"
        "anything is written. Formats, and the endings that choose them: frozen (.h5), a model of our own for use\n"
        "only; onnx (.onnx); keras (.keras.h5), for keras.models.load_model.\n"
        "--verify runs the network and the file on the same inputs, the file by every engine that reads its format\n"
        "and is installed, and tells the largest difference and how many pixels have another class; the exit code\n"
        "is 1 when that is more than rounding (f32: 1e-4 of the largest value; bf16: 0.5 % of the pixels; int8: 1 "
        "%).\n"
        "--dtype int8 has convolutions computed in 8-bit integers where the processor can. For that it must see how\n"
        "large values get (--calibrate); without --verify, what it costs is told on these inputs.\n",
    .options = export_options,
    .options_bytes = sizeof(ExportCommand),
    .min_args = 1,
    .max_args = 1,
    .run = run_export};
