/* file.h - whole files: read into memory, or put in place in one piece. */
#ifndef SANDGLASS_IO_FILE_H
#define SANDGLASS_IO_FILE_H

#include "base/error.h"

#include <stdint.h>

/* Read a file; *bytes is malloc'ed and the caller's. At most max_bytes are read (a file may go on behind them);
 * *file_bytes (may be NULL) is the length of the whole file. Folders and missing files are errors that name the path.
 */
Err file_read(const char *path, size_t max_bytes, uint8_t **bytes, size_t *n, size_t *file_bytes, Error *err);

/* Write aside (same folder) and rename: `path` is the old file or the new one, never a part. Not flushed to the disk:
 * meant for pictures, not for checkpoints. */
Err file_replace(const char *path, const void *bytes, size_t n, Error *err);

/* "root/path", or path itself when it is absolute or root is empty or NULL. malloc'ed. */
char *file_join(const char *root, const char *path);

#endif
