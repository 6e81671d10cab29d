/* test_predictor.c - networks on pictures of any size: whole and in tiles, flips and scales, what memory allows. The
 * networks are trained for an epoch; how good they are does not matter. */
#include "base/softmax.h"
#include "scratch.h"
#include "train/predictor.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A place sees 5 places around it (two convolutions of 3, on a half and on the full size). */
static const char segmenter[] = "task: segmentation\n"
                                "name: seg\n"
                                "data: {kind: shapes, height: 32, width: 32, train: {n: 12}}\n"
                                "model:\n"
                                "  layers:\n"
                                "    - {conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}}\n"
                                "    - maxpool2d: 2\n"
                                "    - {conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}}\n"
                                "    - upsample2d: 2\n"
                                "    - {conv2d: {filters: 6, kernel: 1}}\n"
                                "train: {epochs: 1, batch_size: 4, lr: 0.01, eval_every: 0, sample_every: 0}\n";
enum { SIGHT = 6 }; /* reach to one side: 1 + 2 * 1, what pooling shifts, what bilinear mixes */
static const char denoiser[] = "task: reconstruction\n"
                               "name: den\n"
                               "data: {kind: shapes, height: 16, width: 16, train: {n: 8}}\n"
                               "model:\n"
                               "  layers:\n"
                               "    - {conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}}\n"
                               "    - {conv2d: {filters: 3, kernel: 3, padding: same}}\n"
                               "train: {epochs: 1, batch_size: 4, eval_every: 0, sample_every: 0}\n";
static const char fixed[] = "task: reconstruction\n"
                            "name: fix\n"
                            "data: {kind: shapes, height: 8, width: 12, train: {n: 8}}\n"
                            "model: {layers: [flatten, {dense: 5}, {dense: 288}, {reshape: [3, 8, 12]}]}\n"
                            "train: {epochs: 1, batch_size: 4, eval_every: 0, sample_every: 0}\n";

static Net *open_net(Scratch *s, const char *config, int n_sets, const char *const *sets) {
    static int runs; /* each in a folder of its own */
    const char *run = arena_printf(s->arena, "%s%d", scratch_path(s, "run"), runs++);
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    CHECK(config_load_text(experiment, "small.yaml", config, 0, NULL, s->arena, &s->err));
    TrainSpec spec = {.experiment = experiment, .run_dir = run, .threads = 1};
    TrainResult result;
    CHECK(train_run(&result, &spec, s->arena, &s->err));
    Checkpoint *c;
    Net *net;
    CHECK(checkpoint_open(&c, arena_printf(s->arena, "%s/last.h5", run), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, c, n_sets, sets, 1, &s->err));
    checkpoint_close(c);
    return net;
}

static Image picture(int width, int height, int channels, int depth) {
    Image image;
    if (image_new(&image, width, height, channels, depth, NULL) != OK) fail_msg("out of memory");
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                size_t i = ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels + (size_t)c;
                int value = (x * (7 + c) + y * (11 - 3 * c) + x * y / 50 + 40 * c) & 255;
                if (depth == 8)
                    image.u8[i] = (uint8_t)value;
                else
                    image.u16[i] = (uint16_t)(value * 257);
            }
    return image;
}

/* ---- results gathered ---- */

typedef struct Result {
    PredictPlan plan;
    float *values; /* out_channels, height, width */
} Result;

static Err gather(void *context, const TileBlock *b, Error *err) {
    Result *r = context;
    const PredictPlan *plan = &r->plan;
    assert_int_equal(b->channels, plan->out_channels);
    for (int c = 0; c < b->channels; c++)
        for (int y = 0; y < b->height; y++)
            memcpy(r->values + ((size_t)c * (size_t)plan->height + (size_t)(b->y + y)) * (size_t)plan->width + b->x,
                   b->values + c * b->plane_stride + y * b->row_stride, (size_t)b->width * sizeof(float));
    return OK;
}

static Result run(Scratch *s, Net *net, const PredictSpec *spec, const Image *image) {
    Predictor *p;
    Result r = {0};
    CHECK(predictor_new(&p, net, spec, &s->err));
    CHECK(predictor_plan(p, image, &r.plan, &s->err));
    size_t floats = (size_t)r.plan.out_channels * (size_t)r.plan.width * (size_t)r.plan.height;
    r.values = malloc(floats * sizeof *r.values);
    for (size_t i = 0; i < floats; i++) r.values[i] = NAN;
    CHECK(predictor_run(p, &r.plan, image, gather, &r, NULL, &s->err));
    for (size_t i = 0; i < floats; i++) assert_true(isfinite(r.values[i]));
    predictor_free(p);
    return r;
}

static const PredictSpec whole = {.memory_mb = PREDICT_MEMORY_MB, .overlap = PREDICT_OVERLAP};

/* ---- whole ---- */

/* Any size: the scores of net_run, bit by bit, and the best class of each place. */
static void test_whole(void **state) {
    static const int sizes[][2] = {{32, 32}, {481, 359}, {1, 1}, {700, 1}, {1, 700}, {37, 29}};
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        for (int depth = 8; depth <= 16; depth += 8) {
            int width = sizes[k][0], height = sizes[k][1];
            size_t places = (size_t)width * (size_t)height;
            Image image = picture(width, height, 3, depth);
            Result r = run(s, net, &whole, &image);
            assert_int_equal(r.plan.tiles, 1);
            float *planes = malloc(places * 3 * sizeof *planes);
            const float *scores;
            Shape shape;
            data_normalize(net_data(net), &image, planes);
            CHECK(net_run(net, 1, 3, height, width, planes, &scores, &shape, &s->err));
            assert_memory_equal(r.values, scores, places * 6 * sizeof *scores);
            uint8_t *wanted = malloc(places), *classes = malloc(places);
            scores_argmax(6, (int64_t)places, scores, wanted);
            TileBlock block = {.height = height,
                               .width = width,
                               .channels = 6,
                               .values = r.values,
                               .plane_stride = (int64_t)places,
                               .row_stride = width};
            for (int y = 0; y < height; y++) tile_block_best(&block, y, classes + (size_t)y * (size_t)width, NULL);
            assert_memory_equal(classes, wanted, places);
            free(wanted);
            free(classes);
            free(planes);
            free(r.values);
            image_free(&image);
        }
    }
    net_close(net);
}

/* ---- tiles ---- */

/* Whether a place is farther than `reach` from every edge of a tile that is not the picture's. */
static bool inside(const TileAxis *axis, int place, int reach) {
    for (int i = 0; i < axis->n; i++) {
        int first = axis->at[i], last = first + axis->tile - 1;
        if (place < first || place > last) continue;
        if ((first > 0 && place - first < reach) || (last < axis->size - 1 && last - place < reach)) return false;
    }
    return true;
}

/* Where a network sees all it would see, tiles are the whole; near their edges, where it does not, nearly so. */
static void check_tiles(Scratch *s, Net *net, int width, int height, int tile, int overlap) {
    Image image = picture(width, height, 3, 8);
    PredictSpec spec = whole;
    spec.tile = tile;
    spec.overlap = overlap;
    PredictSpec sure = spec, all = whole; /* asked for probabilities: of tiles they are blended in any case */
    sure.tta.probabilities = all.tta.probabilities = true;
    Result a = run(s, net, &all, &image), b = run(s, net, &spec, &image), c = run(s, net, &sure, &image);
    assert_memory_equal(b.values, c.values,
                        (size_t)width * (size_t)height * (size_t)b.plan.out_channels * sizeof(float));
    free(c.values);
    assert_int_equal(a.plan.tiles, 1);
    assert_true(b.plan.tiles > 1);
    TileAxis rows, columns;
    CHECK(tile_axis_new(&rows, height, b.plan.tile_height, b.plan.overlap_height, (int)net_stride(net), &s->err));
    CHECK(tile_axis_new(&columns, width, b.plan.tile_width, b.plan.overlap_width, (int)net_stride(net), &s->err));
    assert_int_equal(rows.n * columns.n, b.plan.tiles);
    int exact = 0;
    double scale = 0;
    size_t places = (size_t)width * (size_t)height;
    for (size_t i = 0; i < places * (size_t)a.plan.out_channels; i++) scale = fmax(scale, fabs(a.values[i]));
    for (size_t i = 0; i < places * (size_t)a.plan.out_channels; i++) {
        int x = (int)(i % (size_t)width), y = (int)(i / (size_t)width % (size_t)height);
        bool far = inside(&rows, y, SIGHT) && inside(&columns, x, SIGHT);
        exact += far;
        /* an edge's places have under a hundredth of the weight */
        double tolerance = far ? 1e-5 * scale : overlap >= tile / 4 ? 0.05 * scale : 2 * scale;
        if (!(fabs(a.values[i] - b.values[i]) <= tolerance))
            fail_msg("tiles of %d at %d, %d: %g, whole %g", tile, y, x, b.values[i], a.values[i]);
    }
    assert_true(exact > 100);
    tile_axis_free(&rows);
    tile_axis_free(&columns);
    free(a.values);
    free(b.values);
    image_free(&image);
}

static void test_tiles(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    check_tiles(s, net, 301, 203, 64, PREDICT_OVERLAP);
    check_tiles(s, net, 301, 203, 64, 32);
    check_tiles(s, net, 301, 203, 64, 0);
    check_tiles(s, net, 129, 400, 128, 30);
    check_tiles(s, net, 500, 20, 100, 25);
    net_close(net);
    net = open_net(s, denoiser, 0, NULL); /* values are blended as classes' scores are */
    check_tiles(s, net, 211, 97, 48, 12);
    net_close(net);
}

/* A network of one size sees larger pictures in tiles of it, smaller ones with their edge repeated. */
static void test_one_size(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, fixed, 0, NULL);
    Image image = picture(40, 21, 3, 8), small = picture(7, 3, 3, 8), exact = picture(12, 8, 3, 8);
    PredictSpec spec = whole;
    Predictor *p;
    PredictPlan plan;
    CHECK(predictor_new(&p, net, &whole, &s->err));
    assert_int_equal(predictor_plan(p, &image, &plan, &s->err), ERR_DATA);
    assert_string_equal(scratch_words(s), "error: the picture is 40x21, this network takes 12x8 only; the setting "
                                          "data.fit=resize with data.size=[8, 12] resizes pictures, tiles cut them\n");
    predictor_free(p);
    spec.tile = 12;
    Result r = run(s, net, &spec, &image);
    assert_true(r.plan.tile_width == 12 && r.plan.tile_height == 8 && r.plan.width == 40 && r.plan.height == 21);
    free(r.values);
    r = run(s, net, &spec, &small);
    assert_true(r.plan.tiles == 1 && r.plan.width == 7 && r.plan.height == 3);
    free(r.values);
    Result a = run(s, net, &spec, &exact), b = run(s, net, &whole, &exact);
    assert_memory_equal(a.values, b.values, 3 * 12 * 8 * sizeof(float));
    free(a.values);
    free(b.values);
    net_close(net);

    const char *const sets[] = {"data.fit=resize", "data.size=[8, 12]"};
    net = open_net(s, fixed, 2, sets);
    r = run(s, net, &whole, &image);
    assert_true(r.plan.width == 12 && r.plan.height == 8);
    free(r.values);
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: tiles of 12: the network sees pictures resized to 12x8 (data.fit: "
                                          "resize), there is nothing to cut; --set data.fit=exact takes pictures as "
                                          "they are\n");
    net_close(net);
    image_free(&image);
    image_free(&small);
    image_free(&exact);
}

/* ---- memory ---- */

static void test_memory(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    Image huge = {.width = 10000, .height = 10000, .channels = 3, .depth = 8}; /* planned only */
    PredictSpec spec = whole;
    Predictor *p;
    PredictPlan plan;
    spec.extra_bytes = 10;
    CHECK(predictor_new(&p, net, &spec, &s->err));
    CHECK(predictor_plan(p, &huge, &plan, &s->err));
    assert_true(plan.bytes < 900e6 && plan.bytes > 300e6);
    assert_true(plan.tile_width >= 256 && plan.tile_width == plan.tile_height && plan.tile_width % 2 == 0);
    int side = plan.tile_width;
    predictor_free(p);

    spec.memory_mb = 480;
    CHECK(predictor_new(&p, net, &spec, &s->err));
    CHECK(predictor_plan(p, &huge, &plan, &s->err));
    assert_true(plan.bytes < 480e6 && plan.tile_width < side);
    predictor_free(p);

    spec.memory_mb = 350;
    CHECK(predictor_new(&p, net, &spec, &s->err));
    assert_int_equal(predictor_plan(p, &huge, &plan, &s->err), ERR_MEMORY);
    const char *words = scratch_words(s);
    assert_non_null(strstr(words, "error: a picture of 10000x10000 with 6 channels of results needs about "));
    assert_non_null(strstr(words, " MB in tiles of 64x64, the limit is 350 MB: give more (--memory)\n"));
    predictor_free(p);

    spec.tile = 4096;
    CHECK(predictor_new(&p, net, &spec, &s->err));
    assert_int_equal(predictor_plan(p, &huge, &plan, &s->err), ERR_MEMORY);
    assert_non_null(strstr(scratch_words(s), "give more, or smaller tiles (--memory)\n"));
    predictor_free(p);
    net_close(net);
}

/* The Net keeps programs up to a limit, one at least; what it gives does not depend on that. */
static void test_kept_programs(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    static const int sides[] = {64, 32, 48, 64, 32, 48};
    float *input = calloc(64 * 64 * 3, sizeof *input), first[6];
    for (int i = 0; i < 6; i++) {
        const float *values;
        Shape shape;
        if (i == 3) net_limit_programs(net, 1);
        CHECK(net_run(net, 1, 3, sides[i], sides[i], input, &values, &shape, &s->err));
        if (i < 3) first[i] = values[100];
        assert_true(first[i % 3] == values[100]);
    }
    free(input);
    net_close(net);
}

/* ---- flips and scales ---- */

/* In place, as results of a network become probabilities; the places are more than one stretch and no multiple. */
static void test_softmax(void **state) {
    enum { N = 2, C = 5, S = 1037 };
    float *values = malloc(N * C * S * sizeof *values), *copy = malloc(N * C * S * sizeof *copy);
    for (int i = 0; i < N * C * S; i++) copy[i] = values[i] = (float)(40 * sin(i * 1.7) + (i % 7 == 0 ? 60 : 0));
    softmax_planes(N, C, S, values, values);
    for (int n = 0; n < N; n++)
        for (int i = 0; i < S; i++) {
            double most = -INFINITY, sum = 0;
            for (int c = 0; c < C; c++) most = fmax(most, copy[(n * C + c) * S + i]);
            for (int c = 0; c < C; c++) sum += exp(copy[(n * C + c) * S + i] - most);
            for (int c = 0; c < C; c++)
                assert_float_equal(values[(n * C + c) * S + i], exp(copy[(n * C + c) * S + i] - most) / sum, 1e-6);
        }
    free(values);
    free(copy);
}

/* Planes are resized as pictures are. */
static void test_planes_resize(void **state) {
    Image a = {0}, b = {0};
    static const int to[][2] = {{20, 14}, {9, 7}, {31, 3}, {1, 1}, {15, 11}};
    for (size_t k = 0; k < sizeof to / sizeof *to; k++) {
        assert_int_equal(image_new(&a, 15, 11, 1, 32, NULL), OK);
        for (int i = 0; i < 15 * 11; i++) a.f32[i] = (float)((i * 37) % 101) - 50;
        float planes[2 * 15 * 11], out[2 * 31 * 14];
        memcpy(planes, a.f32, sizeof planes / 2);
        for (int i = 0; i < 15 * 11; i++) planes[15 * 11 + i] = -a.f32[i];
        int width = to[k][0], height = to[k][1], n = width * height;
        assert_int_equal(image_resize(&a, width, height, false, &b, NULL), OK);
        assert_int_equal(planes_resize(2, 11, 15, planes, height, width, out, NULL), OK);
        for (int i = 0; i < n; i++) {
            assert_float_equal(out[i], b.f32[i], 1e-4);
            assert_float_equal(out[n + i], -b.f32[i], 1e-4);
        }
        image_free(&a);
        image_free(&b);
    }
}

/* Probabilities of one view, at the size of the picture, put together by hand. */
static void view(Scratch *s, Net *net, const float *planes, int height, int width, double scale, bool mirrored,
                 double *sum) {
    int h = (int)lround(height * scale), w = (int)lround(width * scale);
    float *in = malloc((size_t)(3 * h * w) * sizeof *in), *turned = malloc((size_t)(3 * h * w) * sizeof *turned);
    CHECK(planes_resize(3, height, width, planes, h, w, in, &s->err));
    for (int row = 0; row < 3 * h; row++)
        for (int x = 0; x < w; x++) turned[row * w + x] = in[row * w + (mirrored ? w - 1 - x : x)];
    const float *scores;
    Shape shape;
    CHECK(net_run(net, 1, 3, h, w, turned, &scores, &shape, &s->err));
    float *p = malloc((size_t)(6 * h * w) * sizeof *p), *back = malloc((size_t)(6 * height * width) * sizeof *back);
    for (int i = 0; i < h * w; i++) {
        int from = mirrored ? i / w * w + w - 1 - i % w : i;
        double total = 0;
        for (int c = 0; c < 6; c++) total += exp(scores[c * h * w + from]);
        for (int c = 0; c < 6; c++) p[c * h * w + i] = (float)(exp(scores[c * h * w + from]) / total);
    }
    CHECK(planes_resize(6, h, w, p, height, width, back, &s->err));
    for (int i = 0; i < 6 * height * width; i++) sum[i] += back[i];
    free(in);
    free(turned);
    free(p);
    free(back);
}

static void test_views(void **state) {
    enum { H = 27, W = 38 };
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    Image image = picture(W, H, 3, 8);
    float *planes = malloc(3 * H * W * sizeof *planes);
    data_normalize(net_data(net), &image, planes);
    static const TtaSpec specs[] = {{.flip = true},
                                    {.n_scales = 3, .scales = {0.75, 1, 1.5}},
                                    {.flip = true, .n_scales = 2, .scales = {1, 0.6}},
                                    {.probabilities = true}};
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        PredictSpec spec = whole;
        spec.tta = specs[k];
        double *sum = calloc(6 * H * W, sizeof *sum);
        int n = specs[k].n_scales > 0 ? specs[k].n_scales : 1;
        for (int i = 0; i < n; i++)
            for (int mirrored = 0; mirrored <= specs[k].flip; mirrored++)
                view(s, net, planes, H, W, specs[k].n_scales > 0 ? specs[k].scales[i] : 1, mirrored, sum);
        assert_int_equal(tta_views(&specs[k]), n * (1 + specs[k].flip));
        Result r = run(s, net, &spec, &image);
        for (int i = 0; i < 6 * H * W; i++) assert_float_equal(r.values[i], sum[i] / tta_views(&specs[k]), 1e-5);
        for (int i = 0; i < H * W; i++) {
            double total = 0;
            for (int c = 0; c < 6; c++) total += r.values[c * H * W + i];
            assert_float_equal(total, 1, 1e-5);
        }
        free(r.values);
        free(sum);
    }
    /* the mean over both directions is that of the mirrored picture, mirrored */
    Image mirrored = picture(W, H, 3, 8);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) memcpy(mirrored.u8 + (y * W + x) * 3, image.u8 + (y * W + W - 1 - x) * 3, 3);
    PredictSpec spec = whole;
    spec.tta.flip = true;
    Result a = run(s, net, &spec, &image), b = run(s, net, &spec, &mirrored);
    for (int i = 0; i < 6 * H * W; i++) assert_float_equal(a.values[i], b.values[i / W * W + W - 1 - i % W], 1e-5);
    free(a.values);
    free(b.values);
    /* with tiles: views of each tile, and probabilities still */
    spec.tta = specs[2];
    spec.tile = 16;
    a = run(s, net, &spec, &image);
    assert_true(a.plan.tiles > 1);
    for (int i = 0; i < H * W; i++) {
        double total = 0;
        for (int c = 0; c < 6; c++) total += a.values[c * H * W + i];
        assert_float_equal(total, 1, 1e-5);
    }
    free(a.values);
    free(planes);
    image_free(&image);
    image_free(&mirrored);
    net_close(net);
}

static void test_wrong_options(void **state) {
    Scratch *s = *state;
    Net *net = open_net(s, segmenter, 0, NULL);
    Predictor *p;
    PredictSpec spec = whole;
    spec.tta = (TtaSpec){.n_scales = 1, .scales = {0}};
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: scales: must be between 0.1 and 10, got 0\n");
    spec.tta.n_scales = 6;
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: scales: at most 5, got 6\n");
    spec = whole;
    spec.tile = 64;
    spec.overlap = 64;
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: the overlap must be less than the tile's 64, got 64\n");
    net_close(net);
    net = open_net(s, denoiser, 0, NULL);
    spec = whole;
    spec.tta = (TtaSpec){.n_scales = 1, .scales = {2}};
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: scales mean nothing for a network whose task is reconstruction\n");
    net_close(net);
    net = open_net(s, fixed, 0, NULL);
    assert_int_equal(predictor_new(&p, net, &spec, &s->err), ERR_USAGE);
    assert_string_equal(scratch_words(s), "error: scales: the network takes pictures of one size only\n");
    net_close(net);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_set_up, scratch_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_whole),         TEST(test_tiles),         TEST(test_one_size),
        TEST(test_memory),        TEST(test_kept_programs), TEST(test_softmax),
        TEST(test_planes_resize), TEST(test_views),         TEST(test_wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
