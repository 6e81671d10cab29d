/* test_rundir.c - train/rundir.h: what a killed predecessor left is cleaned away, what is somebody's is not, and a line
 * of history is written whole or not at all. */
#include "scratch.h"
#include "train/rundir.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

static void put(Scratch *s, const char *name) {
    scratch_write(scratch_path(s, name), "x", strstr(name, "history.jsonl") ? 0 : 1);
}

/* Everything a killed run may leave aside, in the middle of any write. */
static void leave_litter(Scratch *s) {
    mkdir(scratch_path(s, "run.tmp"), 0777);
    mkdir(scratch_path(s, "run.tmp/samples"), 0777);
    static const char *const names[] = {"config.yaml",
                                        "config.yaml.123.tmp",
                                        "history.jsonl",
                                        "last.h5",
                                        "last.h5.tmp",
                                        "last.prev.h5",
                                        "last.prev.h5.tmp",
                                        "best.h5.tmp",
                                        "samples/epoch_0001.png",
                                        "samples/epoch_0002.png.77.tmp"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) put(s, arena_printf(s->arena, "run.tmp/%s", names[i]));
}

static void test_litter(void **state) {
    Scratch *s = *state;
    RunDir dir;
    leave_litter(s);
    CHECK(rundir_begin(&dir, scratch_path(s, "run"), s->arena, &s->err));
    CHECK(rundir_appear(&dir, &s->err));
    rundir_leave(&dir);
    assert_false(scratch_exists(s, "run.tmp"));
    assert_int_equal(rmdir(scratch_path(s, "run/samples")), 0); /* empty */
    assert_int_equal(rmdir(scratch_path(s, "run")), 0);

    CHECK(rundir_begin(&dir, scratch_path(s, "run"), s->arena, &s->err));
    leave_litter(s); /* a run that fails before it appears leaves nothing */
    rundir_leave(&dir);
    assert_false(scratch_exists(s, "run.tmp"));
    assert_false(scratch_exists(s, "run"));
}

static void expect_in_the_way(Scratch *s) {
    RunDir dir;
    assert_int_equal(rundir_begin(&dir, scratch_path(s, "run"), s->arena, &s->err), ERR_IO);
    assert_string_equal(scratch_words(s),
                        "error: 'run.tmp' is in the way of a new run: it holds more than a killed one "
                        "left; move it away\n");
    assert_true(scratch_exists(s, "run.tmp/config.yaml") && scratch_exists(s, "run.tmp/samples/epoch_0001.png"));
    assert_false(scratch_exists(s, "run"));
}

/* Nothing is removed from a folder with anything foreign in it, nor from a run of this name that got somewhere. */
static void test_in_the_way(void **state) {
    Scratch *s = *state;
    leave_litter(s);
    put(s, "run.tmp/notes.txt");
    expect_in_the_way(s);
    unlink(scratch_path(s, "run.tmp/notes.txt"));
    put(s, "run.tmp/samples/mine.png");
    expect_in_the_way(s);
    unlink(scratch_path(s, "run.tmp/samples/mine.png"));
    scratch_write(scratch_path(s, "run.tmp/history.jsonl"), "{}\n", 3);
    expect_in_the_way(s);
}

/* Going on with a run: what was half written when it was killed goes, all else stays. */
static void test_enter(void **state) {
    Scratch *s = *state;
    RunDir dir;
    leave_litter(s);
    put(s, "run.tmp/notes.tmp");
    CHECK(rundir_enter(&dir, scratch_path(s, "run.tmp"), s->arena, &s->err));
    rundir_leave(&dir);
    assert_true(scratch_exists(s, "run.tmp/last.h5") && scratch_exists(s, "run.tmp/last.prev.h5"));
    assert_true(scratch_exists(s, "run.tmp/samples/epoch_0001.png") && scratch_exists(s, "run.tmp/notes.tmp"));
    assert_false(scratch_exists(s, "run.tmp/last.h5.tmp") || scratch_exists(s, "run.tmp/last.prev.h5.tmp"));
    assert_false(scratch_exists(s, "run.tmp/config.yaml.123.tmp") ||
                 scratch_exists(s, "run.tmp/samples/epoch_0002.png.77.tmp"));
}

/* The disk is full in the middle of a line. */
static void test_half_a_line(void **state) {
    Scratch *s = *state;
    RunDir dir;
    mkdir(scratch_path(s, "run"), 0777);
    CHECK(rundir_enter(&dir, scratch_path(s, "run"), s->arena, &s->err));
    CHECK(rundir_append_line(&dir, "history.jsonl", "{\"epoch\":1}", &s->err));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 17; /* a line of 12 bytes and 5 of the next */
    setrlimit(RLIMIT_FSIZE, &limit);
    Err code = rundir_append_line(&dir, "history.jsonl", "{\"epoch\":2}", &s->err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(code, ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot write 'run/history.jsonl': File too large\n");
    CHECK(rundir_append_line(&dir, "history.jsonl", "{\"epoch\":3}", &s->err));
    rundir_leave(&dir);
    size_t bytes;
    char *text = scratch_read(scratch_path(s, "run/history.jsonl"), &bytes);
    assert_string_equal(text, "{\"epoch\":1}\n{\"epoch\":3}\n");
    free(text);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {TEST(test_litter), TEST(test_in_the_way), TEST(test_enter),
                                       TEST(test_half_a_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
