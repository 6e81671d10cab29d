/* session.c - see session.h. */
#include "train/session.h"

#include <stdlib.h>
#include <string.h>

struct Session {
    Net *net; /* the session's own, on shared weights */
    Program *program;
    int batch, channels, height, width;
    int padded_height, padded_width;
    float *input;     /* batch,channels,padded_height,padded_width */
    size_t per_input; /* floats of one */
    int n;            /* pictures of the last run */
};

/* ---- opening ---- */

static int up_to(int64_t stride, int side) {
    return stride > 0 ? (int)((side + stride - 1) / stride * stride) : side;
}

/* The layers' names as the program knows them. */
static Err find_layers(const Session *s, const SessionSpec *spec, const char **layers, Error *err) {
    for (int i = 0; i < spec->n_outputs; i++) {
        layers[i] = net_layer(s->net, spec->outputs[i], err);
        if (!layers[i]) return ERR_CONFIG;
    }
    return OK;
}

static Err compile(Session *s, const SessionSpec *spec, Error *err) {
    Arena *arena = arena_new();
    const char **layers = ARENA_ARRAY(arena, const char *, spec->n_outputs + 1);
    CompileSpec c = {.n_outputs = spec->n_outputs, .outputs = layers};
    Err code = find_layers(s, spec, layers, err);
    if (code == OK) code = net_check_size(s->net, s->height, s->width, err);
    if (code == OK)
        code = net_input_shape(net_graph(s->net), s->batch, s->channels, s->padded_height, s->padded_width, &c.input,
                               err);
    if (code == OK) code = net_compile(s->net, c, &s->program, err);
    arena_free(arena);
    return code;
}

static Err take_input(Session *s, Error *err) {
    s->per_input = (size_t)s->channels * (size_t)s->padded_height * (size_t)s->padded_width;
    s->input = block_alloc((size_t)s->batch * s->per_input * sizeof(float));
    return s->input ? OK : err_set(err, ERR_MEMORY, "no memory for %d pictures", s->batch);
}

static Err open_all(Session *s, const Net *net, const SessionSpec *spec, Error *err) {
    TRY(net_session(&s->net, net, spec->threads, err));
    int64_t stride = net_stride(net);
    *s = (Session){.net = s->net,
                   .batch = spec->batch,
                   .channels = net_channels(net),
                   .height = spec->height,
                   .width = spec->width,
                   .padded_height = up_to(stride, spec->height),
                   .padded_width = up_to(stride, spec->width)};
    if (s->batch < 1 || s->height < 1 || s->width < 1 || (int64_t)s->height * s->width > IMAGE_MAX_PIXELS)
        return err_set(err, ERR_USAGE, "a session is for one picture or more of 1 to %d pixels, got %d of %dx%d",
                       IMAGE_MAX_PIXELS, s->batch, s->width, s->height);
    TRY(compile(s, spec, err));
    return take_input(s, err);
}

Err session_open(Session **out, const Net *net, const SessionSpec *spec, Error *err) {
    *out = NULL;
    Session *s = calloc(1, sizeof *s);
    if (!s) return err_set(err, ERR_MEMORY, "out of memory");
    int threads = engine_enter(NULL);
    Err code = open_all(s, net, spec, err);
    engine_leave(threads);
    if (code == OK)
        *out = s;
    else
        session_close(s);
    return code;
}

void session_close(Session *s) {
    if (!s) return;
    program_free(s->program);
    net_close(s->net);
    block_free(s->input);
    free(s);
}

size_t session_memory(const Session *s) {
    return program_stats(s->program).block_bytes + (size_t)s->batch * s->per_input * sizeof(float);
}

/* ---- running ---- */

void session_put(Session *s, int k, const SessionPicture *picture) {
    data_normalize_rows(net_data(s->net), &picture->image, picture->row_bytes, s->padded_height, s->padded_width,
                        s->input + (size_t)k * s->per_input);
}

static Err run(Session *s, int n, const float *input, Error *err) {
    int threads = net_enter(s->net);
    program_bind(s->program, "input", (void *)input); /* an input is only read */
    Err code = program_run(s->program, NULL, err);
    engine_leave(threads);
    s->n = code == OK ? n : 0;
    return code;
}

Err session_run(Session *s, int n, Error *err) {
    return run(s, n, s->input, err);
}

static void pad_planes(Session *s, int n, const float *planes) {
    size_t row = (size_t)s->width, padded = (size_t)s->padded_width;
    size_t n_planes = (size_t)n * (size_t)s->channels;
    for (size_t p = 0; p < n_planes; p++)
        for (size_t y = 0; y < (size_t)s->height; y++)
            memcpy(s->input + (p * (size_t)s->padded_height + y) * padded, planes + (p * (size_t)s->height + y) * row,
                   row * sizeof(float));
    data_repeat_edges((int64_t)n_planes, s->height, s->width, s->padded_height, s->padded_width, s->input);
}

Err session_run_planes(Session *s, int n, const float *planes, Error *err) {
    bool fits = n == s->batch && s->height == s->padded_height && s->width == s->padded_width;
    if (!fits) pad_planes(s, n, planes);
    return run(s, n, fits ? planes : s->input, err);
}

/* ---- results ---- */

static Err no_result(const Session *s, Shape shape, const char *what, Error *err) {
    char text[SHAPE_TEXT_BYTES];
    return err_set(err, ERR_DATA, "the network's result is %s for pictures of %dx%dx%d: no %s", shape_text(shape, text),
                   s->channels, s->height, s->width, what);
}

/* The planes of picture k in the network's result. */
static Err find_planes(const Session *s, int k, MapsSource *out, Error *err) {
    const char *name = net_output_name(s->net);
    Shape shape = program_shape(s->program, name);
    int64_t one = shape_size(shape) / s->batch;
    const Task task = net_experiment(s->net)->task;
    bool spatial = shape.rank == 4 && shape.dim[2] == s->padded_height && shape.dim[3] == s->padded_width;
    *out = (MapsSource){.channels = s->channels,
                        .height = s->height,
                        .width = s->width,
                        .row_stride = s->padded_width,
                        .plane_stride = (int64_t)s->padded_height * s->padded_width,
                        .values = (const float *)program_read(s->program, name) + k * one,
                        .scores = !net_gives_probabilities(s->net)};
    if (task == TASK_CLASSIFICATION) {
        out->channels = one;
        out->height = out->width = out->row_stride = out->plane_stride = 1;
        if (one != shape.dim[1]) return no_result(s, shape, "class", err);
    } else if (task == TASK_SEGMENTATION) {
        out->channels = shape.dim[1];
        if (!spatial) return no_result(s, shape, "class per pixel", err);
    } else if (one != (int64_t)s->per_input) {
        return no_result(s, shape, "reconstruction", err);
    }
    out->map_height = out->height;
    out->map_width = out->width;
    return OK;
}

Err session_read(const Session *s, int k, const Maps *maps, Error *err) {
    if (k < 0 || k >= s->n) return err_set(err, ERR_USAGE, "picture %d was not in the last run of %d", k, s->n);
    MapsSource src;
    TRY(maps_check(s->net, maps, err));
    TRY(find_planes(s, k, &src, err));
    int threads = net_enter(s->net);
    maps_fill(net_data(s->net), &src, maps);
    engine_leave(threads);
    return OK;
}

Err session_output(const Session *s, const char *name, SessionOutput *out, Error *err) {
    *out = (SessionOutput){0};
    if (s->n == 0) return err_set(err, ERR_USAGE, "nothing has been run yet");
    const char *layer = name ? net_layer(s->net, name, err) : net_output_name(s->net);
    if (!layer) return ERR_CONFIG;
    out->data = program_read(s->program, layer);
    if (!out->data)
        return err_set(err, ERR_USAGE, "layer '%s' was not among the outputs when the session was opened", name);
    Shape shape = program_shape(s->program, layer);
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        out->stride[i] = step;
        step *= shape.dim[i];
    }
    shape.dim[0] = s->n;
    if (shape.rank == 4 && shape.dim[2] == s->padded_height && shape.dim[3] == s->padded_width) {
        shape.dim[2] = s->height;
        shape.dim[3] = s->width;
    }
    out->shape = shape;
    return OK;
}
