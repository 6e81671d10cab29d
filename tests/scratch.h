/* scratch.h - a temporary folder, an arena and an Error for tests that write files. */
#ifndef SANDGLASS_TESTS_SCRATCH_H
#define SANDGLASS_TESTS_SCRATCH_H

#include "base/arena.h"

typedef struct Scratch {
    char folder[256]; /* below $TMPDIR or /tmp */
    Arena *arena;
    Error err;
} Scratch;

/* For cmocka_unit_test_setup_teardown; *state is the Scratch. The folder goes with everything in it. */
int scratch_set_up(void **state);
int scratch_tear_down(void **state);

const char *scratch_path(Scratch *s, const char *name); /* in the arena */
/* The messages in s->err with "FOLDER/" cut out; forgets them. */
const char *scratch_words(Scratch *s);
/* Whole files; the bytes are malloc'ed and the caller's. A failure fails the test. */
void *scratch_read(const char *path, size_t *bytes);
void scratch_write(const char *path, const void *data, size_t bytes);
bool scratch_exists(Scratch *s, const char *name);

/* A call that has to succeed. */
#define CHECK(call)                                                                                                    \
    do {                                                                                                               \
        if ((call) != OK) fail_msg("%s", s->err.text);                                                                 \
    } while (0)

#endif
