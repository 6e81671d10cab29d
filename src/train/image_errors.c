/* image_errors.c - how well a network gives back each picture of a split. See image_errors.h. */
#include "train/image_errors.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

typedef struct Reader {
    Net *net;
    const DataConfig *data; /* of the split */
    Loader *loader;
    int64_t channels, done;
    const TrainEvents *events;
    double began, told;
} Reader;

/* Mean squared difference of one picture and its output, and the picture's mean square, over the part that is its own,
 * not padding. */
static void compare(const Reader *r, const Batch *batch, const float *input, const float *output, double *mse,
                    double *energy) {
    double difference = 0, own = 0;
    for (int64_t c = 0; c < r->channels; c++) {
        UnitScale unit = data_unit_scale(r->data, (int)c);
        double scale = (double)unit.scale, shift = (double)unit.shift, squares = 0;
        for (int y = 0; y < batch->valid_height; y++) {
            int64_t row = (c * batch->height + y) * batch->width;
            for (int64_t x = row; x < row + batch->valid_width; x++) {
                double apart = (double)output[x] - (double)input[x];
                double value = (double)input[x] * scale + shift;
                squares += apart * apart;
                own += value * value;
            }
        }
        difference += squares * scale * scale;
    }
    double n = (double)(r->channels * batch->valid_height * batch->valid_width);
    *mse = difference / n;
    *energy = own / n;
}

static Err take_batch(Reader *r, const Batch *batch, ImageErrors *out, Error *err) {
    Shape input, shape;
    Program *program;
    TRY(net_input_shape(net_graph(r->net), batch->n, r->channels, batch->height, batch->width, &input, err));
    TRY(net_program(r->net, input, false, &program, err));
    program_bind(program, "input", batch->input);
    TRY(program_run(program, &(RunState){.seed = (uint64_t)net_experiment(r->net)->train.seed}, err));
    const char *name = net_output_name(r->net);
    const float *output = program_read(program, name);
    shape = program_shape(program, name);
    int64_t each = r->channels * batch->height * batch->width, n = out->n - r->done;
    if (shape_size(shape) != batch->n * each)
        return err_set(err, ERR_CONFIG, "the network's output has %lld values, its input %lld: nothing to compare",
                       (long long)(shape_size(shape) / batch->n), (long long)each);
    if (batch->n < n) n = batch->n;
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        compare(r, batch, batch->input + i * each, output + i * each, &out->mse[r->done + i],
                &out->energy[r->done + i]);
    if (out->labels) memcpy(out->labels + r->done, batch->label, (size_t)n * sizeof *batch->label);
    r->done += n;
    return OK;
}

static void tell(Reader *r, int64_t n) {
    const TrainEvents *events = r->events;
    double now = clock_seconds();
    if (!events || !events->progress || now - r->told < 0.1) return;
    r->told = now;
    Progress progress = {.evaluating = true,
                         .batch = r->done,
                         .batches = n,
                         .elapsed_seconds = now - r->began,
                         .samples_per_second = (double)r->done / (now - r->began + 1e-9)};
    progress.eta_seconds = (double)(n - r->done) / (progress.samples_per_second + 1e-9);
    events->progress(events->context, &progress);
}

static Err read_all(Reader *r, ImageErrors *out, Error *err) {
    TRY(loader_start(r->loader, 0, 0, err));
    while (r->done < out->n) {
        const Batch *batch;
        TRY(loader_next(r->loader, &batch, err));
        if (!batch) break;
        if (r->events && r->events->stop && *r->events->stop) return err_set(err, ERR_STOPPED, "stopped");
        TRY(take_batch(r, batch, out, err));
        tell(r, out->n);
    }
    return OK;
}

/* A network that takes one size only says so before a layer deep inside does. */
static Err check_size(const Net *net, const int64_t shape[4], Error *err) {
    Shape own = net_graph(net)->input;
    if (net_stride(net) > 0 || own.rank != 4 || (own.dim[2] == shape[2] && own.dim[3] == shape[3])) return OK;
    return err_set(err, ERR_DATA, "the network takes pictures of %lldx%lld only (height x width), got %lldx%lld",
                   (long long)own.dim[2], (long long)own.dim[3], (long long)shape[2], (long long)shape[3]);
}

static Err make_room(ImageErrors *out, bool labels, Error *err) {
    out->mse = malloc((size_t)out->n * sizeof *out->mse);
    out->energy = malloc((size_t)out->n * sizeof *out->energy);
    if (labels) out->labels = malloc((size_t)out->n * sizeof *out->labels);
    if (out->mse && out->energy && (!labels || out->labels)) return OK;
    return err_set(err, ERR_MEMORY, "no memory for the errors of %lld pictures", (long long)out->n);
}

Err image_errors_read(ImageErrors *out, Net *net, Split *split, int64_t limit, const TrainEvents *events, Error *err) {
    const DatasetInfo *info = split_info(split);
    int64_t batch_size = net_experiment(net)->train.batch_size, stride = net_stride(net), shape[4];
    *out = (ImageErrors){.n = limit > 0 && limit < info->n ? limit : info->n};
    Reader r = {.net = net, .data = split_config(split), .events = events};
    LoaderSpec spec = {
        .split = split, .batch_size = batch_size < out->n ? batch_size : out->n, .multiple = stride > 0 ? stride : 1};
    TRY(loader_new(&r.loader, &spec, err));
    loader_shape(r.loader, shape);
    r.channels = shape[1];
    r.began = r.told = clock_seconds();
    Err code = check_size(net, shape, err);
    if (code == OK) code = make_room(out, info->has_label, err);
    if (code == OK) code = read_all(&r, out, err);
    loader_free(r.loader);
    if (code != OK) image_errors_free(out);
    return code;
}

void image_errors_free(ImageErrors *errors) {
    free(errors->mse);
    free(errors->energy);
    free(errors->labels);
    *errors = (ImageErrors){0};
}
