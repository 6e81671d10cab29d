/* fuzz_yaml.c - fuzz target: any bytes as a config; read as YAML and written again, filled as an experiment, its
 * network built.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -Isrc -I. tests/fuzz_yaml.c build/libsandglass_core.a
 * \ -ldnnl -lhdf5_serial -lyaml -lgomp -lz -lm -o fuzz_yaml && ./fuzz_yaml tests/corpus/yaml
 */
#include "model/graph.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_yaml_require(bool holds) {
    if (!holds) abort();
}

/* What is written reads back, and is then written the same. */
static void fuzz_yaml_tree(const char *text, Arena *arena) {
    Node *root, *again;
    Error err = ERROR_INIT;
    Err code = yaml_load_text(&root, "fuzz.yaml", text, arena, &err);
    fuzz_yaml_require((code == OK) == (err.count == 0));
    if (code != OK) return;
    char *written = yaml_write(root, arena);
    err_clear(&err);
    fuzz_yaml_require(yaml_load_text(&again, "written.yaml", written, arena, &err) == OK);
    fuzz_yaml_require(strcmp(yaml_write(again, arena), written) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena *arena = arena_new();
    const char *text = arena_strndup(arena, (const char *)data, size);
    if (strstr(text, "extends") == NULL) { /* other files are not this target's */
        Experiment experiment;
        Graph *graph;
        Error err = ERROR_INIT;
        fuzz_yaml_tree(text, arena);
        Err code = config_load_text(&experiment, "fuzz.yaml", text, 0, NULL, arena, &err);
        fuzz_yaml_require((code == OK) == (err.count == 0));
        if (code == OK) {
            code = graph_build(&graph, &experiment, SHAPE(1, 3, 32, 32), 0, arena, &err);
            fuzz_yaml_require((code == OK) == (err.count == 0));
        }
        if (code == OK) fuzz_yaml_require(strlen(graph_describe(graph, arena)) > 0);
    }
    arena_free(arena);
    return 0;
}
