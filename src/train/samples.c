/* samples.c - see samples.h. All cells of a sheet have one size, that of the first sample's picture. */
#include "train/samples.h"

#include <stdlib.h>
#include <string.h>

enum { GAP = 2, SMALL_SIDE = 96 };

typedef struct Sheet {
    Net *net;
    const DataConfig *data;
    int columns, rows;
    int cell_width, cell_height;
    Image picture;
} Sheet;

/* Grey or RGB (more channels: the first three) into the cell, enlarged or reduced to it. */
static Err put_cell(Sheet *sheet, int row, int column, const Image *image, Error *err) {
    Image fitted = {0};
    const Image *from = image;
    if (image->width != sheet->cell_width || image->height != sheet->cell_height) {
        TRY(image_resize(image, sheet->cell_width, sheet->cell_height, true, &fitted, err));
        from = &fitted;
    }
    for (int y = 0; y < sheet->cell_height; y++) {
        int left = column * (sheet->cell_width + GAP), top = row * (sheet->cell_height + GAP);
        uint8_t *to = sheet->picture.u8 + ((size_t)(top + y) * (size_t)sheet->picture.width + (size_t)left) * 3;
        const uint8_t *pixel = from->u8 + (size_t)y * (size_t)from->width * (size_t)from->channels;
        for (int x = 0; x < sheet->cell_width; x++, to += 3, pixel += from->channels)
            for (int c = 0; c < 3; c++) to[c] = pixel[from->channels >= 3 ? c : 0];
    }
    image_free(&fitted);
    return OK;
}

static Err put_planes(Sheet *sheet, int row, int column, const float *planes, int channels, int height, int width,
                      Error *err) {
    Image image = {0};
    TRY(data_to_image(sheet->data, planes, channels, height, width, &image, err));
    Err code = put_cell(sheet, row, column, &image, err);
    image_free(&image);
    return code;
}

static Err put_classes(Sheet *sheet, int row, int column, const uint8_t *classes, int height, int width, Error *err) {
    Image image = {0};
    TRY(image_new(&image, width, height, 3, 8, err));
    for (size_t i = 0; i < (size_t)height * (size_t)width; i++)
        if (classes[i] < sheet->data->n_classes) memcpy(image.u8 + 3 * i, sheet->data->palette[classes[i]], 3);
    Err code = put_cell(sheet, row, column, &image, err);
    image_free(&image);
    return code;
}

static Err put_output(Sheet *sheet, int row, const Image *image, const float *output, Shape shape, Error *err) {
    int last = sheet->columns - 1;
    size_t places = (size_t)image->width * (size_t)image->height;
    if (net_experiment(sheet->net)->task == TASK_RECONSTRUCTION)
        return (size_t)shape_size(shape) != places * (size_t)image->channels
                   ? OK
                   : put_planes(sheet, row, last, output, image->channels, image->height, image->width, err);
    if (shape.rank != 4 || (size_t)(shape.dim[2] * shape.dim[3]) != places) return OK;
    uint8_t *classes = malloc(places);
    if (!classes) return err_set(err, ERR_MEMORY, "no memory for a mask of %zu pixels", places);
    scores_argmax(shape.dim[1], (int64_t)places, output, classes);
    Err code = put_classes(sheet, row, last, classes, image->height, image->width, err);
    free(classes);
    return code;
}

static Err put_sample(Sheet *sheet, int row, const Sample *sample, Error *err) {
    const Image *image = &sample->image;
    size_t floats = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    float *input = block_alloc(floats * sizeof *input);
    if (!input) return err_set(err, ERR_MEMORY, "no memory for a picture of %zu values", floats);
    data_normalize(sheet->data, image, input);
    const float *output = NULL;
    Shape shape = {0};
    Err code = put_planes(sheet, row, 0, input, image->channels, image->height, image->width, err);
    if (code == OK && sheet->columns == 3 && sample->mask.data)
        code = put_classes(sheet, row, 1, sample->mask.u8, sample->mask.height, sample->mask.width, err);
    if (code == OK)
        code = net_run(sheet->net, 1, image->channels, image->height, image->width, input, &output, &shape, err);
    if (code == OK) code = put_output(sheet, row, image, output, shape, err);
    block_free(input);
    return code;
}

static Err start_sheet(Sheet *sheet, const Image *first, Error *err) {
    int side = first->width < first->height ? first->width : first->height;
    int factor = side < SMALL_SIDE ? (SMALL_SIDE + side - 1) / side : 1;
    sheet->cell_width = first->width * factor;
    sheet->cell_height = first->height * factor;
    int width = sheet->columns * (sheet->cell_width + GAP) - GAP,
        height = sheet->rows * (sheet->cell_height + GAP) - GAP;
    TRY(image_new(&sheet->picture, width, height, 3, 8, err));
    memset(sheet->picture.u8, 255, image_bytes(&sheet->picture));
    return OK;
}

static Err fill_sheet(Sheet *sheet, Split *split, Error *err) {
    for (int row = 0; row < sheet->rows; row++) {
        Sample sample = {0};
        TRY(split_read(split, row, &sample, err));
        Err code = row == 0 ? start_sheet(sheet, &sample.image, err) : OK;
        if (code == OK) code = put_sample(sheet, row, &sample, err);
        image_free(&sample.image);
        image_free(&sample.mask);
        TRY(code);
    }
    return OK;
}

Err samples_write(Net *net, Split *split, int64_t n, const char *path, Error *err) {
    Task task = net_experiment(net)->task;
    int64_t has = split_info(split)->n;
    if (task == TASK_CLASSIFICATION || n < 1) return OK;
    Sheet sheet = {.net = net,
                   .data = split_config(split),
                   .columns = task == TASK_SEGMENTATION ? 3 : 2,
                   .rows = (int)(n < has ? n : has)};
    Err code = fill_sheet(&sheet, split, err);
    if (code == OK) code = image_save(path, &sheet.picture, err);
    image_free(&sheet.picture);
    return code;
}
