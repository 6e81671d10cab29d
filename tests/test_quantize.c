/* test_quantize.c - codes to a few bits and back, packing, PSNR, zlib's and JPEG's sizes. */
#include "analysis/psnr.h"
#include "analysis/quantize.h"
#include "base/rng.h"
#include "data_files.h"
#include "io/deflate.h"
#include "io/jpeg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static Quantizer made(int bits, int64_t n, int64_t units, const float *codes) {
    Quantizer q;
    Error err = ERROR_INIT;
    if (quantizer_new(&q, bits, n, units, codes, &err) != OK) fail_msg("%s", err.text);
    return q;
}

static void test_by_hand(void **state) {
    /* units: 0 to 3 (2 bits: step 1), always 5, -1 to 0.5 (step 0.5) */
    const float range[] = {0, 5, -1, 3, 5, 0.5F, 1, 5, 0};
    const float codes[] = {1.4F, 7, -0.3F, 1.6F, -9, -0.2F, 9, 5, 2, -9, 5, -7};
    const uint8_t levels[] = {1, 0, 1, 2, 0, 2, 3, 0, 3, 0, 0, 0};
    const float back[] = {1, 5, -0.5F, 2, 5, 0, 3, 5, 0.5F, 0, 5, -1};
    Quantizer q = made(2, 3, 3, range);
    uint8_t found[12];
    float values[12];
    quantize(&q, 4, codes, found);
    dequantize(&q, 4, found, values);
    assert_memory_equal(found, levels, 12);
    for (int i = 0; i < 12; i++) assert_true(fabsf(values[i] - back[i]) < 1e-6F);
    const float nothing[] = {NAN, NAN, NAN};
    quantize(&q, 1, nothing, found);
    assert_memory_equal(found, ((uint8_t[]){0, 0, 0}), 3);
    quantizer_free(&q);
    quantizer_free(&q);
}

/* What lies in the range comes back within half a step, at every number of bits; packed codes hold the levels. */
static void test_round_trip(void **state) {
    enum { N = 300, UNITS = 13 };
    static float codes[N * UNITS], values[N * UNITS];
    static uint8_t levels[N * UNITS], packed[N * UNITS];
    rng_fill_normal(5, RNG_TEST, 0, 0, N * UNITS, codes);
    for (int bits = 1; bits <= 8; bits++) {
        Quantizer q = made(bits, N, UNITS, codes);
        quantize(&q, N, codes, levels);
        dequantize(&q, N, levels, values);
        for (int i = 0; i < N * UNITS; i++) {
            assert_true(levels[i] < 1 << bits);
            assert_true(fabsf(values[i] - codes[i]) <= q.step[i % UNITS] * 0.5001F);
        }
        int64_t bytes = quantize_bytes(UNITS, bits);
        assert_int_equal(bytes, (UNITS * bits + 7) / 8);
        quantize_pack(&q, N, levels, packed);
        for (int i = 0; i < N; i++)
            for (int u = 0; u < UNITS; u++) {
                int level = 0;
                for (int b = u * bits; b < (u + 1) * bits; b++)
                    level = 2 * level + (packed[i * bytes + b / 8] >> (7 - b % 8) & 1);
                assert_int_equal(level, levels[i * UNITS + u]);
            }
        quantizer_free(&q);
    }
}

static void test_mistakes(void **state) {
    const float codes[] = {1, 2, 3, INFINITY};
    Quantizer q;
    Error err = ERROR_INIT;
    assert_int_equal(quantizer_new(&q, 8, 2, 2, codes, &err), ERR_NUMERIC);
    assert_null(q.low);
    assert_int_equal(quantizer_new(&q, 8, 0, 2, codes, &err), ERR_DATA);
    assert_string_equal(err.text, "error: unit 1 of code 1 is not finite\n"
                                  "error: there are no codes to take the range of\n");
}

static void test_psnr(void **state) {
    const uint8_t a[] = {0, 10, 255, 3}, b[] = {0, 13, 251, 3};
    assert_true(fabs(mse_bytes(4, a, b) - 25.0 / 4 / 65025) < 1e-15);
    assert_true(fabs(psnr(mse_bytes(4, a, b)) - 40.17204) < 1e-4); /* 10 log10(65025 / 6.25) */
    assert_true(psnr(0.01) == 20 && psnr(1) == 0);
    assert_true(psnr(mse_bytes(4, a, a)) == PSNR_MOST && psnr(0) == PSNR_MOST);
    assert_true(mse_bytes(0, a, b) == 0);
}

static void test_deflate(void **state) {
    static uint8_t zeros[10000], noise[10000];
    for (int i = 0; i < 2500; i++) {
        Rng rng = rng_stream(3, RNG_TEST, (uint64_t)i, 0);
        uint32_t word = rng_u32(&rng);
        memcpy(noise + 4 * i, &word, 4);
    }
    size_t packed;
    Error err = ERROR_INIT;
    assert_int_equal(deflate_size(zeros, sizeof zeros, &packed, &err), OK);
    assert_in_range(packed, 10, 40);
    assert_int_equal(deflate_size(noise, sizeof noise, &packed, &err), OK);
    assert_in_range(packed, 9900, 10100);
}

/* A JPEG in memory is the file that image_save writes at its quality, and reads back as a picture near to it. */
static void test_jpeg(void **state) {
    Image image = pattern_image(28, 28, 1, 8), back = {0};
    for (int i = 0; i < 784; i++) image.u8[i] = (uint8_t)(128 + 100 * sin(i % 28 * 0.3) * cos(i / 28 * 0.2));
    size_t sizes[3], scans[3];
    double errors[3];
    Error err = ERROR_INIT;
    for (int k = 0; k < 3; k++) {
        uint8_t *bytes;
        assert_int_equal(image_encode_jpeg(&image, 10 + 40 * k, &bytes, &sizes[k], &scans[k], &err), OK);
        assert_int_equal(scans[k], jpeg_scan_bytes(bytes, sizes[k]));
        /* stb writes one scan; its header is 14 bytes, and the end marker two */
        const uint8_t *sos = bytes;
        while (sos[0] != 0xFF || sos[1] != 0xDA) sos++;
        assert_int_equal(scans[k], sizes[k] - (size_t)(sos - bytes) - 14 - 2);
        assert_int_equal(jpeg_scan_bytes(bytes, 100), 0);
        assert_int_equal(image_decode("memory", bytes, sizes[k], 1, &back, &err), OK);
        assert_true(back.width == 28 && back.height == 28 && back.channels == 1);
        errors[k] = mse_bytes(784, image.u8, back.u8);
        image_free(&back);
        assert_int_equal(image_decode("memory", bytes, sizes[k] - 9, 1, &back, &err), ERR_DATA);
        assert_null(back.data);
        free(bytes);
    }
    assert_true(sizes[0] < sizes[1] && sizes[1] < sizes[2]);
    assert_true(scans[0] < scans[1] && scans[1] < scans[2]);
    assert_true(errors[0] > errors[1] && errors[1] > errors[2] && errors[2] < 1e-3);
    image_free(&image);

    uint8_t *bytes;
    size_t n;
    Image deep = pattern_image(4, 4, 1, 16);
    err_clear(&err);
    assert_int_equal(image_encode_jpeg(&deep, 50, &bytes, &n, NULL, &err), ERR_DATA);
    assert_string_equal(err.text, "error: JPEG holds 8 bit, not 16\n");
    image_free(&deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand),  cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_mistakes), cmocka_unit_test(test_psnr),
                                       cmocka_unit_test(test_deflate),  cmocka_unit_test(test_jpeg)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
