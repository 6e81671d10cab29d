/* preview.c - see preview.h. */
#include "cli/preview.h"

#include "cli/command.h"
#include "cli/tiles.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

enum { EPOCHS = 4, CELL = 320 }; /* augmented pictures in a sheet; no side of a cell has more pixels */

typedef struct Sheet {
    const DataConfig *data;
    Tiles tiles;
    int columns;
} Sheet;

/* ---- pictures of a sample ---- */

/* As the network gets it, in 8 bit: grey or RGB. */
static Err picture_of(const DataConfig *data, const Image *image, Image *out, Error *err) {
    size_t bytes = (size_t)image->width * (size_t)image->height * (size_t)image->channels * sizeof(float);
    float *planes = block_alloc(bytes);
    if (planes == NULL) return err_set(err, ERR_MEMORY, "no memory for a picture: %zu bytes", bytes);
    data_normalize(data, image, planes);
    Err code = data_to_image(data, planes, image->channels, image->height, image->width, out, err);
    block_free(planes);
    return code;
}

/* Half the picture, half the colours of the classes. */
static Err overlay_of(const DataConfig *data, const Image *picture, const Image *mask, Image *out, Error *err) {
    static const uint8_t black[3] = {0};
    TRY(image_new(out, picture->width, picture->height, 3, 8, err));
    size_t n = (size_t)mask->width * (size_t)mask->height, c = (size_t)picture->channels;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *color = mask->u8[i] < data->n_classes ? data->palette[mask->u8[i]] : black;
        for (size_t k = 0; k < 3; k++)
            out->u8[3 * i + k] = (uint8_t)((picture->u8[c * i + (c >= 3 ? k : 0)] + color[k] + 1) / 2);
    }
    return OK;
}

/* ---- cells ---- */

static int least(double value) {
    return value < 1 ? 1 : (int)(value + 0.5);
}

/* A whole picture, shrunk where it does not fit, in the middle of a cell. */
static Err put_cell(Sheet *sheet, int cell, const Image *picture, Error *err) {
    int height = sheet->tiles.height, width = sheet->tiles.width;
    double down = (double)height / picture->height, across = (double)width / picture->width;
    double factor = down < across ? down : across;
    Image fitted = {0}, whole = {0};
    factor = factor < 1 ? factor : 1;
    TRY(image_resize(picture, least(picture->width * factor), least(picture->height * factor), false, &fitted, err));
    Err code = image_new(&whole, width, height, 3, 8, err);
    if (code == OK) {
        int top = (height - fitted.height) / 2, left = (width - fitted.width) / 2, c = fitted.channels;
        memset(whole.data, 255, image_bytes(&whole));
        for (int y = 0; y < fitted.height; y++)
            for (int x = 0; x < fitted.width; x++)
                for (int k = 0; k < 3; k++)
                    whole.u8[((top + y) * width + left + x) * 3 + k] =
                        fitted.u8[(y * fitted.width + x) * c + (c >= 3 ? k : 0)];
        tiles_put_image(&sheet->tiles, cell, &whole);
    }
    image_free(&fitted);
    image_free(&whole);
    return code;
}

static Err put_sample(Sheet *sheet, int column, const Sample *sample, Error *err) {
    Image picture = {0}, overlay = {0};
    TRY(picture_of(sheet->data, &sample->image, &picture, err));
    Err code = put_cell(sheet, column, &picture, err);
    if (code == OK && sample->mask.data != NULL) {
        code = overlay_of(sheet->data, &picture, &sample->mask, &overlay, err);
        if (code == OK) code = put_cell(sheet, sheet->columns + column, &overlay, err);
    }
    image_free(&picture);
    image_free(&overlay);
    return code;
}

/* Cells have the size of what comes out, as far as that can be looked at. */
static Err start_sheet(Sheet *sheet, const PreviewSpec *spec, const Sample *sample, Error *err) {
    int height = sample->image.height, width = sample->image.width;
    augment_size(spec->augment, &height, &width);
    double side = height > width ? height : width, factor = side > CELL ? CELL / side : 1;
    bool masks = sample->mask.data != NULL;
    *sheet = (Sheet){.data = split_config(spec->split), .columns = augment_is_empty(spec->augment) ? 1 : 1 + EPOCHS};
    return tiles_new(&sheet->tiles, sheet->columns * (masks ? 2 : 1), least(height * factor), least(width * factor),
                     sheet->columns, err);
}

static Err fill_sheet(Sheet *sheet, const PreviewSpec *spec, int64_t number, const Sample *sample, Error *err) {
    TRY(start_sheet(sheet, spec, sample, err));
    TRY(put_sample(sheet, 0, sample, err));
    for (int epoch = 0; epoch < sheet->columns - 1; epoch++) {
        Sample changed;
        TRY(augment_apply(spec->augment, spec->seed, epoch, number, sample, &changed, err));
        Err code = put_sample(sheet, 1 + epoch, &changed, err);
        image_free(&changed.image);
        image_free(&changed.mask);
        TRY(code);
    }
    return OK;
}

static Err write_sheet(const PreviewSpec *spec, int64_t number, const char *path, Error *err) {
    Sample sample = {.label = -1};
    Sheet sheet = {0};
    TRY(split_read(spec->split, number, &sample, err));
    Err code = fill_sheet(&sheet, spec, number, &sample, err);
    if (code == OK) code = image_save(path, &sheet.tiles.picture, err);
    tiles_free(&sheet.tiles);
    image_free(&sample.image);
    image_free(&sample.mask);
    return code;
}

/* ---- all of them ---- */

Err preview_check(const char *dir, Error *err) {
    DIR *folder = opendir(dir);
    if (folder == NULL && errno == ENOENT) return OK;
    if (folder == NULL) return err_set(err, ERR_IO, "--preview %s: %s", dir, strerror(errno));
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(folder)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(folder);
    return empty ? OK : err_set(err, ERR_IO, "--preview %s: is not empty: choose another folder, or remove it", dir);
}

Err preview_write(const PreviewSpec *spec, int64_t *count, Arena *arena, Error *err) {
    int64_t n = split_info(spec->split)->n, wanted = spec->count < n ? spec->count : n;
    TRY(make_folder(spec->dir, err));
    for (*count = 0; *count < wanted; ++*count) {
        int64_t number = *count * n / wanted;
        TRY(write_sheet(spec, number, arena_printf(arena, "%s/sample_%05lld.png", spec->dir, (long long)number), err));
    }
    return OK;
}
