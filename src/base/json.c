/* json.c - see json.h. The text grows by doubling; what it leaves behind is the arena's. */
#include "base/json.h"

#include "base/number.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_bytes(Json *j, const char *bytes, size_t n) {
    if (j->used + n + 1 > j->capacity) {
        size_t capacity = j->capacity * 2 > j->used + n + 1 ? j->capacity * 2 : j->used + n + 1;
        char *text = arena_alloc(j->arena, capacity);
        memcpy(text, j->text, j->used);
        j->text = text;
        j->capacity = capacity;
    }
    memcpy(j->text + j->used, bytes, n);
    j->used += n;
    j->text[j->used] = '\0';
}

static void put_text(Json *j, const char *text) {
    put_bytes(j, text, strlen(text));
}

static void put_quoted(Json *j, const char *text) {
    put_text(j, "\"");
    for (const char *s = text; *s;) {
        static const char escaped[] = "\"\\\n\r\t\b\f";
        const char *e = strchr(escaped, *s);
        int n = utf8_length(s);
        if (e) {
            char pair[2] = {'\\', "\"\\nrtbf"[e - escaped]};
            put_bytes(j, pair, 2);
            n = 1;
        } else if ((unsigned char)*s < 0x20) {
            char code[8];
            snprintf(code, sizeof code, "\\u%04x", (unsigned char)*s);
            put_text(j, code);
        } else if (n == 0) {
            put_text(j, UTF8_REPLACEMENT);
            n = 1;
        } else {
            put_bytes(j, s, (size_t)n);
        }
        s += n;
    }
    put_text(j, "\"");
}

/* Comma and key in front of a value. */
static void put_key(Json *j, const char *key) {
    if (j->depth == 0) {
        assert(!key && j->used == 0);
        return;
    }
    struct JsonLevel *level = &j->level[j->depth - 1];
    assert((level->closing == '}') == (key != NULL));
    if (level->filled) put_text(j, ",");
    level->filled = true;
    if (key) {
        put_quoted(j, key);
        put_text(j, ":");
    }
}

static void open_level(Json *j, const char *key, const char *opening, char closing) {
    put_key(j, key);
    assert(j->depth < JSON_MAX_DEPTH);
    j->level[j->depth++] = (struct JsonLevel){.closing = closing};
    put_text(j, opening);
}

Json json_begin(Arena *arena) {
    enum { FIRST_BYTES = 256 };
    return (Json){.arena = arena, .text = arena_alloc(arena, FIRST_BYTES), .capacity = FIRST_BYTES};
}

void json_open_object(Json *j, const char *key) {
    open_level(j, key, "{", '}');
}

void json_open_array(Json *j, const char *key) {
    open_level(j, key, "[", ']');
}

void json_close(Json *j) {
    assert(j->depth > 0);
    put_bytes(j, &j->level[--j->depth].closing, 1);
}

void json_int(Json *j, const char *key, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    json_raw(j, key, text);
}

void json_float(Json *j, const char *key, double value) {
    if (!isfinite(value)) {
        json_null(j, key);
        return;
    }
    char text[NUMBER_BYTES];
    json_raw(j, key, number_format_exact(text, value, 9));
}

void json_bool(Json *j, const char *key, bool value) {
    json_raw(j, key, value ? "true" : "false");
}

void json_string(Json *j, const char *key, const char *value) {
    if (!value) {
        json_null(j, key);
        return;
    }
    put_key(j, key);
    put_quoted(j, value);
}

void json_null(Json *j, const char *key) {
    json_raw(j, key, "null");
}

void json_raw(Json *j, const char *key, const char *text) {
    put_key(j, key);
    put_text(j, text);
}

const char *json_text(const Json *j) {
    return j->text;
}
