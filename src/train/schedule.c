/* schedule.c - the table of learning-rate schedules, warm-up, and reduce_on_plateau's memory.
 *
 * A kind gives a factor of train.lr. Kinds that run over the whole of training (polynomial, cosine, one_cycle) begin
 * when the warm-up ends; those that count epochs (step, exponential) count them from the start of training.
 */
#include "train/schedule.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static double clamp01(double x) {
    return x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x;
}

static double done_share(const SchedulePoint *at) {
    return at->steps > 0 ? clamp01((double)at->step / (double)at->steps) : 0.0;
}

/* ---- constant */

static double constant_factor(const void *params, const SchedulePoint *at) {
    return 1.0;
}

static const Param no_params[] = {{0}};
static const ScheduleKind constant = {.name = "constant", .doc = "1", .params = no_params, .factor = constant_factor};

/* ---- step */

typedef struct Step {
    double every, gamma;
    ParamList milestones;
} Step;

static double step_factor(const void *params, const SchedulePoint *at) {
    const Step *p = params;
    double drops = 0;
    if (p->milestones.n > 0) {
        for (int i = 0; i < p->milestones.n; i++) drops += at->epoch >= p->milestones.floats[i];
    } else {
        drops = floor(at->epoch / p->every);
    }
    return pow(p->gamma, drops);
}

static const Param step_params[] = {
    {"every", PARAM_FLOAT, offsetof(Step, every), "30", 1e-6, 1e9, NULL, "epochs between drops"},
    {"gamma", PARAM_FLOAT, offsetof(Step, gamma), "0.1", 0, 1, NULL, "factor of each drop"},
    {"milestones", PARAM_FLOATS, offsetof(Step, milestones), "", 0, 1e9, NULL, "epochs of the drops, instead of every"},
    {0}};
static const ScheduleKind step = {.name = "step",
                                  .doc = "gamma^floor(epoch / every), or gamma^(milestones passed)",
                                  .params = step_params,
                                  .params_bytes = sizeof(Step),
                                  .factor = step_factor};

/* ---- exponential */

typedef struct Exponential {
    double gamma;
    bool staircase;
} Exponential;

static double exponential_factor(const void *params, const SchedulePoint *at) {
    const Exponential *p = params;
    return pow(p->gamma, p->staircase ? floor(at->epoch) : at->epoch);
}

static const Param exponential_params[] = {
    {"gamma", PARAM_FLOAT, offsetof(Exponential, gamma), "0.95", 1e-9, 1, NULL, "factor of an epoch"},
    {"staircase", PARAM_BOOL, offsetof(Exponential, staircase), "false", 0, 0, NULL, "change only at ends of epochs"},
    {0}};
static const ScheduleKind exponential = {.name = "exponential",
                                         .doc = "gamma^epoch, epoch with its fraction",
                                         .params = exponential_params,
                                         .params_bytes = sizeof(Exponential),
                                         .factor = exponential_factor};

/* ---- polynomial */

typedef struct Polynomial {
    double power, end;
} Polynomial;

static double polynomial_factor(const void *params, const SchedulePoint *at) {
    const Polynomial *p = params;
    return p->end + (1.0 - p->end) * pow(1.0 - done_share(at), p->power);
}

static const Param polynomial_params[] = {
    {"power", PARAM_FLOAT, offsetof(Polynomial, power), "0.9", 0, 100, NULL, "1: linear"},
    {"end", PARAM_FLOAT, offsetof(Polynomial, end), "0", 0, 1, NULL, "factor at the end"},
    {0}};
static const ScheduleKind polynomial = {.name = "polynomial",
                                        .doc = "end + (1 - end) (1 - step / steps)^power",
                                        .params = polynomial_params,
                                        .params_bytes = sizeof(Polynomial),
                                        .factor = polynomial_factor,
                                        .over_all_epochs = true};

/* ---- cosine */

typedef struct Cosine {
    double end;
} Cosine;

/* From a at t = 0 to b at t = 1 along half a cosine. */
static double cosine_between(double a, double b, double t) {
    return b + (a - b) * 0.5 * (1.0 + cos(PI * clamp01(t)));
}

static double cosine_factor(const void *params, const SchedulePoint *at) {
    const Cosine *p = params;
    return cosine_between(1.0, p->end, done_share(at));
}

static const Param cosine_params[] = {{"end", PARAM_FLOAT, offsetof(Cosine, end), "0", 0, 1, NULL, "factor at the end"},
                                      {0}};
static const ScheduleKind cosine = {
    .name = "cosine",
    .doc = "end + (1 - end) (1 + cos(pi step / steps)) / 2 (Loshchilov & Hutter 2017, without restarts)",
    .params = cosine_params,
    .params_bytes = sizeof(Cosine),
    .factor = cosine_factor,
    .over_all_epochs = true};

/* ---- one_cycle: up along half a cosine, then down to almost nothing (Smith & Topin 2018). The peak is train.lr.
 * Steps are counted as PyTorch's OneCycleLR does: the last step of n has number n - 1 and gets the final rate. */

typedef struct OneCycle {
    double rise, start, end;
} OneCycle;

static double one_cycle_factor(const void *params, const SchedulePoint *at) {
    const OneCycle *p = params;
    double top = p->rise * (double)at->steps - 1.0, last = (double)at->steps - 1.0;
    double now = (double)at->step;
    if (top > 0 && now <= top) return cosine_between(p->start, 1.0, now / top);
    if (top < 0) top = 0;
    return last > top ? cosine_between(1.0, p->end, (now - top) / (last - top)) : 1.0;
}

static const Param one_cycle_params[] = {
    {"rise", PARAM_FLOAT, offsetof(OneCycle, rise), "0.3", 0, 1, NULL, "share of training on the way up"},
    {"start", PARAM_FLOAT, offsetof(OneCycle, start), "0.04", 0, 1, NULL, "factor at the start"},
    {"end", PARAM_FLOAT, offsetof(OneCycle, end), "4e-6", 0, 1, NULL, "factor at the end"},
    {0}};
static const ScheduleKind one_cycle = {.name = "one_cycle",
                                       .doc = "up from start to 1, then down to end, each along half a cosine (Smith & "
                                              "Topin 2018; the momentum is not cycled)",
                                       .params = one_cycle_params,
                                       .params_bytes = sizeof(OneCycle),
                                       .factor = one_cycle_factor,
                                       .over_all_epochs = true};

/* ---- reduce_on_plateau */

typedef struct ReduceOnPlateau {
    double factor, threshold, min;
    int64_t patience, cooldown;
} ReduceOnPlateau;

static double reduce_on_plateau_factor(const void *params, const SchedulePoint *at) {
    return at->plateau_factor;
}

static const Param reduce_on_plateau_params[] = {
    {"factor", PARAM_FLOAT, offsetof(ReduceOnPlateau, factor), "0.1", 0, 1, NULL, "of each reduction"},
    {"patience", PARAM_INT, offsetof(ReduceOnPlateau, patience), "10", 0, 1e9, NULL,
     "epochs without an improvement that are borne"},
    {"threshold", PARAM_FLOAT, offsetof(ReduceOnPlateau, threshold), "1e-4", 0, 1, NULL,
     "an improvement is at least this share of the best value"},
    {"cooldown", PARAM_INT, offsetof(ReduceOnPlateau, cooldown), "0", 0, 1e9, NULL,
     "epochs after a reduction that are not counted"},
    {"min", PARAM_FLOAT, offsetof(ReduceOnPlateau, min), "0", 0, 1, NULL, "the factor never falls below"},
    {0}};
static const ScheduleKind reduce_on_plateau = {
    .name = "reduce_on_plateau",
    .doc = "times factor whenever the metric of train.best has not improved for more than patience epochs",
    .params = reduce_on_plateau_params,
    .params_bytes = sizeof(ReduceOnPlateau),
    .factor = reduce_on_plateau_factor};

void plateau_init(Plateau *p) {
    *p = (Plateau){.best = (double)NAN, .factor = 1.0};
}

void plateau_update(Plateau *p, const Schedule *schedule, double value, bool higher_is_better) {
    if (schedule->kind != &reduce_on_plateau) return;
    const ReduceOnPlateau *r = schedule->params;
    double margin = r->threshold * fabs(p->best);
    bool better = isnan(p->best) || (higher_is_better ? value > p->best + margin : value < p->best - margin);
    if (better) {
        p->best = value;
        p->bad_epochs = 0;
    } else {
        p->bad_epochs++;
    }
    if (p->cooldown_left > 0) {
        p->cooldown_left--;
        p->bad_epochs = 0;
    }
    if (p->bad_epochs <= r->patience) return;
    double reduced = p->factor * r->factor;
    p->factor = reduced > r->min ? reduced : r->min;
    p->cooldown_left = r->cooldown;
    p->bad_epochs = 0;
}

/* ---- reading and asking */

const ScheduleKind *const schedule_kinds[] = {&constant, &step,      &exponential,       &polynomial,
                                              &cosine,   &one_cycle, &reduce_on_plateau, NULL};

static const ScheduleKind *schedule_find(const char *name) {
    for (int i = 0; schedule_kinds[i]; i++) {
        if (strcmp(schedule_kinds[i]->name, name) == 0) return schedule_kinds[i];
    }
    return NULL;
}

static const Param warmup_params[] = {
    {"steps", PARAM_INT, offsetof(Schedule, warmup_steps), "0", 0, 1e12, NULL, "length in optimizer steps"},
    {"epochs", PARAM_FLOAT, offsetof(Schedule, warmup_epochs), "0", 0, 1e9, NULL, "length in epochs"},
    {"start", PARAM_FLOAT, offsetof(Schedule, warmup_start), "0.01", 0, 1, NULL, "factor at the first step"},
    {0}};

static Err read_warmup(Schedule *out, const Node *node, Arena *arena, Error *err) {
    param_set_defaults(warmup_params, out, arena);
    if (!node || node->type == NODE_NULL) return OK;
    if (node->type != NODE_MAP) {
        return err_at(err, ERR_CONFIG, node->mark, "train.warmup: expected {steps: N} or {epochs: N}");
    }
    FillSpec fill = {.what = "train.warmup", .mark = node->mark, .maps = {node}, .targets = {{warmup_params, out}}};
    TRY(config_fill(&fill, arena, err));
    if (out->warmup_steps > 0 && out->warmup_epochs > 0) {
        return err_at(err, ERR_CONFIG, node->mark, "train.warmup: 'steps' and 'epochs' are both given, one is enough");
    }
    return OK;
}

Err schedule_read(Schedule *out, const Experiment *experiment, Arena *arena, Error *err) {
    *out = (Schedule){.kind = &constant, .lr = experiment->train.lr};
    TRY(read_warmup(out, experiment->train.warmup, arena, err));
    const Node *node = experiment->train.schedule;
    if (!node || node->type == NODE_NULL) return OK;
    KindRef ref = {0};
    TRY(config_kind(&ref, node, "train.schedule", err));
    out->kind = schedule_find(ref.name);
    if (!out->kind) {
        const char *names[sizeof schedule_kinds / sizeof schedule_kinds[0]] = {0};
        for (int i = 0; schedule_kinds[i]; i++) names[i] = schedule_kinds[i]->name;
        return config_unknown_kind(&ref, "schedule", names, err);
    }
    void *params = arena_alloc(arena, out->kind->params_bytes + 1);
    out->params = params;
    FillSpec fill = {.what = arena_printf(arena, "train.schedule (%s)", ref.name),
                     .mark = ref.mark,
                     .maps = {ref.args},
                     .targets = {{out->kind->params, params}}};
    return config_fill(&fill, arena, err);
}

/* Length of the warm-up in steps, whichever way it was given. */
static double warmup_length(const Schedule *schedule, const SchedulePoint *at) {
    if (schedule->warmup_steps > 0) return (double)schedule->warmup_steps;
    if (schedule->warmup_epochs > 0 && at->epochs > 0) return schedule->warmup_epochs * (double)at->steps / at->epochs;
    return 0;
}

double schedule_lr(const Schedule *schedule, const SchedulePoint *at) {
    double length = warmup_length(schedule, at);
    SchedulePoint inner = *at; /* progress behind the warm-up */
    int64_t whole = (int64_t)ceil(length);
    inner.step = at->step > whole ? at->step - whole : 0;
    inner.steps = at->steps > whole ? at->steps - whole : 0;
    double lr = schedule->lr * schedule->kind->factor(schedule->params, &inner);
    if ((double)at->step >= length) return lr;
    return lr * (schedule->warmup_start + (1.0 - schedule->warmup_start) * (double)at->step / length);
}
