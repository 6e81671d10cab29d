/* test_h5.c - io/h5.h: round trips, whole-or-nothing writing (disk full, SIGKILL), hostile and damaged files. */
#include "base/rng.h"
#include "io/h5.h"
#include "scratch.h"
#include "seed.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* after the headers it needs */
#include <cmocka.h>

static void write_number(Scratch *s, const char *name, int64_t value, const char *keep_as) {
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, name), &s->err));
    CHECK(h5_set_int(f, "/", "number", value, &s->err));
    CHECK(h5_commit(f, keep_as ? scratch_path(s, keep_as) : NULL, &s->err));
    h5_close(f);
}

static int64_t read_number(Scratch *s, const char *name) {
    H5 *f;
    int64_t value = -1;
    CHECK(h5_open(&f, scratch_path(s, name), &s->err));
    CHECK(h5_get_int(f, "/", "number", &value, &s->err));
    h5_close(f);
    return value;
}

/* ---- round trips ---- */

static void test_arrays(void **state) {
    Scratch *s = *state;
    float f32[2][3] = {{1.5f, -0.0f, 3e-45f}, {4, 5, 6}};
    double f64[2] = {0.1, 1e300}, scalar = 0.25;
    uint8_t u8[4] = {0, 1, 254, 255};
    uint16_t u16[2] = {0, 65535};
    int32_t i32[2] = {-2147483647 - 1, 7};
    int64_t i64[1] = {INT64_MIN};
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_write(f, "/weights/enc/f32", (H5Array){H5_F32, 2, {2, 3}}, NULL, f32, &s->err));
    CHECK(h5_write(f, "/weights/f64", (H5Array){H5_F64, 1, {2}}, NULL, f64, &s->err));
    CHECK(h5_write(f, "/u8", (H5Array){H5_U8, 2, {2, 2}}, &(H5Layout){1, 4, true, false, {0}}, u8, &s->err));
    CHECK(h5_write(f, "/u16", (H5Array){H5_U16, 1, {2}}, NULL, u16, &s->err));
    CHECK(h5_write(f, "/i32", (H5Array){H5_I32, 1, {2}}, NULL, i32, &s->err));
    CHECK(h5_write(f, "/i64", (H5Array){H5_I64, 1, {1}}, NULL, i64, &s->err));
    CHECK(h5_write(f, "/scalar", (H5Array){H5_F64, 0, {0}}, NULL, &scalar, &s->err));
    CHECK(h5_write(f, "/empty", (H5Array){H5_F32, 2, {0, 3}}, NULL, NULL, &s->err));
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);

    CHECK(h5_open(&f, scratch_path(s, "a.h5"), &s->err));
    float back32[2][3];
    CHECK(h5_read(f, "/weights/enc/f32", (H5Array){H5_F32, 2, {2, 3}}, back32, &s->err));
    assert_memory_equal(back32, f32, sizeof f32);
    double back64[2];
    CHECK(h5_read(f, "/weights/f64", (H5Array){H5_F64, 1, {2}}, back64, &s->err));
    assert_memory_equal(back64, f64, sizeof f64);
    CHECK(h5_read(f, "/scalar", (H5Array){H5_F64, 0, {0}}, back64, &s->err));
    assert_true(back64[0] == 0.25);
    CHECK(h5_read(f, "/empty", (H5Array){H5_F32, 2, {0, 3}}, back32, &s->err));
    int32_t back_i32[2];
    CHECK(h5_read(f, "/i32", (H5Array){H5_I32, 1, {2}}, back_i32, &s->err));
    assert_memory_equal(back_i32, i32, sizeof i32);
    int64_t back_i64[1];
    CHECK(h5_read(f, "/i64", (H5Array){H5_I64, 1, {1}}, back_i64, &s->err));
    assert_memory_equal(back_i64, i64, sizeof i64);
    CHECK(h5_read_rows(f, "/u8", H5_F32, 1, 1, back32, &s->err)); /* converted */
    assert_true(back32[0][0] == 254.0f && back32[0][1] == 255.0f);
    H5Array shape;
    CHECK(h5_stat(f, "/u16", &shape, &s->err));
    assert_int_equal(shape.type, H5_U16);
    assert_int_equal(shape.rank, 1);
    assert_int_equal(shape.dim[0], 2);
    assert_true(h5_exists(f, "/weights/enc"));
    assert_true(h5_exists(f, "/weights/enc/f32"));
    assert_false(h5_exists(f, "/weights/dec"));
    assert_false(h5_exists(f, "/weights/enc/f32/deeper"));

    int n;
    const char *const *names;
    CHECK(h5_list(f, "/", &n, &names, s->arena, &s->err));
    assert_int_equal(n, 7);
    assert_string_equal(names[0], "empty");
    assert_string_equal(names[6], "weights");
    CHECK(h5_walk(f, "/weights", &n, &names, s->arena, &s->err));
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "/weights/enc/f32");
    assert_string_equal(names[1], "/weights/f64");
    h5_close(f);
}

static void test_append(void **state) {
    Scratch *s = *state;
    enum { ROWS = 50, BYTES = 7 };
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_write(f, "/rows", (H5Array){H5_U8, 2, {0, BYTES}}, &(H5Layout){1, 1, true, true, {0}}, NULL, &s->err));
    for (int i = 0; i < ROWS; i += 2) {
        uint8_t rows[2][BYTES];
        memset(rows[0], i, BYTES);
        memset(rows[1], i + 1, BYTES);
        CHECK(h5_append(f, "/rows", 2, rows, &s->err));
    }
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
    CHECK(h5_open(&f, scratch_path(s, "a.h5"), &s->err));
    H5Array shape;
    CHECK(h5_stat(f, "/rows", &shape, &s->err));
    assert_int_equal(shape.dim[0], ROWS);
    for (int i = ROWS - 1; i >= 0; i--) {
        uint8_t row[BYTES];
        CHECK(h5_read_rows(f, "/rows", H5_U8, i, 1, row, &s->err));
        assert_true(row[0] == i && row[BYTES - 1] == i);
    }
    uint8_t row[BYTES];
    assert_int_equal(h5_read_rows(f, "/rows", H5_U8, 49, 2, row, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: rows 49 to 50 of '/rows' were asked for, it has 50\n");
    h5_close(f);
}

static void test_text_and_attributes(void **state) {
    Scratch *s = *state;
    char *large = calloc(1, 200001);
    memset(large, 'x', 200000);
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_set_int(f, "/state", "epoch", -3, &s->err));
    CHECK(h5_set_int(f, "/state", "epoch", 3, &s->err)); /* replaced */
    CHECK(h5_set_float(f, "/state", "loss", 0.1, &s->err));
    CHECK(h5_set_text(f, "/", "format", "größer", &s->err));
    CHECK(h5_set_text(f, "/", "empty", "", &s->err));
    CHECK(h5_set_text(f, "/", "large", large, &s->err));
    CHECK(h5_write_text(f, "/config", large, &s->err));
    CHECK(h5_write_texts(f, "/classes", 3, (const char *const[]){"sky", "", "Straße"}, &s->err));
    CHECK(h5_write_texts(f, "/none", 0, NULL, &s->err));
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);

    CHECK(h5_open(&f, scratch_path(s, "a.h5"), &s->err));
    int64_t i;
    double d;
    const char *text;
    int n;
    const char *const *texts;
    CHECK(h5_get_int(f, "/state", "epoch", &i, &s->err));
    assert_int_equal(i, 3);
    CHECK(h5_get_float(f, "/state", "loss", &d, &s->err));
    assert_true(d == 0.1);
    CHECK(h5_get_float(f, "/state", "epoch", &d, &s->err));
    assert_true(d == 3);
    CHECK(h5_get_text(f, "/", "format", &text, s->arena, &s->err));
    assert_string_equal(text, "größer");
    CHECK(h5_get_text(f, "/", "empty", &text, s->arena, &s->err));
    assert_string_equal(text, "");
    CHECK(h5_get_text(f, "/", "large", &text, s->arena, &s->err));
    assert_string_equal(text, large);
    CHECK(h5_read_text(f, "/config", &text, s->arena, &s->err));
    assert_string_equal(text, large);
    CHECK(h5_read_texts(f, "/classes", &n, &texts, s->arena, &s->err));
    assert_int_equal(n, 3);
    assert_string_equal(texts[1], "");
    assert_string_equal(texts[2], "Straße");
    CHECK(h5_read_texts(f, "/none", &n, &texts, s->arena, &s->err));
    assert_int_equal(n, 0);
    assert_true(h5_has_attr(f, "/state", "epoch"));
    assert_false(h5_has_attr(f, "/state", "epochs"));
    assert_false(h5_has_attr(f, "/nowhere", "epochs"));
    assert_int_equal(h5_get_int(f, "/state", "loss", &i, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: the attribute 'loss' of '/state' is not an integer\n");
    assert_int_equal(h5_get_int(f, "/state", "step", &i, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: '/state' has no attribute 'step'\n");
    assert_int_equal(h5_read_text(f, "/classes", &text, s->arena, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: '/classes' should hold one text, it holds 3\n");
    h5_close(f);
    free(large);
}

/* A file with a bit of everything; values depend on seed. */
static void write_sample(Scratch *s, const char *name, int seed) {
    float values[300];
    for (int i = 0; i < 300; i++) values[i] = (float)(i * seed);
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, name), &s->err));
    CHECK(h5_set_text(f, "/", "format", "sample", &s->err));
    CHECK(h5_set_int(f, "/", "seed", seed, &s->err));
    CHECK(h5_write(f, "/plain/values", (H5Array){H5_F32, 2, {100, 3}}, NULL, values, &s->err));
    CHECK(
        h5_write(f, "/packed", (H5Array){H5_F32, 2, {100, 3}}, &(H5Layout){10, 4, true, false, {0}}, values, &s->err));
    CHECK(h5_write_texts(f, "/texts", 3, (const char *const[]){"a", "bb", "ccc"}, &s->err));
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
}

static void test_equal_content_gives_equal_bytes(void **state) {
    Scratch *s = *state;
    write_sample(s, "a.h5", 1);
    sleep(1); /* a time stamp would differ now */
    write_sample(s, "b.h5", 1);
    size_t a_bytes, b_bytes;
    void *a = scratch_read(scratch_path(s, "a.h5"), &a_bytes), *b = scratch_read(scratch_path(s, "b.h5"), &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    free(a);
    free(b);
}

/* ---- whole or not at all ---- */

static void test_commit_keeps_the_previous(void **state) {
    Scratch *s = *state;
    write_number(s, "last.h5", 1, "prev.h5");
    assert_false(scratch_exists(s, "prev.h5"));
    write_number(s, "last.h5", 2, "prev.h5");
    write_number(s, "last.h5", 3, "prev.h5");
    assert_int_equal(read_number(s, "last.h5"), 3);
    assert_int_equal(read_number(s, "prev.h5"), 2);
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "last.h5"), &s->err));
    CHECK(h5_set_int(f, "/", "number", 4, &s->err));
    const char *aside = arena_printf(s->arena, "last.h5.%ld.tmp", (long)getpid());
    assert_true(scratch_exists(s, aside));
    h5_close(f); /* without commit */
    assert_false(scratch_exists(s, aside));
    assert_int_equal(read_number(s, "last.h5"), 3);
    write_number(s, "last.h5", 5, NULL);
    assert_int_equal(read_number(s, "last.h5"), 5);
    assert_int_equal(read_number(s, "prev.h5"), 2);
}

static int count_files(Scratch *s) {
    int n = 0;
    DIR *folder = opendir(s->folder);
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));) n += e->d_name[0] != '.';
    closedir(folder);
    return n;
}

/* Files of the user's that have the names of ours are neither opened nor removed. */
static void test_files_of_others_stay(void **state) {
    Scratch *s = *state;
    const char *const names[] = {"a.h5.tmp",    arena_printf(s->arena, "a.h5.%ld.tmp", (long)getpid()),
                                 "a.h5.1.tmp",  "a.h5.x.tmp",
                                 "keep.h5.tmp", arena_printf(s->arena, "keep.h5.%ld.tmp", (long)getpid())};
    enum { N = sizeof names / sizeof *names };
    for (int i = 0; i < N; i++) scratch_write(scratch_path(s, names[i]), "precious", 9);
    assert_int_equal(mkfifo(scratch_path(s, "a.h5.2.tmp"), 0666), 0);
    write_number(s, "a.h5", 1, "keep.h5");
    write_number(s, "a.h5", 2, "keep.h5");
    assert_int_equal(read_number(s, "a.h5"), 2);
    assert_int_equal(read_number(s, "keep.h5"), 1);
    assert_int_equal(count_files(s), N + 3);
    for (int i = 0; i < N; i++) {
        size_t bytes;
        char *text = scratch_read(scratch_path(s, names[i]), &bytes);
        assert_string_equal(text, "precious");
        free(text);
    }
}

/* Two writers of one path do not meet: the last to commit is there, whole. */
static void test_two_writers(void **state) {
    Scratch *s = *state;
    H5 *a, *b;
    CHECK(h5_create(&a, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_set_int(a, "/", "number", 1, &s->err));
    CHECK(h5_create(&b, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_set_int(b, "/", "number", 2, &s->err));
    pid_t child = fork(); /* and one of another process */
    if (child == 0) {
        H5 *c;
        bool ok = h5_create(&c, scratch_path(s, "a.h5"), NULL) == OK && h5_set_int(c, "/", "number", 3, NULL) == OK &&
                  h5_commit(c, NULL, NULL) == OK;
        _exit(ok ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(read_number(s, "a.h5"), 3);
    CHECK(h5_commit(b, NULL, &s->err));
    h5_close(b);
    assert_int_equal(read_number(s, "a.h5"), 2);
    CHECK(h5_commit(a, NULL, &s->err));
    h5_close(a);
    assert_int_equal(read_number(s, "a.h5"), 1);
    assert_int_equal(count_files(s), 1);
}

/* What killed writers leave goes with the next one; what living ones are writing does not. */
static void test_stale_files_go(void **state) {
    Scratch *s = *state;
    pid_t child = fork();
    if (child == 0) {
        H5 *a, *b;
        const float some[4] = {1};
        if (h5_create(&a, scratch_path(s, "a.h5"), NULL) != OK || h5_create(&b, scratch_path(s, "a.h5"), NULL) != OK ||
            h5_write(a, "/some", (H5Array){H5_F32, 1, {4}}, NULL, some, NULL) != OK)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    waitpid(child, NULL, 0);
    assert_true(scratch_exists(s, arena_printf(s->arena, "a.h5.%ld.tmp", (long)child)));
    assert_true(scratch_exists(s, arena_printf(s->arena, "a.h5.%ld.1.tmp", (long)child)));
    /* of an earlier process with our number, too */
    scratch_write(scratch_path(s, arena_printf(s->arena, "a.h5.%ld.tmp", (long)getpid())), "\211HDF\r\n\032\n", 8);
    h5_remove_stale(scratch_path(s, "b.h5"));
    assert_int_equal(count_files(s), 3);
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "a.h5"), &s->err));
    assert_int_equal(count_files(s), 1);
    h5_remove_stale(scratch_path(s, "a.h5"));
    assert_int_equal(count_files(s), 1);
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
    assert_int_equal(count_files(s), 1);
}

static void test_unwritable(void **state) {
    Scratch *s = *state;
    H5 *f = NULL;
    assert_int_equal(h5_create(&f, scratch_path(s, "no/such/a.h5"), &s->err), ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot write 'no/such/a.h5': No such file or directory\n");
    assert_null(f);
}

/* Write `mib` MiB under a limit on the size of files; returns the outcome. */
static Err write_under_limit(Scratch *s, const char *name, rlim_t limit_bytes, int mib) {
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = limit_bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    float *data = calloc((size_t)mib, 1 << 20);
    int64_t n = (int64_t)mib << 18;
    H5 *f = NULL;
    Err code = h5_create(&f, scratch_path(s, name), &s->err);
    if (code == OK) code = h5_write(f, "/some", (H5Array){H5_F32, 1, {16}}, NULL, data, &s->err);
    if (code == OK) code = h5_write(f, "/data", (H5Array){H5_F32, 1, {n}}, NULL, data, &s->err);
    if (code == OK) code = h5_set_int(f, "/", "number", 2, &s->err);
    if (code == OK) code = h5_commit(f, NULL, &s->err);
    h5_close(f);
    free(data);
    setrlimit(RLIMIT_FSIZE, &before);
    return code;
}

static void test_disk_full(void **state) {
    Scratch *s = *state;
    signal(SIGXFSZ, SIG_IGN);
    write_number(s, "last.h5", 1, NULL);
    const rlim_t limits[] = {0, 100, 2048, 4096, 100000, 1 << 20, (2 << 20) + 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        assert_int_equal(write_under_limit(s, "last.h5", limits[i], 2), ERR_IO);
        assert_string_equal(scratch_words(s), "error: cannot write 'last.h5': File too large\n");
        assert_int_equal(count_files(s), 1);
        assert_int_equal(read_number(s, "last.h5"), 1);
    }
    CHECK(write_under_limit(s, "last.h5", 3 << 20, 2));
    assert_int_equal(read_number(s, "last.h5"), 2);
}

/* A child writes 1, 2, 3 ... over and over and is killed; what is found must be whole, and the last or the one before.
 */
static void test_killed_while_writing(void **state) {
    Scratch *s = *state;
    Rng rng = rng_stream(test_seed(), RNG_TEST, 0, 0);
    for (int round = 0; round < 25; round++) {
        int progress[2];
        assert_int_equal(pipe(progress), 0);
        pid_t child = fork();
        if (child == 0) {
            close(progress[0]);
            for (int64_t i = 1;; i++) {
                H5 *f;
                int64_t values[4096];
                for (int k = 0; k < 4096; k++) values[k] = i;
                if (h5_create(&f, scratch_path(s, "last.h5"), NULL) != OK) _exit(1);
                if (h5_write(f, "/values", (H5Array){H5_I64, 1, {4096}}, NULL, values, NULL) != OK) _exit(1);
                if (h5_commit(f, scratch_path(s, "prev.h5"), NULL) != OK) _exit(1);
                h5_close(f);
                if (write(progress[1], &i, sizeof i) != sizeof i) _exit(1);
            }
        }
        close(progress[1]);
        int64_t done = 0, next;
        assert_int_equal(read(progress[0], &done, sizeof done), sizeof done);
        usleep((useconds_t)rng_below(&rng, 30000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        while (read(progress[0], &next, sizeof next) == sizeof next) done = next;
        close(progress[0]);
        H5 *f;
        int64_t values[4096];
        CHECK(h5_open(&f, scratch_path(s, "last.h5"), &s->err));
        CHECK(h5_read(f, "/values", (H5Array){H5_I64, 1, {4096}}, values, &s->err));
        h5_close(f);
        assert_true(values[0] == done || values[0] == done + 1);
        for (int k = 0; k < 4096; k++) assert_int_equal(values[k], values[0]);
    }
}

/* ---- foreign, damaged, hostile ---- */

enum { TRAILER_BYTES = 24 }; /* the checksum behind the file */

static void test_not_hdf5(void **state) {
    Scratch *s = *state;
    H5 *f = NULL;
    assert_int_equal(h5_open(&f, scratch_path(s, "missing.h5"), &s->err), ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot open 'missing.h5': No such file or directory\n");
    mkdir(scratch_path(s, "folder.h5"), 0777);
    assert_int_equal(h5_open(&f, scratch_path(s, "folder.h5"), &s->err), ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot open 'folder.h5': not a regular file\n");
    rmdir(scratch_path(s, "folder.h5"));
    assert_int_equal(mkfifo(scratch_path(s, "pipe.h5"), 0666), 0); /* nobody writes: must not be waited for */
    assert_int_equal(h5_open(&f, scratch_path(s, "pipe.h5"), &s->err), ERR_IO);
    assert_string_equal(scratch_words(s), "error: cannot open 'pipe.h5': not a regular file\n");
    scratch_write(scratch_path(s, "empty.h5"), "", 0);
    assert_int_equal(h5_open(&f, scratch_path(s, "empty.h5"), &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: empty.h5: empty file, not an HDF5 file\n");
    scratch_write(scratch_path(s, "text.h5"), "name: value\n", 12);
    assert_int_equal(h5_open(&f, scratch_path(s, "text.h5"), &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: text.h5: not an HDF5 file\n");
    assert_null(f);
}

static void test_truncated(void **state) {
    Scratch *s = *state;
    write_sample(s, "a.h5", 1);
    size_t bytes;
    void *data = scratch_read(scratch_path(s, "a.h5"), &bytes);
    scratch_write(scratch_path(s, "a.h5"), data, bytes / 2);
    H5 *f = NULL;
    assert_int_equal(h5_open(&f, scratch_path(s, "a.h5"), &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), arena_printf(s->arena, "error: a.h5: truncated file: %zu bytes of %zu\n",
                                                       bytes / 2, bytes - TRAILER_BYTES));
    free(data);
}

static void test_damaged_chunk(void **state) {
    Scratch *s = *state;
    uint8_t data[64];
    for (int i = 0; i < 64; i++) data[i] = (uint8_t)(200 + i % 50);
    H5 *f;
    CHECK(h5_create(&f, scratch_path(s, "a.h5"), &s->err));
    CHECK(h5_write(f, "/data", (H5Array){H5_U8, 1, {64}}, &(H5Layout){64, 0, true, false, {0}}, data, &s->err));
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
    size_t bytes;
    uint8_t *file = scratch_read(scratch_path(s, "a.h5"), &bytes);
    uint8_t *at = memmem(file, bytes, data, 64);
    assert_non_null(at);
    at[10] ^= 1;
    scratch_write(scratch_path(s, "a.h5"), file, bytes);
    assert_int_equal(h5_open(&f, scratch_path(s, "a.h5"), &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: damaged file: its content does not match its checksum\n");
    scratch_write(scratch_path(s, "a.h5"), file, bytes - TRAILER_BYTES); /* as from another writer */
    free(file);
    CHECK(h5_open(&f, scratch_path(s, "a.h5"), &s->err));
    assert_int_equal(h5_read(f, "/data", (H5Array){H5_U8, 1, {64}}, data, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s),
                        "error: a.h5: cannot read '/data': data error detected by Fletcher32 checksum\n");
    h5_close(f);
}

static void test_wrong_shape(void **state) {
    Scratch *s = *state;
    write_sample(s, "a.h5", 1);
    H5 *f;
    float values[300];
    CHECK(h5_open(&f, scratch_path(s, "a.h5"), &s->err));
    assert_int_equal(h5_read(f, "/packed", (H5Array){H5_F32, 1, {300}}, values, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: '/packed' is float32 100x3, expected float32 300\n");
    assert_int_equal(h5_read(f, "/packed", (H5Array){H5_U8, 2, {100, 3}}, values, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: '/packed' is float32 100x3, expected uint8 100x3\n");
    assert_int_equal(h5_read(f, "/lost", (H5Array){H5_U8, 2, {100, 3}}, values, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: a.h5: there is no '/lost'\n");
    h5_close(f);
}

/* h5_stat of `object` in tests/bad/h5/`name` must fail with these words behind the file's name. */
static void expect_refusal(Scratch *s, const char *name, const char *object, const char *expected) {
    const char *path = arena_printf(s->arena, TESTS_DIR "/bad/h5/%s", name);
    H5 *f;
    H5Array shape;
    CHECK(h5_open(&f, path, &s->err));
    assert_int_equal(h5_stat(f, object, &shape, &s->err), ERR_FORMAT);
    assert_string_equal(scratch_words(s), arena_printf(s->arena, "error: %s: %s\n", path, expected));
    h5_close(f);
}

static void test_hostile(void **state) {
    Scratch *s = *state;
    expect_refusal(s, "soft_link.h5", "/link",
                   "'/link' is reached through a soft or external link; such links are refused");
    expect_refusal(s, "soft_link.h5", "/alias/real",
                   "'/alias/real' is reached through a soft or external link; such links are refused");
    expect_refusal(s, "external_link.h5", "/link",
                   "'/link' is reached through a soft or external link; such links are refused");
    expect_refusal(s, "external_storage.h5", "/stored",
                   "'/stored' is stored in other files, or its chunks are damaged");
    expect_refusal(s, "virtual.h5", "/virtual", "'/virtual' is stored in other files, or its chunks are damaged");
    struct stat st;
    stat(TESTS_DIR "/bad/h5/absurd_size.h5", &st);
    long long bytes = (long long)st.st_size;
    expect_refusal(s, "absurd_size.h5", "/huge",
                   arena_printf(s->arena,
                                "'/huge' claims to be float32 1048576x1048576x4, more than a file of %lld bytes can "
                                "hold",
                                bytes));
    expect_refusal(s, "absurd_size.h5", "/overflow",
                   arena_printf(s->arena,
                                "'/overflow' claims to be float64 2147483648x2147483648x2147483648, more than a file "
                                "of %lld bytes can hold",
                                bytes));
    const char *types = "has elements of another type than uint8, uint16, int32, int64, float32, float64, int8";
    expect_refusal(s, "other_types.h5", "/half", arena_printf(s->arena, "'/half' %s", types));
    expect_refusal(s, "other_types.h5", "/record", arena_printf(s->arena, "'/record' %s", types));
    expect_refusal(s, "other_types.h5", "/texts", arena_printf(s->arena, "'/texts' %s", types));
    expect_refusal(s, "other_types.h5", "/rank7", "'/rank7' has an unusable shape");
}

static void test_other_writers(void **state) {
    Scratch *s = *state;
    H5 *f;
    CHECK(h5_open(&f, TESTS_DIR "/bad/h5/other_types.h5", &s->err));
    float values[4];
    CHECK(h5_read(f, "/big_endian", (H5Array){H5_F32, 1, {4}}, values, &s->err));
    for (int i = 0; i < 4; i++) assert_true(values[i] == (float)i);
    int n;
    const char *const *texts, *text;
    CHECK(h5_read_texts(f, "/fixed_text", &n, &texts, s->arena, &s->err));
    assert_int_equal(n, 3);
    assert_string_equal(texts[0], "one");
    assert_string_equal(texts[2], "a longer one");
    CHECK(h5_read_texts(f, "/texts", &n, &texts, s->arena, &s->err));
    assert_string_equal(texts[1], "zwölf");
    CHECK(h5_get_text(f, "/", "fixed", &text, s->arena, &s->err));
    assert_string_equal(text, "fixed text");
    int64_t i;
    assert_int_equal(h5_get_int(f, "/", "list", &i, &s->err), ERR_FORMAT);
    assert_non_null(strstr(scratch_words(s), "the attribute 'list' of '/' should hold one value, it holds 3\n"));
    assert_int_equal(h5_read_texts(f, "/half", &n, &texts, s->arena, &s->err), ERR_FORMAT);
    assert_non_null(strstr(scratch_words(s), "'/half' does not hold text\n"));
    h5_close(f);
}

static void test_cycle_ends(void **state) {
    Scratch *s = *state;
    H5 *f;
    int n;
    const char *const *paths;
    CHECK(h5_open(&f, TESTS_DIR "/bad/h5/cycle.h5", &s->err));
    assert_int_equal(h5_walk(f, "/", &n, &paths, s->arena, &s->err), ERR_FORMAT);
    assert_non_null(strstr(scratch_words(s), "groups deeper than 32\n"));
    h5_close(f);
}

/* Any change of any byte before the trailer is noticed before HDF5 sees the file. */
static void test_random_damage(void **state) {
    Scratch *s = *state;
    enum { ROUNDS = 300 };
    Rng rng = rng_stream(test_seed(), RNG_TEST, 1, 0);
    write_sample(s, "a.h5", 3);
    size_t bytes;
    uint8_t *file = scratch_read(scratch_path(s, "a.h5"), &bytes);
    for (int round = 0; round < ROUNDS; round++) {
        uint8_t *at = &file[rng_below(&rng, (int64_t)bytes - TRAILER_BYTES)], before = *at;
        *at ^= (uint8_t)(1 + rng_below(&rng, 255));
        scratch_write(scratch_path(s, "bad.h5"), file, bytes);
        *at = before;
        H5 *f = NULL;
        assert_int_equal(h5_open(&f, scratch_path(s, "bad.h5"), &s->err), ERR_FORMAT);
        assert_string_equal(scratch_words(s), "error: bad.h5: damaged file: its content does not match its checksum\n");
        assert_null(f);
    }
    free(file);
}

/* ---- several threads, each with its own file ---- */

typedef struct Reader {
    const char *path;
    int rounds, mismatches;
} Reader;

static void *read_again_and_again(void *argument) {
    Reader *r = argument;
    for (int i = 0; i < r->rounds; i++) {
        H5 *f;
        float row[3];
        if (h5_open(&f, r->path, NULL) != OK) {
            r->mismatches++;
            continue;
        }
        if (h5_read_rows(f, "/packed", H5_F32, i % 100, 1, row, NULL) != OK || row[0] != (float)(i % 100 * 3))
            r->mismatches++;
        if (h5_exists(f, "/nothing")) r->mismatches++;
        h5_close(f);
    }
    return NULL;
}

static void test_threads(void **state) {
    Scratch *s = *state;
    write_sample(s, "a.h5", 1);
    Reader readers[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        readers[i] = (Reader){scratch_path(s, "a.h5"), 100, 0};
        pthread_create(&threads[i], NULL, read_again_and_again, &readers[i]);
    }
    for (int i = 0; i < 20; i++) write_sample(s, "b.h5", i);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(readers[i].mismatches, 0);
    }
}

/* An array larger than anything written so far, filled by blocks of its chunks. */
static void test_blocks(void **state) {
    Scratch *s = *state;
    enum { C = 3, ROWS = 10, WIDTH = 7, STEP = 4 };
    const H5Array array = {H5_U16, 3, {C, ROWS, WIDTH}}, huge = {H5_U16, 3, {40, 20000, 1000}};
    const H5Layout layout = {.rows_per_chunk = 1, .chunk = {0, STEP}, .deflate = 1};
    static uint16_t wanted[C * ROWS * WIDTH], got[C * ROWS * WIDTH], block[C * STEP * WIDTH];
    H5 *f;
    for (int i = 0; i < C * ROWS * WIDTH; i++) wanted[i] = (uint16_t)(i * 311);
    CHECK(h5_create(&f, scratch_path(s, "blocks.h5"), &s->err));
    CHECK(h5_write(f, "/probability", array, &layout, NULL, &s->err));
    CHECK(h5_write(f, "/huge", huge, &layout, NULL, &s->err));
    for (int y = 0; y < ROWS; y += STEP) {
        int n = y + STEP <= ROWS ? STEP : ROWS - y;
        for (int c = 0; c < C; c++)
            memcpy(block + c * n * WIDTH, wanted + (c * ROWS + y) * WIDTH, sizeof *block * (size_t)(n * WIDTH));
        CHECK(h5_write_block(f, "/probability", array, (int64_t[]){0, y, 0}, (int64_t[]){C, n, WIDTH}, block, &s->err));
    }
    CHECK(h5_write_block(f, "/huge", huge, (int64_t[]){39, 19999, 993}, (int64_t[]){1, 1, 7}, wanted, &s->err));
    assert_int_equal(
        h5_write_block(f, "/probability", array, (int64_t[]){0, 8, 0}, (int64_t[]){C, 3, WIDTH}, block, &s->err),
        ERR_FORMAT);
    assert_string_equal(scratch_words(s), "error: blocks.h5: '/probability': 8 to 10 are beyond axis 1\n");
    CHECK(h5_commit(f, NULL, &s->err));
    h5_close(f);
    CHECK(h5_open(&f, scratch_path(s, "blocks.h5"), &s->err));
    CHECK(h5_read(f, "/probability", array, got, &s->err));
    assert_memory_equal(got, wanted, sizeof got);
    h5_close(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_blocks),
        TEST(test_arrays),
        TEST(test_append),
        TEST(test_text_and_attributes),
        TEST(test_equal_content_gives_equal_bytes),
        TEST(test_commit_keeps_the_previous),
        TEST(test_files_of_others_stay),
        TEST(test_two_writers),
        TEST(test_stale_files_go),
        TEST(test_unwritable),
        TEST(test_disk_full),
        TEST(test_killed_while_writing),
        TEST(test_not_hdf5),
        TEST(test_truncated),
        TEST(test_damaged_chunk),
        TEST(test_wrong_shape),
        TEST(test_hostile),
        TEST(test_other_writers),
        TEST(test_cycle_ends),
        TEST(test_random_damage),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
