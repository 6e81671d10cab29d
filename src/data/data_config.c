/* data_config.c - the common keys of the `data:` section: classes and their colours, masks, sizes, normalisation. */
#include "data/split.h"

#include "base/number.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

/* DataConfig and what only the reader needs. */
typedef struct DataKeys {
    DataConfig config;
    const Node *kind, *classes;
    ParamList only, without; /* data/select.h reads them for each split */
} DataKeys;

static const char *const fit_names[] = {"exact", "resize", "crop", "pad", NULL};
static const char *const mask_names[] = {"index", "binary", "color", NULL};

#define ROW(field) offsetof(DataKeys, field)
const Param data_params[] = {
    {"kind", PARAM_NODE, ROW(kind), NULL, 0, 0, NULL, "dataset kind; its knobs go here or into a split"},
    {"root", PARAM_STRING, ROW(config.root), "", 0, 0, NULL,
     "folder that file names start from; default: the environment's SANDGLASS_DATA, else data"},
    {"classes", PARAM_NODE, ROW(classes), "", 0, 0, NULL,
     "names in order of the mask values; or {name: [r, g, b], ...}; default: the dataset's own"},
    {"values", PARAM_INTS, ROW(config.values), "", 0, 255, NULL,
     "mask value of each class, in the order of 'classes'; default: 0, 1, 2 ..."},
    {"ignore", PARAM_INTS, ROW(config.ignore), "", 0, 255, NULL,
     "mask values left out of loss and scores; with colour masks: r, g, b of colours"},
    {"mask", PARAM_CHOICE, ROW(config.mask), "index", 0, 0, mask_names, "how masks code classes (binary: 0 and 255)"},
    {"mean", PARAM_FLOATS, ROW(config.mean), "", 0, 0, NULL, "subtracted per channel, on the data's scale; default: 0"},
    {"std", PARAM_FLOATS, ROW(config.std), "", 0, 0, NULL,
     "divides per channel, on the data's scale; default: the full scale (255 for 8 bit)"},
    {"channels", PARAM_INT, ROW(config.channels), "0", 0, 1024, NULL, "convert pictures to so many; 0: as the data"},
    {"size", PARAM_PAIR, ROW(config.size), "0", 0, 1 << 20, NULL, "what the network gets; 0: as the data"},
    {"fit", PARAM_CHOICE, ROW(config.fit), "exact", 0, 0, fit_names, "how pictures of another size come to 'size'"},
    {"only", PARAM_STRINGS, ROW(only), "", 0, 0, NULL,
     "labels (names or numbers): samples of these alone; here for all splits, or in a split"},
    {"without", PARAM_STRINGS, ROW(without), "", 0, 0, NULL,
     "labels: no samples of these; here for all splits, or in a split"},
    {"part_group", PARAM_STRING, ROW(config.part_group), "", 0, 0, NULL,
     "samples that fall into one part together: n leading characters of the file's name, or a regular expression"},
    {"part_seed", PARAM_INT, ROW(config.part_seed), "0", 0, 1e15, NULL, "of the draw that puts samples into parts"},
    {"cache_mb", PARAM_INT, ROW(config.cache_mb), "1024", 0, 1 << 24, NULL,
     "decoded samples a split keeps in memory, at most"},
    {0}};
#undef ROW

/* ---- splits ---- */

static const char *const usual_splits[] = {"train", "val", "test", NULL};

static bool is_usual(const char *name) {
    for (int i = 0; usual_splits[i] != NULL; i++)
        if (strcmp(usual_splits[i], name) == 0) return true;
    return false;
}

/* A split is a map under a name that is neither a common key nor a knob of the kind; under a usual name it may be
 * nothing, where the kind needs no knobs. */
static bool is_split(const Node *data, int i, const Param *knobs) {
    const char *key = data->keys[i]->text;
    NodeType type = data->items[i]->type;
    if (type != NODE_MAP && !(type == NODE_NULL && is_usual(key))) return false;
    return param_find(data_params, key) == NULL && (knobs == NULL || param_find(knobs, key) == NULL);
}

static const Param *knobs_of(const Node *data) {
    const Node *kind = node_get(data, "kind");
    const DatasetKind *found = kind != NULL && kind->text != NULL ? dataset_find(kind->text) : NULL;
    return found != NULL ? found->params : NULL;
}

const char *const *split_names(const Experiment *experiment, Arena *arena) {
    const Node *data = experiment->data;
    int n = 0, n_pairs = data != NULL && data->type == NODE_MAP ? data->n : 0;
    const char **names = ARENA_ARRAY(arena, const char *, n_pairs + 1);
    const Param *knobs = knobs_of(data);
    for (int i = 0; i < n_pairs; i++)
        if (is_split(data, i, knobs)) names[n++] = data->keys[i]->text;
    return names;
}

bool split_exists(const Experiment *experiment, const char *name) {
    const Node *node = node_get(experiment->data, name);
    if (node == NULL || param_find(data_params, name) != NULL) return false;
    return node->type == NODE_MAP || (node->type == NODE_NULL && is_usual(name));
}

/* ---- classes ---- */

static bool parse_byte(const Node *node, uint8_t *out) {
    if (node->type != NODE_SCALAR || node->text[0] == '\0') return false;
    char *end;
    long value = strtol(node->text, &end, 10);
    if (*end != '\0' || value < 0 || value > 255) return false;
    *out = (uint8_t)value;
    return true;
}

static Err read_color(const Node *node, const char *name, uint8_t rgb[3], Error *err) {
    bool sound = node->type == NODE_LIST && node->n == 3;
    for (int k = 0; sound && k < 3; k++) sound = parse_byte(node->items[k], &rgb[k]);
    if (sound) return OK;
    return err_at(err, ERR_CONFIG, node->mark, "data.classes: the colour of '%s' must be [r, g, b], each 0 to 255",
                  name);
}

static Err read_classes(DataConfig *out, const Node *node, Arena *arena, Error *err) {
    if (node->type == NODE_SCALAR || node->n == 0)
        return err_at(err, ERR_CONFIG, node->mark,
                      "data.classes: expected a list of names, or {name: [r, g, b], ...}, got %s",
                      node->type == NODE_SCALAR ? node->text : "an empty one");
    if (node->n > MAX_CLASSES)
        return err_at(err, ERR_CONFIG, node->mark, "data.classes: at most %d classes, got %d", MAX_CLASSES, node->n);
    bool map = node->type == NODE_MAP;
    int n_colors = 0;
    out->n_classes = node->n;
    out->class_names = ARENA_ARRAY(arena, const char *, node->n);
    out->palette = arena_alloc(arena, (size_t)node->n * sizeof *out->palette);
    for (int i = 0; i < node->n; i++) {
        const Node *name = map ? node->keys[i] : node->items[i];
        if (name->type != NODE_SCALAR || name->text[0] == '\0')
            return err_at(err, ERR_CONFIG, name->mark, "data.classes: expected the name of class %d", i);
        if (strcmp(utf8_printable(name->text, arena), name->text) != 0)
            return err_at(err, ERR_CONFIG, name->mark,
                          "data.classes: the name '%s' has a character that cannot be shown", name->text);
        for (int k = 0; k < i; k++)
            if (strcmp(out->class_names[k], name->text) == 0)
                return err_at(err, ERR_CONFIG, name->mark, "data.classes: '%s' is there twice", name->text);
        out->class_names[i] = name->text;
        image_class_color(i, out->palette[i]);
        if (!map || node->items[i]->type == NODE_NULL) continue;
        TRY(read_color(node->items[i], name->text, out->palette[i], err));
        n_colors++;
    }
    out->has_palette = n_colors == node->n;
    return OK;
}

/* Colour masks need a colour for every class, and no two classes of one. */
static Err check_colors(const DataConfig *config, Mark mark, Error *err) {
    if (!config->has_palette)
        return err_at(err, ERR_CONFIG, mark,
                      "data.mask is color, so every class needs its colour: classes: {name: [r, g, b], ...}");
    for (int i = 0; i < config->n_classes; i++)
        for (int k = 0; k < i; k++)
            if (memcmp(config->palette[i], config->palette[k], 3) == 0)
                return err_at(err, ERR_CONFIG, mark, "data.classes: '%s' and '%s' have the same colour",
                              config->class_names[k], config->class_names[i]);
    if (config->ignore.n % 3 != 0)
        return err_at(err, ERR_CONFIG, mark, "data.ignore: with colour masks it holds colours, 3 numbers each, got %d",
                      config->ignore.n);
    return OK;
}

/* ---- values ---- */

/* One for each class, all different. */
static Err check_values(const DataConfig *config, const Node *data, Error *err) {
    const ParamList *values = &config->values;
    if (values->n == 0) return OK;
    Mark mark = node_get(data, "values")->mark;
    if (config->mask != MASK_INDEX)
        return err_at(err, ERR_CONFIG, mark, "data.values: is for index masks, but data.mask is %s",
                      mask_names[config->mask]);
    if (values->n != config->n_classes)
        return err_at(err, ERR_CONFIG, mark, "data.values: has %d values for %d classes", values->n, config->n_classes);
    for (int i = 0; i < values->n; i++) {
        for (int k = 0; k < i; k++)
            if (values->ints[k] == values->ints[i])
                return err_at(err, ERR_CONFIG, mark, "data.values: '%s' and '%s' have the same value %d",
                              config->class_names[k], config->class_names[i], (int)values->ints[i]);
    }
    return OK;
}

/* ---- the section ---- */

static Err check_kind(const Node *kind, Error *err) {
    const char *known[64] = {0};
    for (int i = 0; i < 63 && dataset_kinds()[i] != NULL; i++) known[i] = dataset_kinds()[i]->name;
    if (kind->type != NODE_SCALAR)
        return err_at(err, ERR_CONFIG, kind->mark, "data.kind: expected the name of a dataset kind");
    if (dataset_find(kind->text) != NULL) return OK;
    return config_unknown_kind(&(KindRef){.name = kind->text, .mark = kind->mark}, "dataset kind", known, err);
}

/* A map under a name near to a usual split's is a slip, not another split. */
static Err check_split_names(const Experiment *experiment, Arena *arena, Error *err) {
    Err result = OK;
    for (const char *const *name = split_names(experiment, arena); *name != NULL; name++) {
        const char *near = nearest_name(*name, usual_splits);
        if (near == NULL || strcmp(near, *name) == 0) continue;
        for (int i = 0; i < experiment->data->n; i++)
            if (strcmp(experiment->data->keys[i]->text, *name) == 0)
                result = err_at(err, ERR_CONFIG, experiment->data->keys[i]->mark,
                                "data: unknown key '%s', did you mean '%s'?", *name, near);
    }
    return result;
}

/* `train: 100` is a split written wrongly, not an unknown key. */
static Err check_split_maps(const Node *data, const Param *knobs, Error *err) {
    Err result = OK;
    for (int i = 0; i < data->n; i++) {
        const char *key = data->keys[i]->text;
        NodeType type = data->items[i]->type;
        if (!is_usual(key) || type == NODE_MAP || type == NODE_NULL || param_find(knobs, key) != NULL) continue;
        result = err_at(err, ERR_CONFIG, data->items[i]->mark, "data.%s: expected a map of the split's knobs, got %s",
                        key, type == NODE_LIST ? "a list" : data->items[i]->text);
    }
    return result;
}

static Err check_normalization(const DataConfig *config, const Node *data, Error *err) {
    for (int i = 0; i < config->std.n; i++)
        if (!(config->std.floats[i] > 0))
            return err_at(err, ERR_CONFIG, node_get(data, "std")->mark, "data.std: must be above 0, got %s",
                          number_format((char[NUMBER_BYTES]){0}, config->std.floats[i], 6));
    int64_t n = config->channels;
    if (n > 0 && config->mean.n > 1 && config->mean.n != n)
        return err_at(err, ERR_CONFIG, node_get(data, "mean")->mark, "data.mean: has %d values for %d channels",
                      config->mean.n, (int)n);
    if (n > 0 && config->std.n > 1 && config->std.n != n)
        return err_at(err, ERR_CONFIG, node_get(data, "std")->mark, "data.std: has %d values for %d channels",
                      config->std.n, (int)n);
    return OK;
}

/* Which depth mean and std are for, before the data are known. */
static int guess_depth(const DataConfig *config) {
    for (int i = 0; i < config->mean.n; i++)
        if (config->mean.floats[i] > 255) return 16;
    for (int i = 0; i < config->std.n; i++)
        if (config->std.floats[i] > 255) return 16;
    return 8;
}

Err data_config_read(DataConfig *out, const Experiment *experiment, Arena *arena, Error *err) {
    const Node *data = experiment->data;
    *out = (DataConfig){0};
    if (data == NULL || data->type != NODE_MAP)
        return err_at(err, ERR_CONFIG, data != NULL ? data->mark : experiment->root->mark,
                      "data: expected a map with the dataset's kind and its splits");
    const Node *kind = node_get(data, "kind");
    if (kind != NULL) TRY(check_kind(kind, err));
    const Param *knobs = knobs_of(data);
    int n_ignore = 0;
    const char **ignore = ARENA_ARRAY(arena, const char *, data->n + 64);
    for (const Param *p = knobs; p != NULL && p->name != NULL && n_ignore < 63; p++) ignore[n_ignore++] = p->name;
    for (const char *const *name = split_names(experiment, arena); *name != NULL; name++) ignore[n_ignore++] = *name;
    TRY(check_split_maps(data, knobs, err));
    DataKeys keys = {0};
    FillSpec spec = {
        .what = "data", .mark = data->mark, .maps = {data}, .targets = {{data_params, &keys}}, .ignore = ignore};
    Err code = config_fill(&spec, arena, err);
    Err names = check_split_names(experiment, arena, err);
    if (code != OK || names != OK) return code != OK ? code : names;
    bool sized = keys.config.size[0] > 0;
    if (sized != (keys.config.size[1] > 0))
        return err_at(err, ERR_CONFIG, node_get(data, "size")->mark, "data.size: height and width, or neither");
    if (keys.classes != NULL && keys.classes->type != NODE_NULL)
        TRY(read_classes(&keys.config, keys.classes, arena, err));
    if (keys.config.mask == MASK_COLOR)
        TRY(check_colors(&keys.config, keys.classes != NULL ? keys.classes->mark : data->mark, err));
    TRY(check_values(&keys.config, data, err));
    TRY(check_normalization(&keys.config, data, err));
    *out = keys.config;
    out->root = experiment->data_root;
    out->depth = guess_depth(out);
    return OK;
}
