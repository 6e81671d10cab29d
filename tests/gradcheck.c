/* gradcheck.c - one layer in a program of its own, and its gradients against central differences. */
#include "gradcheck.h"

#include "base/rng.h"
#include "config/yaml.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYER_NUMBER = 7 }; /* of the layer in its imaginary network */

/* ---- knobs ---- */

static void set_knob(const Param *param, void *object, const Node *value, Arena *arena) {
    assert(param);
    bool list = value->type == NODE_LIST;
    const char **texts = ARENA_ARRAY(arena, const char *, list ? value->n : 1);
    for (int i = 0; i < value->n && list; i++) texts[i] = value->items[i]->text;
    if (!list) texts[0] = value->text;
    char phrase[PARAM_PHRASE_BYTES];
    bool fits = param_set(param, object, list ? value->n : 1, texts, list, arena, phrase);
    if (!fits) fprintf(stderr, "%s: %s\n", param->name, phrase);
    assert(fits);
}

void *rig_params(const LayerKind *kind, const char *yaml, Arena *arena) {
    Error err = ERROR_INIT;
    Node *map = NULL;
    Err code = yaml_load_text(&map, "a test's row", yaml, arena, &err);
    if (code != OK) fprintf(stderr, "%s", err.text);
    assert(code == OK);
    void *object = arena_alloc(arena, kind->params_bytes);
    param_set_defaults(kind->params, object, arena);
    for (int i = 0; i < map->n; i++)
        set_knob(param_find(kind->params, map->keys[i]->text), object, map->items[i], arena);
    return object;
}

const void *rig_knob(const LayerKind *kind, const void *params, const char *name) {
    const Param *p = param_find(kind->params, name);
    assert(p);
    return (const char *)params + p->offset;
}

/* ---- arrays ---- */

static RigArray make_array(Rig *rig, Shape shape) {
    size_t n = (size_t)shape_size(shape);
    return (RigArray){.shape = shape, .data = arena_alloc(rig->arena, n * sizeof(float))};
}

static void fill_normal(Rig *rig, uint64_t stream, float deviation, RigArray a) {
    rng_fill_normal(rig->spec.seed, RNG_TEST, stream, 0, (size_t)shape_size(a.shape), a.data);
    for (int64_t i = 0; i < shape_size(a.shape); i++) a.data[i] *= deviation;
}

/* Variances and scales: between 0.5 and 1.5. */
static void fill_positive(Rig *rig, uint64_t stream, RigArray a) {
    rng_fill_uniform(rig->spec.seed, RNG_TEST, stream, 0, (size_t)shape_size(a.shape), a.data);
    for (int64_t i = 0; i < shape_size(a.shape); i++) a.data[i] += 0.5f;
}

static void fill_arrays(Rig *rig) {
    for (int k = 0; k < rig->spec.n_src; k++) fill_normal(rig, 1 + (uint64_t)k, 1, rig->src[k]);
    if (rig->spec.partner) fill_normal(rig, 20, 1, rig->partner_src);
    if (rig->diff_dst.data) fill_normal(rig, 21, 1, rig->diff_dst);
    for (int j = 0; j < rig->n_weights; j++) {
        bool positive = strcmp(rig->decls[j].name, "running_var") == 0 || strcmp(rig->decls[j].name, "scale") == 0;
        if (positive)
            fill_positive(rig, 30 + (uint64_t)j, rig->initial[j]);
        else
            fill_normal(rig, 30 + (uint64_t)j, 0.5f, rig->initial[j]);
    }
}

/* ---- the program ---- */

/* A convolution that changes nothing but, as oneDNN likes it, the layout. */
typedef struct Identity {
    ConvSpec spec;
    Tensor *src, *weights;
} Identity;

static Tensor *identity_forward(Rig *rig, Build *b, Identity *c, const char *name, Tensor *src) {
    Shape shape = tensor_shape(src);
    int64_t channels = shape.dim[1];
    RigArray w = make_array(rig, SHAPE(channels, channels, 1, 1));
    for (int64_t i = 0; i < channels; i++) w.data[i * channels + i] = 1;
    c->src = src;
    c->weights = rig->spec.training ? build_external(b, name, F32, w.shape, w.data)
                                    : build_weights(b, name, w.shape, w.data);
    c->spec = (ConvSpec){.stride = {1, 1}, .dilation = {1, 1}, .groups = 1, .dst = shape};
    return op_conv(b, &c->spec, src, c->weights, NULL);
}

static Tensor *identity_backward(Build *b, const Identity *c, Tensor *diff_dst) {
    return op_conv_backward(b, &c->spec, c->src, c->weights, diff_dst, true, NULL, NULL);
}

typedef struct Record {
    Build *b;
    LayerBuild layer, partner;
    Identity front[LAYER_MAX_SRC], partner_front, behind;
    bool has_behind;
} Record;

static Tensor *make_source(Rig *rig, Record *r, Identity *front, const char *name, RigArray a) {
    Tensor *t = build_external(r->b, name, F32, a.shape, a.data);
    char front_name[96];
    snprintf(front_name, sizeof(front_name), "%s identity", name);
    return rig->spec.surrounded && a.shape.rank == 4 ? identity_forward(rig, r->b, front, front_name, t) : t;
}

static void record_partner(Rig *rig, Record *r) {
    const RigSpec *s = &rig->spec;
    r->partner = (LayerBuild){
        .params = s->partner_params, .training = s->training, .draws = s->training && !s->still, .n_src = 1};
    r->partner.src[0] = make_source(rig, r, &r->partner_front, "partner", rig->partner_src);
    s->partner->forward(r->b, &r->partner);
    r->layer.partner = &r->partner;
}

static void record_forward(Rig *rig, Record *r) {
    const RigSpec *s = &rig->spec;
    char name[64];
    r->layer = (LayerBuild){.params = s->params,
                            .training = s->training,
                            .draws = s->training && !s->still,
                            .n_src = s->n_src,
                            .act = s->act,
                            .number = LAYER_NUMBER};
    if (s->partner) record_partner(rig, r);
    for (int k = 0; k < s->n_src; k++) {
        snprintf(name, sizeof(name), "src%d", k);
        r->layer.src[k] = make_source(rig, r, &r->front[k], name, rig->src[k]);
    }
    for (int j = 0; j < rig->n_weights; j++) {
        RigArray w = rig->weights[j];
        r->layer.weights[j] = s->training ? build_external(r->b, rig->decls[j].name, F32, w.shape, w.data)
                                          : build_weights(r->b, rig->decls[j].name, w.shape, w.data);
    }
    build_scope(r->b, s->kind->name);
    s->kind->forward(r->b, &r->layer);
    r->has_behind = s->surrounded && rig->dst_shape.rank == 4;
    build_output(r->b, "dst",
                 r->has_behind ? identity_forward(rig, r->b, &r->behind, "behind", r->layer.dst) : r->layer.dst);
}

static void record_backward(Rig *rig, Record *r) {
    const RigSpec *s = &rig->spec;
    LayerBuild *l = &r->layer;
    char name[64];
    Tensor *diff = build_external(r->b, "diff_dst", F32, rig->dst_shape, rig->diff_dst.data);
    l->diff_dst = r->has_behind ? identity_backward(r->b, &r->behind, diff) : diff;
    for (int j = 0; j < rig->n_weights; j++) {
        RigArray d = rig->diff_weights[j];
        snprintf(name, sizeof(name), "diff_%s", rig->decls[j].name);
        l->diff_weights[j] = d.data ? build_external(r->b, name, F32, d.shape, d.data) : NULL;
    }
    for (int k = 0; k < s->n_src; k++) l->want_diff_src[k] = true;
    s->kind->backward(r->b, l);
    for (int k = 0; k < s->n_src; k++) {
        bool fronted = s->surrounded && rig->src[k].shape.rank == 4;
        snprintf(name, sizeof(name), "diff_src%d", k);
        build_output(r->b, name, fronted ? identity_backward(r->b, &r->front[k], l->diff_src[k]) : l->diff_src[k]);
    }
}

static Err make_arrays(Rig *rig, Error *err) {
    const RigSpec *s = &rig->spec;
    Shape shapes[LAYER_MAX_SRC + 2];
    char phrase[LAYER_PHRASE_BYTES];
    for (int k = 0; k < s->n_src; k++) {
        shapes[k] = s->src[k];
        rig->src[k] = make_array(rig, s->src[k]);
    }
    if (s->partner) {
        shapes[s->n_src] = s->partner_src;
        if (!s->partner->infer(s->partner_params, 1, &s->partner_src, &shapes[s->n_src + 1], phrase))
            return err_set(err, ERR_CONFIG, "%s", phrase);
        rig->partner_src = make_array(rig, s->partner_src);
    }
    if (!s->kind->infer(s->params, s->n_src, shapes, &rig->dst_shape, phrase))
        return err_set(err, ERR_CONFIG, "%s", phrase);
    if (s->training) rig->diff_dst = make_array(rig, rig->dst_shape);
    rig->n_weights = s->kind->weights ? s->kind->weights(s->params, shapes, rig->dst_shape, rig->decls) : 0;
    for (int j = 0; j < rig->n_weights; j++) {
        rig->weights[j] = make_array(rig, rig->decls[j].shape);
        rig->initial[j] = make_array(rig, rig->decls[j].shape);
        bool wanted = s->training && !s->frozen && (rig->decls[j].flags & WEIGHT_TRAINED);
        if (wanted) rig->diff_weights[j] = make_array(rig, rig->decls[j].shape);
    }
    return OK;
}

Err rig_new(Rig **out, const RigSpec *spec, Error *err) {
    Arena *arena = arena_new();
    Rig *rig = ARENA_NEW(arena, Rig);
    *out = NULL;
    rig->spec = *spec;
    rig->arena = arena;
    rig->run = (RunState){.seed = spec->seed, .step = 3};
    Err code = make_arrays(rig, err);
    if (code == OK) {
        fill_arrays(rig);
        Record r = {
            .b = build_new(spec->engine, &(BuildOptions){.training = spec->training, .separate = spec->separate})};
        record_forward(rig, &r);
        if (spec->training) record_backward(rig, &r);
        code = build_finish(&rig->program, r.b, err);
    }
    if (code == OK)
        *out = rig;
    else
        arena_free(arena);
    return code;
}

void rig_free(Rig *rig) {
    if (!rig) return;
    program_free(rig->program);
    arena_free(rig->arena);
}

Err rig_run(Rig *rig, Error *err) {
    for (int j = 0; j < rig->n_weights; j++)
        memcpy(rig->weights[j].data, rig->initial[j].data, (size_t)shape_size(rig->weights[j].shape) * sizeof(float));
    program_refresh(rig->program);
    return program_run(rig->program, &rig->run, err);
}

const float *rig_dst(const Rig *rig) {
    return program_read(rig->program, "dst");
}

const float *rig_diff_src(const Rig *rig, int k) {
    char name[64];
    snprintf(name, sizeof(name), "diff_src%d", k);
    return program_read(rig->program, name);
}

/* ---- reference ---- */

static double *to_doubles(const float *from, int64_t n) {
    double *to = malloc(sizeof(double) * (size_t)n);
    assert(to);
    for (int64_t i = 0; i < n; i++) to[i] = from[i];
    return to;
}

/* The rig's content in doubles; all arrays are on the heap. */
static RefLayer reference_layer(const Rig *rig) {
    const RigSpec *s = &rig->spec;
    RefLayer l = {.kind = s->kind,
                  .params = s->params,
                  .training = s->training,
                  .draws = s->training && !s->still,
                  .act = s->act,
                  .n_src = s->n_src,
                  .n_weights = rig->n_weights,
                  .dst_shape = rig->dst_shape,
                  .partner = s->partner,
                  .partner_params = s->partner_params,
                  .partner_src_shape = s->partner_src,
                  .run = rig->run,
                  .number = LAYER_NUMBER};
    for (int k = 0; k < s->n_src; k++) {
        l.src_shape[k] = rig->src[k].shape;
        l.src[k] = to_doubles(rig->src[k].data, shape_size(rig->src[k].shape));
    }
    for (int j = 0; j < rig->n_weights; j++) {
        l.weights_shape[j] = rig->weights[j].shape;
        l.weights[j] = to_doubles(rig->initial[j].data, shape_size(rig->weights[j].shape));
    }
    if (s->partner) l.partner_src = to_doubles(rig->partner_src.data, shape_size(s->partner_src));
    l.dst = calloc((size_t)shape_size(rig->dst_shape), sizeof(double));
    assert(l.dst);
    return l;
}

static void reference_drop(RefLayer *l) {
    for (int k = 0; k < l->n_src; k++) free(l->src[k]);
    for (int j = 0; j < l->n_weights; j++) free(l->weights[j]);
    free(l->partner_src);
    free(l->dst);
}

double *rig_reference(const Rig *rig) {
    RefLayer l = reference_layer(rig);
    reference_run(&l);
    double *dst = l.dst;
    l.dst = NULL;
    reference_drop(&l);
    return dst;
}

/* ---- comparisons ---- */

static double largest(int64_t n, const double *values) {
    double size = 0;
    for (int64_t i = 0; i < n; i++) size = fmax(size, fabs(values[i]));
    return size;
}

int check_close(const char *what, int64_t n, const float *found, const double *wanted, double tolerance) {
    double scale = largest(n, wanted), worst = 0;
    int64_t where = 0;
    int bad = 0;
    for (int64_t i = 0; i < n; i++) {
        double off = fabs(found[i] - wanted[i]);
        if (off <= tolerance * scale) continue; /* a NaN is not */
        bad++;
        if (!(off <= worst)) {
            worst = off;
            where = i;
        }
    }
    if (bad)
        fprintf(stderr, "%s: %d of %lld values differ, worst at %lld: found %.9g, wanted %.9g (largest %.3g)\n", what,
                bad, (long long)n, (long long)where, found[where], wanted[where], scale);
    return bad;
}

static double loss_of(RefLayer *l, const Rig *rig) {
    double loss = 0;
    reference_run(l);
    for (int64_t i = 0; i < shape_size(rig->dst_shape); i++) loss += (double)rig->diff_dst.data[i] * l->dst[i];
    return loss;
}

/* Up to this many elements of each array. */
enum { GRADCHECK_ELEMENTS = 12 };

static int check_array(const char *what, const char *array, Rig *rig, RefLayer *l, double *x, int64_t n,
                       const float *gradient, double tolerance) {
    const double step = 1e-6;
    Rng rng = rng_stream(rig->spec.seed, RNG_TEST, 50, 0);
    double scale = 1e-3, here = loss_of(l, rig);
    int bad = 0;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)gradient[i]));
    for (int64_t k = 0; k < n && k < GRADCHECK_ELEMENTS; k++) {
        int64_t i = n <= GRADCHECK_ELEMENTS ? k : rng_below(&rng, n);
        double middle = x[i];
        x[i] = middle + step;
        double above = loss_of(l, rig);
        x[i] = middle - step;
        double below = loss_of(l, rig);
        x[i] = middle;
        double wanted = (above - below) / (2 * step);
        bool kink = fabs(above - 2 * here + below) / step > tolerance * scale; /* of a ReLU, a maximum: no derivative */
        if (kink || fabs((double)gradient[i] - wanted) <= tolerance * scale) continue;
        if (!bad++)
            fprintf(stderr, "%s: gradient of %s[%lld] is %.9g, wanted %.9g (largest %.3g)\n", what, array, (long long)i,
                    gradient[i], wanted, scale);
    }
    return bad;
}

int gradcheck_reference(Rig *rig, const char *what, double tolerance) {
    RefLayer l = reference_layer(rig);
    int bad = 0;
    char name[64];
    for (int k = 0; k < rig->spec.n_src; k++) {
        snprintf(name, sizeof(name), "src%d", k);
        bad += check_array(what, name, rig, &l, l.src[k], shape_size(l.src_shape[k]), rig_diff_src(rig, k), tolerance);
    }
    for (int j = 0; j < rig->n_weights; j++)
        if (rig->diff_weights[j].data)
            bad += check_array(what, rig->decls[j].name, rig, &l, l.weights[j], shape_size(l.weights_shape[j]),
                               rig->diff_weights[j].data, tolerance);
    reference_drop(&l);
    return bad;
}

/* ---- by direction ---- */

static double engine_loss(Rig *rig) {
    Error err = ERROR_INIT;
    Err code = rig_run(rig, &err);
    if (code != OK) fprintf(stderr, "%s", err.text);
    assert(code == OK);
    double loss = 0;
    const float *dst = rig_dst(rig);
    for (int64_t i = 0; i < shape_size(rig->dst_shape); i++) loss += (double)rig->diff_dst.data[i] * (double)dst[i];
    return loss;
}

typedef struct Slope {
    double found;  /* (L(x + e v) - L(x - e v)) / 2e */
    double kinks;  /* by how much kinks within the step may have bent it */
    double noise;  /* deviation that the rounding of the results gives it */
    double wanted; /* the gradient times v */
    double length; /* root of the sum of squares of that product's terms */
} Slope;

/* The loss at x = middle + step v; the results are copied to dst. */
static double loss_at(Rig *rig, RigArray x, const float *middle, float step, const float *v, float *dst) {
    for (int64_t i = 0; i < shape_size(x.shape); i++) x.data[i] = middle[i] + step * v[i];
    double loss = engine_loss(rig);
    memcpy(dst, rig_dst(rig), (size_t)shape_size(rig->dst_shape) * sizeof(float));
    return loss;
}

/* A result with a kink (of a ReLU, a maximum) within the step has a second difference far above its rounding. */
static double bent_by_kinks(const Rig *rig, float step, const float *below, const float *here, const float *above) {
    double bent = 0;
    for (int64_t i = 0; i < shape_size(rig->dst_shape); i++) {
        double second = fabs((double)above[i] - 2 * (double)here[i] + (double)below[i]);
        if (second > 1e-5 * (1 + fabs((double)here[i])))
            bent += fabs((double)rig->diff_dst.data[i]) * second / (2 * (double)step);
    }
    return bent;
}

/* A result is a float, off by half its last place or, after a long sum, a few of them. */
static double noise_of_rounding(const Rig *rig, float step, const float *here) {
    double squares = 0;
    for (int64_t i = 0; i < shape_size(rig->dst_shape); i++) {
        double one = (double)rig->diff_dst.data[i] * (double)here[i] * (double)FLT_EPSILON;
        squares += one * one;
    }
    return sqrt(squares / 2) / (double)step;
}

/* Along a v drawn from `stream`. */
static Slope slope(Rig *rig, RigArray x, const float *gradient, uint64_t stream) {
    const float step = 0x1p-13f;
    int64_t n = shape_size(x.shape);
    size_t bytes = (size_t)n * sizeof(float);
    float *middle = malloc(bytes), *v = malloc(bytes);
    assert(middle && v);
    memcpy(middle, x.data, bytes);
    rng_fill_normal(rig->spec.seed, RNG_TEST, stream, 1, (size_t)n, v);
    Slope s = {0};
    for (int64_t i = 0; i < n; i++) {
        double part = (double)gradient[i] * (double)v[i];
        s.wanted += part;
        s.length += part * part;
    }
    s.length = sqrt(s.length);
    int64_t n_dst = shape_size(rig->dst_shape);
    float *dst = malloc(3 * (size_t)n_dst * sizeof(float));
    assert(dst);
    double above = loss_at(rig, x, middle, step, v, dst), below = loss_at(rig, x, middle, -step, v, dst + n_dst);
    loss_at(rig, x, middle, 0, v, dst + 2 * n_dst);
    s.found = (above - below) / (2 * (double)step);
    s.kinks = bent_by_kinks(rig, step, dst + n_dst, dst + 2 * n_dst, dst);
    s.noise = noise_of_rounding(rig, step, dst + 2 * n_dst);
    free(dst);
    memcpy(x.data, middle, bytes);
    free(middle);
    free(v);
    return s;
}

static int check_directions(const char *what, const char *name, Rig *rig, RigArray x, const float *gradient,
                            uint64_t stream) {
    const double share = 0.03;
    int bad = 0;
    for (uint64_t k = 0; k < 3; k++) {
        Slope s = slope(rig, x, gradient, stream + 100 * k);
        if (fabs(s.found - s.wanted) <= share * s.length + 1e-2 + s.kinks + 3 * s.noise) continue;
        if (!bad++)
            fprintf(stderr,
                    "%s: along a direction of %s the loss grows by %.6g, the gradient says %.6g (length %.3g)\n", what,
                    name, s.found, s.wanted, s.length);
    }
    return bad;
}

static float *copy_of(const float *data, int64_t n) {
    float *copy = malloc((size_t)n * sizeof(float));
    assert(copy);
    return memcpy(copy, data, (size_t)n * sizeof(float));
}

int gradcheck_direction(Rig *rig, const char *what) {
    int bad = 0;
    char name[64];
    for (int k = 0; k < rig->spec.n_src; k++) {
        engine_loss(rig);
        float *gradient = copy_of(rig_diff_src(rig, k), shape_size(rig->src[k].shape));
        snprintf(name, sizeof(name), "src%d", k);
        bad += check_directions(what, name, rig, rig->src[k], gradient, 60 + (uint64_t)k);
        free(gradient);
    }
    for (int j = 0; j < rig->n_weights; j++) {
        if (!rig->diff_weights[j].data) continue;
        engine_loss(rig);
        float *gradient = copy_of(rig->diff_weights[j].data, shape_size(rig->weights[j].shape));
        bad += check_directions(what, rig->decls[j].name, rig, rig->initial[j], gradient, 80 + (uint64_t)j);
        free(gradient);
    }
    engine_loss(rig);
    return bad;
}
