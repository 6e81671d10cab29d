/* cmd_sample.c - sandglass sample: pictures that a network's decoder makes of codes nobody encoded: random draws, a
 * grid over a code of two units, or the way from one picture's code to another's.
 *
 * A variational network (one with a gaussian_sample layer) is trained for codes of a standard normal distribution, so
 * that is what is drawn. The codes of another autoencoder have the distribution they happen to have: a normal one
 * fitted to the codes of the training split stands for it.
 */
#include "analysis/normal.h"
#include "analysis/quantile.h"
#include "cli/decoder.h"
#include "cli/inputs.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/tiles.h"
#include "train/features.h"

#include <string.h>
#include <strings.h>

typedef struct SampleOptions {
    const char *out, *between, *and; /* the line's first and last picture */
    int64_t n, seed, grid, steps;
    double range;
    ParamList sets;
    int64_t threads;
    bool json;
} SampleOptions;

static const Option sample_options[] = {
    {{"out", PARAM_STRING, offsetof(SampleOptions, out), "", 0, 0, NULL, "picture to write: .png .jpg .bmp .tga"},
     "FILE"},
    {{"n", PARAM_INT, offsetof(SampleOptions, n), "64", 1, 10000, NULL, "draws"}, "N"},
    {{"seed", PARAM_INT, offsetof(SampleOptions, seed), "0", 0, 1e15, NULL, "of the draws"}, "S"},
    {{"grid", PARAM_INT, offsetof(SampleOptions, grid), "0", 0, 200, NULL,
      "N x N points of a code of two units; 0: none"},
     "N"},
    {{"range", PARAM_FLOAT, offsetof(SampleOptions, range), "0", 0, 1e6, NULL,
      "the grid goes from -R to R in even steps; 0: where the codes are"},
     "R"},
    {{"between", PARAM_STRING, offsetof(SampleOptions, between), "", 0, 0, NULL,
      "with --and B: the straight line from A's code to B's; each a picture or, as in val:17, a sample of a split"},
     "A"},
    {{"and", PARAM_STRING, offsetof(SampleOptions, and), "", 0, 0, NULL, "where the line of --between A ends"}, "B"},
    {{"steps", PARAM_INT, offsetof(SampleOptions, steps), "10", 2, 1000, NULL, "pictures of the line, ends included"},
     "K"},
    OPTION_SET(SampleOptions),
    OPTION_THREADS(SampleOptions),
    OPTION_JSON(SampleOptions),
    OPTIONS_END};

typedef struct Sampling {
    const SampleOptions *options;
    Net *net;
    const char *code; /* layer whose result is decoded */
    bool standard;    /* its codes are trained to be standard normal */
    int64_t size;     /* of a code */
    int n, columns;   /* codes; of the picture, 0: as many as rows */
    float *codes;     /* n,size */
    const char *text; /* where the codes are from, for people */
    Decoder decoder;
    Tiles tiles;
    TrainEvents events;
    Display *display;
    Arena *arena;
} Sampling;

/* ---- which codes ---- */

/* The layer that draws, else the network's code. */
static Err choose_code(Sampling *s, Error *err) {
    const Graph *graph = net_graph(s->net);
    for (int i = 0; i < graph->n; i++)
        if (strcmp(graph->nodes[i].kind->name, "gaussian_sample") == 0) {
            s->code = graph->nodes[i].name;
            s->standard = true;
        }
    if (!s->code) s->code = net_code(s->net, err);
    if (!s->code) return ERR_CONFIG;
    s->size = shape_size(net_layer_shape(s->net, s->code));
    return OK;
}

static Err make_room(Sampling *s, int columns, int64_t n, Error *err) {
    s->n = (int)n;
    s->columns = columns;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)n, (size_t)s->size * sizeof(float), &bytes) || !(s->codes = block_alloc(bytes)))
        return err_set(err, ERR_MEMORY, "no memory for %lld codes of %lld values", (long long)n, (long long)s->size);
    return OK;
}

/* More say little about mean and covariance, and a code of a thousand units takes long. */
enum { FITTED = 10000 };

static Err training_codes(const Sampling *s, Features *out, Error *err) {
    TRY(features_read(out, s->net,
                      &(FeatureSpec){.split = "train", .at = s->code, .limit = FITTED, .events = &s->events}, err));
    if (out->size == s->size) return OK;
    Err code = err_set(err, ERR_DATA, "the training split's codes have %lld values, '%s' has %lld",
                       (long long)out->size, s->code, (long long)s->size);
    features_free(out);
    return code;
}

static Err draw_codes(Sampling *s, Error *err) {
    TRY(make_room(s, 0, s->options->n, err));
    uint64_t seed = (uint64_t)s->options->seed;
    if (s->standard) {
        rng_fill_normal(seed, RNG_ANALYSIS, 0, 0, (size_t)(s->n * s->size), s->codes);
        s->text = "draws from the standard normal distribution";
        return OK;
    }
    Features features;
    Normal normal;
    TRY(training_codes(s, &features, err));
    Err code = normal_fit(&normal, features.n, features.size, features.values, err);
    s->text = arena_printf(s->arena, "draws from a normal distribution fitted to the codes of %lld training samples%s",
                           (long long)features.n, normal.root ? "" : ", each unit on its own");
    features_free(&features);
    TRY(code);
    for (int i = 0; i < s->n; i++) {
        Rng rng = rng_stream(seed, RNG_ANALYSIS, (uint64_t)i, 0);
        normal_draw(&normal, &rng, s->codes + i * s->size);
    }
    normal_free(&normal);
    return OK;
}

/* The n values of one axis of the grid in even steps, ascending. */
static void even_ticks(int n, double low, double high, double *ticks) {
    for (int i = 0; i < n; i++) ticks[i] = low + (high - low) * (n > 1 ? (double)i / (double)(n - 1) : 0.5);
}

/* Where most of the training codes (rows of two) are, along one axis; scratch has room for them. */
static Err training_ticks(const Sampling *s, const Features *codes, int axis, double *scratch, double *ticks,
                          Error *err) {
    double low, high;
    for (int64_t i = 0; i < codes->n; i++) scratch[i] = (double)codes->values[2 * i + axis];
    TRY(quantile(codes->n, scratch, 0.02, &low, err));
    TRY(quantile(codes->n, scratch, 0.98, &high, err));
    even_ticks((int)s->options->grid, low, high, ticks);
    return OK;
}

static Err find_training_ticks(Sampling *s, double *ticks[2], Error *err) {
    const int n = (int)s->options->grid;
    Features features;
    TRY(training_codes(s, &features, err));
    double *scratch = block_alloc((size_t)features.n * sizeof *scratch);
    Err code = scratch ? OK : err_set(err, ERR_MEMORY, "no memory for the codes of the training split");
    for (int axis = 0; code == OK && axis < 2; axis++)
        code = training_ticks(s, &features, axis, scratch, ticks[axis], err);
    features_free(&features);
    block_free(scratch);
    s->text = arena_printf(s->arena,
                           "a grid of %d x %d codes, %.3g to %.3g and %.3g to %.3g: where the middle 96 %% of the "
                           "training codes are",
                           n, n, ticks[0][0], ticks[0][n - 1], ticks[1][0], ticks[1][n - 1]);
    return code;
}

static Err find_ticks(Sampling *s, double *ticks[2], Error *err) {
    const int n = (int)s->options->grid;
    const double range = s->options->range;
    if (range > 0) {
        for (int axis = 0; axis < 2; axis++) even_ticks(n, -range, range, ticks[axis]);
        s->text = arena_printf(s->arena, "a grid of %d x %d codes from %g to %g", n, n, -range, range);
        return OK;
    }
    if (!s->standard) return find_training_ticks(s, ticks, err);
    for (int i = 0; i < n; i++) ticks[0][i] = ticks[1][i] = normal_quantile((i + 0.5) / n);
    s->text = arena_printf(s->arena, "a grid of %d x %d codes at quantiles of the normal distribution", n, n);
    return OK;
}

/* The first unit grows to the right, the second upwards. */
static Err grid_codes(Sampling *s, Error *err) {
    const int n = (int)s->options->grid;
    if (s->size != 2)
        return err_set(err, ERR_CONFIG, "--grid needs a code of 2 units, '%s' has %lld", s->code, (long long)s->size);
    double *ticks[2] = {ARENA_ARRAY(s->arena, double, n), ARENA_ARRAY(s->arena, double, n)};
    TRY(find_ticks(s, ticks, err));
    TRY(make_room(s, n, (int64_t)n * n, err));
    for (int row = 0; row < n; row++)
        for (int column = 0; column < n; column++) {
            float *code = s->codes + 2 * (row * n + column);
            code[0] = (float)ticks[0][column];
            code[1] = (float)ticks[1][n - 1 - row];
        }
    return OK;
}

/* The code of one picture, as encode gives it. */
static Err encode_one(const Sampling *s, const char *text, float *dst, Error *err) {
    Image image = {0};
    Planes planes = {0};
    const float *values = NULL;
    Shape shape = {0};
    TRY(input_read_one(text, s->net, &image, err));
    Err code = planes_from_image(&planes, s->net, &image, err);
    if (code == OK)
        code = net_run_part(s->net, &(NetPart){.at = s->code}, &(RunState){0}, 1, planes.channels, planes.height,
                            planes.width, planes.values, &values, &shape, err);
    if (code == OK && shape_size(shape) != s->size) {
        char found[SHAPE_TEXT_BYTES], wanted[SHAPE_TEXT_BYTES];
        Shape own = net_layer_shape(s->net, s->code);
        code = err_set(err, ERR_DATA, "%s: its code is %s, not %s: give a picture of the training data's size", text,
                       shape_text(shape, found), shape_text(own, wanted));
    }
    if (code == OK) memcpy(dst, values, (size_t)s->size * sizeof *dst);
    planes_free(&planes);
    image_free(&image);
    return code;
}

static Err line_codes(Sampling *s, Error *err) {
    const int steps = (int)s->options->steps;
    TRY(make_room(s, steps, steps, err));
    float *first = s->codes, *last = s->codes + (steps - 1) * s->size;
    TRY(encode_one(s, s->options->between, first, err));
    TRY(encode_one(s, s->options->and, last, err));
    for (int k = 1; k < steps - 1; k++) {
        float part = (float)k / (float)(steps - 1);
        for (int64_t j = 0; j < s->size; j++) s->codes[k * s->size + j] = first[j] * (1 - part) + last[j] * part;
    }
    s->text = arena_printf(s->arena, "%d steps from %s to %s", steps, s->options->between, s->options->and);
    return OK;
}

/* ---- their pictures ---- */

/* The data's size, where the network's input is larger because it is padded. */
static Err picture_shape(const Sampling *s, Shape *out, Error *err) {
    const Experiment *experiment = net_experiment(s->net);
    *out = (Shape){0};
    if (net_stride(s->net) <= 1 && net_graph(s->net)->input.rank == 4) return OK;
    if (!split_exists(experiment, "train")) return OK;
    Split *split = NULL;
    TRY(split_open(&split, experiment, "train", err));
    int64_t shape[4];
    split_shape(split, shape);
    if (shape[2] > 0 && shape[3] > 0) *out = SHAPE(1, shape[1], shape[2], shape[3]);
    split_close(split);
    return OK;
}

static Err decode_codes(Sampling *s, Error *err) {
    TRY(tiles_new(&s->tiles, s->n, s->decoder.height, s->decoder.width, s->columns, err));
    for (int i = 0; i < s->n; i++) {
        if (*s->events.stop) return err_set(err, ERR_STOPPED, "stopped");
        Image image = {0};
        TRY(decoder_run(&s->decoder, s->codes + i * s->size, &image, err));
        tiles_put_image(&s->tiles, i, &image);
        image_free(&image);
        display_count(s->display, "decoding", i + 1, s->n);
    }
    return OK;
}

static Err sample_all(Sampling *s, Error *err) {
    Shape picture;
    TRY(choose_code(s, err));
    Shape code = net_layer_shape(s->net, s->code);
    /* Whether it can be decoded at all, before long work. */
    Error data = ERROR_INIT;
    if (picture_shape(s, &picture, &data) != OK) picture = (Shape){0};
    TRY(decoder_open(&s->decoder, s->net, s->code, code, picture, err));
    TRY(s->options->between ? line_codes(s, err) : s->options->grid > 0 ? grid_codes(s, err) : draw_codes(s, err));
    TRY(decode_codes(s, err));
    return image_save(s->options->out, &s->tiles.picture, err);
}

/* ---- the command ---- */

static void report(const Call *call, const Sampling *s) {
    if (!s->options->json) {
        printf("%s, decoded from '%s' -> %s\n", s->text, s->code, s->options->out);
        return;
    }
    Json j = json_begin(call->arena);
    json_open_object(&j, NULL);
    json_string(&j, "model", call->args[0]);
    json_string(&j, "from", s->code);
    json_string(&j, "what", s->text);
    json_int(&j, "n", s->n);
    json_int(&j, "rows", s->tiles.rows);
    json_int(&j, "columns", s->tiles.columns);
    json_string(&j, "out", s->options->out);
    json_close(&j);
    print_json(call, &j);
}

/* The picture may replace one, but none that is read, and nothing that does not have the name of a picture. */
static Err check_out(const Call *call, const SampleOptions *options, Error *err) {
    const char *inputs[] = {call->args[0], options->between, options->and };
    for (int i = 0; i < 3; i++)
        if (inputs[i] && same_file(options->out, inputs[i]))
            return err_set(err, ERR_DATA, "--out %s would overwrite the input '%s': choose another name", options->out,
                           inputs[i]);
    TRY(check_out_folder(options->out, call->arena, err));
    static const char *const extensions[] = {".png", ".jpg", ".jpeg", ".bmp", ".tga"};
    const char *dot = strrchr(options->out, '.');
    for (int i = 0; dot && i < 5; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return OK;
    return err_set(err, ERR_USAGE, "--out %s: not the name of a picture: give .png, .jpg, .bmp or .tga", options->out);
}

static Err check_options(const Call *call, const SampleOptions *options, Error *err) {
    static const char *const draws[] = {"out", "n", "seed", "set", "threads", "json", NULL};
    static const char *const grid[] = {"out", "grid", "range", "set", "threads", "json", NULL};
    static const char *const line[] = {"out", "between", "and", "steps", "set", "threads", "json", NULL};
    if (!options->out) return err_set(err, ERR_USAGE, "no file for the picture: --out FILE.png");
    if (!options->between != !options->and)
        return err_set(err, ERR_USAGE, "a line has two ends: --between A --and B, not --%s alone",
                       options->between ? "between" : "and");
    if (options->between) return options_allow(call, line, "--between", err);
    return options->grid > 0 ? options_allow(call, grid, "--grid", err) : options_allow(call, draws, "draws", err);
}

static Err run_sample(const Call *call, Error *err) {
    const SampleOptions *options = call->options;
    TRY(check_options(call, options, err));
    TRY(check_out(call, options, err));
    Display display = display_begin(stderr);
    Sampling s = {.options = options, .display = &display, .arena = call->arena};
    s.events = display_events(&display, signals_catch());
    const char *model;
    Err code = model_open(&s.net, &model, call, &options->sets, options->threads, err);
    if (code == OK) code = sample_all(&s, err);
    display_clear(&display);
    if (code == OK) report(call, &s);
    tiles_free(&s.tiles);
    decoder_close(&s.decoder);
    block_free(s.codes);
    net_close(s.net);
    return code;
}

const Command cmd_sample = {
    .name = "sample",
    .usage = "MODEL --out FILE.png [--n N] [--seed S] | [--grid N [--range R]] | [--between A --and B [--steps K]]",
    .doc = "pictures from codes that nobody encoded",
    .help =
        "MODEL is a checkpoint or a run directory of an autoencoder. Without more, N random codes are decoded: for a\n"
        "variational network draws from the standard normal distribution, for others from a normal distribution\n"
        "fitted to the codes of up to 10,000 training samples. --grid N decodes N x N points of a code of two units; "
        "the first\n"
        "unit grows to the right, the second upwards. --between A --and B decodes the straight line\n"
        "between two pictures' codes. All goes into one picture.\n",
    .options = sample_options,
    .options_bytes = sizeof(SampleOptions),
    .min_args = 1,
    .max_args = 1,
    .run = run_sample};
