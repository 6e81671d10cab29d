/* boundary.c - see boundary.h.
 *
 * Whether an edge lies within theta of a pixel is asked of few pixels, so only the first half of an exact distance
 * transform (Felzenszwalb & Huttenlocher, "Distance transforms of sampled functions", 2012; Meijster et al. 2000) is
 * computed for a whole picture: each pixel's distance to the nearest edge pixel in its column, by two sweeps over rows
 * that the compiler vectorises. The other half, min over x of (x - x0)^2 + column(x)^2, is looked up along the row for
 * edge pixels alone, outwards and no further than theta.
 */
#include "train/boundary.h"

#include "base/vmath.h"

#include <stdlib.h>

enum { NONE = 255, MAX_REACH = UINT16_MAX - 2 };

/* The edge pixels of a map of classes, by class: those of class c are at[first[c]] .. at[first[c + 1] - 1], in the
 * order of rows. */
typedef struct Edges {
    uint8_t *map; /* H,W: the class where a pixel is on its edge, else NONE */
    int32_t *at;  /* H*W of room */
    int64_t first[257];
} Edges;

struct Boundary {
    int n;
    double tolerance;
    double sum[256]; /* of F1, per class */
    int64_t pictures[256];
    int64_t room;    /* pixels that the arrays below hold */
    uint8_t *judged; /* H,W: predicted classes, NONE where the target is */
    uint16_t *gap;   /* H,W: distance to the nearest edge in the column, at most one more than is of interest */
    Edges target, predicted;
};

Err boundary_new(Boundary **out, int n_classes, double tolerance, Error *err) {
    *out = calloc(1, sizeof **out);
    if (!*out) return err_set(err, ERR_MEMORY, "no memory for a boundary score");
    (*out)->n = n_classes;
    (*out)->tolerance = tolerance;
    return OK;
}

static void free_arrays(Boundary *b) {
    block_free(b->judged);
    block_free(b->gap);
    block_free(b->target.map);
    block_free(b->target.at);
    block_free(b->predicted.map);
    block_free(b->predicted.at);
}

void boundary_free(Boundary *b) {
    if (!b) return;
    free_arrays(b);
    free(b);
}

static Err make_room(Boundary *b, int64_t pixels, Error *err) {
    if (pixels <= b->room) return OK;
    free_arrays(b);
    b->room = 0;
    size_t n = (size_t)pixels;
    b->judged = block_alloc(n);
    b->gap = block_alloc(n * sizeof *b->gap);
    Edges *edges[2] = {&b->target, &b->predicted};
    bool all = b->judged && b->gap;
    for (int i = 0; i < 2; i++) {
        edges[i]->map = block_alloc(n);
        edges[i]->at = block_alloc(n * sizeof *edges[i]->at);
        all = all && edges[i]->map && edges[i]->at;
    }
    if (!all) {
        free_arrays(b);
        b->judged = NULL, b->gap = NULL, b->target = b->predicted = (Edges){0};
        return err_set(err, ERR_MEMORY, "no memory for the edges of a picture of %zu pixels", n);
    }
    b->room = pixels;
    return OK;
}

/* ---- edges ---- */

VECTOR_CLONES
static void mask_row(int64_t n, const uint8_t *restrict target, const uint8_t *restrict predicted,
                     uint8_t *restrict judged) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) judged[i] = target[i] == NONE ? NONE : predicted[i];
}

VECTOR_INLINE uint8_t differs(uint8_t class, uint8_t beside) {
    return (uint8_t)((beside != class) & (beside != NONE));
}

/* Rows above and below may be the row itself, at the frame. */
VECTOR_CLONES
static void edge_row(int width, const uint8_t *row, const uint8_t *above, const uint8_t *below, uint8_t *restrict map) {
#pragma omp simd
    for (int x = 0; x < width; x++) map[x] = differs(row[x], above[x]) | differs(row[x], below[x]) ? row[x] : NONE;
#pragma omp simd
    for (int x = 1; x < width; x++) map[x] = differs(row[x], row[x - 1]) ? row[x] : map[x];
#pragma omp simd
    for (int x = 0; x < width - 1; x++) map[x] = differs(row[x], row[x + 1]) ? row[x] : map[x];
}

static void find_edges(int height, int width, const uint8_t *classes, Edges *out) {
    for (int y = 0; y < height; y++) {
        const uint8_t *row = classes + (int64_t)y * width;
        edge_row(width, row, y > 0 ? row - width : row, y < height - 1 ? row + width : row,
                 out->map + (int64_t)y * width);
    }
    int64_t n = (int64_t)height * width, next[256] = {0};
    for (int64_t i = 0; i < n; i++) next[out->map[i]]++;
    int64_t sum = 0;
    for (int c = 0; c < 256; c++) {
        out->first[c] = sum;
        sum += next[c];
        next[c] = out->first[c];
    }
    for (int64_t i = 0; i < n; i++)
        if (out->map[i] != NONE) out->at[next[out->map[i]]++] = (int32_t)i;
}

/* ---- distances ---- */

/* What is near enough: squared distances up to `square`, so no row or column further than `reach`. */
typedef struct Reach {
    int64_t square;
    int reach;
} Reach;

static Reach reach_of(double tolerance, int height, int width) {
    double theta = tolerance * sqrt((double)height * height + (double)width * width);
    if (theta > MAX_REACH) theta = MAX_REACH; /* gaps are 16-bit numbers */
    int64_t square = (int64_t)(theta * theta) + 1;
    while (square > 0 && !(sqrt((double)square) < theta)) square--;
    int64_t reach = (int64_t)sqrt((double)square) + 1;
    while (reach * reach > square) reach--;
    return (Reach){square, (int)reach};
}

/* gap = 0 on the edge of the class, else one more than in the row before, at most far. */
VECTOR_CLONES
static void sweep_down(int width, const uint8_t *restrict map, uint8_t class, uint16_t far,
                       const uint16_t *restrict before, uint16_t *restrict gap) {
#pragma omp simd
    for (int x = 0; x < width; x++) {
        uint16_t next = before[x] < far ? (uint16_t)(before[x] + 1) : far;
        gap[x] = map[x] == class ? 0 : next;
    }
}

VECTOR_CLONES
static void sweep_up(int width, const uint16_t *restrict below, uint16_t *restrict gap) {
#pragma omp simd
    for (int x = 0; x < width; x++) {
        uint16_t next = (uint16_t)(below[x] + 1);
        gap[x] = next < gap[x] ? next : gap[x];
    }
}

typedef struct Rows {
    int first, last;
} Rows;

/* The rows within reach of the class's edge. */
static Rows rows_near(const Edges *edges, int class, int height, int width, int reach) {
    int first = edges->at[edges->first[class]] / width, last = edges->at[edges->first[class + 1] - 1] / width;
    return (Rows){first > reach ? first - reach : 0, last < height - 1 - reach ? last + reach : height - 1};
}

static void fill_gaps(const Edges *edges, int class, Rows rows, int width, int reach, uint16_t *gap) {
    const uint16_t far = (uint16_t)(reach + 1);
    const uint8_t *map = edges->map + (int64_t)rows.first * width;
    uint16_t *row = gap + (int64_t)rows.first * width;
    for (int x = 0; x < width; x++) row[x] = map[x] == class ? 0 : far;
    for (int y = rows.first + 1; y <= rows.last; y++) {
        map += width;
        row += width;
        sweep_down(width, map, (uint8_t) class, far, row - width, row);
    }
    for (int y = rows.last - 1; y >= rows.first; y--) {
        row -= width;
        sweep_up(width, row + width, row);
    }
}

static bool near_edge(const uint16_t *row, int width, int x, Reach near) {
    for (int64_t d = 0; d <= near.reach; d++) {
        int64_t most = near.square - d * d;
        if (x - d >= 0 && (int64_t)row[x - d] * row[x - d] <= most) return true;
        if (x + d < width && (int64_t)row[x + d] * row[x + d] <= most) return true;
    }
    return false;
}

/* How many edge pixels of the class in `of` are near one in `to`, which has some. */
static int64_t count_near(const Edges *of, const Edges *to, int class, int height, int width, Reach near,
                          uint16_t *gap) {
    Rows rows = rows_near(to, class, height, width, near.reach);
    fill_gaps(to, class, rows, width, near.reach, gap);
    int64_t n = 0;
    for (int64_t i = of->first[class]; i < of->first[class + 1]; i++) {
        int y = of->at[i] / width, x = of->at[i] % width;
        if (y >= rows.first && y <= rows.last) n += near_edge(gap + (int64_t)y * width, width, x, near);
    }
    return n;
}

/* ---- scores ---- */

Err boundary_add(Boundary *b, int height, int width, const uint8_t *predicted, const uint8_t *target, Error *err) {
    int64_t n = (int64_t)height * width;
    TRY(make_room(b, n, err));
    mask_row(n, target, predicted, b->judged);
    find_edges(height, width, target, &b->target);
    find_edges(height, width, b->judged, &b->predicted);
    bool holds[256] = {false};
    for (int64_t i = 0; i < n; i++) holds[target[i]] = true;
    Reach near = reach_of(b->tolerance, height, width);
    for (int c = 0; c < b->n; c++) {
        int64_t wanted = b->target.first[c + 1] - b->target.first[c];
        int64_t found = b->predicted.first[c + 1] - b->predicted.first[c];
        if (!holds[c] || wanted + found == 0) continue;
        b->pictures[c]++;
        if (wanted == 0 || found == 0) continue; /* F1 is 0 */
        double precision = (double)count_near(&b->predicted, &b->target, c, height, width, near, b->gap) /
                           (double)found;
        double recall = (double)count_near(&b->target, &b->predicted, c, height, width, near, b->gap) / (double)wanted;
        if (precision + recall > 0) b->sum[c] += 2 * precision * recall / (precision + recall);
    }
    return OK;
}

void boundary_scores(const Boundary *b, SegmentationScore *out, ClassScore *classes) {
    int n = 0;
    double sum = 0;
    for (int c = 0; c < b->n; c++) {
        classes[c].bounded = b->pictures[c] > 0;
        classes[c].boundary_f1 = b->pictures[c] > 0 ? b->sum[c] / (double)b->pictures[c] : 0;
        sum += classes[c].boundary_f1;
        n += classes[c].bounded;
    }
    out->bounded = true;
    out->n_bounded = n;
    out->boundary_f1 = n > 0 ? sum / n : 0;
}
