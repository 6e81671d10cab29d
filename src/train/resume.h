/* resume.h - whether a run may go on under a config: every setting that bears on the result must be as it was. */
#ifndef SANDGLASS_TRAIN_RESUME_H
#define SANDGLASS_TRAIN_RESUME_H

#include "config/config.h"

/* Compare the config a checkpoint carries with today's. Free to change: name, train.epochs, train.max_seconds,
 * train.save_steps, train.save_seconds, train.sample_every, train.samples, data.root, data.cache_mb. Every other
 * difference is an error that names the key, the old value and the new one; all are reported. *epochs_before: the
 * checkpoint's train.epochs. */
Err resume_check_config(int64_t *epochs_before, const char *checkpoint_path, const char *old_text,
                        const Experiment *now, Arena *arena, Error *err);

#endif
