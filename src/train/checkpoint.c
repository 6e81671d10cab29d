/* checkpoint.c - see checkpoint.h. One table says which numbers of TrainState are kept, and serves both directions. */
#include "train/checkpoint_parts.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char gradient_sum[] = "gradient_sum";
static const char training_weights[] = "/training_weights";
enum { LOSS_TERMS = sizeof((LossTotal){0}.sum) / sizeof(double) };

typedef struct StateField {
    const char *name;
    size_t offset;
    bool is_float;
    bool is_new; /* files written before it was there lack it: as at the beginning of a run */
} StateField;

#define INT_FIELD(name, member)                                                                                        \
    { name, offsetof(TrainState, member), false, false }
#define FLOAT_FIELD(name, member)                                                                                      \
    { name, offsetof(TrainState, member), true, false }
static const StateField state_fields[] = {
    INT_FIELD("epoch", epoch),
    INT_FIELD("batch", batch),
    INT_FIELD("step", step),
    INT_FIELD("micro", micro),
    FLOAT_FIELD("activity", train_loss.activity),
    FLOAT_FIELD("loss_samples", train_loss.samples),
    INT_FIELD("train_samples", train_samples),
    INT_FIELD("train_images", train_images),
    INT_FIELD("threads", threads),
    FLOAT_FIELD("plateau_best", plateau.best),
    FLOAT_FIELD("plateau_factor", plateau.factor),
    INT_FIELD("plateau_bad_epochs", plateau.bad_epochs),
    INT_FIELD("plateau_cooldown_left", plateau.cooldown_left),
    {"patience_best", offsetof(TrainState, patience.best), true, true},
    {"patience_waited", offsetof(TrainState, patience.waited), false, true},
    INT_FIELD("best_epoch", best_epoch),
    FLOAT_FIELD("best_value", best_value),
    FLOAT_FIELD("last_loss", last_loss),
    FLOAT_FIELD("seconds", seconds),
    FLOAT_FIELD("epoch_seconds", epoch_seconds),
    {"pretrain_layer", offsetof(TrainState, pretrain.layer), false, true},
    {"pretrain_epoch", offsetof(TrainState, pretrain.epoch), false, true},
    {"pretrain_batch", offsetof(TrainState, pretrain.batch), false, true},
    {"pretrain_samples", offsetof(TrainState, pretrain.samples), false, true},
    {"pretrain_error", offsetof(TrainState, pretrain.error), true, true},
};
enum { N_STATE_FIELDS = sizeof state_fields / sizeof *state_fields };

/* ---- writing ---- */

Err checkpoint_write_header(H5 *file, const CheckpointHeader *header, Error *err) {
    const Experiment *experiment = header->experiment;
    static const char prefix[] = "oneDNN ";
    const char *onednn = header->onednn ? header->onednn : "";
    if (strncmp(onednn, prefix, strlen(prefix)) == 0) onednn += strlen(prefix);
    TRY(h5_set_text(file, "/", "format", header->format, err));
    TRY(h5_set_int(file, "/", "version", header->version, err));
    TRY(h5_set_text(file, "/", "program", SANDGLASS_VERSION, err));
    TRY(h5_set_text(file, "/", "onednn", onednn, err));
    TRY(h5_set_text(file, "/", "hdf5", h5_library_version(), err));
    TRY(h5_set_text(file, "/", "task", task_names[experiment->task], err));
    TRY(h5_set_text(file, "/", "name", experiment->name ? experiment->name : "", err));
    Arena *arena = arena_new();
    Err code = h5_write_text(file, "/config", yaml_write(header->config, arena), err);
    arena_free(arena);
    TRY(code);
    H5Array input = {.type = H5_I64, .rank = 1, .dim = {header->input.rank}};
    return h5_write(file, "/input", input, NULL, header->input.dim, err);
}

static Err write_normalization(H5 *file, const char *path, ParamList list, Error *err) {
    H5Array array = {.type = H5_F64, .rank = 1, .dim = {list.n}};
    return list.n ? h5_write(file, path, array, NULL, list.floats, err) : OK;
}

Err checkpoint_write_data(H5 *file, Task task, const DataConfig *data, Error *err) {
    int64_t n = task == TASK_RECONSTRUCTION ? 0 : data->n_classes;
    if (n > 0 && data->class_names)
        TRY(h5_write_texts(file, "/classes", (int)n, (const char *const *)data->class_names, err));
    if (n > 0 && data->palette) TRY(h5_write(file, "/palette", (H5Array){H5_U8, 2, {n, 3}}, NULL, data->palette, err));
    if (data->mean.n == 0 && data->std.n == 0) return OK;
    TRY(h5_set_int(file, "/normalization", "depth", data->depth, err));
    TRY(write_normalization(file, "/normalization/mean", data->mean, err));
    return write_normalization(file, "/normalization/std", data->std, err);
}

static Err write_class_weights(H5 *file, const CheckpointWrite *spec, Error *err) {
    int64_t n = spec->experiment->task == TASK_RECONSTRUCTION ? 0 : spec->data->n_classes;
    if (n == 0 || !spec->class_weights) return OK;
    return h5_write(file, "/class_weights", (H5Array){H5_F32, 1, {n}}, NULL, spec->class_weights, err);
}

static Err write_state(H5 *file, const TrainState *state, Error *err) {
    for (int i = 0; i < N_STATE_FIELDS; i++) {
        const StateField *field = &state_fields[i];
        const void *at = (const char *)state + field->offset;
        if (field->is_float)
            TRY(h5_set_float(file, "/state", field->name, *(const double *)at, err));
        else
            TRY(h5_set_int(file, "/state", field->name, *(const int64_t *)at, err));
    }
    H5Array terms = {.type = H5_F64, .rank = 1, .dim = {LOSS_TERMS}};
    TRY(h5_write(file, "/state/loss_sum", terms, NULL, state->train_loss.sum, err));
    TRY(h5_write(file, "/state/loss_weight", terms, NULL, state->train_loss.weight, err));
    return h5_write_texts(file, "/history", state->n_history, state->history, err);
}

static Err write_slots(H5 *file, const CheckpointWrite *spec, Error *err) {
    char group[PATH_BYTES];
    for (int k = 0; spec->slot_names && k < spec->n_slots; k++) {
        snprintf(group, sizeof group, "/optimizer/%s", spec->slot_names[k]);
        TRY(stored_write(file, group, spec->weights, spec->weights->slot[k], WEIGHT_TRAINED, STORED_F32, err));
    }
    if (!spec->accumulated || spec->state->micro == 0) return OK;
    snprintf(group, sizeof group, "/optimizer/%s", gradient_sum);
    return stored_write(file, group, spec->weights, spec->accumulated, WEIGHT_TRAINED, STORED_F32, err);
}

static Err write_pretrain(H5 *file, const CheckpointWrite *spec, Error *err) {
    const Weights *weights = spec->pretrain;
    if (!weights) return OK;
    TRY(stored_write(file, "/pretrain/value", weights, weights->value, 0, STORED_F32, err));
    for (int k = 0; k < weights->n_slots; k++) {
        char group[PATH_BYTES];
        snprintf(group, sizeof group, "/pretrain/%s", spec->pretrain_slot_names[k]);
        TRY(stored_write(file, group, weights, weights->slot[k], 0, STORED_F32, err));
    }
    return OK;
}

static Err write_weights(H5 *file, const CheckpointWrite *spec, Error *err) {
    const Weights *weights = spec->weights, *average = spec->average;
    if (!average) return stored_write(file, "/weights", weights, weights->value, 0, STORED_F32, err);
    TRY(h5_set_int(file, "/weights", "averaged", 1, err));
    TRY(stored_write(file, "/weights", average, average->value, 0, STORED_F32, err));
    return spec->both ? stored_write(file, training_weights, weights, weights->value, 0, STORED_F32, err) : OK;
}

static Err write_all(H5 *file, const CheckpointWrite *spec, Error *err) {
    const CheckpointHeader header = {.format = CHECKPOINT_FORMAT,
                                     .version = CHECKPOINT_VERSION,
                                     .experiment = spec->experiment,
                                     .config = spec->experiment->root,
                                     .input = spec->input,
                                     .onednn = spec->onednn};
    TRY(checkpoint_write_header(file, &header, err));
    TRY(checkpoint_write_data(file, spec->experiment->task, spec->data, err));
    TRY(write_class_weights(file, spec, err));
    TRY(write_weights(file, spec, err));
    TRY(write_slots(file, spec, err));
    TRY(write_pretrain(file, spec, err));
    TRY(write_state(file, spec->state, err));
    return h5_commit(file, spec->keep_as, err);
}

Err checkpoint_write(const CheckpointWrite *spec, Error *err) {
    H5 *file = NULL;
    TRY(h5_create(&file, spec->path, err));
    Err code = write_all(file, spec, err);
    h5_close(file);
    return code;
}

/* ---- opening ---- */

struct Checkpoint {
    H5 *file;
    const char *config;
    Shape input;
    CheckpointWriter writer;
    bool frozen;
    int stored; /* StoredType of a frozen model's weights */
};

/* What an HDF5 file is that is no checkpoint, as far as it can be told. */
static Err refuse_foreign(const H5 *file, const char *format, Error *err) {
    const char *what = "an HDF5 file of another program";
    if (strcmp(format, "sandglass-dataset") == 0)
        what = "a packed dataset";
    else if (format[0])
        what = "an HDF5 file of another kind";
    else if (h5_has_attr(file, "/", "keras_version") || h5_has_attr(file, "/", "model_config") ||
             h5_exists(file, "/model_weights") || h5_exists(file, "/_layer_checkpoint_dependencies"))
        what = "a Keras model";
    return err_set(err, ERR_FORMAT, "%s: %s, not a sandglass checkpoint", h5_path(file), what);
}

static Err read_input(Checkpoint *c, Error *err) {
    H5Array array;
    TRY(h5_stat(c->file, "/input", &array, err));
    int64_t rank = array.rank == 1 ? array.dim[0] : 0;
    if (rank < 2 || rank > SHAPE_MAX_RANK)
        return err_set(err, ERR_FORMAT, "%s: '/input' should hold 2 to %d sizes, it holds %lld", h5_path(c->file),
                       SHAPE_MAX_RANK, (long long)rank);
    c->input.rank = (int)rank;
    TRY(h5_read(c->file, "/input", (H5Array){H5_I64, 1, {rank}}, c->input.dim, err));
    for (int i = 0; i < c->input.rank; i++)
        if (c->input.dim[i] < 1 || c->input.dim[i] > 1 << 24)
            return err_set(err, ERR_FORMAT, "%s: '/input' has an unusable size: %lld", h5_path(c->file),
                           (long long)c->input.dim[i]);
    return OK;
}

static Err read_version(const Checkpoint *c, const char *what, int newest, Error *err) {
    int64_t version;
    TRY(h5_get_int(c->file, "/", "version", &version, err));
    if (version > newest)
        return err_set(err, ERR_FORMAT,
                       "%s: written by a newer sandglass (%s version %lld, this program reads up to %d)",
                       h5_path(c->file), what, (long long)version, newest);
    if (version < 1)
        return err_set(err, ERR_FORMAT, "%s: there is no %s version %lld", h5_path(c->file), what, (long long)version);
    return OK;
}

static Err read_stored_type(Checkpoint *c, Arena *arena, Error *err) {
    const char *name;
    TRY(h5_get_text(c->file, "/", "dtype", &name, arena, err));
    for (int i = 0; stored_type_names[i]; i++) {
        c->stored = i;
        if (strcmp(stored_type_names[i], name) == 0) return OK;
    }
    return err_set(err, ERR_FORMAT, "%s: its weights are of an unknown type, '%.40s'", h5_path(c->file), name);
}

static Err read_header(Checkpoint *c, Arena *arena, Error *err) {
    const char *format = "";
    if (h5_has_attr(c->file, "/", "format")) TRY(h5_get_text(c->file, "/", "format", &format, arena, err));
    c->frozen = strcmp(format, FROZEN_FORMAT) == 0;
    if (!c->frozen && strcmp(format, CHECKPOINT_FORMAT) != 0) return refuse_foreign(c->file, format, err);
    TRY(read_version(c, c->frozen ? "frozen model" : "checkpoint", c->frozen ? FROZEN_VERSION : CHECKPOINT_VERSION,
                     err));
    if (c->frozen) TRY(read_stored_type(c, arena, err));
    TRY(h5_read_text(c->file, "/config", &c->config, arena, err));
    TRY(h5_get_text(c->file, "/", "program", &c->writer.program, arena, err));
    TRY(h5_get_text(c->file, "/", "onednn", &c->writer.onednn, arena, err));
    TRY(h5_get_text(c->file, "/", "hdf5", &c->writer.hdf5, arena, err));
    return read_input(c, err);
}

static Err open_file(Checkpoint **out, const char *path, bool for_resume, Arena *arena, Error *err) {
    Checkpoint *c = ARENA_NEW(arena, Checkpoint);
    TRY(h5_open(&c->file, path, err));
    Err code = read_header(c, arena, err);
    if (code == OK && c->frozen && for_resume)
        code = err_set(
            err, ERR_FORMAT,
            "%s: a frozen model, which training cannot go on from: it holds neither normalisation layers nor "
            "optimizer state; --resume needs the run's own last.h5",
            path);
    if (code == OK)
        *out = c;
    else
        checkpoint_close(c);
    return code;
}

/* The first of a run's checkpoints that can be read; what had to be passed over is said in *note. */
static Err open_run(Checkpoint **out, const char *run_dir, bool for_resume, const char **note, Arena *arena,
                    Error *err) {
    static const char *const to_use[] = {"best.h5", "last.h5", "last.prev.h5", NULL};
    static const char *const to_resume[] = {"last.h5", "last.prev.h5", NULL};
    Error *first = ARENA_NEW(arena, Error);
    for (const char *const *name = for_resume ? to_resume : to_use; *name; name++) {
        const char *path = arena_printf(arena, "%s/%s", run_dir, *name);
        if (access(path, F_OK) != 0) continue;
        Error *why = ARENA_NEW(arena, Error);
        if (open_file(out, path, for_resume, arena, why) == OK) {
            if (first->count && note) {
                size_t n = strcspn(first->text, "\n");
                const char *text = arena_strndup(arena, first->text, n);
                if (strncmp(text, "error: ", 7) == 0) text += 7;
                *note = arena_printf(arena, "%s; using %s instead", text, path);
            }
            return OK;
        }
        if (!first->count) err_append(first, why);
    }
    if (first->count) return err_append(err, first);
    return err_set(err, ERR_IO, "'%s' holds no checkpoint (%slast.h5)", run_dir, for_resume ? "" : "best.h5 or ");
}

static bool is_yaml(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

Err checkpoint_open(Checkpoint **out, const char *model, bool for_resume, const char **note, Arena *arena, Error *err) {
    *out = NULL;
    if (note) *note = NULL;
    struct stat st;
    bool exists = stat(model, &st) == 0, folder = exists && S_ISDIR(st.st_mode);
    if (exists && !folder && is_yaml(model))
        return err_set(
            err, ERR_FORMAT,
            "%s: a config, not a trained network; name a run directory, such as runs/NAME, or a checkpoint in "
            "it",
            model);
    return folder ? open_run(out, model, for_resume, note, arena, err) : open_file(out, model, for_resume, arena, err);
}

void checkpoint_close(Checkpoint *c) {
    if (!c) return;
    h5_close(c->file);
    c->file = NULL;
}

const char *checkpoint_path(const Checkpoint *c) {
    return h5_path(c->file);
}

const char *checkpoint_config(const Checkpoint *c) {
    return c->config;
}

Shape checkpoint_input(const Checkpoint *c) {
    return c->input;
}

bool checkpoint_is_frozen(const Checkpoint *c) {
    return c->frozen;
}

const char *checkpoint_dtype(const Checkpoint *c) {
    return stored_type_names[c->stored];
}

CheckpointWriter checkpoint_writer(const Checkpoint *c) {
    return c->writer;
}

/* ---- reading ---- */

static Err read_classes(const Checkpoint *c, DataConfig *data, Arena *arena, Error *err) {
    if (!h5_exists(c->file, "/classes")) return OK;
    int n;
    const char *const *names;
    TRY(h5_read_texts(c->file, "/classes", &n, &names, arena, err));
    if (n < 1 || n > MAX_CLASSES)
        return err_set(err, ERR_FORMAT, "%s: '/classes' should hold 1 to %d names, it holds %d", h5_path(c->file),
                       MAX_CLASSES, n);
    data->n_classes = n;
    data->class_names = arena_copy(arena, names, sizeof *names * (size_t)n);
    data->palette = arena_alloc(arena, sizeof *data->palette * (size_t)n);
    for (int i = 0; i < n; i++) image_class_color(i, data->palette[i]);
    if (!h5_exists(c->file, "/palette")) return OK;
    return h5_read(c->file, "/palette", (H5Array){H5_U8, 2, {n, 3}}, data->palette, err);
}

static Err read_normalization(const Checkpoint *c, const char *path, ParamList *out, Arena *arena, Error *err) {
    if (!h5_exists(c->file, path)) return OK;
    H5Array array;
    enum { MAX_CHANNELS = 1 << 16 };
    TRY(h5_stat(c->file, path, &array, err));
    int64_t n = array.rank == 1 ? array.dim[0] : 0;
    if (n < 1 || n > MAX_CHANNELS)
        return err_set(err, ERR_FORMAT, "%s: '%s' should hold a number per channel", h5_path(c->file), path);
    double *values = ARENA_ARRAY(arena, double, n);
    TRY(h5_read(c->file, path, (H5Array){H5_F64, 1, {n}}, values, err));
    *out = (ParamList){.n = (int)n, .floats = values};
    return OK;
}

Err checkpoint_read_data(const Checkpoint *c, DataConfig *data, Arena *arena, Error *err) {
    TRY(read_classes(c, data, arena, err));
    if (!h5_exists(c->file, "/normalization")) return OK;
    int64_t depth;
    TRY(h5_get_int(c->file, "/normalization", "depth", &depth, err));
    if (depth != 8 && depth != 16 && depth != 32)
        return err_set(err, ERR_FORMAT, "%s: 'depth' of '/normalization' must be 8, 16 or 32, got %lld",
                       h5_path(c->file), (long long)depth);
    data->depth = (int)depth;
    TRY(read_normalization(c, "/normalization/mean", &data->mean, arena, err));
    TRY(read_normalization(c, "/normalization/std", &data->std, arena, err));
    for (int i = 0; i < data->std.n; i++)
        if (!(data->std.floats[i] > 0)) /* a NaN too */
            return err_set(err, ERR_FORMAT, "%s: '/normalization/std' must be above 0, got %g", h5_path(c->file),
                           data->std.floats[i]);
    return OK;
}

Err checkpoint_read_class_weights(const Checkpoint *c, int *n, const float **weights, Arena *arena, Error *err) {
    *n = 0;
    *weights = NULL;
    if (!h5_exists(c->file, "/class_weights")) return OK;
    H5Array array;
    TRY(h5_stat(c->file, "/class_weights", &array, err));
    int64_t count = array.rank == 1 ? array.dim[0] : 0;
    if (count < 1 || count > MAX_CLASSES)
        return err_set(err, ERR_FORMAT, "%s: '/class_weights' should hold a number per class", h5_path(c->file));
    float *values = ARENA_ARRAY(arena, float, count);
    TRY(h5_read(c->file, "/class_weights", (H5Array){H5_F32, 1, {count}}, values, err));
    *n = (int)count;
    *weights = values;
    return OK;
}

static int node_called(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->n; i++)
        if (strcmp(graph->nodes[i].name, name) == 0) return i;
    return -1;
}

Err checkpoint_read_ranges(const Checkpoint *c, const Graph *graph, const NodeRange **out, Arena *arena, Error *err) {
    *out = NULL;
    if (!c->frozen || !h5_exists(c->file, "/ranges")) return OK;
    int n;
    const char *const *names;
    TRY(h5_read_texts(c->file, "/ranges/nodes", &n, &names, arena, err));
    float *largest = ARENA_ARRAY(arena, float, n + 1);
    uint8_t *negative = ARENA_ARRAY(arena, uint8_t, n + 1);
    TRY(h5_read(c->file, "/ranges/largest", (H5Array){H5_F32, 1, {n}}, largest, err));
    TRY(h5_read(c->file, "/ranges/negative", (H5Array){H5_U8, 1, {n}}, negative, err));
    NodeRange *ranges = ARENA_ARRAY(arena, NodeRange, graph->n + 1);
    for (int i = 0; i < n; i++) {
        int node = node_called(graph, names[i]);
        if (node < 0)
            return err_set(err, ERR_FORMAT, "%s: '/ranges' names a layer that its network does not have: '%.200s'",
                           h5_path(c->file), names[i]);
        if (!(largest[i] > 1e-30F && largest[i] < 1e30F))
            return err_set(err, ERR_FORMAT, "%s: '/ranges' has an unusable range for '%s': %g", h5_path(c->file),
                           names[i], (double)largest[i]);
        ranges[node] = (NodeRange){largest[i], negative[i] != 0};
    }
    *out = ranges;
    return OK;
}

static Err refuse_extra_weights(const Checkpoint *c, const Weights *weights, Error *err) {
    if (!h5_exists(c->file, "/weights")) return OK;
    Arena *arena = arena_new();
    int n;
    const char *const *paths;
    Err code = h5_walk(c->file, "/weights", &n, &paths, arena, err);
    for (int i = 0; i < n && code == OK; i++) {
        const char *name = paths[i] + strlen("/weights/");
        if (!weights_find(weights, name))
            code = err_set(err, ERR_FORMAT, "%s: holds weights that its own network does not have: '%s'",
                           h5_path(c->file), name);
    }
    arena_free(arena);
    return code;
}

Err checkpoint_check_weights(const Checkpoint *c, const Weights *weights, Error *err) {
    TRY(stored_check(c->file, "/weights", weights, c->stored, err));
    return refuse_extra_weights(c, weights, err);
}

Err checkpoint_read_weights(const Checkpoint *c, Weights *weights, Error *err) {
    TRY(checkpoint_check_weights(c, weights, err));
    return stored_read(c->file, "/weights", weights, weights->value, 0, c->stored, err);
}

Err checkpoint_read_training(const Checkpoint *c, Weights *weights, Weights *average, Error *err) {
    if (!average) return checkpoint_read_weights(c, weights, err);
    TRY(checkpoint_read_weights(c, average, err));
    return stored_read(c->file, training_weights, weights, weights->value, 0, STORED_F32, err);
}

Err checkpoint_read_slots(const Checkpoint *c, Weights *weights, int n, const char *const *slot_names, Error *err) {
    char group[PATH_BYTES];
    for (int k = 0; k < n; k++) {
        snprintf(group, sizeof group, "/optimizer/%s", slot_names[k]);
        TRY(stored_read(c->file, group, weights, weights->slot[k], WEIGHT_TRAINED, STORED_F32, err));
    }
    return OK;
}

Err checkpoint_read_pretrain(const Checkpoint *c, Weights *weights, const char *const *slot_names, Error *err) {
    TRY(stored_read(c->file, "/pretrain/value", weights, weights->value, 0, STORED_F32, err));
    for (int k = 0; k < weights->n_slots; k++) {
        char group[PATH_BYTES];
        snprintf(group, sizeof group, "/pretrain/%s", slot_names[k]);
        TRY(stored_read(c->file, group, weights, weights->slot[k], 0, STORED_F32, err));
    }
    return OK;
}

Err checkpoint_read_state(const Checkpoint *c, TrainState *out, const Weights *weights, float *accumulated,
                          Arena *arena, Error *err) {
    *out = (TrainState){0};
    patience_init(&out->patience);
    if (c->frozen) return OK;
    for (int i = 0; i < N_STATE_FIELDS; i++) {
        const StateField *field = &state_fields[i];
        void *at = (char *)out + field->offset;
        if (field->is_new && !h5_has_attr(c->file, "/state", field->name)) continue;
        if (field->is_float)
            TRY(h5_get_float(c->file, "/state", field->name, at, err));
        else
            TRY(h5_get_int(c->file, "/state", field->name, at, err));
        if (!field->is_float && *(int64_t *)at < 0)
            return err_set(err, ERR_FORMAT, "%s: '%s' of '/state' is negative", h5_path(c->file), field->name);
    }
    H5Array terms = {.type = H5_F64, .rank = 1, .dim = {LOSS_TERMS}};
    TRY(h5_read(c->file, "/state/loss_sum", terms, out->train_loss.sum, err));
    TRY(h5_read(c->file, "/state/loss_weight", terms, out->train_loss.weight, err));
    const char *const *history;
    TRY(h5_read_texts(c->file, "/history", &out->n_history, &history, arena, err));
    out->history = arena_copy(arena, history, sizeof *history * (size_t)out->n_history);
    if (!accumulated || out->micro == 0) return OK;
    char group[PATH_BYTES];
    snprintf(group, sizeof group, "/optimizer/%s", gradient_sum);
    return stored_read(c->file, group, weights, accumulated, WEIGHT_TRAINED, STORED_F32, err);
}
