/* cmd_inspect.c - sandglass inspect: what a file holds, which kinds there are, what a config compiles to. */
#include "cli/inspect.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const Option inspect_options[] = {
    {{"kinds", PARAM_BOOL, offsetof(InspectOptions, kinds), "false", 0, 0, NULL,
      "list layers, datasets, losses ...; with a name its knobs"},
     NULL},
    {{"program", PARAM_BOOL, offsetof(InspectOptions, program), "false", 0, 0, NULL,
      "list the planned steps of the config's training and inference programs"},
     NULL},
    {{"pictures", PARAM_STRING, offsetof(InspectOptions, pictures), "", 0, 0, NULL,
      "write samples of the config's data as DIR/images/*.png and DIR/masks/*.png"},
     "DIR"},
    {{"split", PARAM_STRING, offsetof(InspectOptions, split), "val", 0, 0, NULL, "with --pictures: of which split"},
     "NAME"},
    {{"count", PARAM_INT, offsetof(InspectOptions, count), "8", 1, 1000000, NULL, "with --pictures: how many"}, "N"},
    OPTION_SET(InspectOptions),
    OPTION_THREADS(InspectOptions),
    OPTION_JSON(InspectOptions),
    OPTIONS_END};

/* A run directory or an HDF5 file (by its first bytes); anything else is taken for a config. */
static Err is_hdf5(const char *path, bool *result, Error *err) {
    static const char signature[8] = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
    struct stat info;
    if (stat(path, &info) != 0) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    *result = S_ISDIR(info.st_mode);
    if (*result) return OK;
    FILE *file = fopen(path, "rb");
    if (!file) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    char first[8] = {0};
    *result = fread(first, 1, sizeof first, file) == sizeof first && memcmp(first, signature, sizeof first) == 0;
    fclose(file);
    return OK;
}

/* The ways to use the command, and the options each takes. */
typedef struct Mode {
    const char *what;
    const char *options[6];
    Err (*run)(const char *path, const Call *call, Error *err);
} Mode;
static const Mode mode_kinds = {"--kinds", {"kinds", "json"}, inspect_kinds};
static const Mode mode_program = {"--program", {"program", "set", "threads", "json"}, inspect_program};
static const Mode mode_pictures = {"--pictures", {"pictures", "split", "count", "set", "json"}, inspect_pictures};
static const Mode mode_config = {"showing a config", {"set", "json"}, inspect_config};
static const Mode mode_hdf5 = {"showing a checkpoint or dataset file", {"json"}, inspect_hdf5};

static Err run_mode(const Mode *mode, const char *path, const Call *call, Error *err) {
    TRY(options_allow(call, mode->options, mode->what, err));
    return mode->run(path, call, err);
}

static Err run_inspect(const Call *call, Error *err) {
    const InspectOptions *options = call->options;
    const char *argument = call->n_args ? call->args[0] : NULL;
    if (options->kinds + options->program + (options->pictures != NULL) > 1)
        return err_set(err, ERR_USAGE, "--kinds, --program and --pictures exclude one another");
    if (options->kinds) return run_mode(&mode_kinds, argument, call, err);
    if (!argument) return err_set(err, ERR_USAGE, "too few arguments; usage: sandglass inspect %s", cmd_inspect.usage);
    if (options->program) return run_mode(&mode_program, argument, call, err);
    if (options->pictures) return run_mode(&mode_pictures, argument, call, err);
    const char *path = find_config(argument, call->arena);
    bool hdf5 = false;
    TRY(is_hdf5(path, &hdf5, err));
    return run_mode(hdf5 ? &mode_hdf5 : &mode_config, path, call, err);
}

const Command cmd_inspect = {
    .name = "inspect",
    .usage = "FILE | --kinds [KIND] | --program CONFIG | --pictures DIR CONFIG",
    .doc = "show what a file holds, the kinds and their knobs, the planned steps",
    .help = "FILE is a config (shown resolved, with the table of layers), a checkpoint or run directory, or a dataset\n"
            "file. --kinds lists layers, datasets, losses, optimizers, schedules, augmentations and initializers;\n"
            "with a name it shows the knobs of one. --program shows the steps a config compiles to, with memory,\n"
            "layouts and reorders. --pictures writes samples as the network gets them, over no file that is there.\n",
    .options = inspect_options,
    .options_bytes = sizeof(InspectOptions),
    .min_args = 0,
    .max_args = 1,
    .run = run_inspect};
