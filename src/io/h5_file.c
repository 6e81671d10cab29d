/* h5_file.c - HDF5 files as a whole: opening, writing aside, putting in place; the way to objects inside. See h5.h.
 *
 * Files are reached through a small file driver of our own instead of HDF5's: reading needs no locks that way, and a
 * failed write (disk full) never reaches the library, which could not close its file any more; it is remembered here
 * and reported by us. Behind the last byte HDF5 knows of, commit adds a checksum of all that is before it (readers pay
 * no heed to it): HDF5 1.10 checks little of its own structures, and a flipped bit in them can crash it. What the
 * library says stays in its error stack, from which h5_fail takes the innermost words.
 */
#include "io/file.h"
#include "io/h5_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- one at a time ---- */

/* The library's state is one per process, and most builds of it are not made for threads, while a loader's thread may
 * read a dataset as another writes a checkpoint. So this is the one variable of the program that is not a constant. */
static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;

H5Session h5_enter(void) {
    H5Session s = {0};
    pthread_mutex_lock(&library_lock);
    H5Eget_auto2(H5E_DEFAULT, &s.print, &s.print_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5Eclear2(H5E_DEFAULT);
    return s;
}

Err h5_leave(H5Session s, Err code) {
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, s.print, s.print_data);
    pthread_mutex_unlock(&library_lock);
    return code;
}

/* ---- words ---- */

static herr_t take_words(unsigned n, const H5E_error2_t *entry, void *words) {
    if (n == 0 && entry->desc) snprintf(words, WORDS_BYTES, "%s", entry->desc);
    return 0;
}

Err h5_fail(const H5 *f, Error *err, const char *format, ...) {
    if (f->io_error && f->tmp_path)
        return err_set(err, ERR_IO, "cannot write '%s': %s", f->path, strerror(f->io_error));
    if (f->io_error) return err_set(err, ERR_IO, "cannot read '%s': %s", f->path, strerror(f->io_error));
    char what[WORDS_BYTES], words[WORDS_BYTES] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_words, words);
    if (words[0]) return err_set(err, ERR_FORMAT, "%s: %s: %s", f->path, what, words);
    return err_set(err, ERR_FORMAT, "%s: %s", f->path, what);
}

/* ---- the file driver ---- */

typedef struct DriverInfo {
    H5 *owner;
} DriverInfo;

typedef struct DriverFile {
    H5FD_t base; /* HDF5's part; must come first */
    H5 *owner;
    haddr_t eoa; /* end of what HDF5 has allocated */
} DriverFile;

/* The library may open the same file twice on the way (to look for an open one), so this takes the owner's descriptor
 * and closes nothing. */
static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t maxaddr) {
    const DriverInfo *info = H5Pget_driver_info(fapl);
    DriverFile *file = info ? calloc(1, sizeof *file) : NULL;
    if (!file) return NULL;
    file->owner = info->owner;
    return &file->base;
}

static herr_t driver_close(H5FD_t *base) {
    free(base);
    return 0;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags) {
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *base, H5FD_mem_t type) {
    return ((const DriverFile *)base)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t addr) {
    ((DriverFile *)base)->eoa = addr;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *base, H5FD_mem_t type) {
    return ((const DriverFile *)base)->owner->eof;
}

/* Bytes beyond the end are zeros, as in HDF5's own driver. */
static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, void *buffer) {
    H5 *f = ((DriverFile *)base)->owner;
    char *to = buffer;
    while (size > 0) {
        ssize_t n = pread(f->fd, to, size, (off_t)addr);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            f->io_error = errno;
            return -1;
        }
        if (n == 0) {
            memset(to, 0, size);
            break;
        }
        to += n;
        size -= (size_t)n;
        addr += (haddr_t)n;
    }
    return 0;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t dxpl, haddr_t addr, size_t size, const void *buffer) {
    H5 *f = ((DriverFile *)base)->owner;
    if (addr + size > f->eof) f->eof = addr + size;
    const char *from = buffer;
    while (size > 0 && !f->io_error) {
        ssize_t n = pwrite(f->fd, from, size, (off_t)addr);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            f->io_error = n < 0 ? errno : ENOSPC;
            break;
        }
        from += n;
        size -= (size_t)n;
        addr += (haddr_t)n;
    }
    return 0; /* a failure comes out in h5_commit */
}

static herr_t driver_truncate(H5FD_t *base, hid_t dxpl, hbool_t closing) {
    DriverFile *file = (DriverFile *)base;
    H5 *f = file->owner;
    if (!f->tmp_path || file->eoa == f->eof) return 0;
    if (!f->io_error && ftruncate(f->fd, (off_t)file->eoa) != 0) f->io_error = errno;
    f->eof = file->eoa;
    return 0;
}

static hid_t driver_register(void) {
    const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 2)
        .version = H5FD_CLASS_VERSION,
        .value = (H5FD_class_value_t)600, /* from the range for private use */
#endif
        .name = "sandglass",
        .maxaddr = ((haddr_t)1 << 62),
        .fc_degree = H5F_CLOSE_STRONG,
        .fapl_size = sizeof(DriverInfo),
        .open = driver_open,
        .close = driver_close,
        .query = driver_query,
        .get_eoa = driver_get_eoa,
        .set_eoa = driver_set_eoa,
        .get_eof = driver_get_eof,
        .read = driver_read,
        .write = driver_write,
        .truncate = driver_truncate,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    return H5FDregister(&driver);
}

/* ---- whole files ---- */

static H5 *file_new(const char *path) {
    H5 *f = calloc(1, sizeof *f);
    if (!f) return NULL;
    f->fd = -1;
    f->id = f->driver = H5I_INVALID_HID;
    f->path = strdup(path);
    return f;
}

static hid_t access_properties(H5 *f) {
    f->driver = driver_register();
    hid_t fapl = H5Pcreate(H5P_FILE_ACCESS);
    DriverInfo info = {f};
    H5Pset_driver(fapl, f->driver, &info);
    H5Pset_fclose_degree(fapl, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(fapl, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
    return fapl;
}

static void close_arrays(H5 *f) {
    for (int i = 0; i < OPEN_ARRAYS; i++)
        if (f->open[i].path) {
            H5Dclose(f->open[i].id);
            free(f->open[i].path);
            f->open[i].path = NULL;
        }
}

/* Give everything of the library's back; false when it could not close its file. */
static bool close_library_file(H5 *f) {
    close_arrays(f);
    bool closed = f->id < 0 || H5Fclose(f->id) >= 0;
    f->id = H5I_INVALID_HID;
    if (f->driver >= 0) H5FDunregister(f->driver);
    f->driver = H5I_INVALID_HID;
    return closed;
}

static void file_free(H5 *f) {
    close_library_file(f);
    if (f->fd >= 0) close(f->fd);
    if (f->tmp_path && !f->committed) unlink(f->tmp_path);
    free(f->tmp_path);
    free(f->path);
    free(f);
}

/* The library's words for the commonest damages, in ours. */
static Err fail_open(const H5 *f, Error *err) {
    char words[WORDS_BYTES] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_words, words);
    if (f->eof == 0) return err_set(err, ERR_FORMAT, "%s: empty file, not an HDF5 file", f->path);
    if (strstr(words, "signature not found")) return err_set(err, ERR_FORMAT, "%s: not an HDF5 file", f->path);
    unsigned long long stored = 0;
    const char *at = strstr(words, "stored_eof = ");
    if (strstr(words, "truncated file") && at && sscanf(at, "stored_eof = %llu", &stored) == 1)
        return err_set(err, ERR_FORMAT, "%s: truncated file: %llu bytes of %llu", f->path, (unsigned long long)f->eof,
                       stored);
    return h5_fail(f, err, "damaged HDF5 file");
}

/* ---- the checksum behind the file ---- */

enum { CHECKED_BYTES = 1 << 30 }; /* opening larger files would take too long; their chunks have checksums */

typedef struct Trailer {
    char magic[8];
    uint64_t bytes; /* before the trailer; little-endian, as all machines this runs on */
    uint32_t crc, zero;
} Trailer;
static const char trailer_magic[8] = "SGCRC32";

/* crc32 of the first `bytes` of the file; false when they cannot be read. */
static bool checksum(H5 *f, uint64_t bytes, uint32_t *out) {
    enum { PIECE_BYTES = 1 << 20 };
    uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece) return false;
    uLong crc = crc32(0, NULL, 0);
    uint64_t at = 0;
    while (at < bytes) {
        size_t wanted = bytes - at < PIECE_BYTES ? (size_t)(bytes - at) : PIECE_BYTES;
        ssize_t n = pread(f->fd, piece, wanted, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) f->io_error = errno;
        if (n <= 0) break;
        crc = crc32(crc, piece, (uInt)n);
        at += (uint64_t)n;
    }
    free(piece);
    *out = (uint32_t)crc;
    return at == bytes;
}

static void append_trailer(H5 *f) {
    if (f->eof > CHECKED_BYTES) return;
    Trailer t = {.bytes = f->eof};
    memcpy(t.magic, trailer_magic, sizeof t.magic);
    if (!checksum(f, t.bytes, &t.crc)) {
        if (!f->io_error) f->io_error = EIO;
        return;
    }
    ssize_t n = pwrite(f->fd, &t, sizeof t, (off_t)f->eof);
    if (n != (ssize_t)sizeof t) f->io_error = n < 0 ? errno : ENOSPC;
}

/* Files without a trailer (of other writers) pass. */
static Err check_trailer(H5 *f, Error *err) {
    Trailer t;
    if (f->eof < sizeof t || pread(f->fd, &t, sizeof t, (off_t)(f->eof - sizeof t)) != (ssize_t)sizeof t) return OK;
    uint32_t crc;
    if (memcmp(t.magic, trailer_magic, sizeof t.magic) != 0 || t.bytes != f->eof - sizeof t) return OK;
    bool same = checksum(f, t.bytes, &crc) && crc == t.crc;
    if (f->io_error) return h5_fail(f, err, "cannot read");
    if (!same) return err_set(err, ERR_FORMAT, "%s: damaged file: its content does not match its checksum", f->path);
    return OK;
}

static Err open_locked(H5 *f, Error *err) {
    f->fd = file_open_read(f->path);
    struct stat st;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return err_set(err, ERR_IO, "cannot open '%s': %s", f->path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return err_set(err, ERR_IO, "cannot open '%s': not a regular file", f->path);
    f->eof = (haddr_t)st.st_size;
    TRY(check_trailer(f, err));
    hid_t fapl = access_properties(f);
    f->id = H5Fopen(f->path, H5F_ACC_RDONLY, fapl);
    Err code = f->id < 0 ? fail_open(f, err) : OK;
    H5Pclose(fapl);
    return code;
}

Err h5_open(H5 **out, const char *path, Error *err) {
    *out = NULL;
    H5 *f = file_new(path);
    if (!f) return err_set(err, ERR_MEMORY, "out of memory");
    H5Session s = h5_enter();
    Err code = open_locked(f, err);
    if (code == OK)
        *out = f;
    else
        file_free(f);
    return h5_leave(s, code);
}

void h5_remove_stale(const char *path) {
    static const char signature[8] = "\211HDF\r\n\032\n";
    file_remove_stale(path, signature, sizeof signature);
}

static Err create_locked(H5 *f, Error *err) {
    h5_remove_stale(f->path);
    f->fd = file_open_aside(f->path, &f->tmp_path);
    if (f->fd < 0) return err_set(err, ERR_IO, "cannot write '%s': %s", f->path, strerror(errno));
    hid_t fapl = access_properties(f);
    f->id = H5Fcreate(f->tmp_path, H5F_ACC_TRUNC, H5P_DEFAULT, fapl);
    Err code = f->id < 0 || f->io_error ? h5_fail(f, err, "cannot start the file") : OK;
    H5Pclose(fapl);
    return code;
}

Err h5_create(H5 **out, const char *path, Error *err) {
    *out = NULL;
    H5 *f = file_new(path);
    if (!f) return err_set(err, ERR_MEMORY, "out of memory");
    H5Session s = h5_enter();
    Err code = create_locked(f, err);
    if (code == OK)
        *out = f;
    else
        file_free(f);
    return h5_leave(s, code);
}

/* A second name for what is at `path`, so that `path` itself is never absent: a link aside, renamed into place. File
 * systems without links get a rename. */
static void keep_previous(const char *path, const char *keep_as) {
    char *aside;
    h5_remove_stale(keep_as);
    int fd = file_open_aside(keep_as, &aside);
    if (fd < 0) return;
    unlink(aside); /* the name is known to be nobody's; link() wants it free */
    if (link(path, aside) == 0) {
        rename(aside, keep_as);
        unlink(aside); /* still there when rename failed, or when keep_as was the same file already */
    } else if (errno != ENOENT) {
        rename(path, keep_as);
    }
    close(fd);
    free(aside);
}

static Err commit_locked(H5 *f, const char *keep_as, Error *err) {
    bool closed = close_library_file(f);
    if (!closed || f->io_error) return h5_fail(f, err, "cannot finish the file");
    append_trailer(f);
    if (!f->io_error && fsync(f->fd) != 0) f->io_error = errno;
    if (f->io_error) return h5_fail(f, err, "cannot finish the file");
    if (keep_as) keep_previous(f->path, keep_as);
    if (rename(f->tmp_path, f->path) != 0) {
        f->io_error = errno;
        return h5_fail(f, err, "cannot finish the file");
    }
    f->committed = true;
    file_sync_folder(f->path);
    return OK;
}

Err h5_commit(H5 *file, const char *keep_as, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, commit_locked(file, keep_as, err));
}

void h5_close(H5 *file) {
    if (!file) return;
    H5Session s = h5_enter();
    file_free(file);
    h5_leave(s, OK);
}

const char *h5_path(const H5 *file) {
    return file->path;
}

#define TEXT_OF(number) #number
#define DOTTED(a, b, c) TEXT_OF(a) "." TEXT_OF(b) "." TEXT_OF(c)

const char *h5_library_version(void) {
    return DOTTED(H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE);
}

/* ---- finding objects ---- */

/* Call for "/a", "/a/b", ... of "/a/b/..."; the walk ends where visit returns false. Returns whether it came through.
 */
typedef bool (*VisitPrefix)(const H5 *f, const char *prefix, bool last, void *context);
static bool each_prefix(const H5 *f, const char *path, VisitPrefix visit, void *context) {
    char prefix[PATH_BYTES];
    size_t n = strlen(path);
    if (n == 0 || path[0] != '/' || n >= sizeof prefix) return false;
    if (n == 1) return true;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/') continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        if (!visit(f, prefix, i == n, context)) return false;
    }
    return true;
}

/* A link that the last path had too. Weights are read in the order of the network, and neighbours share most of their
 * paths: looking each link up anew is a quarter of the time it takes to open a model. */
static bool known_link(const H5 *f, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(f->fine, prefix, n) == 0 && (f->fine[n] == '/' || f->fine[n] == '\0');
}

static bool check_link(const H5 *f, const char *prefix, bool last, void *context) {
    H5LinkState *state = context;
    H5L_info_t info;
    if (known_link(f, prefix)) return true;
    if (H5Lexists(f->id, prefix, H5P_DEFAULT) <= 0)
        *state = LINK_ABSENT;
    else if (H5Lget_info(f->id, prefix, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_HARD)
        *state = LINK_REFUSED;
    return *state == LINK_FINE;
}

H5LinkState h5_link_state(const H5 *f, const char *path) {
    H5LinkState state = LINK_FINE;
    if (!each_prefix(f, path, check_link, &state) && state == LINK_FINE) state = LINK_ABSENT;
    /* a cache: nothing the caller can see; what is longer was found absent */
    if (state == LINK_FINE && !f->tmp_path) memcpy(((H5 *)f)->fine, path, strlen(path) + 1);
    return state;
}

Err h5_check_path(const H5 *f, const char *path, Error *err) {
    H5LinkState state = h5_link_state(f, path);
    if (f->io_error) return h5_fail(f, err, "cannot read");
    if (state == LINK_REFUSED)
        return err_set(err, ERR_FORMAT, "%s: '%s' is reached through a soft or external link; such links are refused",
                       f->path, path);
    if (state == LINK_ABSENT) return err_set(err, ERR_FORMAT, "%s: there is no '%s'", f->path, path);
    return OK;
}

static bool make_group(const H5 *f, const char *prefix, bool last, void *context) {
    if (last && !*(const bool *)context) return true;
    if (H5Lexists(f->id, prefix, H5P_DEFAULT) > 0) return true;
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(properties, false);
    hid_t id = H5Gcreate2(f->id, prefix, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    if (id >= 0) H5Gclose(id);
    return id >= 0;
}

bool h5_make_groups(const H5 *f, const char *path, bool whole) {
    return each_prefix(f, path, make_group, &whole);
}
