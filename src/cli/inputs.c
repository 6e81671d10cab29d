/* inputs.c - see inputs.h. */
#include "cli/inputs.h"

#include <string.h>

/* ---- lists ---- */

Err inputs_check(Inputs *out, const InputsSpec *spec, Arena *arena, Error *err) {
    *out = (Inputs){.split_name = spec->split};
    if (spec->split && spec->n_paths > 0)
        return err_set(err, ERR_USAGE, "'%s' and --split %s: pictures or a split, not both", spec->paths[0],
                       spec->split);
    if (!spec->split && spec->n_paths == 0)
        return err_set(err, ERR_USAGE, "nothing to run on: name pictures or folders, or give --split NAME");
    if (spec->split && spec->also.n > 0)
        return err_set(err, ERR_USAGE, "--also and --split: a split knows all files of its pictures");
    if (spec->split) return OK;
    PictureList *also = ARENA_ARRAY(arena, PictureList, spec->also.n + 1);
    for (int k = 0; k < spec->also.n; k++) TRY(pictures_list(&also[k], 1, &spec->also.strings[k], arena, err));
    out->n_also = spec->also.n;
    out->also = also;
    TRY(pictures_list(&out->list, spec->n_paths, spec->paths, arena, err));
    if (spec->limit > 0 && spec->limit < out->list.n) out->list.n = (int)spec->limit;
    return OK;
}

static void name_samples(Inputs *inputs, int64_t n, Arena *arena) {
    inputs->list = (PictureList){.n = (int)n, .items = ARENA_ARRAY(arena, Picture, n)};
    for (int64_t i = 0; i < n; i++) {
        char name[512];
        split_sample_name(inputs->split, i, name, sizeof name);
        inputs->list.items[i] = (Picture){.path = arena_strdup(arena, name),
                                          .stem = arena_printf(arena, "%s_%05lld", inputs->split_name, (long long)i)};
    }
}

Err named_split_open(Split **out, const Experiment *experiment, const char *name, Error *err) {
    if (!split_exists(experiment, name)) return err_set(err, ERR_CONFIG, "the data has no split '%s'", name);
    return split_open(out, experiment, name, err);
}

Err inputs_open(Inputs *inputs, const InputsSpec *spec, const Experiment *experiment, Arena *arena, Error *err) {
    if (!spec->split) return OK;
    TRY(named_split_open(&inputs->split, experiment, spec->split, err));
    split_keep_none(inputs->split);
    int64_t n = split_info(inputs->split)->n;
    if (spec->limit > 0 && spec->limit < n) n = spec->limit;
    if (n > INT32_MAX) n = INT32_MAX;
    name_samples(inputs, n, arena);
    return OK;
}

void inputs_close(Inputs *inputs) {
    split_close(inputs->split);
    inputs->split = NULL;
}

/* ---- pictures ---- */

static Err read_sample(Split *split, int64_t i, int channels, Image *out, Error *err) {
    Sample sample = {0};
    TRY(split_read(split, i, &sample, err));
    image_free(&sample.mask);
    *out = sample.image;
    if (channels == 0 || out->channels == channels) return OK;
    Err code = image_convert(out, channels, 0, err);
    if (code != OK) image_free(out);
    return code;
}

/* A file for a network: its channels are converted to the network's, but none is made up beyond grey and RGB: what
 * looks like a missing alpha may be infrared. */
static Err load_picture(const char *path, int channels, Image *out, Error *err) {
    TRY(image_load(path, 0, out, err));
    int have = out->channels, wanted = channels == 0 ? have : channels;
    bool lacks = (wanted == 2 || wanted >= 4) && wanted != have;
    Err code = lacks
                   ? err_set(err, ERR_DATA,
                             "%s: has %d channel%s, the network takes %d; where the others are in files of their own, "
                             "name these with --also",
                             path, have, have == 1 ? "" : "s", wanted)
                   : image_convert(out, wanted, 0, err);
    if (code != OK) image_free(out);
    return code;
}

/* A picture whose channels are in several files of one name. */
static Err load_joined(const Inputs *inputs, const Picture *picture, int channels, Image *out, Error *err) {
    enum { MAX_FILES = 16 };
    Image parts[MAX_FILES] = {{0}};
    int n = 1;
    Err code = image_load(picture->path, 0, &parts[0], err);
    for (int k = 0; k < inputs->n_also && code == OK; k++) {
        const Picture *other = pictures_find(&inputs->also[k], picture->stem);
        if (!other)
            code = err_set(err, ERR_DATA, "%s: no picture of --also is called '%s'", picture->path, picture->stem);
        else if (n == MAX_FILES)
            code = err_set(err, ERR_USAGE, "--also: at most %d", MAX_FILES - 1);
        else
            code = image_load(other->path, 0, &parts[n++], err);
    }
    if (code == OK && (code = image_join(out, n, parts, err)) != OK) err_context(err, "%s", picture->path);
    for (int k = 0; k < n; k++) image_free(&parts[k]);
    if (code != OK || channels == 0 || out->channels == channels) return code;
    code = err_set(err, ERR_DATA, "%s: has %d channels with those of --also, the network takes %d", picture->path,
                   out->channels, channels);
    image_free(out);
    return code;
}

Err inputs_read(const Inputs *inputs, int i, int channels, Image *out, Error *err) {
    if (inputs->split) return read_sample(inputs->split, i, channels, out, err);
    if (inputs->n_also > 0) return load_joined(inputs, &inputs->list.items[i], channels, out, err);
    return load_picture(inputs->list.items[i].path, channels, out, err);
}

/* "val:17" as a split and a number; false: it is something else. */
static bool parse_sample(const char *text, const Experiment *experiment, char split[128], int64_t *number) {
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (length == 0 || length >= 128 || !colon[1] || strlen(colon) > 12 ||
        strspn(colon + 1, "0123456789") + 1 != strlen(colon))
        return false;
    memcpy(split, text, length);
    split[length] = '\0';
    *number = 0;
    for (const char *p = colon + 1; *p; p++) *number = *number * 10 + (*p - '0');
    return split_exists(experiment, split);
}

Err input_read_one(const char *text, const Net *net, Image *out, Error *err) {
    const Experiment *experiment = net_experiment(net);
    int channels = net_channels(net);
    char name[128];
    int64_t number;
    if (!parse_sample(text, experiment, name, &number)) return load_picture(text, channels, out, err);
    Split *split = NULL;
    TRY(named_split_open(&split, experiment, name, err));
    int64_t n = split_info(split)->n;
    Err code = number < n
                   ? read_sample(split, number, channels, out, err)
                   : err_set(err, ERR_DATA, "'%s': the split has %lld samples, numbered from 0", text, (long long)n);
    split_close(split);
    return code;
}

/* ---- what the network gets ---- */

static Err normalize(Planes *out, const DataConfig *data, const Image *image, Error *err) {
    size_t floats = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    out->values = block_alloc(floats * sizeof *out->values);
    if (!out->values) return err_set(err, ERR_MEMORY, "no memory for a picture of %zu values", floats);
    out->channels = image->channels;
    out->height = image->height;
    out->width = image->width;
    data_normalize(data, image, out->values);
    return OK;
}

Err planes_from_image(Planes *out, const Net *net, const Image *image, Error *err) {
    *out = (Planes){0};
    const DataConfig *data = net_data(net);
    int height = (int)data->size[0], width = (int)data->size[1];
    bool resized = data->fit == FIT_RESIZE && height > 0 && (image->width != width || image->height != height);
    if (!resized) return normalize(out, data, image, err);
    Image small = {0};
    TRY(image_resize(image, width, height, false, &small, err));
    Err code = normalize(out, data, &small, err);
    image_free(&small);
    return code;
}

void planes_free(Planes *planes) {
    block_free(planes->values);
    *planes = (Planes){0};
}
