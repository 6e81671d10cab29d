/* reference.c - every layer kind once more, as plainly as its formula allows, in double precision. */
#include "reference.h"

#include "base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- knobs ---- */

static const void *knob(const RefLayer *l, const char *name) {
    const Param *p = param_find(l->kind->params, name);
    assert(p);
    return (const char *)l->params + p->offset;
}

static int64_t knob_int(const RefLayer *l, const char *name) {
    return *(const int64_t *)knob(l, name);
}

static double knob_float(const RefLayer *l, const char *name) {
    return *(const double *)knob(l, name);
}

static bool knob_bool(const RefLayer *l, const char *name) {
    return *(const bool *)knob(l, name);
}

static const int64_t *knob_ints(const RefLayer *l, const char *name) {
    return knob(l, name);
}

static const char *knob_choice(const RefLayer *l, const char *name) {
    return param_find(l->kind->params, name)->choices[*(const int *)knob(l, name)];
}

/* ---- access ---- */

static int64_t at4(Shape s, int64_t n, int64_t c, int64_t y, int64_t x) {
    return ((n * s.dim[1] + c) * s.dim[2] + y) * s.dim[3] + x;
}

static bool inside(Shape s, int64_t y, int64_t x) {
    return y >= 0 && y < s.dim[2] && x >= 0 && x < s.dim[3];
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* For each element of dst: n, c, y, x. */
#define FOR_EACH(s)                                                                                                    \
    for (int64_t n = 0; n < (s).dim[0]; n++)                                                                           \
        for (int64_t c = 0; c < (s).dim[1]; c++)                                                                       \
            for (int64_t y = 0; y < (s).dim[2]; y++)                                                                   \
                for (int64_t x = 0; x < (s).dim[3]; x++)

/* ---- windows ---- */

typedef struct Geometry {
    int64_t kernel[2], stride[2], dilation[2], lo[2];
} Geometry;

/* The pads at the top and left; the other two follow from dst's size. */
static void read_lo_pads(const RefLayer *l, bool transposed, Geometry *g) {
    const ParamList *words = knob(l, "padding");
    Shape small = transposed ? l->src_shape[0] : l->dst_shape, large = transposed ? l->dst_shape : l->src_shape[0];
    for (int i = 0; i < 2; i++) {
        if (strcmp(words->strings[0], "valid") == 0) {
            g->lo[i] = 0;
        } else if (strcmp(words->strings[0], "same") == 0) {
            int64_t size = transposed ? small.dim[2 + i] * g->stride[i] : large.dim[2 + i];
            int64_t total = (small.dim[2 + i] - 1) * g->stride[i] + g->dilation[i] * (g->kernel[i] - 1) + 1 - size;
            g->lo[i] = total > 0 ? total / 2 : 0;
        } else {
            int at = words->n == 4 ? 2 * i : words->n == 2 ? i : 0;
            g->lo[i] = atoi(words->strings[at]);
        }
    }
}

static Geometry conv_geometry(const RefLayer *l, bool transposed) {
    const int64_t *kernel = knob_ints(l, "kernel"), *stride = knob_ints(l, "stride");
    Geometry g = {.kernel = {kernel[0], kernel[1]}, .stride = {stride[0], stride[1]}, .dilation = {1, 1}};
    if (!transposed) memcpy(g.dilation, knob_ints(l, "dilation"), sizeof(g.dilation));
    read_lo_pads(l, transposed, &g);
    return g;
}

static Geometry pool_geometry(const RefLayer *l) {
    const int64_t *size = knob_ints(l, "size"), *stride = knob_ints(l, "stride");
    Geometry g = {.dilation = {1, 1}};
    for (int i = 0; i < 2; i++) {
        g.kernel[i] = size[i];
        g.stride[i] = stride[i] ? stride[i] : size[i];
    }
    read_lo_pads(l, false, &g);
    return g;
}

/* ---- dense, convolutions ---- */

/* Rows: samples, or the steps of all samples. */
static void dense(const RefLayer *l) {
    int64_t units = l->dst_shape.dim[l->dst_shape.rank - 1], batch = shape_size(l->dst_shape) / units,
            n_in = shape_size(l->src_shape[0]) / batch;
    for (int64_t n = 0; n < batch; n++)
        for (int64_t o = 0; o < units; o++) {
            double sum = l->n_weights > 1 ? l->weights[1][o] : 0;
            for (int64_t i = 0; i < n_in; i++) sum += l->weights[0][o * n_in + i] * l->src[0][n * n_in + i];
            l->dst[n * units + o] = sum;
        }
}

static void conv2d(const RefLayer *l) {
    Geometry g = conv_geometry(l, false);
    Shape s = l->src_shape[0], w = l->weights_shape[0];
    int64_t filters_per_group = l->dst_shape.dim[1] / knob_int(l, "groups");
    FOR_EACH(l->dst_shape) {
        double sum = l->n_weights > 1 ? l->weights[1][c] : 0;
        for (int64_t i = 0; i < w.dim[1]; i++)
            for (int64_t ky = 0; ky < g.kernel[0]; ky++)
                for (int64_t kx = 0; kx < g.kernel[1]; kx++) {
                    int64_t sy = y * g.stride[0] - g.lo[0] + ky * g.dilation[0];
                    int64_t sx = x * g.stride[1] - g.lo[1] + kx * g.dilation[1];
                    int64_t channel = c / filters_per_group * w.dim[1] + i;
                    if (inside(s, sy, sx))
                        sum += l->weights[0][at4(w, c, i, ky, kx)] * l->src[0][at4(s, n, channel, sy, sx)];
                }
        l->dst[at4(l->dst_shape, n, c, y, x)] = sum;
    }
}

/* Every source value is spread over its window. */
static void conv_transpose2d(const RefLayer *l) {
    Geometry g = conv_geometry(l, true);
    Shape s = l->src_shape[0], d = l->dst_shape, w = l->weights_shape[0];
    int64_t groups = knob_int(l, "groups"), filters_per_group = d.dim[1] / groups;
    FOR_EACH(d) l->dst[at4(d, n, c, y, x)] = l->n_weights > 1 ? l->weights[1][c] : 0;
    FOR_EACH(s) {
        int64_t group = c / w.dim[1];
        for (int64_t o = group * filters_per_group; o < (group + 1) * filters_per_group; o++)
            for (int64_t ky = 0; ky < g.kernel[0]; ky++)
                for (int64_t kx = 0; kx < g.kernel[1]; kx++) {
                    int64_t dy = y * g.stride[0] - g.lo[0] + ky, dx = x * g.stride[1] - g.lo[1] + kx;
                    if (!inside(d, dy, dx)) continue;
                    l->dst[at4(d, n, o, dy, dx)] += l->weights[0][at4(w, o, c % w.dim[1], ky, kx)] *
                                                    l->src[0][at4(s, n, c, y, x)];
                }
    }
}

/* ---- pooling, resampling ---- */

static int64_t max_place(const RefLayer *l, const Geometry *g, int64_t n, int64_t c, int64_t y, int64_t x) {
    Shape s = l->src_shape[0];
    int64_t best = -1;
    for (int64_t ky = 0; ky < g->kernel[0]; ky++)
        for (int64_t kx = 0; kx < g->kernel[1]; kx++) {
            int64_t sy = y * g->stride[0] - g->lo[0] + ky, sx = x * g->stride[1] - g->lo[1] + kx;
            if (!inside(s, sy, sx)) continue;
            int64_t place = at4(s, n, c, sy, sx);
            if (best < 0 || l->src[0][place] > l->src[0][best]) best = place;
        }
    assert(best >= 0);
    return best;
}

static void maxpool2d(const RefLayer *l) {
    Geometry g = pool_geometry(l);
    FOR_EACH(l->dst_shape) l->dst[at4(l->dst_shape, n, c, y, x)] = l->src[0][max_place(l, &g, n, c, y, x)];
}

static void avgpool2d(const RefLayer *l) {
    Geometry g = pool_geometry(l);
    Shape s = l->src_shape[0];
    FOR_EACH(l->dst_shape) {
        double sum = 0, count = 0;
        for (int64_t ky = 0; ky < g.kernel[0]; ky++)
            for (int64_t kx = 0; kx < g.kernel[1]; kx++) {
                int64_t sy = y * g.stride[0] - g.lo[0] + ky, sx = x * g.stride[1] - g.lo[1] + kx;
                if (!inside(s, sy, sx)) continue;
                sum += l->src[0][at4(s, n, c, sy, sx)];
                count++;
            }
        if (knob_bool(l, "count_include_pad")) count = (double)(g.kernel[0] * g.kernel[1]);
        l->dst[at4(l->dst_shape, n, c, y, x)] = sum / count;
    }
}

void reference_pool_indices(const LayerKind *pool, const void *params, Shape src_shape, const double *src,
                            Shape dst_shape, int32_t *indices) {
    RefLayer l = {.kind = pool, .params = params, .src_shape = {src_shape}, .dst_shape = dst_shape};
    l.src[0] = (double *)(uintptr_t)src; /* only read */
    Geometry g = pool_geometry(&l);
    int64_t plane = src_shape.dim[2] * src_shape.dim[3];
    FOR_EACH(dst_shape) indices[at4(dst_shape, n, c, y, x)] = (int32_t)(max_place(&l, &g, n, c, y, x) % plane);
}

static void max_unpool2d(const RefLayer *l) {
    Shape s = l->src_shape[0], d = l->dst_shape;
    int32_t *index = malloc(sizeof(int32_t) * (size_t)shape_size(s));
    assert(index);
    reference_pool_indices(l->partner, l->partner_params, l->partner_src_shape, l->partner_src, s, index);
    memset(l->dst, 0, sizeof(double) * (size_t)shape_size(d));
    FOR_EACH(s) l->dst[at4(d, n, c, 0, 0) + index[at4(s, n, c, y, x)]] = l->src[0][at4(s, n, c, y, x)];
    free(index);
}

static double clamp(double value, double lo, double hi) {
    return value < lo ? lo : value > hi ? hi : value;
}

static void upsample2d(const RefLayer *l) {
    Shape s = l->src_shape[0], d = l->dst_shape;
    bool bilinear = strcmp(knob_choice(l, "mode"), "bilinear") == 0;
    double height = (double)s.dim[2], width = (double)s.dim[3];
    FOR_EACH(d) {
        double sy = ((double)y + 0.5) * height / (double)d.dim[2] - 0.5;
        double sx = ((double)x + 0.5) * width / (double)d.dim[3] - 0.5;
        double value;
        if (bilinear) {
            sy = clamp(sy, 0, height - 1);
            sx = clamp(sx, 0, width - 1);
            int64_t y0 = (int64_t)sy, x0 = (int64_t)sx, y1 = smaller(y0 + 1, s.dim[2] - 1),
                    x1 = smaller(x0 + 1, s.dim[3] - 1);
            double fy = sy - (double)y0, fx = sx - (double)x0;
            value = (1 - fy) * (1 - fx) * l->src[0][at4(s, n, c, y0, x0)] +
                    (1 - fy) * fx * l->src[0][at4(s, n, c, y0, x1)] + fy * (1 - fx) * l->src[0][at4(s, n, c, y1, x0)] +
                    fy * fx * l->src[0][at4(s, n, c, y1, x1)];
        } else {
            int64_t iy = (int64_t)clamp(floor(sy + 0.5), 0, height - 1),
                    ix = (int64_t)clamp(floor(sx + 0.5), 0, width - 1);
            value = l->src[0][at4(s, n, c, iy, ix)];
        }
        l->dst[at4(d, n, c, y, x)] = value;
    }
}

/* ---- sequences ---- */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

/* What gate number `gate` lets through of unit u, before its function. */
static double gate_input(const RefLayer *l, int64_t gate, int64_t u, const double *x, const double *h) {
    int64_t features = l->src_shape[0].dim[2], units = knob_int(l, "units"), row = gate * units + u;
    double sum = l->weights[2][row];
    for (int64_t i = 0; i < features; i++) sum += l->weights[0][row * features + i] * x[i];
    for (int64_t i = 0; i < units; i++) sum += l->weights[1][row * units + i] * h[i];
    return sum;
}

static void lstm(const RefLayer *l) {
    const Shape s = l->src_shape[0];
    const int64_t steps = s.dim[1], units = knob_int(l, "units");
    double *memory = calloc((size_t)units * 3, sizeof(double)), *h = memory, *next = memory + units,
           *c = memory + 2 * units;
    assert(memory);
    for (int64_t n = 0; n < s.dim[0]; n++) {
        memset(memory, 0, sizeof(double) * (size_t)units * 3);
        for (int64_t k = 0; k < steps; k++) {
            int64_t t = knob_bool(l, "reverse") ? steps - 1 - k : k;
            const double *x = l->src[0] + (n * steps + t) * s.dim[2];
            for (int64_t u = 0; u < units; u++) {
                double in = sigmoid(gate_input(l, 0, u, x, h)), forget = sigmoid(gate_input(l, 1, u, x, h)),
                       candidate = tanh(gate_input(l, 2, u, x, h)), out = sigmoid(gate_input(l, 3, u, x, h));
                c[u] = forget * c[u] + in * candidate;
                next[u] = out * tanh(c[u]);
            }
            memcpy(h, next, sizeof(double) * (size_t)units);
            if (knob_bool(l, "sequences")) memcpy(l->dst + (n * steps + t) * units, h, sizeof(double) * (size_t)units);
        }
        if (!knob_bool(l, "sequences")) memcpy(l->dst + n * units, h, sizeof(double) * (size_t)units);
    }
    free(memory);
}

static void repeat_vector(const RefLayer *l) {
    const Shape d = l->dst_shape;
    for (int64_t n = 0; n < d.dim[0]; n++)
        for (int64_t t = 0; t < d.dim[1]; t++)
            for (int64_t f = 0; f < d.dim[2]; f++)
                l->dst[(n * d.dim[1] + t) * d.dim[2] + f] = l->src[0][n * d.dim[2] + f];
}

/* ---- normalisation, functions ---- */

static void batchnorm(const RefLayer *l) {
    Shape s = l->src_shape[0];
    int64_t places = 1;
    for (int i = 2; i < s.rank; i++) places *= s.dim[i];
    double count = (double)(s.dim[0] * places), epsilon = knob_float(l, "epsilon");
    for (int64_t c = 0; c < s.dim[1]; c++) {
        double mean = 0, variance = 0;
        for (int64_t n = 0; n < s.dim[0]; n++)
            for (int64_t i = 0; i < places; i++) mean += l->src[0][(n * s.dim[1] + c) * places + i] / count;
        for (int64_t n = 0; n < s.dim[0]; n++)
            for (int64_t i = 0; i < places; i++) {
                double off = l->src[0][(n * s.dim[1] + c) * places + i] - mean;
                variance += off * off / count;
            }
        if (!l->training || knob_bool(l, "use_running")) {
            mean = l->weights[2][c];
            variance = l->weights[3][c];
        }
        for (int64_t n = 0; n < s.dim[0]; n++)
            for (int64_t i = 0; i < places; i++) {
                int64_t at = (n * s.dim[1] + c) * places + i;
                l->dst[at] = l->weights[0][c] * (l->src[0][at] - mean) / sqrt(variance + epsilon) + l->weights[1][c];
            }
    }
}

double reference_act(Act act, double x) {
    switch (act.kind) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return x > 0 ? x : act.alpha * x;
    case ACT_ELU:
        return x > 0 ? x : act.alpha * expm1(x);
    case ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_SOFTPLUS:
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    case ACT_SWISH:
        return x / (1 + exp(-act.alpha * x));
    }
    return NAN;
}

static double named_function(const char *name, double alpha, double x) {
    if (strcmp(name, "relu") == 0) return x > 0 ? x : 0;
    if (strcmp(name, "leaky_relu") == 0) return x > 0 ? x : (alpha < 0 ? (double)0.01f : alpha) * x;
    if (strcmp(name, "elu") == 0) return x > 0 ? x : (alpha < 0 ? 1 : alpha) * expm1(x);
    if (strcmp(name, "sigmoid") == 0) return 1 / (1 + exp(-x));
    if (strcmp(name, "tanh") == 0) return tanh(x);
    if (strcmp(name, "softplus") == 0) return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
    if (strcmp(name, "swish") == 0) return x / (1 + exp(-(alpha < 0 ? 1 : alpha) * x));
    assert(strcmp(name, "identity") == 0);
    return x;
}

static void softmax(const RefLayer *l) {
    const Shape s = l->src_shape[0];
    const bool sequence = s.rank == 3; /* each step by itself */
    const int64_t channels = s.dim[sequence ? 2 : 1], samples = sequence ? s.dim[0] * s.dim[1] : s.dim[0];
    const int64_t places = shape_size(s) / samples / channels;
    for (int64_t n = 0; n < samples; n++)
        for (int64_t i = 0; i < places; i++) {
            double sum = 0;
            for (int64_t c = 0; c < channels; c++) sum += exp(l->src[0][(n * channels + c) * places + i]);
            for (int64_t c = 0; c < channels; c++) {
                int64_t at = (n * channels + c) * places + i;
                l->dst[at] = exp(l->src[0][at]) / sum;
            }
        }
}

static void activation(const RefLayer *l) {
    const char *name = knob_choice(l, "kind");
    const ParamList *alpha = knob(l, "alpha");
    if (strcmp(name, "softmax") == 0) {
        softmax(l);
        return;
    }
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++)
        l->dst[i] = named_function(name, alpha->n ? alpha->floats[0] : -1, l->src[0][i]);
}

/* ---- random layers: the draws are those of the stream that the layer documents ---- */

static float *draws(const RefLayer *l, bool normal) {
    size_t n = (size_t)shape_size(l->dst_shape);
    float *u = malloc(n * sizeof(float));
    assert(u);
    if (normal)
        rng_fill_normal(l->run.seed, RNG_LAYER, l->run.step, l->number, n, u);
    else
        rng_fill_uniform(l->run.seed, RNG_LAYER, l->run.step, l->number, n, u);
    return u;
}

static void copy(const RefLayer *l) {
    memcpy(l->dst, l->src[0], sizeof(double) * (size_t)shape_size(l->dst_shape));
}

static void dropout(const RefLayer *l) {
    double rate = knob_float(l, "rate");
    copy(l);
    if (!l->training) return;
    float *u = draws(l, false);
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++)
        l->dst[i] = u[i] < (float)rate ? 0 : l->src[0][i] / (1 - rate);
    free(u);
}

static void dropout2d(const RefLayer *l) {
    const Shape shape = l->dst_shape;
    const int64_t channels = shape.dim[0] * shape.dim[1], places = shape.dim[2] * shape.dim[3];
    double rate = knob_float(l, "rate");
    copy(l);
    if (!l->training) return;
    float *u = draws(l, false); /* more than needed: one a channel */
    for (int64_t k = 0; k < channels; k++)
        for (int64_t i = k * places; i < (k + 1) * places; i++)
            l->dst[i] = u[k] < (float)rate ? 0 : l->src[0][i] / (1 - rate);
    free(u);
}

static void gaussian_noise(const RefLayer *l) {
    const ParamList *clip = knob(l, "clip");
    copy(l);
    if (!l->draws) return;
    float *z = draws(l, true);
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++) {
        l->dst[i] += knob_float(l, "deviation") * z[i];
        if (clip->n) l->dst[i] = clamp(l->dst[i], clip->floats[0], clip->floats[1]);
    }
    free(z);
}

static void masking_noise(const RefLayer *l) {
    copy(l);
    if (!l->draws) return;
    float *u = draws(l, false);
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++)
        if (u[i] < (float)knob_float(l, "rate")) l->dst[i] = knob_float(l, "value");
    free(u);
}

static void salt_pepper_noise(const RefLayer *l) {
    copy(l);
    if (!l->draws) return;
    float *u = draws(l, false);
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++) {
        if (u[i] >= (float)knob_float(l, "rate")) continue;
        l->dst[i] = knob_float(l, u[i] < (float)(knob_float(l, "rate") / 2) ? "low" : "high");
    }
    free(u);
}

static void gaussian_sample(const RefLayer *l) {
    int64_t batch = l->dst_shape.dim[0], half = shape_size(l->dst_shape) / batch;
    float *z = draws(l, true);
    for (int64_t n = 0; n < batch; n++)
        for (int64_t i = 0; i < half; i++) {
            double mean = l->src[0][2 * n * half + i], log_variance = l->src[0][(2 * n + 1) * half + i];
            l->dst[n * half + i] = mean + (l->draws ? exp(fmin(log_variance, 80) / 2) * z[n * half + i] : 0);
        }
    free(z);
}

/* ---- structure ---- */

static void concat(const RefLayer *l) {
    int axis = (int)knob_int(l, "axis");
    int64_t outer = 1, inner = 1, done = 0;
    for (int i = 0; i < axis; i++) outer *= l->dst_shape.dim[i];
    for (int i = axis + 1; i < l->dst_shape.rank; i++) inner *= l->dst_shape.dim[i];
    for (int k = 0; k < l->n_src; k++) {
        int64_t here = l->src_shape[k].dim[axis];
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < here * inner; i++)
                l->dst[(o * l->dst_shape.dim[axis] + done) * inner + i] = l->src[k][o * here * inner + i];
        done += here;
    }
}

static void add(const RefLayer *l) {
    copy(l);
    for (int k = 1; k < l->n_src; k++)
        for (int64_t i = 0; i < shape_size(l->dst_shape); i++) l->dst[i] += l->src[k][i];
}

static int64_t mirror(int64_t i, int64_t n) {
    while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
    return i;
}

static void pad(const RefLayer *l) {
    Shape s = l->src_shape[0];
    const int64_t *quad = knob_ints(l, "padding");
    const char *mode = knob_choice(l, "mode");
    FOR_EACH(l->dst_shape) {
        int64_t sy = y - quad[0], sx = x - quad[2];
        bool outside = !inside(s, sy, sx);
        if (strcmp(mode, "reflect") == 0) {
            sy = mirror(sy, s.dim[2]);
            sx = mirror(sx, s.dim[3]);
        } else {
            sy = (int64_t)clamp((double)sy, 0, (double)s.dim[2] - 1);
            sx = (int64_t)clamp((double)sx, 0, (double)s.dim[3] - 1);
        }
        bool zero = outside && strcmp(mode, "zero") == 0;
        l->dst[at4(l->dst_shape, n, c, y, x)] = zero ? 0 : l->src[0][at4(s, n, c, sy, sx)];
    }
}

static void crop(const RefLayer *l) {
    const int64_t *quad = knob_ints(l, "crop");
    FOR_EACH(l->dst_shape)
    l->dst[at4(l->dst_shape, n, c, y, x)] = l->src[0][at4(l->src_shape[0], n, c, y + quad[0], x + quad[2])];
}

/* ---- table ---- */

static const struct {
    const char *kind;
    RefFn fn;
} references[] = {
    {"dense", dense},
    {"conv2d", conv2d},
    {"conv_transpose2d", conv_transpose2d},
    {"maxpool2d", maxpool2d},
    {"avgpool2d", avgpool2d},
    {"max_unpool2d", max_unpool2d},
    {"upsample2d", upsample2d},
    {"batchnorm", batchnorm},
    {"lstm", lstm},
    {"repeat_vector", repeat_vector},
    {"activation", activation},
    {"dropout", dropout},
    {"dropout2d", dropout2d},
    {"gaussian_noise", gaussian_noise},
    {"masking_noise", masking_noise},
    {"salt_pepper_noise", salt_pepper_noise},
    {"gaussian_sample", gaussian_sample},
    {"concat", concat},
    {"add", add},
    {"flatten", copy},
    {"reshape", copy},
    {"pad", pad},
    {"crop", crop},
};

RefFn reference_find(const char *kind) {
    for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
        if (strcmp(references[i].kind, kind) == 0) return references[i].fn;
    return NULL;
}

void reference_run(const RefLayer *l) {
    reference_find(l->kind->name)(l);
    if (l->act.kind == ACT_NONE) return;
    for (int64_t i = 0; i < shape_size(l->dst_shape); i++) l->dst[i] = reference_act(l->act, l->dst[i]);
}
