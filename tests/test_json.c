/* test_json.c - base/json.h: structure, escapes, numbers that read back to the same bits. */
#include "base/json.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static int set_up(void **state) {
    *state = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(*state);
    return 0;
}

static void test_structure(void **state) {
    Json j = json_begin(*state);
    json_open_object(&j, NULL);
    json_int(&j, "epoch", -3);
    json_open_array(&j, "list");
    json_float(&j, NULL, 0.001);
    json_bool(&j, NULL, true);
    json_open_object(&j, NULL);
    json_close(&j);
    json_null(&j, NULL);
    json_close(&j);
    json_raw(&j, "raw", "[1,2]");
    json_string(&j, "none", NULL);
    json_close(&j);
    assert_string_equal(json_text(&j), "{\"epoch\":-3,\"list\":[0.001,true,{},null],\"raw\":[1,2],\"none\":null}");
}

static const char *quoted(Arena *arena, const char *text) {
    Json j = json_begin(arena);
    json_string(&j, NULL, text);
    return json_text(&j);
}

static void test_strings(void **state) {
    Arena *arena = *state;
    assert_string_equal(quoted(arena, ""), "\"\"");
    assert_string_equal(quoted(arena, "a\"b\\c\n\t\r\b\f/"), "\"a\\\"b\\\\c\\n\\t\\r\\b\\f/\"");
    assert_string_equal(quoted(arena, "\x01\x1f\x7f"), "\"\\u0001\\u001f\x7f\"");
    assert_string_equal(quoted(arena, "Stra\xc3\x9f"
                                      "e \xe2\x82\xac \xf0\x9f\x98\x80"),
                        "\"Stra\xc3\x9f"
                        "e \xe2\x82\xac \xf0\x9f\x98\x80\"");
    /* bare continuation, overlong, surrogate, beyond the last, cut short */
    assert_string_equal(quoted(arena, "\x80"), "\"\xef\xbf\xbd\"");
    assert_string_equal(quoted(arena, "\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string_equal(quoted(arena, "\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string_equal(quoted(arena, "\xf4\x90\x80\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    assert_string_equal(quoted(arena, "a\xe2\x82"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

static const char *number(Arena *arena, double value) {
    Json j = json_begin(arena);
    json_float(&j, NULL, value);
    return json_text(&j);
}

static void test_numbers(void **state) {
    Arena *arena = *state;
    assert_string_equal(number(arena, 0.1), "0.1");
    assert_string_equal(number(arena, 1.0 / 3), "0.3333333333333333");
    assert_string_equal(number(arena, -1e300), "-1e+300");
    assert_string_equal(number(arena, 4), "4");
    assert_string_equal(number(arena, NAN), "null");
    assert_string_equal(number(arena, -INFINITY), "null");
    Rng rng = rng_stream(1, RNG_TEST, 0, 0);
    for (int i = 0; i < 2000; i++) {
        uint64_t bits = (uint64_t)rng_u32(&rng) << 32 | rng_u32(&rng);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) assert_true(strtod(number(arena, value), NULL) == value);
    }
}

static void test_growth(void **state) {
    Json j = json_begin(*state);
    json_open_array(&j, NULL);
    for (int i = 0; i < 5000; i++) json_int(&j, NULL, i % 10);
    json_close(&j);
    assert_int_equal(strlen(json_text(&j)), 2 + 2 * 5000 - 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_structure), TEST(test_strings), TEST(test_numbers), TEST(test_growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
