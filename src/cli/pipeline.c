/* pipeline.c - see pipeline.h. One lock and one condition for everything: there are some hundred changes a second. */
#include "cli/pipeline.h"

#include <pthread.h>
#include <stdlib.h>

enum { MAX_ITEMS = 8, MAX_PARTS = 3, MAX_WRITERS = 8 };

typedef struct Part {
    int item;
    void *part; /* NULL: the item's end */
} Part;

/* Parts on their way to one writer. */
typedef struct Queue {
    Part *parts; /* a ring of MAX_PARTS + MAX_ITEMS: ends always find room */
    int first, n;
} Queue;

/* An item that was read and is not done. */
typedef struct Slot {
    void *item;
    double bytes;
} Slot;

typedef struct Writer {
    Pipeline *pipeline;
    Queue queue;
    pthread_t thread;
    bool started;
} Writer;

struct Pipeline {
    const PipelineSpec *spec;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Slot slots[MAX_ITEMS];    /* of item i: i % MAX_ITEMS */
    int read, computed, done; /* items so far; done <= computed <= read <= done + MAX_ITEMS */
    bool read_all, computed_all;
    double bytes; /* of all slots */
    Writer writers[MAX_WRITERS];
};

static void lock(Pipeline *p) {
    pthread_mutex_lock(&p->lock);
}

static void unlock(Pipeline *p) {
    pthread_mutex_unlock(&p->lock);
}

/* With the lock held: until something changes. */
static void wait_for_change(Pipeline *p) {
    pthread_cond_wait(&p->changed, &p->lock);
}

static void changed(Pipeline *p) {
    pthread_cond_broadcast(&p->changed);
}

/* ---- reading ---- */

static bool stopped(const Pipeline *p) {
    return p->spec->stop && *p->spec->stop;
}

/* With the lock held: whether there is room for one more item of these bytes. */
static bool has_room(const Pipeline *p, double bytes) {
    int held = p->read - p->done;
    return held == 0 || (held < MAX_ITEMS && p->bytes + bytes <= p->spec->ahead_bytes);
}

static void *read_items(void *argument) {
    Pipeline *p = argument;
    for (int i = 0; i < p->spec->n && !stopped(p); i++) {
        double bytes = p->spec->bytes(p->spec->context, i);
        lock(p);
        while (!has_room(p, bytes)) wait_for_change(p);
        p->bytes += bytes;
        unlock(p);
        void *item = p->spec->read(p->spec->context, i);
        lock(p);
        p->slots[i % MAX_ITEMS] = (Slot){.item = item, .bytes = bytes};
        p->read = i + 1;
        changed(p);
        unlock(p);
    }
    lock(p);
    p->read_all = true;
    changed(p);
    unlock(p);
    return NULL;
}

/* ---- computing ---- */

static void push(Pipeline *p, int item, void *part) {
    Queue *q = &p->writers[item % p->spec->writers].queue;
    lock(p);
    while (part && q->n >= MAX_PARTS) wait_for_change(p);
    q->parts[(q->first + q->n++) % (MAX_PARTS + MAX_ITEMS)] = (Part){.item = item, .part = part};
    changed(p);
    unlock(p);
}

void pipeline_put(Pipeline *p, void *part) {
    push(p, p->computed, part);
}

static void compute_items(Pipeline *p) {
    while (true) {
        lock(p);
        while (p->computed == p->read && !p->read_all) wait_for_change(p);
        bool ended = p->computed == p->read;
        void *item = p->slots[p->computed % MAX_ITEMS].item;
        unlock(p);
        if (ended) break;
        p->spec->compute(p->spec->context, item, p);
        push(p, p->computed, NULL);
        lock(p);
        p->computed++;
        unlock(p);
    }
    lock(p);
    p->computed_all = true;
    changed(p);
    unlock(p);
}

/* ---- writing ---- */

/* With the lock held: wait for the item's turn, report it, and give its place free. */
static void finish_item(Pipeline *p, int item) {
    while (p->done != item) wait_for_change(p);
    Slot slot = p->slots[item % MAX_ITEMS];
    unlock(p);
    p->spec->done(p->spec->context, slot.item);
    lock(p);
    p->bytes -= slot.bytes;
    p->done = item + 1;
    changed(p);
}

static void *write_items(void *argument) {
    Writer *w = argument;
    Pipeline *p = w->pipeline;
    Queue *q = &w->queue;
    lock(p);
    while (true) {
        while (q->n == 0 && !p->computed_all) wait_for_change(p);
        if (q->n == 0) break;
        Part part = q->parts[q->first];
        void *item = p->slots[part.item % MAX_ITEMS].item;
        unlock(p);
        p->spec->write(p->spec->context, item, part.part);
        lock(p);
        q->first = (q->first + 1) % (MAX_PARTS + MAX_ITEMS); /* only now: what is being written counts as waiting */
        q->n--;
        changed(p);
        if (!part.part) finish_item(p, part.item);
    }
    unlock(p);
    return NULL;
}

/* ---- all ---- */

static bool start_writers(Pipeline *p) {
    for (int i = 0; i < p->spec->writers; i++) {
        Writer *w = &p->writers[i];
        w->pipeline = p;
        w->queue.parts = calloc(MAX_PARTS + MAX_ITEMS, sizeof *w->queue.parts);
        w->started = w->queue.parts && pthread_create(&w->thread, NULL, write_items, w) == 0;
        if (!w->started) return false;
    }
    return true;
}

Err pipeline_run(const PipelineSpec *spec, Error *err) {
    PipelineSpec own = *spec;
    if (own.writers > MAX_WRITERS) own.writers = MAX_WRITERS;
    Pipeline p = {.spec = &own};
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.changed, NULL);
    pthread_t reader;
    bool writing = start_writers(&p), reading = writing && pthread_create(&reader, NULL, read_items, &p) == 0;
    if (!reading) p.read_all = true; /* nobody else looks at it then */
    compute_items(&p);
    if (reading) pthread_join(reader, NULL);
    for (int i = 0; i < own.writers; i++) {
        if (p.writers[i].started) pthread_join(p.writers[i].thread, NULL);
        free(p.writers[i].queue.parts);
    }
    pthread_cond_destroy(&p.changed);
    pthread_mutex_destroy(&p.lock);
    return reading ? OK : err_set(err, ERR_MEMORY, "the system refuses one more thread");
}
