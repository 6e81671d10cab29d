/* pipeline.h - items through three stages that overlap: a thread reads ahead, the caller's computes, others write.
 *
 * Queues are bounded: by the number of items, by the bytes of what is read and not done, and by parts that wait to be
 * written. Each item is written by one thread, its parts in order; items are done in the order of their numbers, so
 * what is reported does not depend on who was faster.
 */
#ifndef SANDGLASS_CLI_PIPELINE_H
#define SANDGLASS_CLI_PIPELINE_H

#include "base/error.h"

#include <signal.h>

typedef struct Pipeline Pipeline;

typedef struct PipelineSpec {
    int n;                             /* items */
    int writers;                       /* threads that write, at least 1 */
    double ahead_bytes;                /* of items read and not done, together; a larger item is alone */
    const volatile sig_atomic_t *stop; /* non-zero: read no more items; may be NULL */
    void *context;
    /* Reading thread. What item i takes once it is read, before it is; then the item itself, never NULL: that something
     * failed is the item's own affair, in all stages. */
    double (*bytes)(void *context, int i);
    void *(*read)(void *context, int i);
    /* The caller's thread. Hands over parts with pipeline_put. */
    void (*compute)(void *context, void *item, Pipeline *pipeline);
    /* A writing thread: a part, which is the callee's now; NULL: the item's last was before. */
    void (*write)(void *context, void *item, void *part);
    /* A writing thread, one at a time: the item is the callee's now. */
    void (*done)(void *context, void *item);
} PipelineSpec;

/* Returns when all items that were read are done. That a thread cannot be started is the only error. */
Err pipeline_run(const PipelineSpec *spec, Error *err);

/* Within compute: hand a part of the current item to its writer; waits while too many wait there. */
void pipeline_put(Pipeline *pipeline, void *part);

#endif
