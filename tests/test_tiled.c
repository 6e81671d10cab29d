/* test_tiled.c - the grid of tiles, the weights of the blend by hand, blended tiles against a naive reference in
 * double, and what becomes of errors and the wish to stop. */
#include "train/tiled.h"

#include "base/arena.h"
#include "base/rng.h"

#include "seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the grid ---- */

static void check_grid(int size, int tile, int overlap, int stride, int n, const int *at) {
    TileAxis axis;
    assert_int_equal(tile_axis_new(&axis, size, tile, overlap, stride, NULL), OK);
    assert_int_equal(axis.n, n);
    assert_int_equal(tile_count(size, tile, overlap, stride), n);
    for (int i = 0; i < n; i++) assert_int_equal(axis.at[i], at[i]);
    tile_axis_free(&axis);
}

static void test_grid(void **state) {
    check_grid(10, 4, 1, 1, 3, (const int[]){0, 3, 6});
    check_grid(11, 4, 1, 1, 4, (const int[]){0, 2, 5, 7}); /* spread evenly, the last at the edge: 7/3 apart */
    check_grid(4, 4, 3, 1, 1, (const int[]){0});
    check_grid(3, 4, 0, 1, 1, (const int[]){0}); /* smaller than a tile */
    check_grid(5, 4, 2, 1, 2, (const int[]){0, 1});
    check_grid(12, 4, 0, 1, 3, (const int[]){0, 4, 8});
    check_grid(11, 4, 0, 2, 3, (const int[]){0, 4, 8});       /* as if padded to 12 */
    check_grid(11, 4, 1, 2, 5, (const int[]){0, 2, 4, 6, 8}); /* at most one stride apart */
    check_grid(40, 16, 4, 8, 4, (const int[]){0, 8, 16, 24});
}

/* Whatever the numbers: from 0 to the end, without gaps, overlapping as asked, on multiples of the stride. */
static void test_any_grid(void **state) {
    for (int stride = 1; stride <= 8; stride *= 2)
        for (int tile = stride; tile <= 24; tile += stride)
            for (int overlap = 0; overlap < tile; overlap += 3)
                for (int size = 1; size < 90; size += 7) {
                    TileAxis axis;
                    assert_int_equal(tile_axis_new(&axis, size, tile, overlap, stride, NULL), OK);
                    int most = tile - overlap < stride ? stride : tile - overlap, last = axis.at[axis.n - 1];
                    assert_int_equal(axis.at[0], 0);
                    for (int i = 1; i < axis.n; i++) {
                        assert_int_equal(axis.at[i] % stride, 0);
                        assert_in_range(axis.at[i] - axis.at[i - 1], 1, most);
                    }
                    assert_true(last + tile >= size && last < size && (last == 0 || last + tile < size + stride));
                    tile_axis_free(&axis);
                }
}

/* Gaussians with a deviation of tile / 8: of a tile of 4 the places are at 3, 1, 1, 3 deviations. */
static void test_weights_by_hand(void **state) {
    TileAxis axis;
    assert_int_equal(tile_axis_new(&axis, 6, 4, 2, 1, NULL), OK);
    const double near = exp(-0.5), far = exp(-4.5);
    const double first[4] = {1, 1, near / (near + far), far / (near + far)};
    for (int k = 0; k < 4; k++) {
        assert_float_equal(axis.weight[k], first[k], 1e-7);
        assert_float_equal(axis.weight[4 + k], first[3 - k], 1e-7);
    }
    assert_float_equal(axis.weight[2], 0.98201379, 1e-7); /* 1 / (1 + e^-4) */
    tile_axis_free(&axis);

    /* the weight of a place is the same share of the sum in any two neighbouring tiles of a long row */
    assert_int_equal(tile_axis_new(&axis, 64, 16, 8, 1, NULL), OK);
    assert_int_equal(axis.n, 7);
    double mine = exp(-pow((10 - 7.5) / 2, 2) / 2), next = exp(-pow((2 - 7.5) / 2, 2) / 2);
    for (int i = 0; i < 6; i++) assert_float_equal(axis.weight[i * 16 + 10], mine / (mine + next), 1e-7);
    tile_axis_free(&axis);
}

/* ---- blending ---- */

/* A network that is none: result channel c of a tile at y, x depends on the place, the tile and the place in it. */
typedef struct Fake {
    TiledSpec spec;
    int out_channels;
    int at_y, at_x; /* of the tile that was read last */
    float *planes;
    float *result; /* out_channels, height, width: gathered */
    int *taken;    /* height, width: how often */
    int last_y, end_x;
    int tiles, fail_at;
    volatile sig_atomic_t stop;
} Fake;

static double fake_value(int c, int y, int x, int tile_y, int tile_x) {
    return sin(0.1 * c + 0.37 * y + 0.21 * x) + 0.5 * cos(1.3 * tile_y + 2.1 * tile_x + c) + 0.01 * (y - tile_y);
}

static Err fake_read(void *context, int y, int x, float *dst, Error *err) {
    Fake *f = context;
    const TiledSpec *s = &f->spec;
    f->at_y = y;
    f->at_x = x;
    for (int k = 0; k < s->channels * s->tile_height * s->tile_width; k++) dst[k] = (float)k; /* there is room */
    return OK;
}

static Err fake_run(void *context, const float *input, const float **output, int *channels, Error *err) {
    Fake *f = context;
    const TiledSpec *s = &f->spec;
    if (f->tiles++ == f->fail_at) return err_set(err, ERR_ENGINE, "no luck");
    float *to = f->planes;
    for (int c = 0; c < f->out_channels; c++)
        for (int y = 0; y < s->tile_height; y++)
            for (int x = 0; x < s->tile_width; x++)
                *to++ = (float)fake_value(c, f->at_y + y, f->at_x + x, f->at_y, f->at_x);
    *output = f->planes;
    *channels = f->out_channels;
    return OK;
}

static Err fake_take(void *context, const TileBlock *b, Error *err) {
    Fake *f = context;
    const TiledSpec *s = &f->spec;
    assert_int_equal(b->channels, f->out_channels);
    assert_true(b->y == f->last_y ? b->x == f->end_x : b->y > f->last_y && b->x == 0);
    f->last_y = b->y;
    f->end_x = b->x + b->width;
    for (int y = 0; y < b->height; y++) {
        for (int x = 0; x < b->width; x++) {
            assert_in_range(b->y + y, 0, s->height - 1);
            assert_in_range(b->x + x, 0, s->width - 1);
            size_t place = (size_t)(b->y + y) * (size_t)s->width + (size_t)(b->x + x);
            f->taken[place]++;
            for (int c = 0; c < b->channels; c++)
                f->result[(size_t)c * (size_t)s->height * (size_t)s->width + place] =
                    b->values[c * b->plane_stride + y * b->row_stride + x];
        }
    }
    return OK;
}

static void fake_new(Fake *f, const TiledSpec *spec, int out_channels) {
    size_t tile = (size_t)spec->tile_height * (size_t)spec->tile_width;
    size_t places = (size_t)spec->height * (size_t)spec->width, channels = (size_t)out_channels;
    *f = (Fake){.spec = *spec, .out_channels = out_channels, .last_y = -1, .fail_at = -1};
    f->planes = malloc(channels * tile * sizeof *f->planes);
    f->result = malloc(channels * places * sizeof *f->result);
    f->taken = calloc(places, sizeof *f->taken);
    f->spec.context = f;
    f->spec.read = fake_read;
    f->spec.run = fake_run;
    f->spec.take = fake_take;
    f->spec.stop = &f->stop;
}

static void fake_free(Fake *f) {
    free(f->planes);
    free(f->result);
    free(f->taken);
}

static int start_of(int i, int n, int size, int tile, int stride) {
    return n == 1 ? 0 : (int)floor(i * ceil((double)(size - tile) / stride) / (n - 1) + 0.5) * stride;
}

static double gauss(double i, int tile) {
    return exp(-pow((i - (tile - 1) / 2.0) / (tile / 8.0), 2) / 2);
}

/* sum of w p / sum of w, with the window of both axes at once. */
static double reference(const TiledSpec *s, int c, int y, int x) {
    int rows = tile_count(s->height, s->tile_height, s->overlap_height, s->stride);
    int columns = tile_count(s->width, s->tile_width, s->overlap_width, s->stride);
    double sum = 0, weights = 0;
    for (int i = 0; i < rows; i++) {
        int top = start_of(i, rows, s->height, s->tile_height, s->stride);
        if (y < top || y >= top + s->tile_height) continue;
        for (int j = 0; j < columns; j++) {
            int left = start_of(j, columns, s->width, s->tile_width, s->stride);
            if (x < left || x >= left + s->tile_width) continue;
            double w = gauss(y - top, s->tile_height) * gauss(x - left, s->tile_width);
            sum += w * fake_value(c, y, x, top, left);
            weights += w;
        }
    }
    return sum / weights;
}

static void check_blend(const TiledSpec *spec, int out_channels) {
    Fake f;
    Error err = ERROR_INIT;
    fake_new(&f, spec, out_channels);
    if (tiled_run(&f.spec, &err) != OK) fail_msg("%s", err.text);
    size_t places = (size_t)spec->height * (size_t)spec->width;
    for (size_t i = 0; i < places; i++) {
        if (f.taken[i] != 1) fail_msg("place %zu was handed out %d times", i, f.taken[i]);
        for (int c = 0; c < out_channels; c++) {
            int y = (int)(i / (size_t)spec->width), x = (int)(i % (size_t)spec->width);
            double wanted = reference(spec, c, y, x), got = f.result[(size_t)c * places + i];
            if (!(fabs(got - wanted) < 3e-6)) fail_msg("channel %d at %d, %d: %.9g, not %.9g", c, y, x, got, wanted);
        }
    }
    fake_free(&f);
}

static void test_blend(void **state) {
    Rng rng = rng_stream(test_seed(), RNG_TEST, 0, 0);
    for (int trial = 0; trial < 120; trial++) {
        TiledSpec spec = {.height = 1 + (int)rng_below(&rng, 60),
                          .width = 1 + (int)rng_below(&rng, 60),
                          .channels = 1 + (int)rng_below(&rng, 3),
                          .stride = 1 + (int)rng_below(&rng, 4)};
        spec.tile_height = spec.stride * (1 + (int)rng_below(&rng, 24 / spec.stride));
        spec.tile_width = spec.stride * (1 + (int)rng_below(&rng, 24 / spec.stride));
        spec.overlap_height = (int)rng_below(&rng, spec.tile_height); /* also more than half */
        spec.overlap_width = (int)rng_below(&rng, spec.tile_width);
        check_blend(&spec, 1 + (int)rng_below(&rng, 4));
    }
    /* one row of tiles, one column, and as narrow as can be */
    check_blend(&(TiledSpec){.height = 1,
                             .width = 50,
                             .channels = 3,
                             .tile_height = 1,
                             .tile_width = 16,
                             .overlap_height = 0,
                             .overlap_width = 4,
                             .stride = 1},
                2);
    check_blend(&(TiledSpec){.height = 50,
                             .width = 1,
                             .channels = 3,
                             .tile_height = 16,
                             .tile_width = 1,
                             .overlap_height = 4,
                             .overlap_width = 0,
                             .stride = 1},
                2);
    check_blend(&(TiledSpec){.height = 50,
                             .width = 9,
                             .channels = 3,
                             .tile_height = 16,
                             .tile_width = 32,
                             .overlap_height = 4,
                             .overlap_width = 8,
                             .stride = 1},
                2); /* tiles wider than the picture */
}

static void test_stop_and_failure(void **state) {
    TiledSpec spec = {.height = 40,
                      .width = 40,
                      .channels = 1,
                      .tile_height = 16,
                      .tile_width = 16,
                      .overlap_height = 4,
                      .overlap_width = 4,
                      .stride = 1};
    Fake f;
    Error err = ERROR_INIT;
    fake_new(&f, &spec, 2);
    f.fail_at = 4;
    assert_int_equal(tiled_run(&f.spec, &err), ERR_ENGINE);
    assert_string_equal(err.text, "error: no luck\n");
    assert_int_equal(f.tiles, 5);
    fake_free(&f);
    fake_new(&f, &spec, 2);
    f.stop = 1;
    assert_int_equal(tiled_run(&f.spec, NULL), ERR_STOPPED);
    assert_int_equal(f.tiles, 0);
    fake_free(&f);
}

/* 10,000 x 10,000 with 12 classes in tiles of 512: input, one tile, and the overlap of two rows of tiles. */
static void test_memory(void **state) {
    TiledSpec spec = {.height = 10000,
                      .width = 10000,
                      .channels = 3,
                      .tile_height = 512,
                      .tile_width = 512,
                      .overlap_height = 128,
                      .overlap_width = 128,
                      .stride = 1};
    double wanted = 4.0 * (3 * 512 * 512 + 12.0 * (512 * 512 + (512 - 379) * 10000.0));
    assert_float_equal(tiled_bytes(&spec, 12), wanted, 1);
    spec.height = 1000000; /* does not grow with the height */
    assert_true(fabs(tiled_bytes(&spec, 12) - wanted) < 3e6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),  cmocka_unit_test(test_any_grid),         cmocka_unit_test(test_weights_by_hand),
        cmocka_unit_test(test_blend), cmocka_unit_test(test_stop_and_failure), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
