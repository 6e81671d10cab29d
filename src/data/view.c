/* view.c - how views are composed, and how masks are fetched. See view.h; images are view_image.c. */
#include "data/view.h"

#include "base/vmath.h"

#include <stdlib.h>

View view_of(const Sample *src) {
    int height = src->image.height, width = src->image.width;
    return (View){
        .src = src, .height = height, .width = width, .m = {1, 0, 0, 0, 1, 0}, .bottom = height, .right = width};
}

bool view_is_whole(const View *v) {
    return v->top == 0 && v->left == 0 && v->bottom == v->height && v->right == v->width;
}

/* ---- composing: from a pixel of the new frame to the old frame, then by m ---- */

static void compose(View *v, const double n[6]) {
    const double *m = v->m;
    const double all[6] = {m[0] * n[0] + m[1] * n[3], m[0] * n[1] + m[1] * n[4], m[0] * n[2] + m[1] * n[5] + m[2],
                           m[3] * n[0] + m[4] * n[3], m[3] * n[1] + m[4] * n[4], m[3] * n[2] + m[4] * n[5] + m[5]};
    memcpy(v->m, all, sizeof all);
}

void view_flip(View *v, bool horizontal, bool vertical) {
    compose(v, (double[6]){horizontal ? -1 : 1, 0, horizontal ? v->width - 1 : 0, 0, vertical ? -1 : 1,
                           vertical ? v->height - 1 : 0});
    View old = *v;
    if (horizontal) {
        v->left = old.width - old.right;
        v->right = old.width - old.left;
    }
    if (vertical) {
        v->top = old.height - old.bottom;
        v->bottom = old.height - old.top;
    }
}

static int within(int64_t value, int64_t low, int64_t high) {
    return (int)(value < low ? low : value > high ? high : value);
}

void view_crop(View *v, int top, int left, int height, int width) {
    compose(v, (double[6]){1, 0, left, 0, 1, top});
    v->height = height;
    v->width = width;
    v->top = within((int64_t)v->top - top, 0, height);
    v->bottom = within((int64_t)v->bottom - top, 0, height);
    v->left = within((int64_t)v->left - left, 0, width);
    v->right = within((int64_t)v->right - left, 0, width);
}

static int rescale(int edge, int from, int to) {
    return (int)((2 * (int64_t)edge * to + from) / (2 * (int64_t)from));
}

void view_scale(View *v, int height, int width) {
    double down = (double)v->height / height, across = (double)v->width / width;
    compose(v, (double[6]){across, 0, (across - 1) / 2, 0, down, (down - 1) / 2});
    v->top = rescale(v->top, v->height, height);
    v->bottom = rescale(v->bottom, v->height, height);
    v->left = rescale(v->left, v->width, width);
    v->right = rescale(v->right, v->width, width);
    v->height = height;
    v->width = width;
}

void view_transform(View *v, const double a[4], double right, double down) {
    double det = a[0] * a[3] - a[1] * a[2];
    const double back[4] = {a[3] / det, -a[1] / det, -a[2] / det, a[0] / det};
    double x = (v->width - 1) / 2.0, y = (v->height - 1) / 2.0; /* the middle */
    double from_x = x + right, from_y = y + down;               /* goes to the middle */
    compose(v, (double[6]){back[0], back[1], x - back[0] * from_x - back[1] * from_y, back[2], back[3],
                           y - back[2] * from_x - back[3] * from_y});
}

/* ---- places ---- */

void view_locate(const View *v, double x, double y, double *frame_x, double *frame_y) {
    const double *m = v->m;
    double det = m[0] * m[4] - m[1] * m[3], dx = x - m[2], dy = y - m[5];
    *frame_x = (m[4] * dx - m[1] * dy) / det;
    *frame_y = (m[0] * dy - m[3] * dx) / det;
}

VECTOR_CLONES static void straight_row(const double *m, int y, int n, double *restrict src_x, double *restrict src_y) {
    double begin_x = m[1] * y + m[2], begin_y = m[4] * y + m[5];
    for (int x = 0; x < n; x++) {
        src_x[x] = m[0] * x + begin_x;
        src_y[x] = m[3] * x + begin_y;
    }
}

VECTOR_CLONES static void bent_row(const double *m, const float *bend, int y, int n, double *restrict src_x,
                                   double *restrict src_y) {
    for (int x = 0; x < n; x++) {
        double fx = x + (double)bend[2 * x], fy = y + (double)bend[2 * x + 1];
        src_x[x] = m[0] * fx + m[1] * fy + m[2];
        src_y[x] = m[3] * fx + m[4] * fy + m[5];
    }
}

void view_row(const View *v, int y, double *src_x, double *src_y) {
    if (v->bend == NULL)
        straight_row(v->m, y, v->width, src_x, src_y);
    else
        bent_row(v->m, v->bend + 2 * (size_t)y * (size_t)v->width, y, v->width, src_x, src_y);
}

/* ---- masks ---- */

/* The nearest of n pixels to a place; -1: none, it is beside them. */
static int64_t nearest(double place, int n) {
    double at = floor(place + 0.5);
    return at >= 0 && at < n ? (int64_t)at : -1;
}

/* Columns keep their place in all rows. */
static bool mask_by_axes(const View *v, const Image *mask, Image *out) {
    int64_t *column = malloc((size_t)v->width * sizeof *column);
    if (column == NULL) return false;
    for (int x = v->left; x < v->right; x++) column[x] = nearest(v->m[0] * x + v->m[2], mask->width);
    for (int y = v->top; y < v->bottom; y++) {
        int64_t from_row = nearest(v->m[4] * y + v->m[5], mask->height);
        if (from_row < 0) continue;
        const uint8_t *from = mask->u8 + from_row * mask->width;
        uint8_t *to = out->u8 + (size_t)y * (size_t)v->width;
        for (int x = v->left; x < v->right; x++)
            if (column[x] >= 0) to[x] = from[column[x]];
    }
    free(column);
    return true;
}

/* The nearest pixel to each of n places; -1: beside the mask. */
VECTOR_CLONES static void nearest_row(const double *restrict x, const double *restrict y, int n, int width, int height,
                                      int32_t *restrict at) {
    for (int i = 0; i < n; i++) {
        double px = x[i] + 0.5, py = y[i] + 0.5;
        bool inside = (px >= 0) & (py >= 0) & (px < width) & (py < height);
        int column = (int)(inside ? px : 0), row = (int)(inside ? py : 0); /* from 0 on, cutting off is rounding down */
        at[i] = inside ? row * width + column : -1;
    }
}

static bool mask_by_places(const View *v, const Image *mask, Image *out) {
    double *src = malloc(2 * (size_t)v->width * sizeof *src);
    int32_t *at = malloc((size_t)v->width * sizeof *at);
    bool done = src != NULL && at != NULL;
    for (int y = v->top; done && y < v->bottom; y++) {
        view_row(v, y, src, src + v->width);
        nearest_row(src, src + v->width, v->width, mask->width, mask->height, at);
        uint8_t *to = out->u8 + (size_t)y * (size_t)v->width;
        for (int x = v->left; x < v->right; x++)
            if (at[x] >= 0) to[x] = mask->u8[at[x]];
    }
    free(src);
    free(at);
    return done;
}

Err view_mask(const View *v, Image *out, Error *err) {
    TRY(image_new(out, v->width, v->height, 1, 8, err));
    memset(out->data, MASK_IGNORE, image_bytes(out));
    bool along_axes = v->bend == NULL && v->m[1] == 0 && v->m[3] == 0;
    if ((along_axes ? mask_by_axes : mask_by_places)(v, &v->src->mask, out)) return OK;
    image_free(out);
    return err_set(err, ERR_MEMORY, "no memory for a mask of %dx%d", v->width, v->height);
}

Err view_fetch(const View *v, Sample *out, Error *err) {
    *out = (Sample){.label = v->src->label};
    TRY(view_image(v, &out->image, err));
    if (v->src->mask.data == NULL) return OK;
    Err code = view_mask(v, &out->mask, err);
    if (code != OK) image_free(&out->image);
    return code;
}
