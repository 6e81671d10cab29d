/* test_corpus.c - what the fuzz targets were fed, fed again: every file of their corpus as it is, and with random
 * changes (a printed seed; SANDGLASS_TEST_SEED repeats it, SANDGLASS_FUZZ_ROUNDS does more of them). */
#define LLVMFuzzerTestOneInput fuzz_image
#include "fuzz_image.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_idx
#include "fuzz_idx.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_h5
#include "fuzz_h5.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_yaml
#include "fuzz_yaml.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_class_names
#include "fuzz_class_names.c"
#undef LLVMFuzzerTestOneInput

#define LLVMFuzzerTestOneInput fuzz_keras
#include "fuzz_keras.c"
#undef LLVMFuzzerTestOneInput

#include "data_files.h"
#include "seed.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

typedef int (*Target)(const uint8_t *data, size_t size);

static Rng rng;
static int n_rounds, n_files;

/* Flip, overwrite, cut out, repeat or cut off. */
static size_t change(uint8_t *bytes, size_t n) {
    for (int64_t k = 1 + rng_below(&rng, 4); k > 0 && n > 0; k--) {
        size_t at = (size_t)rng_below(&rng, (int64_t)n), length = 1 + (size_t)rng_below(&rng, 16);
        if (length > n - at) length = n - at;
        switch (rng_below(&rng, 6)) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
            break;
        case 1:
            bytes[at] = (uint8_t)rng_u32(&rng);
            break;
        case 2:
            memset(bytes + at, rng_below(&rng, 2) ? 0xFF : 0, length);
            break;
        case 3:
            memmove(bytes + at, bytes + at + length, n - at - length), n -= length;
            break;
        case 4:
            memmove(bytes + at, bytes + (size_t)rng_below(&rng, (int64_t)(n - length + 1)), length);
            break;
        default:
            n = at;
        }
    }
    return n;
}

/* Make the checksums of a PNG right again, so that what is behind them is tried too. */
static void mend_png(uint8_t *bytes, size_t n) {
    if (n < 8 || memcmp(bytes, "\x89PNG", 4) != 0) return;
    for (size_t at = 8; n - at >= 12;) {
        size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 |
                        bytes[at + 3];
        if (length > n - at - 12) return;
        uint32_t sum = (uint32_t)crc32_z(0, bytes + at + 4, length + 4);
        for (int k = 0; k < 4; k++) bytes[at + 8 + length + (size_t)k] = (uint8_t)(sum >> (24 - 8 * k));
        at += length + 12;
    }
}

static void feed_file(const char *path, Target target) {
    size_t n;
    uint8_t *bytes = read_bytes(path, &n);
    target(bytes, n);
    n_files++;
    for (int round = 0; round < n_rounds; round++) {
        uint8_t *changed = malloc(n + 1); /* of its own, so that reading behind it is noticed */
        memcpy(changed, bytes, n);
        size_t left = change(changed, n);
        if (round % 2) mend_png(changed, left);
        target(changed, left);
        free(changed);
    }
    free(bytes);
}

static void feed_folder(const char *folder, Target target) {
    DIR *dir = opendir(folder);
    if (dir == NULL) fail_msg("%s: cannot be opened", folder);
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        char path[1024];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, item->d_name);
        if (item->d_name[0] == '.' || stat(path, &st) != 0) continue;
        if (S_ISDIR(st.st_mode))
            feed_folder(path, target);
        else
            feed_file(path, target);
    }
    closedir(dir);
}

static void test_images(void **state) {
    n_files = 0;
    feed_folder(TESTS_DIR "/corpus/image", fuzz_image);
    feed_folder(TESTS_DIR "/bad/data/files/png_truncated", fuzz_image);
    feed_folder(TESTS_DIR "/bad/data/files/jpeg", fuzz_image);
    assert_true(n_files >= 10);
}

static void test_idx(void **state) {
    n_files = 0;
    feed_folder(TESTS_DIR "/corpus/idx", fuzz_idx);
    feed_folder(TESTS_DIR "/bad/data/files/idx", fuzz_idx);
    assert_true(n_files >= 5);
}

/* A part of a file that is changed, each round anew. */
static void feed_changed_part(const uint8_t *file, size_t n, size_t from, size_t bytes, Target target) {
    for (int round = 0; round < n_rounds; round++) {
        uint8_t *changed = malloc(n);
        memcpy(changed, file, n);
        for (int64_t k = 1 + rng_below(&rng, 4); k > 0; k--) {
            uint8_t *at = changed + from + (size_t)rng_below(&rng, (int64_t)bytes);
            *at = rng_below(&rng, 2) ? (uint8_t)rng_u32(&rng) : *at ^ 0x80;
        }
        target(changed, n);
        free(changed);
    }
}

/* HDF5 itself falls over damaged structures, so only what it does not look at is changed: anything in files with our
 * checksum, which it never gets to see then; in files without one the values that say where samples begin. */
static void feed_packed(const char *path, const void *values, size_t value_bytes) {
    enum { TRAILER_BYTES = 24 };
    size_t n;
    uint8_t *file = read_bytes(path, &n);
    feed_changed_part(file, n, 0, n - TRAILER_BYTES, fuzz_h5);
    const uint8_t *at = memmem(file, n, values, value_bytes);
    assert_non_null(at);
    feed_changed_part(file, n - TRAILER_BYTES, (size_t)(at - file), value_bytes, fuzz_h5);
    free(file);
}

static void test_h5(void **state) {
    static const int64_t sizes[4] = {2, 2, 2, 3}, offsets[3] = {0, 12, 30};
    int rounds = n_rounds;
    n_files = 0;
    n_rounds = 0; /* as they are */
    feed_folder(TESTS_DIR "/corpus/h5", fuzz_h5);
    feed_folder(TESTS_DIR "/bad/h5", fuzz_h5);
    feed_folder(TESTS_DIR "/bad/data/files/h5", fuzz_h5);
    assert_true(n_files >= 10);
    n_rounds = rounds;
    feed_packed(TESTS_DIR "/corpus/h5/mixed.h5", sizes, sizeof sizes);
    feed_packed(TESTS_DIR "/corpus/h5/mixed.h5", offsets, sizeof offsets);
}

/* Of Keras' files what HDF5 does not look at: the architecture's JSON. */
static void test_keras(void **state) {
    static const char *const names[] = {"classifier", "dense_corners", "residual", "residual2",
                                        "sequence",   "transposed",    "vectors"};
    int rounds = n_rounds;
    n_rounds = 0; /* as they are */
    n_files = 0;
    feed_folder(TESTS_DIR "/golden/keras", fuzz_keras);
    feed_folder(TESTS_DIR "/corpus/h5", fuzz_keras);
    n_rounds = rounds;
    assert_true(n_files > 7);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        static const char start[] = "{\"class_name\"";
        char path[1024];
        snprintf(path, sizeof path, "%s/golden/keras/%s.h5", TESTS_DIR, names[i]);
        size_t n;
        uint8_t *file = read_bytes(path, &n);
        const uint8_t *at = memmem(file, n, start, sizeof start - 1);
        assert_non_null(at);
        const uint8_t *end = memmem(at, n - (size_t)(at - file), "}}", 3); /* with the zero behind it */
        size_t from = (size_t)(at - file), bytes = end ? (size_t)(end - at) : 1000;
        feed_changed_part(file, n, from, bytes < n - from ? bytes : n - from, fuzz_keras);
        free(file);
    }
}

static void test_yaml(void **state) {
    n_files = 0;
    feed_folder(TESTS_DIR "/corpus/yaml", fuzz_yaml);
    feed_folder(SOURCE_DIR "/configs/models", fuzz_yaml);
    feed_folder(TESTS_DIR "/bad/config", fuzz_yaml);
    assert_true(n_files >= 30);
}

static void test_class_names(void **state) {
    n_files = 0;
    feed_folder(TESTS_DIR "/corpus/class_names", fuzz_class_names);
    assert_true(n_files >= 5);
}

int main(void) {
    const char *rounds = getenv("SANDGLASS_FUZZ_ROUNDS");
    n_rounds = rounds != NULL ? atoi(rounds) : 200;
    rng = rng_stream(test_seed(), RNG_TEST, 9, 9);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_idx),
                                       cmocka_unit_test(test_h5),     cmocka_unit_test(test_keras),
                                       cmocka_unit_test(test_yaml),   cmocka_unit_test(test_class_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
