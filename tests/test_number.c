/* Numbers as text: read and written with a point whatever the locale of the program says, by each part that does so. */
#include "base/json.h"
#include "base/number.h"
#include "comma_locale.h"
#include "config/blocks.h"
#include "model/graph.h"
#include "model/initializer.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_parses(const char *text, double wanted) {
    double value = -1;
    assert_true(number_parse(text, &value));
    assert_true(value == wanted);
}

static void check_numbers(void) {
    assert_parses("3", 3);
    assert_parses("-0.5", -0.5);
    assert_parses("+1e-4", 1e-4);
    assert_parses(".5", 0.5);
    static const char *const bad[] = {"", " 1", "1 ", "0x10", "nan", "inf", "1e999", "1,5", "1.5.", "e", "-"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value;
        if (number_parse(bad[i], &value)) fail_msg("'%s' was taken for %g", bad[i], value);
    }
    char text[NUMBER_BYTES];
    assert_string_equal(number_format(text, 0.125, 10), "0.125");
    assert_string_equal(number_format(text, 1e15, 10), "1e+15");
    assert_string_equal(number_format_exact(text, 0.1 + 0.2, 15), "0.30000000000000004");
    assert_string_equal(number_format_exact(text, -2.5e-300, 9), "-2.5e-300");
}

static void test_numbers(void **state) {
    check_numbers();
}

/* What used to end the program, in an assertion about a default: a whole config with numbers in all places. */
static void test_all_in_a_comma_locale(void **state) {
    static const char *const sets[] = {"train.lr=0.25"};
    static const char config[] = "task: segmentation\n"
                                 "blocks: {b: {params: {rate: 0.5}, layers: [{dropout: '${rate / 4}'}]}}\n"
                                 "model:\n"
                                 "  params: {part: 0.1}\n"
                                 "  layers:\n"
                                 "    - conv2d: {filters: 4}\n"
                                 "      init: 'normal: 0.05'\n"
                                 "    - b: {rate: '${part * 5}'}\n"
                                 "data: {kind: shapes, mean: [0.5], train: {}}\n"
                                 "train: {weight_decay: 1.5e-3}\n";
    if (!comma_locale_begin()) skip();
    check_numbers();
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%g", 0.5);
    Arena *arena = arena_new();
    Experiment e;
    Error err = ERROR_INIT;
    Graph *graph = NULL;
    Err code = config_load_text(&e, "t.yaml", config, 1, sets, arena, &err);
    if (code == OK) code = graph_build(&graph, &e, SHAPE(1, 3, 32, 32), 4, arena, &err);
    Json json = json_begin(arena);
    json_float(&json, NULL, 0.5);
    char phrase[PARAM_PHRASE_BYTES] = "";
    bool init = initializer_check("constant: 0.5", phrase) == NULL;
    bool refused = initializer_check("constant: 0,5", phrase) != NULL;
    char *described = param_describe(train_params, 0, arena);
    comma_locale_end();
    assert_string_equal(text, "0,5"); /* the program's locale was left as it was */
    assert_string_equal(err.text, "");
    assert_int_equal(code, OK);
    assert_true(e.train.lr == 0.25 && e.train.weight_decay == 1.5e-3);
    assert_string_equal(json_text(&json), "0.5");
    assert_true(init && refused);
    assert_null(strstr(described, "0,"));
    static const char *const common[] = {"init", NULL};
    LayerList list;
    assert_int_equal(blocks_expand(&list, e.model, e.blocks, common, arena, &err), OK);
    assert_string_equal(list.items[1].kind.args->text, "0.125");
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_all_in_a_comma_locale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
