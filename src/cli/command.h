/* command.h - what a command of the program is: a row in the table of main.c, an options table, a function.
 *
 * Results go to stdout, everything else to stderr. With --json stdout is exactly one JSON object, also on failure: it
 * has a member "error" then, with the text that stderr gets (main.c sees to that). Exit codes: 0 done, 1 failed (or
 * stopped before the end), 2 the command line is wrong.
 */
#ifndef SANDGLASS_CLI_COMMAND_H
#define SANDGLASS_CLI_COMMAND_H

#include "base/json.h"
#include "base/param.h"
#include "config/config.h"

#include <stdio.h>

/* One option: a Param row (name without the dashes) and what help calls its value. PARAM_BOOL options take no value,
 * PARAM_STRINGS may be given several times. */
typedef struct Option {
    Param param;
    const char *value; /* "DIR"; NULL for PARAM_BOOL */
} Option;

/* Options that several commands share, for fields `sets`, `threads` and `json` of the command's own struct. */
#define DOC_SET     "change the config: train.lr=0.01, model.layers.2.conv2d.filters=8; may be repeated"
#define DOC_THREADS "threads to compute with; 0: all"
#define DOC_JSON    "print one JSON object on stdout, text for people on stderr"
// clang-format off
#define OPTION_SET(Type)     {{"set", PARAM_STRINGS, offsetof(Type, sets), "", 0, 0, NULL, DOC_SET}, "KEY=VALUE"}
#define OPTION_THREADS(Type) {{"threads", PARAM_INT, offsetof(Type, threads), "0", 0, 1024, NULL, DOC_THREADS}, "N"}
#define OPTION_JSON(Type)    {{"json", PARAM_BOOL, offsetof(Type, json), "false", 0, 0, NULL, DOC_JSON}, NULL}
#define OPTIONS_END          {{0}, NULL}
// clang-format on

typedef struct Command Command;

/* One run of the program. */
typedef struct Call {
    const Command *command;
    const void *options;     /* the command's struct, filled */
    const bool *given;       /* per row of command->options: whether the command line has it */
    int n_args;              /* what is no option */
    const char *const *args; /* n_args */
    Arena *arena;            /* lives until the program ends */
    const char **json;       /* what --json prints, from print_json; NULL: nothing yet */
} Call;

struct Command {
    const char *name;
    const char *usage; /* what follows the name: "CONFIG [--run DIR]" */
    const char *doc;   /* one line */
    const char *help;  /* more lines for `sandglass NAME --help`; ends with a newline */
    const Option *options;
    size_t options_bytes;
    int min_args, max_args; /* max_args -1: any number */
    Err (*run)(const Call *call, Error *err);
    /* Commands below this one, whose names are all its words ("analyze pca"); NULL-terminated. NULL: none. Where there
     * are some, only name, doc and help count beside them. */
    const Command *const *parts;
};

extern const Command cmd_train, cmd_eval, cmd_predict, cmd_encode, cmd_decode, cmd_sample, cmd_pack, cmd_check,
    cmd_init, cmd_inspect, cmd_analyze, cmd_export, cmd_import, cmd_bench;

/* ---- options.c: the command line ---- */

/* Sort argv (without the program's and the command's name) into options and arguments of call, whose arena is there
 * already. *help is set, and nothing else checked, when --help or -h is there. "--" ends the options. */
Err options_parse(const Command *command, int argc, char *const *argv, Call *call, bool *help, Error *err);
/* Whether the command line has this option of the command, be it with its default value. */
bool option_is_given(const Call *call, const char *name);
/* An error when an option is given that is not among `allowed` (ends with NULL): "--count means nothing for WHAT". */
Err options_allow(const Call *call, const char *const *allowed, const char *what, Error *err);
void options_print_help(const Command *command, FILE *out);

/* ---- output.c: small things the commands share ---- */

/* The config file that `path` means: itself, or, when there is none, the installed one of that name. */
const char *find_config(const char *path, Arena *arena);
/* config_load_file of that. A folder is an error that says what to do with one. */
Err load_config(Experiment *out, const char *path, const ParamList *sets, Arena *arena, Error *err);
/* The finished object is what --json prints; main.c prints it when the command is through. */
void print_json(const Call *call, const Json *json);
/* "1,234,567", "12.3 MB", "3:07:05" or "0:42". */
char *text_count(int64_t n, Arena *arena);
char *text_bytes(double bytes, Arena *arena);
void text_duration(double seconds, char text[32]);
/* Make a folder and its parents; one that exists is fine. */
Err make_folder(const char *path, Error *err);
/* "out/" as "out", so that the paths in messages read well. */
const char *without_slash(const char *path, Arena *arena);
/* Of a file: "runs/x" for "runs/x/last.h5", "." for "last.h5". */
const char *folder_of(const char *path, Arena *arena);
/* Whether two paths lead to one file that is there. */
bool same_file(const char *a, const char *b);
/* Print a word so that a shell reads it back as it is. */
void print_word(FILE *out, const char *word);
/* An error when the folder that the file of --out is to be in is not there: before long work, not after it. */
Err check_out_folder(const char *path, Arena *arena, Error *err);

#endif
