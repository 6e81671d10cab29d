/* engine.h - oneDNN's engine and stream, and programs: recorded once, planned, bound to one block of memory, run many
 * times.
 *
 * A program is for one thread at a time. Running it allocates nothing (oneDNN keeps an argument map a call of its own).
 */
#ifndef SANDGLASS_ENGINE_ENGINE_H
#define SANDGLASS_ENGINE_ENGINE_H

#include "base/arena.h"
#include "engine/build.h"

#include <stdio.h>

typedef struct Engine Engine;
typedef struct Program Program;

/* threads 0: as many as the machine (or OMP_NUM_THREADS) says. */
Err engine_new(Engine **out, int threads, Error *err);
void engine_free(Engine *engine);
int engine_threads(const Engine *engine);
/* OpenMP keeps the number of threads for each thread that calls it, and what is compiled or run takes that of its
 * caller. engine_new sets the caller's for good. Where the thread is a host program's, or another than the one that
 * made the engine: enter before (engine NULL: before engine_new), and leave after with what engine_enter returned. */
int engine_enter(const Engine *engine);
void engine_leave(int threads);
/* Whether the processor multiplies brain floats (AVX512_BF16, AMX); elsewhere they would be slower than 32 bits. */
bool engine_has_bf16(const Engine *engine);
/* Whether it multiplies 8-bit integers into 32-bit sums (VNNI, AMX); others would saturate sums of two products. */
bool engine_has_int8(const Engine *engine);
/* "oneDNN 2.6.3, AVX512_CORE_BF16, 2 threads". */
const char *engine_describe(const Engine *engine);

/* ---- recording ---- */

typedef struct BuildOptions {
    bool training; /* forward primitives keep what backward needs */
    bool separate; /* debugging: every tensor in memory of its own, none shared; must give the same results */
    bool bf16;     /* convolutions and what lies between them in 16-bit brain floats; weights, their gradients,
                      statistics and native operations stay in 32 bits. Needs engine_has_bf16 */
} BuildOptions;

/* A Build belongs to the engine's thread; finish or drop it. */
Build *build_new(Engine *engine, const BuildOptions *options);
void build_drop(Build *b); /* NULL is fine */

/* Memory that lives outside: weights, gradients, inputs, targets. data may be NULL and set later with program_bind. */
Tensor *build_external(Build *b, const char *name, DType type, Shape shape, void *data);
/* Weights: an external tensor whose content only changes when program_refresh is called. Inference programs run steps
 * that depend on nothing else (weight reorders) once after each refresh. */
Tensor *build_weights(Build *b, const char *name, Shape shape, void *data);
/* Keep t readable after a run, dense in logical order; program_read finds it by name. */
void build_output(Build *b, const char *name, Tensor *t);
/* Name in front of the steps recorded from here on ("enc1/conv2d1", "loss"), for listings, errors and traces. */
void build_scope(Build *b, const char *name);

/* Plan memory, create and bind primitives. The Build is gone afterwards, whatever the outcome. */
Err build_finish(Program **out, Build *b, Error *err);

/* ---- running ---- */

void program_free(Program *p);
/* Point an external tensor at `data` (64-byte aligned is fastest). */
void program_bind(Program *p, const char *name, void *data);
/* Weights have changed (inference programs). */
void program_refresh(Program *p);
Err program_run(Program *p, const RunState *run, Error *err);
/* The content of an output after a run; valid until the next run. NULL when there is no such output. */
const void *program_read(const Program *p, const char *name);
Shape program_shape(const Program *p,
                    const char *name); /* of an output or external tensor; rank 0 when there is none */

/* After a NaN: run once more step by step, and name the first step whose result holds a NaN or Inf:
 * "enc2/conv2d1 (conv): nan at [0, 3, 17, 2] of 4x16x32x32". false when all is finite. */
bool program_find_nonfinite(Program *p, const RunState *run, char *where, size_t bytes);

/* ---- what it is ---- */

typedef struct ProgramStats {
    int steps, primitives, reorders, natives, constant_steps;
    int reference;          /* primitives that fell to a reference implementation */
    size_t block_bytes;     /* planned memory: activations, scratchpad */
    size_t unplanned_bytes; /* what the same tensors would take without sharing */
    size_t scratchpad_bytes;
} ProgramStats;
ProgramStats program_stats(const Program *p);
/* A line a step: number, scope, operation, implementation, shapes, layouts, offset. */
void program_describe(const Program *p, FILE *out);

#endif
