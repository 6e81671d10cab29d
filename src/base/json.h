/* json.h - writes JSON text, compact, on one line: history.jsonl and what the program prints with --json.
 *
 *     Json j = json_begin(arena);
 *     json_open_object(&j, NULL);
 *     json_int(&j, "epoch", 3);
 *     json_open_array(&j, "lr");
 *     json_float(&j, NULL, 0.001);
 *     json_close(&j);
 *     json_close(&j);
 *     puts(json_text(&j));                    {"epoch":3,"lr":[0.001]}
 *
 * `key` is the name inside an object, and NULL inside an array and for the outermost value. Keys and strings are UTF-8;
 * bytes that are not valid UTF-8 become U+FFFD. Doubles are written with as few digits (9 to 17) as read back to the
 * same value, so equal bits give equal text; NaN and Inf, which JSON lacks, become null. Whatever the locale says, the
 * decimal point is a point.
 */
#ifndef SANDGLASS_BASE_JSON_H
#define SANDGLASS_BASE_JSON_H

#include "base/arena.h"

enum { JSON_MAX_DEPTH = 16 };

typedef struct Json {
    Arena *arena;
    char *text; /* in the arena, zero-terminated */
    size_t used, capacity;
    int depth;
    struct JsonLevel {
        char closing;
        bool filled; /* a comma goes in front of the next value */
    } level[JSON_MAX_DEPTH];
} Json;

Json json_begin(Arena *arena);
void json_open_object(Json *j, const char *key);
void json_open_array(Json *j, const char *key);
void json_close(Json *j); /* the innermost object or array */
void json_int(Json *j, const char *key, int64_t value);
void json_float(Json *j, const char *key, double value);
void json_bool(Json *j, const char *key, bool value);
void json_string(Json *j, const char *key, const char *value); /* NULL: null */
void json_null(Json *j, const char *key);
/* A value that is JSON text already. */
void json_raw(Json *j, const char *key, const char *text);
/* The text so far, in the arena; complete when everything opened is closed. */
const char *json_text(const Json *j);

#endif
