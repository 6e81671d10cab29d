/* view_image.c - images through a view: copied, resampled along the axes, or anyhow. See view.h.
 *
 * Three ways, from cheap to general. Whole steps (flips, crops): rows are copied. Along the axes (scaling): a triangle
 * filter, widened where the view shrinks so that every pixel counts, as image_resize has it but for the edge, which
 * goes on here; first down, on the columns that are needed, then across, a row at a time, so that all of it stays in
 * the cache. Anyhow (turning, bending): bilinear between four pixels; where the view shrinks to half or less, of a
 * picture that was shrunk by a whole factor before.
 */
#include "data/view.h"

#include "base/vmath.h"
#include "data/values.h"
#include "data/window.h"

#include <stdlib.h>

/* ---- whole steps ---- */

static bool is_whole_step(const View *v) {
    const double *m = v->m;
    return v->bend == NULL && m[1] == 0 && m[3] == 0 && fabs(m[0]) == 1 && fabs(m[4]) == 1 && m[2] == floor(m[2]) &&
           m[5] == floor(m[5]);
}

static int64_t edge(int64_t at, int n) {
    return at < 0 ? 0 : at >= n ? n - 1 : at;
}

/* Pixels of `bytes` (a constant where it matters) from the columns of `from` to a row. */
VECTOR_INLINE void copy_pixels(const uint8_t *from, const int64_t *column, int n, size_t bytes, uint8_t *to) {
    for (int x = 0; x < n; x++) memcpy(to + (size_t)x * bytes, from + (size_t)column[x] * bytes, bytes);
}

static void copy_row(const uint8_t *from, const int64_t *column, int n, size_t bytes, uint8_t *to) {
    if (n > 0 && column[n - 1] - column[0] == n - 1)
        memcpy(to, from + (size_t)column[0] * bytes, (size_t)n * bytes);
    else if (bytes == 3)
        copy_pixels(from, column, n, 3, to);
    else if (bytes == 1)
        copy_pixels(from, column, n, 1, to);
    else
        copy_pixels(from, column, n, bytes, to);
}

static bool copy_view(const View *v, Image *out) {
    const Image *src = &v->src->image;
    size_t bytes = (size_t)src->channels * (size_t)(src->depth / 8);
    int n = v->right - v->left;
    int64_t *column = malloc(((size_t)n + 1) * sizeof *column);
    if (column == NULL) return false;
    for (int x = 0; x < n; x++) column[x] = edge((int64_t)(v->m[0] * (v->left + x) + v->m[2]), src->width);
    for (int y = v->top; y < v->bottom; y++) {
        int64_t row = edge((int64_t)(v->m[4] * y + v->m[5]), src->height);
        copy_row(src->u8 + (size_t)row * (size_t)src->width * bytes, column, n, bytes,
                 out->u8 + ((size_t)y * (size_t)out->width + (size_t)v->left) * bytes);
    }
    free(column);
    return true;
}

/* ---- along the axes ---- */

/* For n positions of the frame along one axis: the source positions that count, tap after tap, and how much. */
typedef struct Taps {
    int n, n_taps;
    int32_t *at;       /* n_taps, n */
    float *weight;     /* n_taps, n; those of a position sum to 1 */
    int32_t low, high; /* the first and last source position that is used */
} Taps;

static void taps_free(Taps *taps) {
    free(taps->at);
    free(taps->weight);
}

/* Position first + i of the frame lies at step * (first + i) + offset, of `size` positions whose edges go on. */
static bool taps_new(Taps *out, double step, double offset, int first, int n, int size) {
    double reach = fabs(step) > 1 ? fabs(step) : 1;
    size_t all = (size_t)n * (size_t)ceil(2 * reach);
    *out = (Taps){.n = n, .n_taps = (int)ceil(2 * reach), .low = size - 1, .high = 0};
    out->at = malloc((all + 1) * sizeof *out->at);
    out->weight = malloc((all + 1) * sizeof *out->weight);
    if (out->at == NULL || out->weight == NULL) return false;
    for (int i = 0; i < n; i++) {
        double middle = step * (first + i) + offset, sum = 0;
        double begin = floor(middle - reach) + 1;
        for (int t = 0; t < out->n_taps; t++) {
            double at = begin + t, weight = 1 - fabs(at - middle) / reach;
            sum += weight > 0 ? weight : 0;
        }
        for (int t = 0; t < out->n_taps; t++) {
            double at = begin + t, weight = 1 - fabs(at - middle) / reach;
            size_t k = (size_t)t * (size_t)n + (size_t)i;
            out->at[k] = (int32_t)(at < 0 ? 0 : at > size - 1 ? size - 1 : at);
            out->weight[k] = weight > 0 ? (float)(weight / sum) : 0;
            if (out->at[k] < out->low) out->low = out->at[k];
            if (out->at[k] > out->high) out->high = out->at[k];
        }
    }
    return true;
}

/* The same for the values of a row of pixels of c channels, counted from column `low` on. */
static bool taps_per_value(Taps *out, const Taps *pixels, int c) {
    size_t all = (size_t)pixels->n * (size_t)pixels->n_taps * (size_t)c;
    *out = (Taps){.n = pixels->n * c, .n_taps = pixels->n_taps};
    out->at = malloc((all + 1) * sizeof *out->at);
    out->weight = malloc((all + 1) * sizeof *out->weight);
    if (out->at == NULL || out->weight == NULL) return false;
    for (size_t i = 0; i < all / (size_t)c; i++) {
        for (int k = 0; k < c; k++) {
            out->at[i * (size_t)c + (size_t)k] = (pixels->at[i] - pixels->low) * c + k;
            out->weight[i * (size_t)c + (size_t)k] = pixels->weight[i];
        }
    }
    return true;
}

VECTOR_CLONES static void gather_row(const float *restrict src, const int32_t *restrict at,
                                     const float *restrict weight, int n, int n_taps, float *restrict dst) {
    for (int i = 0; i < n; i++) dst[i] = weight[i] * src[at[i]];
    for (int t = 1; t < n_taps; t++) {
        at += n;
        weight += n;
        for (int i = 0; i < n; i++) dst[i] += weight[i] * src[at[i]];
    }
}

/* Row y of the frame: down the columns from across->low on, into `line`, then across into `row`. */
static void filter_row(const Image *src, const Taps *down, int y, const Taps *pixels, const Taps *values, float *line,
                       float *row) {
    size_t c = (size_t)src->channels, n = (size_t)(pixels->high - pixels->low + 1) * c;
    memset(line, 0, n * sizeof *line);
    for (int t = 0; t < down->n_taps; t++) {
        size_t k = (size_t)t * (size_t)down->n + (size_t)y;
        size_t first = ((size_t)down->at[k] * (size_t)src->width + (size_t)pixels->low) * c;
        if (down->weight[k] > 0) values_add(src, first, n, down->weight[k], line);
    }
    gather_row(line, values->at, values->weight, values->n, values->n_taps, row);
}

static bool filter_view(const View *v, Image *out) {
    const Image *src = &v->src->image;
    int height = v->bottom - v->top, width = v->right - v->left;
    size_t c = (size_t)src->channels;
    if (height < 1 || width < 1) return true;
    Taps down = {0}, across = {0}, values = {0};
    float *line = malloc((size_t)src->width * c * sizeof *line), *row = malloc((size_t)width * c * sizeof *row);
    bool done = line != NULL && row != NULL && taps_new(&down, v->m[4], v->m[5], v->top, height, src->height) &&
                taps_new(&across, v->m[0], v->m[2], v->left, width, src->width) &&
                taps_per_value(&values, &across, src->channels);
    for (int y = 0; done && y < height; y++) {
        filter_row(src, &down, y, &across, &values, line, row);
        values_put(out, ((size_t)(v->top + y) * (size_t)out->width + (size_t)v->left) * c, (size_t)width * c, row);
    }
    taps_free(&down);
    taps_free(&across);
    taps_free(&values);
    free(line);
    free(row);
    return done;
}

/* ---- anyhow ---- */

/* A row of places: the upper left of four pixels, and how far each lies between them. */
typedef struct Places {
    double *x, *y;
    int32_t *at; /* pixel */
    float *u, *v;
} Places;

static void places_free(Places *p) {
    free(p->x);
    free(p->y);
    free(p->at);
    free(p->u);
    free(p->v);
}

static bool places_new(Places *p, int width) {
    size_t n = (size_t)width;
    *p = (Places){malloc(n * sizeof *p->x), malloc(n * sizeof *p->y), malloc(n * sizeof *p->at),
                  malloc(n * sizeof *p->u), malloc(n * sizeof *p->v)};
    return p->x != NULL && p->y != NULL && p->at != NULL && p->u != NULL && p->v != NULL;
}

/* Beside the picture its edge goes on. */
VECTOR_CLONES static void split_places(const double *restrict x, const double *restrict y, int n, int width, int height,
                                       int32_t *restrict at, float *restrict u, float *restrict v) {
    double last_x = width - 1, last_y = height - 1;
    int most_x = width > 1 ? width - 2 : 0, most_y = height > 1 ? height - 2 : 0;
    for (int i = 0; i < n; i++) {
        double px = x[i] > 0 ? x[i] : 0, py = y[i] > 0 ? y[i] : 0;
        px = px < last_x ? px : last_x;
        py = py < last_y ? py : last_y;
        int left = (int)px, top = (int)py;
        left = left < most_x ? left : most_x;
        top = top < most_y ? top : most_y;
        at[i] = top * width + left;
        u[i] = (float)(px - left);
        v[i] = (float)(py - top);
    }
}

/* n pixels of c channels between four each; right and down: values to the next pixel and row. */
#define BETWEEN_FOUR(type)                                                                                             \
    VECTOR_INLINE void between_##type(const type *restrict src, const int32_t *restrict at, const float *restrict u,   \
                                      const float *restrict v, int n, size_t c, size_t right, size_t down,             \
                                      float *restrict dst) {                                                           \
        for (int i = 0; i < n; i++) {                                                                                  \
            const type *p = src + (size_t)at[i] * c;                                                                   \
            for (size_t k = 0; k < c; k++) {                                                                           \
                float a = (float)p[k], b = (float)p[k + down];                                                         \
                float top = a + u[i] * ((float)p[k + right] - a), low = b + u[i] * ((float)p[k + right + down] - b);   \
                dst[(size_t)i * c + k] = top + v[i] * (low - top);                                                     \
            }                                                                                                          \
        }                                                                                                              \
    }
BETWEEN_FOUR(uint8_t)
BETWEEN_FOUR(uint16_t)
BETWEEN_FOUR(float)

static void between_row(const Image *src, const Places *p, int first, int n, float *dst) {
    size_t c = (size_t)src->channels, right = src->width > 1 ? c : 0;
    size_t down = src->height > 1 ? (size_t)src->width * c : 0;
    const int32_t *at = p->at + first;
    const float *u = p->u + first, *v = p->v + first;
    if (src->depth == 16)
        between_uint16_t(src->u16, at, u, v, n, c, right, down, dst);
    else if (src->depth == 32)
        between_float(src->f32, at, u, v, n, c, right, down, dst);
    else if (c == 3 && right == 3) /* the usual one gets a loop with fixed steps */
        between_uint8_t(src->u8, at, u, v, n, 3, 3, down, dst);
    else
        between_uint8_t(src->u8, at, u, v, n, c, right, down, dst);
}

static bool bilinear_view(const View *v, Image *out) {
    const Image *src = &v->src->image;
    int n = v->right - v->left;
    size_t c = (size_t)src->channels;
    Places places = {0};
    float *row = malloc((size_t)v->width * c * sizeof *row);
    bool done = row != NULL && places_new(&places, v->width);
    for (int y = v->top; done && y < v->bottom; y++) {
        view_row(v, y, places.x, places.y);
        split_places(places.x, places.y, v->width, src->width, src->height, places.at, places.u, places.v);
        between_row(src, &places, v->left, n, row);
        values_put(out, ((size_t)y * (size_t)out->width + (size_t)v->left) * c, (size_t)n * c, row);
    }
    places_free(&places);
    free(row);
    return done;
}

/* Along an axis of src, pixels to a step of the frame, rounded down. */
static int shrinking(double step_x, double step_y) {
    double step = hypot(step_x, step_y);
    return step < 2 ? 1 : step < 1 << 16 ? (int)step : 1 << 16;
}

static bool place_view(const View *v, Image *out) {
    const Image *src = &v->src->image;
    int across = shrinking(v->m[0], v->m[1]), down = shrinking(v->m[3], v->m[4]);
    if (across == 1 && down == 1) return bilinear_view(v, out);
    Sample small = {0};
    View shrunk = view_of(v->src), of_small = *v;
    view_scale(&shrunk, (src->height + down - 1) / down, (src->width + across - 1) / across);
    /* exactly these factors: the last pixels may reach over the edge */
    memcpy(shrunk.m, (double[6]){across, 0, (across - 1) / 2.0, 0, down, (down - 1) / 2.0}, sizeof shrunk.m);
    if (view_image(&shrunk, &small.image, NULL) != OK) return false;
    of_small.src = &small;
    for (int k = 0; k < 6; k++) of_small.m[k] /= k < 3 ? across : down;
    of_small.m[2] += 0.5 / across - 0.5;
    of_small.m[5] += 0.5 / down - 0.5;
    bool done = bilinear_view(&of_small, out);
    image_free(&small.image);
    return done;
}

/* ---- all ---- */

/* The picture's mean beyond what the view shows of it. */
static bool fill_beyond(const View *v, Image *out) {
    if (view_is_whole(v)) return true;
    size_t c = (size_t)out->channels, bytes = c * (size_t)(out->depth / 8), row = (size_t)out->width * bytes;
    double *mean = malloc(c * sizeof *mean);
    bool done = mean != NULL && image_mean(&v->src->image, mean);
    for (size_t x = 0; done && x < (size_t)out->width; x++)
        for (size_t k = 0; k < c; k++) image_put(out, x * c + k, mean[k]);
    for (int y = 1; done && y < out->height; y++) memcpy(out->u8 + (size_t)y * row, out->data, row);
    free(mean);
    return done;
}

Err view_image(const View *v, Image *out, Error *err) {
    const Image *src = &v->src->image;
    TRY(image_new(out, v->width, v->height, src->channels, src->depth, err));
    bool along_axes = v->bend == NULL && v->m[1] == 0 && v->m[3] == 0;
    if (fill_beyond(v, out) && (is_whole_step(v) ? copy_view : along_axes ? filter_view : place_view)(v, out))
        return OK;
    image_free(out);
    return err_set(err, ERR_MEMORY, "no memory for a picture of %dx%d", v->width, v->height);
}
