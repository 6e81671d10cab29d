/* cmd_pack.c - sandglass pack: the dataset of a config as one HDF5 file. */
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/setup.h"
#include "data/pack.h"

#include <string.h>
#include <sys/stat.h>

typedef struct PackOptions {
    const char *out;
    int64_t deflate;
    ParamList sets;
    bool json;
} PackOptions;

static const Option pack_options[] = {
    {{"out", PARAM_STRING, offsetof(PackOptions, out), "", 0, 0, NULL, "the file to write"}, "FILE.h5"},
    {{"deflate", PARAM_INT, offsetof(PackOptions, deflate), "0", 0, 9, NULL, "compression; 0: none, 9: most"}, "LEVEL"},
    OPTION_SET(PackOptions),
    OPTION_JSON(PackOptions),
    OPTIONS_END};

/* What is counted while packing. */
typedef struct Packing {
    Display display;
    int n_splits;
    const char *names[SETUP_MAX_SPLITS];
    int64_t samples[SETUP_MAX_SPLITS];
} Packing;

static bool on_sample(void *context, const char *split, int64_t done, int64_t n) {
    Packing *p = context;
    bool another = p->n_splits == 0 || strcmp(p->names[p->n_splits - 1], split) != 0;
    if (another && p->n_splits < SETUP_MAX_SPLITS) p->names[p->n_splits++] = split;
    p->samples[p->n_splits - 1] = done;
    char what[64];
    snprintf(what, sizeof what, "packing '%.40s'", split);
    if (done % 16 == 0 || done == n) display_count(&p->display, what, done, n);
    return true;
}

static void print_packed(const Packing *p, const PackOptions *options, Arena *arena) {
    struct stat info = {0};
    stat(options->out, &info);
    if (options->json) {
        Json j = json_begin(arena);
        json_open_object(&j, NULL);
        json_string(&j, "file", options->out);
        json_int(&j, "bytes", info.st_size);
        json_open_object(&j, "samples");
        for (int i = 0; i < p->n_splits; i++) json_int(&j, p->names[i], p->samples[i]);
        json_close(&j);
        json_close(&j);
        print_json(&j);
        return;
    }
    printf("%s: %s;", options->out, text_bytes((double)info.st_size, arena));
    for (int i = 0; i < p->n_splits; i++)
        printf("%s %s %s samples", i ? "," : "", p->names[i], text_count(p->samples[i], arena));
    printf("\n");
}

static Err run_pack(const Call *call, Error *err) {
    const PackOptions *options = call->options;
    if (!options->out) return err_set(err, ERR_USAGE, "no file to write: --out FILE.h5");
    Experiment experiment;
    TRY(config_load_file(&experiment, find_config(call->args[0], call->arena), options->sets.n, options->sets.strings,
                         call->arena, err));
    Packing packing = {.display = display_begin(stderr)};
    Err code = pack_write(&experiment, options->out, (int)options->deflate, on_sample, &packing, err);
    display_clear(&packing.display);
    if (code == OK) print_packed(&packing, options, call->arena);
    return code;
}

const Command cmd_pack = {
    .name = "pack",
    .usage = "CONFIG --out FILE.h5 [--deflate LEVEL] [--set KEY=VALUE]... [--json]",
    .doc = "write the data of a config as one HDF5 file",
    .help = "Writes every split as the network would get it (decoded, fitted, masks as class indices; not augmented,\n"
            "not normalised), a chunk a sample with checksums. The dataset kind 'hdf5' reads such a file, also one\n"
            "larger than memory: data: {kind: hdf5, file: FILE.h5, train: {}, val: {}}.\n",
    .options = pack_options,
    .options_bytes = sizeof(PackOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_pack};
