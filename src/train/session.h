/* session.h - a network on batches of pictures of one size. Opening compiles the program and takes all memory; a run
 * allocates nothing (oneDNN keeps an argument map a call).
 *
 * The pictures may have any size that the network takes once padded to its stride: they are padded as in training, and
 * results are cut back. Sessions on one Net share its weights, and each may be used by a thread of its own, or by
 * several in turn.
 */
#ifndef SANDGLASS_TRAIN_SESSION_H
#define SANDGLASS_TRAIN_SESSION_H

#include "train/maps.h"

typedef struct Session Session;

typedef struct SessionSpec {
    int batch, height, width;
    int threads; /* 0: all */
    int n_outputs;
    const char *const *outputs; /* layers to be read, beside the network's own outputs */
} SessionSpec;

/* The Net is borrowed, and must outlive the session. */
Err session_open(Session **out, const Net *net, const SessionSpec *spec, Error *err);
void session_close(Session *session); /* NULL is fine */
/* Activations, scratchpads, prepared weights, inputs; the shared weights and oneDNN's kernels are not counted. */
size_t session_memory(const Session *session);

/* Run n pictures, at most the batch: a picture of the session's size each, rows row_bytes apart. */
typedef struct SessionPicture {
    Image image;
    size_t row_bytes;
} SessionPicture;
/* Place k of the batch gets this picture (normalised; session_run follows). */
void session_put(Session *session, int k, const SessionPicture *picture);
Err session_run(Session *session, int n, Error *err);
/* Run n inputs as the network sees them: n,channels,height,width. */
Err session_run_planes(Session *session, int n, const float *planes, Error *err);

/* What the last run gave for its picture k. */
Err session_read(const Session *session, int k, const Maps *maps, Error *err);

/* The values of a layer, where they lie, until the next run: batch first, n of the last run. Those of the size of the
 * padded pictures are cut back, so there may be gaps between rows. */
typedef struct SessionOutput {
    Shape shape;
    int64_t stride[SHAPE_MAX_RANK]; /* floats from one to the next along each axis */
    const float *data;
} SessionOutput;
/* name: as in the spec; NULL: the network's result. */
Err session_output(const Session *session, const char *name, SessionOutput *out, Error *err);

#endif
