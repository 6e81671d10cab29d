/* view.h - a frame through which a sample is seen: geometry is composed first, pixels are fetched once.
 *
 * Flipping, scaling, cropping, turning change only where each pixel of the frame comes from; so a chain of them costs
 * one resampling, of what is left in the end, and blurs once. Images are fetched bilinearly, averaged over more pixels
 * where the view shrinks; masks by the nearest pixel always.
 */
#ifndef SANDGLASS_DATA_VIEW_H
#define SANDGLASS_DATA_VIEW_H

#include "data/dataset.h"

typedef struct View {
    const Sample *src; /* borrowed, never changed; the mask may be empty */
    int height, width; /* of the frame */
    /* Pixel (x, y) of the frame, the middle of the first being (0, 0), shows src at
     * (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]). Beside src, images repeat its edge and masks are
     * MASK_IGNORE. */
    double m[6];
    /* The part of the frame that shows src. Beyond it a crop reached over the picture's edge: there images have the
     * picture's mean, and masks MASK_IGNORE. */
    int top, left, bottom, right;
    /* height x width pairs (x, y) that are added to a pixel's place in the frame before m; NULL: none. malloc'ed, the
     * view's own. */
    float *bend;
} View;

View view_of(const Sample *src); /* all of it, as it is */
bool view_is_whole(const View *view);

void view_flip(View *view, bool horizontal, bool vertical);
/* The rectangle of this size whose corner is at (top, left) of the frame; it may reach over its edges. */
void view_crop(View *view, int top, int left, int height, int width);
/* The same picture on a frame of this size. Where the frame is not whole, its border is rounded to pixels. */
void view_scale(View *view, int height, int width);
/* The frame stays, the picture changes about its middle by the 2x2 matrix a (row-major: x' = a[0] x + a[1] y), then
 * moves by (right, down) pixels. a must not be singular. The frame must be whole. */
void view_transform(View *view, const double a[4], double right, double down);

/* Where src's (x, y) is in the frame; the view has no bend. */
void view_locate(const View *view, double x, double y, double *frame_x, double *frame_y);
/* Where row y of the frame lies in src; x and y of width places each. */
void view_row(const View *view, int y, double *src_x, double *src_y);

/* The mask alone; the view's src must have one. */
Err view_mask(const View *view, Image *out, Error *err);
Err view_image(const View *view, Image *out, Error *err);
/* Both, into an empty sample, which then is the caller's; the label too. */
Err view_fetch(const View *view, Sample *out, Error *err);

#endif
