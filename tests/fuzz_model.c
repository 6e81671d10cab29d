/* fuzz_model.c - fuzz target: any bytes as a checkpoint or a frozen model. It is opened to use and to resume, its state
 * is read, the network is made from it and, where it is small, folded and run once. Either it works, or there is one
 * error with words.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -DSANDGLASS_VERSION='"0"' -Isrc -I. \
 *         tests/fuzz_model.c <the sources of libsandglass> -ldnnl -lhdf5_serial -lyaml -lz -lgomp -lm -o fuzz_model &&
 *         ./fuzz_model tests/corpus/model
 *
 * As with fuzz_h5.c: files of ours carry a checksum that random changes do not get past, and HDF5 1.10 itself can be
 * crashed by damaged structures of a file without one. test_model_files.c therefore changes what is in a file and
 * writes it anew.
 */
#include "train/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_model_require(bool holds) {
    if (!holds) abort();
}

/* Small enough to compute thousands of. */
static bool fuzz_model_is_small(const Net *net) {
    const Graph *graph = net_graph(net);
    int64_t elements = shape_size(graph->input);
    for (int i = 0; i < graph->n && elements < 1 << 20; i++) elements += shape_size(graph->shapes[i]);
    return elements < 1 << 20 && net_weights(net)->size < 1 << 20;
}

static void fuzz_model_run(Net *net, Error *err) {
    Program *program;
    const Shape input = net_graph(net)->input;
    float *x = block_alloc(sizeof(float) * (size_t)shape_size(input));
    Err code = net_fold(net, err);
    if (code == OK) code = net_program(net, input, false, &program, err);
    if (code == OK) program_bind(program, "input", x);
    if (code == OK) code = program_run(program, &(RunState){0}, err);
    if (code == OK) fuzz_model_require(program_read(program, net_output_name(net)) != NULL);
    fuzz_model_require((code == OK) == (err->count == 0));
    block_free(x);
}

static void fuzz_model_open(const char *path, bool for_resume, Arena *arena) {
    Checkpoint *c = NULL;
    Net *net = NULL;
    TrainState state;
    Error *err = ARENA_NEW(arena, Error), *none = ARENA_NEW(arena, Error);
    Err code = checkpoint_open(&c, path, for_resume, NULL, arena, err);
    fuzz_model_require((code == OK) == (err->count == 0) && (code == OK) == (c != NULL));
    if (code != OK) return;
    checkpoint_read_state(c, &state, NULL, NULL, arena, none);
    code = net_open(&net, c, 0, NULL, 1, err);
    fuzz_model_require((code == OK) == (err->count == 0) && (code == OK) == (net != NULL));
    checkpoint_close(c);
    if (net && fuzz_model_is_small(net)) fuzz_model_run(net, err);
    net_close(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("model", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size) {
        Arena *arena = arena_new();
        fuzz_model_open(path, false, arena);
        fuzz_model_open(path, true, arena);
        arena_free(arena);
    }
    if (fd >= 0) close(fd);
    return 0;
}
