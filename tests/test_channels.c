/* test_channels.c - pictures that are not RGB, from files to predictions: trained by the program, with all
 * augmentations, evaluated, packed, predicted. What is to be found shows in the last channel alone, so a channel that
 * is lost or made up shows in the score. */
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 16, N_TRAIN = 24, N_VAL = 6 };

static Folder dir;
static Arena *arena;
static Rng rng;

/* Run the program in the test's folder; its exit code. What it says goes to out and err there. */
static int run(const char *arguments) {
    const char *command = arena_printf(arena, "cd %s && %s %s >out 2>err", dir.path, SANDGLASS_PROGRAM, arguments);
    return system(command) >> 8;
}

static const char *said(const char *name) {
    size_t n;
    uint8_t *bytes = read_bytes(folder_file(&dir, name), &n);
    char *text = arena_strndup(arena, (char *)bytes, n);
    free(bytes);
    return text;
}

static void run_well(const char *arguments) {
    if (run(arguments) != 0) fail_msg("%s: %s", arguments, said("err"));
}

/* A square that shows in `signal` alone; noise elsewhere. */
static void put_scene(const char *split, int i, int n_noise, Image *noise, Image *signal) {
    uint8_t mask[SIDE * SIDE] = {0};
    int x0 = (int)rng_below(&rng, SIDE / 2), y0 = (int)rng_below(&rng, SIDE / 2);
    for (int y = 0; y < SIDE / 2; y++) memset(mask + (y0 + y) * SIDE + x0, 1, SIDE / 2);
    *noise = random_image(&rng, SIDE, SIDE, n_noise, 8);
    if (image_new(signal, SIDE, SIDE, 1, 16, NULL) != OK) fail();
    for (int p = 0; p < SIDE * SIDE; p++)
        signal->u16[p] = (uint16_t)((mask[p] ? 45000 : 15000) + rng_below(&rng, 5000));
    save_grey(folder_file(&dir, arena_printf(arena, "ma/%s_%02d.png", split, i)), SIDE, SIDE, mask);
}

static void put_scenes(const char *split, int n) {
    for (int i = 0; i < n; i++) {
        Image rgb, nir;
        put_scene(split, i, 3, &rgb, &nir);
        save_image(folder_file(&dir, arena_printf(arena, "rgb/%s_%02d.png", split, i)), &rgb);
        save_image(folder_file(&dir, arena_printf(arena, "nir/%s_%02d.png", split, i)), &nir);
        image_free(&rgb);
        image_free(&nir);
    }
}

static const char head[] = "task: segmentation\n"
                           "model:\n"
                           "  layers:\n"
                           "    - conv2d: {filters: 8, kernel: 3, padding: same}\n"
                           "    - batchnorm\n"
                           "    - activation: relu\n"
                           "    - conv2d: {filters: 2, kernel: 1}\n"
                           "train:\n"
                           "  epochs: 12\n"
                           "  batch_size: 6\n"
                           "  lr: 0.02\n"
                           "  seed: 3\n"
                           "  augment:\n"
                           "    - flip\n"
                           "    - scale\n"
                           "    - rotate\n"
                           "    - color\n"
                           "    - noise\n"
                           "    - cutout\n"
                           "    - crop: {size: 16}\n";

static void put_config(const char *name, const char *data) {
    write_text(folder_file(&dir, name), arena_printf(arena, "%sdata:\n  root: .\n%s", head, data));
}

static double score(const char *run_name) {
    run_well(arena_printf(arena, "eval %s --json", run_name));
    const char *at = strstr(said("out"), "\"miou\":");
    assert_non_null(at);
    return strtod(at + 7, NULL);
}

static void expect_good(const char *run_name) {
    double miou = score(run_name);
    if (miou < 0.9) fail_msg("%s: miou %.3f: it does not see the channel that tells", run_name, miou);
}

static const char splits[] = "  classes: [ground, square]\n"
                             "  train: {part: rest}\n"
                             "  val: {pattern: \"*val_*\"}\n";

static void expect_equal_files(const char *a, const char *b) {
    size_t n, m;
    uint8_t *x = read_bytes(folder_file(&dir, a), &n), *y = read_bytes(folder_file(&dir, b), &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* RGB and a fourth channel in files of their own. */
static void test_four(void **state) {
    put_config("four.yaml", arena_printf(arena, "  kind: folder\n  images: [rgb, nir]\n  masks: ma\n%s", splits));
    run_well("check four.yaml");
    assert_non_null(strstr(said("out"), "samples of 4 channels"));
    assert_string_equal(said("err"), "");
    run_well("train four.yaml --run four");
    expect_good("four");
    run_well("predict four rgb/val_00.png rgb/val_01.png --also nir --out pictures");
    run_well("predict four --split val --out split");
    expect_equal_files("pictures/val_00_mask.png", "split/val_00000_mask.png");
    expect_equal_files("pictures/val_01_mask.png", "split/val_00001_mask.png");
    assert_int_equal(run("predict four rgb/val_00.png --out pictures"), 1);
    assert_string_equal(said("err"),
                        "error: rgb/val_00.png: has 3 channels, the network takes 4; where the others are in files of "
                        "their own, name these with --also\nerror: 1 of 1 pictures could not be done\n");
    assert_int_equal(run("predict four rgb/val_00.png --also nir --also nir --out pictures"), 1);
    assert_string_equal(said("err"), "error: rgb/val_00.png: has 5 channels with those of --also, the network takes 4\n"
                                     "error: 1 of 1 pictures could not be done\n");
    assert_int_equal(run("predict four --split val --also nir --out pictures"), 2);
    assert_string_equal(said("err"), "error: --also and --split: a split knows all files of its pictures\n");
}

/* The same packed: the network learns the same, bit by bit. */
static void test_packed(void **state) {
    run_well("pack four.yaml --out four.h5");
    put_config("packed.yaml", "  kind: hdf5\n  file: four.h5\n  train: {}\n  val: {}\n");
    run_well("train packed.yaml --run packed");
    char a[64], b[64];
    snprintf(a, sizeof a, "%.17g", score("four"));
    snprintf(b, sizeof b, "%.17g", score("packed"));
    assert_string_equal(a, b);
}

/* One channel of 16 bit; and seven, whose last is the one that tells. */
static void test_one_and_seven(void **state) {
    put_config("one.yaml", arena_printf(arena, "  kind: folder\n  images: nir\n  masks: ma\n%s", splits));
    run_well("train one.yaml --run one");
    expect_good("one");
    run_well("predict one nir/val_00.png --out one_out");
    put_config("seven.yaml",
               arena_printf(arena, "  kind: folder\n  images: [rgb, rgb2, nir]\n  masks: ma\n%s", splits));
    run_well("train seven.yaml --run seven");
    expect_good("seven");
    run_well("predict seven rgb --also rgb2 --also nir --out seven_out");
    run_well("predict seven --split val --out seven_split");
    expect_equal_files("seven_out/val_05_mask.png", "seven_split/val_00005_mask.png");
}

/* An autoencoder of seven channels writes pictures of the first three. */
static void test_reconstruction(void **state) {
    write_text(folder_file(&dir, "auto.yaml"),
               arena_printf(arena, "task: reconstruction\n"
                                   "model: {layers: [conv2d: {filters: 7, kernel: 1}]}\n"
                                   "train: {epochs: 1, batch_size: 6, sample_every: 1}\n"
                                   "data:\n  root: .\n  kind: folder\n  images: [rgb, rgb2, nir]\n"
                                   "  train: {part: rest}\n  val: {pattern: \"*val_*\"}\n"));
    run_well("train auto.yaml --run auto");
    run_well("predict auto --split val --out auto_out");
    ImageInfo info;
    assert_int_equal(image_info(folder_file(&dir, "auto_out/val_00000_compare.png"), &info, NULL), OK);
    assert_true(info.width == 2 * SIDE && info.height == SIDE && info.channels == 3);
}

static int set_up(void **state) {
    static const char *const folders[] = {"rgb", "rgb2", "nir", "ma"};
    folder_make(&dir);
    arena = arena_new();
    rng = rng_stream(11, RNG_TEST, 0, 0);
    for (int i = 0; i < 4; i++) folder_sub(&dir, folders[i]);
    put_scenes("train", N_TRAIN);
    put_scenes("val", N_VAL);
    run_well("--version");
    return system(arena_printf(arena, "cp %s/rgb/* %s/rgb2", dir.path, dir.path));
}

static int tear_down(void **state) {
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_four), cmocka_unit_test(test_packed),
                                       cmocka_unit_test(test_one_and_seven), cmocka_unit_test(test_reconstruction)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
