/* h5_private.h - what the files behind io/h5.h share. The only place that includes hdf5.h. */
#ifndef SANDGLASS_IO_H5_PRIVATE_H
#define SANDGLASS_IO_H5_PRIVATE_H

#include "io/h5.h"

#include <hdf5.h>

enum {
    OPEN_ARRAYS = 8,      /* arrays kept open, with their chunk caches */
    MAX_EXPANSION = 1100, /* deflate packs at most 1032 : 1 */
    WORDS_BYTES = 512,
    PATH_BYTES = 1024, /* of an object within a file */
};

struct H5 {
    char *path, *tmp_path; /* tmp_path NULL: read-only */
    int fd;
    haddr_t eof;  /* of the file as HDF5 believes it to be */
    int io_error; /* errno of the first failed read or write; 0: none */
    hid_t driver, id;
    bool committed;
    struct OpenArray {
        char *path;
        hid_t id;
        H5Array shape;
    } open[OPEN_ARRAYS];
    int next_open;         /* the one to give up next */
    char fine[PATH_BYTES]; /* of a file that is only read: the last path that h5_link_state found fine */
};

/* Around every use of the library: one thread at a time, and nothing printed. leave passes `code` on. */
typedef struct H5Session {
    H5E_auto2_t print;
    void *print_data;
} H5Session;
H5Session h5_enter(void);
Err h5_leave(H5Session session, Err code);

/* "PATH: WHAT: the library's innermost words", or what the operating system said when it refused.
 * To be called at once: the library's next call, be it a close, clears its words. */
Err h5_fail(const H5 *f, Error *err, const char *format, ...) PRINTF_LIKE(3, 4);

/* Whether there is an object, reached without soft or external links: those could lead into other files. */
typedef enum H5LinkState { LINK_FINE, LINK_ABSENT, LINK_REFUSED } H5LinkState;
H5LinkState h5_link_state(const H5 *f, const char *path);
Err h5_check_path(const H5 *f, const char *path, Error *err);
/* Make the groups above `path`, and with `whole` path itself. */
bool h5_make_groups(const H5 *f, const char *path, bool whole);

#endif
