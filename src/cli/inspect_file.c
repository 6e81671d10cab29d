/* inspect_file.c - what an HDF5 file of ours holds: a checkpoint (or a run directory), a frozen model or a dataset. */
#include "cli/inspect.h"

#include "data/pack.h"
#include "train/checkpoint.h"

#include <string.h>
#include <sys/stat.h>

/* ---- checkpoints ---- */

static int64_t count_of(const H5Array *a) {
    int64_t n = 1;
    for (int i = 0; i < a->rank; i++) n *= a->dim[i];
    return n;
}

static char *shape_of(const H5Array *a, Arena *arena) {
    char *text = arena_strdup(arena, "");
    for (int i = 0; i < a->rank; i++) text = arena_printf(arena, "%s%s%lld", text, i ? "x" : "", (long long)a->dim[i]);
    return text;
}

typedef struct CheckpointView {
    const char *path, *program, *onednn, *config;
    const char *dtype; /* of a frozen model's weights; NULL: it is a checkpoint */
    int64_t version;
    bool averaged, to_go_on; /* the weights are train.ema's; those that training goes on with are there too */
    TrainState state;
    int n_classes;
    const char *const *class_names;
    int n_weights;
    const char *const *weights; /* paths */
    H5Array *shapes;
} CheckpointView;

static Err read_weights_table(CheckpointView *v, const H5 *file, Arena *arena, Error *err) {
    TRY(h5_walk(file, "/weights", &v->n_weights, &v->weights, arena, err));
    v->shapes = ARENA_ARRAY(arena, H5Array, v->n_weights + 1);
    for (int i = 0; i < v->n_weights; i++) TRY(h5_stat(file, v->weights[i], &v->shapes[i], err));
    return OK;
}

static Err read_header(CheckpointView *v, const H5 *file, Arena *arena, Error *err) {
    TRY(h5_get_int(file, "/", "version", &v->version, err));
    TRY(h5_get_text(file, "/", "program", &v->program, arena, err));
    TRY(h5_get_text(file, "/", "onednn", &v->onednn, arena, err));
    if (h5_exists(file, "/classes")) TRY(h5_read_texts(file, "/classes", &v->n_classes, &v->class_names, arena, err));
    v->averaged = h5_has_attr(file, "/weights", "averaged");
    v->to_go_on = h5_exists(file, "/training_weights");
    return read_weights_table(v, file, arena, err);
}

static Err read_checkpoint(CheckpointView *v, const char *path, Arena *arena, Error *err) {
    Checkpoint *checkpoint = NULL;
    H5 *file = NULL;
    const char *note = NULL;
    Err code = checkpoint_open(&checkpoint, path, false, &note, arena, err);
    if (note) fprintf(stderr, "%s\n", note);
    if (code == OK) {
        v->path = arena_strdup(arena, checkpoint_path(checkpoint));
        v->config = arena_strdup(arena, checkpoint_config(checkpoint));
        if (checkpoint_is_frozen(checkpoint)) v->dtype = checkpoint_dtype(checkpoint);
        code = checkpoint_read_state(checkpoint, &v->state, NULL, 0, arena, err);
    }
    checkpoint_close(checkpoint);
    if (code == OK) code = h5_open(&file, v->path, err);
    if (code == OK) code = read_header(v, file, arena, err);
    h5_close(file);
    return code;
}

static int64_t count_weights(const CheckpointView *v) {
    int64_t n = 0;
    for (int i = 0; i < v->n_weights; i++) n += count_of(&v->shapes[i]);
    return n;
}

static const char *weight_name(const CheckpointView *v, int i) {
    return v->weights[i] + strlen("/weights/");
}

static void print_state(const TrainState *s) {
    char duration[32];
    text_duration(s->seconds, duration);
    printf("trained: %lld epochs, %lld steps, %s\n", (long long)s->epoch, (long long)s->step, duration);
    if (s->batch > 0) printf("in the middle of an epoch: %lld batches done\n", (long long)s->batch);
    if (s->best_epoch > 0) printf("best: epoch %lld, %.6g\n", (long long)s->best_epoch, s->best_value);
}

static void print_checkpoint(const CheckpointView *v, Arena *arena) {
    printf("%s: %s, format version %lld, by sandglass %s with oneDNN %s\n", v->path,
           v->dtype ? "frozen model" : "checkpoint", (long long)v->version, v->program, v->onednn);
    if (v->dtype)
        printf("weights: %s\n", v->dtype);
    else
        print_state(&v->state);
    if (v->n_classes > 0) {
        printf("classes:");
        for (int c = 0; c < v->n_classes; c++) printf("%s %s", c ? "," : "", v->class_names[c]);
        printf("\n");
    }
    if (v->averaged)
        printf("weights: their moving average (train.ema)%s\n",
               v->to_go_on ? "; those that training goes on with are there too" : "");
    printf("\n%-40s  %-16s  %12s\n", "weights", "shape", "count");
    for (int i = 0; i < v->n_weights; i++)
        printf("%-40s  %-16s  %12s\n", weight_name(v, i), shape_of(&v->shapes[i], arena),
               text_count(count_of(&v->shapes[i]), arena));
    printf("%-40s  %-16s  %12s\n", "in all", "", text_count(count_weights(v), arena));
    printf("\nconfig\n%s", v->config);
}

static void print_state_json(const TrainState *s, Json *j) {
    json_int(j, "epoch", s->epoch);
    json_int(j, "batch", s->batch);
    json_int(j, "step", s->step);
    json_float(j, "seconds", s->seconds);
    json_int(j, "best_epoch", s->best_epoch);
    json_float(j, "best_value", s->best_value);
}

static void print_history_json(const TrainState *s, Json *j) {
    json_open_array(j, "history");
    for (int i = 0; i < s->n_history; i++) json_raw(j, NULL, s->history[i]);
    json_close(j);
}

static void print_checkpoint_json(const CheckpointView *v, const Call *call) {
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "what", v->dtype ? "frozen model" : "checkpoint");
    json_string(&j, "path", v->path);
    json_int(&j, "version", v->version);
    json_string(&j, "program", v->program);
    json_string(&j, "onednn", v->onednn);
    if (v->dtype)
        json_string(&j, "dtype", v->dtype);
    else
        print_state_json(&v->state, &j);
    json_open_array(&j, "classes");
    for (int c = 0; c < v->n_classes; c++) json_string(&j, NULL, v->class_names[c]);
    json_close(&j);
    if (!v->dtype) json_bool(&j, "averaged", v->averaged);
    json_open_array(&j, "weights");
    for (int i = 0; i < v->n_weights; i++) {
        json_open_object(&j, NULL);
        json_string(&j, "name", weight_name(v, i));
        json_open_array(&j, "shape");
        for (int k = 0; k < v->shapes[i].rank; k++) json_int(&j, NULL, v->shapes[i].dim[k]);
        json_close(&j);
        json_close(&j);
    }
    json_close(&j);
    if (!v->dtype) print_history_json(&v->state, &j);
    json_string(&j, "config", v->config);
    json_close(&j);
    print_json(call, &j);
}

static bool wants_json(const Call *call) {
    return ((const InspectOptions *)call->options)->json;
}

static Err inspect_checkpoint(const char *path, const Call *call, Error *err) {
    CheckpointView view = {0};
    TRY(read_checkpoint(&view, path, call->arena, err));
    if (wants_json(call))
        print_checkpoint_json(&view, call);
    else
        print_checkpoint(&view, call->arena);
    return OK;
}

/* ---- datasets ---- */

typedef struct SplitView {
    const char *name;
    int64_t n;
    H5Array images, offsets; /* images.rank 4: one size; 1: samples end to end, `offsets` says how many */
    bool has_masks, has_labels;
} SplitView;

typedef struct DatasetView {
    const char *path;
    int n_splits, n_classes;
    SplitView *splits;
    const char *const *class_names;
} DatasetView;

static Err read_split_view(SplitView *v, const H5 *file, Arena *arena, Error *err) {
    const char *images = arena_printf(arena, "/%s/images", v->name);
    const char *offsets = arena_printf(arena, "/%s/offsets", v->name);
    TRY(h5_stat(file, images, &v->images, err));
    v->n = v->images.rank == 4 ? v->images.dim[0] : 0;
    if (h5_exists(file, offsets)) {
        TRY(h5_stat(file, offsets, &v->offsets, err));
        v->n = v->offsets.rank == 1 && v->offsets.dim[0] > 0 ? v->offsets.dim[0] - 1 : 0;
    }
    v->has_masks = h5_exists(file, arena_printf(arena, "/%s/masks", v->name));
    v->has_labels = h5_exists(file, arena_printf(arena, "/%s/labels", v->name));
    return OK;
}

static Err read_dataset(DatasetView *v, const H5 *file, Arena *arena, Error *err) {
    int n;
    const char *const *names;
    TRY(h5_list(file, "/", &n, &names, arena, err));
    v->splits = ARENA_ARRAY(arena, SplitView, n + 1);
    for (int i = 0; i < n; i++) {
        if (!h5_exists(file, arena_printf(arena, "/%s/images", names[i]))) continue;
        v->splits[v->n_splits].name = names[i];
        TRY(read_split_view(&v->splits[v->n_splits++], file, arena, err));
    }
    if (h5_exists(file, "/classes")) TRY(h5_read_texts(file, "/classes", &v->n_classes, &v->class_names, arena, err));
    return OK;
}

static void print_dataset(const DatasetView *v, Arena *arena) {
    static const char *const types[] = {"8-bit", "16-bit", "32-bit integer", "64-bit integer",
                                        "float", "double", "signed 8-bit"};
    printf("%s: dataset file\n", v->path);
    for (int i = 0; i < v->n_splits; i++) {
        const SplitView *s = &v->splits[i];
        const H5Array *a = &s->images;
        printf("%-8s %s samples", s->name, text_count(s->n, arena));
        if (a->rank == 4)
            printf(", %lld high, %lld wide, %lld channels", (long long)a->dim[1], (long long)a->dim[2],
                   (long long)a->dim[3]);
        else
            printf(" of several sizes");
        printf(", %s%s%s\n", types[a->type], s->has_masks ? ", masks" : "", s->has_labels ? ", labels" : "");
    }
    if (v->n_classes == 0) return;
    printf("classes:");
    for (int c = 0; c < v->n_classes; c++) printf("%s %s", c ? "," : "", v->class_names[c]);
    printf("\n");
}

static void print_dataset_json(const DatasetView *v, const Call *call) {
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "what", "dataset");
    json_string(&j, "path", v->path);
    json_open_object(&j, "splits");
    for (int i = 0; i < v->n_splits; i++) {
        const SplitView *s = &v->splits[i];
        json_open_object(&j, s->name);
        json_int(&j, "samples", s->n);
        json_open_array(&j, "shape");
        for (int k = 0; k < s->images.rank; k++) json_int(&j, NULL, s->images.dim[k]);
        json_close(&j);
        json_bool(&j, "masks", s->has_masks);
        json_bool(&j, "labels", s->has_labels);
        json_close(&j);
    }
    json_close(&j);
    json_open_array(&j, "classes");
    for (int c = 0; c < v->n_classes; c++) json_string(&j, NULL, v->class_names[c]);
    json_close(&j);
    json_close(&j);
    print_json(call, &j);
}

static Err inspect_dataset(const H5 *file, const Call *call, Error *err) {
    DatasetView view = {.path = h5_path(file)};
    TRY(read_dataset(&view, file, call->arena, err));
    if (wants_json(call))
        print_dataset_json(&view, call);
    else
        print_dataset(&view, call->arena);
    return OK;
}

/* ---- which ---- */

/* A dataset file says so in its root; anything else is left to the reader of checkpoints and its messages. */
Err inspect_hdf5(const char *path, const Call *call, Error *err) {
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) return inspect_checkpoint(path, call, err);
    H5 *file = NULL;
    TRY(h5_open(&file, path, err));
    const char *format = NULL;
    bool dataset = h5_has_attr(file, "/", "format") &&
                   h5_get_text(file, "/", "format", &format, call->arena, NULL) == OK &&
                   strcmp(format, PACK_FORMAT) == 0;
    Err code = dataset ? inspect_dataset(file, call, err) : OK;
    h5_close(file);
    return dataset ? code : inspect_checkpoint(path, call, err);
}
