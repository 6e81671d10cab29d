/* fuzz_class_names.c - fuzz target: any text as a file that names classes.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc tests/fuzz_class_names.c \
 *         src/data/scout_class_names.c src/io/file.c src/base/{arena,error,utf8}.c ... -o fuzz_class_names &&
 *         ./fuzz_class_names tests/corpus/class_names
 */
#include "data/scout.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_new();
    int n = -1;
    NamedClass *names;
    class_names_parse(arena_strndup(arena, (const char *)data, size), &n, &names, arena);
    if (n < 0 || n == 1 || n > MAX_CLASSES) abort();
    for (int i = 0; i < n; i++)
        if (!*names[i].name || strpbrk(names[i].name, "\n\r") || names[i].value > 999) abort();
    arena_free(arena);
    return 0;
}
