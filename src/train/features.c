/* features.c - see features.h. Batches come in the order of the split and are read out one after the other. */
#include "train/features.h"

#include "train/walk.h"

#include <string.h>

/* What the reading of a split goes by. */
typedef struct Reader {
    Net *net;
    const FeatureSpec *spec;
    const char *at; /* as the network calls it; NULL: the input */
    Features *out;
} Reader;

static bool is_input(const FeatureSpec *spec) {
    return spec->at && strcmp(spec->at, "input") == 0;
}

/* A layer's values over repeated edges are no picture's. */
static Err check_padding(const Batch *batch, Error *err) {
    if (batch->height == batch->valid_height && batch->width == batch->valid_width) return OK;
    return err_set(err, ERR_DATA,
                   "the network takes pictures of %dx%d (height x width), the data has %dx%d: give data.size and "
                   "data.fit",
                   batch->height, batch->width, batch->valid_height, batch->valid_width);
}

/* Room for all samples, once the first batch has shown how much one takes. */
static Err make_room(Features *out, Shape batch_shape, bool labels, Error *err) {
    out->shape = batch_shape;
    out->shape.dim[0] = 1;
    out->size = shape_size(out->shape);
    size_t n = (size_t)out->n, bytes;
    if (__builtin_mul_overflow(n, (size_t)out->size * sizeof(float), &bytes) || !(out->values = block_alloc(bytes)))
        return err_set(err, ERR_MEMORY, "no memory for %lld values of %lld samples each: take fewer samples",
                       (long long)out->size, (long long)out->n);
    if (labels && !(out->labels = block_alloc(n * sizeof *out->labels)))
        return err_set(err, ERR_MEMORY, "no memory for %lld labels", (long long)out->n);
    return OK;
}

/* The values of a batch at the layer that is asked for; valid until the next batch. */
static Err run_batch(const Reader *r, const WalkStep *step, const float **values, Shape *shape, Error *err) {
    const Batch *batch = step->batch;
    TRY(net_input_shape(net_graph(r->net), batch->n, step->channels, batch->height, batch->width, shape, err));
    *values = batch->input;
    if (!r->at) return OK;
    Program *program;
    const char *result;
    NetPart part = {.at = r->at, .draws = r->spec->draws};
    TRY(net_part(r->net, &part, *shape, &program, &result, err));
    program_bind(program, "input", batch->input);
    RunState run = {.seed = (uint64_t)net_experiment(r->net)->train.seed,
                    .step = NET_SCORE_STEP + (uint64_t)step->number};
    TRY(program_run(program, &run, err));
    *values = program_read(program, result);
    *shape = program_shape(program, result);
    if (shape->rank > 0 && shape->dim[0] == batch->n) return OK;
    char text[SHAPE_TEXT_BYTES];
    return err_set(err, ERR_DATA, "'%s' is %s for a batch of %lld: no values of each sample", r->at,
                   shape_text(*shape, text), (long long)batch->n);
}

static Err take_batch(void *context, const WalkStep *step, Error *err) {
    const Reader *r = context;
    const Batch *batch = step->batch;
    Features *out = r->out;
    const float *values;
    Shape shape;
    TRY(check_padding(batch, err));
    TRY(run_batch(r, step, &values, &shape, err));
    if (!out->values) TRY(make_room(out, shape, batch->label != NULL, err));
    memcpy(out->values + step->first * out->size, values, (size_t)(step->n * out->size) * sizeof *values);
    if (out->labels) memcpy(out->labels + step->first, batch->label, (size_t)step->n * sizeof *batch->label);
    return OK;
}

Err features_read(Features *out, Net *net, const FeatureSpec *spec, Error *err) {
    *out = (Features){0};
    Reader reader = {.net = net, .spec = spec, .out = out};
    if (!is_input(spec)) {
        reader.at = spec->at ? net_layer(net, spec->at, err) : net_code(net, err);
        if (!reader.at) return ERR_CONFIG;
    }
    if (!split_exists(net_experiment(net), spec->split))
        return err_set(err, ERR_CONFIG, "the data has no split '%s'", spec->split);
    Split *split = NULL;
    TRY(split_open(&split, net_experiment(net), spec->split, err));
    out->n = walk_samples(split, spec->limit);
    WalkSpec walk = {.net = net,
                     .split = split,
                     .n = out->n,
                     .padded = reader.at != NULL,
                     .events = spec->events,
                     .take = take_batch,
                     .context = &reader};
    Err code = walk_split(&walk, err);
    split_close(split);
    if (code != OK) features_free(out);
    return code;
}

void features_free(Features *features) {
    block_free(features->values);
    block_free(features->labels);
    *features = (Features){0};
}
