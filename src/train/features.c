/* features.c - see features.h. Batches come in the order of the split and are read out one after the other. */
#include "train/features.h"

#include "base/clock.h"

#include <string.h>

/* What the reading of a split goes by. */
typedef struct Reader {
    Net *net;
    const FeatureSpec *spec;
    const char *at; /* as the network calls it; NULL: the input */
    Loader *loader;
    int64_t channels;
    int64_t done; /* samples */
    uint64_t batch;
    double began, told;
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
static Err run_batch(Reader *r, const Batch *batch, const float **values, Shape *shape, Error *err) {
    TRY(net_input_shape(net_graph(r->net), batch->n, r->channels, batch->height, batch->width, shape, err));
    *values = batch->input;
    if (!r->at) return OK;
    Program *program;
    const char *result;
    NetPart part = {.at = r->at, .draws = r->spec->draws};
    TRY(net_part(r->net, &part, *shape, &program, &result, err));
    program_bind(program, "input", batch->input);
    RunState run = {.seed = (uint64_t)net_experiment(r->net)->train.seed, .step = NET_SCORE_STEP + r->batch};
    TRY(program_run(program, &run, err));
    *values = program_read(program, result);
    *shape = program_shape(program, result);
    if (shape->rank > 0 && shape->dim[0] == batch->n) return OK;
    char text[SHAPE_TEXT_BYTES];
    return err_set(err, ERR_DATA, "'%s' is %s for a batch of %lld: no values of each sample", r->at,
                   shape_text(*shape, text), (long long)batch->n);
}

static Err take_batch(Reader *r, const Batch *batch, Features *out, Error *err) {
    const float *values;
    Shape shape;
    TRY(check_padding(batch, err));
    TRY(run_batch(r, batch, &values, &shape, err));
    if (!out->values) TRY(make_room(out, shape, batch->label != NULL, err));
    int64_t n = batch->n < out->n - r->done ? batch->n : out->n - r->done;
    memcpy(out->values + r->done * out->size, values, (size_t)(n * out->size) * sizeof *values);
    if (out->labels) memcpy(out->labels + r->done, batch->label, (size_t)n * sizeof *batch->label);
    r->done += n;
    return OK;
}

static void tell(Reader *r, const Features *out) {
    const TrainEvents *events = r->spec->events;
    double now = clock_seconds();
    if (!events || !events->progress || now - r->told < 0.1) return;
    r->told = now;
    Progress progress = {.evaluating = true,
                         .batch = r->done,
                         .batches = out->n,
                         .elapsed_seconds = now - r->began,
                         .samples_per_second = (double)r->done / (now - r->began + 1e-9)};
    progress.eta_seconds = (double)(out->n - r->done) / (progress.samples_per_second + 1e-9);
    events->progress(events->context, &progress);
}

static Err read_all(Reader *r, Features *out, Error *err) {
    const TrainEvents *events = r->spec->events;
    TRY(loader_start(r->loader, 0, 0, err));
    while (r->done < out->n) {
        const Batch *batch;
        TRY(loader_next(r->loader, &batch, err));
        if (!batch) break;
        if (events && events->stop && *events->stop) return err_set(err, ERR_STOPPED, "stopped");
        TRY(take_batch(r, batch, out, err));
        r->batch++;
        tell(r, out);
    }
    return OK;
}

static Err read_split(Reader *r, Split *split, Features *out, Error *err) {
    const Experiment *experiment = net_experiment(r->net);
    int64_t has = split_info(split)->n, stride = net_stride(r->net);
    int64_t limit = r->spec->limit, batch_size = experiment->train.batch_size;
    out->n = limit > 0 && limit < has ? limit : has;
    LoaderSpec spec = {.split = split,
                       .batch_size = batch_size < out->n ? batch_size : out->n,
                       .multiple = stride > 0 && r->at ? stride : 1};
    TRY(loader_new(&r->loader, &spec, err));
    int64_t shape[4];
    loader_shape(r->loader, shape);
    r->channels = shape[1];
    r->began = r->told = clock_seconds();
    Err code = read_all(r, out, err);
    loader_free(r->loader);
    return code;
}

Err features_read(Features *out, Net *net, const FeatureSpec *spec, Error *err) {
    *out = (Features){0};
    Reader reader = {.net = net, .spec = spec};
    if (!is_input(spec)) {
        reader.at = spec->at ? net_layer(net, spec->at, err) : net_code(net, err);
        if (!reader.at) return ERR_CONFIG;
    }
    if (!split_exists(net_experiment(net), spec->split))
        return err_set(err, ERR_CONFIG, "the data has no split '%s'", spec->split);
    Split *split = NULL;
    TRY(split_open(&split, net_experiment(net), spec->split, err));
    Err code = read_split(&reader, split, out, err);
    split_close(split);
    if (code != OK) features_free(out);
    return code;
}

void features_free(Features *features) {
    block_free(features->values);
    block_free(features->labels);
    *features = (Features){0};
}
