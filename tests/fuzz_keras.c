/* fuzz_keras.c - fuzz target: any bytes as a Keras model's HDF5 file, which is imported as far as possible without
 * writing.
 *
 * Built like fuzz_h5.c, with src/export/keras_*.c and what they need; ./fuzz_keras tests/golden/keras. As there, what
 * is found in the structures of HDF5 itself may be the library's.
 */
#include "export/keras_import.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("keras", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && write(fd, data, size) == (ssize_t)size) {
        Arena *arena = arena_new();
        Error *err = ARENA_NEW(arena, Error);
        KerasImported done;
        /* A file that cannot be written: no import ends well. */
        KerasImport spec = {.path = path, .out = "/proc/nowhere/x.h5", .scale = 1, .size = {8, 8}};
        Err code = keras_import(&done, &spec, arena, err);
        if (code == OK || err->count == 0) abort();
        arena_free(arena);
    }
    if (fd >= 0) close(fd);
    return 0;
}
