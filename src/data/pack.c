/* pack.c - writes the dataset of a config as one HDF5 file. */
#include "data/pack.h"

#include "io/h5.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 1 << 20, FLAT_CHUNK = 1 << 16 };

/* A split on its way into the file. */
typedef struct Packing {
    H5 *file;
    Split *split;
    const char *name;
    const DatasetInfo *info;
    int64_t shape[4]; /* 1, C, H, W; H 0: sizes differ */
    int deflate;
    const char *images, *masks, *labels; /* paths */
    int64_t *offsets, *sizes;            /* of samples that differ in size */
    int32_t *label;
    PackProgress progress;
    void *context;
} Packing;

static H5Type type_of(int depth) {
    return depth == 8 ? H5_U8 : depth == 16 ? H5_U16 : H5_F32;
}

static Err make_arrays(const Packing *p, Error *err) {
    bool flat = p->shape[2] == 0;
    H5Layout layout = {
        .rows_per_chunk = flat ? FLAT_CHUNK : 1, .deflate = p->deflate, .fletcher32 = true, .extendible = true};
    H5Array images = {type_of(p->info->depth), 4, {0, p->shape[2], p->shape[3], p->shape[1]}};
    H5Array masks = {H5_U8, 3, {0, p->shape[2], p->shape[3]}};
    if (flat) images.rank = masks.rank = 1;
    TRY(h5_write(p->file, p->images, images, &layout, NULL, err));
    if (flat) TRY(h5_set_int(p->file, p->images, "channels", p->shape[1], err));
    return p->info->has_mask ? h5_write(p->file, p->masks, masks, &layout, NULL, err) : OK;
}

/* Samples of one size are collected, so that small ones do not cost a call each. */
typedef struct Batch {
    int64_t n, capacity;
    size_t image_bytes, mask_bytes; /* of a sample */
    uint8_t *images, *masks;
} Batch;

static Err flush(const Packing *p, Batch *b, Error *err) {
    if (b->n == 0) return OK;
    TRY(h5_append(p->file, p->images, b->n, b->images, err));
    if (p->info->has_mask) TRY(h5_append(p->file, p->masks, b->n, b->masks, err));
    b->n = 0;
    return OK;
}

static Err add_fixed(const Packing *p, Batch *b, const Sample *s, Error *err) {
    memcpy(b->images + (size_t)b->n * b->image_bytes, s->image.data, b->image_bytes);
    if (p->info->has_mask) memcpy(b->masks + (size_t)b->n * b->mask_bytes, s->mask.data, b->mask_bytes);
    b->n++;
    return b->n == b->capacity ? flush(p, b, err) : OK;
}

static Err add_flat(const Packing *p, int64_t i, const Sample *s, Error *err) {
    int64_t pixels = (int64_t)s->image.height * s->image.width;
    p->sizes[2 * i] = s->image.height;
    p->sizes[2 * i + 1] = s->image.width;
    p->offsets[i + 1] = p->offsets[i] + pixels * p->shape[1];
    TRY(h5_append(p->file, p->images, pixels * p->shape[1], s->image.data, err));
    return p->info->has_mask ? h5_append(p->file, p->masks, pixels, s->mask.data, err) : OK;
}

static Err add_samples(const Packing *p, Batch *b, Error *err) {
    for (int64_t i = 0; i < p->info->n; i++) {
        Sample view, own = {0};
        bool borrowed = split_peek(p->split, i, &view);
        if (!borrowed) TRY(split_read(p->split, i, &own, err));
        const Sample *s = borrowed ? &view : &own;
        Err code = p->shape[2] == 0 ? add_flat(p, i, s, err) : add_fixed(p, b, s, err);
        if (p->label != NULL) p->label[i] = s->label;
        image_free(&own.image);
        image_free(&own.mask);
        if (code != OK) return code;
        if (p->progress != NULL && !p->progress(p->context, p->name, i + 1, p->info->n))
            return err_set(err, ERR_STOPPED, "stopped");
    }
    return flush(p, b, err);
}

/* What is known only at the end. */
static Err write_tables(const Packing *p, Arena *arena, Error *err) {
    int64_t n = p->info->n;
    H5Layout sums = {.rows_per_chunk = n < FLAT_CHUNK ? n : FLAT_CHUNK, .fletcher32 = true};
    if (p->label != NULL) TRY(h5_write(p->file, p->labels, (H5Array){H5_I32, 1, {n}}, &sums, p->label, err));
    if (p->offsets == NULL) return OK;
    TRY(h5_write(p->file, arena_printf(arena, "/%s/sizes", p->name), (H5Array){H5_I64, 2, {n, 2}}, &sums, p->sizes,
                 err));
    return h5_write(p->file, arena_printf(arena, "/%s/offsets", p->name), (H5Array){H5_I64, 1, {n + 1}}, &sums,
                    p->offsets, err);
}

static bool take_memory(Packing *p, Batch *b) {
    size_t n = (size_t)p->info->n;
    if (p->info->has_label) p->label = malloc(n * sizeof *p->label);
    if (p->info->has_label && p->label == NULL) return false;
    if (p->shape[2] == 0) {
        p->sizes = malloc(2 * n * sizeof *p->sizes);
        p->offsets = calloc(n + 1, sizeof *p->offsets);
        return p->sizes != NULL && p->offsets != NULL;
    }
    b->mask_bytes = (size_t)(p->shape[2] * p->shape[3]);
    b->image_bytes = b->mask_bytes * (size_t)p->shape[1] * (size_t)(p->info->depth / 8);
    b->capacity = b->image_bytes < BATCH_BYTES ? (int64_t)(BATCH_BYTES / b->image_bytes) : 1;
    b->images = malloc((size_t)b->capacity * b->image_bytes);
    b->masks = malloc((size_t)b->capacity * b->mask_bytes);
    return b->images != NULL && b->masks != NULL;
}

static Err write_split(Packing *p, Arena *arena, Error *err) {
    Batch batch = {0};
    p->info = split_info(p->split);
    p->images = arena_printf(arena, "/%s/images", p->name);
    p->masks = arena_printf(arena, "/%s/masks", p->name);
    p->labels = arena_printf(arena, "/%s/labels", p->name);
    split_shape(p->split, p->shape);
    Err code = OK;
    if (!take_memory(p, &batch)) code = err_set(err, ERR_MEMORY, "no memory to pack '%s'", p->name);
    if (code == OK) code = make_arrays(p, err);
    if (code == OK) code = add_samples(p, &batch, err);
    if (code == OK) code = write_tables(p, arena, err);
    free(batch.images);
    free(batch.masks);
    free(p->label);
    free(p->sizes);
    free(p->offsets);
    return code;
}

static Err write_header(H5 *file, Error *err) {
    TRY(h5_set_text(file, "/", "format", PACK_FORMAT, err));
    return h5_set_int(file, "/", "version", PACK_VERSION, err);
}

/* Names and colours, from the first split. */
static Err write_classes(H5 *file, const DataConfig *config, Error *err) {
    int n = config->n_classes;
    if (n == 0) return OK;
    TRY(h5_write_texts(file, "/classes", n, config->class_names, err));
    return h5_write(file, "/palette", (H5Array){H5_U8, 2, {n, 3}}, NULL, config->palette, err);
}

static Err write_splits(H5 *file, const Experiment *experiment, const char *const *names, const Packing *common,
                        Arena *arena, Error *err) {
    for (int i = 0; names[i] != NULL; i++) {
        Packing p = *common;
        p.file = file;
        p.name = names[i];
        TRY(split_open(&p.split, experiment, names[i], err));
        Err code = i == 0 ? write_classes(file, split_config(p.split), err) : OK;
        if (code == OK) code = write_split(&p, arena, err);
        split_close(p.split);
        if (code != OK) return code;
    }
    return OK;
}

Err pack_write(const Experiment *experiment, const char *out_path, int deflate, PackProgress progress, void *context,
               Error *err) {
    Arena *arena = arena_new();
    Packing common = {.deflate = deflate, .progress = progress, .context = context};
    const char *const *names = split_names(experiment, arena);
    H5 *file = NULL;
    Err code = OK;
    if (names[0] == NULL)
        code = err_at(err, ERR_CONFIG, experiment->data->mark, "data has no splits to pack, as in train: {...}");
    if (code == OK) code = h5_create(&file, out_path, err);
    if (code == OK) code = write_header(file, err);
    if (code == OK) code = write_splits(file, experiment, names, &common, arena, err);
    if (code == OK) code = h5_commit(file, NULL, err);
    h5_close(file);
    arena_free(arena);
    return code;
}
