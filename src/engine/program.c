/* program.c - from a recorded Build to a Program: primitives, memory bound, steps run in order; listings and the search
 * for NaN.
 *
 * Everything is prepared here, so that running is a loop of dnnl_primitive_execute and native calls.
 */
#include "base/clock.h"
#include "engine/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- finishing ---- */

static size_t scratchpad_of(const Step *s) {
    const_dnnl_primitive_desc_t pd = s->pd;
    return md_bytes(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
}

static Err make_primitives(Program *p, Error *err) {
    for (int i = 0; i < p->n_steps; i++) {
        Step *s = p->steps[i];
        if (!s->pd) continue;
        dnnl_status_t status = dnnl_primitive_create(&s->primitive, s->pd);
        if (status != dnnl_success)
            return err_set(err, ERR_ENGINE, "%s: oneDNN cannot create a %s (status %d)", s->scope, s->name,
                           (int)status);
        s->scratchpad_bytes = scratchpad_of(s);
        if (s->scratchpad_bytes > p->scratchpad_bytes) p->scratchpad_bytes = s->scratchpad_bytes;
    }
    return OK;
}

static Err take_memory(Program *p, Error *err) {
    Build *b = p->build;
    p->block_bytes = plan_memory(b, p->scratchpad_bytes, &p->unplanned_bytes);
    size_t shared = b->options.separate ? p->scratchpad_bytes : p->block_bytes;
    p->block = block_alloc(shared + 64);
    if (!p->block)
        return err_set(
            err, ERR_MEMORY,
            "the network needs %.0f MB in one block, which the system refuses; use a smaller batch or picture",
            (double)shared / 1e6);
    for (Buffer *buffer = b->buffers; buffer; buffer = buffer->next) {
        if (buffer->external || buffer->first < 0 || buffer->home) continue;
        buffer->data = b->options.separate ? block_alloc(buffer->bytes ? buffer->bytes : 1) : p->block + buffer->offset;
        if (!buffer->data) return err_set(err, ERR_MEMORY, "out of memory for a tensor of %zu bytes", buffer->bytes);
    }
    return OK;
}

static void *tensor_data(const Tensor *t) {
    unsigned char *data = buffer_home(t->buffer)->data;
    return data ? data + buffer_at(t->buffer) : NULL;
}

static Err make_memory(Program *p, Tensor *t, Error *err) {
    if (t->memory) return OK;
    dnnl_status_t status = dnnl_memory_create(&t->memory, t->md, p->engine->engine, tensor_data(t));
    if (status == dnnl_success) return OK;
    return err_set(err, ERR_ENGINE, "oneDNN cannot make a memory object (status %d)", (int)status);
}

static Err bind_step(Program *p, Step *s, Error *err) {
    if (!s->pd) return OK;
    s->exec = ARENA_ARRAY(p->build->arena, dnnl_exec_arg_t, s->n_args + 1);
    for (int i = 0; i < s->n_args; i++) {
        TRY(make_memory(p, s->args[i].tensor, err));
        s->exec[s->n_exec++] = (dnnl_exec_arg_t){s->args[i].arg, s->args[i].tensor->memory};
    }
    if (s->scratchpad_bytes == 0) return OK;
    const_dnnl_primitive_desc_t pd = s->pd;
    Md md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t at = p->build->options.separate ? 0 : p->block_bytes - (p->scratchpad_bytes + 63) / 64 * 64;
    dnnl_status_t status = dnnl_memory_create(&s->scratchpad, md, p->engine->engine, p->block + at);
    if (status != dnnl_success)
        return err_set(err, ERR_ENGINE, "oneDNN cannot make a scratchpad (status %d)", (int)status);
    s->exec[s->n_exec++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, s->scratchpad};
    return OK;
}

Err build_finish(Program **out, Build *b, Error *err) {
    *out = NULL;
    if (build_failed(b)) {
        Err code = err_append(err, &b->error);
        build_drop(b);
        return code;
    }
    Program *p = ARENA_NEW(b->arena, Program);
    p->engine = b->engine;
    p->build = b;
    p->n_steps = b->n_steps;
    p->steps = ARENA_ARRAY(b->arena, Step *, b->n_steps + 1);
    p->stale = true;
    step_list(b, p->steps);
    Err code = make_primitives(p, err);
    if (code == OK) code = take_memory(p, err);
    for (int i = 0; code == OK && i < p->n_steps; i++) code = bind_step(p, p->steps[i], err);
    if (code != OK) {
        program_free(p);
        return code;
    }
    *out = p;
    return OK;
}

void program_free(Program *p) {
    if (!p) return;
    Build *b = p->build;
    if (b->options.separate)
        for (Buffer *buffer = b->buffers; buffer; buffer = buffer->next)
            if (!buffer->external && !buffer->home) block_free(buffer->data);
    block_free(p->block);
    build_drop(b); /* the Program itself lies in its arena */
}

/* ---- running ---- */

void program_bind(Program *p, const char *name, void *data) {
    for (Buffer *buffer = p->build->buffers; buffer; buffer = buffer->next) {
        if (!buffer->external || buffer->data == data || strcmp(buffer->name, name) != 0) continue;
        buffer->data = data;
        for (Tensor *t = p->build->tensors; t; t = t->next)
            if (t->buffer == buffer && t->memory) dnnl_memory_set_data_handle(t->memory, data);
    }
}

void program_refresh(Program *p) {
    p->stale = true;
}

/* Under AddressSanitizer our own code may touch a tensor only while it lives, and finds NaN in what nobody has written
 * yet. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

static bool guarded(const Program *p, const Buffer *home) {
    return !home->external && !home->constant && !home->zeros && !p->build->options.separate && home->first >= 0;
}

static void guard_begin(const Program *p, const Step *s, int step) {
    if (step == 0) {
        for (const Buffer *b = p->build->buffers; b; b = b->next)
            if (!b->home && guarded(p, b)) __asan_poison_memory_region(b->data, b->bytes);
    }
    for (int a = 0; a < s->n_args; a++) {
        const Buffer *home = buffer_home(s->args[a].tensor->buffer);
        if (!guarded(p, home)) continue;
        bool new = home->first == step && s->args[a].writes;
        __asan_unpoison_memory_region(home->data, home->bytes);
        if (new) memset(home->data, 0xff, home->bytes);
    }
}

static void guard_end(const Program *p, const Step *s, int step) {
    for (int a = 0; a < s->n_args; a++) {
        const Buffer *home = buffer_home(s->args[a].tensor->buffer);
        if (guarded(p, home) && home->last <= step) __asan_poison_memory_region(home->data, home->bytes);
    }
}

/* Outputs are read after the run, and the block is given back whole. */
static void guard_lift(const Program *p) {
    if (!p->build->options.separate) __asan_unpoison_memory_region(p->block, p->block_bytes);
}
#else
#define guard_begin(p, s, step) (void)0
#define guard_end(p, s, step)   (void)0
#define guard_lift(p)           (void)0
#endif

static Err run_step(Program *p, Step *s, const RunState *run, Error *err) {
    if (s->fn) {
        for (int i = 0; i < s->n_args; i++) s->native_args[i].data = tensor_data(s->args[i].tensor);
        s->call.run = run;
        s->fn(&s->call);
        return OK;
    }
    dnnl_status_t status = dnnl_primitive_execute(s->primitive, p->engine->stream, s->n_exec, s->exec);
    if (status == dnnl_success) return OK;
    return err_set(err, ERR_ENGINE, "%s: oneDNN failed to run a %s (status %d)", s->scope, s->name, (int)status);
}

Err program_run(Program *p, const RunState *run, Error *err) {
    static const RunState at_rest = {0, 0};
    if (!run) run = &at_rest;
    for (int i = 0; i < p->n_steps; i++) {
        if (p->moments) p->moments[i] = clock_seconds();
        if (p->steps[i]->constant && !p->stale) continue;
        guard_begin(p, p->steps[i], i);
        Err code = run_step(p, p->steps[i], run, err);
        if (code != OK) guard_lift(p);
        TRY(code);
        guard_end(p, p->steps[i], i);
    }
    guard_lift(p);
    p->stale = false;
    dnnl_status_t status = dnnl_stream_wait(p->engine->stream);
    if (p->moments) p->moments[p->n_steps] = clock_seconds();
    return status == dnnl_success ? OK : err_set(err, ERR_ENGINE, "oneDNN's stream failed (status %d)", (int)status);
}

static const Tensor *find_named(const Program *p, const char *name, bool outputs_only) {
    for (Output *o = p->build->outputs; o; o = o->next)
        if (strcmp(o->name, name) == 0) return o->tensor;
    for (Tensor *t = p->build->tensors; t && !outputs_only; t = t->next)
        if (t->buffer && t->buffer->external && strcmp(t->buffer->name, name) == 0) return t;
    return NULL;
}

const void *program_read(const Program *p, const char *name) {
    const Tensor *t = find_named(p, name, true);
    return t ? tensor_data(t) : NULL;
}

Shape program_shape(const Program *p, const char *name) {
    const Tensor *t = find_named(p, name, false);
    return t ? t->shape : (Shape){0};
}

/* ---- finding NaN ---- */

/* Element `at` of the memory, of 32 bits or a brain float: the upper half of one. */
static float element(const Tensor *t, int64_t at) {
    const void *data = tensor_data(t);
    if (t->type == F32) return ((const float *)data)[at];
    uint32_t bits = (uint32_t)((const uint16_t *)data)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* First element that is NaN or Inf, in memory order; -1 when there is none. Padding holds zeros. */
static int64_t first_nonfinite(const Tensor *t) {
    if ((t->type != F32 && t->type != BF16) || t->layout == LAYOUT_OPAQUE || !tensor_data(t)) return -1;
    const int64_t size = (int64_t)(md_bytes(t->md) / dtype_bytes(t->type));
    for (int64_t i = 0; i < size; i++)
        if (!isfinite(element(t, i))) return i;
    return -1;
}

/* Logical place of element `at` of the memory: coordinates in the order of the shape. */
static void place_of(const Tensor *t, int64_t at, char text[SHAPE_TEXT_BYTES]) {
    const int64_t inner = layout_inner(t->layout, t->shape), lane = at % inner;
    const int rank = t->shape.rank;
    Shape place = {.rank = rank};
    at /= inner;
    for (int i = rank - 1; i >= 2; i--) {
        place.dim[i] = at % t->shape.dim[i];
        at /= t->shape.dim[i];
    }
    const int64_t blocks = rank > 1 ? (t->shape.dim[1] + inner - 1) / inner : 1;
    if (rank > 1) place.dim[1] = at % blocks * inner + lane;
    place.dim[0] = at / blocks;
    size_t used = 0;
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, SHAPE_TEXT_BYTES - used, i ? ", %lld" : "%lld", (long long)place.dim[i]);
}

static bool report_nonfinite(const Step *s, const StepArg *arg, char *where, size_t bytes) {
    const Tensor *t = arg->tensor;
    const int64_t at = first_nonfinite(t);
    if (at < 0) return false;
    char place[SHAPE_TEXT_BYTES], shape[SHAPE_TEXT_BYTES];
    place_of(t, at, place);
    shape_text(t->shape, shape);
    const char *what = isnan(element(t, at)) ? "nan" : "inf";
    if (arg->writes && !t->buffer->external)
        snprintf(where, bytes, "%s (%s): %s at [%s] of %s", s->scope, s->name, what, place, shape);
    else
        snprintf(where, bytes, "%s: %s at [%s] of %s", t->buffer->name, what, place, shape);
    return true;
}

bool program_find_nonfinite(Program *p, const RunState *run, char *where, size_t bytes) {
    for (int i = 0; i < p->n_steps; i++) {
        Step *s = p->steps[i];
        for (int a = 0; a < s->n_args; a++)
            if (!s->args[a].writes && s->args[a].tensor->buffer->external &&
                report_nonfinite(s, &s->args[a], where, bytes))
                return true;
        if (run_step(p, s, run, NULL) != OK) return false;
        for (int a = 0; a < s->n_args; a++)
            if (s->args[a].writes && report_nonfinite(s, &s->args[a], where, bytes)) return true;
    }
    return false;
}

/* ---- describing ---- */

const char *step_implementation(const Step *s) {
    return s->pd ? implementation_name(s->pd) : "native";
}

ProgramStats program_stats(const Program *p) {
    ProgramStats stats = {.steps = p->n_steps,
                          .block_bytes = p->block_bytes,
                          .unplanned_bytes = p->unplanned_bytes,
                          .scratchpad_bytes = p->scratchpad_bytes};
    for (int i = 0; i < p->n_steps; i++) {
        const Step *s = p->steps[i];
        if (s->pd)
            stats.primitives++;
        else
            stats.natives++;
        if (s->kind == STEP_REORDER) stats.reorders++;
        if (s->constant) stats.constant_steps++;
        if (s->pd && is_reference(s->pd)) stats.reference++;
    }
    return stats;
}

static const char *layout_name(const Tensor *t) {
    static const char *const names[] = {"", " last", " c4", " c8", " c16", " opaque"};
    return names[t->layout];
}

static void describe_args(const Step *s, bool writes, FILE *out) {
    for (int a = 0, n = 0; a < s->n_args; a++) {
        const Tensor *t = s->args[a].tensor;
        char text[SHAPE_TEXT_BYTES];
        if (s->args[a].writes != writes) continue;
        fprintf(out, "%s%s%s", n++ ? ", " : "", shape_text(t->shape, text), layout_name(t));
        if (t->buffer->external) fprintf(out, " (%s)", t->buffer->name);
    }
}

void program_describe(const Program *p, FILE *out) {
    for (int i = 0; i < p->n_steps; i++) {
        const Step *s = p->steps[i];
        fprintf(out, "%4d%s %-24s %-26s %-28s ", i, s->constant ? "*" : " ", s->scope, s->name, step_implementation(s));
        describe_args(s, false, out);
        fputs(" -> ", out);
        describe_args(s, true, out);
        for (int a = 0; a < s->n_args; a++) {
            const Buffer *buffer = s->args[a].tensor->buffer, *home = buffer_home(s->args[a].tensor->buffer);
            if (!s->args[a].writes || home->external) continue;
            fprintf(out, " @%zu", home->offset + buffer_at(buffer));
            break;
        }
        if (s->in_place_dst && buffer_home(s->in_place_dst->buffer) == buffer_home(s->in_place_src->buffer))
            fputs(" in place", out);
        fputc('\n', out);
    }
}
