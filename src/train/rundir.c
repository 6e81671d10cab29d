/* rundir.c - see rundir.h. The lock is flock on the folder itself: it vanishes with the process, however that ends. */
#include "train/rundir.h"

#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char samples_folder[] = "samples";

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool rundir_has_checkpoint(const char *name) {
    Arena *arena = arena_new();
    bool found = exists(arena_printf(arena, "%s/last.h5", name)) ||
                 exists(arena_printf(arena, "%s/last.prev.h5", name));
    arena_free(arena);
    return found;
}

const char *rundir_file(const RunDir *dir, const char *name) {
    return arena_printf(dir->arena, "%s/%s", dir->path, name);
}

/* Number of entries; -1 when it is no folder that can be read. */
static int count_entries(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return -1;
    int n = 0;
    for (struct dirent *e; (e = readdir(folder));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) n++;
    closedir(folder);
    return n;
}

static Err lock_folder(RunDir *dir, Error *err) {
    dir->lock = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->lock < 0) return err_set(err, ERR_IO, "cannot open run directory '%s': %s", dir->name, strerror(errno));
    if (flock(dir->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return OK; /* no locks here: go without */
    return err_set(err, ERR_IO, "run directory '%s' is in use by another process", dir->name);
}

/* Remove a run that never appeared: only what this program makes. */
static void remove_aside(const char *path, Arena *arena) {
    static const char *const names[] = {"config.yaml", "history.jsonl", "last.h5", "last.h5.tmp", NULL};
    for (int i = 0; names[i]; i++) unlink(arena_printf(arena, "%s/%s", path, names[i]));
    rmdir(arena_printf(arena, "%s/%s", path, samples_folder));
    rmdir(path);
}

static Err make_parents(const char *path, Arena *arena, Error *err) {
    char *parent = arena_strdup(arena, path);
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0777) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "cannot make run directory '%s': %s: %s", path, parent, strerror(errno));
        *slash = '/';
    }
    return OK;
}

static Err check_absent(const char *name, Arena *arena, Error *err) {
    if (!exists(name) || count_entries(name) == 0) return OK;
    if (rundir_has_checkpoint(name))
        return err_set(
            err, ERR_IO,
            "run directory '%s' already holds a run; go on with it (--resume), or choose another (--run DIR)", name);
    return err_set(err, ERR_IO, "run directory '%s' exists and is not empty; choose another (--run DIR)", name);
}

Err rundir_begin(RunDir *out, const char *name, Arena *arena, Error *err) {
    char *trimmed = arena_strdup(arena, name);
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--) trimmed[n - 1] = '\0';
    *out = (RunDir){.name = trimmed, .lock = -1, .arena = arena};
    TRY(check_absent(trimmed, arena, err));
    TRY(make_parents(trimmed, arena, err));
    const char *aside = arena_printf(arena, "%s.tmp", trimmed);
    RunDir dir = {.path = aside, .name = trimmed, .lock = -1, .arena = arena};
    if (mkdir(aside, 0777) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "cannot make run directory '%s': %s", trimmed, strerror(errno));
    Err code = lock_folder(&dir, err);
    if (code != OK) {
        if (dir.lock >= 0) close(dir.lock);
        return code;
    }
    *out = dir;
    if (mkdir(rundir_file(out, samples_folder), 0777) != 0 && errno != EEXIST)
        code = err_set(err, ERR_IO, "cannot make run directory '%s': %s", trimmed, strerror(errno));
    if (code != OK) rundir_leave(out);
    return code;
}

Err rundir_appear(RunDir *dir, Error *err) {
    if (rename(dir->path, dir->name) != 0)
        return err_set(err, ERR_IO, "cannot make run directory '%s': %s", dir->name, strerror(errno));
    dir->path = dir->name;
    return OK;
}

Err rundir_enter(RunDir *out, const char *name, Arena *arena, Error *err) {
    *out = (RunDir){.path = name, .name = name, .lock = -1, .arena = arena};
    Err code = lock_folder(out, err);
    if (code == OK)
        mkdir(rundir_file(out, samples_folder), 0777);
    else
        rundir_leave(out);
    return code;
}

void rundir_leave(RunDir *dir) {
    if (dir->lock < 0) return;
    if (strcmp(dir->path, dir->name) != 0) remove_aside(dir->path, dir->arena);
    close(dir->lock);
    dir->lock = -1;
}

Err rundir_write_text(const RunDir *dir, const char *name, const char *text, Error *err) {
    return file_replace(rundir_file(dir, name), text, strlen(text), err);
}

Err rundir_append_line(const RunDir *dir, const char *name, const char *line, Error *err) {
    const char *path = rundir_file(dir, name);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    const char *text = arena_printf(dir->arena, "%s\n", line);
    size_t n = strlen(text);
    ssize_t done = fd < 0 ? -1 : write(fd, text, n); /* one call: a line is there or not */
    Err code = OK;
    if (done != (ssize_t)n)
        code = err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(done < 0 ? errno : ENOSPC));
    if (fd >= 0) close(fd);
    return code;
}
