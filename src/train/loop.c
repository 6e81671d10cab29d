/* loop.c - see loop.h. */
#include "train/loop.h"

#include "base/clock.h"

#include <string.h>

Loop loop_begin(Run *run) {
    Loop l = {.run = run};
    l.clock.began = l.clock.mark = l.clock.told = l.clock.saved = clock_seconds();
    return l;
}

double loop_tick(Loop *l) {
    double t = clock_seconds(), passed = t - l->clock.mark;
    l->clock.mark = t;
    l->run->state.seconds += passed;
    return passed;
}

bool loop_tells(Loop *l) {
    if (!l->run->spec->events.progress || l->clock.mark - l->clock.told < 0.1) return false;
    l->clock.told = l->clock.mark;
    return true;
}

double loop_eta(const Loop *l, double estimate) {
    const TrainConfig *train = l->run->train;
    double limit = train->max_seconds > 0 ? train->max_seconds - (l->clock.mark - l->clock.began) : estimate;
    return limit < estimate ? (limit > 0 ? limit : 0) : estimate;
}

Err loop_save_last(Loop *l, Error *err) {
    TRY(run_save_last(l->run, err));
    loop_tick(l);
    l->clock.saved = l->clock.mark;
    return OK;
}

Err loop_save_if_due(Loop *l, int64_t step, Error *err) {
    const TrainConfig *train = l->run->train;
    bool by_steps = step > 0 && train->save_steps > 0 && step % train->save_steps == 0;
    bool by_time = train->save_seconds > 0 && l->clock.mark - l->clock.saved >= train->save_seconds;
    return by_steps || by_time ? loop_save_last(l, err) : OK;
}

bool loop_asked_to_stop(const Run *run) {
    const volatile sig_atomic_t *stop = run->spec->events.stop;
    return stop && *stop;
}

Err loop_stop_if_asked(Loop *l, Error *err) {
    const Run *run = l->run;
    const PretrainState *p = &run->state.pretrain;
    bool asked = loop_asked_to_stop(run);
    l->out_of_time = run->train->max_seconds > 0 && l->clock.mark - l->clock.began >= run->train->max_seconds;
    if (!asked && !l->out_of_time) return OK;
    TRY(loop_save_last(l, err));
    if (!asked) return OK;
    if (!pretrain_is_done(run))
        return err_set(err, ERR_STOPPED,
                       "stopped in the pre-training of '%s', epoch %lld, after batch %lld; --resume goes on from there",
                       run->pretrain.layers[p->layer].name, (long long)p->epoch + 1, (long long)p->batch);
    return err_set(err, ERR_STOPPED, "stopped at step %lld; --resume goes on from there", (long long)run->state.step);
}

void loop_add_history(Run *run, const char *line) {
    TrainState *s = &run->state;
    if (s->n_history >= run->history_capacity) {
        int capacity = run->history_capacity ? 2 * run->history_capacity : 64;
        const char **grown = ARENA_ARRAY(run->arena, const char *, capacity);
        if (s->n_history) memcpy(grown, s->history, sizeof *grown * (size_t)s->n_history);
        s->history = grown;
        run->history_capacity = capacity;
    }
    s->history[s->n_history++] = line;
}
