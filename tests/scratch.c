/* scratch.c - see scratch.h. */
#include "scratch.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

int scratch_set_up(void **state) {
    Scratch *s = calloc(1, sizeof *s);
    const char *base = getenv("TMPDIR");
    snprintf(s->folder, sizeof s->folder, "%s/sandglass_test_XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(s->folder)) return -1;
    s->arena = arena_new();
    *state = s;
    return 0;
}

static void remove_all(const char *path, Arena *arena) {
    DIR *folder = opendir(path);
    if (!folder) {
        unlink(path);
        return;
    }
    for (struct dirent *e; (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            remove_all(arena_printf(arena, "%s/%s", path, e->d_name), arena);
    closedir(folder);
    rmdir(path);
}

int scratch_tear_down(void **state) {
    Scratch *s = *state;
    remove_all(s->folder, s->arena);
    arena_free(s->arena);
    free(s);
    return 0;
}

const char *scratch_path(Scratch *s, const char *name) {
    return arena_printf(s->arena, "%s/%s", s->folder, name);
}

const char *scratch_words(Scratch *s) {
    char *text = arena_strdup(s->arena, s->err.text);
    size_t n = strlen(s->folder) + 1;
    for (char *at; (at = strstr(text, s->folder));) memmove(at, at + n, strlen(at + n) + 1);
    s->err = (Error)ERROR_INIT;
    return text;
}

void *scratch_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*bytes + 1);
    assert_int_equal(fread(data, 1, *bytes, file), *bytes);
    data[*bytes] = '\0';
    fclose(file);
    return data;
}

void scratch_write(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    fclose(file);
}

bool scratch_exists(Scratch *s, const char *name) {
    return access(scratch_path(s, name), F_OK) == 0;
}
