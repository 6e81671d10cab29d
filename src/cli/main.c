/* main.c - the program: finds the command, runs it, prints what went wrong, and turns the outcome into an exit code. */
#include "cli/command.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const Command *const commands[] = {&cmd_init,    &cmd_train,  &cmd_eval,   &cmd_predict, &cmd_encode,
                                          &cmd_decode,  &cmd_sample, &cmd_pack,   &cmd_check,   &cmd_inspect,
                                          &cmd_analyze, &cmd_export, &cmd_import, &cmd_bench,   NULL};

/* What a person types for a command of `table`: its last word. */
static const char *last_word(const Command *command) {
    const char *space = strrchr(command->name, ' ');
    return space ? space + 1 : command->name;
}

static void print_table(const Command *const *table, FILE *out) {
    for (int i = 0; table[i]; i++) fprintf(out, "  %-8s %s\n", last_word(table[i]), table[i]->doc);
}

static void print_usage(FILE *out) {
    fprintf(out, "sandglass %s trains convolutional encoder-decoders described in a YAML file.\n\n", SANDGLASS_VERSION);
    fprintf(out, "usage: sandglass COMMAND ...\n\n");
    print_table(commands, out);
    fprintf(out, "\n'sandglass COMMAND --help' says more; --version prints the version.\n"
                 "Exit codes: 0 done, 1 failed or stopped before the end, 2 wrong command line.\n");
}

static void print_parts(const Command *command, FILE *out) {
    fprintf(out, "usage: sandglass %s NAME ...\n\n%s\n", command->name, command->help);
    print_table(command->parts, out);
    fprintf(out, "\n'sandglass %s NAME --help' says more.\n", command->name);
}

/* The command of `table` that `word` means; `below` is what the table belongs to, NULL for the program's own. */
static const Command *find_command(const Command *const *table, const Command *below, const char *word, Arena *arena,
                                   Error *err) {
    int n = 0;
    while (table[n]) n++;
    const char **names = ARENA_ARRAY(arena, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        names[i] = last_word(table[i]);
        if (strcmp(names[i], word) == 0) return table[i];
    }
    const char *path = below ? below->name : "", *gap = below ? " " : "";
    const char *near = nearest_name(word, names);
    if (near)
        err_set(err, ERR_USAGE, "unknown command '%s%s%s', did you mean '%s%s%s'?", path, gap, word, path, gap, near);
    else
        err_set(err, ERR_USAGE, "unknown command '%s%s%s'; 'sandglass%s%s --help' lists them", path, gap, word,
                below ? " " : "", path);
    return NULL;
}

static bool asks_for_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static Err run_command(int argc, char **argv, const char **json, Arena *arena, Error *err) {
    int used = 2; /* words of argv: the program and the command */
    const Command *command = find_command(commands, NULL, argv[1], arena, err);
    for (; command && command->parts; used++) {
        if (used < argc && asks_for_help(argv[used])) {
            print_parts(command, stdout);
            return OK;
        }
        if (used >= argc)
            return err_set(err, ERR_USAGE, "too few arguments; 'sandglass %s --help' lists what can follow",
                           command->name);
        command = find_command(command->parts, command, argv[used], arena, err);
    }
    if (!command) return ERR_USAGE;
    Call call = {.arena = arena, .json = json};
    bool help;
    TRY(options_parse(command, argc - used, argv + used, &call, &help, err));
    if (help) {
        options_print_help(command, stdout);
        return OK;
    }
    return command->run(&call, err);
}

/* Whether stdout is to be JSON, also where the rest of the command line is wrong. */
static bool wants_json(int argc, char *const *argv) {
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

/* The one object on stdout: the command's; after a failure with the member "error" as its last, or alone. */
static void print_answer(const char *json, Err code, const Error *err, Arena *arena) {
    if (code == OK) {
        if (json) puts(json);
        return;
    }
    const char *words = err->used > 0 ? err->text : code == ERR_STOPPED ? "stopped before the end" : "failed";
    size_t length = strlen(words);
    if (length > 0 && words[length - 1] == '\n') length--;
    Json j = json_begin(arena);
    json_open_object(&j, NULL);
    json_string(&j, "error", arena_strndup(arena, words, length));
    json_close(&j);
    size_t inside = json ? strlen(json) - 1 : 0; /* without the closing brace */
    if (inside > 1)
        printf("%.*s,%s\n", (int)inside, json, json_text(&j) + 1);
    else
        puts(json_text(&j));
}

/* Results that could not be written (a full disk, a closed pipe) are a failure too. */
static bool flush_stdout(void) {
    bool good = fflush(stdout) == 0 && !ferror(stdout);
    if (!good) fprintf(stderr, "error: cannot write the results to standard output\n");
    return good;
}

/* OpenMP's threads spin while they wait for one another, by libgomp's default for milliseconds. That is well on an idle
 * machine; where anything else wants a core, a spinning thread keeps it from the one it waits for, and training becomes
 * ten times slower. libgomp reads how long to spin when it is loaded, so the program starts itself once more. */
static void wait_briefly(char **argv) {
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GOMP_SPINCOUNT", "2000", 0) != 0) return;
    /* By its real path, so that ps and top show its name; by the link where there is no path any more, a program that
     * was replaced while it started. Where that fails too, go on as it is. */
    static const char self[] = "/proc/self/exe";
    char path[4096];
    ssize_t length = readlink(self, path, sizeof path);
    if (length > 0 && (size_t)length < sizeof path) {
        path[length] = '\0';
        execv(path, argv);
    }
    execv(self, argv);
}

int main(int argc, char **argv) {
    wait_briefly(argv);
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files is an error of that write, not the end of the program */
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return flush_stdout() ? EXIT_DONE : EXIT_FAILED;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sandglass %s\n", SANDGLASS_VERSION);
        return flush_stdout() ? EXIT_DONE : EXIT_FAILED;
    }
    Arena *arena = arena_new();
    Error err = ERROR_INIT;
    const char *json = NULL;
    Err code = run_command(argc, argv, &json, arena, &err);
    if (json || (code != OK && wants_json(argc, argv))) print_answer(json, code, &err, arena);
    if (err.used > 0) fputs(err.text, stderr);
    if (err.dropped > 0) fprintf(stderr, "(%d more not shown)\n", err.dropped);
    bool flushed = flush_stdout();
    arena_free(arena);
    if (code == ERR_USAGE) return EXIT_USAGE;
    return code == OK && flushed ? EXIT_DONE : EXIT_FAILED;
}
