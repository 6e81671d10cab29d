/* verify_run.c - see verify_run.h. */
#include "export/verify_run.h"

#include "config/search.h"
#include "io/file.h"
#include "io/npy.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PATH_BYTES = 4096, TOLD_BYTES = 2000 };
enum { EXIT_MISSING = 3 }; /* of run_exported.py: the engine is not installed */

void verify_outputs_free(VerifyOutputs *outputs) {
    for (int k = 0; k < outputs->n; k++) free(outputs->values[k]);
    *outputs = (VerifyOutputs){0};
}

/* ---- our own engine ---- */

Err verify_run_net(Net *net, const VerifyInput *input, VerifyOutputs *out, Error *err) {
    const Graph *graph = net_graph(net);
    Program *program;
    *out = (VerifyOutputs){0};
    if (graph->n_outputs > VERIFY_MAX_OUTPUTS)
        return err_set(err, ERR_CONFIG, "--verify: the network has %d outputs, at most %d can be compared",
                       graph->n_outputs, VERIFY_MAX_OUTPUTS);
    TRY(net_program(net, input->shape, false, &program, err));
    program_bind(program, "input", input->normalized);
    TRY(program_run(program, &(RunState){0}, err));
    for (int k = 0; k < graph->n_outputs; k++) {
        const char *name = graph->nodes[graph->outputs[k]].name;
        out->shape[k] = program_shape(program, name);
        size_t bytes = sizeof(float) * (size_t)shape_size(out->shape[k]);
        out->values[k] = malloc(bytes);
        out->n = k + 1;
        if (!out->values[k]) return err_set(err, ERR_MEMORY, "no memory for an output of %zu bytes", bytes);
        memcpy(out->values[k], program_read(program, name), bytes);
    }
    return OK;
}

/* ---- the folder ---- */

static char *input_path(char path[PATH_BYTES], const char *folder, int input) {
    snprintf(path, PATH_BYTES, "%s/in_%d.npy", folder, input);
    return path;
}

static char *output_path(char path[PATH_BYTES], const char *folder, int input, int output) {
    snprintf(path, PATH_BYTES, "%s/out_%d_%d.npy", folder, input, output);
    return path;
}

static char *names_path(char path[PATH_BYTES], const char *folder) {
    snprintf(path, PATH_BYTES, "%s/outputs.txt", folder);
    return path;
}

static Err write_names(const char *folder, const Graph *graph, Arena *arena, Error *err) {
    char path[PATH_BYTES];
    const char *text = "";
    for (int k = 0; k < graph->n_outputs; k++)
        text = arena_printf(arena, "%s%s\n", text, graph->nodes[graph->outputs[k]].name);
    return file_replace_unsynced(names_path(path, folder), text, strlen(text), err);
}

Err verify_folder_make(char **folder, const VerifySpec *spec, Arena *arena, Error *err) {
    const char *root = getenv("TMPDIR");
    char path[PATH_BYTES], *made = arena_printf(arena, "%s/sandglass-verify-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(made)) return err_set(err, ERR_IO, "cannot make the folder %s: %s", made, strerror(errno));
    *folder = made;
    TRY(write_names(made, net_graph(spec->net), arena, err));
    for (int i = 0; i < spec->n; i++) {
        const VerifyInput *in = &spec->inputs[i];
        TRY(npy_write(input_path(path, made, i), in->shape.rank, in->shape.dim, in->raw, err));
    }
    return OK;
}

static void remove_outputs(const char *folder, int n_inputs) {
    char path[PATH_BYTES];
    for (int i = 0; i < n_inputs; i++)
        for (int k = 0; k < VERIFY_MAX_OUTPUTS; k++) unlink(output_path(path, folder, i, k));
}

void verify_folder_remove(const char *folder, int n_inputs) {
    char path[PATH_BYTES];
    remove_outputs(folder, n_inputs);
    unlink(names_path(path, folder));
    for (int i = 0; i < n_inputs; i++) unlink(input_path(path, folder, i));
    rmdir(folder);
}

Err verify_read_outputs(const char *folder, int input, const VerifyOutputs *like, VerifyOutputs *out, Error *err) {
    *out = (VerifyOutputs){0};
    for (int k = 0; k < like->n; k++) {
        char path[PATH_BYTES], got[SHAPE_TEXT_BYTES], want[SHAPE_TEXT_BYTES];
        Shape shape = {0};
        int rank;
        int64_t dim[NPY_MAX_RANK];
        TRY(npy_read(output_path(path, folder, input, k), &rank, dim, &out->values[k], err));
        out->n = k + 1;
        shape.rank = rank <= SHAPE_MAX_RANK ? rank : SHAPE_MAX_RANK;
        for (int i = 0; i < shape.rank; i++) shape.dim[i] = dim[i];
        if (rank != like->shape[k].rank || !shape_equal(shape, like->shape[k]))
            return err_set(err, ERR_DATA, "output %d is %s, the network's is %s", k, shape_text(shape, got),
                           shape_text(like->shape[k], want));
        out->shape[k] = shape;
    }
    return OK;
}

/* ---- Python ---- */

static const char *find_script(Arena *arena) {
    /* installed beside the configs; in the source beside this file */
    const char *script = config_find_shipped("../run_exported.py", arena);
    return script ? script : config_find_shipped("../src/export/run_exported.py", arena);
}

/* Run a program to its end; the first bytes of what it says on stdout go into `told`. Its exit code; -1: it was killed,
 * -2 with errno: it could not be started. */
static int run_program(char *const argv[], char told[TOLD_BYTES]) {
    int pipe_ends[2];
    told[0] = '\0';
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return -2;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0); /* engines greet at length */
    pid_t child;
    int failure = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    size_t used = 0;
    char rest[512];
    for (ssize_t n = 1; failure == 0 && n != 0;) {
        bool room = used < TOLD_BYTES - 1;
        n = read(pipe_ends[0], room ? told + used : rest, room ? TOLD_BYTES - 1 - used : sizeof rest);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        if (room) used += (size_t)n;
    }
    told[used] = '\0';
    close(pipe_ends[0]);
    int status = 0;
    if (failure != 0) return errno = failure, -2;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void verify_run_python(const VerifySpec *spec, const char *folder, const char *engine, VerifyRow *row, Arena *arena) {
    const char *python = getenv("SANDGLASS_PYTHON"), *script = find_script(arena);
    if (!python || !*python) python = "python3";
    row->installed = row->ran = false;
    row->why = "run_exported.py, which belongs to the program, is not there";
    if (!script) return;
    remove_outputs(folder, spec->n);
    char told[TOLD_BYTES];
    const char *const argv[] = {python, script, spec->format->name, spec->path, folder, engine, NULL};
    int code = run_program((char *const *)argv, told); /* posix_spawn does not change its arguments */
    const char *line = arena_strndup(arena, told, strcspn(told, "\n"));
    if (code == -2) {
        row->why = arena_printf(arena, "%s cannot be run: %s", python, strerror(errno));
        return;
    }
    row->installed = code != EXIT_MISSING;
    row->ran = code == 0;
    if (row->ran && *line) row->engine = line;
    row->why = row->ran ? NULL : *line ? line : arena_printf(arena, "%s ended with exit code %d", python, code);
}
