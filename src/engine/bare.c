/* bare.c - the primitives that a network's shapes ask for, each alone. See profile.h.
 *
 * A note becomes a primitive descriptor anew, once for every layout worth trying: oneDNN's choice (`any`) for
 * convolutions and matrix products, pictures of few channels also as they come; blocks, channels last and plain for
 * normalisation and pooling, which take what they get. What backward reads of forward (where the maxima were) is made
 * by running forward once.
 */
#include "engine/bare.h"

#include "base/clock.h"
#include "engine/profile.h"

#include <string.h>

/* ---- notes ---- */

static Bare *note(Build *b, StepKind kind, BareWay way, const char *name) {
    Bare *bare = ARENA_NEW(b->arena, Bare);
    bare->kind = kind;
    bare->way = way;
    bare->scope = b->scope;
    bare->name = name;
    bare->implementation = "";
    if (b->last_bare)
        b->last_bare->next = bare;
    else
        b->bares = bare;
    b->last_bare = bare;
    b->n_bares++;
    return bare;
}

void note_conv(Build *b, bool transposed, BareWay way, const ConvSpec *spec, const Tensor *src, const Tensor *weights,
               bool bias) {
    static const char *const names[2][3] = {{"conv", "conv_backward_data", "conv_backward_weights"},
                                            {"deconv", "deconv_backward_data", "deconv_backward_weights"}};
    if (build_failed(b)) return;
    Bare *bare = note(b, transposed ? STEP_DECONV : STEP_CONV, way, names[transposed][way]);
    bare->type = compute_type(b);
    bare->src = src->shape;
    bare->weights = grouped_shape(weights->shape, spec->groups);
    bare->dst = spec->dst;
    bare->bias = bias && !transposed; /* which would be slow there: engine/ops_conv.c */
    bare->spec.conv = *spec;
}

void note_dense(Build *b, BareWay way, const Tensor *src, const Tensor *weights, bool bias) {
    static const char *const names[] = {"dense", "dense_backward_data", "dense_backward_weights"};
    if (build_failed(b)) return;
    Bare *bare = note(b, STEP_DENSE, way, names[way]);
    bare->type = F32;
    bare->src = src->shape;
    bare->weights = weights->shape;
    bare->dst = SHAPE(src->shape.dim[0], weights->shape.dim[0]);
    bare->bias = bias;
}

void note_pool(Build *b, BareWay way, const PoolSpec *spec, const Tensor *src) {
    if (build_failed(b)) return;
    Bare *bare = note(b, STEP_POOL, way, way == BARE_FORWARD ? "pool" : "pool_backward");
    bare->type = src->type;
    bare->src = src->shape;
    bare->dst = spec->dst;
    bare->spec.pool = *spec;
}

void build_note_pool(Build *b, const PoolSpec *spec, const Tensor *src, bool backward) {
    note_pool(b, backward ? BARE_BACKWARD : BARE_FORWARD, spec, src);
}

void note_norm(Build *b, BareWay way, const BatchNormSpec *spec, const Tensor *src) {
    if (build_failed(b)) return;
    Bare *bare = note(b, STEP_NORM, way, way == BARE_FORWARD ? "batchnorm" : "batchnorm_backward");
    bare->type = src->type;
    bare->src = bare->dst = src->shape;
    bare->spec.norm = *spec;
}

void note_lstm(Build *b, BareWay way, dnnl_primitive_desc_t pd) {
    Bare *bare = note(b, STEP_LSTM, way, way == BARE_FORWARD ? "lstm" : "lstm_backward");
    bare->pd = pd;
}

/* ---- layouts to try ---- */

enum { MAX_LAYOUTS = 4 };

/* Which layouts a note is tried in: those of the data; LAYOUT_OPAQUE stands for oneDNN's choice. */
static int layouts_of(const Bare *bare, Layout layouts[MAX_LAYOUTS]) {
    static const Layout data[MAX_LAYOUTS] = {LAYOUT_BLOCK16, LAYOUT_BLOCK8, LAYOUT_LAST, LAYOUT_PLAIN};
    int n = 0;
    switch (bare->kind) {
    case STEP_CONV:
    case STEP_DECONV:
        layouts[n++] = LAYOUT_OPAQUE;
        if (bare->src.dim[1] < 4) layouts[n++] = LAYOUT_PLAIN; /* a picture as it comes */
        return n;
    case STEP_DENSE:
        layouts[n++] = LAYOUT_OPAQUE;
        layouts[n++] = LAYOUT_PLAIN;
        return n;
    case STEP_POOL:
    case STEP_NORM:
        if (bare->src.rank < 3) break;
        memcpy(layouts, data, sizeof data);
        return MAX_LAYOUTS;
    default:
        break;
    }
    layouts[n++] = LAYOUT_PLAIN;
    return n;
}

/* ---- descriptors ---- */

/* A primitive to be timed; `before` (NULL: none) is run once to fill what it reads. */
typedef struct Trial {
    dnnl_primitive_desc_t pd, before;
} Trial;

static Md data_md(Build *b, DType type, Shape shape, Layout layout) {
    return layout == LAYOUT_OPAQUE ? md_any(b, type, shape) : md_like(b, type, shape, layout);
}

static dnnl_status_t make_product(Build *b, const Bare *bare, Layout layout, Trial *t) {
    typedef dnnl_status_t (*Make)(dnnl_primitive_desc_t *, const PdSpec *);
    static const Make makers[3][3] = {{pd_conv_forward, pd_conv_backward_data, pd_conv_backward_weights},
                                      {pd_deconv_forward, pd_deconv_backward_data, pd_deconv_backward_weights},
                                      {pd_dense_forward, pd_dense_backward_data, pd_dense_backward_weights}};
    const bool dense = bare->kind == STEP_DENSE, of_weights = bare->way == BARE_BACKWARD_WEIGHTS;
    const Make *make = makers[dense ? 2 : bare->kind == STEP_DECONV];
    const Layout rest = dense ? layout : LAYOUT_OPAQUE; /* only the source of a convolution may be told its layout */
    Md bias = bare->bias ? md_plain(b, F32, SHAPE(bare->dst.dim[1])) : NULL;
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = data_md(b, bare->type, bare->src, layout),
                .weights = data_md(b, bare->type, bare->weights, rest),
                .bias = bare->way == BARE_FORWARD ? bias : NULL,
                .dst = data_md(b, bare->type, bare->dst, rest),
                .attr = b->attr};
    s.alg = dnnl_convolution_direct;
    if (!dense) conv_geometry(&s, &bare->spec.conv);
    if (bare->way == BARE_FORWARD) return make[BARE_FORWARD](&t->pd, &s);
    dnnl_status_t status = make[BARE_FORWARD](&t->before, &s);
    s.hint = t->before;
    if (of_weights) {
        s.bias = bias;
        s.weights = data_md(b, F32, bare->weights, rest);
    }
    if (status == dnnl_success) status = make[bare->way](&t->pd, &s);
    dnnl_primitive_desc_destroy(t->before); /* a hint alone: nothing of forward is read but what is made up */
    t->before = NULL;
    return status;
}

static dnnl_status_t make_pool(Build *b, const Bare *bare, Layout layout, Trial *t) {
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = data_md(b, bare->type, bare->src, layout),
                .dst = data_md(b, bare->type, bare->dst, layout),
                .attr = b->attr};
    pool_geometry(&s, &bare->spec.pool);
    if (bare->way == BARE_FORWARD) return pd_pool_forward(&t->pd, &s);
    dnnl_status_t status = pd_pool_forward(&t->before, &s);
    s.hint = t->before;
    return status == dnnl_success ? pd_pool_backward(&t->pd, &s) : status;
}

static dnnl_status_t make_norm(Build *b, const Bare *bare, Layout layout, Trial *t) {
    const BatchNormSpec *norm = &bare->spec.norm;
    const bool forward = bare->way == BARE_FORWARD;
    Md md = data_md(b, bare->type, bare->src, layout);
    PdSpec s = {.engine = b->engine->engine,
                .prop = forward_prop(b),
                .src = md,
                .epsilon = norm->epsilon,
                .flags = norm_flags(norm, norm->use_global || !b->options.training),
                .attr = b->attr};
    dnnl_status_t status = pd_batchnorm_forward(forward ? &t->pd : &t->before, &s);
    if (forward || status != dnnl_success) return status;
    s.prop = dnnl_backward;
    s.dst = s.data = md;
    s.hint = t->before;
    return pd_batchnorm_backward(&t->pd, &s);
}

static dnnl_status_t make_trial(Build *b, const Bare *bare, Layout layout, Trial *t) {
    switch (bare->kind) {
    case STEP_POOL:
        return make_pool(b, bare, layout, t);
    case STEP_NORM:
        return make_norm(b, bare, layout, t);
    case STEP_LSTM:
        return dnnl_primitive_desc_clone(&t->pd, bare->pd);
    default:
        return make_product(b, bare, layout, t);
    }
}

/* ---- memory ---- */

/* All that the primitives here may take. */
static const int known_args[] = {DNNL_ARG_SRC_LAYER,
                                 DNNL_ARG_SRC_ITER,
                                 DNNL_ARG_WEIGHTS_LAYER,
                                 DNNL_ARG_WEIGHTS_ITER,
                                 DNNL_ARG_BIAS,
                                 DNNL_ARG_DST_LAYER,
                                 DNNL_ARG_DST_ITER,
                                 DNNL_ARG_DST_ITER_C,
                                 DNNL_ARG_MEAN,
                                 DNNL_ARG_VARIANCE,
                                 DNNL_ARG_SCALE,
                                 DNNL_ARG_SHIFT,
                                 DNNL_ARG_WORKSPACE,
                                 DNNL_ARG_SCRATCHPAD,
                                 DNNL_ARG_DIFF_SRC_LAYER,
                                 DNNL_ARG_DIFF_WEIGHTS_LAYER,
                                 DNNL_ARG_DIFF_WEIGHTS_ITER,
                                 DNNL_ARG_DIFF_BIAS,
                                 DNNL_ARG_DIFF_DST_LAYER,
                                 DNNL_ARG_DIFF_DST_ITER,
                                 DNNL_ARG_DIFF_DST_ITER_C,
                                 DNNL_ARG_DIFF_SCALE,
                                 DNNL_ARG_DIFF_SHIFT};
enum { N_ARGS = sizeof known_args / sizeof *known_args };

/* One memory an argument; what forward and backward both have, they share. */
typedef struct Memories {
    void *data[N_ARGS];
    size_t bytes[N_ARGS];
} Memories;

static void free_memories(Memories *m) {
    for (int i = 0; i < N_ARGS; i++) block_free(m->data[i]);
}

/* 0.0115 everywhere, in floats of 32 and of 16 bits: no NaN, nothing denormal, no variance of 0. */
static bool take_memory(Memories *m, int i, size_t bytes) {
    if (m->bytes[i] >= bytes) return true;
    block_free(m->data[i]);
    m->data[i] = block_alloc(bytes);
    m->bytes[i] = m->data[i] ? bytes : 0;
    if (m->data[i] && known_args[i] != DNNL_ARG_WORKSPACE) memset(m->data[i], 0x3c, bytes);
    return m->data[i] != NULL;
}

/* A primitive with its memory. */
typedef struct Runner {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t args[N_ARGS];
    int n_args;
} Runner;

static void runner_free(Runner *r) {
    for (int i = 0; i < r->n_args; i++) dnnl_memory_destroy(r->args[i].memory);
    if (r->primitive) dnnl_primitive_destroy(r->primitive);
}

/* 3.x describes the shift to the gradient of batch normalization too, and refuses to be given it. */
static bool is_refused(Pd pd, int arg) {
    if (DNNL_VERSION_MAJOR < 3 || arg != DNNL_ARG_SHIFT) return false;
    Md diff_src = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, DNNL_ARG_DIFF_SRC);
    return diff_src && md_bytes(diff_src) > 0;
}

static dnnl_status_t runner_make(Runner *r, dnnl_engine_t engine, Pd pd, Memories *m) {
    *r = (Runner){0};
    dnnl_status_t status = dnnl_primitive_create(&r->primitive, pd);
    for (int i = 0; status == dnnl_success && i < N_ARGS; i++) {
        Md md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, known_args[i]);
        const size_t bytes = md ? md_bytes(md) : 0;
        if (bytes == 0 || is_refused(pd, known_args[i])) continue;
        if (!take_memory(m, i, bytes)) return dnnl_out_of_memory;
        dnnl_memory_t memory = NULL;
        status = dnnl_memory_create(&memory, md, engine, m->data[i]);
        if (status == dnnl_success) r->args[r->n_args++] = (dnnl_exec_arg_t){known_args[i], memory};
    }
    return status;
}

static dnnl_status_t runner_run(const Runner *r, dnnl_stream_t stream) {
    dnnl_status_t status = dnnl_primitive_execute(r->primitive, stream, r->n_args, r->args);
    return status == dnnl_success ? dnnl_stream_wait(stream) : status;
}

/* ---- timing ---- */

/* No more runs after so long, as a primitive may take on a machine where others compute. */
#define LONG_SECONDS 0.25

static dnnl_status_t run_once(Engine *engine, Pd pd, Memories *m) {
    Runner r;
    dnnl_status_t status = runner_make(&r, engine->engine, pd, m);
    if (status == dnnl_success) status = runner_run(&r, engine->stream);
    runner_free(&r);
    return status;
}

static dnnl_status_t time_run(const Runner *r, dnnl_stream_t stream, double *seconds) {
    const double began = clock_seconds();
    dnnl_status_t status = runner_run(r, stream);
    *seconds = clock_seconds() - began;
    return status;
}

/* Warm up, then at most n runs, fewer when they take long. *n: how many were timed; 0: it takes so much longer than
 * `best` (0: nothing to compare with) that it is no use. */
static dnnl_status_t time_runs(Engine *engine, Pd pd, Memories *m, double best, int *n, double *seconds) {
    Runner r;
    const int most = *n;
    double warm_up = 0, all = 0;
    dnnl_status_t status = runner_make(&r, engine->engine, pd, m);
    if (status == dnnl_success) status = time_run(&r, engine->stream, &warm_up);
    const bool hopeless = best > 0 && warm_up > 10 * best;
    for (*n = 0; status == dnnl_success && !hopeless && *n < most && (*n == 0 || all < LONG_SECONDS); ++*n) {
        status = time_run(&r, engine->stream, &seconds[*n]);
        all += seconds[*n];
    }
    runner_free(&r);
    return status;
}

/* In one layout. */
static dnnl_status_t time_trial(Build *b, Bare *bare, Layout layout, double best, int *n, double *seconds) {
    Trial t = {0};
    Memories m = {0};
    const char *name = "";
    dnnl_status_t status = make_trial(b, bare, layout, &t);
    if (status == dnnl_success && t.before) status = run_once(b->engine, t.before, &m);
    if (status == dnnl_success) status = time_runs(b->engine, t.pd, &m, best, n, seconds);
    if (status == dnnl_success) {
        const_dnnl_primitive_desc_t pd = t.pd;
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
        bare->implementation = arena_strdup(b->arena, name);
    }
    free_memories(&m);
    if (t.before) dnnl_primitive_desc_destroy(t.before);
    if (t.pd) dnnl_primitive_desc_destroy(t.pd);
    return status;
}

static Bare *bare_at(const Program *p, int i) {
    Bare *bare = p->build->bares;
    while (i-- > 0) bare = bare->next;
    return bare;
}

/* A layout that oneDNN refuses is no failure of the whole. */
static dnnl_status_t time_layouts(Build *b, Bare *bare, int *n, double *seconds, double *tried, bool *found) {
    Layout layouts[MAX_LAYOUTS];
    const int n_layouts = layouts_of(bare, layouts), most = *n;
    const char *implementation = "";
    double best = 0;
    dnnl_status_t status = dnnl_success;
    for (int k = 0; k < n_layouts; k++) {
        int n_tried = most;
        dnnl_status_t own = time_trial(b, bare, layouts[k], best, &n_tried, tried);
        if (own != dnnl_success) status = own;
        const double median = clock_median(n_tried, tried);
        if (own != dnnl_success || n_tried == 0 || (*found && median >= best)) continue;
        *found = true;
        best = median;
        implementation = bare->implementation;
        *n = n_tried;
        memcpy(seconds, tried, sizeof *tried * (size_t)n_tried);
    }
    bare->implementation = implementation;
    return status;
}

Err program_run_bare(Program *p, int i, int *n, double *seconds, Error *err) {
    Bare *bare = bare_at(p, i);
    double *tried = malloc(sizeof *tried * (size_t)*n);
    if (!tried) return err_set(err, ERR_MEMORY, "out of memory");
    bool found = false;
    dnnl_status_t status = time_layouts(p->build, bare, n, seconds, tried, &found);
    free(tried);
    if (found) return OK;
    return err_set(err, ERR_ENGINE, "%s: oneDNN cannot run a %s alone (status %d)", bare->scope, bare->name,
                   (int)status);
}

/* ---- what there is ---- */

/* A multiplication and an addition for each weight and each place it is applied to; padding counts as if it were
 * picture. A transposed convolution applies its weights at each place of its source. */
static double flop_of(const Bare *bare) {
    if (bare->kind != STEP_CONV && bare->kind != STEP_DECONV && bare->kind != STEP_DENSE) return 0;
    const Shape *places = bare->kind == STEP_DECONV ? &bare->src : &bare->dst;
    double flop = 2 * (double)shape_size(bare->weights) * (double)places->dim[0];
    for (int i = 2; i < places->rank; i++) flop *= (double)places->dim[i];
    return flop;
}

int program_n_bare(const Program *p) {
    return p->build->n_bares;
}

BareInfo program_bare(const Program *p, int i) {
    const Bare *bare = bare_at(p, i);
    return (BareInfo){.kind = step_kind_names[bare->kind],
                      .scope = bare->scope,
                      .name = bare->name,
                      .flop = flop_of(bare),
                      .implementation = bare->implementation};
}
