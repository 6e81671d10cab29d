/* sandglass.c - the public API on top of train/net.h: pictures in, masks, pictures or numbers out.
 *
 * A picture is fitted to the network (resized when the config says data.fit: resize and a size; otherwise taken as it
 * is), normalised as in training, run, and the result brought back to the picture's size: masks by nearest neighbour.
 */
#include "sandglass.h"

#include "train/net.h"

#include <stdlib.h>
#include <string.h>

struct sg_model {
    Arena *arena;
    Net *net;
    float *input; /* planes of the picture; grows as needed */
    size_t input_bytes;
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

/* Hand the outcome over: the code as a status, the words (as many as fit) into the caller's error. */
static sg_status report(sg_error *out, Err code, const Error *err) {
    sg_status status = status_of(code);
    if (!out) return status;
    out->status = status;
    size_t n = code == OK ? 0 : err->used;
    if (n >= sizeof out->text) n = sizeof out->text - 1;
    memcpy(out->text, err->text, n);
    out->text[n] = '\0';
    return status;
}

const char *sg_version(void) {
    return SANDGLASS_VERSION;
}

/* ---- models ---- */

static Err load(sg_model *model, const char *path, const sg_load_options *options, Error *err) {
    Checkpoint *checkpoint = NULL;
    Err code = checkpoint_open(&checkpoint, path, false, NULL, model->arena, err);
    if (code == OK)
        code = net_open(&model->net, checkpoint, options->n_settings, options->settings, options->threads, err);
    checkpoint_close(checkpoint);
    return code;
}

sg_status sg_model_load(sg_model **out, const char *path, const sg_load_options *options, sg_error *error) {
    Error err = ERROR_INIT;
    *out = NULL;
    sg_model *model = calloc(1, sizeof *model);
    if (!model) return report(error, err_set(&err, ERR_MEMORY, "no memory for a model"), &err);
    model->arena = arena_new();
    static const sg_load_options defaults = {0};
    Err code = load(model, path, options ? options : &defaults, &err);
    if (code != OK) {
        sg_model_free(model);
        return report(error, code, &err);
    }
    *out = model;
    return report(error, OK, &err);
}

void sg_model_free(sg_model *model) {
    if (!model) return;
    net_close(model->net);
    arena_free(model->arena);
    block_free(model->input);
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
    return (int)net_graph(model->net)->input.dim[1];
}

/* Whether pictures are resized to the size in the config. */
static bool resizes(const sg_model *model) {
    const DataConfig *data = net_data(model->net);
    return data->fit == FIT_RESIZE && data->size[0] > 0;
}

void sg_model_size(const sg_model *model, int *width, int *height) {
    const DataConfig *data = net_data(model->net);
    Shape input = net_graph(model->net)->input;
    bool fixed = net_stride(model->net) == 0;
    *height = resizes(model) ? (int)data->size[0] : fixed && input.rank >= 4 ? (int)input.dim[2] : 0;
    *width = resizes(model) ? (int)data->size[1] : fixed && input.rank >= 4 ? (int)input.dim[3] : 0;
}

int sg_model_stride(const sg_model *model) {
    return (int)net_stride(model->net);
}

int sg_model_n_classes(const sg_model *model) {
    return sg_model_task(model) == SG_RECONSTRUCTION ? 0 : net_data(model->net)->n_classes;
}

const char *sg_model_class_name(const sg_model *model, int class_index) {
    const DataConfig *data = net_data(model->net);
    return class_index >= 0 && class_index < data->n_classes ? data->class_names[class_index] : NULL;
}

void sg_model_class_color(const sg_model *model, int class_index, uint8_t rgb[3]) {
    const DataConfig *data = net_data(model->net);
    memset(rgb, 0, 3);
    if (class_index >= 0 && class_index < data->n_classes) memcpy(rgb, data->palette[class_index], 3);
}

/* ---- pictures ---- */

static Err check_picture(const sg_model *model, const sg_picture *p, Error *err) {
    int channels = sg_model_channels(model);
    if (!p->data) return err_set(err, ERR_DATA, "the picture has no data");
    if (p->width < 1 || p->height < 1 || (int64_t)p->width * p->height > IMAGE_MAX_PIXELS)
        return err_set(err, ERR_DATA, "the picture's size must be between 1 and %d pixels, got %dx%d", IMAGE_MAX_PIXELS,
                       p->width, p->height);
    if (p->channels != channels)
        return err_set(err, ERR_DATA, "the picture has %d channels, the network takes %d", p->channels, channels);
    if (p->bits != 0 && p->bits != 8 && p->bits != 16 && p->bits != 32)
        return err_set(err, ERR_DATA, "a sample must have 8, 16 or 32 bits, got %d", p->bits);
    size_t row_bytes = (size_t)p->width * (size_t)p->channels * (size_t)(p->bits == 0 ? 1 : p->bits / 8);
    if (p->row_bytes != 0 && p->row_bytes < row_bytes)
        return err_set(err, ERR_DATA, "row_bytes must be 0 or at least a row's %zu bytes, got %zu", row_bytes,
                       p->row_bytes);
    int width, height;
    sg_model_size(model, &width, &height);
    if (width > 0 && !resizes(model) && (p->width != width || p->height != height))
        return err_set(err, ERR_DATA,
                       "the picture is %dx%d, this network takes %dx%d only; the setting data.fit=resize with "
                       "data.size=[%d, %d] resizes pictures",
                       p->width, p->height, width, height, height, width);
    return OK;
}

/* The caller's pixels as an Image of our own, rows closed up. */
static Err copy_picture(const sg_picture *p, Image *out, Error *err) {
    TRY(image_new(out, p->width, p->height, p->channels, p->bits == 0 ? 8 : p->bits, err));
    size_t row_bytes = (size_t)p->width * (size_t)p->channels * (size_t)(out->depth / 8);
    size_t step = p->row_bytes ? p->row_bytes : row_bytes;
    for (int y = 0; y < p->height; y++)
        memcpy(out->u8 + (size_t)y * row_bytes, (const char *)p->data + (size_t)y * step, row_bytes);
    return OK;
}

static Err reserve_input(sg_model *model, size_t bytes, Error *err) {
    if (bytes <= model->input_bytes) return OK;
    block_free(model->input);
    model->input_bytes = 0;
    model->input = block_alloc(bytes);
    if (!model->input) return err_set(err, ERR_MEMORY, "no memory for the picture: %zu bytes", bytes);
    model->input_bytes = bytes;
    return OK;
}

/* Run the network on an image that has its size already. */
static Err run_image(sg_model *model, const Image *image, const float **values, Shape *shape, Error *err) {
    size_t places = (size_t)image->width * (size_t)image->height;
    TRY(reserve_input(model, places * (size_t)image->channels * sizeof(float), err));
    data_normalize(net_data(model->net), image, model->input);
    return net_run(model->net, 1, image->channels, image->height, image->width, model->input, values, shape, err);
}

/* Run the network on a picture; *fitted is the size at which it ran. */
static Err run_picture(sg_model *model, const sg_picture *picture, const float **values, Shape *shape, Image *fitted,
                       Error *err) {
    TRY(check_picture(model, picture, err));
    Image image = {0};
    Err code = copy_picture(picture, &image, err);
    *fitted = (Image){.width = picture->width, .height = picture->height};
    if (code == OK && resizes(model)) {
        const int64_t *size = net_data(model->net)->size;
        Image small = {0};
        code = image_resize(&image, (int)size[1], (int)size[0], false, &small, err);
        if (code == OK) {
            image_free(&image);
            image = small;
            *fitted = (Image){.width = small.width, .height = small.height};
        }
    }
    if (code == OK) code = run_image(model, &image, values, shape, err);
    image_free(&image);
    return code;
}

static Err segment(sg_model *model, const sg_picture *picture, uint8_t *mask, Error *err) {
    if (sg_model_task(model) != SG_SEGMENTATION)
        return err_set(err, ERR_USAGE, "this network does not segment: its task is %s",
                       task_names[net_experiment(model->net)->task]);
    const float *scores;
    Shape shape;
    Image fitted, small = {0}, full = {0};
    TRY(run_picture(model, picture, &scores, &shape, &fitted, err));
    if (shape.rank != 4 || shape.dim[2] != fitted.height || shape.dim[3] != fitted.width) {
        char text[SHAPE_TEXT_BYTES];
        return err_set(err, ERR_DATA, "the network's result is %s for a picture of %dx%d: no class per pixel",
                       shape_text(shape, text), fitted.width, fitted.height);
    }
    int64_t places = shape.dim[2] * shape.dim[3];
    if (fitted.width == picture->width && fitted.height == picture->height) {
        scores_argmax(shape.dim[1], places, scores, mask);
        return OK;
    }
    Err code = image_new(&small, fitted.width, fitted.height, 1, 8, err);
    if (code == OK) {
        scores_argmax(shape.dim[1], places, scores, small.u8);
        code = image_resize(&small, picture->width, picture->height, true, &full, err);
    }
    if (code == OK) memcpy(mask, full.u8, (size_t)picture->width * (size_t)picture->height);
    image_free(&small);
    image_free(&full);
    return code;
}

sg_status sg_model_segment(sg_model *model, const sg_picture *picture, uint8_t *mask, sg_error *error) {
    Error err = ERROR_INIT;
    return report(error, segment(model, picture, mask, &err), &err);
}

static Err reconstruct(sg_model *model, const sg_picture *picture, uint8_t *pixels, Error *err) {
    if (sg_model_task(model) != SG_RECONSTRUCTION)
        return err_set(err, ERR_USAGE, "this network does not reconstruct: its task is %s",
                       task_names[net_experiment(model->net)->task]);
    const float *values;
    Shape shape;
    Image fitted, small = {0}, full = {0};
    TRY(run_picture(model, picture, &values, &shape, &fitted, err));
    if (shape_size(shape) != (int64_t)fitted.width * fitted.height * picture->channels) {
        char text[SHAPE_TEXT_BYTES];
        return err_set(err, ERR_DATA, "the network's result is %s for a picture of %dx%dx%d: no reconstruction",
                       shape_text(shape, text), picture->channels, fitted.height, fitted.width);
    }
    Err code = data_to_image(net_data(model->net), values, picture->channels, fitted.height, fitted.width, &small, err);
    bool resized = fitted.width != picture->width || fitted.height != picture->height;
    if (code == OK && resized) code = image_resize(&small, picture->width, picture->height, false, &full, err);
    if (code == OK)
        memcpy(pixels, resized ? full.u8 : small.u8,
               (size_t)picture->width * (size_t)picture->height * (size_t)picture->channels);
    image_free(&small);
    image_free(&full);
    return code;
}

sg_status sg_model_reconstruct(sg_model *model, const sg_picture *picture, uint8_t *pixels, sg_error *error) {
    Error err = ERROR_INIT;
    return report(error, reconstruct(model, picture, pixels, &err), &err);
}

/* ---- numbers ---- */

_Static_assert(SHAPE_MAX_RANK == 5, "sg_output.dim holds a Shape");

static void fill_output(sg_output *out, const float *values, Shape shape) {
    *out = (sg_output){.rank = shape.rank, .data = values};
    for (int i = 0; i < shape.rank; i++) out->dim[i] = shape.dim[i];
}

sg_status sg_model_apply(sg_model *model, const sg_picture *picture, sg_output *output, sg_error *error) {
    Error err = ERROR_INIT;
    const float *values;
    Shape shape;
    Image fitted;
    Err code = run_picture(model, picture, &values, &shape, &fitted, &err);
    if (code == OK) fill_output(output, values, shape);
    return report(error, code, &err);
}

sg_status sg_model_run(sg_model *model, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
                       sg_output *output, sg_error *error) {
    Error err = ERROR_INIT;
    const float *values;
    Shape shape;
    Err code = n < 1 || channels != sg_model_channels(model) || height < 1 || width < 1
                   ? err_set(&err, ERR_USAGE, "the network takes %d channels, got %lldx%lldx%lldx%lld",
                             sg_model_channels(model), (long long)n, (long long)channels, (long long)height,
                             (long long)width)
                   : net_run(model->net, n, channels, height, width, input, &values, &shape, &err);
    if (code == OK) fill_output(output, values, shape);
    return report(error, code, &err);
}
