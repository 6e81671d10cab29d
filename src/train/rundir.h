/* rundir.h - the folder of a run: made whole or not at all, used by one process at a time.
 *
 *     config.yaml  history.jsonl  last.h5  last.prev.h5  best.h5  samples/epoch_0010.png
 *
 * (eval/ and analysis/ in it are those commands' own.)
 */
#ifndef SANDGLASS_TRAIN_RUNDIR_H
#define SANDGLASS_TRAIN_RUNDIR_H

#include "base/arena.h"

typedef struct RunDir {
    const char *path; /* where the run's files are now: aside until rundir_appear */
    const char *name; /* where they will be, as the user gave it */
    int lock;         /* descriptor that holds the folder's lock; -1: none */
} RunDir;

/* Whether the folder holds a checkpoint to go on from. */
bool rundir_has_checkpoint(const char *name);
/* Begin a run aside, in NAME.tmp; what a killed predecessor left there is removed first. A NAME that exists and is not
 * empty is an error, and so is a NAME.tmp with anything in it that is not of such a predecessor. The names go into the
 * arena. */
Err rundir_begin(RunDir *out, const char *name, Arena *arena, Error *err);
/* Put a begun run in place. */
Err rundir_appear(RunDir *dir, Error *err);
/* Take the lock of a run that exists, and remove what a killed process was writing there. */
Err rundir_enter(RunDir *out, const char *name, Arena *arena, Error *err);
/* Give the lock back; removes what never appeared. */
void rundir_leave(RunDir *dir);

/* "RUN/NAME", in the arena. */
const char *rundir_file(const RunDir *dir, const char *name, Arena *arena);
Err rundir_write_text(const RunDir *dir, const char *name, const char *text, Error *err);
/* The line is there as a whole or, on failure, not at all. */
Err rundir_append_line(const RunDir *dir, const char *name, const char *line, Error *err);

#endif
