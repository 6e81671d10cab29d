/* test_schedule.c - schedules against closed forms, PyTorch's OneCycleLR and ReduceLROnPlateau, warm-up, and the
 * messages of train.schedule and train.warmup. */
#include "train/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static Error err; /* large: not on the stack */

/* Read "train:" lines into a schedule; the error text is left in err. */
static Err read_schedule(Schedule *out, const char *train, Arena *arena) {
    Experiment experiment = {0};
    err_clear(&err);
    const char *text = arena_printf(
        arena, "task: reconstruction\nmodel: {layers: [dense: 1]}\ndata: {kind: idx}\ntrain:\n%s", train);
    Err code = config_load_text(&experiment, "t.yaml", text, 0, NULL, arena, &err);
    if (code != OK) fail_msg("%s", err.text);
    return schedule_read(out, &experiment, arena, &err);
}

static Schedule schedule(const char *train, Arena *arena) {
    Schedule s;
    if (read_schedule(&s, train, arena) != OK) fail_msg("%s", err.text);
    return s;
}

/* Of a training of 10 epochs, 100 steps. */
static double lr_at(const Schedule *s, int64_t step) {
    return schedule_lr(
        s, &(SchedulePoint){.step = step, .steps = 100, .epoch = (double)step / 10, .epochs = 10, .plateau_factor = 1});
}

static void near(double got, double want) {
    if (fabs(got - want) > 1e-12 * fmax(1.0, fabs(want))) fail_msg("got %.15g, want %.15g", got, want);
}

static void closed_forms(void **state) {
    Arena *arena = arena_new();
    Schedule s = schedule("  lr: 0.5\n", arena);
    for (int64_t step = 0; step <= 100; step += 7) near(lr_at(&s, step), 0.5);
    s = schedule("  lr: 0.5\n  schedule: {step: {every: 3, gamma: 0.1}}\n", arena);
    near(lr_at(&s, 29), 0.5);
    near(lr_at(&s, 30), 0.05);
    near(lr_at(&s, 65), 0.005);
    s = schedule("  lr: 2\n  schedule: {step: {milestones: [2, 5.5], gamma: 0.5}}\n", arena);
    near(lr_at(&s, 19), 2);
    near(lr_at(&s, 20), 1);
    near(lr_at(&s, 54), 1);
    near(lr_at(&s, 55), 0.5);
    s = schedule("  lr: 1\n  schedule: {exponential: 0.9}\n", arena);
    near(lr_at(&s, 25), pow(0.9, 2.5));
    s = schedule("  lr: 1\n  schedule: {exponential: {gamma: 0.9, staircase: true}}\n", arena);
    near(lr_at(&s, 25), 0.81);
    s = schedule("  lr: 1\n  schedule: {polynomial: {power: 2, end: 0.1}}\n", arena);
    near(lr_at(&s, 0), 1);
    near(lr_at(&s, 50), 0.1 + 0.9 * 0.25);
    near(lr_at(&s, 100), 0.1);
    near(lr_at(&s, 150), 0.1); /* past the end: as at the end */
    s = schedule("  lr: 1\n  schedule: {kind: cosine, end: 0.2}\n", arena);
    near(lr_at(&s, 0), 1);
    near(lr_at(&s, 25), 0.2 + 0.4 * (1 + cos(atan(1))));
    near(lr_at(&s, 50), 0.6);
    near(lr_at(&s, 100), 0.2);
    arena_free(arena);
}

/* torch.optim.lr_scheduler.OneCycleLR(SGD, max_lr=1, total_steps=100), PyTorch 1.13: get_last_lr() before step k. */
static void one_cycle_matches_pytorch(void **state) {
    static const struct {
        int64_t step;
        double lr;
    } want[] = {{0, 0.040000000000000036},
                {1, 0.042813780565907456},
                {10, 0.29516394846410077},
                {28, 0.99718621943409258},
                {29, 1},
                {30, 0.99949653528452431},
                {50, 0.79389345057573202},
                {75, 0.26306861650082564},
                {98, 0.00050746471547578789},
                {99, 3.9999999999999998e-06}};
    Arena *arena = arena_new();
    Schedule s = schedule("  lr: 1\n  schedule: one_cycle\n", arena);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) near(lr_at(&s, want[i].step), want[i].lr);
    near(schedule_lr(&s, &(SchedulePoint){.step = 0, .steps = 1, .plateau_factor = 1}), 1); /* no room for a cycle */
    s = schedule("  lr: 1\n  schedule: {one_cycle: {rise: 1}}\n", arena);
    near(lr_at(&s, 99), 1);
    arena_free(arena);
}

static void warm_up(void **state) {
    Arena *arena = arena_new();
    Schedule s = schedule("  lr: 2\n  warmup: {steps: 10, start: 0.1}\n", arena);
    near(lr_at(&s, 0), 0.2);
    near(lr_at(&s, 5), 1.1);
    near(lr_at(&s, 10), 2);
    near(lr_at(&s, 99), 2);
    s = schedule("  lr: 2\n  warmup: {epochs: 0.5, start: 0}\n", arena);
    near(lr_at(&s, 0), 0);
    near(lr_at(&s, 4), 1.6);
    near(lr_at(&s, 5), 2);
    /* kinds over the whole training begin behind it, those that count epochs do not */
    s = schedule("  lr: 1\n  warmup: {steps: 20}\n  schedule: cosine\n", arena);
    near(lr_at(&s, 20), 1);
    near(lr_at(&s, 60), 0.5);
    near(lr_at(&s, 100), 0);
    s = schedule("  lr: 1\n  warmup: {steps: 20}\n  schedule: {step: {every: 3}}\n", arena);
    near(lr_at(&s, 30), 0.1);
    arena_free(arena);
}

static void plateau(void **state) {
    Arena *arena = arena_new();
    Schedule s = schedule(
        "  lr: 1\n  schedule: {reduce_on_plateau: {factor: 0.5, patience: 2, cooldown: 1, min: 0.2}}\n", arena);
    Plateau p;
    plateau_init(&p);
    /* torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.2) on these values */
    const double values[] = {1.0, 0.9, 0.95, 0.9, 0.89995, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
    const double factors[] = {1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        plateau_update(&p, &s, values[i], false);
        near(p.factor, factors[i]);
    }
    near(schedule_lr(&s, &(SchedulePoint){.plateau_factor = p.factor}), p.factor);
    plateau_init(&p);
    for (int i = 0; i < 12; i++) plateau_update(&p, &s, i, true); /* rises: better every time */
    near(p.factor, 1);
    for (int i = 0; i < 3; i++) plateau_update(&p, &s, (double)NAN, true); /* never better */
    near(p.factor, 0.5);
    s = schedule("  lr: 1\n", arena);
    plateau_init(&p);
    for (int i = 0; i < 40; i++) plateau_update(&p, &s, 1, false); /* another kind remembers nothing */
    near(p.factor, 1);
    arena_free(arena);
}

static void messages(void **state) {
    static const struct {
        const char *train, *text;
    } cases[] = {
        {"  warmup: {steps: 3, epochs: 1}\n",
         "t.yaml:5:11: error: train.warmup: 'steps' and 'epochs' are both given, one is enough\n"
         "  5 |   warmup: {steps: 3, epochs: 1}\n"
         "    |           ^\n"},
        {"  warmup: 10\n", "t.yaml:5:11: error: train.warmup: expected {steps: N} or {epochs: N}\n"
                           "  5 |   warmup: 10\n"
                           "    |           ^\n"},
        {"  schedule: {cosine: {end: 2}}\n",
         "t.yaml:5:28: error: train.schedule (cosine): 'end' must be between 0 and 1, got 2\n"
         "  5 |   schedule: {cosine: {end: 2}}\n"
         "    |                            ^\n"},
        {"  schedule: {cosine: {ende: 0.1}}\n",
         "t.yaml:5:23: error: train.schedule (cosine): unknown key 'ende', did you mean 'end'?\n"
         "  5 |   schedule: {cosine: {ende: 0.1}}\n"
         "    |                       ^\n"},
    };
    Arena *arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Schedule s;
        assert_int_equal(read_schedule(&s, cases[i].train, arena), ERR_CONFIG);
        assert_string_equal(err.text, cases[i].text);
    }
    Schedule s;
    assert_int_equal(read_schedule(&s, "  schedule: cosin\n", arena), ERR_CONFIG);
    assert_non_null(strstr(err.text, "t.yaml:5:13: error: "));
    assert_non_null(strstr(err.text, "'cosin', did you mean 'cosine'?"));
    arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_forms), cmocka_unit_test(one_cycle_matches_pytorch),
        cmocka_unit_test(warm_up),      cmocka_unit_test(plateau),
        cmocka_unit_test(messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
