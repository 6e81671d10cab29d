/* decoder.c - see decoder.h. Codes are decoded one at a time, as predict runs pictures one at a time: the arithmetic
 * may round differently for larger batches. */
#include "cli/decoder.h"

#include <string.h>

/* The shape in which a code goes in; rank 0: the layer cannot have given it. Height and width may differ where the
 * network takes pictures of any size. */
static Shape fit_code(Shape code, Shape own, bool any_size) {
    if (code.rank == 2 && shape_size(code) == shape_size(own)) return own;
    bool fits = code.rank == own.rank && code.dim[1] == own.dim[1];
    for (int i = 2; fits && i < own.rank; i++) fits = code.dim[i] == own.dim[i] || any_size;
    return fits ? code : (Shape){0};
}

static Err check_code(Decoder *d, Shape code, Error *err) {
    char found[SHAPE_TEXT_BYTES], wanted[SHAPE_TEXT_BYTES];
    Shape own = net_layer_shape(d->net, d->from);
    d->code = fit_code(code, own, net_stride(d->net) > 0);
    if (d->code.rank > 0) return OK;
    return err_set(err, ERR_DATA, "a code is %s, but '%s' of this network is %s", shape_text(code, found), d->from,
                   shape_text(own, wanted));
}

/* What the pictures are like where nobody says: the network's input, or, when it takes vectors, the data. */
static Shape own_picture(const Net *net) {
    Shape input = net_graph(net)->input;
    const DataConfig *data = net_data(net);
    int64_t channels = data->channels > 0 ? data->channels : 1, height = data->size[0], width = data->size[1];
    if (input.rank == 4 || height < 1) return input;
    return channels * height * width == shape_size(input) ? SHAPE(1, channels, height, width) : input;
}

Err decoder_open(Decoder *out, Net *net, const char *from, Shape code, Shape picture, Error *err) {
    *out = (Decoder){.net = net, .from = from};
    if (!net_layer(net, from, err)) return ERR_CONFIG;
    if (net_experiment(net)->task != TASK_RECONSTRUCTION)
        return err_set(err, ERR_CONFIG, "this network gives no pictures: its task is %s",
                       task_names[net_experiment(net)->task]);
    TRY(check_code(out, code, err));
    if (picture.rank == 0) picture = own_picture(net);
    if (picture.rank != 4)
        return err_set(err, ERR_CONFIG,
                       "the network takes vectors, and nothing says which pictures they are: give data.channels and "
                       "data.size with --set");
    out->channels = (int)picture.dim[1];
    out->height = (int)picture.dim[2];
    out->width = (int)picture.dim[3];
    out->buffer = block_alloc((size_t)shape_size(out->code) * sizeof(float));
    return out->buffer ? OK : err_set(err, ERR_MEMORY, "no memory for a code");
}

void decoder_close(Decoder *decoder) {
    block_free(decoder->buffer);
    *decoder = (Decoder){0};
}

/* The network's result as a picture: where the inputs were padded, it is cut back. */
static Err to_image(const Decoder *d, const float *values, Shape shape, Image *out, Error *err) {
    TRY(net_crop(d->net, d->height, d->width, &values, &shape, err));
    if (shape_size(shape) != (int64_t)d->channels * d->height * d->width) {
        char text[SHAPE_TEXT_BYTES];
        return err_set(err, ERR_DATA, "the network's result is %s, not a picture of %dx%dx%d", shape_text(shape, text),
                       d->channels, d->height, d->width);
    }
    return data_to_image(net_data(d->net), values, d->channels, d->height, d->width, out, err);
}

Err decoder_run(Decoder *decoder, const float *code, Image *out, Error *err) {
    Program *program;
    const char *result;
    NetPart part = {.from = decoder->from};
    TRY(net_part(decoder->net, &part, decoder->code, &program, &result, err));
    memcpy(decoder->buffer, code, (size_t)shape_size(decoder->code) * sizeof *code);
    program_bind(program, "input", decoder->buffer);
    TRY(program_run(program, &(RunState){0}, err));
    return to_image(decoder, program_read(program, result), program_shape(program, result), out, err);
}
