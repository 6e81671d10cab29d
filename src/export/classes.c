/* classes.c - see classes.h. */
#include "export/classes.h"

#include "base/json.h"

const char *class_names_json(const DataConfig *data, Arena *arena) {
    if (!data->class_names) return NULL;
    Json j = json_begin(arena);
    json_open_array(&j, NULL);
    for (int i = 0; i < data->n_classes; i++) json_string(&j, NULL, data->class_names[i]);
    json_close(&j);
    return json_text(&j);
}

const char *class_palette_json(const DataConfig *data, Arena *arena) {
    if (!data->palette) return NULL;
    Json j = json_begin(arena);
    json_open_array(&j, NULL);
    for (int i = 0; i < data->n_classes; i++) {
        json_open_array(&j, NULL);
        for (int k = 0; k < 3; k++) json_int(&j, NULL, data->palette[i][k]);
        json_close(&j);
    }
    json_close(&j);
    return json_text(&j);
}

const char *ignored_values_json(const DataConfig *data, Arena *arena) {
    Json j = json_begin(arena);
    json_open_array(&j, NULL);
    for (int i = 0; i < data->ignore.n; i++) json_int(&j, NULL, data->ignore.ints[i]);
    json_close(&j);
    return json_text(&j);
}
