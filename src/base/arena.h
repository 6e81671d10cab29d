/* arena.h - bump allocator for set-up objects that are freed together: trees, graphs, programs' tables.
 *
 * For many small, long-lived pieces. Large blocks (weights, activations, data) are taken with block_alloc and their
 * refusal is an error to report; a refused small piece ends the process with abort(), because no caller could go on.
 * Built with -DSANDGLASS_ARENA_DEBUG each piece is a malloc of its own, so that ASan sees overruns between pieces.
 */
#ifndef SANDGLASS_BASE_ARENA_H
#define SANDGLASS_BASE_ARENA_H

#include "base/error.h"

#include <stdint.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *arena); /* NULL is fine */

/* Zeroed, aligned to 16 bytes; lives until arena_free. */
void *arena_alloc(Arena *arena, size_t bytes);
#define ARENA_NEW(arena, Type)            ((Type *)arena_alloc((arena), sizeof(Type)))
#define ARENA_ARRAY(arena, Type, n_items) ((Type *)arena_alloc((arena), sizeof(Type) * (size_t)(n_items)))

void *arena_copy(Arena *arena, const void *data, size_t bytes);
char *arena_strdup(Arena *arena, const char *text);
char *arena_strndup(Arena *arena, const char *text, size_t n);
char *arena_printf(Arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);

/* A large block, zeroed, aligned to 64 bytes (to 2 MiB, with huge pages asked for, from 4 MiB up).
 * NULL when refused. Freed with block_free. */
void *block_alloc(size_t bytes);
void block_free(void *block);

#endif
