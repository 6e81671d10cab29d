/* test_no_bf16.c - precision bf16 on a processor without it: one clear refusal, and auto is f32. oneDNN is told to know
 * no brain floats, which it can be told only before it starts, so this has a program of its own. Its argument is the
 * instruction set to go up to: AVX2, or AVX2_VNNI, whose number is larger than those of sets with brain floats. */
#include "train/precision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_refusal(void **state) {
    Engine *engine = NULL;
    Program *program = NULL;
    Error err = ERROR_INIT;
    assert_int_equal(engine_new(&engine, 1, NULL), OK);
    assert_false(engine_has_bf16(engine));
    Build *b = build_new(engine, &(BuildOptions){.training = true, .bf16 = true});
    assert_int_equal(build_finish(&program, b, &err), ERR_ENGINE);
    assert_null(program);
    assert_non_null(strstr(err.text, "precision bf16 needs a processor with AVX512_BF16 or AMX, but this is oneDNN"));
    assert_non_null(strstr(err.text, "; f32 (train.precision) runs everywhere\n"));
    engine_free(engine);
}

static void test_auto(void **state) {
    Engine *engine = NULL;
    assert_int_equal(engine_new(&engine, 1, NULL), OK);
    assert_false(precision_is_bf16(&(TrainConfig){.precision = PRECISION_AUTO}, engine));
    assert_false(precision_is_bf16(&(TrainConfig){.precision = PRECISION_F32}, engine));
    assert_true(precision_is_bf16(&(TrainConfig){.precision = PRECISION_BF16}, engine));
    engine_free(engine);
}

int main(int argc, char *argv[]) {
    const char *isa = argc > 1 ? argv[1] : "AVX2";
    setenv("DNNL_MAX_CPU_ISA", isa, 1);
    setenv("ONEDNN_MAX_CPU_ISA", isa, 1); /* the name in 3.x */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refusal), cmocka_unit_test(test_auto)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
