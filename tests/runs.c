/* runs.c - see runs.h. */
#include "runs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* after the headers it needs */
#include <cmocka.h>

static void take_note(void *context, const char *text) {
    const Call *call = context;
    size_t n = strlen(call->notes);
    snprintf(call->notes + n, NOTES_BYTES - n, "%s\n", text);
}

static void take_epoch(void *context, const Progress *progress, const Evaluation *val, const char *json) {
    const Call *call = context;
    call->epoch(call->context, progress, val, json);
}

Err train(Scratch *s, const Call *call, TrainResult *out) {
    Experiment *experiment = ARENA_NEW(s->arena, Experiment);
    Err code = config_load_text(experiment, "small.yaml", call->config, call->n_sets, call->sets, s->arena, &s->err);
    if (code != OK) return code;
    TrainSpec spec = {.experiment = experiment,
                      .run_dir = scratch_path(s, call->run),
                      .resume = call->resume,
                      .threads = 1,
                      .events = {.stop = call->stop,
                                 .note = call->notes ? take_note : NULL,
                                 .epoch = call->epoch ? take_epoch : NULL,
                                 .context = (void *)call}};
    return train_run(out, &spec, s->arena, &s->err);
}

/* max_seconds so short that each call trains one batch. */
void train_in_pieces(Scratch *s, const char *config, const char *run, int expected_pieces) {
    TrainResult result;
    Call call = {.config = config,
                 .run = run,
                 SETS("train.max_seconds=1e-9", "train.save_steps=1", "train.sample_every=1"),
                 .resume = true};
    int pieces = 0;
    do {
        CHECK(train(s, &call, &result));
        pieces++;
        assert_true(pieces <= expected_pieces);
    } while (!result.finished);
    assert_int_equal(pieces, expected_pieces);
}

/* Whether the file has the group. */
static bool has_group(Scratch *s, const char *path, const char *group) {
    H5 *file;
    CHECK(h5_open(&file, path, &s->err));
    bool has = h5_exists(file, group);
    h5_close(file);
    return has;
}

/* tolerance 0: bit by bit. */
static void assert_same_arrays(Scratch *s, const char *a_path, const char *b_path, const char *group,
                               double tolerance) {
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
        bool same = tolerance > 0 || memcmp(of_a, of_b, bytes) == 0;
        for (size_t k = 0; tolerance > 0 && k < bytes / sizeof(float); k++)
            if (!(fabs((double)of_a[k] - (double)of_b[k]) <= tolerance)) same = false;
        if (!same) fail_msg("%s and %s differ in %s", a_path, b_path, names_a[i]);
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

/* The attributes of /state and what goes with them, times excepted. */
static void assert_same_state(Scratch *s, const char *a_path, const char *b_path) {
    TrainState states[2];
    const char *paths[2] = {a_path, b_path};
    for (int i = 0; i < 2; i++) {
        Checkpoint *c;
        CHECK(checkpoint_open(&c, paths[i], false, NULL, s->arena, &s->err));
        CHECK(checkpoint_read_state(c, &states[i], NULL, NULL, s->arena, &s->err));
        checkpoint_close(c);
        states[i].seconds = states[i].epoch_seconds = 0;
    }
    const TrainState *a = &states[0], *b = &states[1];
    assert_int_equal(a->n_history, b->n_history);
    if (memcmp(a, b, offsetof(TrainState, n_history)) != 0)
        fail_msg("%s and %s differ in /state: epoch %lld %lld, step %lld %lld, best %.17g %.17g, plateau %.17g %.17g",
                 a_path, b_path, (long long)a->epoch, (long long)b->epoch, (long long)a->step, (long long)b->step,
                 a->best_value, b->best_value, a->plateau.factor, b->plateau.factor);
}

void assert_weights_near(Scratch *s, const char *a, const char *b, double tolerance) {
    assert_same_arrays(s, scratch_path(s, a), scratch_path(s, b), "/weights", tolerance);
}

void assert_runs_equal(Scratch *s, const char *a, const char *b) {
    assert_string_equal(run_timeless_history(s, a), run_timeless_history(s, b));
    static const char *const files[] = {"last.h5", "best.h5"};
    for (int i = 0; i < 2; i++) {
        const char *path_a = scratch_path(s, arena_printf(s->arena, "%s/%s", a, files[i]));
        const char *path_b = scratch_path(s, arena_printf(s->arena, "%s/%s", b, files[i]));
        assert_same_arrays(s, path_a, path_b, "/weights", 0);
        if (i == 0) assert_same_arrays(s, path_a, path_b, "/optimizer", 0);
        bool averaged = has_group(s, path_a, "/training_weights");
        assert_int_equal(averaged, has_group(s, path_b, "/training_weights"));
        if (averaged) assert_same_arrays(s, path_a, path_b, "/training_weights", 0);
        assert_same_state(s, path_a, path_b);
    }
}
