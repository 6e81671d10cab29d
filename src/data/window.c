/* window.c - a rectangle of a sample, image and mask together; it may reach over the edges. */
#include "data/window.h"

#include "data/values.h"

#include <stdlib.h>
#include <string.h>

double image_get(const Image *image, size_t i) {
    return image->depth == 8 ? image->u8[i] : image->depth == 16 ? image->u16[i] : (double)image->f32[i];
}

void image_put(Image *image, size_t i, double value) {
    double full = image->depth == 8 ? 255 : 65535;
    if (image->depth == 32) {
        image->f32[i] = (float)value;
        return;
    }
    value = value < 0 ? 0 : value > full ? full : value + 0.5;
    if (image->depth == 8)
        image->u8[i] = (uint8_t)value;
    else
        image->u16[i] = (uint16_t)value;
}

/* Rows are added up first, which is vector code, then their sums. */
bool image_mean(const Image *image, double *mean) {
    size_t c = (size_t)image->channels, line = (size_t)image->width * c;
    float *sum = calloc(line, sizeof *sum);
    if (sum == NULL) return false;
    for (size_t y = 0; y < (size_t)image->height; y++) values_add(image, y * line, line, 1, sum);
    for (size_t k = 0; k < c; k++) mean[k] = 0;
    for (size_t i = 0; i < line; i++) mean[i % c] += (double)sum[i];
    for (size_t k = 0; k < c; k++) mean[k] /= (double)image->width * (double)image->height;
    free(sum);
    return true;
}

/* Copy what the rectangle shares with the picture. */
static void copy_overlap(const Image *src, int top, int left, Image *dst) {
    size_t pixel = (size_t)src->channels * (size_t)(src->depth / 8);
    int64_t x0 = left < 0 ? 0 : left, x1 = (int64_t)left + dst->width;
    if (x1 > src->width) x1 = src->width;
    for (int64_t y = 0; y < dst->height && x0 < x1; y++) {
        int64_t sy = top + y;
        if (sy < 0 || sy >= src->height) continue;
        memcpy(dst->u8 + (size_t)(y * dst->width + (x0 - left)) * pixel,
               src->u8 + (size_t)(sy * src->width + x0) * pixel, (size_t)(x1 - x0) * pixel);
    }
}

static Err fill_image(Image *dst, const Image *src, const double *fill, Error *err) {
    size_t c = (size_t)dst->channels, n = (size_t)dst->width * (size_t)dst->height;
    double *own = NULL;
    if (fill == NULL) {
        own = malloc(c * sizeof *own);
        if (own == NULL || !image_mean(src, own)) {
            free(own);
            return err_set(err, ERR_MEMORY, "no memory for a picture's mean");
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c; k++) image_put(dst, i * c + k, fill != NULL ? fill[k] : own[k]);
    free(own);
    return OK;
}

Err sample_window(Sample *s, int top, int left, int height, int width, const double *fill, Error *err) {
    Image image = {0}, mask = {0};
    bool inside = top >= 0 && left >= 0 && (int64_t)top + height <= s->image.height &&
                  (int64_t)left + width <= s->image.width;
    if (inside && height == s->image.height && width == s->image.width) return OK;
    TRY(image_new(&image, width, height, s->image.channels, s->image.depth, err));
    Err code = inside ? OK : fill_image(&image, &s->image, fill, err);
    if (code == OK && s->mask.data != NULL) code = image_new(&mask, width, height, 1, 8, err);
    if (code != OK) {
        image_free(&image);
        return code;
    }
    copy_overlap(&s->image, top, left, &image);
    image_free(&s->image);
    s->image = image;
    if (s->mask.data == NULL) return OK;
    memset(mask.data, MASK_IGNORE, image_bytes(&mask));
    copy_overlap(&s->mask, top, left, &mask);
    image_free(&s->mask);
    s->mask = mask;
    return OK;
}
