/* compare.c - see compare.h. */
#include "cli/compare.h"

#include "analysis/psnr.h"

static double unit_sample(const Image *image, size_t i) {
    return image->depth == 16 ? image->u16[i] / 65535.0 : image->u8[i] / 255.0;
}

double picture_mse(const Image *a, const Image *b) {
    size_t n = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = unit_sample(a, i) - unit_sample(b, i);
        sum += d * d;
    }
    return sum / (double)n;
}

double picture_psnr(const Image *a, const Image *b) {
    return psnr(picture_mse(a, b));
}

Err save_beside(const char *path, int n, const Image *const *images, Error *err) {
    const size_t row = (size_t)images[0]->width * (size_t)images[0]->channels;
    Image all = {0};
    TRY(image_new(&all, n * images[0]->width, images[0]->height, images[0]->channels, 8, err));
    uint8_t *to = all.u8;
    for (size_t y = 0; y < (size_t)all.height; y++)
        for (int k = 0; k < n; k++)
            for (size_t i = y * row; i < (y + 1) * row; i++)
                *to++ = images[k]->depth == 16 ? (uint8_t)(images[k]->u16[i] >> 8) : images[k]->u8[i];
    Err code = image_save(path, &all, err);
    image_free(&all);
    return code;
}
