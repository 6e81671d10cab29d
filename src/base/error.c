/* error.c - words of errors: collected, placed, put into context; nearest known names. */
#include "base/error.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* A source line is shown in a window of this many characters around the column. */
enum { LINE_WINDOW = 120, LINE_BEFORE = 80 };

static int imin(int a, int b) {
    return a < b ? a : b;
}

/* One message while it is put together; what does not fit is cut. */
typedef struct Draft {
    size_t used;
    char text[4096];
} Draft;

static void PRINTF_LIKE(2, 3) draft_printf(Draft *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(d->text + d->used, sizeof d->text - d->used, format, args);
    va_end(args);
    if (n < 0) return;
    d->used += (size_t)n;
    if (d->used > sizeof d->text - 1) d->used = sizeof d->text - 1;
}

static void draft_char(Draft *d, char c) {
    if (d->used + 1 >= sizeof d->text) return;
    d->text[d->used++] = c;
    d->text[d->used] = 0;
}

/* One character of a text, or what stands for it: names and values come from files, and a terminal obeys control
 * characters. Returns its bytes in the text. */
static int draft_character(Draft *d, const char *p) {
    char shown[5];
    int n = utf8_shown(p, shown);
    if (d->used + sizeof shown >= sizeof d->text) return n; /* never half a character */
    for (const char *c = shown; *c; c++) draft_char(d, *c);
    return n;
}

/* Format words that hold texts of files. */
static void draft_words(Draft *d, const char *format, va_list args) {
    char words[sizeof d->text];
    if (vsnprintf(words, sizeof words, format, args) < 0) return;
    for (const char *p = words; *p;) p += draft_character(d, p);
}

/* First byte of a line (from 1), NULL when the text has fewer. */
static const char *line_start(const char *text, int line) {
    for (; text && line > 1; line--) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    return text;
}

/* The source line and a caret under the column. Columns count characters, not bytes. */
static void draft_source_line(Draft *d, Mark mark) {
    const char *p = line_start(mark.source->text, mark.line);
    if (!p) return;
    int column = mark.column < 1 ? 1 : mark.column, skipped = 0;
    if (column > LINE_WINDOW) {
        for (; skipped < column - LINE_BEFORE && *p && *p != '\n'; skipped++) {
            int n = utf8_length(p);
            p += n > 0 ? n : 1;
        }
    }
    int gutter = 2 + snprintf(NULL, 0, "%d", mark.line);
    draft_printf(d, "%*d | ", gutter, mark.line);
    for (int shown = 0; shown < LINE_WINDOW && *p && *p != '\n' && *p != '\r'; shown++) p += draft_character(d, p);
    draft_printf(d, "\n%*s | %*s^\n", gutter, "", imin(column - 1 - skipped, LINE_WINDOW), "");
}

/* Append a finished message, or count it as dropped. The first is always kept. */
static void commit(Error *err, Err code, const Draft *d, size_t words) {
    if (err->count == 0) err->code = code;
    if (err->count >= ERROR_MAX || err->used + d->used + 1 > sizeof err->text) {
        err->dropped++;
        return;
    }
    memcpy(err->text + err->used, d->text, d->used);
    err->words = err->used + words;
    err->used += d->used;
    err->text[err->used] = 0;
    err->count++;
}

bool err_is_full(const Error *err) {
    return err && err->count >= ERROR_MAX;
}

Err err_set(Error *err, Err code, const char *format, ...) {
    if (!err) return code;
    if (err_is_full(err)) {
        err->dropped++;
        return code;
    }
    Draft d = {0};
    draft_printf(&d, "error: ");
    size_t words = d.used;
    va_list args;
    va_start(args, format);
    draft_words(&d, format, args);
    va_end(args);
    if (d.used == sizeof d.text - 1) d.used--;
    draft_char(&d, '\n');
    commit(err, code, &d, words);
    return code;
}

Err err_at(Error *err, Err code, Mark mark, const char *format, ...) {
    if (!err) return code;
    if (err_is_full(err)) {
        err->dropped++;
        return code;
    }
    Draft d = {0};
    bool placed = mark.source && mark.line > 0;
    for (const char *p = mark.source ? mark.source->name : ""; *p;) p += draft_character(&d, p);
    if (mark.source) draft_char(&d, ':');
    if (placed) draft_printf(&d, "%d:%d:", mark.line, mark.column);
    draft_printf(&d, mark.source ? " error: " : "error: ");
    size_t words = d.used;
    va_list args;
    va_start(args, format);
    draft_words(&d, format, args);
    va_end(args);
    if (d.used == sizeof d.text - 1) d.used--;
    draft_char(&d, '\n');
    if (placed && mark.source->text) draft_source_line(&d, mark);
    commit(err, code, &d, words);
    return code;
}

Err err_context(Error *err, const char *format, ...) {
    if (!err || err->count == 0) return err ? err->code : OK;
    Draft d = {0};
    va_list args;
    va_start(args, format);
    draft_words(&d, format, args);
    va_end(args);
    draft_printf(&d, ": ");
    /* A message that was dropped is not in the text: the context would go to another one. */
    if (err->dropped > 0 || err->used + d.used + 1 > sizeof err->text) return err->code;
    memmove(err->text + err->words + d.used, err->text + err->words, err->used - err->words + 1);
    memcpy(err->text + err->words, d.text, d.used);
    err->used += d.used;
    return err->code;
}

void err_clear(Error *err) {
    if (!err) return;
    err->code = OK;
    err->count = err->dropped = 0;
    err->used = err->words = 0;
    err->text[0] = 0;
}

/* Length of the first message of `text`: up to the next line that does not belong to it (source lines are indented). */
static size_t message_length(const char *text) {
    const char *end = strchr(text, '\n');
    while (end && end[1] == ' ') end = strchr(end + 1, '\n');
    return end ? (size_t)(end + 1 - text) : strlen(text);
}

Err err_append(Error *dst, const Error *src) {
    if (!src || src->count == 0) return src ? src->code : OK;
    if (!dst) return src->code;
    for (size_t at = 0; at < src->used;) {
        Draft d = {.used = message_length(src->text + at)};
        size_t whole = d.used;
        if (d.used > sizeof d.text - 1) d.used = sizeof d.text - 1;
        memcpy(d.text, src->text + at, d.used);
        d.text[d.used] = 0;
        const char *words = strstr(d.text, "error: ");
        /* The last message's words are known exactly; a file name may hold "error: " too. */
        size_t offset = at + whole == src->used && src->words >= at ? src->words - at
                        : words                                     ? (size_t)(words - d.text) + 7
                                                                    : 0;
        commit(dst, src->code, &d, offset);
        at += whole;
    }
    dst->dropped += src->dropped;
    return src->code;
}

/* ---- nearest name ---- */

enum { NAME_MAX_BYTES = 64 };

static char fold(char c) {
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

/* Edit distance with swaps of neighbours (optimal string alignment), upper case and '-' folded away. */
static int edit_distance(const char *a, const char *b) {
    int n = (int)strlen(a), m = (int)strlen(b);
    int row[3][NAME_MAX_BYTES + 1];
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *before = row[(i + 2) % 3], *before2 = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            now[j] = imin(before[j - 1] + !same, imin(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]))
                now[j] = imin(now[j], before2[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *nearest_name(const char *word, const char *const *names) {
    size_t length = strlen(word);
    if (length == 0 || length > NAME_MAX_BYTES) return NULL;
    const char *best = NULL;
    int best_distance = 3;
    for (; names && *names; names++) {
        if (strlen(*names) > NAME_MAX_BYTES) continue;
        int distance = edit_distance(word, *names);
        if (distance >= best_distance || 2 * (size_t)distance >= length) continue;
        best = *names;
        best_distance = distance;
    }
    return best;
}
