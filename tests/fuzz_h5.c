/* fuzz_h5.c - fuzz target: any bytes as an HDF5 file; everything it lists is looked at and read, and it is opened as a
 * packed dataset, every sample read.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -isystem /usr/include/hdf5/serial \
 *         tests/fuzz_h5.c datasets/hdf5.c src/io/{h5,h5_file,h5_text,file}.c src/base/{arena,error,param,...}.c ... \
 *         -lhdf5_serial -lz -lm -o fuzz_h5 && ./fuzz_h5 tests/corpus/h5
 *
 * HDF5 1.10 itself can be crashed by damaged structures. Files of ours carry a checksum against that, which random
 * bytes do not get past; so what a fuzzer finds in a file without one may well be the library's.
 */
#include "data/dataset.h"
#include "io/h5.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

extern const DatasetKind dataset_hdf5;

static void fuzz_h5_require(bool holds) {
    if (!holds) abort();
}

/* Read an array of up to 1 MiB as what it is, else its first row. */
static void fuzz_h5_array(const H5 *f, const char *path) {
    H5Array a;
    Error err = ERROR_INIT;
    Err code = h5_stat(f, path, &a, &err);
    fuzz_h5_require((code == OK) == (err.count == 0));
    if (code != OK) return;
    int64_t bytes = 8;
    for (int i = 0; i < a.rank; i++)
        if (__builtin_mul_overflow(bytes, a.dim[i], &bytes)) return;
    if (bytes > 1 << 20) return;
    void *values = malloc(bytes > 0 ? (size_t)bytes : 1);
    code = h5_read(f, path, a, values, &err);
    fuzz_h5_require((code == OK) == (err.count == 0));
    if (a.rank > 0 && a.dim[0] > 0) h5_read_rows(f, path, H5_F64, a.dim[0] - 1, 1, values, NULL);
    free(values);
}

static void fuzz_h5_contents(const char *path, Arena *arena) {
    H5 *f;
    Error err = ERROR_INIT;
    Err code = h5_open(&f, path, &err);
    fuzz_h5_require((code == OK) == (err.count == 0) && (code == OK) == (f != NULL));
    if (code != OK) return;
    int n = 0;
    const char *const *names, *text;
    int64_t number;
    if (h5_walk(f, "/", &n, &names, arena, NULL) == OK)
        for (int i = 0; i < n; i++) {
            fuzz_h5_array(f, names[i]);
            h5_get_int(f, names[i], "channels", &number, NULL);
        }
    if (h5_list(f, "/", &n, &names, arena, NULL) == OK)
        for (int i = 0; i < n; i++) {
            int n_texts;
            const char *const *texts;
            const char *object = arena_printf(arena, "/%s", names[i]);
            h5_read_texts(f, object, &n_texts, &texts, arena, NULL);
        }
    h5_get_text(f, "/", "format", &text, arena, NULL);
    h5_get_int(f, "/", "version", &number, NULL);
    h5_close(f);
}

static void fuzz_h5_dataset(const char *path, Arena *arena) {
    void *params = arena_alloc(arena, dataset_hdf5.params_bytes);
    param_set_defaults(dataset_hdf5.params, params, arena);
    char phrase[PARAM_PHRASE_BYTES];
    param_set(param_find(dataset_hdf5.params, "file"), params, 1, &path, false, arena, phrase);
    DatasetEnv env = {.root = "", .split = "train", .arena = arena};
    DatasetInfo info;
    Dataset *dataset = NULL;
    Error err = ERROR_INIT;
    Err code = dataset_hdf5.open(&dataset, params, &env, &info, &err);
    fuzz_h5_require((code == OK) == (err.count == 0));
    if (code != OK) return;
    fuzz_h5_require(info.n > 0 && info.channels > 0);
    for (int64_t i = 0; i < info.n && i < 100; i++) {
        Sample sample = {0};
        code = dataset_hdf5.read(dataset, i, &sample, NULL);
        const volatile uint8_t *bytes = sample.image.u8;
        if (code == OK) fuzz_h5_require(bytes[0] + bytes[image_bytes(&sample.image) - 1] >= 0);
        image_free(&sample.image);
        image_free(&sample.mask);
    }
    dataset_hdf5.close(dataset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("h5", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size) {
        Arena *arena = arena_new();
        fuzz_h5_contents(path, arena);
        fuzz_h5_dataset(path, arena);
        arena_free(arena);
    }
    if (fd >= 0) close(fd);
    return 0;
}
