/* test_init.c - `sandglass init` as a person uses it, on trees of every usual kind: what it writes passes `check` and
 * trains, from another folder, with nothing set but the size of the network; nothing is written over, and a failure
 * leaves nothing behind.
 */
#include "data_files.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- making trees ---- */

static const char *place(Scratch *s, const char *name) {
    char *path = arena_printf(s->arena, "%s/data/%s", s->folder, name);
    for (char *slash = path + strlen(s->folder) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    return path;
}

enum { WIDTH = 24, HEIGHT = 16 };

/* Class of a pixel: a rectangle and a strip, elsewhere in each picture. */
static int class_at(int i, int x, int y) {
    if (x >= i % 8 && x < i % 8 + 8 && y >= 3 && y < 9) return 1;
    return y >= 12 ? 2 : 0;
}

typedef struct Kind {
    int channels, depth;
    const char *extension;
    bool turned; /* by EXIF */
    int grow;    /* pixels that each picture is larger than the one before */
} Kind;

/* A JPEG file with an EXIF orientation of 6: it is turned a quarter to the right when shown. */
static void insert_orientation(const char *path) {
    static const uint8_t exif[] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8,
                                   0,    1,    1, 18, 0,   3,   0,   0,   0, 1, 0,   6,   0, 0,  0, 0, 0, 0};
    size_t n;
    uint8_t *bytes = read_bytes(path, &n), *out = malloc(n + sizeof exif);
    memcpy(out, bytes, 2);
    memcpy(out + 2, exif, sizeof exif);
    memcpy(out + 2 + sizeof exif, bytes + 2, n - 2);
    write_bytes(path, out, n + sizeof exif);
    free(bytes);
    free(out);
}

static void put_picture(Scratch *s, const char *stem, int i, Kind kind) {
    Image image;
    int width = WIDTH + i * kind.grow, height = HEIGHT + i * kind.grow;
    assert_int_equal(image_new(&image, width, height, kind.channels, kind.depth, NULL), OK);
    Rng rng = rng_stream(5, RNG_TEST, (uint64_t)i, 0);
    for (int p = 0; p < width * height; p++) {
        for (int c = 0; c < kind.channels; c++) {
            int value = 40 + 70 * class_at(i, p % width, p / width) + (int)rng_below(&rng, 30);
            if (kind.depth == 16)
                image.u16[p * kind.channels + c] = (uint16_t)(value * 200);
            else
                image.u8[p * kind.channels + c] = c == 3 ? 255 : (uint8_t)value;
        }
    }
    const char *path = place(s, arena_printf(s->arena, "%s%s", stem, kind.extension));
    save_image(path, &image);
    if (kind.turned) insert_orientation(path);
    image_free(&image);
}

/* What a class is in the masks: a number; or a colour, with or without a palette. */
typedef struct Coding {
    const uint8_t *values;
    const uint8_t (*colors)[3];
    bool palette;
} Coding;

static void put_mask(Scratch *s, const char *stem, int i, Coding coding, Kind kind) {
    Image mask;
    int channels = coding.colors != NULL && !coding.palette ? 3 : 1;
    int width = WIDTH + i * kind.grow, height = HEIGHT + i * kind.grow;
    int shown_width = kind.turned ? height : width, shown_height = kind.turned ? width : height;
    assert_int_equal(image_new(&mask, shown_width, shown_height, channels, 8, NULL), OK);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            int class = class_at(i, x, y);
            int at = kind.turned ? x * shown_width + (height - 1 - y) : y * width + x;
            if (channels == 3)
                memcpy(mask.u8 + 3 * at, coding.colors[class], 3);
            else
                mask.u8[at] = coding.values != NULL ? coding.values[class] : (uint8_t) class;
        }
    }
    const char *path = place(s, arena_printf(s->arena, "%s.png", stem));
    if (coding.palette)
        assert_int_equal(image_save_palette(path, &mask, 3, coding.colors, NULL), OK);
    else
        save_image(path, &mask);
    image_free(&mask);
}

static const uint8_t colors[3][3] = {{0, 0, 0}, {200, 30, 0}, {0, 90, 160}};
static const uint8_t two_values[3] = {0, 255, 0}, scattered[3] = {10, 60, 200}, city[3] = {7, 26, 0},
                     bordered[3] = {0, 1, 255};
static const Kind png = {3, 8, ".png", false, 0}, jpg = {3, 8, ".jpg", false, 0};

/* n pairs under names with one "%d" each. */
static void put_pairs(Scratch *s, const char *images, const char *masks, int first, int n, Kind kind, Coding coding) {
    for (int i = first; i < first + n; i++) {
        char image[128], mask[128];
        snprintf(image, sizeof image, images, i);
        snprintf(mask, sizeof mask, masks, i);
        put_picture(s, image, i, kind);
        put_mask(s, mask, i, coding, kind);
    }
}

/* ---- running ---- */

/* The program in another folder than the config's; its stdout goes to OUT and stderr to ERR there. Returns its exit
 * code. */
static int run(Scratch *s, const char *arguments) {
    const char *away = scratch_path(s, "away");
    mkdir(away, 0755);
    const char *command = arena_printf(
        s->arena,
        "cd '%s' && unset SANDGLASS_DATA && OMP_NUM_THREADS=2 SANDGLASS_CONFIGS='%s/configs' '%s' %s >OUT 2>ERR", away,
        SOURCE_DIR, SANDGLASS_PROGRAM, arguments);
    int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *text_of(Scratch *s, const char *name) {
    size_t n;
    char *bytes = scratch_read(scratch_path(s, name), &n);
    const char *text = arena_strndup(s->arena, bytes, n);
    free(bytes);
    return text;
}

static void run_well(Scratch *s, const char *arguments) {
    int code = run(s, arguments);
    if (code != 0) fail_msg("sandglass %s: exit code %d\n%s", arguments, code, text_of(s, "away/ERR"));
}

static void expect_in(const char *text, const char *part) {
    if (strstr(text, part) == NULL) fail_msg("lacks: %s\n%s", part, text);
}

/* The config init writes passes check and trains a small network for an epoch; returns its text. */
static const char *init_and_train(Scratch *s) {
    run_well(s, arena_printf(s->arena, "init '%s/data' --out ../my.yaml", s->folder));
    expect_in(text_of(s, "away/OUT"), "wrote ../my.yaml");
    run_well(s, "check ../my.yaml");
    run_well(s, "train ../my.yaml --set train.epochs=1 --set model.params.width=4 --json");
    expect_in(text_of(s, "away/OUT"), "\"finished\":true");
    assert_true(scratch_exists(s, "away/runs/my/last.h5"));
    return text_of(s, "my.yaml");
}

/* ---- trees that train ---- */

static void test_index(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/a%d", "masks/a%d", 0, 10, png, (Coding){0});
    const char *text = init_and_train(s);
    expect_in(text, "task: segmentation");
    expect_in(text, "    - class_2 ");
    expect_in(text, "mask: index");
    expect_in(text, "no size: the pictures, all 24x16, are taken as they are");
}

static void test_binary_in_one_folder(void **state) {
    Scratch *s = *state;
    put_pairs(s, "Bäume im Wald/Bild %d", "Bäume im Wald/Bild %d_mask", 0, 8, jpg, (Coding){.values = two_values});
    const char *text = init_and_train(s);
    expect_in(text, "mask: binary");
    expect_in(text, "    - foreground ");
}

static void test_scattered_values(void **state) {
    Scratch *s = *state;
    put_pairs(s, "train/x%d", "trainannot/x%d", 0, 6, png, (Coding){.values = scattered});
    put_pairs(s, "val/x%d", "valannot/x%d", 6, 3, png, (Coding){.values = scattered});
    const char *text = init_and_train(s);
    expect_in(text, "values: [10, 60, 200]");
    expect_in(text, "    images: val\n");
    expect_in(text, "masks: valannot");
}

static void test_colors(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "annotations/%d", 0, 8, png, (Coding){.colors = colors});
    write_text(place(s, "label_colors.txt"), "0 0 0\tVoid\n200 30 0\tBrick: red\n0 90 160\tSky\n");
    const char *text = init_and_train(s);
    expect_in(text, "mask: color");
    expect_in(text, "    Brick red: [200, 30, 0] ");
    expect_in(text, "ignore: [0, 0, 0]");
}

static void test_voc(void **state) {
    Scratch *s = *state;
    put_pairs(s, "VOC2012/JPEGImages/2007_%06d", "VOC2012/SegmentationClass/2007_%06d", 0, 7, jpg,
              (Coding){.colors = colors, .palette = true});
    write_text(place(s, "VOC2012/ImageSets/Segmentation/train.txt"),
               "2007_000000\n2007_000003\n2007_000004\n2007_000005\n");
    write_text(place(s, "VOC2012/ImageSets/Segmentation/val.txt"), "2007_000001\n2007_000002\n");
    const char *text = init_and_train(s);
    expect_in(text, "    class_2: [0, 90, 160] ");
    expect_in(text, "ImageSets/Segmentation/train.txt");
}

static void test_cityscapes(void **state) {
    Scratch *s = *state;
    const Coding coding = {.values = city};
    put_pairs(s, "leftImg8bit/train/aachen/a_%06d_leftImg8bit", "gtFine/train/aachen/a_%06d_gtFine_labelIds", 0, 4, png,
              coding);
    put_pairs(s, "leftImg8bit/train/bochum/b_%06d_leftImg8bit", "gtFine/train/bochum/b_%06d_gtFine_labelIds", 4, 4, png,
              coding);
    put_pairs(s, "leftImg8bit/val/lindau/l_%06d_leftImg8bit", "gtFine/val/lindau/l_%06d_gtFine_labelIds", 8, 2, png,
              coding);
    const char *text = init_and_train(s);
    expect_in(text, "    traffic light: [250, 170, 30] ");
    expect_in(text, "values: [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]");
    expect_in(text, "images: leftImg8bit/train\n");
    expect_in(text, "deep: true ");
    assert_false(scratch_exists(s, "my.train.txt"));
}

static void test_grey_of_16_bit(void **state) {
    Scratch *s = *state;
    put_pairs(s, "img/%d", "gt/%d", 0, 8, (Kind){1, 16, ".png", false, 0}, (Coding){.values = bordered});
    const char *text = init_and_train(s);
    expect_in(text, "ignore: [255]");
    const char *mean = strstr(text, "  mean: [");
    assert_non_null(mean);
    assert_true(strtod(mean + 9, NULL) > 1000); /* on the data's own scale */
}

static void test_other_sizes_and_channels(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 6, (Kind){3, 8, ".png", false, 2}, (Coding){0});
    put_pairs(s, "images/%d", "masks/%d", 6, 2, (Kind){1, 8, ".png", false, 2}, (Coding){0});
    const char *text = init_and_train(s);
    expect_in(text, "fit: resize");
    expect_in(text, "channels: 3 ");
}

static void test_alpha(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/img%d", "masks/mask%d", 0, 8, (Kind){4, 8, ".png", false, 0}, (Coding){0});
    expect_in(init_and_train(s), "channels: 3 ");
}

static void test_exif(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 8, (Kind){3, 8, ".jpg", true, 0}, (Coding){0});
    expect_in(init_and_train(s), "all 16x24,");
    run_well(s, arena_printf(s->arena, "init '%s/data' --out ../my.yaml --force --json", s->folder));
    expect_in(text_of(s, "away/OUT"), "\"turned\":8");
    expect_in(text_of(s, "away/OUT"), "\"not_used\":[]");
}

static void test_missing_partners(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 8, png, (Coding){0});
    put_picture(s, "images/lonely", 0, png);
    put_mask(s, "masks/lost", 0, (Coding){0}, png);
    init_and_train(s);
    run_well(s, arena_printf(s->arena, "init '%s/data' --out again.yaml", s->folder));
    expect_in(text_of(s, "away/OUT"), "not used: 2\n  images/lonely.png: has no mask\n"
                                      "  masks/lost.png: is the mask of no picture\n");
}

static void test_lists(void **state) {
    Scratch *s = *state;
    put_pairs(s, "x/%d", "y/%d", 0, 8, png, (Coding){0});
    write_text(place(s, "train.txt"), "x/0.png y/0.png\nx/1.png y/1.png\nx/2.png y/2.png\nx/3.png y/3.png\n");
    write_text(place(s, "val.txt"), "x/4.png y/4.png\nx/5.png y/5.png\n");
    expect_in(init_and_train(s), "    list: val.txt\n");
}

static void test_pictures_alone(void **state) {
    Scratch *s = *state;
    for (int i = 0; i < 10; i++) put_picture(s, arena_printf(s->arena, "summer trip/p %d", i), i, jpg);
    const char *text = init_and_train(s);
    expect_in(text, "task: reconstruction");
    expect_in(text, "extends: models/conv_autoencoder.yaml");
}

static void test_classes_in_folders(void **state) {
    Scratch *s = *state;
    for (int i = 0; i < 4; i++) put_picture(s, arena_printf(s->arena, "%s/%d", i % 2 ? "cat" : "dog", i), i, jpg);
    const char *init = arena_printf(s->arena, "init '%s/data' --out my.yaml", s->folder);
    assert_int_equal(run(s, init), 1);
    expect_in(text_of(s, "away/ERR"), "looks like one folder for each class (cat, dog)");
    run_well(s, arena_printf(s->arena, "%s --task reconstruction", init));
}

/* A sample says that it is one, in the report and in the config. */
static void test_sample(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 12, png, (Coding){0});
    run_well(s, arena_printf(s->arena, "init '%s/data' --out my.yaml --sample 5", s->folder));
    expect_in(text_of(s, "away/OUT"), "read an even sample of 4 of 12: a class that is rare may be missing");
    expect_in(text_of(s, "away/my.yaml"), "in 4 of 4 masks");
    expect_in(text_of(s, "away/my.yaml"), "of an even sample of the training pictures");
    run_well(s, "check my.yaml");
}

/* What cannot be written leaves nothing behind. */
static void test_nothing_left_after_a_failure(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 8, png, (Coding){0});
    put_picture(s, "images/lonely", 0, png);
    put_picture(s, "images/a\tb", 0, png); /* with its mask it has to be in a list, which cannot say it */
    put_mask(s, "masks/a\tb", 0, (Coding){0}, png);
    assert_int_equal(run(s, arena_printf(s->arena, "init '%s/data' --out my.yaml", s->folder)), 1);
    expect_in(text_of(s, "away/ERR"), "a name with a tab or a line break cannot be listed");
    assert_false(scratch_exists(s, "away/my.yaml"));
    assert_false(scratch_exists(s, "away/my.train.txt"));
    assert_false(scratch_exists(s, "away/my.val.txt"));
}

/* Too few to set any aside. */
static void test_two_pairs(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 2, png, (Coding){0});
    expect_in(init_and_train(s), "nothing will be judged");
}

/* A small budget halves the batch; a large picture is trained on by crops. */
static void test_memory_and_crops(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 8, (Kind){3, 8, ".png", false, 0}, (Coding){0});
    Image image = pattern_image(700, 600, 3, 8), mask;
    assert_int_equal(image_new(&mask, 700, 600, 1, 8, NULL), OK);
    memset(mask.u8, 1, 700 * 300);
    memset(mask.u8 + 700 * 590, 2, 700 * 10);
    for (int i = 0; i < 8; i++) {
        save_image(place(s, arena_printf(s->arena, "images/%d.png", i)), &image);
        save_image(place(s, arena_printf(s->arena, "masks/%d.png", i)), &mask);
    }
    image_free(&image);
    image_free(&mask);
    const char *init = arena_printf(s->arena, "init '%s/data' --out my.yaml --force --json", s->folder);
    run_well(s, init);
    expect_in(text_of(s, "away/OUT"), "\"crop\":[384,384],\"batch_size\":2,");
    expect_in(text_of(s, "away/my.yaml"), "        size: [384, 384] ");
    expect_in(text_of(s, "away/my.yaml"), "        classes: [class_2] ");
    expect_in(text_of(s, "away/my.yaml"), "class_weights: median_frequency");
    run_well(s, arena_printf(s->arena, "%s --memory 0.01", init));
    expect_in(text_of(s, "away/OUT"), "\"crop\":[384,384],\"batch_size\":1,");
    run_well(s, "train my.yaml --set train.epochs=1 --set model.params.width=2 --set model.params.depth=2");
}

/* ---- files that are there ---- */

static void test_nothing_is_written_over(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 6, png, (Coding){0});
    put_picture(s, "images/lonely", 0, png); /* so that lists are needed */
    run_well(s, arena_printf(s->arena, "init '%s/data' --out my.yaml", s->folder));
    const char *config = text_of(s, "away/my.yaml"), *list = text_of(s, "away/my.train.txt");
    scratch_write(scratch_path(s, "away/my.yaml"), "mine", 4);
    assert_int_equal(run(s, arena_printf(s->arena, "init '%s/data' --out my.yaml", s->folder)), 1);
    assert_string_equal(text_of(s, "away/ERR"), "error: my.yaml: is there already: choose another name with --out, or "
                                                "write over it with --force\n");
    assert_string_equal(text_of(s, "away/my.yaml"), "mine");
    unlink(scratch_path(s, "away/my.yaml"));
    scratch_write(scratch_path(s, "away/my.train.txt"), "mine", 4);
    assert_int_equal(run(s, arena_printf(s->arena, "init '%s/data' --out my.yaml", s->folder)), 1);
    expect_in(text_of(s, "away/ERR"), "my.train.txt: is there already");
    assert_string_equal(text_of(s, "away/my.train.txt"), "mine");
    assert_false(scratch_exists(s, "away/my.yaml"));
    run_well(s, arena_printf(s->arena, "init '%s/data' --out my.yaml --force", s->folder));
    assert_string_equal(text_of(s, "away/my.yaml"), config);
    assert_string_equal(text_of(s, "away/my.train.txt"), list);
}

/* The same folder gives the same text, whatever the threads do. */
static void test_repeats(void **state) {
    Scratch *s = *state;
    put_pairs(s, "images/%d", "masks/%d", 0, 12, jpg, (Coding){.colors = colors});
    run_well(s, arena_printf(s->arena, "init '%s/data' --out my.yaml --json", s->folder));
    const char *config = text_of(s, "away/my.yaml"), *json = text_of(s, "away/OUT");
    for (int i = 0; i < 3; i++) {
        run_well(s, arena_printf(s->arena, "init '%s/data' --out my.yaml --json --force", s->folder));
        assert_string_equal(text_of(s, "away/my.yaml"), config);
        assert_string_equal(text_of(s, "away/OUT"), json);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_index),
        TEST(test_binary_in_one_folder),
        TEST(test_scattered_values),
        TEST(test_colors),
        TEST(test_voc),
        TEST(test_cityscapes),
        TEST(test_grey_of_16_bit),
        TEST(test_other_sizes_and_channels),
        TEST(test_alpha),
        TEST(test_exif),
        TEST(test_missing_partners),
        TEST(test_lists),
        TEST(test_pictures_alone),
        TEST(test_classes_in_folders),
        TEST(test_two_pairs),
        TEST(test_sample),
        TEST(test_nothing_left_after_a_failure),
        TEST(test_memory_and_crops),
        TEST(test_nothing_is_written_over),
        TEST(test_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
