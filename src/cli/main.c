/* main.c - the program: finds the command, runs it, prints what went wrong, and turns the outcome into an exit code. */
#include "cli/command.h"

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

static Err run_command(int argc, char **argv, Arena *arena, Error *err) {
    const Command *command = find_command(argv[1], err);
    if (!command) return ERR_USAGE;
    Call call;
    bool help;
    TRY(options_parse(command, argc - 2, argv + 2, arena, &call, &help, err));
    if (help) {
        options_print_help(command, stdout);
        return OK;
    }
    return command->run(&call, err);
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
    Err code = run_command(argc, argv, arena, &err);
    if (err.used > 0) fputs(err.text, stderr);
    if (err.dropped > 0) fprintf(stderr, "(%d more not shown)\n", err.dropped);
    bool flushed = flush_stdout();
    arena_free(arena);
    if (code == ERR_USAGE) return EXIT_USAGE;
    return code == OK && flushed ? EXIT_DONE : EXIT_FAILED;
}
