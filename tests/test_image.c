/* test_image.c - pictures: what is written comes back, damage is noticed, orientation, resizing, conversions. */
#include "data_files.h"
#include "io/png.h"
#include "io/pnm.h"
#include "seed.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static Folder dir;

static Rng seeded(void) {
    return rng_stream(test_seed(), RNG_TEST, 0, 0);
}

static Image load(const char *path, int channels) {
    Image image;
    Error err = ERROR_INIT;
    if (image_load(path, channels, &image, &err) != OK) fail_msg("%s", err.text);
    return image;
}

static void expect_load_error(const char *name, const char *text) {
    Image image;
    Error err = ERROR_INIT;
    assert_int_not_equal(image_load(folder_file(&dir, name), 0, &image, &err), OK);
    assert_string_equal(words(&err, &dir), text);
    assert_null(image.data);
}

/* ---- what is written comes back ---- */

static void test_png_round_trip(void **state) {
    Rng rng = seeded();
    const char *path = folder_file(&dir, "a.png");
    for (int channels = 1; channels <= 4; channels++) {
        for (int depth = 8; depth <= 16; depth += 8) {
            for (int trial = 0; trial < 6; trial++) {
                int width = 1 + (int)rng_below(&rng, 40), height = 1 + (int)rng_below(&rng, 40);
                Image a = trial % 2 ? pattern_image(width, height, channels, depth)
                                    : random_image(&rng, width, height, channels, depth);
                save_image(path, &a);
                Image b = load(path, 0);
                assert_same_image(&a, &b);
                ImageInfo info;
                assert_int_equal(image_info(path, &info, NULL), OK);
                assert_true(info.width == width && info.height == height && info.channels == channels &&
                            info.depth == depth && !info.palette && info.orientation == 1 && !info.jpeg);
                assert_string_equal(info.format, "PNG");
                image_free(&a);
                image_free(&b);
            }
        }
    }
}

static void test_other_formats(void **state) {
    Image a = pattern_image(33, 21, 3, 8);
    static const char *const exact[] = {"a.bmp", "a.tga"};
    for (int i = 0; i < 2; i++) {
        save_image(folder_file(&dir, exact[i]), &a);
        Image b = load(folder_file(&dir, exact[i]), 0);
        ImageInfo info;
        assert_int_equal(image_info(folder_file(&dir, exact[i]), &info, NULL), OK);
        assert_string_equal(info.format, i == 0 ? "BMP" : "TGA");
        assert_same_image(&a, &b);
        image_free(&b);
    }
    for (int i = 0; i < 33 * 21 * 3; i++) a.u8[i] = (uint8_t)(i / 33); /* smooth: JPEG keeps it nearly */
    save_image(folder_file(&dir, "a.jpg"), &a);
    Image b = load(folder_file(&dir, "a.jpg"), 0);
    for (int i = 0; i < 33 * 21 * 3; i++) assert_in_range(b.u8[i] + 8, a.u8[i], a.u8[i] + 16);
    image_free(&a);
    image_free(&b);
}

static void test_palette(void **state) {
    uint8_t palette[5][3] = {{1, 2, 3}, {250, 0, 10}, {9, 9, 9}, {0, 255, 0}, {77, 88, 99}};
    Image a = pattern_image(31, 17, 1, 8);
    for (int i = 0; i < 31 * 17; i++) a.u8[i] %= 5;
    const char *path = folder_file(&dir, "p.png");
    assert_int_equal(image_save_palette(path, &a, 5, (const uint8_t(*)[3])palette, NULL), OK);
    Image indices, colors = load(path, 0);
    assert_int_equal(image_load_indices(path, &indices, NULL), OK);
    assert_same_image(&a, &indices);
    assert_int_equal(colors.channels, 3);
    for (int i = 0; i < 31 * 17; i++) assert_memory_equal(colors.u8 + 3 * i, palette[a.u8[i]], 3);
    ImageInfo info;
    assert_int_equal(image_info(path, &info, NULL), OK);
    assert_true(info.palette && info.channels == 3);
    Error err = ERROR_INIT;
    assert_int_equal(image_save_palette(path, &a, 4, (const uint8_t(*)[3])palette, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/p.png: value 4 is beyond the palette's 4 colours\n");
    image_free(&a);
    image_free(&indices);
    image_free(&colors);
}

/* ---- a PNG writer of its own, for what ours does not write: few bits, interlacing, each filter ---- */

typedef struct Raw {
    uint8_t bytes[1 << 18]; /* a chunk for each of some 10,000 bytes is the most: 12 bytes more each */
    size_t n;
} Raw;

static void raw_chunk(Raw *out, const char *type, const uint8_t *data, size_t n) {
    assert_in_range(out->n + n + 12, 0, sizeof out->bytes);
    uint8_t *p = out->bytes + out->n;
    for (int k = 0; k < 4; k++) p[k] = (uint8_t)(n >> (24 - 8 * k));
    memcpy(p + 4, type, 4);
    if (n > 0) memcpy(p + 8, data, n);
    unsigned long sum = crc32(0, p + 4, (unsigned)n + 4);
    for (int k = 0; k < 4; k++) p[8 + n + (size_t)k] = (uint8_t)(sum >> (24 - 8 * k));
    out->n += n + 12;
}

/* Rows of a reduced picture, filtered with filter number (row + first) % 5. */
static size_t raw_rows(const uint8_t *values, int width, int height, int depth, int first, uint8_t *out) {
    size_t n = ((size_t)width * (size_t)depth + 7) / 8;
    uint8_t row[256] = {0}, above[256] = {0}, *start = out;
    for (int y = 0; y < height; y++) {
        memset(row, 0, sizeof row);
        for (int x = 0; x < width; x++)
            row[x * depth / 8] |= (uint8_t)(values[y * width + x] << (8 - depth - x * depth % 8));
        int filter = (y + first) % 5;
        *out++ = (uint8_t)filter;
        for (size_t i = 0; i < n; i++) {
            int a = i > 0 ? row[i - 1] : 0, b = above[i], c = i > 0 ? above[i - 1] : 0;
            int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
            int nearest = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
            const int guess[5] = {0, a, b, (a + b) / 2, nearest};
            *out++ = (uint8_t)(row[i] - guess[filter]);
        }
        memcpy(above, row, sizeof above);
    }
    return (size_t)(out - start);
}

static void write_raw_png(const char *path, const uint8_t *values, int width, int height, int depth, bool palette,
                          bool interlaced, size_t idat_bytes) {
    static Raw file;
    static uint8_t rows[1 << 15], part[1 << 13], packed[1 << 15];
    size_t n = 0;
    if (!interlaced) {
        n = raw_rows(values, width, height, depth, 0, rows);
    } else {
        static const int first_x[7] = {0, 4, 0, 2, 0, 1, 0}, first_y[7] = {0, 0, 4, 0, 2, 0, 1};
        static const int step_x[7] = {8, 8, 4, 4, 2, 2, 1}, step_y[7] = {8, 8, 8, 4, 4, 2, 2};
        for (int pass = 0; pass < 7; pass++) {
            int w = 0, h = 0, count = 0;
            for (int y = first_y[pass]; y < height; y += step_y[pass], h++) {
                w = 0;
                for (int x = first_x[pass]; x < width; x += step_x[pass], w++) part[count++] = values[y * width + x];
            }
            if (w > 0 && h > 0) n += raw_rows(part, w, h, depth, pass, rows + n);
        }
    }
    uLongf n_packed = sizeof packed;
    compress(packed, &n_packed, rows, n);
    file.n = 8;
    memcpy(file.bytes, "\x89PNG\r\n\x1a\n", 8);
    uint8_t ihdr[13] = {0, 0, 0,         (uint8_t)width, 0, 0, 0, (uint8_t)height, (uint8_t)depth, palette ? 3 : 0,
                        0, 0, interlaced};
    raw_chunk(&file, "IHDR", ihdr, 13);
    uint8_t colors[768];
    for (int i = 0; i < 768; i++) colors[i] = (uint8_t)(7 * i);
    if (palette) raw_chunk(&file, "PLTE", colors, (size_t)3 << depth);
    for (size_t at = 0; at < n_packed; at += idat_bytes)
        raw_chunk(&file, "IDAT", packed + at, n_packed - at < idat_bytes ? n_packed - at : idat_bytes);
    raw_chunk(&file, "IEND", NULL, 0);
    write_bytes(path, file.bytes, file.n);
}

static void test_index_pngs(void **state) {
    Rng rng = seeded();
    const char *path = folder_file(&dir, "raw.png");
    for (int trial = 0; trial < 200; trial++) {
        int depth = 1 << rng_below(&rng, 4), width = 1 + (int)rng_below(&rng, 37),
            height = 1 + (int)rng_below(&rng, 29);
        bool palette = rng_below(&rng, 2), interlaced = rng_below(&rng, 2);
        uint8_t values[37 * 29];
        for (int i = 0; i < width * height; i++) values[i] = (uint8_t)rng_below(&rng, 1 << depth);
        write_raw_png(path, values, width, height, depth, palette, interlaced, 1 + (size_t)rng_below(&rng, 300));
        Image image;
        Error err = ERROR_INIT;
        if (image_load_indices(path, &image, &err) != OK) fail_msg("%s", err.text);
        assert_true(image.width == width && image.height == height && image.channels == 1 && image.depth == 8);
        assert_memory_equal(image.u8, values, (size_t)(width * height));
        image_free(&image);
    }
}

static void test_masks_in_other_clothes(void **state) {
    Image image, rgb = pattern_image(8, 8, 3, 8), grey16 = pattern_image(8, 8, 1, 16);
    for (int i = 0; i < 64; i++) {
        for (int c = 0; c < 3; c++) rgb.u8[3 * i + c] = (uint8_t)(i % 7);
        grey16.u16[i] = (uint16_t)(i % 7);
    }
    save_image(folder_file(&dir, "rgb.png"), &rgb);
    save_image(folder_file(&dir, "grey16.png"), &grey16);
    static const char *const names[] = {"rgb.png", "grey16.png"};
    for (int k = 0; k < 2; k++) { /* grey in RGB, and small numbers in 16 bit, are taken as they are */
        assert_int_equal(image_load_indices(folder_file(&dir, names[k]), &image, NULL), OK);
        assert_true(image.channels == 1 && image.depth == 8);
        for (int i = 0; i < 64; i++) assert_int_equal(image.u8[i], i % 7);
        image_free(&image);
    }
    rgb.u8[3 * 40 + 1] = 99; /* a real colour stays one */
    save_image(folder_file(&dir, "rgb.png"), &rgb);
    assert_int_equal(image_load_indices(folder_file(&dir, "rgb.png"), &image, NULL), OK);
    assert_int_equal(image.channels, 3);
    image_free(&image);
    grey16.u16[5] = 1000;
    save_image(folder_file(&dir, "grey16.png"), &grey16);
    Error err = ERROR_INIT;
    assert_int_equal(image_load_indices(folder_file(&dir, "grey16.png"), &image, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/grey16.png: a 16-bit mask holds the value 1000, masks hold "
                                           "values up to 255\n");
    image_free(&rgb);
    image_free(&grey16);
}

static void test_pnm(void **state) {
    const char *path = folder_file(&dir, "a.pgm");
    write_bytes(path, "P5 # comment\n3 2\n100\n\x00\x32\x64\x01\x02\x03", 27);
    Image a = load(path, 0), b;
    const uint8_t scaled[6] = {0, 128, 255, 3, 5, 8}, raw[6] = {0, 50, 100, 1, 2, 3};
    assert_true(a.width == 3 && a.height == 2 && a.channels == 1 && a.depth == 8);
    assert_memory_equal(a.u8, scaled, 6);
    image_free(&a);
    assert_int_equal(image_load_indices(path, &b, NULL), OK);
    assert_memory_equal(b.u8, raw, 6);
    image_free(&b);
    write_bytes(path, "P5 2 1 65535\n\x12\x34\xff\xff", 17);
    a = load(path, 0);
    assert_true(a.depth == 16 && a.u16[0] == 0x1234 && a.u16[1] == 0xffff);
    image_free(&a);
    a = load(path, 3); /* 16 bit and converted */
    assert_true(a.channels == 3 && a.depth == 16 && a.u16[2] == 0x1234 && a.u16[3] == 0xffff);
    image_free(&a);
    write_bytes(path, "P6 1 1 255\n\x01\x02\x03", 14);
    a = load(path, 0);
    assert_true(a.channels == 3 && a.u8[0] == 1 && a.u8[2] == 3);
    image_free(&a);
    write_bytes(path, "P5 2 2 255\n\x01\x02\x03", 14);
    expect_load_error("a.pgm", "error: DIR/a.pgm: truncated: the PNM data end before the picture is complete\n");
    write_bytes(path, "P5 2 2 7\n\x01\x02\x03\x08", 13);
    expect_load_error("a.pgm", "error: DIR/a.pgm: damaged: a PNM sample is beyond the largest value of the header\n");
    write_text(path, "P5 0 2 7\n1234");
    expect_load_error("a.pgm", "error: DIR/a.pgm: damaged: the PNM header makes no sense\n");
    write_text(path, "P5 16777216 16777216 255\nxxxx");
    expect_load_error("a.pgm", "error: DIR/a.pgm: too large: 16777216x16777216 pixels, at most 268435456 in all are "
                               "read\n");
}

static void test_other_pnm(void **state) {
    static const char *const kinds[] = {"text PBM picture (P1)", "text PGM picture (P2)", "text PPM picture (P3)",
                                        "binary PBM picture (P4)", "PAM picture (P7)"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char text[400] = {'P', *(strrchr(kinds[i], ')') - 1), 0};
        strcat(text, "\n2 1\n0 1\n");
        write_text(folder_file(&dir, "a.pnm"), text);
        snprintf(text, sizeof text,
                 "error: DIR/a.pnm: is a %s; of these formats binary PGM and PPM (P5, P6) are read; convert it, for "
                 "instance with ImageMagick to PNG: convert FILE FILE.png\n",
                 kinds[i]);
        expect_load_error("a.pnm", text);
        ImageInfo info;
        Error err = ERROR_INIT;
        assert_int_equal(image_info(folder_file(&dir, "a.pnm"), &info, &err), ERR_DATA);
        assert_string_equal(words(&err, &dir), text);
    }
}

/* ---- too large ---- */

/* A PNG of 8 or 16 bit and this size whose pixels are n zeros, deflated. */
static void write_bomb(const char *path, int width, int height, int color_type, int depth, size_t n) {
    enum { PIECE = 1 << 16 };
    static const uint8_t zeros[PIECE];
    static Raw out;
    out.n = 8;
    memcpy(out.bytes, "\x89PNG\r\n\x1a\n", 8);
    uint8_t header[13] = {0};
    for (int k = 0; k < 4; k++) header[k] = (uint8_t)(width >> (24 - 8 * k));
    for (int k = 0; k < 4; k++) header[4 + k] = (uint8_t)(height >> (24 - 8 * k));
    header[8] = (uint8_t)depth;
    header[9] = (uint8_t)color_type;
    raw_chunk(&out, "IHDR", header, 13);
    z_stream z = {0};
    assert_int_equal(deflateInit(&z, 9), Z_OK);
    uint8_t packed[1 << 14];
    int state = Z_OK;
    for (size_t done = 0; state != Z_STREAM_END;) {
        size_t piece = n - done < PIECE ? n - done : PIECE;
        done += piece;
        z.next_in = (Bytef *)zeros;
        z.avail_in = (uInt)piece;
        do {
            z.next_out = packed;
            z.avail_out = sizeof packed;
            state = deflate(&z, done == n ? Z_FINISH : Z_NO_FLUSH);
            size_t used = sizeof packed - z.avail_out;
            assert_true(out.n + used + 64 < sizeof out.bytes);
            if (used > 0) raw_chunk(&out, "IDAT", packed, used);
        } while (z.avail_out == 0 && state != Z_STREAM_END);
    }
    deflateEnd(&z);
    raw_chunk(&out, "IEND", NULL, 0);
    write_bytes(path, out.bytes, out.n);
}

static void expect_both_errors(const char *name, const char *text) {
    ImageInfo info;
    Error err = ERROR_INIT;
    assert_int_equal(image_info(folder_file(&dir, name), &info, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), text);
    expect_load_error(name, text);
}

/* What a small file may cost is bounded: by the bytes of the picture, and by what deflate can pack. */
static void test_bombs(void **state) {
    write_bomb(folder_file(&dir, "wide.png"), 16000, 16000, PNG_RGBA, 16, 1000);
    expect_both_errors("wide.png", "error: DIR/wide.png: too large: 16000x16000 pixels of 4 channels and 16 bit take "
                                   "more than the 1024 MiB that are allowed for a picture\n");
    write_bomb(folder_file(&dir, "empty.png"), 16000, 16000, PNG_GREY, 8, 1000);
    struct stat st;
    assert_int_equal(stat(folder_file(&dir, "empty.png"), &st), 0);
    char text[200];
    snprintf(text, sizeof text,
             "error: DIR/empty.png: damaged: a PNG file of %lld bytes cannot hold 16000x16000 "
             "pixels\n",
             (long long)st.st_size);
    expect_both_errors("empty.png", text);
    /* the picture fits as it is, not with the channels that are asked for */
    write_text(folder_file(&dir, "grey.pgm"), "P5 16000 16000 65535\nxxxx");
    Image image;
    Error err = ERROR_INIT;
    assert_int_equal(image_load(folder_file(&dir, "grey.pgm"), 3, &image, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/grey.pgm: too large: 16000x16000 pixels of 3 channels and 16 "
                                           "bit take more than the 1024 MiB that are allowed for a picture\n");
    /* a sound picture of nearly the most that deflate can pack */
    write_bomb(folder_file(&dir, "zeros.png"), 2000, 2000, PNG_GREY, 8, 2001 * 2000);
    image = load(folder_file(&dir, "zeros.png"), 0);
    assert_true(image.width == 2000 && image.u8[2000 * 2000 - 1] == 0);
    image_free(&image);
}

/* ---- PNG files row by row ---- */

static PngSpec spec_of(const Image *image, PngStyle style) {
    return (PngSpec){.width = image->width,
                     .height = image->height,
                     .channels = image->channels,
                     .depth = image->depth,
                     .style = style};
}

/* Written in bands of 1, 2, 3 ... rows, a picture comes back whatever the style. */
static void test_png_by_rows(void **state) {
    Rng rng = seeded();
    const char *path = folder_file(&dir, "rows.png");
    for (int trial = 0; trial < 48; trial++) {
        int channels = 1 + trial % 4, depth = trial / 4 % 2 ? 16 : 8, width = 1 + (int)rng_below(&rng, 300);
        int height = 1 + (int)rng_below(&rng, 300);
        Image a = trial % 3 ? pattern_image(width, height, channels, depth)
                            : random_image(&rng, width, height, channels, depth);
        PngSpec spec = spec_of(&a, trial / 8 % 2 ? PNG_FLAT : PNG_QUICK);
        PngFile *file;
        assert_int_equal(png_create(&file, path, &spec, NULL), OK);
        size_t row = image_bytes(&a) / (size_t)height;
        for (int y = 0, n = 1; y < height; y += n++)
            assert_int_equal(png_rows(file, n < height - y ? n : height - y, a.u8 + (size_t)y * row, NULL), OK);
        assert_int_equal(png_commit(file, NULL), OK);
        png_close(file);
        Image b = load(path, 0);
        assert_same_image(&a, &b);
        image_free(&b);
        if (channels % 2 == 0) { /* without its alpha */
            b = load(path, channels - 1);
            assert_int_equal(b.channels, channels - 1);
            for (size_t i = 0; i < (size_t)width * (size_t)height; i++)
                for (int k = 0; k < channels - 1; k++) {
                    size_t from = i * (size_t)channels + (size_t)k, to = i * (size_t)(channels - 1) + (size_t)k;
                    assert_int_equal(depth == 8 ? b.u8[to] : b.u16[to], depth == 8 ? a.u8[from] : a.u16[from]);
                }
            image_free(&b);
        }
        image_free(&a);
    }
}

/* Nothing is there before the commit, and nothing is left of a file that never came so far. */
static void test_png_unfinished(void **state) {
    const char *path = folder_file(&dir, "part.png");
    Image a = pattern_image(30, 20, 3, 8);
    PngSpec spec = spec_of(&a, PNG_QUICK);
    PngFile *file;
    Error err = ERROR_INIT;
    char aside[64];
    snprintf(aside, sizeof aside, "part.png.%ld.tmp", (long)getpid());
    assert_int_equal(png_create(&file, path, &spec, NULL), OK);
    assert_int_equal(png_rows(file, 19, a.u8, NULL), OK);
    assert_int_equal(access(folder_file(&dir, aside), F_OK), 0);
    assert_int_equal(png_commit(file, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/part.png: a PNG of 20 rows got 19\n");
    png_close(file);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(folder_file(&dir, aside), F_OK), 0);
    png_close(NULL);

    /* a palette's limit is seen while the rows come */
    static const uint8_t palette[2][3] = {{0, 0, 0}, {9, 9, 9}};
    static const uint8_t values[6] = {0, 1, 1, 0, 2, 0};
    PngSpec indices = {.width = 3, .height = 2, .channels = 1, .depth = 8, .n_palette = 2, .palette = palette};
    assert_int_equal(png_create(&file, path, &indices, NULL), OK);
    err = (Error)ERROR_INIT;
    assert_int_equal(png_rows(file, 2, values, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/part.png: value 2 is beyond the palette's 2 colours\n");
    png_close(file);
    assert_int_not_equal(access(path, F_OK), 0);
    image_free(&a);
}

/* A full disk (here: a limit on the size of files) is an error that names the file. */
static void test_png_no_room(void **state) {
    Rng rng = seeded();
    Image a = random_image(&rng, 400, 400, 3, 8);
    PngSpec spec = spec_of(&a, PNG_QUICK);
    PngFile *file;
    Error err = ERROR_INIT;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(png_create(&file, folder_file(&dir, "full.png"), &spec, NULL), OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    Err code = png_rows(file, 400, a.u8, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(code, ERR_IO);
    assert_string_equal(words(&err, &dir), "error: DIR/full.png: cannot write: File too large\n");
    png_close(file);
    assert_int_not_equal(access(folder_file(&dir, "full.png"), F_OK), 0);
    image_free(&a);
}

/* Each filter, as another writer uses it. */
static void test_png_filters(void **state) {
    Rng rng = seeded();
    uint8_t values[100 * 100];
    for (int trial = 0; trial < 20; trial++) {
        int width = 1 + (int)rng_below(&rng, 100), height = 1 + (int)rng_below(&rng, 100);
        for (int i = 0; i < width * height; i++) values[i] = (uint8_t)rng_below(&rng, 256);
        write_raw_png(folder_file(&dir, "raw.png"), values, width, height, 8, false, false,
                      1 + (size_t)rng_below(&rng, 300));
        Image image = load(folder_file(&dir, "raw.png"), 0);
        assert_int_equal(image.channels, 1);
        assert_memory_equal(image.u8, values, (size_t)width * (size_t)height);
        image_free(&image);
    }
}

/* ---- damage ---- */

/* Every beginning of the file is refused with words, and the header either too or with the true size. */
static void check_truncation(const char *name) {
    size_t n;
    uint8_t *bytes = read_bytes(folder_file(&dir, name), &n);
    ImageInfo whole, part;
    assert_int_equal(image_info(folder_file(&dir, name), &whole, NULL), OK);
    char cut_name[64];
    snprintf(cut_name, sizeof cut_name, "cut_%s", name);
    const char *cut = folder_file(&dir, cut_name);
    for (size_t keep = 0; keep < n; keep += keep < 64 || keep + 64 > n ? 1 : 1 + n / 97) {
        write_bytes(cut, bytes, keep);
        Image image;
        Error err = ERROR_INIT;
        if (image_load(cut, 0, &image, &err) == OK) fail_msg("%s: %zu of %zu bytes are taken for all", name, keep, n);
        assert_int_equal(err.count, 1);
        assert_null(image.data);
        if (image_info(cut, &part, NULL) == OK) {
            assert_int_equal(part.width, whole.width);
            assert_int_equal(part.height, whole.height);
        }
    }
    free(bytes);
}

static void test_truncation(void **state) {
    Rng rng = seeded();
    static const char *const names[] = {"t.png", "t.jpg", "t.bmp", "t.tga"};
    Image a = random_image(&rng, 37, 23, 3, 8);
    for (int i = 0; i < 4; i++) {
        save_image(folder_file(&dir, names[i]), &a);
        check_truncation(names[i]);
    }
    image_free(&a);
    size_t n;
    uint8_t *bytes = read_bytes(folder_file(&dir, "t.png"), &n);
    write_bytes(folder_file(&dir, "t.png"), bytes, n - 5);
    expect_load_error("t.png", "error: DIR/t.png: truncated: the PNG file ends before its end chunk\n");
    free(bytes);
    bytes = read_bytes(folder_file(&dir, "t.jpg"), &n);
    write_bytes(folder_file(&dir, "t.jpg"), bytes, n - 2);
    expect_load_error("t.jpg", "error: DIR/t.jpg: truncated: the JPEG data end before their end marker\n");
    free(bytes);
    bytes = read_bytes(folder_file(&dir, "t.bmp"), &n);
    write_bytes(folder_file(&dir, "t.bmp"), bytes, n - 700);
    expect_load_error("t.bmp", "error: DIR/t.bmp: truncated: it ends before the picture is complete\n");
    free(bytes);
}

static void test_png_damage(void **state) {
    Rng rng = seeded();
    Image a = random_image(&rng, 20, 20, 3, 8);
    const char *path = folder_file(&dir, "d.png");
    save_image(path, &a);
    size_t n;
    uint8_t *bytes = read_bytes(path, &n);
    for (int trial = 0; trial < 300; trial++) { /* any changed bit is noticed */
        size_t at = (size_t)rng_below(&rng, (int64_t)n);
        bytes[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
        write_bytes(path, bytes, n);
        Image image;
        Error err = ERROR_INIT;
        if (image_load(path, 0, &image, &err) == OK) fail_msg("byte %zu was changed, and nobody noticed", at);
        write_bytes(path, bytes, n);
        free(bytes);
        save_image(path, &a);
        bytes = read_bytes(path, &n);
    }
    bytes[60] ^= 4;
    write_bytes(path, bytes, n);
    expect_load_error("d.png", "error: DIR/d.png: damaged: a PNG chunk does not match its checksum\n");
    free(bytes);
    image_free(&a);
}

/* Without its tables of codes stb_image decodes by what lies in memory. */
static void test_jpeg_tables(void **state) {
    static const char *const files[] = {TESTS_DIR "/corpus/image/baseline.jpg",
                                        TESTS_DIR "/corpus/image/progressive.jpg"};
    for (int f = 0; f < 2; f++) {
        int n_tables = 0;
        size_t n;
        uint8_t *bytes = read_bytes(files[f], &n);
        for (size_t at = n - 1; at-- > 0;) { /* a table becomes a comment */
            if (bytes[at] != 0xFF || bytes[at + 1] != 0xC4) continue;
            bytes[at + 1] = 0xFE;
            n_tables++;
        }
        assert_true(n_tables >= 2);
        write_bytes(folder_file(&dir, "h.jpg"), bytes, n);
        expect_load_error("h.jpg", "error: DIR/h.jpg: damaged: a JPEG table of codes is missing\n");
        free(bytes);
    }
}

static void test_not_pictures(void **state) {
    expect_load_error("none.png", "error: DIR/none.png: cannot open: No such file or directory\n");
    write_text(folder_file(&dir, "empty.png"), "");
    expect_load_error("empty.png", "error: DIR/empty.png: is empty, not a picture\n");
    write_text(folder_file(&dir, "text.jpg"), "just some text, nothing else");
    expect_load_error("text.jpg", "error: DIR/text.jpg: is no picture of a known format (PNG, JPEG, BMP, TGA, PNM, "
                                  "GIF, PSD)\n");
    folder_sub(&dir, "sub.png");
    expect_load_error("sub.png", "error: DIR/sub.png: cannot read: it is a folder\n");
    assert_int_equal(mkfifo(folder_file(&dir, "pipe.png"), 0666), 0); /* nobody writes: must not be waited for */
    expect_load_error("pipe.png", "error: DIR/pipe.png: cannot read: not a regular file\n");
    assert_true(image_path_readable("a/b.PNG") && image_path_readable("x.jpeg") && !image_path_readable("x.txt") &&
                !image_path_readable("a.png/x") && !image_path_readable("png"));
}

/* ---- orientation ---- */

/* A 2x1 JPEG's EXIF block with this orientation, spliced in behind the start marker. */
static void test_orientation(void **state) {
    Image a;
    assert_int_equal(image_new(&a, 32, 16, 1, 8, NULL), OK); /* left third dark, top right bright */
    for (int y = 0; y < 16; y++)
        for (int x = 0; x < 32; x++) a.u8[y * 32 + x] = x < 16 ? (y < 8 ? 20 : 80) : (y < 8 ? 150 : 230);
    save_image(folder_file(&dir, "o.jpg"), &a);
    image_free(&a);
    size_t n;
    uint8_t *bytes = read_bytes(folder_file(&dir, "o.jpg"), &n);
    /* corners (top left, top right, bottom left, bottom right) as seen after each orientation */
    static const int corners[9][4] = {{0},
                                      {20, 150, 80, 230},
                                      {150, 20, 230, 80},
                                      {230, 80, 150, 20},
                                      {80, 230, 20, 150},
                                      {20, 80, 150, 230},
                                      {80, 20, 230, 150},
                                      {230, 150, 80, 20},
                                      {150, 230, 20, 80}};
    for (int orientation = 1; orientation <= 8; orientation++) {
        for (int big = 0; big < 2; big++) {
            uint8_t app1[2 + 2 + 6 + 26] = {0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
            static const uint8_t little[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0};
            static const uint8_t large[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1};
            memcpy(app1 + 10, big ? large : little, 18);
            app1[10 + 18 + big] = (uint8_t)orientation;
            uint8_t *file = malloc(n + sizeof app1);
            memcpy(file, bytes, 2);
            memcpy(file + 2, app1, sizeof app1);
            memcpy(file + 2 + sizeof app1, bytes + 2, n - 2);
            const char *path = folder_file(&dir, "turned.jpg");
            write_bytes(path, file, n + sizeof app1);
            free(file);
            Image image = load(path, 1);
            ImageInfo info;
            assert_int_equal(image_info(path, &info, NULL), OK);
            bool swapped = orientation >= 5;
            assert_true(image.width == (swapped ? 16 : 32) && image.height == (swapped ? 32 : 16));
            assert_true(info.width == image.width && info.height == image.height && info.orientation == orientation &&
                        info.jpeg && strcmp(info.format, "JPEG") == 0);
            int w = image.width, h = image.height;
            const int found[4] = {image.u8[2 * w + 2], image.u8[2 * w + w - 3], image.u8[(h - 3) * w + 2],
                                  image.u8[(h - 3) * w + w - 3]};
            for (int k = 0; k < 4; k++)
                if (abs(found[k] - corners[orientation][k]) > 12)
                    fail_msg("orientation %d, corner %d: %d instead of %d", orientation, k, found[k],
                             corners[orientation][k]);
            image_free(&image);
        }
    }
    free(bytes);
}

/* ---- size and channels ---- */

static void test_resize(void **state) {
    Rng rng = seeded();
    Image out;
    for (int depth = 8; depth <= 16; depth += 8) {
        Image flat = pattern_image(23, 17, 3, depth);
        for (int i = 0; i < 23 * 17 * 3; i++) {
            if (depth == 8) flat.u8[i] = 77;
            if (depth == 16) flat.u16[i] = 7777;
        }
        for (int trial = 0; trial < 20; trial++) { /* one colour stays that colour */
            int width = 1 + (int)rng_below(&rng, 60), height = 1 + (int)rng_below(&rng, 60);
            assert_int_equal(image_resize(&flat, width, height, false, &out, NULL), OK);
            assert_true(out.width == width && out.height == height && out.channels == 3 && out.depth == depth);
            for (int i = 0; i < width * height * 3; i++)
                assert_int_equal(depth == 8 ? out.u8[i] : out.u16[i], depth == 8 ? 77 : 7777);
            image_free(&out);
        }
        image_free(&flat);
    }
    Image a = random_image(&rng, 16, 12, 1, 8);
    assert_int_equal(image_resize(&a, 16, 12, false, &out, NULL), OK);
    assert_same_image(&a, &out);
    image_free(&out);
    assert_int_equal(image_resize(&a, 32, 36, true, &out, NULL), OK); /* nearest: blocks of the same values */
    for (int y = 0; y < 36; y++)
        for (int x = 0; x < 32; x++) assert_int_equal(out.u8[y * 32 + x], a.u8[y / 3 * 16 + x / 2]);
    image_free(&out);
    image_free(&a);
    /* by hand: halving a row 0 100 200 200 with a triangle of reach 2 around 0.5 and 2.5:
     * weights 3/4 3/4 1/4 of pixels 0 1 2, over 7/4: (0 + 75 + 50) / 1.75 = 71.4; mirrored 25 + 150 + 150 = 185.7 */
    uint8_t row[4] = {0, 100, 200, 200};
    Image line = {.width = 4, .height = 1, .channels = 1, .depth = 8, .u8 = row};
    assert_int_equal(image_resize(&line, 2, 1, false, &out, NULL), OK);
    assert_int_equal(out.u8[0], 71);
    assert_int_equal(out.u8[1], 186);
    image_free(&out);
}

static void test_convert(void **state) {
    Image a;
    assert_int_equal(image_new(&a, 1, 1, 3, 8, NULL), OK);
    memcpy(a.u8, "\x0a\xc8\x32", 3);
    assert_int_equal(image_convert(&a, 1, 0, NULL), OK);
    assert_int_equal(a.u8[0], (77 * 10 + 150 * 200 + 29 * 50) / 256);
    assert_int_equal(image_convert(&a, 4, 16, NULL), OK);
    assert_true(a.channels == 4 && a.depth == 16 && a.u16[0] == 257 * 125 && a.u16[3] == 65535);
    assert_int_equal(image_convert(&a, 0, 8, NULL), OK);
    assert_true(a.channels == 4 && a.u8[2] == 125 && a.u8[3] == 255);
    image_free(&a);
    assert_int_equal(image_new(&a, 1, 1, 7, 8, NULL), OK);
    Error err = ERROR_INIT;
    assert_int_equal(image_convert(&a, 3, 0, &err), ERR_DATA);
    assert_string_equal(err.text, "error: cannot convert 7 channels to 3\n");
    image_free(&a);
}

/* ---- saving ---- */

static int count_files(const char *path) {
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_save_errors(void **state) {
    Image a = pattern_image(4, 4, 3, 8), deep = pattern_image(4, 4, 3, 16);
    Error err = ERROR_INIT;
    assert_int_equal(image_save(folder_file(&dir, "no/such/a.png"), &a, &err), ERR_IO);
    assert_string_equal(words(&err, &dir), "error: DIR/no/such/a.png: cannot write: No such file or directory\n");
    err_clear(&err);
    assert_int_equal(image_save(folder_file(&dir, "a.webp"), &a, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/a.webp: pictures are written as .png, .jpg, .bmp or .tga\n");
    err_clear(&err);
    assert_int_equal(image_save(folder_file(&dir, "a.jpg"), &deep, &err), ERR_DATA);
    assert_string_equal(words(&err, &dir), "error: DIR/a.jpg: jpg files hold 8 bit, not 16; use .png\n");
    err_clear(&err);
    folder_sub(&dir, "taken.png"); /* a name that cannot be replaced: nothing is left beside it */
    assert_int_equal(image_save(folder_file(&dir, "taken.png"), &a, &err), ERR_IO);
    assert_int_equal(count_files(dir.path), 1);
    char aside[64]; /* a file that stands where the new one would be written aside stays */
    snprintf(aside, sizeof aside, "b.png.%ld.tmp", (long)getpid());
    write_text(folder_file(&dir, aside), "precious");
    save_image(folder_file(&dir, "b.png"), &a);
    assert_int_equal(count_files(dir.path), 3);
    size_t n;
    uint8_t *kept = read_bytes(folder_file(&dir, aside), &n);
    assert_true(n == 8 && memcmp(kept, "precious", 8) == 0);
    free(kept);
    if (access("/dev/full", W_OK) == 0 && symlink("/dev/full", folder_file(&dir, "x.png")) == 0) {
        save_image(folder_file(&dir, "x.png"), &a); /* replaces the link, does not follow it */
        Image b = load(folder_file(&dir, "x.png"), 0);
        assert_same_image(&a, &b);
        image_free(&b);
    }
    image_free(&a);
    image_free(&deep);
}

static void test_class_colors(void **state) {
    uint8_t a[3], b[3];
    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < i; k++) {
            image_class_color(i, a);
            image_class_color(k, b);
            int distance = abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]);
            if (distance < 20) fail_msg("classes %d and %d look alike", k, i);
        }
    }
}

static int set_up(void **state) {
    folder_make(&dir);
    return 0;
}

static int tear_down(void **state) {
    folder_remove(&dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_png_round_trip),
        TEST(test_other_formats),
        TEST(test_palette),
        TEST(test_index_pngs),
        TEST(test_png_by_rows),
        TEST(test_png_unfinished),
        TEST(test_png_no_room),
        TEST(test_png_filters),
        TEST(test_masks_in_other_clothes),
        TEST(test_pnm),
        TEST(test_other_pnm),
        TEST(test_bombs),
        TEST(test_truncation),
        TEST(test_jpeg_tables),
        TEST(test_png_damage),
        TEST(test_not_pictures),
        TEST(test_orientation),
        TEST(test_resize),
        TEST(test_convert),
        TEST(test_save_errors),
        TEST(test_class_colors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
