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
    if (spec->split) return OK;
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

Err inputs_read(const Inputs *inputs, int i, int channels, Image *out, Error *err) {
    if (inputs->split) return read_sample(inputs->split, i, channels, out, err);
    return image_load(inputs->list.items[i].path, channels, out, err);
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
    if (!parse_sample(text, experiment, name, &number)) return image_load(text, channels, out, err);
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
