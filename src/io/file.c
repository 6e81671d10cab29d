/* file.c - whole files: read into memory, or put in place in one piece. */
#include "io/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* read() until `want` bytes are there, the file ends, or it fails (-1). */
static ssize_t read_fully(int fd, uint8_t *dst, size_t want) {
    size_t have = 0;
    while (have < want) {
        ssize_t got = read(fd, dst + have, want - have);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

int file_open_read(const char *path) {
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

Err file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *n, size_t *file_bytes, Error *err) {
    *bytes = NULL;
    *n = 0;
    int fd = file_open_read(path);
    if (fd < 0) return err_set(err, ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    Err code = OK;
    struct stat st;
    if (fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
        code = err_set(err, ERR_IO, "%s: cannot read: not a regular file", path);
        goto done;
    }
    if (S_ISDIR(st.st_mode)) {
        code = err_set(err, ERR_IO, "%s: cannot read: it is a folder", path);
        goto done;
    }
    size_t size = (size_t)st.st_size, want = size < max_bytes ? size : max_bytes;
    if (file_bytes != NULL) *file_bytes = size;
    *bytes = malloc(want > 0 ? want : 1);
    if (*bytes == NULL) {
        code = err_set(err, ERR_MEMORY, "%s: no memory for %zu bytes", path, want);
        goto done;
    }
    ssize_t got = read_fully(fd, *bytes, want);
    if (got < 0) {
        code = err_set(err, ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        free(*bytes);
        *bytes = NULL;
        goto done;
    }
    *n = (size_t)got;
done:
    close(fd);
    return code;
}

static int write_fully(int fd, const uint8_t *src, size_t n) {
    while (n > 0) {
        ssize_t put = write(fd, src, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return -1;
        src += put;
        n -= (size_t)put;
    }
    return 0;
}

/* ---- files aside, to be renamed into place ---- */

/* "PATH.PID.tmp"; where that is taken, "PATH.PID.1.tmp" and so on. NULL: no memory. */
static char *aside_name(const char *path, int attempt) {
    size_t room = strlen(path) + 48;
    char *name = malloc(room);
    if (name == NULL) return NULL;
    if (attempt == 0)
        snprintf(name, room, "%s.%ld.tmp", path, (long)getpid());
    else
        snprintf(name, room, "%s.%ld.%d.tmp", path, (long)getpid(), attempt);
    return name;
}

/* Lock a file that was just made, as the sign that its writer lives; false when file_remove_stale was faster. File
 * systems without locks do without. */
static bool claim(int fd) {
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int file_open_aside(const char *path, char **aside) {
    enum { ATTEMPTS = 1000 };
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        char *name = aside_name(path, attempt);
        if (name == NULL) {
            errno = ENOMEM;
            return -1;
        }
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 && claim(fd)) {
            *aside = name;
            return fd;
        }
        int cause = fd < 0 ? errno : EEXIST;
        if (fd >= 0) close(fd);
        free(name);
        errno = cause;
        if (cause != EEXIST) return -1;
    }
    return -1;
}

/* The process in "NAME.PID.tmp" or "NAME.PID.N.tmp"; 0 for other names. */
static long pid_of_aside(const char *entry, const char *name, size_t name_bytes) {
    if (strncmp(entry, name, name_bytes) != 0 || entry[name_bytes] != '.') return 0;
    const char *at = entry + name_bytes + 1;
    char *end;
    if (!isdigit((unsigned char)*at)) return 0;
    long pid = strtol(at, &end, 10);
    if (*end == '.' && isdigit((unsigned char)end[1])) strtol(end + 1, &end, 10);
    return strcmp(end, ".tmp") == 0 ? pid : 0;
}

/* Whether a file begins with these bytes, or with zeros or nothing in their place: its writer did not come so far. */
static bool begins_with(int fd, const void *magic, size_t n) {
    uint8_t found[16] = {0};
    static const uint8_t zeros[sizeof found];
    if (n > sizeof found) return false;
    ssize_t got = pread(fd, found, n, 0);
    if (got == 0) return true;
    return got == (ssize_t)n && (memcmp(found, magic, n) == 0 || memcmp(found, zeros, n) == 0);
}

static bool is_abandoned(int fd, long pid) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fstat(fd, &st) == 0 && st.st_nlink > 0;
    /* no locks on this file system: ask for the process */
    return errno != EWOULDBLOCK && pid != (long)getpid() && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

void file_remove_stale(const char *path, const void *magic, size_t n_magic) {
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    free(folder);
    if (dir == NULL) return;
    size_t name_bytes = strlen(name);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        long pid = pid_of_aside(e->d_name, name, name_bytes);
        if (pid <= 0) continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;
        if (is_abandoned(fd, pid) && begins_with(fd, magic, n_magic)) unlinkat(dirfd(dir), e->d_name, 0);
        close(fd);
    }
    closedir(dir);
}

void file_sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder != NULL ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    if (fd < 0) return;
    fsync(fd); /* some file systems refuse this; then nothing more can be done */
    close(fd);
}

/* ---- whole files into place ---- */

Err file_begin(FileAside *out, const char *path, Error *err) {
    *out = (FileAside){.path = path};
    out->fd = file_open_aside(path, &out->aside);
    if (out->fd >= 0) return OK;
    out->aside = NULL;
    return err_set(err, ERR_IO, "%s: cannot write: %s", path, strerror(errno));
}

void file_drop(FileAside *file) {
    if (file->aside == NULL) return;
    if (file->fd >= 0) close(file->fd);
    unlink(file->aside);
    free(file->aside);
    *file = (FileAside){0};
}

Err file_put(FileAside *file, const void *bytes, size_t n, Error *err) {
    if (write_fully(file->fd, bytes, n) == 0) return OK;
    return err_set(err, ERR_IO, "%s: cannot write: %s", file->path, strerror(errno));
}

Err file_finish(FileAside *file, bool durable, Error *err) {
    bool written = !durable || fsync(file->fd) == 0;
    int cause = errno;
    if (close(file->fd) != 0 && written) {
        written = false;
        cause = errno;
    }
    file->fd = -1;
    if (written && rename(file->aside, file->path) != 0) {
        written = false;
        cause = errno;
    }
    if (!written) return err_set(err, ERR_IO, "%s: cannot write: %s", file->path, strerror(cause));
    if (durable) file_sync_folder(file->path);
    free(file->aside);
    *file = (FileAside){0};
    return OK;
}

static Err replace(const char *path, const void *bytes, size_t n, bool durable, Error *err) {
    FileAside file;
    TRY(file_begin(&file, path, err));
    Err code = file_put(&file, bytes, n, err);
    if (code == OK) code = file_finish(&file, durable, err);
    file_drop(&file);
    return code;
}

Err file_replace(const char *path, const void *bytes, size_t n, Error *err) {
    return replace(path, bytes, n, true, err);
}

Err file_replace_unsynced(const char *path, const void *bytes, size_t n, Error *err) {
    return replace(path, bytes, n, false, err);
}

char *file_join(const char *root, const char *path) {
    bool alone = root == NULL || root[0] == '\0' || path[0] == '/';
    size_t head = alone ? 0 : strlen(root), tail = strlen(path);
    char *joined = malloc(head + 1 + tail + 1);
    if (joined == NULL) return NULL;
    if (head > 0) memcpy(joined, root, head);
    if (head > 0 && joined[head - 1] != '/') joined[head++] = '/';
    memcpy(joined + head, path, tail + 1);
    return joined;
}
