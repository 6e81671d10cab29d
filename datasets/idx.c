/* idx.c - the IDX files of MNIST and its kin: grey pictures, and labels.
 *
 * A file is a header of big-endian 32-bit words and unsigned bytes behind it: magic 2051, count, height, width, pixels;
 * or magic 2049, count, labels. Plain or gzip, told apart by content. Both files are held in memory whole, and samples
 * are handed out as views. Other element types of IDX (shorts, floats ...) are not read.
 */
#include "data/dataset.h"
#include "io/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { MAGIC_LABELS = 0x0801, MAGIC_IMAGES = 0x0803, IMAGES_HEADER = 16, LABELS_HEADER = 8 };

typedef struct Idx {
    const char *images, *labels;
} Idx;

static const Param idx_params[] = {
    {"images", PARAM_STRING, offsetof(Idx, images), NULL, 0, 0, NULL,
     "IDX file of pictures, below data.root; a .gz may be added or missing"},
    {"labels", PARAM_STRING, offsetof(Idx, labels), "", 0, 0, NULL, "IDX file of labels; absent: no labels"},
    {0}};

/* What an IDX file holds; bytes is the whole file, uncompressed. */
typedef struct IdxFile {
    uint8_t *bytes;
    const uint8_t *data;
    int64_t n;
    int height, width; /* 1, 1 for labels */
} IdxFile;

struct Dataset {
    IdxFile images, labels; /* labels.bytes NULL: none */
    const char *split;
};

static uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Length of the file that begins with this header, at most 2^62; 0 when the header is no IDX one. */
static uint64_t expected_bytes(const uint8_t *header, size_t n) {
    if (n < LABELS_HEADER) return 0;
    uint64_t count = get32(header + 4);
    if (get32(header) == MAGIC_LABELS) return LABELS_HEADER + count;
    if (get32(header) != MAGIC_IMAGES || n < IMAGES_HEADER) return 0;
    uint64_t height = get32(header + 8), width = get32(header + 12);
    if (height > 1 << 16 || width > 1 << 16 || count * height > ((uint64_t)1 << 62) / (width + 1)) return 0;
    return IMAGES_HEADER + count * height * width;
}

/* Inflate a gzip file. Memory grows with the data that come, not with what a header claims; a byte more than the header
 * wants is enough to know that there are too many. */
static Err gunzip(const char *path, const uint8_t *packed, size_t n_packed, uint8_t **bytes, size_t *n, Error *err) {
    enum { FIRST_BYTES = 1 << 16, GZIP_ONLY = 16 + MAX_WBITS };
    z_stream z = {0};
    if (inflateInit2(&z, GZIP_ONLY) != Z_OK) return err_set(err, ERR_MEMORY, "%s: no memory to inflate it", path);
    Err code = OK;
    uint8_t *out = NULL;
    size_t have = 0, room = 0, fed = 0, limit = SIZE_MAX;
    int state = Z_OK;
    while (state == Z_OK && have < limit) {
        if (have == room) {
            size_t more = room == 0 ? FIRST_BYTES : 2 * room;
            if (more > limit) more = limit;
            uint8_t *grown = realloc(out, more);
            if (grown == NULL) {
                code = err_set(err, ERR_MEMORY, "%s: no memory for %zu bytes", path, more);
                goto done;
            }
            out = grown;
            room = more;
        }
        size_t give = n_packed - fed < 1u << 30 ? n_packed - fed : 1u << 30;
        size_t take = room - have < 1u << 30 ? room - have : 1u << 30;
        z.next_in = (Bytef *)packed + fed; /* zlib does not write there */
        z.avail_in = (uInt)give;
        z.next_out = out + have;
        z.avail_out = (uInt)take;
        state = inflate(&z, Z_NO_FLUSH);
        fed += give - z.avail_in;
        have += take - z.avail_out;
        if (limit == SIZE_MAX && have >= IMAGES_HEADER) {
            uint64_t expected = expected_bytes(out, have);
            limit = expected > 0 && expected < SIZE_MAX ? (size_t)expected + 1 : have;
            if (limit < have) limit = have;
        }
    }
    if (state == Z_BUF_ERROR)
        code = err_set(err, ERR_DATA, "%s: truncated: its gzip data end early", path);
    else if (state != Z_OK && state != Z_STREAM_END)
        code = err_set(err, ERR_DATA, "%s: damaged: its gzip data cannot be inflated", path);
done:
    inflateEnd(&z);
    if (code != OK) {
        free(out);
        return code;
    }
    *bytes = out;
    *n = have;
    return OK;
}

static Err check_file(const char *path, const uint8_t *bytes, size_t n, uint32_t magic, Error *err) {
    const char *what = magic == MAGIC_IMAGES ? "images" : "labels";
    if (n < 8) return err_set(err, ERR_DATA, "%s: truncated: %zu bytes are no IDX file", path, n);
    uint32_t found = get32(bytes);
    if (found != magic) {
        bool swapped = found == MAGIC_IMAGES || found == MAGIC_LABELS;
        return err_set(err, ERR_DATA,
                       "%s: not an IDX file of %s: it begins with 0x%08" PRIx32 ", 0x%08" PRIx32 " wanted%s", path,
                       what, found, magic, swapped ? "; are images and labels swapped?" : "");
    }
    uint64_t expected = expected_bytes(bytes, n);
    if (n >= IMAGES_HEADER && expected == 0)
        return err_set(err, ERR_DATA, "%s: damaged: its IDX header gives an impossible size", path);
    if (n < IMAGES_HEADER && magic == MAGIC_IMAGES)
        return err_set(err, ERR_DATA, "%s: truncated: %zu bytes are no IDX file of images", path, n);
    if (n < expected)
        return err_set(err, ERR_DATA,
                       "%s: truncated: its header says %" PRIu32 " %s in %" PRIu64 " bytes, the file has %zu", path,
                       get32(bytes + 4), what, expected, n);
    if (n > expected)
        return err_set(err, ERR_DATA, "%s: damaged: it goes on behind the %" PRIu32 " %s its header says", path,
                       get32(bytes + 4), what);
    bool empty = magic == MAGIC_IMAGES ? expected == IMAGES_HEADER : expected == LABELS_HEADER;
    if (empty) return err_set(err, ERR_DATA, "%s: holds no %s", path, what);
    return OK;
}

/* The path to open: with .gz added or taken away when the name itself is not there. NULL: no memory. */
static char *find_file(const char *root, const char *name) {
    char *path = file_join(root, name);
    if (path == NULL || access(path, F_OK) == 0) return path;
    size_t length = strlen(path);
    char *other = malloc(length + 4);
    if (other == NULL) return path;
    memcpy(other, path, length + 1);
    if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
        other[length - 3] = '\0';
    else
        memcpy(other + length, ".gz", 4);
    if (access(other, F_OK) == 0) {
        free(path);
        return other;
    }
    free(other);
    return path;
}

static Err read_file(IdxFile *out, const char *root, const char *name, uint32_t magic, Error *err) {
    char *path = find_file(root, name);
    if (path == NULL) return err_set(err, ERR_MEMORY, "%s: no memory for its path", name);
    uint8_t *bytes = NULL;
    size_t n = 0;
    Err code = file_read(path, SIZE_MAX, &bytes, &n, NULL, err);
    if (code == OK && n >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B) {
        uint8_t *packed = bytes;
        bytes = NULL;
        code = gunzip(path, packed, n, &bytes, &n, err);
        free(packed);
    }
    if (code == OK) code = check_file(path, bytes, n, magic, err);
    free(path);
    if (code != OK) {
        free(bytes);
        return code;
    }
    bool images = magic == MAGIC_IMAGES;
    *out = (IdxFile){.bytes = bytes,
                     .data = bytes + (images ? IMAGES_HEADER : LABELS_HEADER),
                     .n = get32(bytes + 4),
                     .height = images ? (int)get32(bytes + 8) : 1,
                     .width = images ? (int)get32(bytes + 12) : 1};
    return OK;
}

static void idx_close(Dataset *d) {
    if (d == NULL) return;
    free(d->images.bytes);
    free(d->labels.bytes);
    free(d);
}

static int count_classes(const IdxFile *labels) {
    int largest = 0;
    for (int64_t i = 0; i < labels->n; i++)
        if (labels->data[i] > largest) largest = labels->data[i];
    return largest + 1;
}

static Err idx_open(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    const Idx *p = params;
    bool labelled = p->labels != NULL && p->labels[0] != '\0';
    Dataset *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(err, ERR_MEMORY, "no memory for a dataset");
    d->split = arena_strdup(env->arena, env->split);
    Err code = read_file(&d->images, env->root, p->images, MAGIC_IMAGES, err);
    if (code == OK && labelled) code = read_file(&d->labels, env->root, p->labels, MAGIC_LABELS, err);
    if (code == OK && labelled && d->labels.n != d->images.n)
        code = err_set(err, ERR_DATA, "%s: holds %" PRId64 " labels, but %s holds %" PRId64 " images", p->labels,
                       d->labels.n, p->images, d->images.n);
    if (code != OK) {
        idx_close(d);
        return code;
    }
    *info = (DatasetInfo){.n = d->images.n,
                          .channels = 1,
                          .height = d->images.height,
                          .width = d->images.width,
                          .depth = 8,
                          .has_label = labelled,
                          .n_classes = labelled ? count_classes(&d->labels) : 0};
    *out = d;
    return OK;
}

static void idx_view(const Dataset *d, int64_t i, Sample *out) {
    size_t bytes = (size_t)d->images.height * (size_t)d->images.width;
    *out = (Sample){.image = {.width = d->images.width, .height = d->images.height, .channels = 1, .depth = 8}};
    out->image.data = (uint8_t *)d->images.data + (size_t)i * bytes; /* a view: never written */
    out->label = d->labels.bytes != NULL ? d->labels.data[i] : -1;
}

static Err idx_read(Dataset *d, int64_t i, Sample *out, Error *err) {
    Sample view;
    idx_view(d, i, &view);
    TRY(image_new(&out->image, view.image.width, view.image.height, 1, 8, err));
    memcpy(out->image.data, view.image.data, image_bytes(&view.image));
    out->label = view.label;
    return OK;
}

static void idx_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s[%" PRId64 "]", d->split, i);
}

const DatasetKind dataset_idx = {
    .name = "idx",
    .doc = "IDX files of grey pictures and labels, plain or gzip (MNIST, Fashion-MNIST)",
    .params = idx_params,
    .params_bytes = sizeof(Idx),
    .open = idx_open,
    .read = idx_read,
    .name_of = idx_name_of,
    .view = idx_view,
    .close = idx_close,
    .parallel = true,
};
