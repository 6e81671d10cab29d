/* plan.c - memory: life-times from the steps, results in place of their sources, sources in place within a
 * concatenation, offsets in one block.
 *
 * A buffer lives from the first step that touches it to the last. Two buffers may overlap in memory when their lives do
 * not. Placing the largest first at the lowest free offset is the usual greedy answer to this packing problem
 * (Pisarchyk & Lee 2020, arXiv 2001.03288).
 */
#include "engine/internal.h"

#include <string.h>

enum { ALIGNMENT = 64 };

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

Buffer *buffer_home(Buffer *buffer) {
    while (buffer->home) buffer = buffer->home;
    return buffer;
}

size_t buffer_at(const Buffer *buffer) {
    size_t at = 0;
    for (; buffer->home; buffer = buffer->home) at += buffer->at;
    return at;
}

void step_list(const Build *b, Step **list) {
    for (Step *s = b->steps; s; s = s->next) *list++ = s;
}

static void touch(Buffer *buffer, int step) {
    if (buffer->first < 0 || step < buffer->first) buffer->first = step;
    if (step > buffer->last) buffer->last = step;
}

static void find_lives(Build *b, Step **steps) {
    for (int i = 0; i < b->n_steps; i++)
        for (int a = 0; a < steps[i]->n_args; a++) touch(steps[i]->args[a].tensor->buffer, i);
    for (Output *o = b->outputs; o; o = o->next) touch(o->tensor->buffer, b->n_steps);
    for (Buffer *buffer = b->buffers; buffer; buffer = buffer->next) {
        if (!buffer->constant || buffer->external || buffer->first < 0) continue;
        touch(buffer, 0);
        touch(buffer, b->n_steps);
    }
}

static bool fixed(const Buffer *buffer) {
    return buffer->external || buffer->constant || buffer->zeros;
}

/* Whether step i may write its in-place result over its source. */
static bool can_overwrite(const Step *s, int i) {
    Buffer *src = buffer_home(s->in_place_src->buffer), *dst = s->in_place_dst->buffer;
    if (fixed(src) || fixed(dst) || dst->home || src == dst) return false;
    if (src->last != i || dst->first != i || dst->bytes > src->bytes) return false;
    for (int a = 0; a < s->n_args; a++) {
        const StepArg *arg = &s->args[a];
        if (arg->tensor != s->in_place_src && arg->tensor != s->in_place_dst && buffer_home(arg->tensor->buffer) == src)
            return false;
    }
    return true;
}

static void share_in_place(Build *b, Step **steps) {
    for (int i = 0; i < b->n_steps; i++) {
        Step *s = steps[i];
        if (!s->in_place_src || !can_overwrite(s, i)) continue;
        Buffer *src = buffer_home(s->in_place_src->buffer), *dst = s->in_place_dst->buffer;
        dst->home = src;
        touch(src, dst->last);
    }
}

/* Whether a step behind `step`, up to `last`, writes to what lies in `home`. */
static bool written_between(Step *const *steps, int step, int last, const Buffer *home) {
    for (int i = step + 1; i <= last; i++)
        for (int a = 0; a < steps[i]->n_args; a++)
            if (steps[i]->args[a].writes && buffer_home(steps[i]->args[a].tensor->buffer) == home) return true;
    return false;
}

/* Whether `part`, a source of step i, may lie within its result `whole`: for as long as either is read, nobody may
 * overwrite the other (in place). */
static bool can_lie_in(Build *b, Step *const *steps, int i, const Buffer *part, const Buffer *whole) {
    if (fixed(part) || fixed(whole) || part == whole) return false;
    const int end = b->n_steps - 1, last = part->last < end ? part->last : end;
    return !written_between(steps, i, end, part) && !written_between(steps, i, last, whole);
}

static void gather_parts(Build *b, Step **steps) {
    for (int i = 0; i < b->n_steps; i++) {
        const Step *s = steps[i];
        if (!s->gathers) continue;
        Buffer *whole = buffer_home(s->args[s->n_args - 1].tensor->buffer);
        size_t at = 0;
        for (int a = 0; a + 1 < s->n_args; a++) {
            Buffer *part = buffer_home(s->args[a].tensor->buffer);
            const size_t bytes = md_bytes(s->args[a].tensor->md);
            if (at % ALIGNMENT == 0 && part->bytes == bytes && can_lie_in(b, steps, i, part, whole)) {
                part->home = whole;
                part->at = at;
                touch(whole, part->first);
                touch(whole, part->last);
            }
            at += bytes;
        }
    }
}

static int by_size(const void *a, const void *b) {
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->first - y->first;
}

/* Lowest offset at which `buffer` meets none of the placed ones (sorted by offset) that live at the same time. */
static size_t lowest_gap(const Buffer *buffer, Buffer *const *placed, int n) {
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const Buffer *p = placed[i];
        if (p->last < buffer->first || buffer->last < p->first) continue;
        if (p->offset >= offset + aligned(buffer->bytes)) break;
        size_t end = p->offset + aligned(p->bytes);
        if (end > offset) offset = end;
    }
    return offset;
}

static void insert_by_offset(Buffer **placed, int n, Buffer *buffer) {
    int i = n;
    for (; i > 0 && placed[i - 1]->offset > buffer->offset; i--) placed[i] = placed[i - 1];
    placed[i] = buffer;
}

size_t plan_memory(Build *b, size_t scratchpad_bytes, size_t *unplanned_bytes) {
    Step **steps = ARENA_ARRAY(b->arena, Step *, b->n_steps + 1);
    step_list(b, steps);
    find_lives(b, steps);
    if (!b->options.separate) {
        share_in_place(b, steps);
        gather_parts(b, steps);
    }

    int n = 0;
    *unplanned_bytes = scratchpad_bytes;
    for (Buffer *buffer = b->buffers; buffer; buffer = buffer->next) {
        if (buffer->external || buffer->first < 0) continue;
        *unplanned_bytes += aligned(buffer->bytes);
        if (!buffer->home) n++;
    }
    Buffer **sorted = ARENA_ARRAY(b->arena, Buffer *, n + 1), **placed = ARENA_ARRAY(b->arena, Buffer *, n + 1);
    n = 0;
    for (Buffer *buffer = b->buffers; buffer; buffer = buffer->next)
        if (!buffer->external && buffer->first >= 0 && !buffer->home) sorted[n++] = buffer;
    qsort(sorted, (size_t)n, sizeof(*sorted), by_size);

    size_t total = 0;
    for (int i = 0; i < n; i++) {
        sorted[i]->offset = lowest_gap(sorted[i], placed, i);
        insert_by_offset(placed, i, sorted[i]);
        size_t end = sorted[i]->offset + aligned(sorted[i]->bytes);
        if (end > total) total = end;
    }
    return total + aligned(scratchpad_bytes);
}
