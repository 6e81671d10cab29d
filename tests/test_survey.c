/* test_survey.c - a survey of a folder says what is there, and each thing that can be wrong in one line. */
#include "data/survey.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Folder dir;
static Arena *arena;
static Experiment experiment;
static Findings findings;
static Survey surveys[2];
static Split *splits[2];
static Rng rng;

static void configure(const char *data) {
    read_experiment(
        &experiment,
        arena_printf(arena, "task: segmentation\nmodel: {layers: [dense: 1]}\ndata:\n  kind: folder\n  root: %s\n%s",
                     dir.path, data),
        arena);
}

/* A picture that no other one equals. */
static void put_image(const char *name, int width, int height) {
    Image image = random_image(&rng, width, height, 3, 8);
    save_image(folder_file(&dir, name), &image);
    image_free(&image);
}

static void put_mask(const char *name, const uint8_t values[8]) {
    save_grey(folder_file(&dir, name), 4, 2, values);
}

static void put_pair(const char *stem, const uint8_t values[8]) {
    put_image(arena_printf(arena, "im/%s.png", stem), 4, 2);
    put_mask(arena_printf(arena, "ma/%s.png", stem), values);
}

/* Open and survey; what is found, a line each, with "warning: " or "error: " in front and the folder as DIR. */
static char *survey(int n, const char *const *names) {
    Error err = ERROR_INIT;
    findings = (Findings){.arena = arena};
    for (int k = 0; k < n; k++) {
        if (split_open_survey(&splits[k], &experiment, names[k], &findings, &err) != OK) fail_msg("%s", err.text);
        if (survey_split(&surveys[k], splits[k], names[k], &findings, NULL, NULL, arena, &err) != OK)
            fail_msg("%s", err.text);
    }
    assert_int_equal(survey_duplicates(n, surveys, &findings, &err), OK);
    Error lines = ERROR_INIT;
    for (int i = 0; i < findings.n; i++) {
        const FindingGroup *g = &findings.groups[i];
        err_set(&lines, ERR_DATA, "%s%s", g->kind->error ? "" : "(warning) ", finding_text(&findings, g));
    }
    return arena_strdup(arena, words(&lines, &dir));
}

static void close_splits(void) {
    for (int k = 0; k < 2; k++) {
        split_close(splits[k]);
        splits[k] = NULL;
    }
}

static void expect(const char *data, const char *text) {
    static const char *const train[] = {"train"};
    configure(data);
    assert_string_equal(survey(1, train), text);
}

static const uint8_t sound[8] = {0, 1, 1, 0, 0, 1, 0, 0};
#define TWO_CLASSES "  classes: [back, front]\n  train: {images: im, masks: ma}\n"

static void test_sound(void **state) {
    for (int i = 0; i < 6; i++) put_pair(arena_printf(arena, "%d", i), sound);
    put_image("im/x.jpg", 5, 3);
    save_grey(folder_file(&dir, "ma/x.png"), 5, 3, (uint8_t[15]){0, 1, 11});
    expect(TWO_CLASSES "  ignore: 11\n", "");
    const Survey *s = &surveys[0];
    assert_true(s->n == 7 && s->n_sound == 7 && s->n_sizes == 2 && s->sizes[0].n == 6 && s->sizes[0].height == 2 &&
                s->sizes[0].width == 4 && s->sizes[1].n == 1 && s->sizes[1].width == 5);
    assert_true(s->has_values && !s->has_colors);
    assert_true(s->values[0].pixels == 6 * 5 + 13 && s->values[0].masks == 7 && s->values[1].pixels == 19 &&
                s->values[11].pixels == 1 && s->values[11].masks == 1);
    assert_true(s->stats.pixels[0] == 43 && s->stats.images[1] == 7 && s->stats.pixels[2] == 1);
    assert_int_equal(s->n_formats, 2);
    assert_string_equal(s->formats[0].text, "PNG, 3 channels of 8 bit");
    assert_string_equal(s->formats[1].text, "JPEG, 3 channels of 8 bit");
    assert_string_equal(s->mask_formats[0].text, "PNG, 1 channel of 8 bit");
    assert_true(s->formats[0].n == 6 && s->mask_formats[0].n == 7);
}

/* Every thing at once, three times each where that is easy: what training would say of the first, and how many. */
static void test_values(void **state) {
    for (int i = 0; i < 3; i++) put_pair(arena_printf(arena, "a%d", i), (const uint8_t[8]){0, 255, 255});
    for (int i = 0; i < 2; i++) put_pair(arena_printf(arena, "b%d", i), (const uint8_t[8]){0, 1, 7});
    put_pair("c", sound);
    expect(TWO_CLASSES,
           "error: 3 masks of 'train' hold 0 and 255, the first: DIR/ma/a0.png: pixel (1, 0) has value 255, which is "
           "no class (0..1) and not ignored; values: 0:6 255:2; for masks of 0 and 255 set data.mask to binary\n"
           "error: 2 masks of 'train' hold values that are no class, the first: DIR/ma/b0.png: pixel (2, 0) has value "
           "7, which is no class (0..1) and not ignored; values: 0:6 1:1 7:1; set data.ignore to 7 to leave these "
           "pixels out, or add the class\n");
    assert_int_equal(surveys[0].n_sound, 1);
    assert_int_equal(surveys[0].stats.pixels[1], 3); /* of the sound one alone */
    assert_int_equal(surveys[0].values[255].masks, 3);
    assert_true(findings.groups[0].n == 3 && findings.groups[0].n_files == 3);
}

static void test_jpeg_masks(void **state) {
    for (int i = 0; i < 2; i++) {
        put_image(arena_printf(arena, "im/%d.png", i), 16, 16);
        Image mask = pattern_image(16, 16, 1, 8);
        for (int p = 0; p < 256; p++) mask.u8[p] = (uint8_t)(p % 16 < 7);
        save_image(folder_file(&dir, arena_printf(arena, "ma/%d.jpg", i)), &mask);
        image_free(&mask);
    }
    configure(TWO_CLASSES);
    char *text = survey(1, (const char *const[]){"train"});
    assert_non_null(strstr(text, "error: 2 masks of 'train' are JPEG files, the first: DIR/ma/0.jpg: "));
    assert_non_null(strstr(text, "save masks as PNG\n"));
}

/* A JPEG file that is called a.png gives it away by its first bytes alone: its values may all be classes. */
static void test_hidden_jpeg(void **state) {
    put_pair("0", sound);
    put_image("im/1.png", 16, 16);
    Image mask = pattern_image(16, 16, 1, 8);
    memset(mask.data, 1, 256);
    save_image(folder_file(&dir, "1.jpg"), &mask);
    image_free(&mask);
    assert_int_equal(rename(folder_file(&dir, "1.jpg"), folder_file(&dir, "ma/1.png")), 0);
    expect(TWO_CLASSES, "error: DIR/ma/1.png: is a JPEG file, whatever its name says; JPEG invents values between the "
                        "classes: save masks as PNG, from where they were made\n");
}

static void put_colors(const char *name, const uint8_t rgb[24]) {
    Image image = {.width = 4, .height = 2, .channels = 3, .depth = 8, .u8 = (uint8_t *)rgb};
    save_image(folder_file(&dir, name), &image);
}

static void test_colors(void **state) {
    put_image("im/a.png", 4, 2);
    put_image("im/b.png", 4, 2);
    put_colors("ma/a.png", (const uint8_t[24]){1, 2, 3, 1, 2, 3, 200, 0, 0, 9, 9, 8});
    put_colors("ma/b.png", (const uint8_t[24]){9, 9, 8, 9, 9, 8, 7, 7, 1, 1, 2, 3});
    expect("  mask: color\n  ignore: [0, 0, 0]\n  classes: {a: [1, 2, 3], b: [200, 0, 0]}\n"
           "  train: {images: im, masks: ma}\n",
           "error: 2 masks of 'train' hold colours that are no class's, the first: DIR/ma/a.png: pixel (3, 0) has "
           "colour [9, 9, 8], which is no class's and not ignored; colours: [0, 0, 0]:4 [1, 2, 3]:2 [9, 9, 8]:1 "
           "[200, 0, 0]:1; add the class to data.classes, or the colour to data.ignore\n");
    const Survey *s = &surveys[0];
    assert_true(s->has_colors && !s->has_values && !s->colors_cut && s->n_colors == 5);
    const ColorTally *c = s->colors; /* [0, 0, 0] 4 + 4, then three of 3, then [7, 7, 1] and [200, 0, 0] */
    assert_true(c[0].pixels == 8 && c[0].masks == 2 && c[0].class == MASK_IGNORE);
    assert_true(c[1].pixels == 3 && c[1].class == 0 && c[1].masks == 2);
    assert_true(c[2].pixels == 3 && c[2].class == -1 && c[2].masks == 2 && c[2].rgb[0] == 9 && c[2].first == 0);
    assert_true(c[3].pixels == 1 && c[3].class == -1 && c[3].rgb[0] == 7 && c[3].first == 1);
    assert_true(c[4].pixels == 1 && c[4].class == 1);
}

static void test_pairs(void **state) {
    put_pair("a", sound);
    put_pair("b", sound);
    put_image("im/c.png", 4, 2);
    put_image("im/D.png", 4, 2);
    put_image("im/e.png", 4, 2);
    put_mask("ma/d.png", sound);
    write_text(folder_file(&dir, "ma/e.tif"), "II*");
    put_image("im/big.png", 8, 4);
    put_mask("ma/big.png", sound);
    put_image("im/cut.png", 4, 2);
    put_mask("ma/cut.png", sound);
    write_bytes(folder_file(&dir, "im/cut.png"), "\x89PNG\r\n\x1A\n", 8);
    expect(
        TWO_CLASSES,
        "error: 3 pictures of 'DIR/im' have no mask, the first: DIR/im/D.png: has no mask in DIR/ma; masks are found "
        "by the picture's name without extension (see 'suffix' and 'mask_suffix'); d.png differs in case only\n"
        "error: (warning) DIR/ma/d.png: belongs to no picture in DIR/im; D.png differs in case only\n"
        "error: (warning) DIR/ma/e.tif: passed over, because it is of a format that is not read; convert it to "
        "PNG\n"
        "error: DIR/im/big.png: is 8x4, but its mask DIR/ma/big.png is 4x2\n"
        "error: DIR/im/cut.png: truncated: the PNG file ends in its header\n");
    assert_true(surveys[0].n == 2 && surveys[0].n_sound == 2);
}

/* A JPEG with this orientation in its EXIF block. */
static void put_turned(const char *name, int width, int height, int orientation) {
    const char *path = folder_file(&dir, name);
    put_image(name, width, height);
    size_t n;
    uint8_t *bytes = read_bytes(path, &n), *file = malloc(n + 36);
    uint8_t app1[36] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i',  'f', 0, 0, 'I', 'I', 42, 0,
                        8,    0,    0, 0,  1,   0,   0x12, 1,   3, 0, 1,   0,   0,  0};
    app1[28] = (uint8_t)orientation;
    memcpy(file, bytes, 2);
    memcpy(file + 2, app1, sizeof app1);
    memcpy(file + 38, bytes + 2, n - 2);
    write_bytes(path, file, n + 36);
    free(bytes);
    free(file);
}

static void test_exif(void **state) {
    put_turned("im/a.jpg", 4, 2, 6); /* 2x4 as it is seen */
    put_mask("ma/a.png", sound);     /* 4x2, as it lies in the file */
    put_turned("im/b.jpg", 4, 2, 3); /* upside down: of the mask's size either way */
    put_mask("ma/b.png", sound);
    put_turned("im/c.jpg", 4, 2, 8); /* turned, and so is its mask */
    save_grey(folder_file(&dir, "ma/c.png"), 2, 4, sound);
    expect(
        TWO_CLASSES,
        "error: DIR/im/a.jpg: is 2x4, but its mask DIR/ma/a.png is 4x2; it is turned by its EXIF orientation, the mask "
        "lies as "
        "the picture does in its file: remove the tag (exiftool -Orientation= FILE), or turn the mask\n"
        "error: (warning) 2 pictures of 'train' are turned by EXIF, and their masks are not, the first: DIR/im/b.jpg: "
        "its EXIF orientation 3 turns it, its mask DIR/ma/b.png has none; they are of one size, so see that the mask "
        "was drawn on the turned picture; to be rid of it: mogrify -auto-orient FILE\n");
}

static void test_poor_masks(void **state) {
    put_pair("a", (const uint8_t[8]){0});
    put_pair("b", (const uint8_t[8]){1, 1, 1, 1, 1, 1, 1, 1});
    put_pair("c", (const uint8_t[8]){9, 9, 9, 9, 9, 9, 9, 9});
    expect("  classes: [back, front, rare]\n  ignore: 9\n  train: {images: im, masks: ma}\n",
           "error: (warning) 2 masks of 'train' show one class alone, the first: DIR/ma/a.png: shows 'back' alone\n"
           "error: (warning) DIR/ma/c.png: all of it is ignored, so nothing is learnt from it\n"
           "error: (warning) class 'rare' is in no mask of 'train', so it cannot be learnt\n");
}

static void copy_image_file(const char *from, const char *to) {
    size_t n;
    uint8_t *bytes = read_bytes(folder_file(&dir, from), &n);
    write_bytes(folder_file(&dir, to), bytes, n);
    free(bytes);
}

static void test_duplicates(void **state) {
    folder_sub(&dir, "vi");
    folder_sub(&dir, "va");
    for (int i = 0; i < 4; i++) put_pair(arena_printf(arena, "%d", i), sound);
    put_image("vi/x.png", 4, 2);
    put_mask("va/x.png", sound);
    copy_image_file("im/1.png", "im/3.png");
    copy_image_file("im/1.png", "vi/y.png");
    copy_image_file("im/2.png", "vi/z.png");
    Image same; /* the same pixels in another format */
    assert_int_equal(image_load(folder_file(&dir, "im/2.png"), 0, &same, NULL), OK);
    save_image(folder_file(&dir, "vi/w.bmp"), &same);
    image_free(&same);
    put_mask("va/w.png", sound);
    put_mask("va/y.png", sound);
    put_mask("va/z.png", sound);
    configure("  classes: [back, front]\n  train: {images: im, masks: ma}\n  val: {images: vi, masks: va}\n");
    assert_string_equal(
        survey(2, (const char *const[]){"train", "val"}),
        "error: (warning) DIR/im/3.png: is pixel for pixel DIR/im/1.png\n"
        "error: (warning) 3 pictures of 'val' are also in another split, the first: DIR/vi/w.bmp: is pixel for pixel "
        "DIR/im/2.png of 'train', so scores on 'val' are too good; leave it out of one of them\n"
        "error: (warning) DIR/vi/z.png: is pixel for pixel DIR/vi/w.bmp\n");
    for (int k = 0; k < 3; k++) remove(folder_file(&dir, (const char *const[]){"vi/w.bmp", "vi/y.png", "vi/z.png"}[k]));
}

/* Pictures that find the same mask by their names, and in lists of two splits; one picture in both splits does not
 * count, nor do two splits of one folder. */
static void test_shared_masks(void **state) {
    static const char list[] = "im/0.png ma/0.png\nim/1.png ma/1.png\nim/2.png ma/2.png\n";
    static const char other[] = "im/1.png ma/1.png\nim/4.bmp ma/2.png\nim/3.png ma/2.png\n";
    for (int i = 0; i < 4; i++) put_pair(arena_printf(arena, "%d", i), sound);
    expect(TWO_CLASSES, "");
    close_splits();
    put_image("im/2.bmp", 4, 2);
    expect(TWO_CLASSES, "error: (warning) DIR/im/2.png: has the mask of DIR/im/2.bmp, DIR/ma/2.png; if that belongs to "
                        "one of them only, the other teaches what is wrong\n");
    close_splits();
    assert_int_equal(rename(folder_file(&dir, "im/2.bmp"), folder_file(&dir, "im/4.bmp")), 0);
    write_bytes(folder_file(&dir, "train.txt"), list, sizeof list - 1);
    write_bytes(folder_file(&dir, "val.txt"), other, sizeof other - 1);
    configure("  classes: [back, front]\n  train: {list: train.txt}\n  val: {list: val.txt}\n");
    assert_string_equal(
        survey(2, (const char *const[]){"train", "val"}),
        "error: (warning) DIR/im/1.png: is pixel for pixel DIR/im/1.png of 'train', so scores on 'val' are too good; "
        "leave it out of one of them\n"
        "error: (warning) 2 pictures of 'val' have a mask that another has too, the first: DIR/im/4.bmp: has the mask "
        "of DIR/im/2.png, DIR/ma/2.png; if that belongs to one of them only, the other teaches what is wrong\n");
    remove(folder_file(&dir, "im/4.bmp"));
    remove(folder_file(&dir, "train.txt"));
    remove(folder_file(&dir, "val.txt"));
}

/* Two splits of one folder: what is wrong with the folder is said once. */
static void test_shared_folder(void **state) {
    for (int i = 0; i < 20; i++) put_pair(arena_printf(arena, "%d", i), sound);
    remove(folder_file(&dir, "ma/7.png"));
    configure("  classes: [back, front]\n  images: im\n  masks: ma\n  train: {part: rest}\n  val: {part: 0.3}\n");
    assert_string_equal(survey(2, (const char *const[]){"train", "val"}),
                        "error: DIR/im/7.png: has no mask in DIR/ma; masks are found by the picture's name without "
                        "extension (see 'suffix' and 'mask_suffix')\n");
    assert_int_equal(surveys[0].n + surveys[1].n, 19);
}

static bool stop_at_5(void *context, int64_t done, int64_t n) {
    return done < 5;
}

static void test_stop(void **state) {
    for (int i = 0; i < 20; i++) put_pair(arena_printf(arena, "%d", i), sound);
    configure(TWO_CLASSES);
    Error err = ERROR_INIT;
    assert_int_equal(split_open(&splits[0], &experiment, "train", &err), OK);
    assert_int_equal(survey_split(&surveys[0], splits[0], "train", &findings, stop_at_5, NULL, arena, &err),
                     ERR_STOPPED);
}

static int set_up(void **state) {
    folder_make(&dir);
    arena = arena_new();
    rng = rng_stream(5, RNG_TEST, 0, 0);
    folder_sub(&dir, "im");
    folder_sub(&dir, "ma");
    return 0;
}

static int tear_down(void **state) {
    close_splits();
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_sound),      TEST(test_values),       TEST(test_jpeg_masks),    TEST(test_hidden_jpeg),
        TEST(test_colors),     TEST(test_pairs),        TEST(test_exif),          TEST(test_poor_masks),
        TEST(test_duplicates), TEST(test_shared_masks), TEST(test_shared_folder), TEST(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
