/* setup.c - see setup.h. */
#include "cli/setup.h"

#include "cli/command.h"
#include "train/best.h"
#include "train/precision.h"
#include "train/pretrain.h"

#include <string.h>

Err setup_config(Setup *s, const char *path, const ParamList *sets, Arena *arena, Error *err) {
    *s = (Setup){.arena = arena};
    TRY(load_config(&s->experiment, path, sets, arena, err));
    return data_config_read(&s->data, &s->experiment, arena, err);
}

Err setup_splits(Setup *s, Error *err) {
    Err first = OK;
    s->names = split_names(&s->experiment, s->arena);
    while (s->names[s->n_splits]) s->n_splits++;
    s->splits = ARENA_ARRAY(s->arena, Split *, s->n_splits + 1);
    for (int i = 0; i < s->n_splits; i++) {
        Error own = ERROR_INIT;
        Err code = split_open_survey(&s->splits[i], &s->experiment, s->names[i], s->findings, &own);
        if (!err || !strstr(err->text, own.text)) err_append(err, &own); /* of what splits share, once */
        if (code != OK && first == OK) first = code;
        if (code == OK && strcmp(s->names[i], "train") == 0) {
            s->train = s->splits[i];
            s->data = *split_config(s->train);
        }
    }
    if (split_exists(&s->experiment, "train")) return first;
    Split *none = NULL; /* training would say why not */
    Err code = split_open(&none, &s->experiment, "train", err);
    split_close(none);
    return first != OK ? first : code;
}

/* Shape of one sample as the network gets it: from the data, else from the config; rank 0 when neither says. */
static Shape sample_shape(const Setup *s) {
    int64_t shape[4] = {1, s->data.channels, s->data.size[0], s->data.size[1]};
    if (s->train) split_shape(s->train, shape);
    int height = 0, width = 0;
    if (s->augment) augment_size(s->augment, &height, &width);
    if (height > 0) {
        shape[2] = height;
        shape[3] = width;
    }
    if (shape[1] < 1 || shape[2] < 1 || shape[3] < 1) return (Shape){0};
    return SHAPE(1, shape[1], shape[2], shape[3]);
}

static void keep_first(Err *first, Err code) {
    if (*first == OK) *first = code;
}

/* The shape of a training batch, padded to the network's stride as the loader pads. */
static Err batch_shape(const Setup *s, Shape sample, Shape *out, Error *err) {
    int64_t n = s->experiment.train.batch_size;
    if (!sample.rank) {
        *out = s->graph->input;
        out->dim[0] = n;
        return OK;
    }
    int64_t stride = graph_stride(s->graph), height = sample.dim[2], width = sample.dim[3];
    if (stride > 1) {
        height = (height + stride - 1) / stride * stride;
        width = (width + stride - 1) / stride * stride;
    }
    return net_input_shape(s->graph, n, sample.dim[1], height, width, out, err);
}

/* Build the graph. Where the size of the pictures is not known only what can be said without it is reported:
 * graph_build's complaint that it lacks a size is no news then. */
static Err build_graph(Setup *s, Shape sample, Error *err) {
    int64_t classes = s->experiment.task == TASK_RECONSTRUCTION ? 0 : s->data.n_classes;
    if (sample.rank || node_get(s->experiment.model, "input"))
        return graph_build(&s->graph, &s->experiment, sample, classes, s->arena, err);
    Error without = ERROR_INIT;
    graph_build(&s->graph, &s->experiment, sample, classes, s->arena, &without);
    s->graph = NULL;
    if (without.count > 1) err_append(err, &without);
    if (!s->train && err && err->count > 0) return ERR_DATA; /* why the data is not there has been said */
    if (!s->train) return err_set(err, ERR_DATA, "without its data the size of the network's input is not known");
    return err_set(err, ERR_DATA,
                   "the pictures differ in size: set data.size and data.fit, or the augmentation 'crop'");
}

Err setup_network(Setup *s, Error *err) {
    Err first = OK;
    first = augment_new(&s->augment, s->experiment.train.augment, s->arena, err);
    if (first == OK && s->train)
        first = augment_bind(s->augment, &s->data, split_info(s->train)->has_mask, s->arena, err);
    if (first != OK) s->augment = NULL;
    keep_first(&first, optimizer_read(&s->optimizer, &s->experiment, s->arena, err));
    keep_first(&first, schedule_read(&s->schedule, &s->experiment, s->arena, err));
    SamplingRule sampling;
    keep_first(&first, sampling_read(&sampling, &s->experiment, s->arena, err));
    keep_first(&first, ema_read(&s->ema, &s->experiment, s->arena, err));
    Shape sample = sample_shape(s);
    Err code = build_graph(s, sample, err);
    keep_first(&first, code);
    if (code != OK) return first;
    Pretrain pretrain;
    keep_first(&first, pretrain_read(&pretrain, &s->experiment, s->graph, s->arena, err));
    keep_first(&first, batch_shape(s, sample, &s->input, err));
    code = loss_set_build(&s->losses, &s->experiment, s->graph, s->train, NULL, s->arena, err);
    keep_first(&first, code);
    Best best;
    if (code == OK) keep_first(&first, best_read(&best, &s->experiment, &s->data, &s->losses, s->arena, err));
    return first;
}

Err setup_program(Setup *s, bool training, int threads, Error *err) {
    if (!s->engine) TRY(engine_new(&s->engine, threads, err));
    if (!s->weights) {
        TRY(weights_new(&s->weights, s->graph, err));
        TRY(weights_add_slots(s->weights, s->optimizer.kind->n_slots, err));
    }
    program_free(s->program);
    s->program = NULL;
    CompileSpec spec = {.engine = s->engine,
                        .graph = s->graph,
                        .weights = s->weights,
                        .training = training,
                        .bf16 = training && precision_is_bf16(&s->experiment.train, s->engine),
                        .input = s->input,
                        .n_losses = s->losses.n,
                        .losses = s->losses.terms};
    return compile_program(&s->program, &spec, err);
}

void setup_free(Setup *s) {
    program_free(s->program);
    weights_free(s->weights);
    engine_free(s->engine);
    for (int i = 0; i < s->n_splits; i++) split_close(s->splits[i]);
}

size_t setup_weight_bytes(const Setup *s) {
    size_t floats = (size_t)s->weights->size + (size_t)s->weights->trained_size * (size_t)(1 + s->weights->n_slots);
    if (s->ema.on) floats += (size_t)s->weights->size;
    return floats * sizeof(float);
}
