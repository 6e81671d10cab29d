/* output.c - small things the commands share: numbers as text, folders, where configs are. */
#include "cli/command.h"

#include "config/search.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *find_config(const char *path, Arena *arena) {
    return config_find(path, arena);
}

Err load_config(Experiment *out, const char *path, const ParamList *sets, Arena *arena, Error *err) {
    struct stat info;
    const char *file = find_config(path, arena);
    if (stat(file, &info) != 0 || !S_ISDIR(info.st_mode))
        return config_load_file(out, file, sets->n, sets->strings, arena, err);
    const char *folder = without_slash(file, arena), *inside = arena_printf(arena, "%s/config.yaml", folder);
    if (access(inside, F_OK) == 0) return err_set(err, ERR_IO, "%s: is a folder; its config is %s", folder, inside);
    return err_set(
        err, ERR_IO,
        "%s: is a folder, not a config; 'sandglass init %s --out FILE.yaml' writes one for the pictures in it", folder,
        folder);
}

void print_json(const Call *call, const Json *json) {
    *call->json = json_text(json);
}

char *text_count(int64_t n, Arena *arena) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
    char *text = arena_alloc(arena, 48);
    int used = 0;
    for (int i = 0; i < length; i++) {
        text[used++] = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-') text[used++] = ',';
    }
    return text;
}

char *text_bytes(double bytes, Arena *arena) {
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 1000 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    return arena_printf(arena, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void text_duration(double seconds, char text[32]) {
    long s = seconds > 0 && seconds < 1e9 ? (long)(seconds + 0.5) : 0;
    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
}

Err make_folder(const char *path, Error *err) {
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part) return err_set(err, ERR_IO, "not a folder's name: '%.100s'", path);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0') continue;
        part[i] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "%s: cannot make the folder: %s", part, strerror(errno));
        part[i] = path[i];
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return err_set(err, ERR_IO, "%s: is not a folder", path);
    return OK;
}

const char *without_slash(const char *path, Arena *arena) {
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    return arena_strndup(arena, path, length);
}

bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *folder_of(const char *path, Arena *arena) {
    const char *slash = strrchr(path, '/');
    if (!slash) return ".";
    return slash == path ? "/" : arena_strndup(arena, path, (size_t)(slash - path));
}

Err check_out_folder(const char *path, Arena *arena, Error *err) {
    struct stat info;
    const char *folder = folder_of(path, arena);
    if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode)) return OK;
    return err_set(err, ERR_IO, "--out %s: there is no folder '%s': make it first", path, folder);
}

void print_word(FILE *out, const char *word) {
    bool plain = *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%") ==
                              strlen(word);
    if (plain) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}
