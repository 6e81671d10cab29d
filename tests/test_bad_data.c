/* test_bad_data.c - every case in tests/bad/data gives exactly the words beside it. What is bad is the data: each
 * NAME.yaml is a config whose `train` split is opened and read; NAME.err is what must be said. */
#include "data/survey.h"
#include "data_files.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void read_data(const char *path, Arena *arena, Error *err) {
    Experiment experiment;
    Split *split = NULL;
    if (config_load_file(&experiment, path, 0, NULL, arena, err) != OK) return;
    Findings findings = {.arena = arena};
    Survey survey;
    if (split_open(&split, &experiment, "train", err) == OK &&
        survey_split(&survey, split, "train", &findings, NULL, NULL, arena, err) == OK)
        findings_to_error(&findings, err);
    split_close(split);
}

static void test_bad_data(void **state) {
    Arena *arena = arena_new();
    char home[1024];
    assert_non_null(getcwd(home, sizeof home));
    assert_int_equal(chdir(TESTS_DIR "/bad/data"), 0);
    DIR *dir = opendir(".");
    assert_non_null(dir);
    bool update = getenv("SANDGLASS_UPDATE_BAD") != NULL; /* write what is said, to be read by a person */
    int n = 0, failed = 0;
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        size_t length = strlen(item->d_name), n_wanted = 0;
        if (length < 6 || strcmp(item->d_name + length - 5, ".yaml") != 0) continue;
        const char *beside = arena_printf(arena, "%.*s.err", (int)length - 5, item->d_name);
        Error err = ERROR_INIT;
        read_data(item->d_name, arena, &err);
        n++;
        if (update) {
            write_text(beside, err.text);
            continue;
        }
        uint8_t *wanted = read_bytes(beside, &n_wanted);
        wanted[n_wanted] = '\0';
        if (err.count == 0 || strcmp((char *)wanted, err.text) != 0) {
            print_error("%s: wanted\n%sgot\n%s", item->d_name, (char *)wanted, err.text);
            failed++;
        }
        free(wanted);
    }
    closedir(dir);
    assert_int_equal(chdir(home), 0);
    arena_free(arena);
    print_message("%d cases\n", n);
    assert_int_equal(failed, 0);
    assert_true(n >= 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_data)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
