/* normalize.c - pictures to the planes a network sees, and back. */
#include "data/split.h"

#include <string.h>

static double full_scale(int depth) {
    return depth == 8 ? 255 : depth == 16 ? 65535 : 1;
}

static double of_channel(const ParamList *list, int channel, double otherwise) {
    return list->n == 0 ? otherwise : list->n == 1 ? list->floats[0] : list->floats[channel % list->n];
}

/* mean and std are on the scale of config->depth; a picture of another depth is brought to it. */
static DataScale channel_of(const DataConfig *config, int channel, int depth) {
    bool given = config->mean.n > 0 || config->std.n > 0;
    double unit = given && depth != 32 && config->depth != 32 ? full_scale(config->depth) / full_scale(depth) : 1;
    double mean = of_channel(&config->mean, channel, 0);
    double std = of_channel(&config->std, channel, full_scale(given && depth != 32 ? config->depth : depth));
    return (DataScale){.mean = (float)(mean / unit), .scale = (float)(unit / std)};
}

/* One row of one channel; the three depths and the usual strides are loops of their own, so that each is vectorised. */
static void row_u8(const uint8_t *restrict src, int n, int stride, DataScale c, float *restrict dst) {
    switch (stride) {
    case 1:
        for (int i = 0; i < n; i++) dst[i] = ((float)src[i] - c.mean) * c.scale;
        break;
    case 3:
        for (int i = 0; i < n; i++) dst[i] = ((float)src[3 * i] - c.mean) * c.scale;
        break;
    default:
        for (int i = 0; i < n; i++) dst[i] = ((float)src[(size_t)stride * (size_t)i] - c.mean) * c.scale;
    }
}

static void row_u16(const uint16_t *restrict src, int n, int stride, DataScale c, float *restrict dst) {
    for (int i = 0; i < n; i++) dst[i] = ((float)src[(size_t)stride * (size_t)i] - c.mean) * c.scale;
}

static void row_f32(const float *restrict src, int n, int stride, DataScale c, float *restrict dst) {
    for (int i = 0; i < n; i++) dst[i] = (src[(size_t)stride * (size_t)i] - c.mean) * c.scale;
}

void data_repeat_edges(int64_t n_planes, int height, int width, int padded_height, int padded_width, float *planes) {
    if (height == padded_height && width == padded_width) return;
    size_t row = (size_t)padded_width;
    for (int64_t p = 0; p < n_planes; p++) {
        float *plane = planes + (size_t)p * (size_t)padded_height * row;
        for (int y = 0; y < height; y++) {
            float *to = plane + (size_t)y * row;
            for (int x = width; x < padded_width; x++) to[x] = to[width - 1];
        }
        for (int y = height; y < padded_height; y++)
            memcpy(plane + (size_t)y * row, plane + (size_t)(height - 1) * row, row * sizeof(float));
    }
}

void data_normalize_rows(const DataConfig *config, const Image *image, size_t row_bytes, int height, int width,
                         float *dst) {
    size_t row = (size_t)width, plane = (size_t)height * row;
    int across = image->width, channels = image->channels;
    bool closed = row_bytes == (size_t)across * (size_t)channels * (size_t)(image->depth / 8);
    for (int k = 0; k < channels; k++) {
        DataScale c = channel_of(config, k, image->depth);
        float *to = dst + (size_t)k * plane;
        /* rows without a gap between them are one long row */
        bool joined = across == width && closed;
        int n_rows = joined ? 1 : image->height, n = joined ? image->height * across : across;
        for (int y = 0; y < n_rows; y++, to += row) {
            const void *from = image->u8 + (size_t)y * row_bytes;
            if (image->depth == 8)
                row_u8((const uint8_t *)from + k, n, channels, c, to);
            else if (image->depth == 16)
                row_u16((const uint16_t *)from + k, n, channels, c, to);
            else
                row_f32((const float *)from + k, n, channels, c, to);
        }
    }
    data_repeat_edges(channels, image->height, across, height, width, dst);
}

void data_normalize_padded(const DataConfig *config, const Image *image, int height, int width, float *dst) {
    size_t row_bytes = (size_t)image->width * (size_t)image->channels * (size_t)(image->depth / 8);
    data_normalize_rows(config, image, row_bytes, height, width, dst);
}

void data_normalize(const DataConfig *config, const Image *image, float *dst) {
    data_normalize_padded(config, image, image->height, image->width, dst);
}

DataScale data_scale(const DataConfig *config, int channel) {
    return channel_of(config, channel, config->depth);
}

UnitScale data_unit_scale(const DataConfig *config, int channel) {
    double full = full_scale(config->depth);
    return (UnitScale){.scale = (float)(of_channel(&config->std, channel, full) / full),
                       .shift = (float)(of_channel(&config->mean, channel, 0) / full)};
}

void data_to_bytes(const DataConfig *config, int channel, size_t n, const float *values, int step, uint8_t *dst) {
    DataScale c = channel_of(config, channel, config->depth);
    float to_8_bit = (float)(255 / full_scale(config->depth));
    for (size_t i = 0; i < n; i++) {
        float value = (values[i] / c.scale + c.mean) * to_8_bit;
        value = value > 0 ? value < 255 ? value : 255 : 0; /* NaN becomes 0 */
        dst[i * (size_t)step] = (uint8_t)(value + 0.5F);
    }
}

Err data_to_image(const DataConfig *config, const float *planes, int channels, int height, int width, Image *out,
                  Error *err) {
    TRY(image_new(out, width, height, channels, 8, err));
    size_t plane = (size_t)height * (size_t)width;
    for (int k = 0; k < channels; k++)
        data_to_bytes(config, k, plane, planes + (size_t)k * plane, channels, out->u8 + k);
    return OK;
}
