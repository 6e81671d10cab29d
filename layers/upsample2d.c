/* upsample2d.c - pictures to another size, nearest neighbour or bilinear, with half-pixel centres (align_corners
 * false).
 *
 *     s = (Y + 1/2) * H / H' - 1/2                                     the place of row Y in the source, columns alike
 *     nearest:   dst[n,c,Y,X] = src[n, c, round(s), ...]               for whole factors: each pixel repeated
 *     bilinear:  dst[n,c,Y,X] = (1 - f) * src[floor(s)] + f * src[floor(s) + 1], f = s - floor(s), at the border
 * clamped
 *
 * src N,C,H,W; dst N,C,H',W'. Forward is oneDNN's resampling. Its backward is more than ten times slower than its
 * forward, so the gradient is our own: each source pixel sums over the window of results that read it, with the same
 * weights in the same float arithmetic.
 */
#include "layers/common.h"

#include "base/vmath.h"

#include <math.h>
#include <stdlib.h>

typedef enum Mode { NEAREST, BILINEAR } Mode;

typedef struct Upsample2d {
    int64_t scale[2], size[2];
    int mode;
} Upsample2d;

static const char *const modes[] = {"nearest", "bilinear", NULL};

static const Param params[] = {
    {"scale", PARAM_PAIR, offsetof(Upsample2d, scale), "2", 1, 64, NULL,
     "how many times larger, vertically, horizontally"},
    {"size", PARAM_PAIR, offsetof(Upsample2d, size), "0", 0, 65536, NULL,
     "height and width of the result, instead of scale; 0: by scale"},
    {"mode", PARAM_CHOICE, offsetof(Upsample2d, mode), "nearest", 0, 0, modes, "how values in between are found"},
    {0}};

static bool infer(const void *object, int n_src, const Shape *src, Shape *dst, char phrase[LAYER_PHRASE_BYTES]) {
    const Upsample2d *p = object;
    if (!layer_is_picture(src[0], phrase)) return false;
    *dst = src[0];
    for (int i = 0; i < 2; i++) dst->dim[2 + i] = p->size[i] ? p->size[i] : src[0].dim[2 + i] * p->scale[i];
    return true;
}

/* ---- backward ---- */

/* The results that read source pixel i of an axis: n of them from `first` on, with weights[weight ...]. */
typedef struct Taps {
    int32_t first, n, weight;
} Taps;

/* Params of the native call: Taps for each row, then for each column, then the weights. */
typedef struct Gather {
    int64_t height, width;
} Gather;

/* The two source pixels that result `at` reads, and the second one's weight; as oneDNN computes them. */
typedef struct Pick {
    int64_t lo, hi;
    float weight_hi;
} Pick;

static Pick pick(Mode mode, int64_t at, int64_t src, int64_t dst) {
    float s = ((float)at + 0.5f) * (float)src / (float)dst - 0.5f;
    if (mode == NEAREST) {
        int64_t i = (int64_t)roundf(s);
        i = i < 0 ? 0 : i > src - 1 ? src - 1 : i;
        return (Pick){i, i, 0};
    }
    int64_t lo = s < 0 ? 0 : (int64_t)floorf(s), hi = (int64_t)ceilf(s);
    if (hi > src - 1) hi = src - 1;
    if (hi < lo) hi = lo;
    return (Pick){lo, hi, hi == lo ? 0 : s - (float)lo};
}

/* Which results read a source pixel is one run, since lo and hi grow with `at`. Returns weights used. */
static int32_t gather_axis(Mode mode, int64_t src, int64_t dst, Taps *taps, float *weights, int32_t used) {
    int64_t from = 0; /* results before this one are below pixel i */
    for (int64_t i = 0; i < src; i++) {
        while (from < dst && pick(mode, from, src, dst).hi < i) from++;
        taps[i] = (Taps){.first = (int32_t)from, .weight = used};
        for (int64_t at = from; at < dst; at++) {
            Pick p = pick(mode, at, src, dst);
            if (p.lo > i) break;
            weights[used++] = p.lo == p.hi ? 1.0f : i == p.lo ? 1.0f - p.weight_hi : p.weight_hi;
            taps[i].n++;
        }
    }
    return used;
}

enum { LANES = 16 };

/* One source row of one plane. */
typedef struct Row {
    const Taps *row, *columns;
    const float *weights;
    const float *plane; /* of diff_dst */
    int64_t dst_width, src_width;
    float *to;
} Row;

/* `lanes` is a constant where it matters, so that the loops over them are unrolled. */
VECTOR_INLINE void gather_lanes(const Row *r, int64_t lanes) {
    for (int64_t x = 0; x < r->src_width; x++)
        for (int64_t l0 = 0; l0 < lanes; l0 += LANES) {
            const Taps *column = &r->columns[x];
            int64_t n = lanes - l0 < LANES ? lanes - l0 : LANES;
            float sum[LANES] = {0};
            for (int32_t i = 0; i < r->row->n; i++)
                for (int32_t j = 0; j < column->n; j++) {
                    float w = r->weights[r->row->weight + i] * r->weights[column->weight + j];
                    const float *from = r->plane + ((r->row->first + i) * r->dst_width + column->first + j) * lanes +
                                        l0;
#pragma omp simd
                    for (int64_t l = 0; l < n; l++) sum[l] += w * from[l];
                }
            for (int64_t l = 0; l < n; l++) r->to[x * lanes + l0 + l] = sum[l];
        }
}

VECTOR_CLONES static void gather_row(const Row *row, int64_t lanes) {
    switch (lanes) {
    case 16:
        gather_lanes(row, 16);
        break;
    case 8:
        gather_lanes(row, 8);
        break;
    case 1:
        gather_lanes(row, 1);
        break;
    default:
        gather_lanes(row, lanes);
    }
}

static void run_backward(const NativeCall *call) {
    const Gather *g = call->params;
    const Taps *rows = (const Taps *)(g + 1), *columns = rows + g->height;
    const NativeArg *diff_dst = &call->src[0], *diff_src = &call->dst[0];
    int64_t lanes = diff_src->inner, dst_width = diff_dst->shape.dim[3];
    int64_t dst_plane = diff_dst->shape.dim[2] * dst_width * lanes;
#pragma omp parallel for collapse(2) if (diff_dst->size > NATIVE_SMALL)
    for (int64_t p = 0; p < diff_src->outer; p++)
        for (int64_t y = 0; y < g->height; y++) {
            Row row = {.row = &rows[y],
                       .columns = columns,
                       .weights = (const float *)(columns + g->width),
                       .plane = (const float *)diff_dst->data + p * dst_plane,
                       .dst_width = dst_width,
                       .src_width = g->width,
                       .to = (float *)diff_src->data + (p * g->height + y) * g->width * lanes};
            gather_row(&row, lanes);
        }
}

/* ---- the kind ---- */

static void forward(Build *b, LayerBuild *l) {
    const Upsample2d *p = l->params;
    Shape src = tensor_shape(l->src[0]), dst;
    char phrase[LAYER_PHRASE_BYTES];
    infer(p, 1, &src, &dst, phrase);
    l->dst = op_resample(b, p->mode == BILINEAR, l->src[0], dst);
}

static void backward(Build *b, LayerBuild *l) {
    const Upsample2d *p = l->params;
    if (!l->want_diff_src[0]) return;
    Shape src = tensor_shape(l->src[0]), dst = tensor_shape(l->diff_dst);
    int64_t height = src.dim[2], width = src.dim[3];
    /* each result reads at most two pixels of an axis */
    size_t n_weights = 2 * (size_t)(dst.dim[2] + dst.dim[3]);
    size_t bytes = sizeof(Gather) + (size_t)(height + width) * sizeof(Taps) + n_weights * sizeof(float);
    l->diff_src[0] = build_tensor(b, F32, src);
    Gather *gather = malloc(bytes);
    if (!gather) {
        build_fail(b, "out of memory for the tables of an upsampling");
        return;
    }
    *gather = (Gather){height, width};
    Taps *rows = (Taps *)(gather + 1), *columns = rows + height;
    float *weights = (float *)(columns + width);
    int32_t used = gather_axis((Mode)p->mode, height, dst.dim[2], rows, weights, 0);
    gather_axis((Mode)p->mode, width, dst.dim[3], columns, weights, used);
    op_native(b, &(NativeSpec){.name = "upsample2d backward",
                               .fn = run_backward,
                               .layout = NATIVE_PLANES,
                               .params = gather,
                               .params_bytes = bytes,
                               .n_src = 1,
                               .n_dst = 1,
                               .src = {l->diff_dst},
                               .dst = {l->diff_src[0]}});
    free(gather);
}

const LayerKind layer_upsample2d = {
    .name = "upsample2d",
    .doc = "pictures to another size, nearest or bilinear, half-pixel centres: src at (Y + 1/2) * H / H' - 1/2",
    .params = params,
    .params_bytes = sizeof(Upsample2d),
    .min_src = 1,
    .max_src = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
