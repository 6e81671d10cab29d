/* export_verify.c - see export_verify.h. */
#include "cli/export_verify.h"

#include "cli/inputs.h"

#include <string.h>

/* ---- inputs ---- */

/* A picture in the size in which the network sees it. */
static Err fit(Image *image, const DataConfig *data, Error *err) {
    const int height = (int)data->size[0], width = (int)data->size[1];
    if (data->fit != FIT_RESIZE || height == 0 || (image->width == width && image->height == height)) return OK;
    Image small = {0};
    TRY(image_resize(image, width, height, false, &small, err));
    image_free(image);
    *image = small;
    return OK;
}

static Err read_one(const Inputs *inputs, int i, const Net *net, VerifyInput *out, Error *err) {
    Image image = {0};
    TRY(inputs_read(inputs, i, net_channels(net), &image, err));
    Err code = fit(&image, net_data(net), err);
    out->name = inputs->list.items[i].path;
    if (code == OK) code = verify_input(out, net, &image, err);
    if (code != OK) err_context(err, "%s", out->name);
    image_free(&image);
    return code;
}

static Err read_pictures(ExportInputs *out, const Inputs *inputs, const Net *net, Arena *arena, Error *err) {
    out->items = ARENA_ARRAY(arena, VerifyInput, inputs->list.n + 1);
    for (int i = 0; i < inputs->list.n; i++) {
        TRY(read_one(inputs, i, net, &out->items[i], err));
        out->n = i + 1;
    }
    return out->n > 0 ? OK : err_set(err, ERR_DATA, "'%s' holds no pictures", out->data);
}

static Err read_random(ExportInputs *out, int64_t count, const Net *net, Arena *arena, Error *err) {
    const int n = count > 0 ? (int)count : 1;
    out->items = ARENA_ARRAY(arena, VerifyInput, n);
    for (int i = 0; i < n; i++) {
        TRY(verify_input_random(&out->items[i], net, i, err));
        out->n = i + 1;
    }
    return OK;
}

Err export_inputs_read(ExportInputs *out, const char *data, int64_t count, const Net *net, Arena *arena, Error *err) {
    *out = (ExportInputs){.data = data};
    const bool split = split_exists(net_experiment(net), data);
    Err code = OK;
    if (!split && strcmp(data, "random") == 0) {
        code = read_random(out, count, net, arena, err);
    } else {
        InputsSpec spec = {.n_paths = split ? 0 : 1, .paths = &data, .split = split ? data : NULL, .limit = count};
        Inputs inputs;
        TRY(inputs_check(&inputs, &spec, arena, err));
        code = inputs_open(&inputs, &spec, net_experiment(net), arena, err);
        if (code == OK) code = read_pictures(out, &inputs, net, arena, err);
        inputs_close(&inputs);
    }
    if (code != OK) export_inputs_free(out);
    return code;
}

void export_inputs_free(ExportInputs *inputs) {
    for (int i = 0; i < inputs->n; i++) verify_input_free(&inputs->items[i]);
    inputs->n = 0;
}

/* ---- rows ---- */

static double percent(const VerifyRow *row) {
    return row->places > 0 ? 100 * (double)row->disagreeing / (double)row->places : 0;
}

static void print_row(const VerifyRow *row, const char *places, Arena *arena) {
    if (!row->installed)
        printf("  %s: not run: %s\n", row->engine, row->why);
    else if (!row->ran)
        printf("  %s: failed: %s\n", row->engine, row->why);
    else
        printf("  %s: largest difference %.2g (relative %.2g), %s of %s %s disagree (%.3f %%): %s\n", row->engine,
               row->absolute, row->relative, text_count(row->disagreeing, arena), text_count(row->places, arena),
               places, percent(row), row->passed ? "ok" : "too much");
}

static void row_json(const VerifyRow *row, Json *json) {
    json_open_object(json, NULL);
    json_string(json, "engine", row->engine);
    json_bool(json, "installed", row->installed);
    json_bool(json, "ran", row->ran);
    if (row->why) json_string(json, "why", row->why);
    if (row->ran) {
        json_float(json, "absolute", row->absolute);
        json_float(json, "relative", row->relative);
        json_int(json, "places", row->places);
        json_int(json, "disagreeing", row->disagreeing);
    }
    json_bool(json, "passed", row->passed);
    json_close(json);
}

static void rows_json(const ExportInputs *inputs, int n, const VerifyRow *rows, Json *json) {
    json_open_object(json, "verify");
    json_string(json, "data", inputs->data);
    json_int(json, "inputs", inputs->n);
    json_open_array(json, "engines");
    for (int i = 0; i < n; i++) row_json(&rows[i], json);
    json_close(json);
    json_close(json);
}

static Err judge(const VerifySpec *spec, int n, const VerifyRow *rows, Error *err) {
    int n_ran = 0;
    for (int i = 0; i < n; i++) {
        n_ran += rows[i].ran;
        if (rows[i].installed && !rows[i].ran)
            return err_set(err, ERR_DATA, "%s: %s cannot run it: %s", spec->path, rows[i].engine, rows[i].why);
        if (rows[i].ran && !rows[i].passed)
            return err_set(err, ERR_DATA,
                           "%s: %s does not give what the network gives: relative difference %.2g, %.3f %% disagree",
                           spec->path, rows[i].engine, rows[i].relative, percent(&rows[i]));
    }
    if (n_ran > 0) return OK;
    return err_set(err, ERR_DATA, "%s: not verified: no engine that reads it is installed (%s)", spec->path,
                   n > 0 ? rows[0].why : "there is none");
}

Err export_verify(const VerifySpec *spec, const ExportInputs *inputs, Json *json, Arena *arena, Error *err) {
    VerifyRow rows[VERIFY_MAX_ROWS];
    int n;
    const Task task = net_experiment(spec->net)->task;
    const char *places = task == TASK_SEGMENTATION ? "pixels" : task == TASK_CLASSIFICATION ? "samples" : "values";
    TRY(verify_export(spec, &n, rows, arena, err));
    if (json) {
        rows_json(inputs, n, rows, json);
    } else {
        printf("verified on %d input%s of '%s'\n", inputs->n, inputs->n == 1 ? "" : "s", inputs->data);
        for (int i = 0; i < n; i++) print_row(&rows[i], places, arena);
    }
    return judge(spec, n, rows, err);
}
