/* onnx_meta.c - see onnx_meta.h. */
#include "export/onnx_meta.h"

#include "base/json.h"
#include "base/number.h"
#include "export/classes.h"

#include <inttypes.h>
#include <stdlib.h>

enum { MAX_PROPS = 16 };
enum { FLOAT_DIGITS = 7 }; /* what a float can tell apart: 105.03, not 105.029999 */

typedef struct Props {
    Onnx__ModelProto *model;
    Arena *arena;
} Props;

static void add(const Props *p, const char *key, const char *value) {
    Onnx__StringStringEntryProto *entry = ARENA_NEW(p->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = arena_strdup(p->arena, key);
    entry->value = arena_strdup(p->arena, value);
    p->model->metadata_props[p->model->n_metadata_props++] = entry;
}

static void add_classes(const Props *p, const DataConfig *data) {
    const char *names = class_names_json(data, p->arena), *palette = class_palette_json(data, p->arena);
    if (names) add(p, "classes", names);
    if (palette) add(p, "palette", palette);
    add(p, "ignore", ignored_values_json(data, p->arena));
}

static void add_normalization(const Props *p, const DataConfig *data, int channels) {
    Json mean = json_begin(p->arena), std = json_begin(p->arena);
    json_open_array(&mean, NULL);
    json_open_array(&std, NULL);
    for (int k = 0; k < channels; k++) {
        const DataScale s = data_scale(data, k);
        json_raw(&mean, NULL, number_format((char[NUMBER_BYTES]){0}, (double)s.mean, FLOAT_DIGITS));
        json_raw(&std, NULL, number_format((char[NUMBER_BYTES]){0}, 1 / (double)s.scale, FLOAT_DIGITS));
    }
    json_close(&mean);
    json_close(&std);
    add(p, "depth", arena_printf(p->arena, "%d", data->depth));
    add(p, "mean", json_text(&mean));
    add(p, "std", json_text(&std));
}

void onnx_add_metadata(Onnx__ModelProto *model, const Net *net, int64_t stride, Arena *arena) {
    static const char *const orders[] = {"gray", "gray-alpha", "RGB", "RGBA"};
    const Experiment *experiment = net_experiment(net);
    const DataConfig *data = net_data(net);
    const int channels = net_channels(net);
    const Props p = {model, arena};
    model->metadata_props = ARENA_ARRAY(arena, Onnx__StringStringEntryProto *, MAX_PROPS);
    add(&p, "name", experiment->name);
    add(&p, "task", task_names[experiment->task]);
    if (experiment->task != TASK_RECONSTRUCTION && data->n_classes > 0) add_classes(&p, data);
    if (channels >= 1 && channels <= 4) add(&p, "channel_order", orders[channels - 1]);
    add_normalization(&p, data, channels > 0 ? channels : 1);
    add(&p, "stride", arena_printf(arena, "%" PRId64, stride));
}
