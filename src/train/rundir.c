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

const char *rundir_file(const RunDir *dir, const char *name, Arena *arena) {
    return arena_printf(arena, "%s/%s", dir->path, name);
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

/* ---- what a run that never appeared leaves ---- */

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

/* A file this program makes in a run's folder, or one it was writing: "last.h5", "last.h5.tmp",
 * "config.yaml.77.tmp". */
static bool is_run_file(const char *name) {
    static const char *const names[] = {"config.yaml", "history.jsonl",   "last.h5",        "last.prev.h5",
                                        "best.h5",     "last.damaged.h5", "best.damaged.h5"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (strncmp(name, names[i], n) != 0) continue;
        if (name[n] == '\0' || (name[n] == '.' && ends_with(name, ".tmp"))) return true;
    }
    return false;
}

static bool is_picture(const char *name) {
    return strncmp(name, "epoch_", 6) == 0 && (ends_with(name, ".png") || ends_with(name, ".tmp"));
}

/* What was being written when a process was killed. */
static bool is_half_run_file(const char *name) {
    return is_run_file(name) && ends_with(name, ".tmp");
}

static bool is_half_picture(const char *name) {
    return is_picture(name) && ends_with(name, ".tmp");
}

typedef bool (*NameTest)(const char *name);

static bool is_in_run(const char *name) {
    return is_run_file(name) || strcmp(name, samples_folder) == 0;
}

/* Whether all entries of a folder pass; true when there is no folder. */
static bool holds_only(const char *path, NameTest ours) {
    DIR *folder = opendir(path);
    bool only = true;
    if (!folder) return true;
    for (struct dirent *e; only && (e = readdir(folder));)
        only = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || ours(e->d_name);
    closedir(folder);
    return only;
}

static void remove_files(const char *path, NameTest ours, Arena *arena) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *e; (e = readdir(folder));)
        if (ours(e->d_name)) unlink(arena_printf(arena, "%s/%s", path, e->d_name));
    closedir(folder);
}

/* Only what this program makes, and the folder when nothing else is in it. */
static void remove_aside(const char *path) {
    Arena *arena = arena_new();
    const char *samples = arena_printf(arena, "%s/%s", path, samples_folder);
    remove_files(samples, is_picture, arena);
    remove_files(path, is_run_file, arena);
    rmdir(samples);
    rmdir(path);
    arena_free(arena);
}

/* Whether it is what a killed run left that never appeared. Such a run has no finished epoch; one with such is
 * somebody's run that happens to be called so. */
static bool is_litter(const char *path, Arena *arena) {
    struct stat st;
    bool finished_epochs = stat(arena_printf(arena, "%s/history.jsonl", path), &st) == 0 && st.st_size > 0;
    return !finished_epochs && holds_only(path, is_in_run) &&
           holds_only(arena_printf(arena, "%s/%s", path, samples_folder), is_picture);
}

/* A folder aside that is empty and locked. */
static Err take_aside(RunDir *dir, Arena *arena, Error *err) {
    for (int attempt = 0; attempt < 2; attempt++) {
        if (mkdir(dir->path, 0777) != 0 && errno != EEXIST)
            return err_set(err, ERR_IO, "cannot make run directory '%s': %s", dir->name, strerror(errno));
        TRY(lock_folder(dir, err));
        if (count_entries(dir->path) == 0) return OK;
        if (!is_litter(dir->path, arena)) break;
        remove_aside(dir->path);
        close(dir->lock); /* of a folder that is gone now */
        dir->lock = -1;
    }
    return err_set(err, ERR_IO, "'%s' is in the way of a new run: it holds more than a killed one left; move it away",
                   dir->path);
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
        return err_set(err, ERR_IO,
                       "run directory '%s' already holds a run; go on with it (--resume), choose another (--run DIR), "
                       "or remove it",
                       name);
    return err_set(err, ERR_IO, "run directory '%s' exists and is not empty; choose another (--run DIR)", name);
}

Err rundir_begin(RunDir *out, const char *name, Arena *arena, Error *err) {
    char *trimmed = arena_strdup(arena, name);
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--) trimmed[n - 1] = '\0';
    *out = (RunDir){.name = trimmed, .lock = -1};
    TRY(check_absent(trimmed, arena, err));
    TRY(make_parents(trimmed, arena, err));
    RunDir dir = {.path = arena_printf(arena, "%s.tmp", trimmed), .name = trimmed, .lock = -1};
    Err code = take_aside(&dir, arena, err);
    if (code != OK) {
        if (dir.lock >= 0) close(dir.lock);
        return code;
    }
    *out = dir;
    if (mkdir(rundir_file(out, samples_folder, arena), 0777) != 0 && errno != EEXIST)
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
    *out = (RunDir){.path = name, .name = name, .lock = -1};
    Err code = lock_folder(out, err);
    if (code != OK) {
        rundir_leave(out);
        return code;
    }
    const char *samples = rundir_file(out, samples_folder, arena);
    mkdir(samples, 0777);
    remove_files(out->path, is_half_run_file, arena);
    remove_files(samples, is_half_picture, arena);
    return OK;
}

void rundir_leave(RunDir *dir) {
    if (dir->lock < 0) return;
    if (strcmp(dir->path, dir->name) != 0) remove_aside(dir->path);
    close(dir->lock);
    dir->lock = -1;
}

Err rundir_write_text(const RunDir *dir, const char *name, const char *text, Error *err) {
    Arena *arena = arena_new();
    Err code = file_replace(rundir_file(dir, name, arena), text, strlen(text), err);
    arena_free(arena);
    return code;
}

/* A full disk may take the front of a line: what was there before is put back. */
static Err append(const char *path, const char *text, Error *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    struct stat before;
    size_t n = strlen(text), done = 0;
    bool failed = fstat(fd, &before) != 0;
    while (!failed && done < n) {
        ssize_t put = write(fd, text + done, n - done);
        if (put > 0)
            done += (size_t)put;
        else if (put == 0 || errno != EINTR)
            failed = true;
    }
    Err code = OK;
    if (failed) {
        code = err_set(err, ERR_IO, "cannot write '%s': %s", path, strerror(errno));
        if (done > 0 && ftruncate(fd, before.st_size) != 0) err_context(err, "half a line is left");
    }
    close(fd);
    return code;
}

Err rundir_append_line(const RunDir *dir, const char *name, const char *line, Error *err) {
    Arena *arena = arena_new();
    Err code = append(rundir_file(dir, name, arena), arena_printf(arena, "%s\n", line), err);
    arena_free(arena);
    return code;
}
