/* test_see.c - sandglass analyze anomaly, codes, compress, filters, maps and excite, and grids of pictures, on a small
 * autoencoder of generated pictures: what they write, their figures where those are known, and their messages.
 *
 * The pictures are 8x8 in grey: bars across, upright or slanted, by label 0 to 2; label 3 is a checkerboard, which the
 * autoencoder of the tests is trained without.
 */
#include "base/rng.h"
#include "data_files.h"
#include "model/weights.h"
#include "scratch.h"
#include "train/features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* after the headers it needs */
#include <cmocka.h>

enum { SIDE = 8, N = 240 };

static const char config[] = "task: reconstruction\n"
                             "data:\n"
                             "  kind: idx\n"
                             "  images: a.idx\n"
                             "  labels: l.idx\n"
                             "  train: {without: [3]}\n"
                             "  val: {without: [3]}\n"
                             "  all: {}\n"
                             "  boards: {only: [3]}\n"
                             "model:\n"
                             "  layers:\n"
                             "    - conv2d: {filters: 4, kernel: 3, padding: same, activation: relu}\n"
                             "      name: edges\n"
                             "    - dense: 6\n"
                             "      name: code\n"
                             "    - dense: 64\n"
                             "      name: drawn\n"
                             "    - reshape: [1, 8, 8]\n"
                             "    - activation: sigmoid\n"
                             "      name: picture\n"
                             "train: {epochs: 60, batch_size: 20, lr: 0.01, loss: bce, seed: 1}\n";

static Scratch *s;

/* ---- the run ---- */

static uint8_t pixel(int label, int x, int y, int phase) {
    int bar = label == 0 ? y : label == 1 ? x : x + y;
    if (label == 3) return (x + y + phase) % 2 ? 230 : 20;
    return (bar + phase) / 2 % 2 ? 220 : 15;
}

static void put32(FILE *file, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) fputc((int)(value >> shift & 255), file);
}

static void write_pictures(void) {
    FILE *images = fopen(scratch_path(s, "a.idx"), "wb"), *labels = fopen(scratch_path(s, "l.idx"), "wb");
    put32(images, 2051);
    put32(images, N);
    put32(images, SIDE);
    put32(images, SIDE);
    put32(labels, 2049);
    put32(labels, N);
    for (int i = 0; i < N; i++) {
        Rng rng = rng_stream(1, RNG_TEST, (uint64_t)i, 0);
        int label = i % 4, phase = (int)rng_below(&rng, 4);
        for (int p = 0; p < SIDE * SIDE; p++)
            fputc(pixel(label, p % SIDE, p / SIDE, phase) + (int)rng_below(&rng, 16), images);
        fputc(label, labels);
    }
    fclose(images);
    fclose(labels);
}

/* Runs the program; stdout and stderr go to files. Returns the exit code. */
static int run(const char *arguments) {
    const char *command = arena_printf(s->arena, "cd %s && OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0 '%s' %s >out 2>err",
                                       s->folder, SANDGLASS_PROGRAM, arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *text_of(const char *file) {
    size_t bytes;
    char *data = scratch_read(scratch_path(s, file), &bytes), *text = arena_strdup(s->arena, data);
    free(data);
    return text;
}

static void succeed(const char *arguments) {
    if (run(arguments) != 0) fail_msg("sandglass %s:\n%s", arguments, text_of("err"));
}

static void fail_with(int code, const char *arguments, const char *words) {
    assert_int_equal(run(arguments), code);
    assert_string_equal(text_of("err"), words);
}

/* The number behind "KEY": in JSON text; the first one from `from` on. */
static double number_of(const char *json, const char *from, const char *key) {
    const char *at = strstr(json, from);
    if (at) at = strstr(at, arena_printf(s->arena, "\"%s\":", key));
    if (!at) fail_msg("no %s behind %s in %s", key, from, json);
    return strtod(at + strlen(key) + 3, NULL);
}

static Image picture(const char *file) {
    Image image;
    CHECK(image_load(scratch_path(s, file), 3, &image, &s->err));
    return image;
}

static int set_up(void **state) {
    if (scratch_set_up((void **)&s) != 0) return -1;
    write_pictures();
    write_text(scratch_path(s, "net.yaml"), config);
    write_text(scratch_path(s, "other.yaml"), "data:\n  kind: idx\n  train: {images: a.idx}\n"
                                              "  val: {images: a.idx, labels: l.idx, only: 3}\n");
    write_text(scratch_path(s, "wide.yaml"), "data: {kind: shapes, height: 16, width: 16, val: {n: 4}}\n");
    if (run("train net.yaml --run run --set data.root=.") != 0) {
        fprintf(stderr, "%s", text_of("err"));
        return -1;
    }
    return 0;
}

static int tear_down(void **state) {
    return scratch_tear_down((void **)&s);
}

/* ---- anomaly ---- */

static void test_anomaly(void **state) {
    succeed("analyze anomaly run --json");
    const char *json = text_of("out");
    assert_string_equal(json, text_of("run/analysis/anomaly.json"));
    assert_int_equal(number_of(json, "\"train\"", "images"), 180);
    assert_int_equal(number_of(json, "\"anomalous\"", "images"), 60);
    double auc = number_of(json, "{", "auc");
    assert_true(auc > 0.99 && auc <= 1);
    assert_true(number_of(json, "{", "detection_rate") > 0.9);
    assert_true(fabs(number_of(json, "{", "false_alarm_rate") - 0.01) < 0.011); /* val is train here */
    assert_true(number_of(json, "{", "threshold") > number_of(json, "\"normal\"", "mean_error"));
    assert_non_null(strstr(json, "{\"class\":\"3\",\"anomalous\":true,\"images\":60,"));
    assert_non_null(strstr(json, "{\"class\":\"0\",\"anomalous\":false,\"images\":60,"));
    assert_non_null(strstr(text_of("run/analysis/anomaly_roc.svg"), "</svg>"));
    assert_non_null(strstr(text_of("run/analysis/anomaly_errors.svg"), ">threshold</text>"));

    /* the same anomalies by a split of their own, and from another config */
    succeed("analyze anomaly run --json --anomalous boards --out o1");
    assert_true(number_of(text_of("out"), "{", "auc") == auc);
    succeed("analyze anomaly run --json --anomalous other.yaml --out o2");
    assert_true(number_of(text_of("out"), "{", "auc") == auc);
    /* 60 of these 240 are anomalies, the others exactly the normal pictures */
    succeed("analyze anomaly run --json --anomalous other.yaml:train --out o3");
    assert_true(fabs(number_of(text_of("out"), "{", "auc") - (auc + 3 * 0.5) / 4) < 1e-9);
    assert_non_null(strstr(text_of("out"), "\"data\":\"other.yaml:train\",\"images\":240,"));
    succeed("analyze anomaly run --json --score relative --out o10");
    assert_non_null(strstr(text_of("out"), "\"score\":\"relative\""));
    assert_true(number_of(text_of("out"), "\"normal\"", "mean_error") > number_of(json, "\"normal\"", "mean_error"));
    assert_true(number_of(text_of("out"), "{", "auc") > 0.99);
    fail_with(2, "analyze anomaly run --score best", "error: --score: unknown choice 'best' (mse, relative)\n");
    /* a quantile of 1 is the largest error */
    succeed("analyze anomaly run --json --quantile 1 --limit 50 --out o4");
    assert_true(number_of(text_of("out"), "{", "false_alarm_rate") == 0);
    assert_int_equal(number_of(text_of("out"), "\"anomalous\"", "images"), 50);
}

static void test_anomaly_mistakes(void **state) {
    fail_with(2, "analyze anomaly run --normal all",
              "error: --anomalous must be given: split 'all' has all classes (data.only and data.without leave none "
              "out), so there is nothing to compare with\n");
    fail_with(1, "analyze anomaly run --anomalous more", "error: the data has no split 'more'\n");
    fail_with(2, "analyze anomaly run --anomalous other.yamlx",
              "error: --anomalous: expected SPLIT or CONFIG.yaml[:SPLIT], got 'other.yamlx'\n");
    fail_with(1, "analyze anomaly run --anomalous net.yaml:test",
              "net.yaml:3:3: error: data has no split 'test', it has: train, val, all, boards\n"
              "  3 |   kind: idx\n    |   ^\n");
    write_text(scratch_path(s, "none.yaml"), "task: reconstruction\n");
    fail_with(1, "analyze anomaly run --anomalous none.yaml", "error: none.yaml: has no section 'data'\n");
    fail_with(1, "analyze anomaly run --anomalous wide.yaml",
              "error: the network takes pictures of 8x8 only (height x width), got 16x16\n");
    fail_with(2, "analyze anomaly run --quantile 2", "error: --quantile: must be between 0 and 1, got 2\n");
}

/* ---- compress ---- */

static void test_compress(void **state) {
    succeed("analyze compress run --json");
    const char *json = text_of("out");
    assert_int_equal(number_of(json, "{", "images"), 180);
    assert_int_equal(number_of(json, "{", "raw_bytes"), 64);
    assert_int_equal(number_of(json, "{", "units"), 6);
    /* 6 units: ceil(6 bits / 8) bytes; fewer bits never help much */
    double last = 0;
    for (int bits = 2; bits <= 8; bits++) {
        const char *row = arena_printf(s->arena, "{\"bits\":%d,", bits);
        assert_int_equal(number_of(json, row, "bytes"), (6 * bits + 7) / 8);
        double psnr = number_of(json, row, "psnr");
        assert_true(psnr > last - 0.5);
        last = psnr;
    }
    double whole = number_of(json, "{\"bits\":32,", "psnr");
    assert_int_equal(number_of(json, "{\"bits\":32,", "bytes"), 24);
    assert_true(fabs(last - whole) < 0.5 && whole > number_of(json, "{\"bits\":2,", "psnr"));
    assert_true(number_of(json, "\"quality\":5,", "psnr") < number_of(json, "\"quality\":95,", "psnr"));
    assert_true(number_of(json, "\"quality\":50,", "file_bytes") > 600);
    assert_true(number_of(json, "\"quality\":50,", "coded_bytes") < 100);
    assert_non_null(strstr(text_of("run/analysis/compress.svg"), ">JPEG file</text>"));
    /* the network as a whole: what eval says of the split is the error of codes that are not quantised, but for the
     * rounding to 8 bits */
    succeed("eval run --json");
    assert_true(fabs(number_of(text_of("out"), "{", "mse") - number_of(json, "{\"bits\":32,", "mse")) < 2e-5);
    succeed("analyze compress run --json --bits 4 --limit 20 --out o5");
    assert_null(strstr(text_of("out"), "{\"bits\":3,"));
    assert_int_equal(number_of(text_of("out"), "{\"bits\":4,", "bytes"), 3);
    assert_int_equal(number_of(text_of("out"), "{", "images"), 20);
    fail_with(2, "analyze compress run --bits 9", "error: --bits: must be between 0 and 8, got 9\n");
}

/* ---- filters ---- */

/* A tile of 3x3 weights, 16 pixels each, in the first row. */
static void test_filters(void **state) {
    succeed("analyze filters run --json");
    const char *json = text_of("out");
    assert_non_null(strstr(json, "\"weights\":\"edges/weights\",\"tiles\":4,\"height\":3,\"width\":3,\"channels\":1,"));
    Image image = picture("run/analysis/filters.png");
    assert_true(image.width == 2 * 49 + 1 && image.height == 2 * 49 + 1);

    Checkpoint *checkpoint;
    Net *net;
    CHECK(checkpoint_open(&checkpoint, scratch_path(s, "run"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, checkpoint, 0, NULL, 1, &s->err));
    const WeightEntry *entry = weights_find(net_weights(net), "edges/weights");
    for (int o = 0; o < 4; o++) {
        const float *w = net_weights(net)->value + entry->offset + 9 * o;
        float most = 0;
        for (int k = 0; k < 9; k++) most = fmaxf(most, fabsf(w[k]));
        for (int k = 0; k < 9; k++) {
            int x = o % 2 * 49 + 1 + k % 3 * 16 + 8, y = o / 2 * 49 + 1 + k / 3 * 16 + 8;
            assert_true(fabsf(image.u8[3 * (y * image.width + x)] - (w[k] / most + 1) * 127.5F) <= 1);
        }
    }
    image_free(&image);
    net_close(net);
    checkpoint_close(checkpoint);

    succeed("analyze filters run --json --at drawn --n 5 --out o6");
    assert_non_null(strstr(text_of("out"), "\"tiles\":5,\"height\":8,\"width\":8,"));
    fail_with(1, "analyze filters run --at code",
              "error: the weights 'code/weights' are 6x256: neither what its units see nor what they give is a picture "
              "of the network's input\n");
    fail_with(1, "analyze filters run --at picture",
              "error: layer 'picture' has no filters: --at takes a dense or convolutional layer\n");
    fail_with(1, "analyze filters run --at edgse", "error: the network has no layer 'edgse', did you mean 'edges'?\n");
}

/* ---- codes ---- */

static Features values_at(const char *at) {
    Checkpoint *checkpoint;
    Net *net;
    Features features;
    CHECK(checkpoint_open(&checkpoint, scratch_path(s, "run"), false, NULL, s->arena, &s->err));
    CHECK(
        net_open(&net, checkpoint, 1, (const char *[]){arena_printf(s->arena, "data.root=%s", s->folder)}, 1, &s->err));
    CHECK(features_read(&features, net, &(FeatureSpec){.split = "val", .at = at}, &s->err));
    net_close(net);
    checkpoint_close(checkpoint);
    return features;
}

/* The figures of `values` (n of them, `step` apart) are those behind `from` in the JSON. */
static void check_stats(const char *json, const char *from, const float *values, int64_t n, int64_t step) {
    double sum = 0, squares = 0, zeros = 0, most = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        double v = (double)values[i * step];
        sum += v;
        squares += v * v;
        zeros += fabs(v) < 1e-6;
        most = fmax(most, v);
    }
    double mean = sum / (double)n;
    assert_true(fabs(number_of(json, from, "mean") - mean) < 1e-4);
    assert_true(fabs(number_of(json, from, "deviation") - sqrt(squares / (double)n - mean * mean)) < 1e-3);
    assert_true(fabs(number_of(json, from, "zeros") - zeros / (double)n) < 1e-6);
    assert_true(fabs(number_of(json, from, "max") - most) < 1e-4);
}

static void test_codes(void **state) {
    succeed("analyze codes run");
    assert_non_null(strstr(text_of("out"), "codes of 180 samples of split 'val': 1x6, 6 values, "));
    succeed("analyze codes run --json --out c1");
    const char *json = text_of("out");
    assert_string_equal(json, text_of("c1/codes.json"));
    Features codes = values_at("code");
    check_stats(json, "{", codes.values, codes.n * codes.size, 1);
    check_stats(json, "\"per_unit\"", codes.values, codes.n, codes.size); /* the first unit */
    features_free(&codes);

    succeed("analyze codes run --json --at edges --out c2"); /* behind a relu: zeros */
    Features edges = values_at("edges");
    assert_int_equal(number_of(text_of("out"), "{", "units"), 256);
    assert_true(number_of(text_of("out"), "{", "zeros") > 0.05);
    check_stats(text_of("out"), "{", edges.values, edges.n * edges.size, 1);
    features_free(&edges);
    fail_with(1, "analyze codes run --at coed", "error: the network has no layer 'coed', did you mean 'code'?\n");
}

/* ---- pictures in grids: principal components, decoded codes ---- */

/* Whether the cell of a picture of `zoom` pixels a value, with lines of 1, shows these 8x8 grey values. */
static bool shows(const Image *picture, int row, int column, int zoom, const uint8_t *values) {
    for (int p = 0; p < SIDE * SIDE; p++) {
        int x = column * (zoom * SIDE + 1) + 1 + p % SIDE * zoom, y = row * (zoom * SIDE + 1) + 1 + p / SIDE * zoom;
        for (int corner = 0; corner < 2; corner++, x += zoom - 1, y += zoom - 1)
            if (picture->u8[3 * (y * picture->width + x)] != values[p]) return false;
    }
    return true;
}

static void test_grids(void **state) {
    enum { SHOWN = 5, ZOOM = 10 };
    succeed("analyze pca run --k 2 --limit 5 --out g1");
    succeed("encode run --split val --limit 5 --out five.h5");
    succeed("decode run five.h5 --out g2");
    succeed("decode run five.h5 --out g2 --grid");
    Image sheet = picture("g1/pca.png"), grid = picture("g2/grid.png");
    assert_true(sheet.width == SHOWN * (SIDE * ZOOM + 1) + 1 && sheet.height == 3 * (SIDE * ZOOM + 1) + 1);
    assert_true(grid.width == 3 * (SIDE * ZOOM + 1) + 1 && grid.height == 2 * (SIDE * ZOOM + 1) + 1);
    Features originals = values_at("input");
    for (int i = 0; i < SHOWN; i++) {
        uint8_t values[SIDE * SIDE];
        for (int p = 0; p < SIDE * SIDE; p++) values[p] = (uint8_t)lroundf(originals.values[i * SIDE * SIDE + p] * 255);
        assert_true(shows(&sheet, 0, i, ZOOM, values));
        Image one;
        CHECK(image_load(scratch_path(s, arena_printf(s->arena, "g2/code_%04d.png", i + 1)), 1, &one, &s->err));
        assert_true(shows(&grid, i / 3, i % 3, ZOOM, one.u8));
        assert_true(shows(&sheet, 2, i, ZOOM, one.u8)); /* the network's result, by the other way */
        assert_false(shows(&sheet, 1, i, ZOOM, one.u8));
        image_free(&one);
    }
    const uint8_t *last = grid.u8 + image_bytes(&grid) - 6; /* where there is no sixth */
    assert_int_equal(last[0], 255);
    features_free(&originals);
    image_free(&sheet);
    image_free(&grid);
    fail_with(1, "decode run five.h5 --out five.h5", "error: five.h5: is not a folder\n");
}

/* ---- maps ---- */

static void test_maps(void **state) {
    succeed("analyze maps run --index 2 --json");
    const char *json = text_of("out");
    assert_non_null(strstr(json, "\"picture\":\"val[2]\""));
    assert_non_null(strstr(json, "\"channels\":4,\"height\":8,\"width\":8,\"low\":0,"));
    assert_non_null(strstr(json, "maps_code.png"));
    assert_non_null(strstr(json, "maps_picture.png"));
    Image map = picture("run/analysis/maps_picture.png");
    /* the reconstruction of bars is light where they are: their places are those of the picture itself */
    Split *split;
    Sample sample;
    Experiment experiment;
    read_experiment(&experiment, arena_printf(s->arena, "%s", config), s->arena);
    experiment.data_root = s->folder;
    CHECK(split_open(&split, &experiment, "val", &s->err));
    CHECK(split_read(split, 2, &sample, &s->err));
    int agree = 0, zoom = (map.width - 2) / SIDE;
    for (int p = 0; p < SIDE * SIDE; p++) {
        int x = 1 + p % SIDE * zoom + zoom / 2, y = 1 + p / SIDE * zoom + zoom / 2;
        agree += (map.u8[3 * (y * map.width + x)] > 127) == (sample.image.u8[p] > 127);
    }
    assert_true(agree > 56);
    image_free(&map);

    /* the same picture from a file */
    CHECK(image_save(scratch_path(s, "two.png"), &sample.image, &s->err));
    succeed("analyze maps run two.png --at code --json --out o7");
    const char *other = text_of("out");
    assert_non_null(strstr(other, "\"picture\":\"two.png\""));
    assert_true(fabs(number_of(other, "\"layer\":\"code\"", "high") - number_of(json, "\"layer\":\"code\"", "high")) <
                1e-5);
    image_free(&sample.image);
    split_close(split);

    fail_with(2, "analyze maps run --index 180", "error: --index: split 'val' has pictures 0 to 179, got 180\n");
    fail_with(2, "analyze maps run two.png --index 1", "error: --index means nothing for a picture from a file\n");
    fail_with(1, "analyze maps run --at coed", "error: the network has no layer 'coed', did you mean 'code'?\n");
    Image wide = pattern_image(9, 8, 1, 8);
    CHECK(image_save(scratch_path(s, "wide.png"), &wide, &s->err));
    image_free(&wide);
    assert_int_equal(run("analyze maps run wide.png"), 1);
    succeed("analyze maps run wide.png --at code --out o11 --set data.fit=resize --set data.size='[8, 8]'");
}

/* ---- excite ---- */

/* The code is linear in what the relu lets through, so a unit can be raised far above noise. For a layer that is linear
 * in the input the best picture is known: see below. */
static void test_excite(void **state) {
    succeed("analyze excite run --json");
    const char *json = text_of("out");
    for (int unit = 0; unit < 6; unit++) {
        const char *row = arena_printf(s->arena, "{\"unit\":%d,", unit);
        assert_true(number_of(json, row, "after") > number_of(json, row, "before") + 0.5);
    }
    assert_null(strstr(json, "{\"unit\":6,"));
    Image image = picture("run/analysis/excite.png");
    assert_true(image.width > 100);
    image_free(&image);
    /* one unit alone is what it is among all; the same seed gives the same bits */
    succeed("analyze excite run --json --unit 3 --out o8");
    assert_true(
        fabs(number_of(text_of("out"), "{\"unit\":3,", "after") / number_of(json, "{\"unit\":3,", "after") - 1) < 1e-3);
    succeed("analyze excite run --json --steps 0 --out o9");
    assert_true(number_of(text_of("out"), "{\"unit\":0,", "after") ==
                number_of(text_of("out"), "{\"unit\":0,", "before"));
    fail_with(2, "analyze excite run --unit 6", "error: --unit: layer 'code' has units 0 to 5, got '6'\n");
    fail_with(2, "analyze excite run --unit x", "error: --unit: layer 'code' has units 0 to 5, got 'x'\n");
}

/* A dense layer on the input: w x + b over 0 <= x <= 1, |x| <= rho. Its best picture is min(1, t max(w, 0)), with t
 * such that the norm is rho (all that is positive at 1 when even that is below rho). */
static void test_excite_linear(void **state) {
    write_text(scratch_path(s, "linear.yaml"),
               arena_printf(s->arena, "extends: net.yaml\nmodel:\n  layers:\n    - dense: 6\n"
                                      "      name: code\n    - dense: 64\n    - reshape: [1, 8, 8]\n"
                                      "train: {epochs: 2}\n"));
    succeed("train linear.yaml --run line --set data.root=. --set train.loss=mse");
    succeed("analyze excite line --json --norm 0.4 --steps 400");
    const char *json = text_of("out");
    Checkpoint *checkpoint;
    Net *net;
    CHECK(checkpoint_open(&checkpoint, scratch_path(s, "line"), false, NULL, s->arena, &s->err));
    CHECK(net_open(&net, checkpoint, 0, NULL, 1, &s->err));
    const float *value = net_weights(net)->value;
    const float *w = value + weights_find(net_weights(net), "code/weights")->offset;
    const float *b = value + weights_find(net_weights(net), "code/bias")->offset;
    for (int unit = 0; unit < 6; unit++, w += 64) {
        double low = 0, high = 1e6, rho = 0.4 * 8, best = (double)b[unit];
        for (int k = 0; k < 200; k++) {
            double t = (low + high) / 2, squares = 0;
            for (int i = 0; i < 64; i++) squares += pow(fmin(1, t * fmax((double)w[i], 0)), 2);
            *(squares < rho * rho ? &low : &high) = t;
        }
        for (int i = 0; i < 64; i++) best += (double)w[i] * fmin(1, low * fmax((double)w[i], 0));
        double found = number_of(json, arena_printf(s->arena, "{\"unit\":%d,", unit), "after");
        assert_true(found <= best + 1e-4 && found > best - 0.01 * fabs(best));
    }
    net_close(net);
    checkpoint_close(checkpoint);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_anomaly),      cmocka_unit_test(test_anomaly_mistakes),
                                       cmocka_unit_test(test_compress),     cmocka_unit_test(test_filters),
                                       cmocka_unit_test(test_codes),        cmocka_unit_test(test_grids),
                                       cmocka_unit_test(test_maps),         cmocka_unit_test(test_excite),
                                       cmocka_unit_test(test_excite_linear)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
