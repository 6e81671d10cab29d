/* cmd_pack.c - sandglass pack: the dataset of a config as one HDF5 file. */
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "data/pack.h"
#include "io/file.h"
#include "io/h5.h"

#include <stdlib.h>
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

/* ---- what may be written over ---- */

/* Whether a packed dataset is at the path. */
static bool is_packed(const char *path, Arena *arena) {
    H5 *file = NULL;
    const char *format = NULL;
    bool packed = h5_open(&file, path, NULL) == OK && h5_has_attr(file, "/", "format") &&
                  h5_get_text(file, "/", "format", &format, arena, NULL) == OK && strcmp(format, PACK_FORMAT) == 0;
    h5_close(file);
    return packed;
}

/* The file that a value in the data section names and that is this very one, however its path is written; else NULL. */
static const char *find_input(const Node *node, const char *root, const struct stat *file, Arena *arena) {
    for (int i = 0; i < node->n; i++) {
        const char *found = find_input(node->items[i], root, file, arena);
        if (found) return found;
    }
    if (node->type != NODE_SCALAR || !*node->text) return NULL;
    char *joined = file_join(root, node->text);
    struct stat info;
    bool same = stat(joined, &info) == 0 && info.st_dev == file->st_dev && info.st_ino == file->st_ino;
    const char *path = same ? arena_strdup(arena, joined) : NULL;
    free(joined);
    return path;
}

/* A packed dataset may be replaced, but not the one that is read; nothing else is written over: not a config, not a
 * picture. The file is written as PATH.tmp first, so that may be no input either. */
static Err check_out(const Experiment *experiment, const char *out, Arena *arena, Error *err) {
    const Node *root = node_get(experiment->data, "root");
    const char *const paths[] = {out, arena_printf(arena, "%s.tmp", out)};
    struct stat info;
    for (int i = 0; i < 2 && experiment->data; i++) {
        if (stat(paths[i], &info) != 0) continue;
        const char *input = find_input(experiment->data, root ? root->text : NULL, &info, arena);
        if (input)
            return err_set(err, ERR_DATA, "--out %s would overwrite the input '%s': choose another name", out, input);
    }
    if (stat(out, &info) != 0 || is_packed(out, arena)) return OK;
    return err_set(err, ERR_DATA, "--out %s: is there already and is no packed dataset: choose another name", out);
}

/* ---- packing ---- */

/* What is counted while packing. */
typedef struct Packing {
    Display display;
    const volatile sig_atomic_t *stop;
    int n_splits;
    const char **names; /* as many as the config has splits */
    int64_t *samples;
} Packing;

static bool on_sample(void *context, const char *split, int64_t done, int64_t n) {
    Packing *p = context;
    bool another = p->n_splits == 0 || strcmp(p->names[p->n_splits - 1], split) != 0;
    if (another) p->names[p->n_splits++] = split;
    p->samples[p->n_splits - 1] = done;
    char what[64];
    snprintf(what, sizeof what, "packing '%.40s'", split);
    if (done % 16 == 0 || done == n) display_count(&p->display, what, done, n);
    return !*p->stop;
}

static void print_packed(const Call *call, const Packing *p) {
    const PackOptions *options = call->options;
    Arena *arena = call->arena;
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
        print_json(call, &j);
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
    TRY(load_config(&experiment, call->args[0], &options->sets, call->arena, err));
    TRY(check_out(&experiment, options->out, call->arena, err));
    const char *const *names = split_names(&experiment, call->arena);
    int n_splits = 0;
    while (names[n_splits]) n_splits++;
    Packing packing = {.display = display_begin(stderr),
                       .stop = signals_catch(),
                       .names = ARENA_ARRAY(call->arena, const char *, n_splits + 1),
                       .samples = ARENA_ARRAY(call->arena, int64_t, n_splits + 1)};
    Err code = pack_write(&experiment, options->out, (int)options->deflate, on_sample, &packing, err);
    display_clear(&packing.display);
    if (code == ERR_STOPPED) {
        err_clear(err);
        return err_set(err, ERR_STOPPED, "stopped before the end: %s was not written", options->out);
    }
    if (code == OK) print_packed(call, &packing);
    return code;
}

const Command cmd_pack = {
    .name = "pack",
    .usage = "CONFIG --out FILE.h5 [--deflate LEVEL] [--set KEY=VALUE]... [--json]",
    .doc = "write the data of a config as one HDF5 file",
    .help = "Writes every split as the network would get it (decoded, fitted, masks as class indices; not augmented,\n"
            "not normalised), a chunk a sample with checksums. The dataset kind 'hdf5' reads such a file, also one\n"
            "larger than memory: data: {kind: hdf5, file: FILE.h5, train: {}, val: {}}.\n"
            "FILE.h5 may be there already only if it is such a file, and not the one that is read.\n",
    .options = pack_options,
    .options_bytes = sizeof(PackOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_pack};
