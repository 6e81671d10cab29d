/* svg.c - see svg.h. */
#include "analysis/svg.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(Svg *s, const char *text, size_t length) {
    if (s->used + length + 1 > s->room) {
        size_t room = s->room * 2 + length + 4096;
        char *larger = arena_alloc(s->arena, room);
        if (s->used) memcpy(larger, s->text, s->used);
        s->text = larger;
        s->room = room;
    }
    memcpy(s->text + s->used, text, length);
    s->used += length;
    s->text[s->used] = '\0';
}

void svg_add(Svg *s, const char *format, ...) {
    char text[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof text) {
        append(s, text, (size_t)length);
    } else if (length >= 0) {
        char *whole = arena_alloc(s->arena, (size_t)length + 1);
        vsnprintf(whole, (size_t)length + 1, format, again);
        append(s, whole, (size_t)length);
    }
    va_end(again);
}

void svg_escaped(Svg *s, const char *text) {
    for (const char *at = text; *at;) {
        int length = utf8_length(at);
        if (length == 0 || utf8_is_control(at, length)) {
            append(s, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
            at += length > 0 ? length : 1;
            continue;
        }
        const char *entity = *at == '&'   ? "&amp;"
                             : *at == '<' ? "&lt;"
                             : *at == '>' ? "&gt;"
                             : *at == '"' ? "&quot;"
                                          : NULL;
        append(s, entity ? entity : at, entity ? strlen(entity) : (size_t)length);
        at += length;
    }
}

/* By whole hundredths: printf's point follows the locale. */
void svg_number(Svg *s, const char *before, double value) {
    long long hundredths = (long long)(value * 100 + (value < 0 ? -0.5 : 0.5));
    const char *sign = hundredths < 0 ? "-" : "";
    if (hundredths < 0) hundredths = -hundredths;
    svg_add(s, "%s%s%lld.%02lld", before, sign, hundredths / 100, hundredths % 100);
}

void svg_color(Svg *s, const char *attribute, const uint8_t rgb[3]) {
    svg_add(s, " %s=\"#%02x%02x%02x\"", attribute, rgb[0], rgb[1], rgb[2]);
}

Svg svg_begin(int width, int height, Arena *arena) {
    Svg s = {.arena = arena};
    svg_add(&s,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
            width, height, width, height);
    return s;
}

const char *svg_end(Svg *s) {
    svg_add(s, "</svg>\n");
    return s->text;
}
