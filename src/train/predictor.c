/* predictor.c - see predictor.h. What a program takes is measured on small ones: but for the weights it grows with the
 * area. */
#include "train/predictor.h"

#include "train/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBE_SIDE = 256,     /* of the picture whose program tells what others take */
    BASE_BYTES = 90 << 20 /* of the process: libraries, kernels made at run time, the reading and writing of files */
};

struct Predictor {
    Net *net;
    PredictSpec spec;
    Tta *tta;
    int64_t stride;         /* 0: one size */
    double program_bytes;   /* of a program of no area: packed weights, fixed scratchpads */
    double bytes_per_place; /* and what it takes more for each place of its input */
    bool probed;
};

/* ---- what the network takes ---- */

/* Whether pictures are resized to the size in the config. */
static bool resizes(const Predictor *p) {
    const DataConfig *data = net_data(p->net);
    return data->fit == FIT_RESIZE && data->size[0] > 0;
}

/* The one size the network takes; false: it takes others. */
static bool own_size(const Predictor *p, int *height, int *width) {
    Shape input = net_graph(p->net)->input;
    if (p->stride > 0) return false;
    *height = (int)(input.rank == 4 ? input.dim[2] : net_data(p->net)->size[0]);
    *width = (int)(input.rank == 4 ? input.dim[3] : net_data(p->net)->size[1]);
    return *height > 0 && *width > 0;
}

static Err check_options(const Predictor *p, Error *err) {
    if (p->spec.tile <= 0) return OK;
    if (resizes(p))
        return err_set(err, ERR_USAGE,
                       "tiles of %d: the network sees pictures resized to %lldx%lld (data.fit: resize), there is "
                       "nothing to cut; --set data.fit=exact takes pictures as they are",
                       p->spec.tile, (long long)net_data(p->net)->size[1], (long long)net_data(p->net)->size[0]);
    if (p->spec.overlap >= p->spec.tile)
        return err_set(err, ERR_USAGE, "the overlap must be less than the tile's %d, got %d", p->spec.tile,
                       p->spec.overlap);
    return OK;
}

Err predictor_new(Predictor **out, Net *net, const PredictSpec *spec, Error *err) {
    *out = NULL;
    Predictor *p = calloc(1, sizeof *p);
    if (!p) return err_set(err, ERR_MEMORY, "out of memory");
    *p = (Predictor){.net = net, .spec = *spec, .stride = net_stride(net)};
    Err code = check_options(p, err);
    if (code == OK) code = tta_new(&p->tta, net, &spec->tta, err);
    if (code == OK)
        *out = p;
    else
        predictor_free(p);
    return code;
}

void predictor_free(Predictor *p) {
    if (!p) return;
    tta_free(p->tta);
    free(p);
}

/* ---- planning ---- */

static int64_t up_to_stride(const Predictor *p, int64_t side) {
    int64_t stride = p->stride > 0 ? p->stride : 1;
    return (side + stride - 1) / stride * stride;
}

/* Planned memory of the program for pictures of this size. */
static Err measure(const Predictor *p, int64_t height, int64_t width, double *bytes, Error *err) {
    Shape input;
    Program *program;
    TRY(net_input_shape(net_graph(p->net), 1, net_channels(p->net), height, width, &input, err));
    TRY(net_program(p->net, input, false, &program, err));
    *bytes = (double)program_stats(program).block_bytes;
    return OK;
}

/* Two programs, of a small picture and of one of half its width, give the line; a network of one size needs one. */
static Err probe(Predictor *p, const PredictPlan *plan, Error *err) {
    if (p->probed) return OK;
    int height = plan->height, width = plan->width;
    double bytes, half = 0;
    p->probed = p->stride > 0 || own_size(p, &height, &width);
    if (p->stride == 0) {
        TRY(measure(p, height, width, &bytes, err));
        p->bytes_per_place = bytes / ((double)height * width);
        return OK;
    }
    int64_t side = up_to_stride(p, PROBE_SIDE), narrow = up_to_stride(p, PROBE_SIDE / 2);
    TRY(measure(p, side, side, &bytes, err));
    if (narrow < side) TRY(measure(p, side, narrow, &half, err));
    p->bytes_per_place = (bytes - half) / (double)(side * (narrow < side ? side - narrow : side));
    p->program_bytes = fmax(bytes - p->bytes_per_place * (double)(side * side), 0);
    return OK;
}

/* What a small picture takes is seen on its own program, which is needed anyway: its result is there without compiling
 * two more. Not where memory is short, since that program is made before anybody knows. */
static bool is_small(const Predictor *p, const PredictPlan *plan) {
    const int64_t most = 4 * PROBE_SIDE * PROBE_SIDE;
    return !p->probed && p->stride > 0 && p->spec.tile <= 0 && p->spec.tta.n_scales == 0 &&
           p->spec.memory_mb >= PREDICT_MEMORY_MB &&
           up_to_stride(p, plan->height) * up_to_stride(p, plan->width) <= most;
}

static Err measure_itself(Predictor *p, const PredictPlan *plan, Error *err) {
    int64_t height = up_to_stride(p, plan->height), width = up_to_stride(p, plan->width);
    double bytes;
    TRY(measure(p, height, width, &bytes, err));
    p->bytes_per_place = bytes / (double)(height * width);
    p->program_bytes = 0;
    return OK;
}

/* Whether it takes several tiles. */
static bool is_cut(const PredictPlan *plan) {
    return plan->tile_height < plan->height || plan->tile_width < plan->width;
}

/* Programs for one tile at each scale, and the planes that go in and come out. */
static double tile_bytes(const Predictor *p, const PredictPlan *plan, int channels) {
    static const double as_it_is[] = {1};
    const TtaSpec *tta = &p->spec.tta;
    int n = tta->n_scales > 0 ? tta->n_scales : 1;
    const double *scales = tta->n_scales > 0 ? tta->scales : as_it_is;
    double places = (double)up_to_stride(p, plan->tile_height) * (double)up_to_stride(p, plan->tile_width);
    double bytes = 0, largest = 1;
    for (int i = 0; i < n; i++) {
        bytes += p->program_bytes + p->bytes_per_place * places * scales[i] * scales[i];
        largest = fmax(largest, scales[i] * scales[i]);
    }
    /* the Net's padded and cropped planes; of several views the resized, mirrored, resized back, and the sum */
    bool softmax = tta_has_scores(p->tta) && (tta->probabilities || is_cut(plan));
    double copies = tta_views(tta) > 1 ? 1 + 2 * largest : softmax ? 2 : 0;
    return bytes + places * (channels * (1 + copies) + plan->out_channels * (1 + copies)) * (double)sizeof(float);
}

static TiledSpec tiled_spec(const Predictor *p, const PredictPlan *plan, int channels) {
    return (TiledSpec){.stride = (int)up_to_stride(p, 1),
                       .height = plan->height,
                       .width = plan->width,
                       .channels = channels,
                       .tile_height = plan->tile_height,
                       .tile_width = plan->tile_width,
                       .overlap_height = plan->overlap_height,
                       .overlap_width = plan->overlap_width};
}

/* All that is foreseen: the picture, the weights and what is packed of them, programs, blending, the caller's rows. */
static void foresee(const Predictor *p, const Image *image, PredictPlan *plan) {
    int channels = net_channels(p->net);
    TiledSpec tiled = tiled_spec(p, plan, channels);
    double step = plan->tile_height - plan->overlap_height;
    if (plan->tile_height >= plan->height) step = plan->height;
    plan->tiles = tile_count(plan->height, plan->tile_height, plan->overlap_height, tiled.stride) *
                  tile_count(plan->width, plan->tile_width, plan->overlap_width, tiled.stride);
    plan->bytes = BASE_BYTES + (double)image_bytes(image) + (double)net_weights(p->net)->size * sizeof(float) +
                  tile_bytes(p, plan, channels) + tiled_bytes(&tiled, plan->out_channels) +
                  p->spec.extra_bytes * step * plan->width;
}

static int overlap_of(const Predictor *p, int tile) {
    return p->spec.overlap == PREDICT_OVERLAP ? tile / 4 : p->spec.overlap < tile ? p->spec.overlap : tile - 1;
}

/* Tiles of this side, not larger than the picture. */
static void lay_tiles(const Predictor *p, const Image *image, int side, PredictPlan *plan) {
    int height = side, width = side;
    bool fixed = own_size(p, &height, &width), viewed = p->spec.tta.flip || p->spec.tta.n_scales > 0;
    /* A tile that ends where a padded picture would needs no copies to pad and to crop it. Other views are of the
     * picture alone. */
    int whole_height = viewed ? plan->height : (int)up_to_stride(p, plan->height);
    int whole_width = viewed ? plan->width : (int)up_to_stride(p, plan->width);
    plan->tile_height = fixed || height < plan->height ? height : whole_height;
    plan->tile_width = fixed || width < plan->width ? width : whole_width;
    plan->overlap_height = overlap_of(p, plan->tile_height);
    plan->overlap_width = overlap_of(p, plan->tile_width);
    foresee(p, image, plan);
}

static double budget(const Predictor *p) {
    return p->spec.memory_mb * 1e6;
}

static Err too_large(const Predictor *p, const PredictPlan *plan, Error *err) {
    const char *cure = p->spec.tile > 0 ? "give more, or smaller tiles" : "give more";
    return err_set(err, ERR_MEMORY,
                   "a picture of %dx%d with %d channels of results needs about %.0f MB in tiles of %dx%d, the limit is "
                   "%d MB: %s (--memory)",
                   plan->width, plan->height, plan->out_channels, plan->bytes / 1e6, plan->tile_width,
                   plan->tile_height, p->spec.memory_mb, cure);
}

/* As a whole, else the largest tiles that fit. */
static Err choose_tiles(Predictor *p, const Image *image, PredictPlan *plan, Error *err) {
    static const int sides[] = {1024, 768, 512, 384, 256, 192, 128, 96, 64};
    int height, width;
    if (is_small(p, plan))
        TRY(measure_itself(p, plan, err));
    else
        TRY(probe(p, plan, err));
    lay_tiles(p, image, INT32_MAX / 2, plan);
    if (plan->bytes <= budget(p) || own_size(p, &height, &width)) return OK;
    TRY(probe(p, plan, err));
    for (size_t i = 0; i < sizeof sides / sizeof *sides && plan->bytes > budget(p); i++)
        lay_tiles(p, image, (int)up_to_stride(p, sides[i]), plan);
    return plan->bytes <= budget(p) ? OK : too_large(p, plan, err);
}

static Err check_size(const Predictor *p, const PredictPlan *plan, Error *err) {
    int height = 0, width = 0;
    if (p->spec.tile > 0 || !own_size(p, &height, &width) || (plan->width == width && plan->height == height))
        return OK;
    return err_set(err, ERR_DATA,
                   "the picture is %dx%d, this network takes %dx%d only; the setting data.fit=resize with "
                   "data.size=[%d, %d] resizes pictures, tiles cut them",
                   plan->width, plan->height, width, height, height, width);
}

Err predictor_plan(Predictor *p, const Image *image, PredictPlan *plan, Error *err) {
    const Graph *graph = net_graph(p->net);
    const int64_t *size = net_data(p->net)->size;
    bool segments = net_experiment(p->net)->task == TASK_SEGMENTATION;
    *plan = (PredictPlan){.width = resizes(p) ? (int)size[1] : image->width,
                          .height = resizes(p) ? (int)size[0] : image->height,
                          .out_channels = segments ? (int)graph->shapes[graph->outputs[0]].dim[1] : image->channels};
    if (!resizes(p)) TRY(check_size(p, plan, err));
    if (p->spec.tile <= 0) {
        TRY(choose_tiles(p, image, plan, err));
    } else {
        TRY(probe(p, plan, err));
        lay_tiles(p, image, (int)up_to_stride(p, p->spec.tile), plan);
        if (plan->bytes > budget(p)) return too_large(p, plan, err);
    }
    net_limit_programs(p->net, (size_t)fmax(budget(p) - plan->bytes + tile_bytes(p, plan, net_channels(p->net)), 0));
    return OK;
}

/* ---- running ---- */

/* One picture being run. */
typedef struct Run {
    Predictor *predictor;
    const PredictPlan *plan;
    const Image *image; /* at the plan's size */
    Image window;       /* a tile's pixels */
    PredictTake take;
    void *context;
} Run;

/* The tile's pixels, closed up, then as the network sees them. */
static Err read_tile(void *context, int y, int x, float *dst, Error *err) {
    Run *r = context;
    const PredictPlan *plan = r->plan;
    const DataConfig *data = net_data(r->predictor->net);
    const Image *image = r->image;
    int height = plan->tile_height < image->height - y ? plan->tile_height : image->height - y;
    int width = plan->tile_width < image->width - x ? plan->tile_width : image->width - x;
    Image view = *image;
    size_t pixel = (size_t)image->channels * (size_t)(image->depth / 8), line = (size_t)image->width * pixel;
    view.height = height;
    view.data = image->u8 + (size_t)y * line;
    if (width < image->width) {
        if (!r->window.data)
            TRY(image_new(&r->window, plan->tile_width, plan->tile_height, image->channels, image->depth, err));
        for (int row = 0; row < height; row++)
            memcpy(r->window.u8 + (size_t)row * (size_t)width * pixel,
                   image->u8 + (size_t)(y + row) * line + (size_t)x * pixel, (size_t)width * pixel);
        view.data = r->window.data;
        view.width = width;
    }
    data_normalize_padded(data, &view, plan->tile_height, plan->tile_width, dst);
    return OK;
}

static Err run_tile(void *context, const float *input, const float **output, int *channels, Error *err) {
    Run *r = context;
    Predictor *p = r->predictor;
    const PredictPlan *plan = r->plan;
    Shape shape;
    TRY(tta_run(p->tta, 1, r->image->channels, plan->tile_height, plan->tile_width, input, output, &shape, err));
    bool segments = net_experiment(p->net)->task == TASK_SEGMENTATION;
    bool planes = shape.rank == 4 && shape.dim[2] == plan->tile_height && shape.dim[3] == plan->tile_width;
    int64_t values = (int64_t)r->image->channels * plan->tile_height * plan->tile_width;
    char text[SHAPE_TEXT_BYTES];
    if (segments && !planes)
        return err_set(err, ERR_DATA, "the network's result is %s for a picture of %dx%d: no class per pixel",
                       shape_text(shape, text), plan->tile_width, plan->tile_height);
    if (!segments && shape_size(shape) != values)
        return err_set(err, ERR_DATA, "the network's result is %s for a picture of %dx%dx%d: no reconstruction",
                       shape_text(shape, text), r->image->channels, plan->tile_height, plan->tile_width);
    *channels = segments ? (int)shape.dim[1] : r->image->channels;
    return OK;
}

static Err take_block(void *context, const TileBlock *block, Error *err) {
    const Run *r = context;
    return r->take(r->context, block, err);
}

static Err run_fitted(Run *r, const volatile sig_atomic_t *stop, Error *err) {
    TiledSpec tiled = tiled_spec(r->predictor, r->plan, r->image->channels);
    tiled.stop = stop;
    tiled.context = r;
    tiled.read = read_tile;
    tiled.run = run_tile;
    tiled.take = take_block;
    Err code = tiled_run(&tiled, err);
    image_free(&r->window);
    return code;
}

Err predictor_run(Predictor *p, const PredictPlan *plan, const Image *image, PredictTake take, void *context,
                  const volatile sig_atomic_t *stop, Error *err) {
    Run r = {.predictor = p, .plan = plan, .image = image, .take = take, .context = context};
    tta_give_probabilities(p->tta, is_cut(plan)); /* what is averaged, in tiles as over views */
    if (image->width == plan->width && image->height == plan->height) return run_fitted(&r, stop, err);
    Image fitted = {0};
    TRY(image_resize(image, plan->width, plan->height, false, &fitted, err));
    r.image = &fitted;
    Err code = run_fitted(&r, stop, err);
    image_free(&fitted);
    return code;
}

static Err classify(Predictor *p, const Image *image, const float **values, int *n, Error *err) {
    float *planes = block_alloc(image_bytes(image) / (size_t)(image->depth / 8) * sizeof(float));
    Shape shape;
    if (!planes) return err_set(err, ERR_MEMORY, "no memory for a picture of %dx%d", image->width, image->height);
    data_normalize(net_data(p->net), image, planes);
    Err code = tta_run(p->tta, 1, image->channels, image->height, image->width, planes, values, &shape, err);
    block_free(planes);
    if (code == OK) *n = (int)shape.dim[1];
    return code;
}

Err predictor_classify(Predictor *p, const Image *image, const float **values, int *n, Error *err) {
    const int64_t *size = net_data(p->net)->size;
    PredictPlan plan = {.width = image->width, .height = image->height};
    if (!resizes(p)) {
        TRY(check_size(p, &plan, err));
        return classify(p, image, values, n, err);
    }
    Image fitted = {0};
    TRY(image_resize(image, (int)size[1], (int)size[0], false, &fitted, err));
    Err code = classify(p, &fitted, values, n, err);
    image_free(&fitted);
    return code;
}

void tile_block_best(const TileBlock *block, int row, uint8_t *classes, float *values) {
    scores_best(block->channels, block->width, block->plane_stride, block->values + row * block->row_stride, classes,
                values);
}
