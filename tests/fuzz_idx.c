/* fuzz_idx.c - fuzz target: any bytes as the image file of an idx dataset, plain or gzip; every sample is read.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc tests/fuzz_idx.c datasets/idx.c \
 *         src/io/file.c src/base/{arena,error,param,rng}.c ... -lz -lm -o fuzz_idx && ./fuzz_idx tests/corpus/idx
 */
#include "data/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const DatasetKind dataset_idx;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("idx", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
    Arena *arena = arena_new();
    void *params = arena_alloc(arena, dataset_idx.params_bytes);
    param_set_defaults(dataset_idx.params, params, arena);
    char phrase[PARAM_PHRASE_BYTES];
    const char *text = path;
    param_set(param_find(dataset_idx.params, "images"), params, 1, &text, false, arena, phrase);
    DatasetEnv env = {.root = "", .split = "train", .arena = arena};
    DatasetInfo info;
    Dataset *dataset = NULL;
    Error err = ERROR_INIT;
    Err code = dataset_idx.open(&dataset, params, &env, &info, &err);
    if ((code == OK) != (err.count == 0)) abort();
    for (int64_t i = 0; code == OK && i < info.n; i++) {
        Sample view;
        dataset_idx.view(dataset, i, &view);
        const volatile uint8_t *bytes = view.image.u8;
        if (bytes[0] + bytes[image_bytes(&view.image) - 1] < 0) abort();
    }
    if (code == OK) dataset_idx.close(dataset);
    arena_free(arena);
    close(fd);
    return 0;
}
