/* Knob tables: texts to fields, defaults, ranges and the phrases about them; the arena they live in. */
#include "base/param.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct Knobs {
    int64_t whole;
    double number;
    bool flag;
    const char *text;
    int choice;
    int64_t pair[2], quad[4];
    ParamList ints, floats, strings;
    const void *node;
    int64_t open; /* no limit above */
} Knobs;

static const char *const modes[] = {"max", "average", NULL};
#define ROW(field) offsetof(Knobs, field)
static const Param rows[] = {{"whole", PARAM_INT, ROW(whole), "3", 1, 31, NULL, "a whole number"},
                             {"number", PARAM_FLOAT, ROW(number), "0.5", 0, 1, NULL, "a number"},
                             {"flag", PARAM_BOOL, ROW(flag), "true", 0, 0, NULL, "a flag"},
                             {"text", PARAM_STRING, ROW(text), "", 0, 0, NULL, "a text"},
                             {"choice", PARAM_CHOICE, ROW(choice), "average", 0, 0, modes, "a choice"},
                             {"pair", PARAM_PAIR, ROW(pair), "[1, 2]", 1, 9, NULL, "a pair"},
                             {"quad", PARAM_QUAD, ROW(quad), "0", 0, 9, NULL, "four"},
                             {"ints", PARAM_INTS, ROW(ints), "[4, 5, 6]", 0, 9, NULL, "whole numbers"},
                             {"floats", PARAM_FLOATS, ROW(floats), "", 0, 0, NULL, "numbers"},
                             {"strings", PARAM_STRINGS, ROW(strings), "[a, b]", 0, 0, NULL, "texts"},
                             {"node", PARAM_NODE, ROW(node), "", 0, 0, NULL, "a section"},
                             {"open", PARAM_INT, ROW(open), NULL, 1, 1e18, NULL, "required"},
                             {0}};

static int set_up(void **state) {
    *state = arena_new();
    return 0;
}

static int tear_down(void **state) {
    arena_free(*state);
    return 0;
}

/* Set a knob from texts separated by '|'; a leading '[' makes it a list. */
static bool set(Knobs *knobs, const char *name, const char *value, Arena *arena, char *phrase) {
    char copy[200];
    const char *texts[8];
    int n = 0;
    bool list = value[0] == '[';
    snprintf(copy, sizeof copy, "%s", value + list);
    for (char *p = strtok(copy, "|"); p; p = strtok(NULL, "|")) texts[n++] = p;
    if (!list && n == 0) texts[n++] = "";
    phrase[0] = 0;
    return param_set(param_find(rows, name), knobs, n, texts, list, arena, phrase);
}

static void test_defaults(void **state) {
    Knobs k;
    memset(&k, 0x55, sizeof k);
    param_set_defaults(rows, &k, *state);
    assert_int_equal(k.whole, 3);
    assert_true(k.number == 0.5 && k.flag);
    assert_null(k.text);
    assert_null(k.node);
    assert_int_equal(k.choice, 1);
    assert_int_equal(k.pair[0], 1);
    assert_int_equal(k.pair[1], 2);
    for (int i = 0; i < 4; i++) assert_int_equal(k.quad[i], 0);
    assert_int_equal(k.ints.n, 3);
    assert_int_equal(k.ints.ints[2], 6);
    assert_int_equal(k.floats.n, 0);
    assert_int_equal(k.strings.n, 2);
    assert_string_equal(k.strings.strings[1], "b");
    assert_int_equal(k.open, 0x5555555555555555); /* required: left alone */
}

static void test_values(void **state) {
    Knobs k = {0};
    char phrase[PARAM_PHRASE_BYTES];
    assert_true(set(&k, "whole", "1e1", *state, phrase));
    assert_int_equal(k.whole, 10);
    assert_true(set(&k, "open", "9007199254740993", *state, phrase)); /* beyond a double's precision */
    assert_true(k.open == 9007199254740993);
    assert_true(set(&k, "number", "1e-3", *state, phrase));
    assert_true(k.number == 1e-3);
    assert_true(set(&k, "flag", "Off", *state, phrase));
    assert_false(k.flag);
    assert_true(set(&k, "choice", "max", *state, phrase));
    assert_int_equal(k.choice, 0);
    assert_true(set(&k, "pair", "7", *state, phrase));
    assert_true(k.pair[0] == 7 && k.pair[1] == 7);
    assert_true(set(&k, "pair", "[2|3", *state, phrase));
    assert_true(k.pair[0] == 2 && k.pair[1] == 3);
    assert_true(set(&k, "quad", "[1|2", *state, phrase)); /* vertical, horizontal */
    assert_true(k.quad[0] == 1 && k.quad[1] == 1 && k.quad[2] == 2 && k.quad[3] == 2);
    assert_true(set(&k, "quad", "[1|2|3|4", *state, phrase));
    assert_true(k.quad[0] == 1 && k.quad[3] == 4);
    assert_true(set(&k, "floats", "[-1.5|2", *state, phrase));
    assert_true(k.floats.n == 2 && k.floats.floats[0] == -1.5);
    assert_true(set(&k, "ints", "8", *state, phrase));
    assert_true(k.ints.n == 1 && k.ints.ints[0] == 8);
    assert_true(set(&k, "strings", "[", *state, phrase));
    assert_int_equal(k.strings.n, 0);
    assert_true(set(&k, "text", "any: thing", *state, phrase));
    assert_string_equal(k.text, "any: thing");
}

static void test_phrases(void **state) {
    static const struct {
        const char *name, *value, *phrase;
    } cases[] = {
        {"whole", "0", "must be between 1 and 31, got 0"},
        {"whole", "32", "must be between 1 and 31, got 32"},
        {"whole", "2.5", "expected a whole number, got '2.5'"},
        {"whole", "", "expected a whole number, got ''"},
        {"whole", "[1|2", "expected a whole number, got a list of 2"},
        {"whole", "99999999999999999999", "expected a whole number, got '99999999999999999999'"},
        {"open", "0", "must be at least 1, got 0"},
        {"number", "fast", "expected a number, got 'fast'"},
        {"number", "nan", "expected a number, got 'nan'"},
        {"number", "inf", "expected a number, got 'inf'"},
        {"number", "0x1", "expected a number, got '0x1'"},
        {"number", "1e999", "expected a number, got '1e999'"},
        {"number", "1.001", "must be between 0 and 1, got 1.001"},
        {"flag", "maybe", "expected true or false, got 'maybe'"},
        {"choice", "avrage", "unknown choice 'avrage', did you mean 'average'? (max, average)"},
        {"choice", "median", "unknown choice 'median' (max, average)"},
        {"pair", "[1|2|3", "expected one number or [height, width], got a list of 3"},
        {"pair", "[1|x", "expected a whole number, got 'x'"},
        {"quad", "[1|2|3",
         "expected one number, [vertical, horizontal] or [top, bottom, left, right], got a list of 3"},
        {"ints", "[1|10", "must be between 0 and 9, got 10"},
        {"text", "[a|b", "expected a text, got a list of 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Knobs k, before;
        char phrase[PARAM_PHRASE_BYTES];
        memset(&k, 0, sizeof k);
        param_set_defaults(rows, &k, *state);
        before = k;
        assert_false(set(&k, cases[i].name, cases[i].value, *state, phrase));
        assert_string_equal(phrase, cases[i].phrase);
        assert_memory_equal(&k, &before, sizeof k); /* nothing is stored */
    }
}

static void test_description(void **state) {
    static const Param few[] = {{"filters", PARAM_INT, 0, NULL, 1, 65536, NULL, "output channels"},
                                {"mode", PARAM_CHOICE, 0, "max", 0, 0, modes, "what is kept"},
                                {"rate", PARAM_FLOAT, 0, "0.001", 0, 1e18, NULL, "of learning"},
                                {0}};
    assert_string_equal(param_describe(few, 2, *state), "  filters  int          required  1..65536  output channels\n"
                                                        "  mode     max|average  max                 what is kept\n"
                                                        "  rate     number       0.001     >= 0      of learning\n");
    assert_string_equal(param_describe(NULL, 2, *state), "");
    assert_null(param_find(few, "none"));
}

static void test_arena(void **state) {
    Arena *arena = *state;
    unsigned char *pieces[400];
    for (int i = 0; i < 400; i++) {
        size_t bytes = (size_t)(i * i % 5000);
        pieces[i] = arena_alloc(arena, bytes);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < bytes; k++) assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], i, bytes);
    }
    for (int i = 0; i < 400; i++)
        for (int k = 0; k < i * i % 5000; k++) assert_int_equal(pieces[i][k], i & 255);
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(arena, "ab", 30), "ab");
    assert_string_equal(arena_printf(arena, "%s-%d", "x", 7), "x-7");
    arena_free(NULL);
}

static void test_blocks(void **state) {
    const size_t sizes[] = {0, 1, 4096, (4 << 20) - 1, 5 << 20};
    for (int i = 0; i < 5; i++) {
        unsigned char *block = block_alloc(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % (sizes[i] >= 4 << 20 ? 2 << 20 : 64), 0);
        for (size_t k = 0; k < sizes[i]; k += 997) assert_int_equal(block[k], 0);
        block_free(block);
    }
    block_free(NULL);
    assert_null(block_alloc(SIZE_MAX));
    assert_null(block_alloc(SIZE_MAX / 2 - 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_phrases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_description, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arena, set_up, tear_down),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
