/* error.h - the outcome of a call (Err), its words (Error) and their place in a source text (Mark).
 *
 * A function that can fail returns Err and takes an Error* last. The Error is the caller's (start it as ERROR_INIT),
 * may be NULL (only the code is wanted), and holds complete, printable text: nothing in it points at freed memory. It
 * can collect several messages, so that a reader reports up to ERROR_MAX mistakes of one pass and not only the first.
 * Words: what is wrong, the value found, the value wanted; lower case, no full stop; a hint when the cure is known.
 */
#ifndef SANDGLASS_BASE_ERROR_H
#define SANDGLASS_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum Err {
    OK = 0,
    ERR_USAGE,   /* the command line */
    ERR_CONFIG,  /* the experiment's text */
    ERR_DATA,    /* pictures, masks, data files */
    ERR_IO,      /* the operating system refused: missing file, permission, disk full */
    ERR_FORMAT,  /* a checkpoint or container that is damaged, foreign or newer */
    ERR_MEMORY,  /* a large block was refused */
    ERR_NUMERIC, /* NaN or Inf in a loss, gradient or weight */
    ERR_ENGINE,  /* oneDNN refused */
    ERR_STOPPED  /* asked to stop (signal) */
} Err;

/* A text that Marks point into. Lives as long as the Marks; the YAML reader keeps it in the arena of the tree. */
typedef struct Source {
    const char *name; /* file name as the user gave it, or "--set a.b=c" */
    const char *text; /* whole text, zero-terminated; NULL when there are no lines to show */
} Source;

/* A place in a Source. source NULL: nowhere. line 0: the source as a whole (printed without line and column). */
typedef struct Mark {
    const Source *source;
    int line, column; /* from 1 */
} Mark;

enum { ERROR_MAX = 20, ERROR_TEXT_BYTES = 16384 };

typedef struct Error {
    Err code;     /* of the first message */
    int count;    /* messages in text */
    int dropped;  /* messages beyond ERROR_MAX or the buffer */
    size_t used;  /* bytes of text in use, without the final zero */
    size_t words; /* where the words of the last message begin (behind "error: "): err_context inserts here */
    char text[ERROR_TEXT_BYTES];
} Error;

#define ERROR_INIT                                                                                                     \
    { .code = OK }

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* Append "error: WORDS\n". Returns code, so that `return err_set(err, ERR_IO, ...)` reads well. */
Err err_set(Error *err, Err code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Append "FILE:LINE:COLUMN: error: WORDS\n" with the source line and a caret under the column:
 *     configs/a.yaml:31:15: error: 'kernel' must be between 1 and 31, got 0
 *       31 |       kernel: 0
 *          |               ^
 */
Err err_at(Error *err, Err code, Mark mark, const char *format, ...) PRINTF_LIKE(4, 5);

/* Put "CONTEXT: " in front of the words of the last message. Does nothing when there is none. Returns the first code.
 */
Err err_context(Error *err, const char *format, ...) PRINTF_LIKE(2, 3);

/* Whether further messages are only counted: no need to look for their words. */
bool err_is_full(const Error *err);

/* Forget all messages. */
void err_clear(Error *err);

/* Append src's messages to dst (either may be NULL). Returns src's code. */
Err err_append(Error *dst, const Error *src);

/* Leave the calling function with the code of `call` unless it is OK. Only where nothing has to be released. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        Err try_code_ = (call);                                                                                        \
        if (try_code_ != OK) return try_code_;                                                                         \
    } while (0)

/* The entry of `names` nearest to `word` by edit distance, or NULL when none is near enough to be meant
 * (distance at most 2 and less than half the word's length). names ends with NULL. */
const char *nearest_name(const char *word, const char *const *names);

#endif
