/* rundir.h - the folder of a run: made whole or not at all, used by one process at a time.
 *
 *     config.yaml  history.jsonl  last.h5  last.prev.h5  best.h5  samples/epoch_0010.png
 */
#ifndef SANDGLASS_TRAIN_RUNDIR_H
#define SANDGLASS_TRAIN_RUNDIR_H

#include "base/arena.h"

typedef struct RunDir {
    const char *path; /* where the run's files are now: aside until rundir_appear */
    const char *name; /* where they will be, as the user gave it */
    int lock;         /* descriptor that holds the folder's lock; -1: none */
    Arena *arena;
} RunDir;

/* Whether the folder holds a checkpoint to go on from. */
bool rundir_has_checkpoint(const char *name);
/* Begin a run aside (NAME.tmp; what a killed predecessor left there is used over). A NAME that exists and is not empty
 * is an error. */
Err rundir_begin(RunDir *out, const char *name, Arena *arena, Error *err);
/* Put a begun run in place. */
Err rundir_appear(RunDir *dir, Error *err);
/* Take the lock of a run that exists. */
Err rundir_enter(RunDir *out, const char *name, Arena *arena, Error *err);
/* Give the lock back; removes what never appeared. */
void rundir_leave(RunDir *dir);

/* "RUN/NAME", in the arena. */
const char *rundir_file(const RunDir *dir, const char *name);
Err rundir_write_text(const RunDir *dir, const char *name, const char *text, Error *err);
Err rundir_append_line(const RunDir *dir, const char *name, const char *line, Error *err);

#endif
