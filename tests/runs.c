/* runs.c - see runs.h. */
#include "runs.h"

#include "io/h5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static void assert_same_arrays(Scratch *s, const char *a_path, const char *b_path, const char *group) {
    H5 *a, *b;
    int n_a, n_b;
    const char *const *names_a, *const *names_b;
    CHECK(h5_open(&a, a_path, &s->err));
    CHECK(h5_open(&b, b_path, &s->err));
    CHECK(h5_walk(a, group, &n_a, &names_a, s->arena, &s->err));
    CHECK(h5_walk(b, group, &n_b, &names_b, s->arena, &s->err));
    assert_int_equal(n_a, n_b);
    assert_true(n_a > 0);
    for (int i = 0; i < n_a; i++) {
        assert_string_equal(names_a[i], names_b[i]);
        H5Array shape;
        CHECK(h5_stat(a, names_a[i], &shape, &s->err));
        size_t bytes = sizeof(float);
        for (int k = 0; k < shape.rank; k++) bytes *= (size_t)shape.dim[k];
        float *of_a = arena_alloc(s->arena, bytes), *of_b = arena_alloc(s->arena, bytes);
        CHECK(h5_read(a, names_a[i], shape, of_a, &s->err));
        CHECK(h5_read(b, names_b[i], shape, of_b, &s->err));
        if (memcmp(of_a, of_b, bytes) != 0) fail_msg("%s and %s differ in %s", a_path, b_path, names_a[i]);
    }
    h5_close(a);
    h5_close(b);
}

char *run_timeless_history(Scratch *s, const char *run) {
    size_t bytes;
    char *text = scratch_read(scratch_path(s, arena_printf(s->arena, "%s/history.jsonl", run)), &bytes);
    char *out = arena_alloc(s->arena, bytes + 1), *to = out;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *seconds = strstr(line, ",\"seconds\":");
        assert_non_null(seconds);
        *seconds = '\0';
        to += sprintf(to, "%s\n", line);
    }
    free(text);
    return out;
}

void assert_runs_equal(Scratch *s, const char *a, const char *b) {
    assert_string_equal(run_timeless_history(s, a), run_timeless_history(s, b));
    static const char *const files[] = {"last.h5", "best.h5"};
    for (int i = 0; i < 2; i++) {
        const char *path_a = scratch_path(s, arena_printf(s->arena, "%s/%s", a, files[i]));
        const char *path_b = scratch_path(s, arena_printf(s->arena, "%s/%s", b, files[i]));
        assert_same_arrays(s, path_a, path_b, "/weights");
        if (i == 0) assert_same_arrays(s, path_a, path_b, "/optimizer");
    }
}
