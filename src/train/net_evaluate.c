/* net_evaluate.c - the scores of a split: every sample once through an inference program. See net.h. */
#include "base/clock.h"
#include "train/boundary.h"
#include "train/tta.h"

#include <string.h>

/* What an evaluation collects. */
typedef struct Scorer {
    Task task;
    const Split *split;
    const DataConfig *data;
    LossTotal loss;
    Confusion confusion;
    Boundary *boundary; /* NULL: not wanted */
    double boundary_tolerance;
    uint8_t *classes[2]; /* predicted and target of one picture without padding; each classes_room */
    size_t classes_room;
    ReconstructionSum reconstruction;
    int64_t images;
    Tta *tta;         /* NULL: the network's result as it is */
    float *cut_input; /* a batch's input and masks without padding, for its views */
    uint8_t *cut_mask;
    size_t cut_floats;
    float *scaled[2]; /* output and target in 0..1 scale without padding, where they are not so; each scaled_floats */
    size_t scaled_floats;
} Scorer;

/* From the network's scale to 0..1, the padding left out. */
static void to_unit_scale(const Scorer *s, const Batch *batch, int64_t channels, const float *src, float *dst) {
    for (int64_t plane = 0; plane < batch->n * channels; plane++) {
        UnitScale unit = data_unit_scale(s->data, (int)(plane % channels));
        const float *from = src + plane * batch->height * batch->width;
        for (int y = 0; y < batch->valid_height; y++, from += batch->width)
            for (int x = 0; x < batch->valid_width; x++) *dst++ = from[x] * unit.scale + unit.shift;
    }
}

static Err score_reconstruction(Scorer *s, const Batch *batch, int64_t channels, const float *output, Shape shape,
                                Error *err) {
    int64_t each = channels * batch->height * batch->width;
    if (shape_size(shape) != batch->n * each)
        return err_set(err, ERR_CONFIG, "the network's output has %lld values, its input %lld: nothing to compare",
                       (long long)(shape_size(shape) / batch->n), (long long)each);
    bool plain = s->data->mean.n == 0 && s->data->std.n == 0;
    if (plain && batch->valid_height == batch->height && batch->valid_width == batch->width) {
        reconstruction_add(&s->reconstruction, batch->n, each, output, batch->input);
        return OK;
    }
    int64_t valid_each = channels * batch->valid_height * batch->valid_width;
    size_t floats = (size_t)(batch->n * valid_each);
    for (int i = 0; i < 2; i++) {
        if (s->scaled_floats < floats) {
            block_free(s->scaled[i]);
            s->scaled[i] = block_alloc(floats * sizeof(float));
        }
        if (!s->scaled[i]) return err_set(err, ERR_MEMORY, "no memory for %zu values", floats);
        to_unit_scale(s, batch, channels, i == 0 ? output : batch->input, s->scaled[i]);
    }
    if (s->scaled_floats < floats) s->scaled_floats = floats;
    reconstruction_add(&s->reconstruction, batch->n, valid_each, s->scaled[0], s->scaled[1]);
    return OK;
}

/* The network's scores have to be n_classes for each of so many places of a sample. */
static Err check_scores(const Scorer *s, const Batch *batch, int64_t places, Shape shape, Error *err) {
    if (shape_size(shape) == batch->n * s->confusion.n * places) return OK;
    char text[SHAPE_TEXT_BYTES];
    return err_set(err, ERR_CONFIG, "the network's output is %s, not a score for each of %d classes %s",
                   shape_text(shape, text), s->confusion.n, places > 1 ? "at each pixel" : "for each sample");
}

static Err name_sample(const Scorer *s, const Batch *batch, int64_t k, Err code, Error *err) {
    if (code != ERR_DATA) return code;
    char name[1024];
    split_sample_name(s->split, batch->index[k], name, sizeof name);
    return err_context(err, "%s", name);
}

static Err score_labels(Scorer *s, const Batch *batch, const float *output, Shape shape, Error *err) {
    TRY(check_scores(s, batch, 1, shape, err));
    for (int64_t k = 0; k < batch->n; k++) {
        Err code = confusion_add_label(&s->confusion, output + k * s->confusion.n, batch->label[k], err);
        if (code != OK) return name_sample(s, batch, k, code, err);
    }
    return OK;
}

/* The upper left valid_height x valid_width of a plane of the batch's size, without gaps. dst may be src. */
static void cut_padding(const Batch *batch, const uint8_t *src, uint8_t *dst) {
    for (int y = 0; y < batch->valid_height; y++, src += batch->width, dst += batch->valid_width)
        memmove(dst, src, (size_t)batch->valid_width);
}

static Err score_mask(Scorer *s, const Batch *batch, int64_t k, const float *output, Error *err) {
    int64_t plane = (int64_t)batch->height * batch->width;
    int height = batch->valid_height, width = batch->valid_width;
    uint8_t *predicted = s->classes[0], *target = s->classes[1];
    scores_argmax(s->confusion.n, plane, output + k * s->confusion.n * plane, predicted);
    cut_padding(batch, predicted, predicted);
    cut_padding(batch, batch->mask + k * plane, target);
    TRY(confusion_add_mask(&s->confusion, height, width, predicted, target, err));
    return s->boundary ? boundary_add(s->boundary, height, width, predicted, target, err) : OK;
}

static Err score_masks(Scorer *s, const Batch *batch, const float *output, Shape shape, Error *err) {
    size_t plane = (size_t)batch->height * (size_t)batch->width;
    TRY(check_scores(s, batch, (int64_t)plane, shape, err));
    if (s->classes_room < plane) {
        s->classes_room = 0;
        for (int i = 0; i < 2; i++) {
            block_free(s->classes[i]);
            s->classes[i] = block_alloc(plane);
        }
        if (!s->classes[0] || !s->classes[1]) return err_set(err, ERR_MEMORY, "no memory for %zu pixels", plane);
        s->classes_room = plane;
    }
    for (int64_t k = 0; k < batch->n; k++) {
        Err code = score_mask(s, batch, k, output, err);
        if (code != OK) return name_sample(s, batch, k, code, err);
    }
    return OK;
}

static Err score_output(Scorer *s, const Batch *batch, int64_t channels, const float *output, Shape shape, Error *err) {
    switch (s->task) {
    case TASK_RECONSTRUCTION:
        return score_reconstruction(s, batch, channels, output, shape, err);
    case TASK_CLASSIFICATION:
        return score_labels(s, batch, output, shape, err);
    default:
        return score_masks(s, batch, output, shape, err);
    }
}

/* The batch without its padding: views are of pictures as predict sees them. */
static Err cut_batch(Scorer *s, const Batch *batch, int64_t channels, Batch *out, Error *err) {
    int height = batch->valid_height, width = batch->valid_width;
    size_t places = (size_t)(batch->n * height * width), floats = places * (size_t)channels;
    *out = *batch;
    if (height == batch->height && width == batch->width) return OK;
    if (s->cut_floats < floats) {
        block_free(s->cut_input);
        block_free(s->cut_mask);
        s->cut_input = block_alloc(floats * sizeof *s->cut_input);
        s->cut_mask = block_alloc(floats);
        s->cut_floats = s->cut_input && s->cut_mask ? floats : 0;
        if (s->cut_floats == 0) return err_set(err, ERR_MEMORY, "no memory for %zu values", floats);
    }
    for (int64_t row = 0; row < batch->n * channels * height; row++)
        memcpy(s->cut_input + row * width, batch->input + (row / height * batch->height + row % height) * batch->width,
               (size_t)width * sizeof *s->cut_input);
    for (int64_t k = 0; batch->mask && k < batch->n; k++)
        cut_padding(batch, batch->mask + k * batch->height * batch->width, s->cut_mask + k * height * width);
    out->height = height;
    out->width = width;
    out->input = s->cut_input;
    out->mask = batch->mask ? s->cut_mask : NULL;
    return OK;
}

static Err score_views(Scorer *s, const Batch *batch, int64_t channels, Error *err) {
    Batch cut;
    const float *output;
    Shape shape;
    TRY(cut_batch(s, batch, channels, &cut, err));
    TRY(tta_run(s->tta, cut.n, channels, cut.height, cut.width, cut.input, &output, &shape, err));
    return score_output(s, &cut, channels, output, shape, err);
}

static Err score_batch(Scorer *s, Net *net, const Program *program, const Batch *batch, int64_t channels, Error *err) {
    const char *name = net_output_name(net);
    loss_total_add(&s->loss, net_losses(net), program);
    s->images += batch->n;
    if (s->tta) return score_views(s, batch, channels, err);
    return score_output(s, batch, channels, program_read(program, name), program_shape(program, name), err);
}

static void finish_scores(const Scorer *s, const Net *net, Evaluation *out, Arena *arena) {
    *out = (Evaluation){.task = s->task, .images = s->images};
    out->loss = loss_total_value(&s->loss, net_losses(net));
    out->n_parts = loss_total_parts(&s->loss, net_losses(net), out->parts);
    for (int i = 0; i < out->n_parts; i++) out->parts[i].name = arena_strdup(arena, out->parts[i].name);
    if (s->task == TASK_RECONSTRUCTION) {
        const ReconstructionSum *r = &s->reconstruction;
        out->mse = r->elements ? r->squared / (double)r->elements : 0;
        out->mae = r->elements ? r->absolute / (double)r->elements : 0;
        out->squared_error_per_image = r->images ? r->squared / (double)r->images : 0;
        return;
    }
    out->n_classes = s->confusion.n;
    out->classes = ARENA_ARRAY(arena, ClassScore, s->confusion.n);
    confusion_scores(&s->confusion, &out->segmentation, out->classes);
    size_t n = (size_t)s->confusion.n;
    out->confusion = arena_copy(arena, s->confusion.count, (n + 1) * n * sizeof *s->confusion.count);
    if (!s->boundary) return;
    boundary_scores(s->boundary, &out->segmentation, out->classes);
    out->boundary_tolerance = s->boundary_tolerance;
}

static Err check_targets(const Net *net, const Batch *batch, Error *err) {
    Task task = net_experiment(net)->task;
    if (task == TASK_SEGMENTATION && !batch->mask)
        return err_set(err, ERR_DATA, "there are no masks to compare with: the split has pictures only");
    if (task == TASK_CLASSIFICATION && !batch->label)
        return err_set(err, ERR_DATA, "there are no labels to compare with: the split has pictures only");
    return OK;
}

static Err score_all(Net *net, Loader *loader, const TrainEvents *events, const Progress *at, Scorer *s, Error *err) {
    int64_t shape[4];
    loader_shape(loader, shape);
    Progress progress = at ? *at : (Progress){0};
    progress.evaluating = true;
    progress.batches = loader_batches(loader);
    double began = clock_seconds(), told = began;
    TRY(loader_start(loader, 0, 0, err));
    for (progress.batch = 0;; progress.batch++) {
        const Batch *batch;
        TRY(loader_next(loader, &batch, err));
        if (!batch) return OK;
        if (events && events->stop && *events->stop) return err_set(err, ERR_STOPPED, "stopped");
        TRY(check_targets(net, batch, err));
        TRY(net_check_size(net, batch->height, batch->width, err));
        Shape input;
        Program *program;
        TRY(net_input_shape(net_graph(net), batch->n, shape[1], batch->height, batch->width, &input, err));
        TRY(net_program(net, input, true, &program, err));
        net_bind_batch(program, net_losses(net), batch);
        RunState run = {.seed = (uint64_t)net_experiment(net)->train.seed,
                        .step = NET_SCORE_STEP + (uint64_t)progress.batch};
        TRY(program_run(program, &run, err));
        TRY(score_batch(s, net, program, batch, shape[1], err));
        double t = clock_seconds();
        if (!events || !events->progress || t - told < 0.1) continue;
        told = t;
        progress.elapsed_seconds = t - began;
        progress.samples_per_second = (double)s->images / (t - began);
        progress.eta_seconds = (t - began) / (double)(progress.batch + 1) *
                               (double)(progress.batches - progress.batch - 1);
        progress.loss = loss_total_value(&s->loss, net_losses(net));
        events->progress(events->context, &progress);
    }
}

/* An evaluation of what a loader gives; of spec, not the split's name. */
static Err evaluate_loader(Net *net, const Split *split, Loader *loader, const EvaluateSpec *spec, const Progress *at,
                           Evaluation *out, Arena *arena, Error *err) {
    Scorer s = {.task = net_experiment(net)->task,
                .split = split,
                .data = split_config(split),
                .boundary_tolerance = spec->boundary_tolerance};
    int n = net_data(net)->n_classes;
    double began = clock_seconds();
    Err code = s.task == TASK_RECONSTRUCTION ? OK : confusion_new(&s.confusion, n, err);
    if (code == OK && s.task == TASK_SEGMENTATION && spec->boundary)
        code = boundary_new(&s.boundary, n, spec->boundary_tolerance, err);
    if (code == OK && spec->tta) code = tta_new(&s.tta, net, spec->tta, err);
    if (code == OK) code = score_all(net, loader, spec->events, at, &s, err);
    if (code == OK) {
        finish_scores(&s, net, out, arena);
        out->seconds = clock_seconds() - began;
    }
    confusion_free(&s.confusion);
    boundary_free(s.boundary);
    tta_free(s.tta);
    block_free(s.cut_input);
    block_free(s.cut_mask);
    for (int i = 0; i < 2; i++) {
        block_free(s.scaled[i]);
        block_free(s.classes[i]);
    }
    return code;
}

static Err evaluate_split(Net *net, Split *split, const EvaluateSpec *spec, Evaluation *out, Arena *arena, Error *err) {
    int has = split_config(split)->n_classes, wanted = net_data(net)->n_classes;
    if (net_experiment(net)->task != TASK_RECONSTRUCTION && has != wanted)
        return err_set(err, ERR_DATA, "the data has %d classes, the network %d", has, wanted);
    LoaderSpec loading = {.split = split,
                          .batch_size = net_experiment(net)->train.batch_size,
                          .multiple = net_stride(net) > 0 ? net_stride(net) : 1,
                          .any_size = true};
    Loader *loader = NULL;
    TRY(loader_new(&loader, &loading, err));
    Err code = evaluate_loader(net, split, loader, spec, NULL, out, arena, err);
    loader_free(loader);
    return code;
}

Err net_evaluate_split(Net *net, const EvaluateSpec *spec, Evaluation *out, Arena *arena, Error *err) {
    if (!split_exists(net_experiment(net), spec->split))
        return err_set(err, ERR_CONFIG, "the data has no split '%s'", spec->split);
    Split *split = NULL;
    TRY(split_open(&split, net_experiment(net), spec->split, err));
    split_keep_none(split);
    Err code = evaluate_split(net, split, spec, out, arena, err);
    split_close(split);
    return code;
}

/* What an evaluation in training computes: "boundary_f1" or "boundary_f1:CLASS" in train.best asks for edges. */
static EvaluateSpec training_spec(const Net *net, const char *split, const TrainEvents *events) {
    static const char name[] = "boundary_f1";
    const char *best = net_experiment(net)->train.best;
    size_t length = sizeof name - 1;
    bool boundary = best && strncmp(best, name, length) == 0 && (best[length] == '\0' || best[length] == ':');
    return (EvaluateSpec){
        .split = split, .boundary = boundary, .boundary_tolerance = BOUNDARY_TOLERANCE, .events = events};
}

Err net_evaluate(Net *net, const char *split, const TrainEvents *events, Evaluation *out, Arena *arena, Error *err) {
    EvaluateSpec spec = training_spec(net, split, events);
    return net_evaluate_split(net, &spec, out, arena, err);
}

Err net_evaluate_loader(Net *net, const Split *split, Loader *loader, const TrainEvents *events, const Progress *at,
                        Evaluation *out, Arena *arena, Error *err) {
    EvaluateSpec spec = training_spec(net, NULL, events);
    return evaluate_loader(net, split, loader, &spec, at, out, arena, err);
}
