/* main.c - the program: finds the command, runs it, prints what went wrong, and turns the outcome into an exit code. */
#include "cli/command.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const Command *const commands[] = {&cmd_train, &cmd_eval,    &cmd_predict, &cmd_pack,
                                          &cmd_check, &cmd_inspect, NULL};

static void print_usage(FILE *out) {
    fprintf(out, "sandglass %s trains convolutional encoder-decoders described in a YAML file.\n\n", SANDGLASS_VERSION);
    fprintf(out, "usage: sandglass COMMAND ...\n\n");
    for (int i = 0; commands[i]; i++) fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->doc);
    fprintf(out, "\n'sandglass COMMAND --help' says more; --version prints the version.\n"
                 "Exit codes: 0 done, 1 failed or stopped before the end, 2 wrong command line.\n");
}

static const Command *find_command(const char *name, Error *err) {
    const char *names[sizeof commands / sizeof *commands] = {NULL};
    for (int i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
        names[i] = commands[i]->name;
    }
    const char *near = nearest_name(name, names);
    if (near)
        err_set(err, ERR_USAGE, "unknown command '%s', did you mean '%s'?", name, near);
    else
        err_set(err, ERR_USAGE, "unknown command '%s'; 'sandglass --help' lists them", name);
    return NULL;
}

static Err run_command(int argc, char **argv, const char **json, Arena *arena, Error *err) {
    const Command *command = find_command(argv[1], err);
    if (!command) return ERR_USAGE;
    Call call = {.arena = arena, .json = json};
    bool help;
    TRY(options_parse(command, argc - 2, argv + 2, &call, &help, err));
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
    if (setenv("GOMP_SPINCOUNT", "2000", 0) == 0) execv("/proc/self/exe", argv); /* where that fails, go on as it is */
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
