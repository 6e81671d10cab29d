/* file.c - whole files: read into memory, or put in place in one piece. */
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

Err file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *n, size_t *file_bytes, Error *err) {
    *bytes = NULL;
    *n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
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

Err file_replace(const char *path, const void *bytes, size_t n, Error *err) {
    size_t room = strlen(path) + 32;
    char *aside = malloc(room);
    if (aside == NULL) return err_set(err, ERR_MEMORY, "%s: no memory for its name", path);
    snprintf(aside, room, "%s.%ld.tmp", path, (long)getpid());
    Err code = OK;
    int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        code = err_set(err, ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        goto done;
    }
    bool written = write_fully(fd, bytes, n) == 0;
    int cause = errno;
    if (close(fd) != 0 && written) {
        written = false;
        cause = errno;
    }
    if (written && rename(aside, path) != 0) {
        written = false;
        cause = errno;
    }
    if (!written) {
        unlink(aside);
        code = err_set(err, ERR_IO, "%s: cannot write: %s", path, strerror(cause));
    }
done:
    free(aside);
    return code;
}

char *file_join(const char *root, const char *path) {
    bool alone = root == NULL || root[0] == '\0' || path[0] == '/';
    size_t head = alone ? 0 : strlen(root), tail = strlen(path);
    char *joined = malloc(head + 1 + tail + 1);
    if (joined == NULL) abort();
    if (head > 0) memcpy(joined, root, head);
    if (head > 0 && joined[head - 1] != '/') joined[head++] = '/';
    memcpy(joined + head, path, tail + 1);
    return joined;
}
