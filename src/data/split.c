/* split.c - opens a split through its dataset kind, and reads its samples: decode, map, fit, keep. */
#include "data/split.h"

#include "data/divide.h"
#include "data/mask.h"
#include "data/select.h"
#include "data/window.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_BYTES = 1024, MAX_CHANNELS = 1024 };

struct Split {
    Arena *arena;
    const char *name;
    DataConfig config;
    DatasetInfo info; /* channels, depth and has_mask as the split hands them out; n_classes completed */
    const DatasetKind *kind;
    Dataset *dataset;
    int64_t *chosen; /* sample i of the split is this one of the dataset; NULL: the same */
    MaskMap map;
    bool plain;               /* samples come out as the dataset's view has them */
    int label_limit;          /* labels must be below; 0: any */
    pthread_mutex_t reading;  /* for kinds that are not parallel */
    _Atomic(Sample *) *cache; /* n samples, NULL where not kept; NULL: no cache */
    _Atomic int64_t cache_left;
};

/* ---- opening ---- */

/* Common keys make no sense inside a split. */
static Err check_split_keys(const Node *node, const char *name, Error *err) {
    Err code = OK;
    for (int i = 0; i < node->n; i++)
        if (param_find(data_params, node->keys[i]->text) != NULL && !selection_key(node->keys[i]->text))
            code = err_at(err, ERR_CONFIG, node->keys[i]->mark, "data.%s: '%s' belongs to data itself, for all splits",
                          name, node->keys[i]->text);
    return code;
}

static Err no_split(const Experiment *experiment, const char *name, Arena *arena, Error *err) {
    char known[256] = "";
    size_t used = 0;
    for (const char *const *n = split_names(experiment, arena); *n != NULL && used < sizeof known; n++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used > 0 ? ", " : "", *n);
    return err_at(err, ERR_CONFIG, experiment->data->mark, "data has no split '%s'%s%s", name,
                  used > 0 ? ", it has: " : "; its splits are maps, as in train: {...}", known);
}

/* Keys in the data map that are not the kind's: the common ones, and the splits. */
static const char *const *foreign_keys(const Experiment *experiment, Arena *arena) {
    int n = 0;
    const char **keys = ARENA_ARRAY(arena, const char *, experiment->data->n + 64);
    for (const Param *p = data_params; p->name != NULL; p++) keys[n++] = p->name;
    for (const Param *p = division_params; p->name != NULL; p++) keys[n++] = p->name;
    for (const char *const *name = split_names(experiment, arena); *name != NULL; name++) keys[n++] = *name;
    return keys;
}

/* Open the dataset; when files are missing because their folder is, say that instead. */
static Err open_dataset(Split *s, const Experiment *experiment, Findings *findings, Error *err) {
    const Node *data = experiment->data;
    s->kind = dataset_find(node_get(data, "kind")->text);
    void *params = arena_alloc(s->arena, s->kind->params_bytes);
    FillSpec spec = {.what = arena_printf(s->arena, "data.%s", s->name),
                     .mark = data->mark,
                     .maps = {node_get(data, s->name), data},
                     .targets = {{s->kind->params, params}},
                     .ignore = foreign_keys(experiment, s->arena)};
    TRY(config_fill(&spec, s->arena, err));
    DatasetEnv env = {.root = s->config.root,
                      .split = s->name,
                      .seed = (uint64_t)experiment->train.seed,
                      .color_masks = s->config.mask == MASK_COLOR,
                      .findings = findings,
                      .arena = s->arena};
    Error own = ERROR_INIT;
    Err code = s->kind->open(&s->dataset, params, &env, &s->info, &own);
    struct stat st;
    if (code == ERR_IO && (stat(s->config.root, &st) != 0 || !S_ISDIR(st.st_mode)))
        return err_set(
            err, ERR_IO,
            "data.root: there is no folder '%s'; fetch data with scripts/fetch_data.sh, or say where they are "
            "with --set data.root=DIR or SANDGLASS_DATA=DIR",
            s->config.root);
    if (code != OK) err_append(err, &own);
    return code;
}

/* Class names and colours: the config's, else the dataset's, else "0", "1", ... for labels. */
static void complete_classes(Split *s) {
    DataConfig *c = &s->config;
    int n = s->info.n_classes;
    if (c->n_classes == 0 && n > 0) {
        c->n_classes = n;
        c->class_names = ARENA_ARRAY(s->arena, const char *, n);
        c->palette = arena_alloc(s->arena, (size_t)n * sizeof *c->palette);
        for (int i = 0; i < n; i++) {
            bool named = s->info.class_names != NULL;
            c->class_names[i] = named ? s->info.class_names[i] : arena_printf(s->arena, "%d", i);
            image_class_color(i, c->palette[i]);
            if (s->info.palette != NULL) memcpy(c->palette[i], s->info.palette[i], 3);
        }
        c->has_palette = s->info.palette != NULL;
    }
    s->info.n_classes = c->n_classes;
}

static Err check_classes(const Split *s, const Experiment *experiment, int in_dataset, Error *err) {
    const DataConfig *c = &s->config;
    const Node *node = node_get(experiment->data, "classes");
    Mark mark = node != NULL ? node->mark : experiment->data->mark;
    if (experiment->task == TASK_SEGMENTATION && c->n_classes == 0)
        return err_at(err, ERR_CONFIG, mark,
                      "data.classes must be given: the classes' names, in order of the mask values");
    if (experiment->task == TASK_SEGMENTATION && s->info.masks_mapped && in_dataset > 0 && in_dataset != c->n_classes)
        return err_at(err, ERR_CONFIG, mark, "data.classes has %d names, but the dataset has %d classes", c->n_classes,
                      in_dataset);
    if (experiment->task == TASK_CLASSIFICATION && in_dataset > c->n_classes)
        return err_at(err, ERR_CONFIG, mark, "data.classes has %d names, but there are labels up to %d", c->n_classes,
                      in_dataset - 1);
    if (experiment->task == TASK_SEGMENTATION && c->mask == MASK_BINARY && !s->info.masks_mapped && c->n_classes != 2)
        return err_at(err, ERR_CONFIG, mark, "data.mask is binary, which codes 2 classes, but data.classes has %d",
                      c->n_classes);
    return OK;
}

static Err check_task(const Split *s, const Experiment *experiment, Error *err) {
    Mark mark = node_get(experiment->data, s->name)->mark;
    if (experiment->task == TASK_SEGMENTATION && !s->info.has_mask)
        return err_at(err, ERR_CONFIG, mark, "data.%s: has no masks, which segmentation needs", s->name);
    if (experiment->task == TASK_CLASSIFICATION && !s->info.has_label)
        return err_at(err, ERR_CONFIG, mark, "data.%s: has no labels, which classification needs", s->name);
    return OK;
}

/* Shape and normalisation, as far as they are known before reading samples. */
static Err check_shape(const Split *s, const Experiment *experiment, Error *err) {
    const DataConfig *c = &s->config;
    const DatasetInfo *info = &s->info;
    bool known = info->height > 0, sized = c->size[0] > 0;
    if (sized && known && c->fit == FIT_EXACT && (c->size[0] != info->height || c->size[1] != info->width))
        return err_at(err, ERR_CONFIG, node_get(experiment->data, "size")->mark,
                      "data.size is %" PRId64 " high and %" PRId64 " wide, but the pictures of '%s' are %d high and %d "
                      "wide; set data.fit to resize, crop or pad",
                      c->size[0], c->size[1], s->name, info->height, info->width);
    const struct {
        const char *name;
        int n;
    } lists[] = {{"mean", c->mean.n}, {"std", c->std.n}};
    for (int i = 0; i < 2; i++)
        if (lists[i].n > 1 && lists[i].n != info->channels)
            return err_at(err, ERR_CONFIG, node_get(experiment->data, lists[i].name)->mark,
                          "data.%s: has %d values, but the pictures have %d channels", lists[i].name, lists[i].n,
                          info->channels);
    return OK;
}

/* Its share of the samples, where splits divide them. */
static Err take_share(Split *s, const Experiment *experiment, Error *err) {
    const DivideSpec spec = {.experiment = experiment,
                             .config = &s->config,
                             .kind = s->kind,
                             .dataset = s->dataset,
                             .n = s->info.n,
                             .split = s->name,
                             .arena = s->arena};
    bool *keep = malloc((size_t)s->info.n * sizeof *keep);
    int64_t *chosen = malloc((size_t)s->info.n * sizeof *chosen), n = 0;
    Err code = keep != NULL && chosen != NULL ? divide_samples(&spec, keep, err)
                                              : err_set(err, ERR_MEMORY, "no memory to share out samples");
    for (int64_t i = 0; code == OK && i < s->info.n; i++)
        if (keep[i]) chosen[n++] = i;
    free(keep);
    if (code == OK && n < s->info.n) {
        s->chosen = chosen;
        s->info.n = n;
        return OK;
    }
    free(chosen);
    return code;
}

/* `only` and `without`, among the samples that are the split's. */
static Err select_samples(Split *s, const Experiment *experiment, Error *err) {
    Selection selection;
    TRY(selection_read(&selection, experiment->data, s->name, s->arena, err));
    if (!selection_given(&selection)) return OK;
    const SelectSpec spec = {.kind = s->kind,
                             .dataset = s->dataset,
                             .info = &s->info,
                             .among = s->chosen,
                             .split = s->name,
                             .n_classes = s->config.n_classes,
                             .class_names = s->config.class_names};
    int64_t *chosen = NULL;
    TRY(selection_apply(&selection, &spec, &chosen, &s->info.n, err));
    free(s->chosen);
    s->chosen = chosen;
    return OK;
}

static Err set_up(Split *s, const Experiment *experiment, Error *err) {
    int in_dataset = s->info.n_classes;
    bool masked = s->info.has_mask && experiment->task == TASK_SEGMENTATION;
    TRY(check_task(s, experiment, err));
    s->info.has_mask = masked; /* nobody else looks at them */
    complete_classes(s);
    TRY(check_classes(s, experiment, in_dataset, err));
    TRY(take_share(s, experiment, err));
    TRY(select_samples(s, experiment, err));
    int raw_channels = s->info.channels;
    if (s->config.channels > 0) s->info.channels = (int)s->config.channels;
    s->config.channels = s->info.channels;
    s->config.depth = s->info.depth;
    TRY(check_shape(s, experiment, err));
    mask_map_build(&s->map, &s->config, s->info.masks_mapped);
    s->label_limit = experiment->task == TASK_CLASSIFICATION ? s->config.n_classes : 0;
    bool fits = s->config.size[0] == 0 || (s->config.size[0] == s->info.height && s->config.size[1] == s->info.width);
    s->plain = s->kind->view != NULL && !masked && fits && raw_channels == s->info.channels;
    s->cache_left = s->config.cache_mb * 1024 * 1024;
    if (s->plain || s->cache_left == 0) return OK;
    s->cache = calloc((size_t)s->info.n, sizeof *s->cache);
    if (s->cache == NULL) return err_set(err, ERR_MEMORY, "no memory for a cache of %" PRId64 " samples", s->info.n);
    return OK;
}

Err split_open_survey(Split **out, const Experiment *experiment, const char *name, Findings *findings, Error *err) {
    *out = NULL;
    Split *s = calloc(1, sizeof *s);
    if (s == NULL) return err_set(err, ERR_MEMORY, "no memory for a split");
    s->arena = arena_new();
    s->name = arena_strdup(s->arena, name);
    pthread_mutex_init(&s->reading, NULL);
    Err code = data_config_read(&s->config, experiment, s->arena, err);
    if (code == OK && !split_exists(experiment, name)) code = no_split(experiment, name, s->arena, err);
    if (code == OK) code = check_split_keys(node_get(experiment->data, name), name, err);
    if (code == OK) code = open_dataset(s, experiment, findings, err);
    if (code == OK) code = set_up(s, experiment, err);
    if (code != OK) {
        split_close(s);
        return code;
    }
    *out = s;
    return OK;
}

Err split_open(Split **out, const Experiment *experiment, const char *name, Error *err) {
    return split_open_survey(out, experiment, name, NULL, err);
}

void split_close(Split *s) {
    if (s == NULL) return;
    for (int64_t i = 0; s->cache != NULL && i < s->info.n; i++) {
        Sample *kept = s->cache[i];
        if (kept == NULL) continue;
        image_free(&kept->image);
        image_free(&kept->mask);
        free(kept);
    }
    free(s->cache);
    free(s->chosen);
    if (s->dataset != NULL) s->kind->close(s->dataset);
    pthread_mutex_destroy(&s->reading);
    arena_free(s->arena);
    free(s);
}

const DatasetInfo *split_info(const Split *s) {
    return &s->info;
}

const DataConfig *split_config(const Split *s) {
    return &s->config;
}

void split_shape(const Split *s, int64_t shape[4]) {
    bool sized = s->config.size[0] > 0;
    shape[0] = 1;
    shape[1] = s->info.channels;
    shape[2] = sized ? s->config.size[0] : s->info.height;
    shape[3] = sized ? s->config.size[1] : s->info.width;
}

/* Number in the dataset of sample i of the split. */
static int64_t number_of(const Split *s, int64_t i) {
    return s->chosen != NULL ? s->chosen[i] : i;
}

void split_sample_name(const Split *s, int64_t i, char *text, size_t bytes) {
    s->kind->name_of(s->dataset, number_of(s, i), text, bytes);
}

/* ---- reading ---- */

static Err read_raw(Split *s, int64_t i, Sample *out, Error *err) {
    int64_t number = number_of(s, i);
    if (s->kind->parallel) return s->kind->read(s->dataset, number, out, err);
    pthread_mutex_lock(&s->reading);
    Err code = s->kind->read(s->dataset, number, out, err);
    pthread_mutex_unlock(&s->reading);
    return code;
}

void split_mask_name(const Split *s, int64_t i, char *text, size_t bytes) {
    if (s->kind->mask_name_of != NULL)
        s->kind->mask_name_of(s->dataset, number_of(s, i), text, bytes);
    else
        s->kind->name_of(s->dataset, number_of(s, i), text, bytes);
}

/* Names the sample in front of words that do not. */
static Err name_it(const Split *s, int64_t i, Err code, Error *err) {
    char name[NAME_BYTES];
    split_sample_name(s, i, name, sizeof name);
    if (code != OK) err_context(err, "%s", name);
    return code;
}

static Err check_mask_size(const Split *s, int64_t i, const Sample *sample, Error *err) {
    const Image *image = &sample->image, *mask = &sample->mask;
    if (image->width == mask->width && image->height == mask->height) return OK;
    char image_name[NAME_BYTES], of_mask[NAME_BYTES];
    split_sample_name(s, i, image_name, sizeof image_name);
    split_mask_name(s, i, of_mask, sizeof of_mask);
    return err_set(err, ERR_DATA, "%s: is %dx%d, but its mask %s is %dx%d", image_name, image->width, image->height,
                   of_mask, mask->width, mask->height);
}

/* The network's size, the way data.fit says. */
static Err fit(const Split *s, Sample *sample, Error *err) {
    const DataConfig *c = &s->config;
    int height = (int)c->size[0], width = (int)c->size[1];
    int have_height = sample->image.height, have_width = sample->image.width;
    if (height == 0 || (height == have_height && width == have_width)) return OK;
    if (c->fit == FIT_RESIZE) {
        Image image = {0}, mask = {0};
        TRY(image_resize(&sample->image, width, height, false, &image, err));
        image_free(&sample->image);
        sample->image = image;
        if (sample->mask.data == NULL) return OK;
        TRY(image_resize(&sample->mask, width, height, true, &mask, err));
        image_free(&sample->mask);
        sample->mask = mask;
        return OK;
    }
    bool smaller = have_height < height || have_width<width, larger = have_height> height || have_width > width;
    const char *other = c->fit == FIT_CROP  ? "resize or pad"
                        : c->fit == FIT_PAD ? "resize or crop"
                                            : "resize, crop or pad";
    if (c->fit == FIT_EXACT || (c->fit == FIT_CROP && smaller) || (c->fit == FIT_PAD && larger))
        return err_set(err, ERR_DATA,
                       "is %d high and %d wide, but data.size is %d and %d; data.fit is %s, choose %s instead",
                       have_height, have_width, height, width,
                       c->fit == FIT_CROP  ? "crop"
                       : c->fit == FIT_PAD ? "pad"
                                           : "exact",
                       other);
    int top = (have_height - height) / 2, left = (have_width - width) / 2;
    double fill[MAX_CHANNELS];
    bool configured = c->mean.n > 0 && s->info.channels <= MAX_CHANNELS;
    for (int k = 0; configured && k < s->info.channels; k++) fill[k] = c->mean.floats[c->mean.n == 1 ? 0 : k];
    return sample_window(sample, top, left, height, width, configured ? fill : NULL, err);
}

/* Channels, depth, classes, size. *fault: what is wrong, when something is. */
static Err prepare(const Split *s, int64_t i, Sample *sample, SampleFault *fault, Error *err) {
    Image *image = &sample->image;
    *fault = FAULT_UNREADABLE;
    if (image->width < 1 || image->height < 1 || image->data == NULL)
        return name_it(s, i, err_set(err, ERR_DATA, "holds no picture"), err);
    if (!s->info.has_mask) image_free(&sample->mask);
    *fault = FAULT_MASK_SIZE;
    if (s->info.has_mask) TRY(check_mask_size(s, i, sample, err));
    *fault = FAULT_CHANNELS;
    if (image->channels != s->info.channels || image->depth != s->info.depth) {
        Err code = image_convert(image, s->info.channels, s->info.depth, err);
        if (code != OK) return name_it(s, i, code, err);
    }
    if (s->info.has_mask) {
        char name[NAME_BYTES];
        split_mask_name(s, i, name, sizeof name);
        TRY(mask_apply(&s->map, &sample->mask, name, fault, err));
    }
    *fault = FAULT_LABEL;
    if (s->label_limit > 0 && (sample->label < 0 || sample->label >= s->label_limit))
        return name_it(
            s, i,
            err_set(err, ERR_DATA, "has label %d, which is no class (0..%d)", (int)sample->label, s->label_limit - 1),
            err);
    *fault = FAULT_SIZE;
    TRY(name_it(s, i, fit(s, sample, err), err));
    *fault = FAULT_NONE;
    return OK;
}

/* ---- the cache ---- */

static bool copy_image(const Image *src, Image *dst) {
    *dst = *src;
    dst->data = NULL;
    if (src->data == NULL) return true;
    dst->data = malloc(image_bytes(src));
    if (dst->data != NULL) memcpy(dst->data, src->data, image_bytes(src));
    return dst->data != NULL;
}

static bool copy_sample(const Sample *src, Sample *dst) {
    dst->label = src->label;
    dst->mask = (Image){0};
    if (copy_image(&src->image, &dst->image) && copy_image(&src->mask, &dst->mask)) return true;
    image_free(&dst->image);
    image_free(&dst->mask);
    return false;
}

/* Keep a copy while the budget lasts. Nothing is ever given up: an epoch visits all samples once, so throwing out the
 * oldest would keep nothing useful. */
static void keep(Split *s, int64_t i, const Sample *sample) {
    int64_t bytes = (int64_t)(sizeof *sample + image_bytes(&sample->image));
    if (sample->mask.data != NULL) bytes += (int64_t)image_bytes(&sample->mask);
    if (atomic_fetch_sub(&s->cache_left, bytes) < bytes) {
        atomic_fetch_add(&s->cache_left, bytes);
        return;
    }
    Sample *kept = malloc(sizeof *kept), *none = NULL;
    bool copied = kept != NULL && copy_sample(sample, kept);
    if (copied && atomic_compare_exchange_strong(&s->cache[i], &none, kept)) return;
    if (copied) { /* another thread was first */
        image_free(&kept->image);
        image_free(&kept->mask);
    }
    free(kept);
    atomic_fetch_add(&s->cache_left, bytes);
}

void split_keep_none(Split *s) {
    free(s->cache);
    s->cache = NULL;
}

bool split_peek(Split *s, int64_t i, Sample *view) {
    if (s->plain) {
        s->kind->view(s->dataset, number_of(s, i), view);
        return s->label_limit == 0 || (view->label >= 0 && view->label < s->label_limit);
    }
    const Sample *kept = s->cache != NULL ? s->cache[i] : NULL;
    if (kept != NULL) *view = *kept;
    return kept != NULL;
}

/* From the dataset; kept, where there is a cache. */
static Err read_anew(Split *s, int64_t i, SampleLook *look, Sample *out, Error *err) {
    *out = (Sample){.label = -1};
    look->fault = FAULT_UNREADABLE;
    Err code = read_raw(s, i, out, err);
    if (code == OK && look->raw != NULL) look->raw(look->context, i, out);
    if (code == OK) code = prepare(s, i, out, &look->fault, err);
    if (code != OK) {
        image_free(&out->image);
        image_free(&out->mask);
        return code;
    }
    if (s->cache != NULL) keep(s, i, out);
    return OK;
}

Err split_read(Split *s, int64_t i, Sample *out, Error *err) {
    Sample view;
    if (!s->plain && split_peek(s, i, &view)) {
        *out = (Sample){.label = -1};
        if (copy_sample(&view, out)) return OK;
        return err_set(err, ERR_MEMORY, "no memory for a sample");
    }
    return read_anew(s, i, &(SampleLook){0}, out, err);
}

Err split_read_look(Split *s, int64_t i, SampleLook *look, Sample *out, Error *err) {
    return read_anew(s, i, look, out, err);
}

bool split_headers(const Split *s, int64_t i, ImageInfo *image, ImageInfo *mask) {
    if (s->kind->headers_of == NULL) return false;
    s->kind->headers_of(s->dataset, number_of(s, i), image, mask);
    return true;
}
