/* cmd_export.c - sandglass export: a trained network as a file for use elsewhere (export/export.h). */
#include "cli/command.h"
#include "cli/model.h"
#include "export/export.h"

#include <string.h>

typedef struct ExportCommand {
    const char *out, *format;
    ExportOptions to;
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
    {{"format", PARAM_STRING, offsetof(ExportCommand, format), "", 0, 0, NULL, "format, whatever FILE is called"},
     "NAME"},
    {{"dtype", PARAM_CHOICE, offsetof(ExportCommand, to.dtype), "f32", 0, 0, dtypes, "numbers of a frozen model"},
     "TYPE"},
    {{"onnx-unpool", PARAM_CHOICE, offsetof(ExportCommand, to.unpool), "maxunpool", 0, 0, unpools,
      "how ONNX puts values back where pooling found them; scatter: for runtimes without MaxUnpool"},
     "HOW"},
    OPTION_SET(ExportCommand),
    OPTION_THREADS(ExportCommand),
    OPTION_JSON(ExportCommand),
    OPTIONS_END};

/* Options that mean nothing for the format are mistakes of the command line. */
static Err check_options(const Call *call, const ExportFormat *format, Error *err) {
    static const char *const shared[] = {"out", "format", "set", "threads", "json"};
    enum { N_SHARED = sizeof shared / sizeof *shared, MAX_ALLOWED = 32 };
    const char *allowed[MAX_ALLOWED] = {NULL};
    int n = 0;
    for (; n < N_SHARED; n++) allowed[n] = shared[n];
    for (int i = 0; format->options[i] && n < MAX_ALLOWED - 1; i++) allowed[n++] = format->options[i];
    return options_allow(call, allowed, arena_printf(call->arena, "--format %s", format->name), err);
}

static Err run_export(const Call *call, Error *err) {
    const ExportCommand *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no file to write: --out FILE");
    const ExportFormat *format = export_find(options->format, options->out, err);
    if (!format) return ERR_USAGE;
    TRY(check_options(call, format, err));
    TRY(check_out_folder(options->out, call->arena, err));
    Net *net;
    const char *model;
    TRY(model_open(&net, &model, call, &options->sets, options->threads, err));
    ExportSpec spec = {.net = net, .path = options->out, .options = options->to, .arena = call->arena};
    Err code = format->write(&spec, err);
    if (code == OK && options->json) {
        Json json = json_begin(call->arena);
        json_open_object(&json, NULL);
        json_string(&json, "model", model);
        json_string(&json, "format", format->name);
        json_string(&json, "out", options->out);
        json_close(&json);
        print_json(call, &json);
    } else if (code == OK) {
        printf("%s -> %s (%s)\n", model, options->out, format->name);
    }
    net_close(net);
    return code;
}

const Command cmd_export = {
    .name = "export",
    .usage = "MODEL --out FILE [--format NAME] [--set KEY=VALUE]... [--json]",
    .doc = "write a trained network for use elsewhere",
    .help = "MODEL is a checkpoint or a run directory. What cannot be expressed in the format is an error before\n"
            "anything is written.\n",
    .options = export_options,
    .options_bytes = sizeof(ExportCommand),
    .min_args = 1,
    .max_args = 1,
    .run = run_export};
