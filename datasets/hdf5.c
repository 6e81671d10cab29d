/* hdf5.c - a packed dataset: one HDF5 file, read a sample at a time, so it may be larger than memory.
 *
 *     /            attributes format = "sandglass-dataset", version = 1
 *     /classes     names, variable-length UTF-8               (absent: none)
 *     /palette     n_classes, 3   u8                          (absent: none)
 *     /train       a group per split:
 *       images     n, H, W, C     u8 | u16 | f32
 *       masks      n, H, W        u8: class indices, 255 ignored    (absent: none)
 *       labels     n              i32                               (absent: none)
 *
 * Where samples differ in size, a split has its pixels one behind the other instead:
 *
 *       images     all values     u8 | u16 | f32; sample i is [offsets[i], offsets[i + 1]), H, W, C in row-major order
 *       masks      all pixels     u8; sample i begins at offsets[i] / C
 *       offsets    n + 1          i64
 *       sizes      n, 2           i64: H, W
 *       images has the attribute `channels` = C
 *
 * A chunk is a sample (64 KiB where samples are laid end to end), with Fletcher32 checksums, deflated on request.
 * `sandglass pack` writes such files (src/data/pack.c); any HDF5 tool can.
 */
#include "data/dataset.h"
#include "io/file.h"
#include "io/h5.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, MAX_CHANNELS = 1024 };

typedef struct Hdf5 {
    const char *file, *group;
} Hdf5;

static const Param hdf5_params[] = {
    {"file", PARAM_STRING, offsetof(Hdf5, file), NULL, 0, 0, NULL, "packed dataset, below data.root"},
    {"group", PARAM_STRING, offsetof(Hdf5, group), "", 0, 0, NULL, "split in the file; default: the split's own name"},
    {0}};

struct Dataset {
    H5 *file;
    const char *path, *group;            /* group: its name without the slash */
    const char *images, *masks, *labels; /* paths in the file; NULL: none */
    int64_t n;
    int channels, height, width; /* height 0: sizes differ */
    H5Type type;
    int64_t *offsets, *sizes; /* of samples that differ in size; else NULL */
};

static int depth_of(H5Type type) {
    return type == H5_U8 ? 8 : type == H5_U16 ? 16 : 32;
}

/* ---- opening ---- */

static Err check_format(const Dataset *d, Arena *arena, Error *err) {
    const char *format = "";
    int64_t version = 0;
    if (h5_has_attr(d->file, "/", "format")) TRY(h5_get_text(d->file, "/", "format", &format, arena, err));
    if (strcmp(format, "sandglass-dataset") != 0)
        return err_set(err, ERR_FORMAT,
                       "%s: is no packed dataset (its attribute 'format' is %s); 'sandglass pack' "
                       "makes them",
                       d->path, format[0] != '\0' ? format : "missing");
    TRY(h5_get_int(d->file, "/", "version", &version, err));
    if (version == VERSION) return OK;
    return err_set(err, ERR_FORMAT, "%s: is a packed dataset of version %" PRId64 ", this program reads version %d",
                   d->path, version, VERSION);
}

/* The groups of the file, for a message. */
static Err no_group(const Dataset *d, Arena *arena, Error *err) {
    int n = 0;
    const char *const *names = NULL;
    char known[256] = "";
    TRY(h5_list(d->file, "/", &n, &names, arena, err));
    for (int i = 0; i < n; i++) {
        size_t used = strlen(known);
        if (strcmp(names[i], "classes") == 0 || strcmp(names[i], "palette") == 0 || used + 2 >= sizeof known) continue;
        snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", names[i]);
    }
    return err_set(err, ERR_DATA, "%s: has no split '%s'; it has: %s", d->path, d->group, known);
}

static Err damaged(const Dataset *d, const char *array, const char *what, Error *err) {
    return err_set(err, ERR_FORMAT, "%s: damaged: %s %s", d->path, array, what);
}

static bool sound_size(int64_t height, int64_t width, int64_t channels, H5Type type) {
    return height > 0 && width > 0 && channels > 0 && channels <= MAX_CHANNELS && height <= IMAGE_MAX_PIXELS &&
           width <= IMAGE_MAX_PIXELS && height * width <= IMAGE_MAX_PIXELS &&
           height * width * channels * (depth_of(type) / 8) <= IMAGE_MAX_BYTES;
}

/* Samples laid end to end: read and check where each begins. */
static Err read_offsets(Dataset *d, const H5Array *images, Arena *arena, Error *err) {
    const char *offsets = arena_printf(arena, "/%s/offsets", d->group);
    const char *sizes = arena_printf(arena, "/%s/sizes", d->group);
    H5Array a;
    int64_t channels = 0;
    TRY(h5_get_int(d->file, d->images, "channels", &channels, err));
    TRY(h5_stat(d->file, sizes, &a, err));
    if (a.type != H5_I64 || a.rank != 2 || a.dim[1] != 2 || a.dim[0] < 1)
        return damaged(d, sizes, "is no list of sizes", err);
    d->n = a.dim[0];
    d->channels = channels > 0 && channels <= MAX_CHANNELS ? (int)channels : 0;
    d->sizes = malloc((size_t)d->n * 2 * sizeof *d->sizes);
    d->offsets = malloc(((size_t)d->n + 1) * sizeof *d->offsets);
    if (d->sizes == NULL || d->offsets == NULL) return err_set(err, ERR_MEMORY, "%s: no memory for its sizes", d->path);
    TRY(h5_read(d->file, sizes, a, d->sizes, err));
    TRY(h5_read(d->file, offsets, (H5Array){H5_I64, 1, {d->n + 1}}, d->offsets, err));
    for (int64_t i = 0; i < d->n; i++) {
        int64_t height = d->sizes[2 * i], width = d->sizes[2 * i + 1];
        if (!sound_size(height, width, d->channels, d->type)) return damaged(d, sizes, "holds an impossible size", err);
        int64_t values;
        if (__builtin_sub_overflow(d->offsets[i + 1], d->offsets[i], &values) || d->offsets[i] < 0 ||
            d->offsets[i] > images->dim[0] || values != height * width * d->channels)
            return damaged(d, offsets, "does not agree with the sizes", err);
    }
    if (d->offsets[0] != 0 || d->offsets[d->n] != images->dim[0])
        return damaged(d, offsets, "does not agree with the number of values in images", err);
    return OK;
}

static Err open_images(Dataset *d, Arena *arena, Error *err) {
    H5Array a;
    TRY(h5_stat(d->file, d->images, &a, err));
    d->type = a.type;
    if ((a.rank != 4 && a.rank != 1) || (a.type != H5_U8 && a.type != H5_U16 && a.type != H5_F32))
        return damaged(d, d->images, "must be n, height, width, channels of 8 or 16 bit unsigned or 32 bit float", err);
    if (a.rank == 1) return read_offsets(d, &a, arena, err);
    if (a.dim[0] < 1 || !sound_size(a.dim[1], a.dim[2], a.dim[3], d->type))
        return damaged(d, d->images, "has an impossible size", err);
    d->n = a.dim[0];
    d->height = (int)a.dim[1];
    d->width = (int)a.dim[2];
    d->channels = (int)a.dim[3];
    return OK;
}

static Err open_targets(Dataset *d, Error *err) {
    H5Array a;
    if (d->masks != NULL) {
        TRY(h5_stat(d->file, d->masks, &a, err));
        bool same = a.type == H5_U8 && a.rank == (d->offsets != NULL ? 1 : 3);
        if (same && d->offsets != NULL) same = a.dim[0] == d->offsets[d->n] / d->channels;
        if (same && d->offsets == NULL) same = a.dim[0] == d->n && a.dim[1] == d->height && a.dim[2] == d->width;
        if (!same) return damaged(d, d->masks, "does not have the images' number and size", err);
    }
    if (d->labels == NULL) return OK;
    TRY(h5_stat(d->file, d->labels, &a, err));
    if (a.type != H5_I32 || a.rank != 1 || a.dim[0] != d->n)
        return damaged(d, d->labels, "does not have a number for each image", err);
    return OK;
}

static Err read_classes(const Dataset *d, DatasetInfo *info, Arena *arena, Error *err) {
    if (!h5_exists(d->file, "/classes")) return OK;
    TRY(h5_read_texts(d->file, "/classes", &info->n_classes, &info->class_names, arena, err));
    if (info->n_classes > MAX_CLASSES) return damaged(d, "/classes", "has more than 255 names", err);
    if (!h5_exists(d->file, "/palette") || info->n_classes == 0) return OK;
    uint8_t(*palette)[3] = arena_alloc(arena, (size_t)info->n_classes * 3);
    TRY(h5_read(d->file, "/palette", (H5Array){H5_U8, 2, {info->n_classes, 3}}, palette, err));
    info->palette = (const uint8_t(*)[3])palette;
    return OK;
}

static Err open_file(Dataset *d, DatasetInfo *info, Arena *arena, Error *err) {
    TRY(h5_open(&d->file, d->path, err));
    TRY(check_format(d, arena, err));
    d->images = arena_printf(arena, "/%s/images", d->group);
    d->masks = arena_printf(arena, "/%s/masks", d->group);
    d->labels = arena_printf(arena, "/%s/labels", d->group);
    if (!h5_exists(d->file, d->images)) return no_group(d, arena, err);
    if (!h5_exists(d->file, d->masks)) d->masks = NULL;
    if (!h5_exists(d->file, d->labels)) d->labels = NULL;
    TRY(open_images(d, arena, err));
    TRY(open_targets(d, err));
    return read_classes(d, info, arena, err);
}

static void hdf5_close(Dataset *d) {
    if (d == NULL) return;
    h5_close(d->file);
    free(d->offsets);
    free(d->sizes);
    free(d);
}

static Err hdf5_open(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    const Hdf5 *p = params;
    char *path = file_join(env->root, p->file);
    Dataset *d = path != NULL ? calloc(1, sizeof *d) : NULL;
    if (d == NULL) {
        free(path);
        return err_set(err, ERR_MEMORY, "no memory for a dataset");
    }
    d->path = arena_strdup(env->arena, path);
    free(path);
    d->group = arena_strdup(env->arena, p->group != NULL && p->group[0] != '\0' ? p->group : env->split);
    *info = (DatasetInfo){0};
    Err code = open_file(d, info, env->arena, err);
    if (code != OK) {
        hdf5_close(d);
        return code;
    }
    info->n = d->n;
    info->channels = d->channels;
    info->height = d->height;
    info->width = d->width;
    info->depth = depth_of(d->type);
    info->has_mask = d->masks != NULL;
    info->has_label = d->labels != NULL;
    info->masks_mapped = true;
    *out = d;
    return OK;
}

/* ---- reading ---- */

static Err hdf5_read(Dataset *d, int64_t i, Sample *out, Error *err) {
    int height = d->sizes != NULL ? (int)d->sizes[2 * i] : d->height;
    int width = d->sizes != NULL ? (int)d->sizes[2 * i + 1] : d->width;
    int64_t first = i, n = 1, first_pixel = i, n_pixels = 1; /* rows to read */
    if (d->offsets != NULL) {
        first = d->offsets[i];
        n = d->offsets[i + 1] - first;
        first_pixel = first / d->channels;
        n_pixels = n / d->channels;
    }
    TRY(image_new(&out->image, width, height, d->channels, depth_of(d->type), err));
    TRY(h5_read_rows(d->file, d->images, d->type, first, n, out->image.data, err));
    if (d->masks != NULL) {
        TRY(image_new(&out->mask, width, height, 1, 8, err));
        TRY(h5_read_rows(d->file, d->masks, H5_U8, first_pixel, n_pixels, out->mask.data, err));
    }
    out->label = -1;
    return d->labels != NULL ? h5_read_rows(d->file, d->labels, H5_I32, i, 1, &out->label, err) : OK;
}

static void hdf5_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s: %s[%" PRId64 "]", d->path, d->group, i);
}

static Err hdf5_label_of(Dataset *d, int64_t i, int32_t *label, Error *err) {
    *label = -1;
    return d->labels != NULL ? h5_read_rows(d->file, d->labels, H5_I32, i, 1, label, err) : OK;
}

const DatasetKind dataset_hdf5 = {
    .name = "hdf5",
    .doc = "a packed dataset in one HDF5 file, as 'sandglass pack' writes it",
    .params = hdf5_params,
    .params_bytes = sizeof(Hdf5),
    .open = hdf5_open,
    .read = hdf5_read,
    .name_of = hdf5_name_of,
    .label_of = hdf5_label_of,
    .close = hdf5_close,
    .parallel = false,
};
