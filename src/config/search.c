/* search.c - see search.h. */
#include "config/search.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder that is said relative to that of the running program, so that an installation may be moved as a whole. */
static const char *beside_program(const char *relative, Arena *arena) {
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return NULL;
    program[length] = '\0';
    char *slash = strrchr(program, '/');
    if (slash) *slash = '\0';
    return arena_printf(arena, "%s/%s", program, relative);
}

const char *config_find_shipped(const char *path, Arena *arena) {
    static const char prefix[] = "configs/";
    if (path[0] == '/') return NULL;
    const char *inside = strncmp(path, prefix, sizeof prefix - 1) == 0 ? path + sizeof prefix - 1 : path;
    /* the last is where the source has them when the program runs in its build folder */
    const char *const folders[] = {getenv("SANDGLASS_CONFIGS"), beside_program(SANDGLASS_CONFIGS_DIR, arena),
                                   beside_program("../configs", arena)};
    for (int i = 0; i < 3; i++) {
        if (!folders[i] || !*folders[i]) continue;
        const char *found = arena_printf(arena, "%s/%s", folders[i], inside);
        if (access(found, F_OK) == 0) return found;
    }
    return NULL;
}

const char *config_find(const char *path, Arena *arena) {
    if (access(path, F_OK) == 0) return path;
    const char *found = config_find_shipped(path, arena);
    return found ? found : path;
}
