/* schedule.h - learning rate as a function of progress; warm-up in front of any kind. */
#ifndef SANDGLASS_TRAIN_SCHEDULE_H
#define SANDGLASS_TRAIN_SCHEDULE_H

#include "config/config.h"

/* Where training is. Plain numbers, all in the checkpoint. */
typedef struct SchedulePoint {
    int64_t step, steps;   /* optimizer steps done; in all */
    double epoch, epochs;  /* epochs done, with fraction; in all */
    double plateau_factor; /* reduce_on_plateau's current product; 1 at the start */
} SchedulePoint;

typedef struct ScheduleKind {
    const char *name, *doc;
    const Param *params;
    size_t params_bytes;
    double (*factor)(const void *params, const SchedulePoint *at); /* of train.lr */
    bool over_all_epochs; /* looks at the length of training: another train.epochs changes all rates */
} ScheduleKind;
/* constant, step, exponential, polynomial, cosine, one_cycle, reduce_on_plateau; NULL-terminated. */
extern const ScheduleKind *const schedule_kinds[];

typedef struct Schedule {
    const ScheduleKind *kind;
    const void *params;
    double lr;
    int64_t warmup_steps; /* train.warmup: {steps: N} or {epochs: N}, factor rises linearly from `start` */
    double warmup_epochs, warmup_start;
} Schedule;
Err schedule_read(Schedule *out, const Experiment *experiment, Arena *arena, Error *err);
double schedule_lr(const Schedule *schedule, const SchedulePoint *at);

/* reduce_on_plateau: what it remembers, and the call at the end of an epoch with the watched value (lower or higher is
 * better). */
typedef struct Plateau {
    double best, factor;
    int64_t bad_epochs, cooldown_left;
} Plateau;
void plateau_init(Plateau *p);
void plateau_update(Plateau *p, const Schedule *schedule, double value, bool higher_is_better);

#endif
