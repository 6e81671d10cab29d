/* walk.c - see walk.h. */
#include "train/walk.h"

#include "base/clock.h"

#include <assert.h>

typedef struct Told {
    double began, last; /* seconds */
} Told;

int64_t walk_samples(const Split *split, int64_t limit) {
    int64_t has = split_info(split)->n;
    return limit > 0 && limit < has ? limit : has;
}

static void tell(const WalkSpec *spec, Told *told, int64_t done) {
    const TrainEvents *events = spec->events;
    double now = clock_seconds();
    if (!events || !events->progress || now - told->last < 0.1) return;
    told->last = now;
    Progress progress = {.evaluating = true,
                         .batch = done,
                         .batches = spec->n,
                         .elapsed_seconds = now - told->began,
                         .samples_per_second = (double)done / (now - told->began + 1e-9)};
    progress.eta_seconds = (double)(spec->n - done) / (progress.samples_per_second + 1e-9);
    events->progress(events->context, &progress);
}

static Err walk(const WalkSpec *spec, Loader *loader, Error *err) {
    const TrainEvents *events = spec->events;
    Told told = {.began = clock_seconds()};
    told.last = told.began;
    int64_t shape[4];
    loader_shape(loader, shape);
    WalkStep step = {.channels = shape[1]};
    TRY(loader_start(loader, 0, 0, err));
    for (; step.first < spec->n; step.first += step.n, step.number++) {
        TRY(loader_next(loader, &step.batch, err));
        assert(step.batch);
        if (events && events->stop && *events->stop) return err_set(err, ERR_STOPPED, "stopped");
        int64_t left = spec->n - step.first;
        step.n = step.batch->n < left ? step.batch->n : left;
        TRY(spec->take(spec->context, &step, err));
        tell(spec, &told, step.first + step.n);
    }
    return OK;
}

Err walk_split(const WalkSpec *spec, Error *err) {
    int64_t batch_size = net_experiment(spec->net)->train.batch_size, stride = net_stride(spec->net);
    LoaderSpec loading = {.split = spec->split,
                          .batch_size = batch_size < spec->n ? batch_size : spec->n,
                          .multiple = spec->padded && stride > 0 ? stride : 1};
    Loader *loader = NULL;
    TRY(loader_new(&loader, &loading, err));
    Err code = walk(spec, loader, err);
    loader_free(loader);
    return code;
}
