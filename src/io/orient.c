/* orient.c - the eight orientations of EXIF: mirror in x, mirror in y, swap the axes. */
#include "io/orient.h"

#include <string.h>

bool orient_swaps(int orientation) {
    return orientation >= 5 && orientation <= 8;
}

Err orient_apply(Image *image, int orientation, Error *err) {
    if (orientation <= 1 || orientation > 8) return OK;
    /* where the row and column of a pixel come from, per orientation 1..8 */
    static const bool from_right[9] = {[2] = true, [3] = true, [7] = true, [8] = true};
    static const bool from_bottom[9] = {[3] = true, [4] = true, [6] = true, [7] = true};
    bool swap = orient_swaps(orientation);
    Image out;
    int width = swap ? image->height : image->width, height = swap ? image->width : image->height;
    TRY(image_new(&out, width, height, image->channels, image->depth, err));
    size_t pixel = (size_t)image->channels * (size_t)(image->depth / 8);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int sx = swap ? y : x, sy = swap ? x : y;
            if (from_right[orientation]) sx = image->width - 1 - sx;
            if (from_bottom[orientation]) sy = image->height - 1 - sy;
            memcpy(out.u8 + ((size_t)y * (size_t)width + (size_t)x) * pixel,
                   image->u8 + ((size_t)sy * (size_t)image->width + (size_t)sx) * pixel, pixel);
        }
    }
    image_free(image);
    *image = out;
    return OK;
}
