/* data_files.c - what the tests of images and datasets share. */
#include "data_files.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- files ---- */

void folder_make(Folder *folder) {
    const char *base = getenv("TMPDIR");
    snprintf(folder->path, sizeof folder->path, "%s/sandglass-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
    assert_non_null(mkdtemp(folder->path));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    return remove(path);
}

void folder_remove(Folder *folder) {
    nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *folder_file(const Folder *folder, const char *name) {
    static char ring[16][512];
    static int next;
    char *path = ring[next++ % 16];
    snprintf(path, sizeof ring[0], "%s/%s", folder->path, name);
    return path;
}

void folder_sub(const Folder *folder, const char *name) {
    assert_int_equal(mkdir(folder_file(folder, name), 0755), 0);
}

void write_bytes(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void write_text(const char *path, const char *text) {
    write_bytes(path, text, strlen(text));
}

uint8_t *read_bytes(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = malloc(*n + 1);
    assert_int_equal(fread(bytes, 1, *n, f), *n);
    fclose(f);
    return bytes;
}

/* ---- pictures ---- */

static void put(Image *image, size_t i, unsigned value) {
    if (image->depth == 8)
        image->u8[i] = (uint8_t)value;
    else
        image->u16[i] = (uint16_t)value;
}

Image pattern_image(int width, int height, int channels, int depth) {
    Image image;
    assert_int_equal(image_new(&image, width, height, channels, depth, NULL), OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++)
                put(&image, ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels + (size_t)c,
                    (unsigned)(17 * x + 31 * y + 71 * c) * (depth == 16 ? 259u : 1u));
    return image;
}

Image random_image(Rng *rng, int width, int height, int channels, int depth) {
    Image image;
    assert_int_equal(image_new(&image, width, height, channels, depth, NULL), OK);
    size_t n = (size_t)width * (size_t)height * (size_t)channels;
    for (size_t i = 0; i < n; i++) put(&image, i, rng_u32(rng));
    return image;
}

void save_image(const char *path, const Image *image) {
    Error err = ERROR_INIT;
    if (image_save(path, image, &err) != OK) fail_msg("%s", err.text);
}

void save_grey(const char *path, int width, int height, const uint8_t *values) {
    Image image = {.width = width, .height = height, .channels = 1, .depth = 8, .u8 = (uint8_t *)values};
    save_image(path, &image);
}

void assert_same_image(const Image *a, const Image *b) {
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    assert_int_equal(a->depth, b->depth);
    assert_memory_equal(a->data, b->data, image_bytes(a));
}

/* ---- datasets ---- */

static void put32(uint8_t *p, unsigned value) {
    for (int k = 0; k < 4; k++) p[k] = (uint8_t)(value >> (24 - 8 * k));
}

void write_idx(const char *images, const char *labels, int n, int height, int width) {
    size_t pixels = (size_t)height * (size_t)width, bytes = 16 + (size_t)n * pixels;
    uint8_t *file = malloc(bytes);
    put32(file, 0x803);
    put32(file + 4, (unsigned)n);
    put32(file + 8, (unsigned)height);
    put32(file + 12, (unsigned)width);
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t p = 0; p < pixels; p++) file[16 + i * pixels + p] = (uint8_t)(i + 3 * p);
    write_bytes(images, file, bytes);
    put32(file, 0x801);
    for (int i = 0; i < n; i++) file[8 + i] = (uint8_t)(i % 10);
    if (labels != NULL) write_bytes(labels, file, 8 + (size_t)n);
    free(file);
}

void read_experiment(Experiment *out, const char *text, Arena *arena) {
    Error err = ERROR_INIT;
    if (config_load_text(out, "test.yaml", text, 0, NULL, arena, &err) != OK) fail_msg("%s", err.text);
}

const char *words(const Error *err, const Folder *folder) {
    static char text[ERROR_TEXT_BYTES];
    size_t used = 0, path = strlen(folder->path);
    for (const char *at = err->text; *at != '\0' && used + 4 < sizeof text;) {
        if (strncmp(at, folder->path, path) == 0) {
            memcpy(text + used, "DIR", 3);
            used += 3;
            at += path;
        } else {
            text[used++] = *at++;
        }
    }
    text[used] = '\0';
    return text;
}
