/* maps.c - see maps.h. */
#include "train/maps.h"

#include "base/softmax.h"

#include <string.h>

Err maps_check(const Net *net, const Maps *wanted, Error *err) {
    Task task = net_experiment(net)->task;
    bool of_classes = wanted->classes || wanted->confidence || wanted->probabilities;
    if (of_classes && task == TASK_RECONSTRUCTION)
        return err_set(err, ERR_USAGE, "this network names no classes: its task is %s", task_names[task]);
    if (wanted->pixels && task != TASK_RECONSTRUCTION)
        return err_set(err, ERR_USAGE, "this network does not reconstruct: its task is %s", task_names[task]);
    return OK;
}

/* Rows without a gap between them, here and in the maps, are one long row. */
static MapsSource joined(MapsSource src) {
    if (src.row_stride != src.width || src.map_width != src.width) return src;
    src.width *= src.height;
    src.x += src.y * src.map_width;
    src.map_width *= src.map_height;
    src.row_stride = src.width;
    src.y = 0;
    src.height = src.map_height = 1;
    return src;
}

static const float *from(const MapsSource *src, int64_t channel, int64_t y) {
    return src->values + channel * src->plane_stride + y * src->row_stride;
}

static int64_t to(const MapsSource *src, int64_t y) {
    return (src->y + y) * src->map_width + src->x;
}

static void fill_probabilities(const MapsSource *src, float *dst) {
    const int64_t plane = src->map_height * src->map_width;
    for (int64_t c = 0; c < src->channels; c++)
        for (int64_t y = 0; y < src->height; y++)
            memcpy(dst + c * plane + to(src, y), from(src, c, y), sizeof *dst * (size_t)src->width);
    if (src->scores) softmax_planes(1, src->channels, plane, dst, dst);
}

static void fill_row_of_classes(const MapsSource *src, int64_t y, const Maps *maps) {
    const float *row = from(src, 0, y);
    uint8_t *classes = maps->classes ? maps->classes + to(src, y) : NULL;
    float *confidence = maps->confidence ? maps->confidence + to(src, y) : NULL;
    if (classes || (confidence && !src->scores))
        scores_best(src->channels, src->width, src->plane_stride, row, classes, src->scores ? NULL : confidence);
    if (confidence && src->scores) softmax_best(src->channels, src->width, src->plane_stride, row, confidence);
}

static void fill_row_of_pixels(const DataConfig *data, const MapsSource *src, int64_t y, uint8_t *pixels) {
    for (int64_t c = 0; c < src->channels; c++)
        data_to_bytes(data, (int)c, (size_t)src->width, from(src, c, y), (int)src->channels,
                      pixels + to(src, y) * src->channels + c);
}

void maps_fill(const DataConfig *data, const MapsSource *source, const Maps *maps) {
    const MapsSource src = joined(*source);
    for (int64_t y = 0; y < src.height; y++) {
        fill_row_of_classes(&src, y, maps);
        if (maps->pixels) fill_row_of_pixels(data, &src, y, maps->pixels);
    }
    if (maps->probabilities) fill_probabilities(&src, maps->probabilities);
}
