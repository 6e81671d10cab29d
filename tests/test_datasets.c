/* test_datasets.c - the dataset kinds: IDX files, folders and lists, packed files, generated scenes; and their words
 * when something is wrong. With SANDGLASS_TEST_DATA also real MNIST and CamVid. */
#include "data/pack.h"
#include "data/split.h"
#include "data_files.h"
#include "io/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static Folder dir;
static Arena *arena;
static Experiment experiment;

/* An experiment whose `data:` section is this text, one line a key; root is the test's folder. */
static void configure(const char *task, const char *data) {
    char *text = arena_printf(arena, "task: %s\nmodel: {layers: [dense: 1]}\ndata:\n  root: %s\n%s", task, dir.path,
                              data);
    read_experiment(&experiment, text, arena);
}

static Split *open_split(const char *name) {
    Split *split;
    Error err = ERROR_INIT;
    if (split_open(&split, &experiment, name, &err) != OK) fail_msg("%s", err.text);
    return split;
}

static Sample read_sample(Split *split, int64_t i) {
    Sample sample;
    Error err = ERROR_INIT;
    if (split_read(split, i, &sample, &err) != OK) fail_msg("%s", err.text);
    return sample;
}

static void sample_free(Sample *sample) {
    image_free(&sample->image);
    image_free(&sample->mask);
}

static void expect_open_error(const char *name, const char *text) {
    Split *split;
    Error err = ERROR_INIT;
    assert_int_not_equal(split_open(&split, &experiment, name, &err), OK);
    assert_null(split);
    assert_string_equal(words(&err, &dir), text);
}

static void assert_same_samples(Split *a, Split *b) {
    assert_int_equal(split_info(a)->n, split_info(b)->n);
    for (int64_t i = 0; i < split_info(a)->n; i++) {
        Sample x = read_sample(a, i), y = read_sample(b, i);
        assert_same_image(&x.image, &y.image);
        assert_int_equal(x.mask.data != NULL, y.mask.data != NULL);
        if (x.mask.data != NULL) assert_same_image(&x.mask, &y.mask);
        assert_int_equal(x.label, y.label);
        sample_free(&x);
        sample_free(&y);
    }
}

/* ---- idx ---- */

static void gzip_file(const char *from, const char *to, size_t keep) {
    size_t n;
    uint8_t *bytes = read_bytes(from, &n);
    gzFile f = gzopen(to, "wb");
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    gzclose(f);
    free(bytes);
    bytes = read_bytes(to, &n);
    write_bytes(to, bytes, n - keep);
    free(bytes);
}

static const char idx_data[] = "  kind: idx\n  train: {images: images, labels: labels}\n";

static void check_idx(void) {
    Split *split = open_split("train");
    const DatasetInfo *info = split_info(split);
    assert_true(info->n == 300 && info->channels == 1 && info->height == 5 && info->width == 7 && info->depth == 8 &&
                info->has_label && !info->has_mask && info->n_classes == 10);
    for (int i = 0; i < 300; i += 7) {
        Sample s = read_sample(split, i), view;
        assert_true(s.label == i % 10 && s.image.height == 5 && s.image.width == 7);
        for (int p = 0; p < 35; p++) assert_int_equal(s.image.u8[p], (i + 3 * p) & 255);
        assert_true(split_peek(split, i, &view)); /* in memory from the start */
        assert_same_image(&view.image, &s.image);
        sample_free(&s);
    }
    char name[64];
    split_sample_name(split, 12, name, sizeof name);
    assert_string_equal(name, "train[12]");
    split_close(split);
}

static void test_idx(void **state) {
    write_idx(folder_file(&dir, "images"), folder_file(&dir, "labels"), 300, 5, 7);
    configure("classification", idx_data);
    check_idx();
    gzip_file(folder_file(&dir, "images"), folder_file(&dir, "images.gz"), 0);
    gzip_file(folder_file(&dir, "labels"), folder_file(&dir, "labels.gz"), 0);
    unlink(folder_file(&dir, "images")); /* .gz is found by itself */
    unlink(folder_file(&dir, "labels"));
    check_idx();
    configure("classification", "  kind: idx\n  train: {images: images.gz, labels: labels.gz}\n");
    check_idx();
}

static void test_idx_damage(void **state) {
    const char *images = folder_file(&dir, "images"), *labels = folder_file(&dir, "labels");
    write_idx(images, labels, 10, 4, 4);
    size_t n;
    uint8_t *bytes = read_bytes(images, &n);
    configure("reconstruction", idx_data);
    write_bytes(images, bytes, n - 9);
    expect_open_error("train",
                      "error: DIR/images: truncated: its header says 10 images in 176 bytes, the file has 167\n");
    write_bytes(images, bytes, 5);
    expect_open_error("train", "error: DIR/images: truncated: 5 bytes are no IDX file\n");
    bytes[n] = 0;
    write_bytes(images, bytes, n + 1);
    expect_open_error("train", "error: DIR/images: damaged: it goes on behind the 10 images its header says\n");
    memset(bytes + 4, 0xFF, 12);
    write_bytes(images, bytes, n);
    expect_open_error("train", "error: DIR/images: damaged: its IDX header gives an impossible size\n");
    memset(bytes + 8, 0, 8);
    write_bytes(images, bytes, 16);
    expect_open_error("train", "error: DIR/images: holds no images\n");
    free(bytes);

    configure("reconstruction", "  kind: idx\n  train: {images: labels, labels: images}\n");
    expect_open_error("train", "error: DIR/labels: not an IDX file of images: it begins with 0x00000801, 0x00000803 "
                               "wanted; are images and labels swapped?\n");
    configure("reconstruction", idx_data);
    write_idx(images, NULL, 10, 4, 4);
    write_idx(folder_file(&dir, "other"), labels, 9, 4, 4);
    expect_open_error("train", "error: labels: holds 9 labels, but images holds 10 images\n");
    gzip_file(images, folder_file(&dir, "images.gz"), 12);
    configure("reconstruction", "  kind: idx\n  train: {images: images.gz}\n");
    expect_open_error("train", "error: DIR/images.gz: truncated: its gzip data end early\n");
    configure("reconstruction", "  kind: idx\n  train: {images: nothing}\n");
    expect_open_error("train", "error: DIR/nothing: cannot open: No such file or directory\n");
}

/* A gzip file that claims more than it has does not take memory for the claim. */
static void test_idx_bomb(void **state) {
    uint8_t header[16] = {0, 0, 8, 3, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 1, 0, 0, 0, 1, 0};
    write_bytes(folder_file(&dir, "claims"), header, 16);
    gzip_file(folder_file(&dir, "claims"), folder_file(&dir, "images.gz"), 0);
    configure("reconstruction", "  kind: idx\n  train: {images: images.gz}\n");
    expect_open_error("train", "error: DIR/images.gz: truncated: its header says 2147483647 images in 140737488289808 "
                               "bytes, the file has 16\n");
}

/* ---- folder ---- */

static void put_pair(const char *image, const char *mask, int width, int height) {
    Image a = pattern_image(width, height, 3, 8), m = pattern_image(width, height, 1, 8);
    for (int i = 0; i < width * height; i++) m.u8[i] %= 3;
    save_image(folder_file(&dir, image), &a);
    if (mask != NULL) save_image(folder_file(&dir, mask), &m);
    image_free(&a);
    image_free(&m);
}

static void expect_names(Split *split, int n, const char *const *names) {
    assert_int_equal(split_info(split)->n, n);
    for (int i = 0; i < n; i++) {
        char name[512];
        split_sample_name(split, i, name, sizeof name);
        assert_string_equal(name, folder_file(&dir, names[i]));
        Sample s = read_sample(split, i);
        assert_true(s.image.channels == 3 && s.mask.channels == 1 && s.label == -1);
        for (int p = 0; p < s.mask.width * s.mask.height; p++) assert_true(s.mask.u8[p] < 3);
        sample_free(&s);
    }
}

static const char folder_data[] = "  kind: folder\n  classes: [a, b, c]\n  train: {images: im, masks: ma}\n";

static void test_folder(void **state) {
    folder_sub(&dir, "im");
    folder_sub(&dir, "ma");
    put_pair("im/b.png", "ma/b.png", 9, 6);
    put_pair("im/a.bmp", "ma/a.png", 9, 6); /* by name without extension, in order of the names */
    put_pair("im/c.png", "ma/c.bmp", 9, 6);
    put_pair("im/d.x.png", "ma/d.x.png", 9, 6);
    put_pair("ma/spare.png", NULL, 9, 6); /* a mask without a picture does no harm */
    write_text(folder_file(&dir, "im/readme.txt"), "no picture");
    write_text(folder_file(&dir, "im/.hidden.png"), "no picture");
    configure("segmentation", folder_data);
    Split *split = open_split("train");
    const DatasetInfo *info = split_info(split);
    assert_true(info->height == 6 && info->width == 9 && info->channels == 3 && info->has_mask && info->n_classes == 3);
    expect_names(split, 4, (const char *const[]){"im/a.bmp", "im/b.png", "im/c.png", "im/d.x.png"});
    split_close(split);
    configure("reconstruction", "  kind: folder\n  train: {images: im}\n");
    split = open_split("train");
    assert_true(split_info(split)->n == 4 && !split_info(split)->has_mask);
    split_close(split);
}

static void test_folder_suffixes(void **state) {
    folder_sub(&dir, "im");
    put_pair("im/img_0002.png", "im/img_0002_mask.png", 8, 8);
    put_pair("im/img_0001.png", "im/img_0001_mask.png", 8, 8);
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: im, mask_suffix: _mask}\n");
    Split *split = open_split("train");
    expect_names(split, 2, (const char *const[]){"im/img_0001.png", "im/img_0002.png"});
    split_close(split);
    put_pair("im/x_sat.png", "im/x_sat_mask.png", 8, 8);
    put_pair("im/y_sat.png", "im/y_sat_mask.png", 8, 8);
    configure("segmentation",
              "  kind: folder\n  classes: [a, b, c]\n  train: {images: im, suffix: _sat, mask_suffix: _sat_mask}\n");
    split = open_split("train");
    expect_names(split, 2, (const char *const[]){"im/x_sat.png", "im/y_sat.png"});
    split_close(split);
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: im, masks: im}\n");
    expect_open_error("train", "error: pictures and masks are both in DIR/im: 'mask_suffix' has to tell them apart\n");
}

static void test_folder_prefixes_deep(void **state) {
    folder_sub(&dir, "all");
    folder_sub(&dir, "all/one");
    folder_sub(&dir, "all/two");
    put_pair("all/one/img_1.png", "all/one/gt_1.png", 8, 8);
    put_pair("all/two/img_1.png", "all/two/gt_1.png", 8, 6);
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: all, deep: true, prefix: img_, "
                              "mask_prefix: gt_}\n");
    Split *split = open_split("train");
    expect_names(split, 2, (const char *const[]){"all/one/img_1.png", "all/two/img_1.png"});
    char mask[512];
    split_mask_name(split, 1, mask, sizeof mask);
    assert_string_equal(mask, folder_file(&dir, "all/two/gt_1.png"));
    split_close(split);
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {images: all, prefix: img_, "
                              "mask_prefix: gt_}\n");
    expect_open_error("train", "error: DIR/all: holds no pictures whose names begin with img_\n");
}

/* Channels from several files: one behind the other, at the depth of the deepest. */
static void test_folder_channels(void **state) {
    folder_sub(&dir, "rgb");
    folder_sub(&dir, "nir");
    Image rgb = pattern_image(5, 4, 3, 8), nir = pattern_image(5, 4, 1, 16);
    save_image(folder_file(&dir, "rgb/a.png"), &rgb);
    save_image(folder_file(&dir, "nir/a.png"), &nir);
    configure("reconstruction", "  kind: folder\n  train: {images: [rgb, nir]}\n");
    Split *split = open_split("train");
    const DatasetInfo *info = split_info(split);
    assert_true(info->channels == 4 && info->depth == 16 && info->height == 4 && info->width == 5);
    Sample sample;
    assert_int_equal(split_read(split, 0, &sample, NULL), OK);
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 3; k++) assert_int_equal(sample.image.u16[4 * i + k], 257 * rgb.u8[3 * i + k]);
        assert_int_equal(sample.image.u16[4 * i + 3], nir.u16[i]);
    }
    image_free(&sample.image);
    split_close(split);
    /* in one folder, told apart by suffixes */
    save_image(folder_file(&dir, "nir/b_x.png"), &nir);
    save_image(folder_file(&dir, "nir/b_y.png"), &nir);
    configure("reconstruction", "  kind: folder\n  train: {images: nir, suffix: [_x, _y]}\n");
    split = open_split("train");
    assert_true(split_info(split)->n == 1 && split_info(split)->channels == 2);
    split_close(split);
    image_free(&nir);
    nir = pattern_image(4, 4, 1, 8);
    save_image(folder_file(&dir, "nir/a.png"), &nir);
    configure("reconstruction", "  kind: folder\n  train: {images: [rgb, nir]}\n");
    expect_open_error("train", "error: DIR/rgb/a.png: is 5x4, but DIR/nir/a.png is 4x4\n");
    save_image(folder_file(&dir, "rgb/c.png"), &rgb);
    remove(folder_file(&dir, "nir/a.png"));
    save_image(folder_file(&dir, "nir/a.png"), &rgb);
    expect_open_error("train",
                      "error: DIR/rgb: 1 of 2 pictures have no partner in DIR/nir: c.png; they are found by the "
                      "picture's name without extension (see 'suffix')\n");
    configure("reconstruction", "  kind: folder\n  train: {images: [rgb, rgb]}\n");
    expect_open_error("train", "error: DIR/rgb is named twice: 'suffix' has to tell its pictures apart\n");
    image_free(&rgb);
    image_free(&nir);
}

static void test_folder_list(void **state) {
    folder_sub(&dir, "sub");
    folder_sub(&dir, "sub/im");
    folder_sub(&dir, "sub/ma");
    put_pair("sub/im/a.png", "sub/ma/a.png", 8, 8);
    put_pair("sub/im/with space.png", "sub/ma/b.png", 8, 8);
    write_text(folder_file(&dir, "sub/list.txt"),
               "# pictures\r\n\r\n/SegNet/CamVid/im/a.png /SegNet/CamVid/ma/a.png\r\n"
               "im/with space.png\tma/b.png\n");
    configure("segmentation", "  kind: folder\n  classes: [a, b, c]\n  train: {list: sub/list.txt}\n");
    Split *split = open_split("train");
    expect_names(split, 2, (const char *const[]){"sub/im/a.png", "sub/im/with space.png"});
    split_close(split);
    write_text(folder_file(&dir, "sub/list.txt"), "im/a.png ma/a.png\nim/a.png\n");
    expect_open_error("train", "error: DIR/sub/list.txt:2: this line has no mask, the first one has one\n");
    write_text(folder_file(&dir, "sub/list.txt"), "im/a.png ma/a.png 3\n");
    expect_open_error("train", "error: DIR/sub/list.txt:1: more than 'image mask' in a line; names with spaces need a "
                               "tab between\n");
    write_text(folder_file(&dir, "sub/list.txt"), "\n# nothing\n");
    expect_open_error("train", "error: DIR/sub/list.txt: lists no pictures\n");
    write_text(folder_file(&dir, "sub/list.txt"), "im/a.png ma/gone.png\nim/gone.png ma/a.png\n");
    expect_open_error("train", "error: DIR/sub/ma/gone.png: cannot open: No such file or directory\n"
                               "error: DIR/sub/im/gone.png: cannot open: No such file or directory\n");
}

static void test_folder_errors(void **state) {
    configure("segmentation", folder_data);
    expect_open_error("train", "error: DIR/im: cannot open this folder: No such file or directory\n");
    folder_sub(&dir, "im");
    folder_sub(&dir, "ma");
    expect_open_error("train", "error: DIR/im: holds no pictures\n");
    put_pair("im/a.png", "ma/a.png", 8, 6);
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "im/x%d.png", i);
        put_pair(name, NULL, 8, 6);
    }
    expect_open_error("train",
                      "error: DIR/im: 5 of 6 pictures have no mask in DIR/ma: x0.png, x1.png, x2.png, ...; masks "
                      "are found by the picture's name without extension (see 'suffix' and 'mask_suffix')\n");
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "im/x%d.png", i);
        unlink(folder_file(&dir, name));
    }
    put_pair("ma/a.bmp", NULL, 8, 6);
    expect_open_error("train", "error: DIR/ma: both a.bmp and a.png could be the mask of 'a'\n");
    unlink(folder_file(&dir, "ma/a.bmp"));
    put_pair("im/b.png", NULL, 8, 6);
    put_pair("ma/b.png", NULL, 6, 8);
    put_pair("im/c.png", NULL, 8, 6);
    write_text(folder_file(&dir, "ma/c.png"), "no picture");
    expect_open_error("train",
                      "error: DIR/im/b.png: is 8x6, but its mask DIR/ma/b.png is 6x8\n"
                      "error: DIR/ma/c.png: is no picture of a known format (PNG, JPEG, BMP, TGA, PNM, GIF, PSD)\n");
    configure("segmentation", "  kind: folder\n  classes: [a]\n  train: {masks: ma}\n");
    expect_open_error("train", "error: folder needs either 'images' (a folder) or 'list' (a text file)\n");
    configure("segmentation", "  kind: folder\n  classes: [a]\n  train: {images: im}\n");
    expect_open_error("train", "test.yaml:7:10: error: data.train: has no masks, which segmentation needs\n"
                               "  7 |   train: {images: im}\n    |          ^\n");
    configure("segmentation", folder_data);
    char *text = arena_printf(arena, "%s/nowhere", dir.path);
    experiment.data = NULL;
    configure("segmentation", folder_data);
    experiment.data_root = text;
    expect_open_error("train",
                      "error: data.root: there is no folder 'DIR/nowhere'; fetch data with scripts/fetch_data.sh, "
                      "or say where they are with --set data.root=DIR or SANDGLASS_DATA=DIR\n");
}

/* Grey and colour, 8 and 16 bit, several sizes: what the network gets is one kind. */
static void test_folder_mixed(void **state) {
    folder_sub(&dir, "im");
    Image a = pattern_image(8, 6, 1, 8), b = pattern_image(10, 4, 4, 16);
    save_image(folder_file(&dir, "im/a.png"), &a);
    save_image(folder_file(&dir, "im/b.png"), &b);
    configure("reconstruction", "  kind: folder\n  train: {images: im}\n");
    Split *split = open_split("train");
    const DatasetInfo *info = split_info(split);
    int64_t shape[4];
    split_shape(split, shape);
    assert_true(info->height == 0 && info->width == 0 && info->channels == 3 && info->depth == 16 && shape[2] == 0);
    Sample s = read_sample(split, 0);
    assert_true(s.image.channels == 3 && s.image.depth == 16 && s.image.u16[5] == 257 * a.u8[1]);
    sample_free(&s);
    s = read_sample(split, 1);
    assert_true(s.image.channels == 3 && s.image.depth == 16 && s.image.width == 10);
    for (int i = 0; i < 40; i++)
        for (int c = 0; c < 3; c++) assert_int_equal(s.image.u16[3 * i + c], b.u16[4 * i + c]);
    sample_free(&s);
    split_close(split);
    image_free(&a);
    image_free(&b);
}

/* ---- shapes ---- */

static void test_shapes(void **state) {
    configure("segmentation",
              "  kind: shapes\n  n: 40\n  height: 48\n  width: 64\n  train: {}\n  val: {n: 8}\n  other: "
              "{seed: 2}\n  same: {}\n");
    Split *train = open_split("train"), *val = open_split("val"), *again = open_split("train");
    assert_true(split_info(train)->n == 40 && split_info(val)->n == 8 && split_info(train)->n_classes == 6);
    assert_string_equal(split_config(train)->class_names[4], "star");
    assert_same_samples(train, again);
    int64_t pixels[6] = {0};
    for (int i = 0; i < 40; i++) {
        Sample s = read_sample(train, i);
        assert_true(s.image.width == 64 && s.image.height == 48 && s.image.channels == 3 && s.mask.channels == 1);
        for (int p = 0; p < 48 * 64; p++) {
            assert_true(s.mask.u8[p] < 6);
            pixels[s.mask.u8[p]]++;
        }
        sample_free(&s);
    }
    for (int c = 0; c < 6; c++) assert_true(pixels[c] > 48 * 64 / 4);
    Sample a = read_sample(train, 0), b = read_sample(val, 0), c = read_sample(train, 1);
    assert_memory_not_equal(a.image.data, b.image.data, image_bytes(&a.image));
    assert_memory_not_equal(a.image.data, c.image.data, image_bytes(&a.image));
    Split *other = open_split("other");
    Sample d = read_sample(other, 0);
    assert_memory_not_equal(a.image.data, d.image.data, image_bytes(&a.image));
    Sample *all[] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; i++) sample_free(all[i]);
    split_close(train);
    split_close(val);
    split_close(again);
    split_close(other);
}

/* Scenes of 60 in which a class that is there has fewer pixels than `share` of one of its shapes: of radius 12. */
static int hidden_shapes(Split *split, double share) {
    static const double areas[6] = {0, 366.4, 368.6, 187.1, 190.5, 286.6};
    int n = 0;
    for (int i = 0; i < 60; i++) {
        Sample s = read_sample(split, i);
        int pixels[6] = {0}, hidden = 0;
        for (int p = 0; p < 48 * 48; p++) pixels[s.mask.u8[p]]++;
        for (int c = 1; c < 6; c++) hidden += pixels[c] > 0 && pixels[c] < 0.96 * share * areas[c];
        n += hidden > 0;
        sample_free(&s);
    }
    return n;
}

/* With `visible` each shape shows that much of itself; otherwise some do not. */
static void test_shapes_visible(void **state) {
    configure("segmentation", "  kind: shapes\n  n: 60\n  height: 48\n  width: 48\n  min_size: 0.25\n  max_size: 0.25\n"
                              "  max_shapes: 4\n  all: {visible: 1}\n  most: {visible: 0.7}\n  any: {}\n");
    Split *all = open_split("all"), *most = open_split("most"), *any = open_split("any");
    assert_int_equal(hidden_shapes(all, 1), 0);
    assert_int_equal(hidden_shapes(most, 0.7), 0);
    assert_true(hidden_shapes(most, 1) > 10);
    assert_true(hidden_shapes(any, 0.7) > 10);
    split_close(all);
    split_close(most);
    split_close(any);
}

/* ---- hdf5 ---- */

static void pack(const char *name, int deflate) {
    Error err = ERROR_INIT;
    if (pack_write(&experiment, folder_file(&dir, name), deflate, NULL, NULL, &err) != OK) fail_msg("%s", err.text);
}

static void expect_packed_same(const char *task, const char *source_data) {
    configure(task, source_data);
    pack("p.h5", 0);
    pack("d.h5", 4);
    Split *source = open_split("train");
    const char *const files[] = {"p.h5", "d.h5"};
    for (int i = 0; i < 2; i++) {
        configure(task,
                  arena_printf(arena, "  kind: hdf5\n  file: %s\n  train: {}\n  second: {group: val}\n", files[i]));
        Split *packed = open_split("train");
        const DatasetInfo *a = split_info(source), *b = split_info(packed);
        assert_true(a->channels == b->channels && a->height == b->height && a->width == b->width &&
                    a->depth == b->depth && a->n_classes == b->n_classes);
        const DataConfig *x = split_config(source), *y = split_config(packed);
        for (int c = 0; c < a->n_classes; c++) {
            assert_string_equal(x->class_names[c], y->class_names[c]);
            assert_memory_equal(x->palette[c], y->palette[c], 3);
        }
        assert_same_samples(source, packed);
        split_close(packed);
    }
    split_close(source);
}

static void test_pack_fixed(void **state) {
    expect_packed_same("segmentation",
                       "  kind: shapes\n  n: 13\n  height: 32\n  width: 24\n  train: {}\n  val: {n: 2}\n");
    Split *split = open_split("second"); /* the knob `group` */
    assert_int_equal(split_info(split)->n, 2);
    split_close(split);
    expect_open_error("val", "test.yaml:4:3: error: data has no split 'val', it has: train, second\n"
                             "  4 |   root: DIR\n    |   ^\n");
    configure("segmentation", "  kind: hdf5\n  file: p.h5\n  test: {}\n");
    expect_open_error("test", "error: DIR/p.h5: has no split 'test'; it has: train, val\n");
}

static void test_pack_labels(void **state) {
    write_idx(folder_file(&dir, "images"), folder_file(&dir, "labels"), 200, 28, 28);
    expect_packed_same("classification", idx_data);
}

static void test_pack_sizes(void **state) {
    folder_sub(&dir, "im");
    folder_sub(&dir, "ma");
    put_pair("im/a.png", "ma/a.png", 9, 6);
    put_pair("im/b.png", "ma/b.png", 300, 200);
    put_pair("im/c.png", "ma/c.png", 1, 1);
    expect_packed_same("segmentation", folder_data);
    Image deep = pattern_image(5, 4, 3, 16);
    save_image(folder_file(&dir, "im/d.png"), &deep);
    image_free(&deep);
    expect_packed_same("reconstruction", "  kind: folder\n  train: {images: im}\n");
}

static bool stop_at_3(void *context, const char *split, int64_t done, int64_t n) {
    return done < 3;
}

static void test_pack_stops(void **state) {
    configure("segmentation", "  kind: shapes\n  n: 5\n  height: 16\n  width: 16\n  train: {}\n");
    const char *path = folder_file(&dir, "p.h5");
    Error err = ERROR_INIT;
    assert_int_equal(pack_write(&experiment, path, 0, stop_at_3, NULL, &err), ERR_STOPPED);
    assert_int_not_equal(access(path, F_OK), 0); /* nothing half */
    pack("p.h5", 0);
    err_clear(&err);
    assert_int_equal(pack_write(&experiment, path, 0, stop_at_3, NULL, &err), ERR_STOPPED);
    configure("segmentation", "  kind: hdf5\n  file: p.h5\n  train: {}\n");
    Split *split = open_split("train"); /* the old one stays */
    assert_int_equal(split_info(split)->n, 5);
    split_close(split);
}

/* A file made by hand, one thing wrong with it. */
typedef struct Flaw {
    const char *what, *text;
} Flaw;

static void write_flat(const char *flaw) {
    H5 *f;
    assert_int_equal(h5_create(&f, folder_file(&dir, "x.h5"), NULL), OK);
    uint8_t values[30] = {0}, masks[10] = {0};
    int64_t offsets[3] = {0, 12, 30}, sizes[4] = {2, 2, 2, 3};
    H5Array images = {H5_U8, 1, {30}}, mask_array = {H5_U8, 1, {10}};
    if (!strcmp(flaw, "offsets")) offsets[1] = 15;
    if (!strcmp(flaw, "far")) offsets[0] = INT64_MIN;
    if (!strcmp(flaw, "large")) sizes[0] = sizes[1] = 1 << 14, sizes[2] = 1;
    if (!strcmp(flaw, "negative")) sizes[0] = sizes[1] = -2;
    if (!strcmp(flaw, "huge")) sizes[0] = sizes[1] = INT64_C(1) << 31;
    if (!strcmp(flaw, "short")) images.dim[0] = 29;
    if (!strcmp(flaw, "masks")) mask_array.dim[0] = 9;
    if (!strcmp(flaw, "type")) images.type = H5_I32;
    if (!strcmp(flaw, "value")) masks[4] = 9;
    int32_t wide[30] = {0};
    const char *format = !strcmp(flaw, "format") ? "other" : "sandglass-dataset";
    h5_set_text(f, "/", "format", format, NULL);
    h5_set_int(f, "/", "version", !strcmp(flaw, "version") ? 2 : 1, NULL);
    h5_write_texts(f, "/classes", 2, (const char *const[]){"a", "b"}, NULL);
    h5_write(f, "/train/images", images, NULL, images.type == H5_I32 ? (const void *)wide : values, NULL);
    int64_t channels = !strcmp(flaw, "channels") ? 0 : !strcmp(flaw, "large") ? 5 : 3;
    h5_set_int(f, "/train/images", "channels", channels, NULL);
    h5_write(f, "/train/masks", mask_array, NULL, masks, NULL);
    h5_write(f, "/train/sizes", (H5Array){H5_I64, 2, {2, 2}}, NULL, sizes, NULL);
    h5_write(f, "/train/offsets", (H5Array){H5_I64, 1, {3}}, NULL, offsets, NULL);
    assert_int_equal(h5_commit(f, NULL, NULL), OK);
    h5_close(f);
}

static void test_hdf5_flaws(void **state) {
    static const Flaw flaws[] = {
        {"format", "error: DIR/x.h5: is no packed dataset (its attribute 'format' is other); 'sandglass pack' makes "
                   "them\n"},
        {"version", "error: DIR/x.h5: is a packed dataset of version 2, this program reads version 1\n"},
        {"offsets", "error: DIR/x.h5: damaged: /train/offsets does not agree with the sizes\n"},
        {"far", "error: DIR/x.h5: damaged: /train/offsets does not agree with the sizes\n"},
        {"large", "error: DIR/x.h5: damaged: /train/sizes holds an impossible size\n"},
        {"negative", "error: DIR/x.h5: damaged: /train/sizes holds an impossible size\n"},
        {"huge", "error: DIR/x.h5: damaged: /train/sizes holds an impossible size\n"},
        {"channels", "error: DIR/x.h5: damaged: /train/sizes holds an impossible size\n"},
        {"short", "error: DIR/x.h5: damaged: /train/offsets does not agree with the number of values in images\n"},
        {"masks", "error: DIR/x.h5: damaged: /train/masks does not have the images' number and size\n"},
        {"type",
         "error: DIR/x.h5: damaged: /train/images must be n, height, width, channels of 8 or 16 bit unsigned or 32 "
         "bit float\n"},
    };
    configure("segmentation", "  kind: hdf5\n  file: x.h5\n  train: {}\n");
    write_flat("");
    Split *split = open_split("train");
    Sample s = read_sample(split, 1);
    assert_true(s.image.width == 3 && s.image.height == 2 && s.mask.width == 3);
    sample_free(&s);
    split_close(split);
    for (size_t i = 0; i < sizeof flaws / sizeof flaws[0]; i++) {
        write_flat(flaws[i].what);
        expect_open_error("train", flaws[i].text);
    }
    write_flat("value"); /* the class values of a packed file are not taken on trust */
    split = open_split("train");
    Error err = ERROR_INIT;
    assert_int_equal(split_read(split, 1, &s, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir),
                        "error: DIR/x.h5: train[1]: pixel (0, 0) has value 9, which is no class (0..1) "
                        "and not ignored; values: 0:5 9:1; set data.ignore to 9 to leave these pixels "
                        "out, or add the class\n");
    split_close(split);
}

/* ---- real data ---- */

static const char *real_data(void) {
    const char *path = getenv("SANDGLASS_TEST_DATA");
    if (path == NULL || path[0] == '\0') {
        print_message("skipped: SANDGLASS_TEST_DATA names no folder with mnist/ and camvid-tiny/\n");
        skip();
    }
    return path;
}

static void test_real_mnist(void **state) {
    const char *root = real_data();
    configure("classification", "  kind: idx\n  train: {images: mnist/t10k-images-idx3-ubyte.gz, labels: "
                                "mnist/t10k-labels-idx1-ubyte.gz}\n");
    experiment.data_root = root;
    static const int per_label[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
    int count[10] = {0};
    Split *split = open_split("train");
    assert_int_equal(split_info(split)->n, 10000);
    for (int i = 0; i < 10000; i++) {
        Sample view;
        assert_true(split_peek(split, i, &view));
        count[view.label]++;
    }
    for (int k = 0; k < 10; k++) assert_int_equal(count[k], per_label[k]);
    double mean, deviation;
    assert_int_equal(split_channel_stats(split, &mean, &deviation, NULL), OK);
    assert_float_equal(mean / 255, 0.1325, 5e-5);
    assert_float_equal(deviation / 255, 0.3105, 5e-5);
    split_close(split);
}

static void test_real_camvid(void **state) {
    const char *root = real_data();
    configure("segmentation",
              "  kind: folder\n  classes: [Sky, Building, Pole, Road, Pavement, Tree, Sign, Fence, Car, Pedestrian, "
              "Bicyclist]\n  ignore: 11\n  val: {images: camvid-tiny/val/images, masks: camvid-tiny/val/masks}\n");
    experiment.data_root = root;
    static const double percent[12] = {8.935, 26.001, 0.517, 28.942, 8.728, 16.413,
                                       0.936, 3.146,  2.126, 0.699,  2.092, 1.464};
    Split *split = open_split("val");
    ClassStats stats;
    assert_int_equal(split_class_stats(split, &stats, NULL, NULL, arena, NULL), OK);
    for (int k = 0; k < 12; k++)
        assert_float_equal(100.0 * (double)stats.pixels[k] / (8 * 360 * 480), percent[k], 6e-4);
    split_close(split);
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_idx),
        TEST(test_idx_damage),
        TEST(test_idx_bomb),
        TEST(test_folder),
        TEST(test_folder_suffixes),
        TEST(test_folder_list),
        TEST(test_folder_prefixes_deep),
        TEST(test_folder_channels),
        TEST(test_folder_errors),
        TEST(test_folder_mixed),
        TEST(test_shapes),
        TEST(test_shapes_visible),
        TEST(test_pack_fixed),
        TEST(test_pack_labels),
        TEST(test_pack_sizes),
        TEST(test_pack_stops),
        TEST(test_hdf5_flaws),
        TEST(test_real_mnist),
        TEST(test_real_camvid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
