/* sandglass.c - the public API on top of train/: models are a Net that only lends its weights, sessions a Session or an
 * AnySize on it. What a caller hands over is checked here.
 */
#include "sandglass.h"

#include "train/anysize.h"
#include "train/predictor.h"
#include "train/session.h"

#include <stdlib.h>
#include <string.h>

struct sg_model {
    Net *net;
};

struct sg_session {
    const sg_model *model;
    int batch, width, height;
    Session *one; /* of one size, or */
    AnySize *any; /* of any */
    int memory_mb;
};

/* ---- errors ---- */

static sg_status status_of(Err code) {
    switch (code) {
    case OK:
        return SG_OK;
    case ERR_USAGE:
    case ERR_CONFIG:
    case ERR_DATA:
        return SG_ERROR_ARGUMENT;
    case ERR_IO:
    case ERR_FORMAT:
        return SG_ERROR_FILE;
    case ERR_MEMORY:
        return SG_ERROR_MEMORY;
    default:
        return SG_ERROR_COMPUTE;
    }
}

/* As many lines as fit; of a first line that does not, its beginning, in whole characters. */
static void copy_words(char *to, size_t room, const Error *err) {
    size_t n = err->used;
    bool cut = false;
    if (n >= room) {
        for (n = room - 1; n > 0 && err->text[n - 1] != '\n';) n--;
        cut = n == 0;
    }
    if (cut)
        for (n = room - 2; n > 0 && ((unsigned char)err->text[n] & 0xC0) == 0x80;) n--; /* within a character */
    memcpy(to, err->text, n);
    if (cut) to[n++] = '\n';
    to[n] = '\0';
}

/* Hand the outcome over: the code as a status, the words into the caller's error. */
static sg_status report(sg_error *out, Err code, const Error *err) {
    sg_status status = status_of(code);
    if (!out) return status;
    out->status = status;
    out->text[0] = '\0';
    if (code != OK) copy_words(out->text, sizeof out->text, err);
    return status;
}

const char *sg_version(void) {
    return SANDGLASS_VERSION;
}

/* ---- models ---- */

static Err load(sg_model *model, const char *path, const char *const *settings, Error *err) {
    Checkpoint *checkpoint = NULL;
    Arena *arena = arena_new();
    int n = 0, threads = engine_enter(NULL);
    while (settings && settings[n]) n++;
    Err code = path ? checkpoint_open(&checkpoint, path, false, NULL, arena, err)
                    : err_set(err, ERR_USAGE, "there is no path of a model");
    if (code == OK) code = net_open(&model->net, checkpoint, n, settings, 1, err);
    engine_leave(threads);
    if (n == 0 && (code == ERR_CONFIG || code == ERR_DATA)) code = ERR_FORMAT; /* whose else: it is the file's text */
    checkpoint_close(checkpoint);
    arena_free(arena);
    return code == OK ? net_fold(model->net, err) : code;
}

sg_status sg_model_load(sg_model **out, const char *path, const char *const *settings, sg_error *error) {
    Error err = ERROR_INIT;
    *out = NULL;
    sg_model *model = calloc(1, sizeof *model);
    if (!model) return report(error, err_set(&err, ERR_MEMORY, "no memory for a model"), &err);
    Err code = load(model, path, settings, &err);
    if (code == OK)
        *out = model;
    else
        sg_model_free(model);
    return report(error, code, &err);
}

void sg_model_free(sg_model *model) {
    if (!model) return;
    net_close(model->net);
    free(model);
}

sg_task sg_model_task(const sg_model *model) {
    switch (net_experiment(model->net)->task) {
    case TASK_SEGMENTATION:
        return SG_SEGMENTATION;
    case TASK_CLASSIFICATION:
        return SG_CLASSIFICATION;
    default:
        return SG_RECONSTRUCTION;
    }
}

int sg_model_channels(const sg_model *model) {
    return net_channels(model->net);
}

void sg_model_size(const sg_model *model, int *width, int *height) {
    const DataConfig *data = net_data(model->net);
    Shape input = net_graph(model->net)->input;
    bool fixed = net_stride(model->net) == 0, planes = input.rank == 4;
    bool resizes = data->fit == FIT_RESIZE || !planes;
    *height = (int)(resizes && data->size[0] > 0 ? data->size[0] : fixed && planes ? input.dim[2] : 0);
    *width = (int)(resizes && data->size[0] > 0 ? data->size[1] : fixed && planes ? input.dim[3] : 0);
}

int sg_model_stride(const sg_model *model) {
    return (int)net_stride(model->net);
}

void sg_model_normalization(const sg_model *model, int channel, float *mean, float *deviation) {
    UnitScale unit = data_unit_scale(net_data(model->net), channel);
    *mean = unit.shift;
    *deviation = unit.scale;
}

int sg_model_n_classes(const sg_model *model) {
    return sg_model_task(model) == SG_RECONSTRUCTION ? 0 : net_data(model->net)->n_classes;
}

const char *sg_model_class_name(const sg_model *model, int class_index) {
    if (class_index < 0 || class_index >= sg_model_n_classes(model)) return NULL;
    return net_data(model->net)->class_names[class_index];
}

void sg_model_class_color(const sg_model *model, int class_index, uint8_t rgb[3]) {
    memset(rgb, 0, 3);
    if (class_index >= 0 && class_index < sg_model_n_classes(model))
        memcpy(rgb, net_data(model->net)->palette[class_index], 3);
}

int sg_model_n_layers(const sg_model *model) {
    return net_graph(model->net)->n;
}

const char *sg_model_layer_name(const sg_model *model, int layer) {
    const Graph *graph = net_graph(model->net);
    return layer >= 0 && layer < graph->n ? graph->nodes[layer].name : NULL;
}

/* ---- sessions ---- */

static Err check_options(const sg_session_options *o, Error *err) {
    if (o->width < 0 || o->height < 0 || (o->width == 0) != (o->height == 0))
        return err_set(err, ERR_USAGE, "width and height must be both 0 (any size) or both more, got %dx%d", o->width,
                       o->height);
    if (o->batch < 0 || o->threads < 0 || o->memory_mb < 0)
        return err_set(err, ERR_USAGE, "batch, threads and memory_mb must not be negative, got %d, %d and %d", o->batch,
                       o->threads, o->memory_mb);
    if (o->width > 0) return OK;
    if (o->batch > 1)
        return err_set(err, ERR_USAGE,
                       "a session for pictures of any size runs them one by one: batch must be 0 or 1, "
                       "got %d",
                       o->batch);
    if (o->outputs && o->outputs[0])
        return err_set(err, ERR_USAGE, "a session for pictures of any size has no outputs but results");
    return OK;
}

/* A session of one size does not resize. */
static Err check_own_size(const sg_model *model, const sg_session_options *o, Error *err) {
    int width, height;
    sg_model_size(model, &width, &height);
    if (width == 0 || (width == o->width && height == o->height)) return OK;
    return err_set(err, ERR_USAGE,
                   "the network takes pictures of %dx%d, the session was to be for %dx%d; one for pictures of any size "
                   "(0x0) resizes them, with the setting data.fit=resize",
                   width, height, o->width, o->height);
}

static Err open_session(sg_session *session, const sg_session_options *o, Error *err) {
    const sg_model *model = session->model;
    TRY(check_options(o, err));
    session->memory_mb = o->memory_mb > 0 ? o->memory_mb : PREDICT_MEMORY_MB;
    session->width = o->width;
    session->height = o->height;
    session->batch = o->batch > 0 ? o->batch : 1;
    if (o->width == 0) return anysize_open(&session->any, model->net, o->threads, session->memory_mb, err);
    TRY(check_own_size(model, o, err));
    SessionSpec spec = {
        .batch = session->batch, .height = o->height, .width = o->width, .threads = o->threads, .outputs = o->outputs};
    while (o->outputs && o->outputs[spec.n_outputs]) spec.n_outputs++;
    return session_open(&session->one, model->net, &spec, err);
}

sg_status sg_session_open(sg_session **out, const sg_model *model, const sg_session_options *options, sg_error *error) {
    static const sg_session_options any = {0};
    Error err = ERROR_INIT;
    *out = NULL;
    sg_session *session = calloc(1, sizeof *session);
    if (!session) return report(error, err_set(&err, ERR_MEMORY, "no memory for a session"), &err);
    session->model = model;
    Err code = open_session(session, options ? options : &any, &err);
    if (code == OK)
        *out = session;
    else
        sg_session_close(session);
    return report(error, code, &err);
}

void sg_session_close(sg_session *session) {
    if (!session) return;
    session_close(session->one);
    anysize_close(session->any);
    free(session);
}

size_t sg_session_memory(const sg_session *session) {
    return session->one ? session_memory(session->one) : (size_t)session->memory_mb * 1000000;
}

/* ---- pictures ---- */

static int bits_of(const sg_picture *p) {
    return p->bits == 0 ? 8 : p->bits;
}

static size_t closed_row(const sg_picture *p) {
    return (size_t)p->width * (size_t)p->channels * (size_t)(bits_of(p) / 8);
}

static Err check_layout(const sg_picture *p, Error *err) {
    int bits = bits_of(p);
    size_t sample = (size_t)(bits / 8);
    if (!p->data) return err_set(err, ERR_DATA, "the picture has no data");
    if (bits != 8 && bits != 16 && bits != 32)
        return err_set(err, ERR_DATA, "a sample must have 8, 16 or 32 bits, got %d", p->bits);
    if (p->row_bytes != 0 && p->row_bytes < closed_row(p))
        return err_set(err, ERR_DATA, "row_bytes must be 0 or at least a row's %zu bytes, got %zu", closed_row(p),
                       p->row_bytes);
    if ((uintptr_t)p->data % sample || p->row_bytes % sample)
        return err_set(err, ERR_DATA, "samples of %d bits must lie at multiples of %zu bytes, and so must rows", bits,
                       sample);
    return OK;
}

static Err check_picture(const sg_session *session, const sg_picture *p, Error *err) {
    int channels = sg_model_channels(session->model);
    if (p->width < 1 || p->height < 1 || (int64_t)p->width * p->height > IMAGE_MAX_PIXELS)
        return err_set(err, ERR_DATA, "the picture's size must be between 1 and %d pixels, got %dx%d", IMAGE_MAX_PIXELS,
                       p->width, p->height);
    if (p->channels < 1 || (channels > 0 && p->channels != channels))
        return err_set(err, ERR_DATA, "the picture has %d channels, the network takes %d", p->channels, channels);
    TRY(check_layout(p, err));
    if (session->one && (p->width != session->width || p->height != session->height))
        return err_set(err, ERR_DATA, "the picture is %dx%d, the session was opened for %dx%d", p->width, p->height,
                       session->width, session->height);
    return OK;
}

static Image image_of(const sg_picture *p) {
    return (Image){.width = p->width,
                   .height = p->height,
                   .channels = p->channels,
                   .depth = bits_of(p),
                   .data = (void *)p->data}; /* is only read */
}

/* The caller's pixels with the gaps between rows closed. */
static Err close_rows(const sg_picture *p, Image *out, Error *err) {
    TRY(image_new(out, p->width, p->height, p->channels, bits_of(p), err));
    for (int y = 0; y < p->height; y++)
        memcpy(out->u8 + (size_t)y * closed_row(p), (const char *)p->data + (size_t)y * p->row_bytes, closed_row(p));
    return OK;
}

static Maps maps_of(const sg_result *r) {
    return (Maps){
        .classes = r->classes, .confidence = r->confidence, .probabilities = r->probabilities, .pixels = r->pixels};
}

/* ---- running ---- */

static Err check_count(const sg_session *session, int n, const sg_result *results, Error *err) {
    if (n < 1 || (session->one && n > session->batch))
        return err_set(err, ERR_USAGE, "a run takes 1 to %d pictures, got %d",
                       session->one ? session->batch : INT32_MAX, n);
    for (int i = 0; results && i < n; i++) {
        Maps maps = maps_of(&results[i]);
        TRY(maps_check(session->model->net, &maps, err));
    }
    return OK;
}

static Err read_results(const sg_session *session, int n, const sg_result *results, Error *err) {
    for (int i = 0; results && i < n; i++) {
        Maps maps = maps_of(&results[i]);
        TRY(session_read(session->one, i, &maps, err));
    }
    return OK;
}

static Err run_one_size(const sg_session *session, int n, const sg_picture *pictures, const sg_result *results,
                        Error *err) {
    for (int i = 0; i < n; i++) {
        const sg_picture *p = &pictures[i];
        SessionPicture put = {.image = image_of(p), .row_bytes = p->row_bytes ? p->row_bytes : closed_row(p)};
        session_put(session->one, i, &put);
    }
    TRY(session_run(session->one, n, err));
    return read_results(session, n, results, err);
}

static Err run_any_size(const sg_session *session, const sg_picture *p, const sg_result *result, Error *err) {
    Maps maps = maps_of(result);
    if (p->row_bytes == 0 || p->row_bytes == closed_row(p)) {
        Image image = image_of(p);
        return anysize_run(session->any, &image, &maps, err);
    }
    Image closed = {0};
    TRY(close_rows(p, &closed, err));
    Err code = anysize_run(session->any, &closed, &maps, err);
    image_free(&closed);
    return code;
}

static Err run_pictures(const sg_session *session, int n, const sg_picture *pictures, const sg_result *results,
                        Error *err) {
    TRY(check_count(session, n, results, err));
    if (!pictures || (session->any && !results))
        return err_set(err, ERR_USAGE, "there are no %s", pictures ? "results" : "pictures");
    for (int i = 0; i < n; i++) TRY(check_picture(session, &pictures[i], err));
    if (session->one) return run_one_size(session, n, pictures, results, err);
    for (int i = 0; i < n; i++) TRY(run_any_size(session, &pictures[i], &results[i], err));
    return OK;
}

sg_status sg_session_run(sg_session *session, int n, const sg_picture *pictures, const sg_result *results,
                         sg_error *error) {
    Error err = ERROR_INIT;
    return report(error, run_pictures(session, n, pictures, results, &err), &err);
}

static Err run_floats(const sg_session *session, int n, const float *input, const sg_result *results, Error *err) {
    if (!session->one || !input)
        return err_set(err, ERR_USAGE,
                       session->one ? "there is no input" : "a session for pictures of any size takes pictures only");
    TRY(check_count(session, n, results, err));
    TRY(session_run_planes(session->one, n, input, err));
    return read_results(session, n, results, err);
}

sg_status sg_session_run_floats(sg_session *session, int n, const float *input, const sg_result *results,
                                sg_error *error) {
    Error err = ERROR_INIT;
    return report(error, run_floats(session, n, input, results, &err), &err);
}

/* ---- numbers ---- */

_Static_assert(SHAPE_MAX_RANK == 5, "sg_output.dim holds a Shape");

static Err read_output(const sg_session *session, const char *name, sg_output *out, Error *err) {
    SessionOutput found;
    *out = (sg_output){0};
    if (!session->one) return err_set(err, ERR_USAGE, "a session for pictures of any size has no outputs but results");
    TRY(session_output(session->one, name, &found, err));
    out->rank = found.shape.rank;
    out->data = found.data;
    memcpy(out->dim, found.shape.dim, sizeof out->dim);
    memcpy(out->stride, found.stride, sizeof out->stride);
    return OK;
}

sg_status sg_session_output(const sg_session *session, const char *name, sg_output *output, sg_error *error) {
    Error err = ERROR_INIT;
    return report(error, read_output(session, name, output, &err), &err);
}
