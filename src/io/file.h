/* file.h - whole files: read into memory, or put in place in one piece; files aside that wait for that. */
#ifndef SANDGLASS_IO_FILE_H
#define SANDGLASS_IO_FILE_H

#include "base/error.h"

#include <stdint.h>

/* Read a file; *bytes is malloc'ed and the caller's. At most max_bytes are read (a file may go on behind them);
 * *file_bytes (may be NULL) is the length of the whole file. Folders, pipes,
 * devices and missing files are errors that name the path. */
Err file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *n, size_t *file_bytes, Error *err);

/* open() for reading without waiting: a pipe without a writer would keep the program for ever. -1 with errno; the
 * caller looks with fstat whether it is a regular file. */
int file_open_read(const char *path);

/* Write aside (same folder), fsync and rename: `path` is the old file or the new one, never a part, also after a power
 * cut. _unsynced leaves out the fsync: for pictures by the thousand. */
Err file_replace(const char *path, const void *bytes, size_t n, Error *err);
Err file_replace_unsynced(const char *path, const void *bytes, size_t n, Error *err);

/* A new file that is to take path's place: PATH.<pid>.tmp, or PATH.<pid>.<n>.tmp where that is taken. An existing file
 * is never opened. Returns its descriptor (read and write), which holds a lock on it until it is closed, and its name
 * (malloc'ed, the caller's); -1 with errno when it cannot be made. */
int file_open_aside(const char *path, char **aside);

/* Remove what dead processes left of file_open_aside(path): files of such a name that nobody holds locked and that
 * begin with `magic` (at most 16 bytes), or with zeros or nothing where that was not yet written. */
void file_remove_stale(const char *path, const void *magic, size_t n_magic);

/* A file that is written piece by piece and takes its place when it is whole: file_begin, file_put as often as needed,
 * then file_finish (with fsync when `durable`) or file_drop. `path` has to outlive it. After a failure only file_drop
 * may follow; it is fine for one that was never begun ({0}) or is finished. */
typedef struct FileAside {
    const char *path;
    char *aside; /* NULL: nothing is open */
    int fd;
} FileAside;
Err file_begin(FileAside *out, const char *path, Error *err);
Err file_put(FileAside *file, const void *bytes, size_t n, Error *err);
Err file_finish(FileAside *file, bool durable, Error *err);
void file_drop(FileAside *file);

/* Make a rename to `path` last: fsync its folder. */
void file_sync_folder(const char *path);

/* "root/path", or path itself when it is absolute or root is empty or NULL. malloc'ed; NULL: no memory. */
char *file_join(const char *root, const char *path);

#endif
