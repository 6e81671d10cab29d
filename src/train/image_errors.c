/* image_errors.c - how well a network gives back each picture of a split. See image_errors.h. */
#include "train/image_errors.h"

#include "train/walk.h"

#include <stdlib.h>
#include <string.h>

typedef struct Reader {
    Net *net;
    const DataConfig *data; /* of the split */
    ImageErrors *out;
} Reader;

/* Mean squared difference of one picture and its output, and the picture's mean square, over the part that is its own,
 * not padding. */
static void compare(const DataConfig *data, const WalkStep *step, const float *input, const float *output, double *mse,
                    double *energy) {
    const Batch *batch = step->batch;
    double difference = 0, own = 0;
    for (int64_t c = 0; c < step->channels; c++) {
        UnitScale unit = data_unit_scale(data, (int)c);
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
    double n = (double)(step->channels * batch->valid_height * batch->valid_width);
    *mse = difference / n;
    *energy = own / n;
}

static Err take_batch(void *context, const WalkStep *step, Error *err) {
    const Reader *r = context;
    const Batch *batch = step->batch;
    ImageErrors *out = r->out;
    Shape input, shape;
    Program *program;
    TRY(net_check_size(r->net, batch->height, batch->width, err));
    TRY(net_input_shape(net_graph(r->net), batch->n, step->channels, batch->height, batch->width, &input, err));
    TRY(net_program(r->net, input, false, &program, err));
    program_bind(program, "input", batch->input);
    TRY(program_run(program, &(RunState){.seed = (uint64_t)net_experiment(r->net)->train.seed}, err));
    const char *name = net_output_name(r->net);
    const float *output = program_read(program, name);
    shape = program_shape(program, name);
    int64_t each = step->channels * batch->height * batch->width, first = step->first;
    if (shape_size(shape) != batch->n * each)
        return err_set(err, ERR_CONFIG, "the network's output has %lld values, its input %lld: nothing to compare",
                       (long long)(shape_size(shape) / batch->n), (long long)each);
#pragma omp parallel for
    for (int64_t i = 0; i < step->n; i++)
        compare(r->data, step, batch->input + i * each, output + i * each, &out->mse[first + i],
                &out->energy[first + i]);
    if (out->labels) memcpy(out->labels + first, batch->label, (size_t)step->n * sizeof *batch->label);
    return OK;
}

static Err make_room(ImageErrors *out, bool labels, Error *err) {
    out->mse = malloc((size_t)out->n * sizeof *out->mse);
    out->energy = malloc((size_t)out->n * sizeof *out->energy);
    if (labels) out->labels = malloc((size_t)out->n * sizeof *out->labels);
    if (out->mse && out->energy && (!labels || out->labels)) return OK;
    return err_set(err, ERR_MEMORY, "no memory for the errors of %lld pictures", (long long)out->n);
}

Err image_errors_read(ImageErrors *out, Net *net, Split *split, int64_t limit, const TrainEvents *events, Error *err) {
    *out = (ImageErrors){.n = walk_samples(split, limit)};
    Reader reader = {.net = net, .data = split_config(split), .out = out};
    WalkSpec walk = {.net = net,
                     .split = split,
                     .n = out->n,
                     .padded = true,
                     .events = events,
                     .take = take_batch,
                     .context = &reader};
    Err code = make_room(out, split_info(split)->has_label, err);
    if (code == OK) code = walk_split(&walk, err);
    if (code != OK) image_errors_free(out);
    return code;
}

void image_errors_free(ImageErrors *errors) {
    free(errors->mse);
    free(errors->energy);
    free(errors->labels);
    *errors = (ImageErrors){0};
}
