/* build.c - recording: tensors, their layouts, reorders where layouts disagree, native steps. */
#include "engine/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *const step_kind_names[] = {"convolution", "deconvolution", "dense",      "pooling", "normalization",
                                       "eltwise",     "softmax",       "resampling", "lstm",    "concat",
                                       "sum",         "reorder",       "native"};

/* ---- shapes ---- */

int64_t shape_size(Shape shape) {
    int64_t size = 1;
    for (int i = 0; i < shape.rank; i++) size *= shape.dim[i];
    return size;
}

bool shape_equal(Shape a, Shape b) {
    return a.rank == b.rank && memcmp(a.dim, b.dim, sizeof(a.dim[0]) * (size_t)a.rank) == 0;
}

const char *shape_text(Shape shape, char text[SHAPE_TEXT_BYTES]) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < shape.rank && used < SHAPE_TEXT_BYTES; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT_BYTES - used, i ? "x%lld" : "%lld", (long long)shape.dim[i]);
    return text;
}

/* ---- types and descriptors ---- */

size_t dtype_bytes(DType type) {
    switch (type) {
    case F32:
    case S32:
        return 4;
    case BF16:
        return 2;
    case U8:
    case S8:
        return 1;
    case F64:
        return 8;
    }
    return 0;
}

/* Native code alone sees F64; oneDNN 2.x has no such type, so a descriptor of it counts pairs of s32 (see md_plain). */
dnnl_data_type_t dtype_of(DType type) {
    switch (type) {
    case F32:
        return dnnl_f32;
    case BF16:
        return dnnl_bf16;
    case S32:
    case F64:
        return dnnl_s32;
    case U8:
        return dnnl_u8;
    case S8:
        return dnnl_s8;
    }
    return dnnl_data_type_undef;
}

DType dtype_from(dnnl_data_type_t type) {
    return type == dnnl_bf16 ? BF16 : type == dnnl_u8 ? U8 : type == dnnl_s8 ? S8 : type == dnnl_s32 ? S32 : F32;
}

DType compute_type(const Build *b) {
    return b->options.bf16 ? BF16 : F32;
}

Md pool_md(Build *b, Md md) {
    if (!md) {
        build_fail(b, "oneDNN refused a memory descriptor");
        return NULL;
    }
    if (b->n_pool == b->pool_room) {
        int room = b->pool_room ? 2 * b->pool_room : 64;
        Md *pool = realloc(b->pool, sizeof(*pool) * (size_t)room);
        if (!pool) {
            md_free(md);
            build_fail(b, "out of memory");
            return NULL;
        }
        b->pool = pool;
        b->pool_room = room;
    }
    b->pool[b->n_pool++] = md;
    return md;
}

void keep_hint(Build *b, dnnl_primitive_desc_t pd) {
    if (b->n_hints == b->hints_room) {
        int room = b->hints_room ? 2 * b->hints_room : 32;
        dnnl_primitive_desc_t *hints = realloc(b->hints, sizeof(*hints) * (size_t)room);
        if (!hints) {
            dnnl_primitive_desc_destroy(pd);
            build_fail(b, "out of memory");
            return;
        }
        b->hints = hints;
        b->hints_room = room;
    }
    b->hints[b->n_hints++] = pd;
}

Md md_plain(Build *b, DType type, Shape shape) {
    dnnl_dims_t dims = {0}, strides = {0};
    int64_t stride = 1;
    int rank = shape.rank;
    for (int i = 0; i < rank; i++) dims[i] = shape.dim[i];
    if (type == F64) dims[rank - 1] *= 2;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i];
    }
    return pool_md(b, md_strided(rank, dims, dtype_of(type), strides));
}

Md md_any(Build *b, DType type, Shape shape) {
    return pool_md(b, md_tagged(shape.rank, shape.dim, dtype_of(type), dnnl_format_tag_any));
}

static dnnl_format_tag_t layout_tag(int rank, Layout layout) {
    static const dnnl_format_tag_t tags[3][4] = {
        {dnnl_nwc, dnnl_nCw4c, dnnl_nCw8c, dnnl_nCw16c},
        {dnnl_nhwc, dnnl_nChw4c, dnnl_nChw8c, dnnl_nChw16c},
        {dnnl_ndhwc, dnnl_nCdhw4c, dnnl_nCdhw8c, dnnl_nCdhw16c},
    };
    if (rank < 3 || rank > 5 || layout < LAYOUT_LAST || layout > LAYOUT_BLOCK16) return dnnl_format_tag_undef;
    return tags[rank - 3][layout - LAYOUT_LAST];
}

Md md_like(Build *b, DType type, Shape shape, Layout layout) {
    dnnl_format_tag_t tag = layout_tag(shape.rank, layout);
    if (tag == dnnl_format_tag_undef) return md_plain(b, type, shape);
    return pool_md(b, md_tagged(shape.rank, shape.dim, dtype_of(type), tag));
}

Md md_of_pd(Build *b, Pd pd, dnnl_query_t what, int index) {
    return pool_md(b, md_clone(dnnl_primitive_desc_query_md(pd, what, index)));
}

static Layout layout_of(Md md, DType type, Shape shape) {
    dnnl_dims_t strides = {0};
    int64_t stride = 1;
    if (type == F64 || shape.rank == 0) return LAYOUT_PLAIN;
    for (int i = shape.rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= shape.dim[i];
    }
    Md plain = md_strided(shape.rank, shape.dim, dtype_of(type), strides);
    Layout layout = plain && md_same(plain, md) ? LAYOUT_PLAIN : LAYOUT_OPAQUE;
    md_free(plain);
    for (Layout l = LAYOUT_LAST; layout == LAYOUT_OPAQUE && l <= LAYOUT_BLOCK16; l++) {
        dnnl_format_tag_t tag = layout_tag(shape.rank, l);
        if (tag == dnnl_format_tag_undef) break;
        Md candidate = md_tagged(shape.rank, shape.dim, dtype_of(type), tag);
        if (candidate && md_same(candidate, md)) layout = l;
        md_free(candidate);
    }
    return layout;
}

/* ---- the Build ---- */

Build *build_new(Engine *engine, const BuildOptions *options) {
    Arena *arena = arena_new();
    Build *b = ARENA_NEW(arena, Build);
    b->arena = arena;
    b->engine = engine;
    b->options = *options;
    b->scope = "";
    dnnl_status_t status = dnnl_primitive_attr_create(&b->attr);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(b->attr, dnnl_scratchpad_mode_user);
    if (status != dnnl_success) build_fail(b, "oneDNN cannot make attributes (status %d)", (int)status);
    if (options->bf16 && !engine_has_bf16(engine))
        build_fail(
            b,
            "precision bf16 needs a processor with AVX512_BF16 or AMX, but this is %s; f32 (train.precision) runs "
            "everywhere",
            engine_describe(engine));
    return b;
}

void build_drop(Build *b) {
    if (!b) return;
    for (Step *s = b->steps; s; s = s->next) {
        if (s->primitive) dnnl_primitive_destroy(s->primitive);
        if (s->pd) dnnl_primitive_desc_destroy(s->pd);
        if (s->scratchpad) dnnl_memory_destroy(s->scratchpad);
    }
    for (Tensor *t = b->tensors; t; t = t->next)
        if (t->memory) dnnl_memory_destroy(t->memory);
    for (int i = 0; i < b->n_hints; i++) dnnl_primitive_desc_destroy(b->hints[i]);
    free(b->hints);
    for (int i = 0; i < b->n_pool; i++) md_free(b->pool[i]);
    free(b->pool);
    if (b->attr) dnnl_primitive_attr_destroy(b->attr);
    arena_free(b->arena);
}

void build_fail(Build *b, const char *format, ...) {
    if (b->error.code != OK) return;
    va_list args;
    va_start(args, format);
    char text[512];
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (b->scope[0])
        err_set(&b->error, ERR_ENGINE, "%s: %s", b->scope, text);
    else
        err_set(&b->error, ERR_ENGINE, "%s", text);
}

bool build_failed(const Build *b) {
    return b->error.code != OK;
}

void build_scope(Build *b, const char *name) {
    b->scope = arena_strdup(b->arena, name);
}

void fail_status(Build *b, const char *name, Shape src, Shape dst, dnnl_status_t status) {
    char s[SHAPE_TEXT_BYTES], d[SHAPE_TEXT_BYTES];
    const char *why = status == dnnl_unimplemented       ? "not implemented for these shapes"
                      : status == dnnl_invalid_arguments ? "the arguments do not fit together"
                      : status == dnnl_out_of_memory     ? "out of memory"
                                                         : "runtime error";
    build_fail(b, "oneDNN has no %s for %s -> %s: %s", name, shape_text(src, s), shape_text(dst, d), why);
}

const char *implementation_name(Pd pd) {
    const char *name = "";
    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success ? name : "?";
}

bool is_reference(Pd pd) {
    return strncmp(implementation_name(pd), "ref", 3) == 0;
}

dnnl_prop_kind_t forward_prop(const Build *b) {
    return b->options.training ? dnnl_forward_training : dnnl_forward_inference;
}

/* ---- tensors ---- */

static Buffer *buffer_new(Build *b, size_t bytes) {
    Buffer *buffer = ARENA_NEW(b->arena, Buffer);
    buffer->bytes = bytes;
    buffer->first = buffer->last = -1;
    buffer->next = b->buffers;
    b->buffers = buffer;
    return buffer;
}

Tensor *tensor_new(Build *b, DType type, Shape shape, Md md) {
    Tensor *t = ARENA_NEW(b->arena, Tensor);
    t->build = b;
    t->type = type;
    t->shape = shape;
    t->next = b->tensors;
    b->tensors = t;
    if (md) tensor_set_md(b, t, md);
    return t;
}

void tensor_set_md(Build *b, Tensor *t, Md md) {
    if (!md) return;
    t->md = md;
    t->layout = layout_of(md, t->type, t->shape);
    if (!t->buffer) t->buffer = buffer_new(b, md_bytes(md));
}

Tensor *tensor_dummy(Build *b, DType type, Shape shape) {
    return tensor_new(b, type, shape, NULL);
}

Tensor *tensor_view(Build *b, Tensor *t, Shape shape, Md md) {
    Tensor *view = tensor_new(b, t->type, shape, NULL);
    view->buffer = t->buffer;
    if (md) tensor_set_md(b, view, md);
    return view;
}

Tensor *tensor_opaque(Build *b, Md md) {
    Tensor *t = tensor_new(b, U8, SHAPE((int64_t)(md ? md_bytes(md) : 0)), NULL);
    if (!md) return t;
    t->md = md;
    t->layout = LAYOUT_OPAQUE;
    t->buffer = buffer_new(b, md_bytes(md));
    return t;
}

Tensor *build_tensor(Build *b, DType type, Shape shape) {
    return tensor_new(b, type, shape, NULL);
}

Tensor *build_external(Build *b, const char *name, DType type, Shape shape, void *data) {
    Tensor *t = tensor_new(b, type, shape, md_plain(b, type, shape));
    if (!t->buffer) return t;
    t->buffer->external = true;
    t->buffer->data = data;
    t->buffer->name = arena_strdup(b->arena, name);
    return t;
}

Tensor *build_weights(Build *b, const char *name, Shape shape, void *data) {
    Tensor *t = build_external(b, name, F32, shape, data);
    if (t->buffer) t->buffer->constant = true;
    return t;
}

Tensor *build_zeros(Build *b, Shape shape) {
    Tensor *t = tensor_new(b, F32, shape, md_plain(b, F32, shape));
    if (t->buffer) t->buffer->zeros = t->buffer->constant = true;
    return t;
}

void build_output(Build *b, const char *name, Tensor *t) {
    if (build_failed(b)) return;
    Output *output = ARENA_NEW(b->arena, Output);
    output->name = arena_strdup(b->arena, name);
    output->tensor = tensor_in_plain(b, t);
    output->next = b->outputs;
    b->outputs = output;
}

Shape tensor_shape(const Tensor *t) {
    return t->shape;
}

DType tensor_dtype(const Tensor *t) {
    return t->type;
}

/* ---- layouts ---- */

void record_reorder(Build *b, Tensor *src, Tensor *dst) {
    if (build_failed(b)) return;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t status = pd_reorder(&pd, b->engine->engine, src->md, dst->md, b->attr);
    if (status != dnnl_success) {
        fail_status(b, "reorder", src->shape, dst->shape, status);
        return;
    }
    Step *s = step_new(b, STEP_REORDER, "reorder");
    step_arg(s, DNNL_ARG_FROM, src, false);
    step_arg(s, DNNL_ARG_TO, dst, true);
    step_append(b, s, pd);
}

Tensor *tensor_in(Build *b, Tensor *t, Md md) {
    if (build_failed(b) || !md) return t;
    if (!t->md) {
        build_fail(b, "a tensor is read before anything has produced it");
        return t;
    }
    for (Tensor *copy = t; copy; copy = copy->other)
        if (md_same(copy->md, md)) return copy;
    Tensor *copy = tensor_new(b, t->type == F64 ? F64 : dtype_from(md_type(md)), t->shape, md);
    record_reorder(b, t, copy);
    copy->other = t->other;
    t->other = copy;
    return copy;
}

static DType widened(const Tensor *t) {
    return t->type == BF16 ? F32 : t->type;
}

Tensor *tensor_in_plain(Build *b, Tensor *t) {
    if (build_failed(b) || (t->layout == LAYOUT_PLAIN && t->type != BF16)) return t;
    return tensor_in(b, t, md_plain(b, widened(t), t->shape));
}

Tensor *tensor_in_layout(Build *b, Tensor *t, Layout layout) {
    if (build_failed(b) || (t->layout == layout && t->type != BF16)) return t;
    return tensor_in(b, t, md_like(b, widened(t), t->shape, layout));
}

/* ---- steps ---- */

Step *step_new(Build *b, StepKind kind, const char *name) {
    Step *s = ARENA_NEW(b->arena, Step);
    s->kind = kind;
    s->name = name;
    s->scope = b->scope;
    return s;
}

void step_arg(Step *s, int arg, Tensor *t, bool writes) {
    if (!t) return;
    assert(s->n_args < STEP_MAX_ARGS);
    s->args[s->n_args++] = (StepArg){arg, t, writes};
}

void step_append(Build *b, Step *s, dnnl_primitive_desc_t pd) {
    s->pd = pd;
    bool constant = !b->options.training;
    for (int i = 0; i < s->n_args; i++) {
        const StepArg *a = &s->args[i];
        if (a->writes ? a->tensor->buffer->external : !a->tensor->buffer->constant) constant = false;
    }
    s->constant = constant;
    for (int i = 0; i < s->n_args; i++) {
        Tensor *t = s->args[i].tensor;
        if (!s->args[i].writes) continue;
        if (constant) t->buffer->constant = true;
    }
    if (b->last_step)
        b->last_step->next = s;
    else
        b->steps = s;
    b->last_step = s;
    b->n_steps++;
}

/* ---- native steps ---- */

static bool has_planes(const Tensor *t) {
    return t->shape.rank >= 3;
}

/* Whether planes, where there are any, lie in this layout. For assertions, which may be compiled out. */
static bool __attribute__((unused)) lies_in(Build *b, const Tensor *t, Layout layout) {
    return !has_planes(t) || t->layout == layout || md_same(t->md, md_like(b, t->type, t->shape, layout));
}

/* The layout the arguments of a native step will have: that of its first source that has one to choose, if the step can
 * take it. An external result stays plain, and all the others with it. */
static Layout native_layout(const NativeSpec *spec) {
    if (spec->layout == NATIVE_DENSE) return LAYOUT_PLAIN;
    for (int i = 0; i < spec->n_dst; i++)
        if (spec->dst[i]->md && has_planes(spec->dst[i])) return LAYOUT_PLAIN;
    for (int i = 0; i < spec->n_src; i++) {
        const Tensor *t = spec->src[i];
        if (!has_planes(t) || !t->buffer || t->buffer->external) continue;
        return t->layout == LAYOUT_OPAQUE ? LAYOUT_PLAIN : t->layout;
    }
    return LAYOUT_PLAIN;
}

int64_t layout_inner(Layout layout, Shape shape) {
    switch (layout) {
    case LAYOUT_LAST:
        return shape.dim[1];
    case LAYOUT_BLOCK4:
        return 4;
    case LAYOUT_BLOCK8:
        return 8;
    case LAYOUT_BLOCK16:
        return 16;
    default:
        return 1;
    }
}

NativeArg native_arg(const Tensor *t, NativeLayout wanted, Layout layout) {
    NativeArg a = {.shape = t->shape, .type = t->type};
    a.size = (int64_t)(md_bytes(t->md) / dtype_bytes(t->type));
    a.outer = a.size;
    a.inner = 1;
    if (wanted == NATIVE_PLANES && t->shape.rank >= 3) {
        int64_t places = 1;
        for (int i = 2; i < t->shape.rank; i++) places *= t->shape.dim[i];
        a.inner = layout_inner(layout, t->shape);
        a.outer = places > 0 ? a.size / (places * a.inner) : 0;
    }
    return a;
}

void op_native(Build *b, const NativeSpec *spec) {
    if (build_failed(b)) return;
    assert(spec->n_src <= NATIVE_MAX_ARGS && spec->n_dst <= NATIVE_MAX_ARGS);
    Layout layout = native_layout(spec);
    Step *s = step_new(b, STEP_NATIVE, spec->name);
    int n = spec->n_src + spec->n_dst;
    s->native_args = ARENA_ARRAY(b->arena, NativeArg, n);
    for (int i = 0; i < spec->n_src; i++) {
        Tensor *t = spec->src[i];
        t = has_planes(t) ? tensor_in_layout(b, t, layout) : tensor_in_plain(b, t);
        if (build_failed(b)) return;
        step_arg(s, DNNL_ARG_MULTIPLE_SRC + i, t, false);
    }
    for (int i = 0; i < spec->n_dst; i++) {
        Tensor *t = spec->dst[i];
        if (!t->md) tensor_set_md(b, t, md_like(b, t->type, t->shape, has_planes(t) ? layout : LAYOUT_PLAIN));
        if (build_failed(b)) return;
        step_arg(s, DNNL_ARG_MULTIPLE_DST + i, t, true);
    }
    for (int i = 0; i < n; i++) {
        assert(spec->layout != NATIVE_PLANES || lies_in(b, s->args[i].tensor, layout));
        s->native_args[i] = native_arg(s->args[i].tensor, spec->layout, layout);
    }
    s->fn = spec->fn;
    s->call = (NativeCall){.n_src = spec->n_src,
                           .n_dst = spec->n_dst,
                           .src = s->native_args,
                           .dst = s->native_args + spec->n_src,
                           .params = spec->params_bytes ? arena_copy(b->arena, spec->params, spec->params_bytes)
                                                        : NULL};
    if (spec->in_place && spec->n_src > 0 && spec->n_dst > 0) {
        s->in_place_src = s->args[0].tensor;
        s->in_place_dst = s->args[spec->n_src].tensor;
    }
    step_append(b, s, NULL);
}
