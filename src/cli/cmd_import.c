/* cmd_import.c - sandglass import: a network of another program as a checkpoint (export/keras_import.h). */
#include "cli/command.h"
#include "export/keras_import.h"

#include <inttypes.h>

typedef struct ImportCommand {
    const char *out, *config;
    int task; /* of the choices below */
    double scale;
    int64_t height, width;
    bool json;
} ImportCommand;

static const char *const tasks[] = {"auto", "reconstruction", "segmentation", "classification", NULL};

static const Option import_options[] = {
    {{"out", PARAM_STRING, offsetof(ImportCommand, out), "", 0, 0, NULL, "checkpoint to write"}, "FILE"},
    {{"config", PARAM_STRING, offsetof(ImportCommand, config), "", 0, 0, NULL,
      "config whose data, task and train sections go with the network"},
     "CONFIG"},
    {{"task", PARAM_CHOICE, offsetof(ImportCommand, task), "auto", 0, 0, tasks,
      "reconstruction, segmentation or classification; auto: by the shape of the result"},
     "NAME"},
    {{"scale", PARAM_FLOAT, offsetof(ImportCommand, scale), "1", 1e-6, 1e9, NULL,
      "what pixels are divided by in front of the network, where it does not do that itself: often 255"},
     "X"},
    {{"height", PARAM_INT, offsetof(ImportCommand, height), "0", 0, 1 << 16, NULL,
      "of pictures, where the network leaves it open"},
     "N"},
    {{"width", PARAM_INT, offsetof(ImportCommand, width), "0", 0, 1 << 16, NULL, "likewise"}, "N"},
    OPTION_JSON(ImportCommand),
    OPTIONS_END};

static Err run_import(const Call *call, Error *err) {
    const ImportCommand *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no file to write: --out FILE");
    if (same_file(options->out, call->args[0]))
        return err_set(err, ERR_DATA, "--out %s would overwrite the input '%s': choose another name", options->out,
                       call->args[0]);
    TRY(check_out_folder(options->out, call->arena, err));
    KerasImport spec = {.path = call->args[0],
                        .out = options->out,
                        .config = options->config,
                        .task = options->task ? tasks[options->task] : NULL,
                        .scale = options->scale,
                        .size = {options->height, options->width}};
    KerasImported done;
    TRY(keras_import(&done, &spec, call->arena, err));
    if (options->json) {
        Json json = json_begin(call->arena);
        json_open_object(&json, NULL);
        json_string(&json, "model", call->args[0]);
        json_string(&json, "out", options->out);
        json_string(&json, "task", done.task);
        json_int(&json, "layers", done.layers);
        json_int(&json, "parameters", done.weights);
        json_close(&json);
        print_json(call, &json);
    } else {
        printf("%s -> %s: %s, %" PRId64 " layers, %" PRId64 " parameters\n", call->args[0], options->out, done.task,
               done.layers, done.weights);
    }
    return OK;
}

const Command cmd_import = {
    .name = "import",
    .usage = "MODEL --out FILE [--config CONFIG] [--task NAME] [--scale X] [--height N --width N] [--json]",
    .doc = "read a network that Keras made",
    .help = "MODEL is what Keras writes with model.save(\"model.h5\"), or `export --format keras`. FILE becomes a "
            "checkpoint\n"
            "that predict, eval, encode and export take. Layers and options that are not known are errors.\n",
    .options = import_options,
    .options_bytes = sizeof(ImportCommand),
    .min_args = 1,
    .max_args = 1,
    .run = run_import};
