/* cmd_init.c - sandglass init: looks at a folder of pictures and writes a config that trains on them. */
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/init.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "config/search.h"
#include "io/file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct InitOptions {
    const char *out;
    int task;
    int64_t sample;
    double memory;
    bool force, json;
} InitOptions;

static const char *const task_choices[] = {"auto", "segmentation", "reconstruction", NULL};

static const Option init_options[] = {
    {{"out", PARAM_STRING, offsetof(InitOptions, out), "", 0, 0, NULL,
      "the config to write; default: the folder's name"},
     "FILE.yaml"},
    {{"task", PARAM_CHOICE, offsetof(InitOptions, task), "auto", 0, 0, task_choices,
      "segmentation (needs masks), reconstruction (pictures alone), or auto"},
     "TASK"},
    {{"sample", PARAM_INT, offsetof(InitOptions, sample), "2000", 0, 1e9, NULL,
      "read the pixels of about so many pairs, evenly spread; 0: of all"},
     "N"},
    {{"memory", PARAM_FLOAT, offsetof(InitOptions, memory), "0", 0, 1e6, NULL,
      "GB that training may take; 0: a quarter of the machine's, at most 4"},
     "GB"},
    {{"force", PARAM_BOOL, offsetof(InitOptions, force), "false", 0, 0, NULL, "write over files that are there"}, NULL},
    OPTION_JSON(InitOptions),
    OPTIONS_END};

/* ---- files ---- */

static bool is_utf8(const char *text) {
    while (*text) {
        int length = utf8_length(text);
        if (length == 0) return false;
        text += length;
    }
    return true;
}

/* "my.yaml" and ".train.txt" to "my.train.txt". */
static const char *with_ending(const char *path, const char *ending, Arena *arena) {
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    size_t length = dot && (!slash || dot > slash + 1) && dot > path ? (size_t)(dot - path) : strlen(path);
    return arena_printf(arena, "%.*s%s", (int)length, path, ending);
}

static const char *absolute(const char *path, Arena *arena) {
    char *real = realpath(path, NULL);
    const char *kept = real ? arena_strdup(arena, real) : NULL;
    free(real);
    return kept;
}

/* A name that the config accepts, from the file's. */
static const char *experiment_name(const char *out, Arena *arena) {
    const char *bare = with_ending(out, "", arena), *slash = strrchr(bare, '/');
    const char *name = slash ? slash + 1 : bare;
    while (*name == '.') name++;
    return *name && !strstr(name, "..") && strlen(name) <= 128 ? name : "experiment";
}

static Err check_free(const char *path, bool force, Error *err) {
    struct stat st;
    if (lstat(path, &st) != 0) return OK;
    if (S_ISDIR(st.st_mode)) return err_set(err, ERR_IO, "--out %s: is a folder", path);
    if (force) return OK;
    return err_set(err, ERR_DATA, "%s: is there already: choose another name with --out, or write over it with --force",
                   path);
}

static Err name_files(InitFiles *f, const Call *call, Error *err) {
    const InitOptions *options = call->options;
    Arena *arena = call->arena;
    f->folder = without_slash(call->args[0], arena);
    f->root = absolute(f->folder, arena);
    if (!f->root) return err_set(err, ERR_IO, "%s: %s", f->folder, strerror(errno));
    if (!is_utf8(f->root))
        return err_set(err, ERR_DATA, "%s: the folder's name is not UTF-8, as a config's text has to be: rename it",
                       f->root);
    const char *slash = strrchr(f->root, '/');
    f->out = options->out ? options->out : arena_printf(arena, "%s.yaml", slash[1] ? slash + 1 : "pictures");
    if (!is_utf8(f->out)) return err_set(err, ERR_USAGE, "--out %s: is not UTF-8", f->out);
    f->name = experiment_name(f->out, arena);
    TRY(check_out_folder(f->out, arena, err));
    return check_free(f->out, options->force, err);
}

/* The splits that no folders and no list of theirs describe get a list beside the config. */
static Err name_lists(InitFiles *f, const Layout *layout, bool force, Arena *arena, Error *err) {
    const char *folder = absolute(folder_of(f->out, arena), arena);
    if (!folder) return err_set(err, ERR_IO, "%s: %s", folder_of(f->out, arena), strerror(errno));
    const char *slash = strrchr(f->out, '/'), *base = slash ? slash + 1 : f->out;
    for (int i = 0; i < layout->n_splits; i++) {
        const ScoutSplit *s = &layout->splits[i];
        if (s->images || s->list) continue;
        f->lists[i] = arena_printf(arena, "%s/%s", folder,
                                   with_ending(base, arena_printf(arena, ".%s.txt", s->name), arena));
        TRY(check_free(f->lists[i], force, err));
    }
    return OK;
}

/* ---- writing ---- */

/* Open every split as training would: what was written has to say what was found. */
static Err try_config(const InitFiles *f, const Layout *layout, const char *text, Arena *arena, Error *err) {
    Experiment experiment;
    TRY(config_load_text(&experiment, f->out, text, 0, NULL, arena, err));
    for (int i = 0; i < layout->n_splits; i++) {
        Split *split = NULL;
        TRY(split_open(&split, &experiment, layout->splits[i].name, err));
        int64_t n = split_info(split)->n;
        split_close(split);
        if (n != layout->splits[i].n)
            return err_set(err, ERR_DATA, "%s: split '%s' would have %lld samples, but %d were found", f->out,
                           layout->splits[i].name, (long long)n, layout->splits[i].n);
    }
    return OK;
}

/* Lists first, then the config that names them, in one piece each. A failure leaves no file that was not there. */
static Err write_files(const InitFiles *f, const Layout *layout, const char *text, Arena *arena, Error *err) {
    Err code = OK;
    bool made[SCOUT_MAX_SPLITS] = {false};
    for (int i = 0; i < layout->n_splits && code == OK; i++) {
        const char *list;
        if (!f->lists[i]) continue;
        made[i] = access(f->lists[i], F_OK) != 0;
        code = init_write_list(&list, f, &layout->splits[i], arena, err);
        if (code == OK) code = file_replace(f->lists[i], list, strlen(list), err);
    }
    if (code == OK) code = try_config(f, layout, text, arena, err);
    if (code == OK) code = file_replace(f->out, text, strlen(text), err);
    for (int i = 0; code != OK && i < layout->n_splits; i++)
        if (made[i]) unlink(f->lists[i]);
    return code;
}

/* By the knobs of folders where they say what was found; where they do not, for a reason nobody thought of, by lists,
 * which always do. */
static Err write_config(InitFiles *f, Layout *layout, const Contents *contents, const InitChoice *choice,
                        const Call *call, Error *err) {
    const InitOptions *options = call->options;
    Error own = ERROR_INIT;
    if (write_files(f, layout, init_write(f, layout, contents, choice, call->arena), call->arena, &own) == OK)
        return OK;
    bool more = false;
    for (int i = 0; i < layout->n_splits; i++) {
        more = more || !f->lists[i];
        layout_need_list(layout, &layout->splits[i]);
    }
    if (!more) return err_append(err, &own);
    TRY(name_lists(f, layout, options->force, call->arena, err));
    return write_files(f, layout, init_write(f, layout, contents, choice, call->arena), call->arena, err);
}

/* ---- the command ---- */

typedef struct Watch {
    Display *display;
    const volatile sig_atomic_t *stop;
} Watch;

static bool on_pair(void *context, int64_t done, int64_t n) {
    const Watch *watch = context;
    if (done % 16 == 0) display_count(watch->display, "reading pictures", done, n);
    return !*watch->stop;
}

/* A quarter of the machine's memory, which others use too; 4 GB are enough for a U-Net on pictures of usual size. */
static double usual_budget(void) {
    double pages = (double)sysconf(_SC_PHYS_PAGES), page = (double)sysconf(_SC_PAGE_SIZE);
    double quarter = pages > 0 && page > 0 ? pages * page / 4 : 1e9;
    return quarter < 4e9 ? quarter : 4e9;
}

static Err check_shipped(const char *model, Arena *arena, Error *err) {
    if (config_find_shipped(model, arena)) return OK;
    return err_set(err, ERR_CONFIG,
                   "the configs that come with the program, such as %s, are not found: install it, or set "
                   "SANDGLASS_CONFIGS to the folder 'configs' of its source",
                   model);
}

static Err look(Layout *layout, Contents *contents, const InitFiles *f, const Call *call, Error *err) {
    const InitOptions *options = call->options;
    static const LayoutWanted wanted[] = {WANTED_ANY, WANTED_MASKS, WANTED_PICTURES};
    Tree tree;
    TRY(tree_read(&tree, f->folder, call->arena, err));
    TRY(layout_find(layout, &tree, wanted[options->task], call->arena, err));
    layout_divide(layout, &tree, call->arena);
    Display display = display_begin(stderr);
    Watch watch = {&display, signals_catch()};
    Err code = contents_read(contents, layout, &tree, (int)options->sample, on_pair, &watch, call->arena, err);
    display_clear(&display);
    return code;
}

static Err run_init(const Call *call, Error *err) {
    const InitOptions *options = call->options;
    InitFiles files = {0};
    Layout layout;
    Contents contents;
    InitChoice choice;
    TRY(name_files(&files, call, err));
    TRY(look(&layout, &contents, &files, call, err));
    init_choose(&choice, &layout, &contents);
    choice.memory_budget = options->memory > 0 ? options->memory * 1e9 : usual_budget();
    TRY(check_shipped(choice.model, call->arena, err));
    TRY(name_lists(&files, &layout, options->force, call->arena, err));
    TRY(init_fit_memory(&choice, &files, &layout, &contents, call->arena, err));
    TRY(write_config(&files, &layout, &contents, &choice, call, err));
    if (options->json) {
        const Json json = init_report_json(&files, &layout, &contents, &choice, call->arena);
        print_json(call, &json);
    } else {
        init_print_report(&files, &layout, &contents, &choice, call->arena);
    }
    return OK;
}

const Command cmd_init = {
    .name = "init",
    .usage = "DIR [--out FILE.yaml] [--task TASK] [--sample N] [--memory GB] [--force] [--json]",
    .doc = "look at a folder of pictures and write a config that trains on them",
    .help = "Finds pictures and masks below DIR by the names of folders and files, train and val by folders or lists,\n"
            "classes by reading the masks, and writes a config with a reason behind each line. Where no folder says\n"
            "which files train and which judge, lists of them are written beside the config. Masks may hold numbers,\n"
            "0 and 255, or colours; names of classes come from classes.txt, label_colors.txt, labels.txt or codes.txt\n"
            "near them. Without masks the config is an autoencoder's. Changes nothing in DIR.\n",
    .options = init_options,
    .options_bytes = sizeof(InitOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_init};
