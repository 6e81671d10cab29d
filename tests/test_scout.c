/* test_scout.c - what a folder nobody has described holds: words in names, partners by name, layouts, splits, classes,
 * names of classes; and the words when it is nothing to train on. */
#include "data/scout.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static Folder dir;
static Arena *arena;
static Tree tree;
static Layout layout;
static Contents contents;

static int set_up(void **state) {
    folder_make(&dir);
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    folder_remove(&dir);
    arena_free(arena);
    return 0;
}

/* ---- making trees ---- */

/* The folders on the way to a file of the test's folder. */
static const char *place(const char *name) {
    char *path = arena_printf(arena, "%s/%s", dir.path, name);
    for (char *slash = path + strlen(dir.path) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    return path;
}

static void put_picture(const char *name, int width, int height, int channels, int depth) {
    Image image = pattern_image(width, height, channels, depth);
    save_image(place(name), &image);
    image_free(&image);
}

/* 4x4: 8 pixels of the first value, 4 of the second, 2 of the third and the fourth. */
static void put_mask(const char *name, const uint8_t values[4]) {
    static const int which[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3};
    uint8_t pixels[16];
    for (int i = 0; i < 16; i++) pixels[i] = values[which[i]];
    save_grey(place(name), 4, 4, pixels);
}

/* n pairs, 4x4: FOLDER/0.png ... */
static void put_pairs(const char *images, const char *masks, int first, int n, const uint8_t values[4]) {
    for (int i = first; i < first + n; i++) {
        put_picture(arena_printf(arena, "%s/%d.png", images, i), 4, 4, 3, 8);
        put_mask(arena_printf(arena, "%s/%d.png", masks, i), values);
    }
}

static const uint8_t three[4] = {0, 1, 2, 2};

static void find(LayoutWanted wanted) {
    Error err = ERROR_INIT;
    if (tree_read(&tree, dir.path, arena, &err) != OK || layout_find(&layout, &tree, wanted, arena, &err) != OK)
        fail_msg("%s", err.text);
}

static void look(LayoutWanted wanted) {
    find(wanted);
    Error err = ERROR_INIT;
    if (contents_read(&contents, &layout, &tree, 0, NULL, NULL, arena, &err) != OK) fail_msg("%s", err.text);
}

/* What finding or reading says when it fails. */
static void expect_words(LayoutWanted wanted, const char *text) {
    Error err = ERROR_INIT;
    Err code = tree_read(&tree, dir.path, arena, &err);
    if (code == OK) code = layout_find(&layout, &tree, wanted, arena, &err);
    if (code == OK) code = contents_read(&contents, &layout, &tree, 0, NULL, NULL, arena, &err);
    assert_int_not_equal(code, OK);
    assert_string_equal(words(&err, &dir), text);
}

static void expect_split(const char *name, int n, const char *first_image, const char *first_mask) {
    const ScoutSplit *split = layout_split(&layout, name);
    assert_non_null(split);
    assert_int_equal(split->n, n);
    assert_string_equal(split->pairs[0].image, first_image);
    if (first_mask == NULL)
        assert_null(split->pairs[0].mask);
    else
        assert_string_equal(split->pairs[0].mask, first_mask);
}

static void expect_left_out(int i, const char *path, const char *why) {
    assert_true(i < layout.n_left_out);
    assert_string_equal(layout.left_out[i].path, path);
    assert_string_equal(layout.left_out[i].why, why);
}

static void expect_class(int i, const char *name, int value, int64_t pixels, bool ignored) {
    assert_true(i < contents.classes.n);
    const ScoutClass *c = &contents.classes.of[i];
    assert_string_equal(c->name, name);
    assert_int_equal(c->value, value);
    assert_int_equal(c->pixels, pixels);
    assert_int_equal(c->ignored, ignored);
}

/* ---- words ---- */

static void test_path_words(void **state) {
    static const struct {
        const char *path, *split;
        bool image, mask, other;
        const char *rest;
    } cases[] = {
        {"", NULL, false, false, false, ""},
        {"train/images", "train", true, false, false, ""},
        {"labels/val2", NULL, false, true, false, "val2"},
        {"Validation/GT", "val", false, true, false, ""},
        {"trainannot", "train", false, true, false, ""},
        {"testmasks", "test", false, true, false, ""},
        {"gtFine/train/aachen", "train", false, true, false, "aachen"},
        {"VOC2012/SegmentationClass", NULL, false, true, false, "VOC2012"},
        {"VOC2012/SegmentationObject", NULL, false, false, true, "VOC2012"},
        {"images_prepped_train", "train", true, false, false, "prepped"},
        {"ground_truth", NULL, false, true, false, ""},
        {"training_run/x", "train", false, false, false, "run/x"},
        {"trainer", NULL, false, false, false, "trainer"},
        {"1st_manual", NULL, false, true, false, "1st"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PathWords w = path_words(cases[i].path, arena);
        print_message("%s\n", cases[i].path);
        if (cases[i].split == NULL)
            assert_null(w.split);
        else
            assert_string_equal(w.split, cases[i].split);
        assert_int_equal(w.image, cases[i].image);
        assert_int_equal(w.mask, cases[i].mask);
        assert_int_equal(w.other, cases[i].other);
        assert_string_equal(w.rest, cases[i].rest);
    }
}

static void expect_affix(const char *const *images, const char *const *masks, const char *wanted, int n_wanted) {
    int n_images = 0, n_masks = 0, pairs[16];
    while (images[n_images]) n_images++;
    while (masks[n_masks]) n_masks++;
    Affix a;
    int n = affix_find(&a, n_images, images, n_masks, masks, pairs, arena);
    assert_int_equal(n, n_wanted);
    assert_string_equal(
        arena_printf(arena, "%s*%s %s*%s", a.image_prefix, a.image_suffix, a.mask_prefix, a.mask_suffix), wanted);
    int n_paired = 0;
    for (int i = 0; i < n_images; i++) n_paired += pairs[i] >= 0;
    assert_int_equal(n_paired, n);
}
#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_affixes(void **state) {
    expect_affix(NAMES("a.jpg", "b.jpg"), NAMES("a.png", "b.png"), "* *", 2);
    expect_affix(NAMES("a.jpg", "b.jpg"), NAMES("a_mask.png", "b_mask.png"), "* *_mask", 2);
    expect_affix(NAMES("1_sat.jpg", "11_sat.jpg", "2_sat.jpg"), NAMES("1_mask.png", "11_mask.png"), "*_sat *_mask", 2);
    expect_affix(NAMES("img1.png", "img2.png"), NAMES("mask1.png", "mask2.png"), "img* mask*", 2);
    expect_affix(NAMES("001.png", "0010.png", "002.png"), NAMES("001_L.png", "0010_L.png", "002_L.png"), "* *_L", 3);
    /* of several masks for each picture those that are for training */
    expect_affix(NAMES("x_leftImg8bit.png", "y_leftImg8bit.png"),
                 NAMES("x_gtFine_color.png", "x_gtFine_instanceIds.png", "x_gtFine_labelIds.png", "y_gtFine_color.png",
                       "y_gtFine_instanceIds.png", "y_gtFine_labelIds.png"),
                 "*_leftImg8bit *_gtFine_labelIds", 2);
    /* a name that is there twice has no partner that one could be sure of */
    expect_affix(NAMES("a.jpg", "a.png", "b.jpg"), NAMES("a.png", "b.png"), "* *", 1);
    expect_affix(NAMES("abc.png"), NAMES("xyz9.png"), "* *", 0);
}

/* ---- layouts ---- */

static void test_two_folders(void **state) {
    put_pairs("images", "masks", 0, 3, three);
    put_picture("images/9.png", 4, 4, 3, 8);
    put_mask("masks/8.png", three);
    find(WANTED_ANY);
    assert_true(layout.has_masks);
    expect_split("train", 3, "images/0.png", "masks/0.png");
    assert_int_equal(layout.n_splits, 1);
    assert_null(layout_split(&layout, "train")->images); /* the dataset kind would miss the mask of 9 */
    assert_int_equal(layout.n_left_out, 2);
    expect_left_out(0, "images/9.png", "has no mask");
    expect_left_out(1, "masks/8.png", "is the mask of no picture");
}

static void test_namesakes(void **state) {
    put_pairs("images", "masks", 0, 3, three);
    put_picture("images/1.jpg", 4, 4, 3, 8);
    find(WANTED_ANY);
    assert_int_equal(layout_count(&layout), 2);
    expect_left_out(0, "images/1.jpg", "has the name of another picture, so whose the mask is cannot be told");
    assert_string_equal(layout.left_out[1].path, "images/1.png");
}

static void test_splits_by_folders(void **state) {
    static const char *const pairs[][4] = {
        {"train/images", "train/masks", "val/images", "val/masks"},
        {"images/train", "labels/train", "images/val", "labels/val"},
        {"train", "trainannot", "val", "valannot"},
        {"data/train_images", "data/train_masks", "data/valid_images", "data/valid_masks"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        folder_remove(&dir);
        folder_make(&dir);
        put_pairs(pairs[i][0], pairs[i][1], 0, 3, three);
        put_pairs(pairs[i][2], pairs[i][3], 3, 2, three);
        find(WANTED_ANY);
        assert_int_equal(layout.n_splits, 2);
        expect_split("train", 3, arena_printf(arena, "%s/0.png", pairs[i][0]),
                     arena_printf(arena, "%s/0.png", pairs[i][1]));
        expect_split("val", 2, arena_printf(arena, "%s/3.png", pairs[i][2]),
                     arena_printf(arena, "%s/3.png", pairs[i][3]));
        assert_string_equal(layout_split(&layout, "val")->masks, pairs[i][3]);
        assert_int_equal(layout.n_left_out, 0);
    }
}

static void test_one_folder(void **state) {
    for (int i = 0; i < 3; i++) {
        put_picture(arena_printf(arena, "Bild %d.png", i), 4, 4, 3, 8);
        put_mask(arena_printf(arena, "Bild %d_mask.png", i), three);
    }
    find(WANTED_ANY);
    expect_split("train", 3, "Bild 0.png", "Bild 0_mask.png");
    assert_string_equal(layout_split(&layout, "train")->images, ".");
    assert_string_equal(layout_split(&layout, "train")->mask_suffix, "_mask");
}

static void test_twins(void **state) {
    for (int i = 0; i < 3; i++) {
        put_picture(arena_printf(arena, "x/%d.jpg", i), 4, 4, 3, 8);
        put_mask(arena_printf(arena, "x/%d.png", i), three);
    }
    find(WANTED_ANY);
    expect_split("train", 3, "x/0.jpg", "x/0.png");
    assert_null(layout_split(&layout, "train")->images); /* by name it cannot be said */
}

static void test_voc(void **state) {
    put_pairs("VOC2012/JPEGImages", "VOC2012/SegmentationClass", 0, 6, three);
    put_pairs("VOC2012/JPEGImages", "VOC2012/SegmentationObject", 0, 6, three);
    put_picture("VOC2012/JPEGImages/7.png", 4, 4, 3, 8);
    write_text(place("VOC2012/ImageSets/Main/train.txt"), "0\n1\n2\n3\n4\n5\n");
    write_text(place("VOC2012/ImageSets/Segmentation/train.txt"), "0\n3\n4\n");
    write_text(place("VOC2012/ImageSets/Segmentation/val.txt"), "1\n2\n");
    write_text(place("VOC2012/ImageSets/Segmentation/trainval.txt"), "0\n1\n2\n3\n4\n");
    find(WANTED_ANY);
    expect_split("train", 3, "VOC2012/JPEGImages/0.png", "VOC2012/SegmentationClass/0.png");
    expect_split("val", 2, "VOC2012/JPEGImages/1.png", "VOC2012/SegmentationClass/1.png");
    expect_left_out(0, "VOC2012/JPEGImages/7.png", "has no mask");
    expect_left_out(1, "VOC2012/SegmentationObject/", "6 pictures, not needed");
    expect_left_out(2, "VOC2012/JPEGImages/5.png", "is in no list");
}

static void test_lists_of_pairs(void **state) {
    put_pairs("a", "b", 0, 5, three);
    write_text(place("train.txt"), "/SegNet/CamVid/a/0.png /SegNet/CamVid/b/0.png\na/1.png b/1.png\n");
    write_text(place("val.txt"), "a/2.png b/2.png\n");
    find(WANTED_ANY);
    expect_split("train", 2, "a/0.png", "b/0.png");
    expect_split("val", 1, "a/2.png", "b/2.png");
    assert_string_equal(layout_split(&layout, "train")->list, "train.txt");
    write_text(place("val.txt"), "a/2.png b/2.png\na/77.png b/77.png\n");
    find(WANTED_ANY);
    expect_split("val", 1, "a/2.png", "b/2.png");
    assert_null(layout_split(&layout, "val")->list);
    expect_left_out(0, "a/77.png", "is named in val.txt, but not there");
}

static void test_pictures_alone(void **state) {
    put_picture("trip/a.png", 4, 4, 3, 8);
    put_picture("trip/b.png", 4, 4, 3, 8);
    find(WANTED_ANY);
    assert_false(layout.has_masks);
    expect_split("train", 2, "trip/a.png", NULL);
    put_pairs("images", "masks", 0, 2, three);
    find(WANTED_PICTURES);
    assert_false(layout.has_masks);
    expect_split("train", 4, "images/0.png", NULL);
}

/* A link up the tree must not go round for ever, nor give a picture twice. */
static void test_links(void **state) {
    put_pairs("images", "masks", 0, 2, three);
    assert_int_equal(symlink("..", place("images/up")), 0);
    assert_int_equal(symlink("images", place("again")), 0);
    assert_int_equal(symlink("nowhere", place("broken.png")), 0);
    find(WANTED_ANY);
    assert_int_equal(tree.n_pictures, 4);
    assert_int_equal(layout_count(&layout), 2);
}

static void test_division(void **state) {
    put_pairs("images", "masks", 0, 30, three);
    find(WANTED_ANY);
    layout_divide(&layout, &tree, arena);
    const ScoutSplit *train = layout_split(&layout, "train"), *val = layout_split(&layout, "val");
    assert_int_equal(train->n + val->n, 30);
    assert_in_range(val->n, 3, 10);
    assert_string_equal(val->part, "0.2");
    assert_string_equal(train->part, "rest");
    assert_true(layout_shares(&layout));
    for (int i = 0; i < train->n; i++) assert_string_not_equal(train->pairs[i].image, val->pairs[0].image);
    /* a pair that the folders' knobs would have in, and that cannot be used */
    write_text(place(val->pairs[0].image), "no picture");
    Error err = ERROR_INIT;
    assert_int_equal(contents_read(&contents, &layout, &tree, 0, NULL, NULL, arena, &err), OK);
    assert_null(train->images);
    assert_null(val->images);
    assert_int_equal(layout_count(&layout), 29);
    /* where folders cannot say it, exactly a fifth, and always the same */
    put_picture("images/lonely.png", 4, 4, 3, 8);
    const char *first[2];
    for (int i = 0; i < 2; i++) {
        find(WANTED_ANY);
        layout_divide(&layout, &tree, arena);
        assert_int_equal(layout_split(&layout, "train")->n, 24);
        assert_int_equal(layout_split(&layout, "val")->n, 6);
        first[i] = layout_split(&layout, "val")->pairs[0].image;
    }
    assert_string_equal(first[0], first[1]);
}

/* Sub-folders of one folder, masks likewise; and prefixes. */
static void test_deep(void **state) {
    for (int i = 0; i < 4; i++) {
        const char *town = i % 2 ? "bonn" : "ulm";
        put_picture(arena_printf(arena, "leftImg8bit/train/%s/img_%d.png", town, i), 4, 4, 3, 8);
        put_mask(arena_printf(arena, "gt/train/%s/gt_%d.png", town, i), three);
    }
    find(WANTED_ANY);
    const ScoutSplit *train = layout_split(&layout, "train");
    assert_int_equal(train->n, 4);
    assert_string_equal(train->images, "leftImg8bit/train");
    assert_string_equal(train->masks, "gt/train");
    assert_string_equal(train->prefix, "img");
    assert_string_equal(train->mask_prefix, "gt");
    assert_true(train->deep);
    put_picture("leftImg8bit/train/essen/img_9.png", 4, 4, 3, 8); /* has no masks */
    find(WANTED_ANY);
    assert_null(layout_split(&layout, "train")->images);
}

/* A name a line: where every picture has its mask, folders and lists say it together. */
static void test_lists_of_names(void **state) {
    put_pairs("images", "masks", 0, 6, three);
    write_text(place("splits/train.txt"), "0.png\n1.png\n2.png\n");
    write_text(place("splits/val.txt"), "images/4.png\n");
    find(WANTED_ANY);
    expect_split("train", 3, "images/0.png", "masks/0.png");
    expect_split("val", 1, "images/4.png", "masks/4.png");
    assert_string_equal(layout_split(&layout, "val")->names, "splits/val.txt");
    assert_true(layout_shares(&layout));
    write_text(place("splits/val.txt"), "images/2.png\nimages/4.png\n"); /* one is in train too */
    find(WANTED_ANY);
    expect_split("val", 1, "images/4.png", "masks/4.png");
    assert_null(layout_split(&layout, "val")->images);
}

/* ---- contents ---- */

static void test_sizes_and_scale(void **state) {
    put_pairs("images", "masks", 0, 2, three);
    look(WANTED_ANY);
    assert_true(contents.same_size && contents.same_channels);
    assert_int_equal(contents.channels, 3);
    assert_int_equal(contents.depth, 8);
    Image image = pattern_image(4, 4, 3, 8);
    double mean = 0, square = 0;
    for (int i = 0; i < 16; i++) mean += image.u8[3 * i + 1] / 16.0;
    for (int i = 0; i < 16; i++) square += (image.u8[3 * i + 1] - mean) * (image.u8[3 * i + 1] - mean) / 16;
    image_free(&image);
    assert_float_equal(contents.mean[1], mean, 1e-9);
    assert_float_equal(contents.std[1] * contents.std[1], square, 1e-6);
    put_picture("images/0.png", 6, 4, 1, 16);
    save_grey(place("masks/0.png"), 6, 4, (const uint8_t[24]){0, 1, 2});
    look(WANTED_ANY);
    assert_false(contents.same_size || contents.same_channels);
    assert_int_equal(contents.channels, 3); /* grey and colour come together in colour, 8 and 16 bit in 16 */
    assert_int_equal(contents.depth, 16);
    assert_int_equal(contents.max_width, 6);
}

static void test_bad_files_are_left_out(void **state) {
    put_pairs("images", "masks", 0, 6, three);
    write_text(place("images/1.png"), "no picture");
    put_picture("images/3.png", 8, 4, 3, 8);
    size_t n;
    uint8_t *bytes = read_bytes(place("masks/4.png"), &n);
    bytes[n / 2] ^= 1;
    write_bytes(place("masks/4.png"), bytes, n);
    free(bytes);
    look(WANTED_ANY);
    assert_int_equal(layout_split(&layout, "train")->n, 3);
    expect_left_out(0, "images/1.png", "is no picture of a known format (PNG, JPEG, BMP, TGA, PNM, GIF, PSD)");
    expect_left_out(1, "images/3.png", "is 8x4, but its mask masks/3.png is 4x4");
    assert_int_equal(layout.n_left_out, 3);
    assert_string_equal(layout.left_out[2].path, "masks/4.png");
    assert_null(layout_split(&layout, "train")->images);
}

static void look_at_masks(const uint8_t values[4]) {
    folder_remove(&dir);
    folder_make(&dir);
    put_pairs("images", "masks", 0, 2, values);
    look(WANTED_ANY);
}

static void test_numbers(void **state) {
    look_at_masks(three);
    assert_int_equal(contents.classes.coding, MASK_INDEX);
    assert_int_equal(contents.classes.n, 3);
    expect_class(0, "class_0", 0, 16, false);
    expect_class(2, "class_2", 2, 8, false);
    look_at_masks((const uint8_t[]){0, 1, 3, 255}); /* 2 is rare, not absent; 255 no class */
    assert_int_equal(contents.classes.n, 5);
    expect_class(2, "class_2", 2, 0, false);
    expect_class(3, "class_3", 3, 4, false);
    expect_class(4, "unlabelled", 255, 4, true);
    look_at_masks((const uint8_t[]){0, 255, 255, 255});
    assert_int_equal(contents.classes.coding, MASK_BINARY);
    expect_class(1, "foreground", 255, 16, false);
    look_at_masks((const uint8_t[]){10, 50, 200, 200});
    assert_int_equal(contents.classes.coding, MASK_INDEX);
    assert_int_equal(contents.classes.n, 3);
    expect_class(1, "class_50", 50, 8, false);
    look_at_masks((const uint8_t[]){0, 128, 128, 128});
    assert_int_equal(contents.classes.n, 2);
    expect_class(1, "foreground", 128, 16, false);
}

static void test_colors(void **state) {
    static const uint8_t colors[2][3] = {{200, 0, 0}, {0, 0, 90}};
    for (int i = 0; i < 2; i++) {
        uint8_t rgb[48];
        for (int p = 0; p < 16; p++) memcpy(rgb + 3 * p, colors[p < 12 ? 0 : 1], 3);
        put_picture(arena_printf(arena, "images/%d.png", i), 4, 4, 3, 8);
        Image mask = {.width = 4, .height = 4, .channels = 3, .depth = 8, .u8 = rgb};
        save_image(place(arena_printf(arena, "masks/%d.png", i)), &mask);
    }
    put_picture("images/2.png", 4, 4, 3, 8);
    put_mask("masks/2.png", (const uint8_t[]){0, 0, 0, 0}); /* black in grey: a colour among the others */
    look(WANTED_ANY);
    assert_int_equal(contents.classes.coding, MASK_COLOR);
    assert_int_equal(contents.classes.n, 3);
    expect_class(0, "class_0", -1, 16, false);
    expect_class(1, "class_1", -1, 8, false);
    assert_memory_equal(contents.classes.of[1].rgb, colors[1], 3);
    write_text(place("label_colors.txt"), "0 0 0\tVoid\n200 0 0 \t Animal\n0 0 90\tBridge\n");
    look(WANTED_ANY);
    assert_string_equal(contents.classes.file, "label_colors.txt");
    expect_class(0, "Void", -1, 16, true);
    expect_class(1, "Animal", -1, 24, false);
    write_text(place("label_colors.txt"), "7 7 7 Car\n8 8 8 Bus\n9 9 9 Tram\n");
    look(WANTED_ANY);
    assert_null(contents.classes.file);
    assert_string_equal(contents.classes.note,
                        "label_colors.txt names 3 classes, which do not fit the 3 colours in the masks: not used");
    write_text(place("label_colors.txt"), "Void\nAnimal\nBridge\n");
    look(WANTED_ANY);
    assert_null(contents.classes.file);
    assert_string_equal(contents.classes.note,
                        "label_colors.txt names classes without their colours, and the masks hold colours: not used; "
                        "give each line as 'r g b name', or write the names into the config");
}

static void test_palettes(void **state) {
    static const uint8_t palette[3][3] = {{0, 0, 0}, {128, 0, 0}, {0, 128, 0}};
    static const uint8_t other[3][3] = {{128, 0, 0}, {0, 0, 0}, {0, 128, 0}};
    uint8_t values[16] = {0, 0, 0, 0, 1, 1, 1, 2};
    Image mask = {.width = 4, .height = 4, .channels = 1, .depth = 8, .u8 = values};
    for (int i = 0; i < 2; i++) put_picture(arena_printf(arena, "images/%d.png", i), 4, 4, 3, 8);
    for (int i = 0; i < 2; i++)
        assert_int_equal(image_save_palette(place(arena_printf(arena, "masks/%d.png", i)), &mask, 3, palette, NULL),
                         OK);
    look(WANTED_ANY);
    assert_int_equal(contents.classes.coding, MASK_INDEX);
    assert_true(contents.classes.colored);
    assert_memory_equal(contents.classes.of[1].rgb, palette[1], 3);
    /* a palette of another order: the numbers are no classes, the colours are */
    assert_int_equal(image_save_palette(place("masks/1.png"), &mask, 3, other, NULL), OK);
    look(WANTED_ANY);
    assert_int_equal(contents.classes.coding, MASK_COLOR);
    expect_class(0, "class_0", -1, 12 + 3, false);
}

static void test_names(void **state) {
    put_pairs("images", "masks", 0, 2, three);
    write_text(place("classes.txt"), "void\nsky\nroad, wet\n");
    look(WANTED_ANY);
    expect_class(0, "void", 0, 16, true);
    expect_class(1, "sky", 1, 8, false);
    expect_class(2, "road wet", 2, 8, false);
    write_text(place("classes.txt"), "sky\nroad\n"); /* one more number than names: it is no class */
    look(WANTED_ANY);
    assert_int_equal(contents.classes.n, 3);
    expect_class(2, "without a name", 2, 8, true);
    write_text(place("classes.txt"), "sky\nsky\nroad\n");
    look(WANTED_ANY);
    expect_class(1, "sky_1", 1, 8, false);
}

static void test_published_classes(void **state) {
    for (int i = 0; i < 2; i++) {
        put_picture(arena_printf(arena, "leftImg8bit/train/aachen/a%d_leftImg8bit.png", i), 4, 4, 3, 8);
        put_mask(arena_printf(arena, "gtFine/train/aachen/a%d_gtFine_labelIds.png", i), (uint8_t[]){7, 26, 3, 3});
    }
    look(WANTED_ANY);
    assert_string_equal(contents.classes.known_as, "Cityscapes");
    expect_class(0, "road", 7, 16, false);
    expect_class(13, "car", 26, 8, false);
    int n_learned = 0, n_ignored = 0;
    for (int i = 0; i < contents.classes.n; i++) {
        n_learned += !contents.classes.of[i].ignored;
        n_ignored += contents.classes.of[i].ignored;
    }
    assert_int_equal(n_learned, 19);
    assert_int_equal(n_ignored, 34 - 19 + 1);
}

static void expect_names(const char *text, const char *wanted) {
    int n;
    NamedClass *names;
    class_names_parse(text, &n, &names, arena);
    const char *got = "";
    for (int i = 0; i < n; i++) {
        got = arena_printf(arena, "%s%s%s", got, i > 0 ? "|" : "", names[i].name);
        if (names[i].value >= 0) got = arena_printf(arena, "%s=%d", got, names[i].value);
        if (names[i].has_rgb)
            got = arena_printf(arena, "%s#%02x%02x%02x", got, names[i].rgb[0], names[i].rgb[1], names[i].rgb[2]);
    }
    assert_string_equal(got, wanted);
}

static void test_files_of_names(void **state) {
    expect_names("sky\nroad\n\n# more\ntree\r\n", "sky|road|tree");
    expect_names("0 sky\n1 road side\n", "sky=0|road side=1");
    expect_names("0: sky\n1: road\n", "sky=0|road=1");
    expect_names("class 1\nclass 2\n", "class 1|class 2");
    expect_names("64 128 64\tAnimal\n192 0 128\t\tArchway\n", "Animal#408040|Archway#c00080");
    expect_names("name,r,g,b\nsky,1,2,3\nroad,4,5,6\n", "sky#010203|road#040506");
    expect_names("# label:color_rgb:parts:actions\nback:0,0,0::\ncat:64,0,0::\n", "back#000000|cat#400000");
    expect_names("0 128 64 128 road\n1 0 0 0 sky\n", "road=0#804080|sky=1#000000");
    expect_names("one\n", "");
    expect_names("sky 1 2\nroad 3 4\n", "");
    expect_names("sky 1 2 300\nroad 1 2 3\n", "");
    expect_names("sky 1 2 3\nroad\ntree\n", "");
    expect_names("\x89PNG\r\n", "");
}

/* ---- words ---- */

static void test_nothing_to_train_on(void **state) {
    expect_words(WANTED_ANY, "error: DIR: holds no files\n");
    write_text(place("a.tif"), "x");
    write_text(place("b/c.tif"), "x");
    write_text(place("b/d.xml"), "x");
    expect_words(WANTED_ANY,
                 "error: DIR: holds no pictures that can be read (.png .jpg .bmp .tga .ppm .pgm .gif .psd), "
                 "but 2 .tif, 1 .xml; convert TIFF to PNG, which holds 16 bit too\n");
    for (int i = 0; i < 2; i++) {
        put_picture(arena_printf(arena, "train/cat/%d.png", i), 4, 4, 3, 8);
        put_picture(arena_printf(arena, "train/dog/%d.png", i), 4, 4, 3, 8);
    }
    expect_words(WANTED_ANY,
                 "error: DIR: looks like one folder for each class (cat, dog): classification of picture files is not "
                 "supported; --task reconstruction takes them all as pictures for an autoencoder\n");
}

static void test_masks_that_are_none(void **state) {
    put_pairs("images", "masks", 0, 2, (const uint8_t[]){5, 5, 5, 5});
    expect_words(WANTED_ANY, "error: DIR: all masks hold nothing but 5 (masks/0.png is one): there is nothing to tell "
                             "apart; two values or more are needed\n");
    for (int i = 0; i < 2; i++) {
        uint8_t values[64] = {0};
        for (int k = 0; k < 8; k++) values[k] = (uint8_t)(k * 30);
        put_picture(arena_printf(arena, "images/%d.png", i), 16, 16, 3, 8);
        uint8_t large[256];
        memset(large, 255, sizeof large);
        memcpy(large, values, 8);
        save_grey(place(arena_printf(arena, "masks/%d.png", i)), 16, 16, large);
    }
    expect_words(
        WANTED_ANY,
        "error: DIR: the masks are black and white with 7 shades between (255: 96.9 %, 0: 0.391 %, 30: 0.391 %, "
        "60: 0.391 %, 90: 0.391 %, 120: 0.391 % ...; masks/0.png has 120): they were smoothed, by resizing "
        "perhaps; save them with 0 and 255 only\n");
    unlink(place("masks/0.png"));
    put_picture("masks/0.jpg", 16, 16, 1, 8);
    expect_words(WANTED_ANY, "error: DIR/masks/0.jpg: is a JPEG mask, as 1 of 2 masks are; JPEG invents values between "
                             "the classes: save masks as PNG, from where they were made\n");
}

/* One JPEG mask among many others is left out as any pair that cannot be used. */
static void test_stray_jpeg_mask(void **state) {
    put_pairs("images", "masks", 0, 4, three);
    unlink(place("masks/2.png"));
    put_picture("masks/2.jpg", 4, 4, 1, 8);
    look(WANTED_ANY);
    assert_int_equal(contents.n_pairs, 3);
    assert_int_equal(layout.n_left_out, 1);
    assert_string_equal(layout.left_out[0].path, "masks/2.jpg");
    assert_string_equal(layout.left_out[0].why, "is a JPEG mask; JPEG invents values between the classes");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_path_words),
        TEST(test_affixes),
        TEST(test_two_folders),
        TEST(test_namesakes),
        TEST(test_splits_by_folders),
        TEST(test_one_folder),
        TEST(test_twins),
        TEST(test_voc),
        TEST(test_lists_of_pairs),
        TEST(test_pictures_alone),
        TEST(test_links),
        TEST(test_division),
        TEST(test_deep),
        TEST(test_lists_of_names),
        TEST(test_sizes_and_scale),
        TEST(test_bad_files_are_left_out),
        TEST(test_numbers),
        TEST(test_colors),
        TEST(test_palettes),
        TEST(test_names),
        TEST(test_published_classes),
        TEST(test_files_of_names),
        TEST(test_nothing_to_train_on),
        TEST(test_masks_that_are_none),
        TEST(test_stray_jpeg_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
