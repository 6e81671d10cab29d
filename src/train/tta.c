/* tta.c - see tta.h. */
#include "train/tta.h"

#include "base/softmax.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A block of memory that grows as needed. */
typedef struct Grown {
    float *values;
    size_t floats;
} Grown;

struct Tta {
    Net *net;
    TtaSpec spec;
    bool has_scores; /* the network's results are scores, not probabilities */
    bool softmax;    /* and are to be made probabilities */
    Grown scaled, mirrored, back, sum;
};

static Err grown(Grown *g, size_t floats, Error *err) {
    if (g->floats >= floats) return OK;
    block_free(g->values);
    g->values = block_alloc(floats * sizeof(float));
    g->floats = g->values ? floats : 0;
    if (g->values) return OK;
    return err_set(err, ERR_MEMORY, "no memory for %zu MB of pictures", floats * sizeof(float) >> 20);
}

/* ---- what is asked for ---- */

static bool only_as_it_is(const TtaSpec *spec) {
    return !spec->flip && (spec->n_scales == 0 || (spec->n_scales == 1 && spec->scales[0] == 1));
}

int tta_views(const TtaSpec *spec) {
    return (spec->n_scales > 0 ? spec->n_scales : 1) * (spec->flip ? 2 : 1);
}

static Err check_scales(const Net *net, const TtaSpec *spec, Error *err) {
    if (spec->n_scales == 0) return OK;
    if (spec->n_scales > TTA_MAX_SCALES)
        return err_set(err, ERR_USAGE, "scales: at most %d, got %d", TTA_MAX_SCALES, spec->n_scales);
    for (int i = 0; i < spec->n_scales; i++) {
        if (!(spec->scales[i] >= 0.1 && spec->scales[i] <= 10))
            return err_set(err, ERR_USAGE, "scales: must be between 0.1 and 10, got %g", spec->scales[i]);
        if (spec->scales[i] != 1 && net_stride(net) == 0)
            return err_set(err, ERR_USAGE, "scales: the network takes pictures of one size only");
    }
    if (net_experiment(net)->task == TASK_SEGMENTATION) return OK;
    return err_set(err, ERR_USAGE, "scales mean nothing for a network whose task is %s",
                   task_names[net_experiment(net)->task]);
}

Err tta_new(Tta **out, Net *net, const TtaSpec *spec, Error *err) {
    *out = NULL;
    TRY(check_scales(net, spec, err));
    Tta *t = calloc(1, sizeof *t);
    if (!t) return err_set(err, ERR_MEMORY, "out of memory");
    bool classes = net_experiment(net)->task != TASK_RECONSTRUCTION;
    *t = (Tta){.net = net, .spec = *spec, .has_scores = classes && !net_gives_probabilities(net)};
    tta_give_probabilities(t, false);
    *out = t;
    return OK;
}

bool tta_has_scores(const Tta *t) {
    return t->has_scores;
}

void tta_give_probabilities(Tta *t, bool always) {
    t->softmax = t->has_scores && (always || t->spec.probabilities || !only_as_it_is(&t->spec));
}

void tta_free(Tta *tta) {
    if (!tta) return;
    Grown *all[] = {&tta->scaled, &tta->mirrored, &tta->back, &tta->sum};
    for (int i = 0; i < 4; i++) block_free(all[i]->values);
    free(tta);
}

/* ---- arithmetic over planes ---- */

static void mirror_planes(int64_t n_planes, int64_t height, int64_t width, const float *src, float *dst) {
    for (int64_t row = 0; row < n_planes * height; row++)
        for (int64_t x = 0; x < width; x++) dst[row * width + x] = src[row * width + width - 1 - x];
}

/* ---- views ---- */

/* One batch and where its mean is gathered. */
typedef struct Work {
    int64_t n, channels, height, width;
    int views;   /* gathered so far */
    Shape shape; /* of the mean */
} Work;

static bool spatial(Shape shape, int64_t height, int64_t width) {
    return shape.rank == 4 && shape.dim[2] == height && shape.dim[3] == width;
}

/* Add a view's result, whose shape is known to be that of the mean. */
static Err gather(Tta *t, Work *w, const float *values, Error *err) {
    size_t floats = (size_t)shape_size(w->shape);
    TRY(grown(&t->sum, floats, err));
    float *sum = t->sum.values;
    if (w->views++ == 0)
        memcpy(sum, values, floats * sizeof *sum);
    else
        for (size_t i = 0; i < floats; i++) sum[i] += values[i];
    return OK;
}

/* Run on one view of the input, h x w, mirrored or not, and gather what it gives at the size of the picture. */
static Err run_view(Tta *t, Work *w, int64_t height, int64_t width, bool mirrored, const float *input, Error *err) {
    const float *values;
    Shape shape;
    if (mirrored) {
        TRY(grown(&t->mirrored, (size_t)(w->n * w->channels * height * width), err));
        mirror_planes(w->n * w->channels, height, width, input, t->mirrored.values);
        input = t->mirrored.values;
    }
    TRY(net_run(t->net, w->n, w->channels, height, width, input, &values, &shape, err));
    bool planes = spatial(shape, height, width), resized = height != w->height || width != w->width;
    if (resized && !planes) {
        char text[SHAPE_TEXT_BYTES];
        return err_set(err, ERR_USAGE, "scales: the network's result is %s for a picture of %lldx%lld",
                       shape_text(shape, text), (long long)width, (long long)height);
    }
    size_t floats = (size_t)shape_size(shape);
    int64_t places = (int64_t)floats / shape.dim[0] / shape.dim[1], n_planes = shape.dim[0] * shape.dim[1];
    TRY(grown(&t->back, floats, err));
    if (mirrored && planes)
        mirror_planes(n_planes, height, width, values, t->back.values);
    else
        memcpy(t->back.values, values, floats * sizeof *values);
    if (t->softmax) softmax_planes(shape.dim[0], shape.dim[1], places, t->back.values, t->back.values);
    if (resized) {
        shape.dim[2] = w->height;
        shape.dim[3] = w->width;
        TRY(grown(&t->mirrored, (size_t)shape_size(shape), err)); /* free again by now */
        TRY(planes_resize(n_planes, (int)height, (int)width, t->back.values, (int)w->height, (int)w->width,
                          t->mirrored.values, err));
    }
    w->shape = shape;
    return gather(t, w, resized ? t->mirrored.values : t->back.values, err);
}

static Err run_scale(Tta *t, Work *w, double scale, const float *input, Error *err) {
    int64_t height = llround((double)w->height * scale), width = llround((double)w->width * scale);
    if (height < 1) height = 1;
    if (width < 1) width = 1;
    if (height != w->height || width != w->width) {
        TRY(grown(&t->scaled, (size_t)(w->n * w->channels * height * width), err));
        TRY(planes_resize(w->n * w->channels, (int)w->height, (int)w->width, input, (int)height, (int)width,
                          t->scaled.values, err));
        input = t->scaled.values;
    }
    TRY(run_view(t, w, height, width, false, input, err));
    return t->spec.flip ? run_view(t, w, height, width, true, input, err) : OK;
}

Err tta_run(Tta *t, int64_t n, int64_t channels, int64_t height, int64_t width, const float *input,
            const float **output, Shape *shape, Error *err) {
    if (only_as_it_is(&t->spec) && !t->softmax)
        return net_run(t->net, n, channels, height, width, input, output, shape, err);
    Work w = {.n = n, .channels = channels, .height = height, .width = width};
    static const double as_it_is[] = {1};
    const double *scales = t->spec.n_scales > 0 ? t->spec.scales : as_it_is;
    for (int i = 0; i < (t->spec.n_scales > 0 ? t->spec.n_scales : 1); i++)
        TRY(run_scale(t, &w, scales[i], input, err));
    size_t floats = (size_t)shape_size(w.shape);
    float share = 1.0F / (float)w.views;
    for (size_t i = 0; w.views > 1 && i < floats; i++) t->sum.values[i] *= share;
    *output = t->sum.values;
    *shape = w.shape;
    return OK;
}
