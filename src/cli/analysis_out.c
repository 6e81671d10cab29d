/* analysis_out.c - see analysis_out.h. */
#include "cli/analysis_out.h"

#include "cli/inputs.h"
#include "cli/signals.h"
#include "io/file.h"

#include <assert.h>
#include <string.h>

enum { MAX_FILES = sizeof((Analysis *)NULL)->files / sizeof(const char *) };

static Err make_out(Analysis *a, const AnalysisOptions *options, Error *err) {
    a->out = options->out;
    if (!a->out) {
        const char *folder = folder_of(a->model, a->arena);
        a->out = strcmp(folder, ".") == 0 ? "analysis" : arena_printf(a->arena, "%s/analysis", folder);
    }
    a->out = without_slash(a->out, a->arena);
    return make_folder(a->out, err);
}

Err analysis_begin(Analysis *a, const Call *call, const AnalysisOptions *options, Error *err) {
    const char *space = strrchr(call->command->name, ' ');
    *a = (Analysis){.call = call,
                    .name = space ? space + 1 : call->command->name,
                    .display = display_begin(stderr),
                    .text = options->json ? stderr : stdout,
                    .json = json_begin(call->arena),
                    .arena = call->arena};
    a->events = display_events(&a->display, signals_catch());
    TRY(model_open(&a->net, &a->model, call, &options->sets, options->threads, err));
    TRY(make_out(a, options, err));
    json_open_object(&a->json, NULL);
    json_string(&a->json, "analysis", a->name);
    json_string(&a->json, "model", a->model);
    return OK;
}

static Err finish(Analysis *a, Error *err) {
    const char *path = arena_printf(a->arena, "%s/%s.json", a->out, a->name);
    assert(a->n_files < MAX_FILES);
    a->files[a->n_files++] = path;
    json_open_array(&a->json, "files");
    for (int i = 0; i < a->n_files; i++) json_string(&a->json, NULL, a->files[i]);
    json_close(&a->json);
    json_close(&a->json);
    const char *line = arena_printf(a->arena, "%s\n", json_text(&a->json));
    TRY(file_replace(path, line, strlen(line), err));
    FILE *text = analysis_text(a);
    for (int i = 0; i < a->n_files; i++) fprintf(text, "%s%s", i == 0 ? "\nwrote " : ", ", a->files[i]);
    fputc('\n', text);
    if (a->text == stderr) print_json(a->call, &a->json);
    return OK;
}

Err analysis_end(Analysis *a, Err code, Error *err) {
    display_clear(&a->display);
    if (code == OK) code = finish(a, err);
    net_close(a->net);
    a->net = NULL;
    return code;
}

FILE *analysis_text(Analysis *a) {
    display_clear(&a->display);
    return a->text;
}

static const char *new_file(Analysis *a, const char *file) {
    assert(a->n_files < MAX_FILES - 1); /* one is left for the JSON */
    const char *path = arena_printf(a->arena, "%s/%s", a->out, file);
    a->files[a->n_files++] = path;
    return path;
}

Err analysis_save_image(Analysis *a, const char *file, const Image *image, Error *err) {
    return image_save(new_file(a, file), image, err);
}

Err analysis_save_bytes(Analysis *a, const char *file, const void *bytes, size_t n, Error *err) {
    return file_replace(new_file(a, file), bytes, n, err);
}

/* ---- data ---- */

Err analysis_features(Analysis *a, Features *out, const char *split, const char *at, int64_t limit, Error *err) {
    FeatureSpec spec = {.split = split, .at = at, .limit = limit, .events = &a->events};
    return features_read(out, a->net, &spec, err);
}

Err analysis_pictures(Analysis *a, Features *out, const char *split, const char *at, int64_t limit, Error *err) {
    TRY(analysis_features(a, out, split, at, limit, err));
    const DataConfig *data = net_data(a->net);
    int64_t channels = net_channels(a->net);
    if (channels < 1) channels = 1;
    if (out->size % channels != 0) {
        features_free(out);
        return err_set(err, ERR_CONFIG, "'%s' has %lld values a sample, which are no picture of %lld channels", at,
                       (long long)out->size, (long long)channels);
    }
    int64_t plane = out->size / channels;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < out->n; i++) {
        for (int64_t c = 0; c < channels; c++) {
            UnitScale unit = data_unit_scale(data, (int)c);
            float *values = out->values + i * out->size + c * plane;
            for (int64_t p = 0; p < plane; p++) values[p] = values[p] * unit.scale + unit.shift;
        }
    }
    return OK;
}

Err analysis_classes(const Analysis *a, const Features *features, const char *split, const char *what, int *n_classes,
                     Error *err) {
    if (!features->labels)
        return err_set(err, ERR_DATA, "%s needs the class of every picture, and split '%s' has no labels", what, split);
    int32_t most = 0;
    for (int64_t i = 0; i < features->n; i++) {
        int32_t label = features->labels[i];
        if (label < 0 || label >= MAX_CLASSES)
            return err_set(err, ERR_DATA,
                           "%s needs the class of every picture, and sample %lld of split '%s' has the label %d", what,
                           (long long)i, split, label);
        if (label > most) most = label;
    }
    int known = net_data(a->net)->n_classes;
    *n_classes = known > most ? known : most + 1;
    return OK;
}

const char *analysis_class_name(const Analysis *a, int c) {
    const DataConfig *data = net_data(a->net);
    return data->class_names && c < data->n_classes ? data->class_names[c] : arena_printf(a->arena, "%d", c);
}
