/* loader.c - shuffled batches, prepared by a thread of its own while the network computes.
 *
 * Two slots go round: the consumer holds one, the thread fills the other. Everything they share is guarded by one
 * mutex; a slot's content belongs to whoever `state` says. The thread lives as long as the loader and sleeps when it
 * has no slot to fill or no epoch to run.
 */
#include "data/loader.h"

#include "base/clock.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { N_SLOTS = 2, NAME_BYTES = 1024 };
#define EPOCHS_APART (INT64_C(1) << 40)

typedef enum SlotState { SLOT_FREE, SLOT_READY, SLOT_HELD } SlotState;

typedef struct Slot {
    SlotState state;
    Batch batch;
    size_t room;    /* pixels of a plane that its memory holds */
    int64_t *index; /* batch.index, writable */
    Err code;       /* of preparing it */
} Slot;

struct Loader {
    LoaderSpec spec;
    int64_t n, n_batches;
    int channels, height, width; /* of a sample, before padding; 0 where they differ */
    const DataConfig *config;

    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t work, ready; /* something to fill or to stop for; something to hand out or fallen silent */
    Slot slots[N_SLOTS];        /* batch b is in slot b % N_SLOTS */
    bool quit, running;         /* running: an epoch is to be prepared */
    bool preparing;             /* the thread is at work outside the lock */
    int64_t epoch;
    int64_t next;   /* batch the thread prepares next; n_batches: none */
    int64_t handed; /* batch that loader_next hands out next */
    int64_t *order; /* of the epoch: sample + n * (times it came before); the thread's */
    Error error;    /* words of the batch that failed; the thread's until that one is ready */
    Err failed;     /* its code, once it came out */
    double wait_seconds;
};

/* ---- preparing a batch: the thread ---- */

static void fill_order(Loader *l, int64_t epoch) {
    if (l->spec.sampler) {
        sampler_draw(l->spec.sampler, l->spec.seed, epoch, l->order);
    } else if (l->spec.shuffle) {
        Rng rng = rng_stream(l->spec.seed, RNG_SHUFFLE, (uint64_t)epoch, 0);
        rng_permutation(&rng, l->n, l->order);
    } else {
        for (int64_t i = 0; i < l->n; i++) l->order[i] = i;
    }
}

static void place_mask(const Batch *batch, const Image *mask, uint8_t *dst) {
    size_t row = (size_t)batch->width, width = (size_t)batch->valid_width, filled = (size_t)batch->valid_height * row;
    if (width == row) {
        memcpy(dst, mask->u8, filled);
    } else {
        memset(dst, MASK_IGNORE, filled);
        for (size_t y = 0; y < (size_t)batch->valid_height; y++) memcpy(dst + y * row, mask->u8 + y * width, width);
    }
    memset(dst + filled, MASK_IGNORE, (size_t)batch->height * row - filled);
}

static int round_up(int value, int64_t multiple) {
    int64_t m = multiple > 1 ? multiple : 1;
    return (int)((value + m - 1) / m * m);
}

/* Memory for the samples of a batch at its size. */
static Err take_planes(const Loader *l, Slot *slot, Error *err) {
    size_t n = (size_t)l->spec.batch_size, plane = (size_t)slot->batch.height * (size_t)slot->batch.width;
    bool has_mask = split_info(l->spec.split)->has_mask;
    if (plane <= slot->room) return OK;
    block_free(slot->batch.input);
    block_free(slot->batch.mask);
    slot->room = 0;
    slot->batch.input = block_alloc(n * (size_t)l->channels * plane * sizeof(float));
    slot->batch.mask = has_mask ? block_alloc(n * plane) : NULL;
    if (slot->batch.input == NULL || (has_mask && slot->batch.mask == NULL))
        return err_set(err, ERR_MEMORY,
                       "no memory for batches of %" PRId64 " samples of %dx%dx%d; set train.batch_size lower",
                       l->spec.batch_size, l->channels, slot->batch.height, slot->batch.width);
    slot->room = plane;
    return OK;
}

static void set_size(const Loader *l, int height, int width, Batch *batch) {
    batch->valid_height = height;
    batch->valid_width = width;
    batch->height = round_up(height, l->spec.multiple);
    batch->width = round_up(width, l->spec.multiple);
}

static Err place(const Loader *l, const Sample *s, int64_t i, int64_t at, Slot *slot, Error *err) {
    Batch *batch = &slot->batch;
    if (l->height == 0) { /* sizes differ, and this sample is the batch */
        set_size(l, s->image.height, s->image.width, batch);
        TRY(take_planes(l, slot, err));
    }
    if (s->image.height != batch->valid_height || s->image.width != batch->valid_width ||
        s->image.channels != l->channels) {
        char name[NAME_BYTES];
        split_sample_name(l->spec.split, i, name, sizeof name);
        return err_set(err, ERR_DATA, "%s: comes out %d high and %d wide, others %d and %d", name, s->image.height,
                       s->image.width, l->height, l->width);
    }
    size_t plane = (size_t)batch->height * (size_t)batch->width;
    data_normalize_padded(l->config, &s->image, batch->height, batch->width,
                          batch->input + (size_t)at * (size_t)l->channels * plane);
    if (batch->mask != NULL) place_mask(batch, &s->mask, batch->mask + (size_t)at * plane);
    if (batch->label != NULL) batch->label[at] = s->label;
    return OK;
}

static Err augment(const Loader *l, const Sample *sample, int64_t i, int64_t epoch, int64_t at, Slot *slot,
                   Error *err) {
    if (augment_is_empty(l->spec.augment)) return place(l, sample, i, at, slot, err);
    Sample changed;
    Err code = augment_apply(l->spec.augment, l->spec.seed, epoch, i, sample, &changed, err);
    if (code != OK) {
        char name[NAME_BYTES];
        split_sample_name(l->spec.split, i, name, sizeof name);
        err_context(err, "%s", name);
        return code;
    }
    code = place(l, &changed, i, at, slot, err);
    image_free(&changed.image);
    image_free(&changed.mask);
    return code;
}

static Err prepare_sample(Loader *l, int64_t i, int64_t epoch, int64_t at, Slot *slot, Error *err) {
    Sample sample;
    if (split_peek(l->spec.split, i, &sample)) return augment(l, &sample, i, epoch, at, slot, err);
    sample = (Sample){0};
    Err code = split_read(l->spec.split, i, &sample, err);
    if (code == OK) code = augment(l, &sample, i, epoch, at, slot, err);
    image_free(&sample.image);
    image_free(&sample.mask);
    return code;
}

/* Whether the epoch was called off meanwhile. */
static bool called_off(Loader *l) {
    pthread_mutex_lock(&l->lock);
    bool off = l->quit || !l->running;
    pthread_mutex_unlock(&l->lock);
    return off;
}

static Err prepare_batch(Loader *l, Slot *slot, int64_t epoch, int64_t number) {
    int64_t first = number * l->spec.batch_size, left = l->n - first;
    slot->batch.n = left < l->spec.batch_size ? left : l->spec.batch_size;
    enum { LOOK_EVERY = 16 }; /* samples between looks at whether anyone still wants the batch */
    for (int64_t k = 0; k < slot->batch.n; k++) {
        if (k % LOOK_EVERY == LOOK_EVERY - 1 && called_off(l)) return ERR_STOPPED;
        int64_t draw = l->order[first + k], i = draw % l->n;
        slot->index[k] = i;
        /* what is drawn again in one epoch is augmented as in another */
        TRY(prepare_sample(l, i, epoch + draw / l->n * EPOCHS_APART, k, slot, &l->error));
    }
    return OK;
}

static void *run(void *context) {
    Loader *l = context;
    int64_t ordered_epoch = -1;
    pthread_mutex_lock(&l->lock);
    while (!l->quit) {
        Slot *slot = &l->slots[l->next % N_SLOTS];
        if (!l->running || l->next >= l->n_batches || slot->state != SLOT_FREE) {
            pthread_cond_wait(&l->work, &l->lock);
            continue;
        }
        l->preparing = true;
        int64_t epoch = l->epoch, number = l->next;
        pthread_mutex_unlock(&l->lock);
        if (epoch != ordered_epoch) fill_order(l, epoch);
        ordered_epoch = epoch;
        Err code = prepare_batch(l, slot, epoch, number);
        pthread_mutex_lock(&l->lock);
        l->preparing = false;
        if (l->running) { /* else nobody wants it any more */
            slot->code = code;
            slot->state = SLOT_READY;
            l->next = code == OK ? number + 1 : l->n_batches;
        }
        pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- the consumer ---- */

static Err take_shape(Loader *l, Error *err) {
    int64_t shape[4];
    split_shape(l->spec.split, shape);
    l->channels = (int)shape[1];
    l->height = (int)shape[2];
    l->width = (int)shape[3];
    augment_size(l->spec.augment, &l->height, &l->width);
    if (l->height < 1 || l->width < 1) {
        l->height = l->width = 0;
        if (!l->spec.any_size)
            return err_set(err, ERR_CONFIG,
                           "the pictures differ in size, and a batch needs one: set data.size, and data.fit to resize, "
                           "crop or pad, or let train.augment crop");
        l->spec.batch_size = 1;
    }
    if (l->spec.batch_size > l->n) l->spec.batch_size = l->n; /* no room for what never comes */
    l->n_batches = (l->n + l->spec.batch_size - 1) / l->spec.batch_size;
    return OK;
}

static Err take_slot(Loader *l, Slot *slot, Error *err) {
    bool has_label = split_info(l->spec.split)->has_label;
    size_t n = (size_t)l->spec.batch_size;
    slot->index = malloc(n * sizeof *slot->index);
    slot->batch = (Batch){.index = slot->index};
    if (has_label) slot->batch.label = malloc(n * sizeof(int32_t));
    if (slot->index == NULL || (has_label && slot->batch.label == NULL))
        return err_set(err, ERR_MEMORY, "no memory for batches of %" PRId64 " samples", l->spec.batch_size);
    set_size(l, l->height, l->width, &slot->batch);
    return take_planes(l, slot, err);
}

Err loader_new(Loader **out, const LoaderSpec *spec, Error *err) {
    *out = NULL;
    Loader *l = calloc(1, sizeof *l);
    if (l == NULL) return err_set(err, ERR_MEMORY, "no memory for a loader");
    l->spec = *spec;
    l->config = split_config(spec->split);
    l->n = split_info(spec->split)->n;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    Err code = take_shape(l, err);
    for (int k = 0; k < N_SLOTS && code == OK; k++) code = take_slot(l, &l->slots[k], err);
    if (code == OK) l->order = malloc((size_t)l->n * sizeof *l->order);
    if (code == OK && l->order == NULL)
        code = err_set(err, ERR_MEMORY, "no memory for the order of %" PRId64 " samples", l->n);
    if (code == OK) {
        l->has_thread = pthread_create(&l->thread, NULL, run, l) == 0;
        if (!l->has_thread) code = err_set(err, ERR_MEMORY, "cannot start a thread that loads data");
    }
    if (code != OK) {
        loader_free(l);
        return code;
    }
    *out = l;
    return OK;
}

void loader_free(Loader *l) {
    if (l == NULL) return;
    if (l->has_thread) {
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_signal(&l->work);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (int k = 0; k < N_SLOTS; k++) {
        free(l->slots[k].index);
        block_free(l->slots[k].batch.input);
        block_free(l->slots[k].batch.mask);
        free(l->slots[k].batch.label);
    }
    free(l->order);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->ready);
    free(l);
}

int64_t loader_batches(const Loader *l) {
    return l->n_batches;
}

void loader_shape(const Loader *l, int64_t shape[4]) {
    shape[0] = l->spec.batch_size;
    shape[1] = l->channels;
    shape[2] = round_up(l->height, l->spec.multiple);
    shape[3] = round_up(l->width, l->spec.multiple);
}

double loader_wait_seconds(const Loader *l) {
    return l->wait_seconds;
}

Err loader_start(Loader *l, int64_t epoch, int64_t first_batch, Error *err) {
    pthread_mutex_lock(&l->lock);
    l->running = false;
    while (l->preparing) pthread_cond_wait(&l->ready, &l->lock);
    for (int k = 0; k < N_SLOTS; k++) l->slots[k].state = SLOT_FREE;
    err_clear(&l->error);
    l->failed = OK;
    l->epoch = epoch;
    l->next = l->handed = first_batch;
    l->running = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    return OK;
}

/* Give back what the consumer held. */
static void release(Loader *l) {
    for (int k = 0; k < N_SLOTS; k++) {
        if (l->slots[k].state != SLOT_HELD) continue;
        l->slots[k].state = SLOT_FREE;
        pthread_cond_signal(&l->work);
    }
}

Err loader_next(Loader *l, const Batch **batch, Error *err) {
    *batch = NULL;
    pthread_mutex_lock(&l->lock);
    release(l);
    bool more = l->running && l->failed == OK && l->handed < l->n_batches;
    Slot *slot = &l->slots[l->handed % N_SLOTS];
    if (more && slot->state != SLOT_READY) {
        double began = clock_seconds();
        while (slot->state != SLOT_READY) pthread_cond_wait(&l->ready, &l->lock);
        l->wait_seconds += clock_seconds() - began;
    }
    if (more && slot->code == OK) {
        slot->state = SLOT_HELD;
        l->handed++;
        *batch = &slot->batch;
    } else if (more) {
        l->failed = slot->code;
    }
    Err code = l->failed;
    if (code != OK) err_append(err, &l->error);
    pthread_mutex_unlock(&l->lock);
    return code;
}
