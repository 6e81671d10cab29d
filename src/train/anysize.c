/* anysize.c - see anysize.h. */
#include "train/anysize.h"

#include "train/predictor.h"

#include <stdlib.h>
#include <string.h>

struct AnySize {
    Net *net; /* its own, on shared weights */
    int memory_mb;
    Predictor *predictor[2]; /* of scores, of probabilities; made when wanted */
};

Err anysize_open(AnySize **out, const Net *net, int threads, int memory_mb, Error *err) {
    *out = NULL;
    AnySize *any = calloc(1, sizeof *any);
    if (!any) return err_set(err, ERR_MEMORY, "out of memory");
    any->memory_mb = memory_mb > 0 ? memory_mb : PREDICT_MEMORY_MB;
    int before = engine_enter(NULL);
    Err code = net_session(&any->net, net, threads, err);
    engine_leave(before);
    if (code == OK)
        *out = any;
    else
        anysize_close(any);
    return code;
}

void anysize_close(AnySize *any) {
    if (!any) return;
    for (int i = 0; i < 2; i++) predictor_free(any->predictor[i]);
    net_close(any->net);
    free(any);
}

static Err find_predictor(AnySize *any, bool probabilities, Predictor **out, Error *err) {
    Predictor **p = &any->predictor[probabilities];
    PredictSpec spec = {
        .overlap = PREDICT_OVERLAP, .memory_mb = any->memory_mb, .tta = {.probabilities = probabilities}};
    if (!*p) TRY(predictor_new(p, any->net, &spec, err));
    *out = *p;
    return OK;
}

/* ---- a picture's maps, block by block ---- */

typedef struct Taking {
    const AnySize *any;
    const PredictPlan *plan;
    const Maps *maps;
} Taking;

static Err take_block(void *context, const TileBlock *block, Error *err) {
    const Taking *t = context;
    MapsSource src = {.channels = block->channels,
                      .height = block->height,
                      .width = block->width,
                      .row_stride = block->row_stride,
                      .plane_stride = block->plane_stride,
                      .values = block->values,
                      .y = block->y,
                      .x = block->x,
                      .map_height = t->plan->height,
                      .map_width = t->plan->width};
    maps_fill(net_data(t->any->net), &src, t->maps);
    return OK;
}

static Err run_planned(AnySize *any, Predictor *predictor, const PredictPlan *plan, const Image *image,
                       const Maps *maps, Error *err) {
    Taking taking = {.any = any, .plan = plan, .maps = maps};
    return predictor_run(predictor, plan, image, take_block, &taking, NULL, err);
}

/* ---- pictures that were resized ---- */

static Err new_maps(const PredictPlan *plan, const Maps *wanted, Maps *out, Error *err) {
    size_t places = (size_t)plan->width * (size_t)plan->height, channels = (size_t)plan->out_channels;
    if (wanted->classes) out->classes = malloc(places);
    if (wanted->confidence) out->confidence = malloc(places * sizeof(float));
    if (wanted->probabilities) out->probabilities = malloc(channels * places * sizeof(float));
    if (wanted->pixels) out->pixels = malloc(channels * places);
    if (!out->classes == !wanted->classes && !out->confidence == !wanted->confidence &&
        !out->probabilities == !wanted->probabilities && !out->pixels == !wanted->pixels)
        return OK;
    return err_set(err, ERR_MEMORY, "no memory for the results of a picture of %dx%d", plan->width, plan->height);
}

static void free_maps(const Maps *maps) {
    free(maps->classes);
    free(maps->confidence);
    free(maps->probabilities);
    free(maps->pixels);
}

static Err resize_bytes(const PredictPlan *plan, int channels, uint8_t *src, const Image *to, bool nearest,
                        uint8_t *dst, Error *err) {
    if (!dst) return OK;
    Image small = {.width = plan->width, .height = plan->height, .channels = channels, .depth = 8, .u8 = src};
    Image large = {0};
    TRY(image_resize(&small, to->width, to->height, nearest, &large, err));
    memcpy(dst, large.u8, image_bytes(&large));
    image_free(&large);
    return OK;
}

static Err resize_planes(const PredictPlan *plan, int channels, const float *src, const Image *to, float *dst,
                         Error *err) {
    return dst ? planes_resize(channels, plan->height, plan->width, src, to->height, to->width, dst, err) : OK;
}

static Err run_resized(AnySize *any, Predictor *predictor, const PredictPlan *plan, const Image *image,
                       const Maps *maps, Error *err) {
    Maps small = {0};
    Err code = new_maps(plan, maps, &small, err);
    if (code == OK) code = run_planned(any, predictor, plan, image, &small, err);
    if (code == OK) code = resize_bytes(plan, 1, small.classes, image, true, maps->classes, err);
    if (code == OK) code = resize_bytes(plan, plan->out_channels, small.pixels, image, false, maps->pixels, err);
    if (code == OK) code = resize_planes(plan, 1, small.confidence, image, maps->confidence, err);
    if (code == OK)
        code = resize_planes(plan, plan->out_channels, small.probabilities, image, maps->probabilities, err);
    free_maps(&small);
    return code;
}

/* ---- running ---- */

static Err run_class(AnySize *any, const Image *image, const Maps *maps, Error *err) {
    Predictor *predictor;
    const float *values;
    int n;
    TRY(find_predictor(any, false, &predictor, err));
    TRY(predictor_classify(predictor, image, &values, &n, err));
    MapsSource src = {.channels = n,
                      .height = 1,
                      .width = 1,
                      .row_stride = 1,
                      .plane_stride = 1,
                      .values = values,
                      .scores = !net_gives_probabilities(any->net),
                      .map_height = 1,
                      .map_width = 1};
    maps_fill(net_data(any->net), &src, maps);
    return OK;
}

static Err run_planes(AnySize *any, const Image *image, const Maps *maps, Error *err) {
    Predictor *predictor;
    PredictPlan plan;
    TRY(find_predictor(any, maps->confidence || maps->probabilities, &predictor, err));
    TRY(predictor_plan(predictor, image, &plan, err));
    bool resized = plan.width != image->width || plan.height != image->height;
    return (resized ? run_resized : run_planned)(any, predictor, &plan, image, maps, err);
}

Err anysize_run(AnySize *any, const Image *image, const Maps *maps, Error *err) {
    TRY(maps_check(any->net, maps, err));
    int before = net_enter(any->net);
    bool classifies = net_experiment(any->net)->task == TASK_CLASSIFICATION;
    Err code = (classifies ? run_class : run_planes)(any, image, maps, err);
    engine_leave(before);
    return code;
}
