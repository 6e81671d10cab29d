/* init_choose.c - what network and training suit the pictures that were found: rules of thumb, each in one place. */
#include "cli/init.h"
#include "cli/setup.h"

#include <string.h>

enum {
    WHOLE_PIXELS = 300 * 1000,    /* pictures up to this size are trained on whole */
    CROPPED_PIXELS = 1500 * 1000, /* up to this, on crops at full size; larger ones are made smaller */
    RESIZED_PIXELS = 500 * 1000,  /* to about this */
    CROP_SIDE = 384,
    WIDE_PIXELS = 96 * 96, /* pictures up to this size afford twice as many channels */
    MAX_BATCH = 8,
    MAX_SMALL_BATCH = 16,
    WANTED_STEPS = 4000,
    MIN_EPOCHS = 20,
    MAX_EPOCHS = 300,
    EVALUATIONS = 20
};
static int smaller(int a, int b) {
    return a < b ? a : b;
}

/* To a multiple, at least one. */
static int round_to(double value, int multiple) {
    int n = (int)(value / multiple + 0.5);
    return (n > 0 ? n : 1) * multiple;
}

/* Halvings that leave at least 8 pixels of the smaller side, at most 4. */
static int choose_depth(int height, int width) {
    int side = smaller(height, width), depth = 1;
    while (depth < 4 && side >> (depth + 1) >= 8) depth++;
    return depth;
}

/* Scale a size to so many pixels, both sides multiples of 16 (or of 2, where they are small). */
static void scale_to(const int from[2], double pixels, int to[2]) {
    double factor = 1, area = (double)from[0] * from[1];
    for (double low = 0, high = 1; area > pixels && high - low > 1e-6;) { /* no sqrt: nothing else here needs libm */
        factor = (low + high) / 2;
        if (factor * factor * area > pixels)
            high = factor;
        else
            low = factor;
    }
    for (int k = 0; k < 2; k++) {
        double side = from[k] * factor;
        to[k] = round_to(side, side >= 64 ? 16 : 2);
    }
}

static void choose_size(InitChoice *out, const Contents *c) {
    const int median[2] = {c->median_height, c->median_width};
    double pixels = (double)median[0] * median[1];
    bool large = pixels > CROPPED_PIXELS;
    out->height = median[0];
    out->width = median[1];
    if (large || !c->same_size) {
        out->resize = true;
        scale_to(median, large ? RESIZED_PIXELS : CROPPED_PIXELS, out->size);
        out->height = out->size[0];
        out->width = out->size[1];
    }
    if (out->task != TASK_SEGMENTATION || (double)out->height * out->width <= WHOLE_PIXELS) return;
    out->crop[0] = smaller(CROP_SIDE, out->height / 16 * 16);
    out->crop[1] = smaller(CROP_SIDE, out->width / 16 * 16);
    for (int k = 0; k < 2; k++)
        if (out->crop[k] < 16) out->crop[k] = 16; /* a strip: the crop reaches over its edge, ignored there */
    out->height = out->crop[0];
    out->width = out->crop[1];
}

static void choose_balance(InitChoice *out, const Classes *classes) {
    int64_t most = 0, least = INT64_MAX;
    for (int i = 0; i < classes->n; i++) {
        const ScoutClass *k = &classes->of[i];
        if (k->ignored || k->pixels == 0) continue;
        if (k->pixels > most) most = k->pixels;
        if (k->pixels < least) least = k->pixels;
    }
    if (most == 0) return;
    out->imbalance = (double)most / (double)least;
    out->balanced = out->imbalance >= INIT_UNBALANCED;
}

void init_choose(InitChoice *out, const Layout *layout, const Contents *contents) {
    *out = (InitChoice){.task = layout->has_masks ? TASK_SEGMENTATION : TASK_RECONSTRUCTION};
    out->model = layout->has_masks ? "models/unet.yaml" : "models/conv_autoencoder.yaml";
    choose_size(out, contents);
    out->depth = choose_depth(out->height, out->width);
    if (!layout->has_masks && out->depth > 3) out->depth = 3; /* a code of an eighth of the size */
    int pixels = out->height * out->width;
    out->filters = pixels <= WIDE_PIXELS ? 32 : 16;
    if (contents->opaque || !contents->same_channels) out->channels = contents->channels;
    choose_balance(out, &contents->classes);
    int n = layout_split(layout, "train")->n; /* at least two steps an epoch */
    int limit = pixels <= 128 * 128 ? MAX_SMALL_BATCH : MAX_BATCH;
    out->batch_size = 1;
    while (2 * out->batch_size <= limit && 2 * 2 * out->batch_size <= n) out->batch_size *= 2;
    out->epochs = 1;
    out->eval_every = 1;
}

/* ---- memory ---- */

/* Bytes of a program over pictures of this size. */
static Err program_bytes(Setup *s, bool training, int64_t height, int64_t width, double *bytes, Error *err) {
    int64_t stride = graph_stride(s->graph);
    s->input.dim[2] = (height + stride - 1) / stride * stride;
    s->input.dim[3] = (width + stride - 1) / stride * stride;
    TRY(setup_program(s, training, 0, err));
    *bytes = (double)program_stats(s->program).block_bytes;
    return OK;
}

/* What training with the choice's batch takes: weights, its program, and that of evaluation, which sees whole pictures.
 */
static Err plan(InitChoice *choice, const char *out, const char *text, const Contents *contents, Arena *arena,
                Error *err) {
    int whole[2] = {choice->size[0] ? choice->size[0] : contents->max_height,
                    choice->size[1] ? choice->size[1] : contents->max_width};
    const char *sets[] = {
        arena_printf(arena, "data.size=[%d, %d]", whole[0], whole[1]),
        arena_printf(arena, "data.channels=%d", contents->channels),
        choice->task == TASK_SEGMENTATION ? "train.loss=cross_entropy"
                                          : "train.loss=bce", /* no counting of masks now */
    };
    Setup s = {.arena = arena};
    double train_bytes = 0, eval_bytes = 0;
    Err code = config_load_text(&s.experiment, out, text, 3, sets, arena, err);
    if (code == OK) code = data_config_read(&s.data, &s.experiment, arena, err);
    if (code == OK) code = setup_network(&s, err);
    if (code == OK) code = program_bytes(&s, true, s.input.dim[2], s.input.dim[3], &train_bytes, err);
    if (code == OK) code = program_bytes(&s, false, whole[0], whole[1], &eval_bytes, err);
    if (code == OK) choice->memory_bytes = (double)setup_weight_bytes(&s) + train_bytes + eval_bytes;
    setup_free(&s);
    return code;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

Err init_fit_memory(InitChoice *choice, const InitFiles *files, const Layout *layout, const Contents *contents,
                    Arena *arena, Error *err) {
    while (true) {
        Error own = ERROR_INIT;
        Err code = plan(choice, files->out, init_write(files, layout, contents, choice, arena), contents, arena, &own);
        if (code != OK && (code != ERR_MEMORY || choice->batch_size == 1)) return err_append(err, &own);
        if (code == OK && (choice->memory_bytes <= choice->memory_budget || choice->batch_size == 1)) break;
        choice->batch_size /= 2;
    }
    int64_t n = layout_split(layout, "train")->n;
    int64_t steps = (n + choice->batch_size - 1) / choice->batch_size;
    choice->epochs = clamp((WANTED_STEPS + steps - 1) / steps, MIN_EPOCHS, MAX_EPOCHS);
    choice->eval_every = clamp(choice->epochs / EVALUATIONS, 1, choice->epochs);
    return OK;
}
