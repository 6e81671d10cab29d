/* verify.c - see verify.h: inputs, comparing, the engines one after the other. */
#include "export/verify.h"

#include "base/rng.h"
#include "export/verify_run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- inputs ---- */

static int64_t padded(int64_t n, int64_t stride) {
    return stride > 1 ? (n + stride - 1) / stride * stride : n;
}

/* Both sets of planes of an image, in the shape that the network takes. */
static Err make_planes(VerifyInput *out, const Net *net, const Image *image, int height, int width, Error *err) {
    const size_t floats = (size_t)image->channels * (size_t)height * (size_t)width;
    out->raw = block_alloc(floats * sizeof *out->raw);
    out->normalized = block_alloc(floats * sizeof *out->normalized);
    double *ones = malloc(sizeof *ones * (size_t)image->channels);
    Err code = out->raw && out->normalized && ones ? OK : err_set(err, ERR_MEMORY, "no memory for an input");
    if (code == OK) {
        DataConfig plain = *net_data(net); /* the data's own scale: nothing subtracted, divided by 1 */
        for (int c = 0; c < image->channels; c++) ones[c] = 1;
        plain.mean = (ParamList){0};
        plain.std = (ParamList){.n = image->channels, .floats = ones};
        data_normalize_padded(&plain, image, height, width, out->raw);
        data_normalize_padded(net_data(net), image, height, width, out->normalized);
    }
    free(ones);
    return code;
}

Err verify_input(VerifyInput *out, const Net *net, const Image *image, Error *err) {
    const int64_t stride = net_stride(net);
    const int height = (int)padded(image->height, stride), width = (int)padded(image->width, stride);
    out->raw = out->normalized = NULL;
    TRY(net_check_size(net, image->height, image->width, err));
    TRY(net_input_shape(net_graph(net), 1, image->channels, height, width, &out->shape, err));
    Err code = make_planes(out, net, image, height, width, err);
    if (code != OK) verify_input_free(out);
    return code;
}

Err verify_input_random(VerifyInput *out, const Net *net, int number, Error *err) {
    const Shape own = net_graph(net)->input;
    const int channels = net_channels(net) > 0 ? net_channels(net) : 1;
    const bool picture = own.rank == 4;
    const int64_t places = shape_size(own) / (picture ? own.dim[1] : 1);
    Image image = {0};
    out->name = "random";
    if (picture)
        TRY(image_new(&image, (int)own.dim[3], (int)own.dim[2], (int)own.dim[1], 8, err));
    else
        TRY(image_new(&image, (int)(places / channels), 1, channels, 8, err));
    Rng rng = rng_stream(0, RNG_ANALYSIS, (uint64_t)number, 0);
    const size_t bytes = image_bytes(&image);
    for (size_t i = 0; i < bytes; i++) image.u8[i] = (uint8_t)rng_below(&rng, 256);
    Err code = verify_input(out, net, &image, err);
    image_free(&image);
    return code;
}

void verify_input_free(VerifyInput *input) {
    block_free(input->raw);
    block_free(input->normalized);
    input->raw = input->normalized = NULL;
}

/* ---- comparing ---- */

/* Added up over inputs. */
static void compare_array(VerifyRow *row, int64_t n, const float *want, const float *got) {
    double largest = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)want[i] - (double)got[i]);
        largest = fmax(largest, fabs((double)want[i]));
        worst = isnan(d) ? INFINITY : fmax(worst, d);
    }
    row->absolute = fmax(row->absolute, worst);
    if (worst > 0) row->relative = fmax(row->relative, worst / fmax(largest, 1e-30));
}

/* -1: one of them is not a number, which is no class. */
static int best_of(const float *scores, int64_t classes, int64_t stride) {
    int64_t best = 0;
    for (int64_t c = 0; c < classes; c++) {
        if (isnan(scores[c * stride])) return -1;
        if (scores[c * stride] > scores[best * stride]) best = c;
    }
    return (int)best;
}

/* Places of N,C,... whose largest channel is another, or none. */
static void count_classes(VerifyRow *row, Shape shape, const float *want, const float *got) {
    const int64_t classes = shape.dim[1], places = shape_size(shape) / shape.dim[0] / classes;
    for (int64_t n = 0; n < shape.dim[0]; n++)
        for (int64_t i = 0; i < places; i++) {
            const int64_t at = n * classes * places + i;
            const int best = best_of(got + at, classes, places);
            row->disagreeing += best < 0 || best != best_of(want + at, classes, places);
        }
    row->places += shape.dim[0] * places;
}

static void count_values(VerifyRow *row, Shape shape, const float *want, const float *got) {
    const int64_t n = shape_size(shape);
    float largest = 0;
    for (int64_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(want[i]));
    for (int64_t i = 0; i < n; i++) row->disagreeing += !(fabsf(want[i] - got[i]) <= (float)VERIFY_OFF * largest);
    row->places += n;
}

static void compare(VerifyRow *row, bool classes, const VerifyOutputs *want, const VerifyOutputs *got) {
    for (int k = 0; k < want->n; k++) compare_array(row, shape_size(want->shape[k]), want->values[k], got->values[k]);
    (classes ? count_classes : count_values)(row, want->shape[0], want->values[0], got->values[0]);
}

static bool is_within(const VerifyRow *row, int dtype) {
    if (dtype == EXPORT_F32) return row->relative <= VERIFY_RELATIVE_F32;
    const double share = dtype == EXPORT_BF16 ? VERIFY_SHARE_BF16 : VERIFY_SHARE_INT8;
    return (double)row->disagreeing <= share * (double)row->places;
}

/* ---- engines ---- */

typedef struct Verify {
    const VerifySpec *spec;
    bool classes;
    VerifyOutputs *want; /* n: of the original */
    const char *folder;  /* NULL: nothing goes through files */
    Arena *arena;
} Verify;

static void fail_row(VerifyRow *row, const Error *words, Arena *arena) {
    const char *text = strncmp(words->text, "error: ", 7) == 0 ? words->text + 7 : words->text;
    row->ran = false;
    row->why = arena_strndup(arena, text, strcspn(text, "\n"));
}

static void finish_row(const Verify *v, VerifyRow *row) {
    row->passed = row->ran && is_within(row, v->spec->dtype);
}

/* The file as predict and the library open it. */
static Err run_own(const Verify *v, VerifyRow *row, Error *err) {
    Checkpoint *checkpoint = NULL;
    Net *net = NULL;
    Err code = checkpoint_open(&checkpoint, v->spec->path, false, NULL, v->arena, err);
    if (code == OK) code = net_open(&net, checkpoint, 0, NULL, 0, err);
    checkpoint_close(checkpoint);
    for (int i = 0; i < v->spec->n && code == OK; i++) {
        VerifyOutputs got = {0};
        code = verify_run_net(net, &v->spec->inputs[i], &got, err);
        if (code == OK) compare(row, v->classes, &v->want[i], &got);
        verify_outputs_free(&got);
    }
    net_close(net);
    return code;
}

static void verify_own(const Verify *v, VerifyRow *row) {
    Error words = ERROR_INIT;
    *row = (VerifyRow){.engine = "sandglass " SANDGLASS_VERSION, .installed = true, .ran = true};
    if (run_own(v, row, &words) != OK) fail_row(row, &words, v->arena);
    finish_row(v, row);
}

static void verify_python(const Verify *v, const char *engine, VerifyRow *row) {
    Error words = ERROR_INIT;
    *row = (VerifyRow){.engine = engine};
    verify_run_python(v->spec, v->folder, engine, row, v->arena);
    for (int i = 0; i < v->spec->n && row->ran; i++) {
        VerifyOutputs got = {0};
        if (verify_read_outputs(v->folder, i, &v->want[i], &got, &words) == OK)
            compare(row, v->classes, &v->want[i], &got);
        else
            fail_row(row, &words, v->arena);
        verify_outputs_free(&got);
    }
    finish_row(v, row);
}

static Err run_original(const Verify *v, Error *err) {
    for (int i = 0; i < v->spec->n; i++) TRY(verify_run_net(v->spec->net, &v->spec->inputs[i], &v->want[i], err));
    return OK;
}

Err verify_export(const VerifySpec *spec, int *n_rows, VerifyRow rows[VERIFY_MAX_ROWS], Arena *arena, Error *err) {
    Verify v = {.spec = spec,
                .classes = net_experiment(spec->net)->task != TASK_RECONSTRUCTION,
                .want = ARENA_ARRAY(arena, VerifyOutputs, spec->n + 1),
                .arena = arena};
    const char *const *engines = spec->format->engines;
    char *folder = NULL;
    *n_rows = 0;
    Err code = run_original(&v, err);
    if (code == OK && engines) code = verify_folder_make(&folder, spec, arena, err);
    v.folder = folder;
    if (code == OK && !engines) verify_own(&v, &rows[(*n_rows)++]);
    for (int k = 0; code == OK && engines && engines[k] && k < VERIFY_MAX_ROWS; k++)
        verify_python(&v, engines[k], &rows[(*n_rows)++]);
    if (folder) verify_folder_remove(folder, spec->n);
    for (int i = 0; i < spec->n; i++) verify_outputs_free(&v.want[i]);
    return code;
}
