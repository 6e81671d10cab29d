/* arena.c - bump allocator in growing blocks, and large aligned blocks. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PIECE_ALIGN = 16, FIRST_BLOCK = 16 << 10, LARGEST_BLOCK = 1 << 20 };

typedef struct Chunk {
    struct Chunk *next;
    _Alignas(PIECE_ALIGN) unsigned char bytes[];
} Chunk;

struct Arena {
    Chunk *chunks;
    unsigned char *free;
    size_t left, next_size;
};

static void *must_alloc(size_t bytes) {
    void *p = calloc(1, bytes);
    if (!p) abort();
    return p;
}

Arena *arena_new(void) {
    Arena *arena = must_alloc(sizeof *arena);
    arena->next_size = FIRST_BLOCK;
    return arena;
}

void arena_free(Arena *arena) {
    if (!arena) return;
    for (Chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(arena);
}

static Chunk *chunk_add(Arena *arena, size_t bytes) {
    Chunk *c = must_alloc(sizeof *c + bytes);
    c->next = arena->chunks;
    arena->chunks = c;
    return c;
}

void *arena_alloc(Arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2) abort();
#ifdef SANDGLASS_ARENA_DEBUG
    return chunk_add(arena, bytes)->bytes; /* its own malloc: the end of the piece is the end of the block */
#else
    bytes = (bytes + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
    if (bytes > arena->left) {
        if (bytes > arena->next_size / 4) return chunk_add(arena, bytes)->bytes; /* large: keeps the current block */
        arena->free = chunk_add(arena, arena->next_size)->bytes;
        arena->left = arena->next_size;
        if (arena->next_size < LARGEST_BLOCK) arena->next_size *= 2;
    }
    void *piece = arena->free;
    arena->free += bytes;
    arena->left -= bytes;
    return piece;
#endif
}

void *arena_copy(Arena *arena, const void *data, size_t bytes) {
    void *copy = arena_alloc(arena, bytes);
    if (bytes) memcpy(copy, data, bytes);
    return copy;
}

char *arena_strndup(Arena *arena, const char *text, size_t n) {
    n = strnlen(text, n);
    char *copy = arena_alloc(arena, n + 1);
    memcpy(copy, text, n);
    return copy;
}

char *arena_strdup(Arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) abort();
    char *text = arena_alloc(arena, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

void *block_alloc(size_t bytes) {
    const size_t huge = (size_t)2 << 20;
    bool large = bytes >= 2 * huge;
    size_t align = large ? huge : 64;
    /* Sizes that come from a damaged file: refused here, because some allocators end the process over them. */
    if (bytes > (size_t)1 << 39) return NULL;
    bytes = bytes ? (bytes + align - 1) / align * align : align;
    void *block = aligned_alloc(align, bytes);
    if (!block) return NULL;
    if (large) (void)madvise(block, bytes, MADV_HUGEPAGE); /* a wish: nothing depends on it */
    memset(block, 0, bytes);
    return block;
}

void block_free(void *block) {
    free(block);
}
