/* utf8.c - see utf8.h. */
#include "base/utf8.h"

#include <string.h>

int utf8_length(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) return 1;
    int n = s[0] >= 0xC2 && s[0] <= 0xDF ? 2 : s[0] >= 0xE0 && s[0] <= 0xEF ? 3 : s[0] >= 0xF0 && s[0] <= 0xF4 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0;
    if (s[0] == 0xED && s[1] >= 0xA0) return 0;
    if (s[0] == 0xF0 && s[1] < 0x90) return 0;
    if (s[0] == 0xF4 && s[1] >= 0x90) return 0;
    return n;
}

bool utf8_is_control(const char *text, int length) {
    const unsigned char *s = (const unsigned char *)text;
    if (length == 1) return s[0] < 0x20 || s[0] == 0x7F;
    return length == 2 && s[0] == 0xC2 && s[1] < 0xA0; /* U+0080 to U+009F */
}

int utf8_shown(const char *s, char shown[5]) {
    const int n = utf8_length(s), used = n > 0 ? n : 1;
    memset(shown, 0, 5);
    if (*s == '\t')
        shown[0] = ' ';
    else if (n == 0 || utf8_is_control(s, n))
        memcpy(shown, UTF8_REPLACEMENT, sizeof UTF8_REPLACEMENT);
    else
        memcpy(shown, s, (size_t)n);
    return used;
}

const char *utf8_printable(const char *text, Arena *arena) {
    char shown[5];
    char *copy = arena_alloc(arena, strlen(text) * (sizeof UTF8_REPLACEMENT - 1) + 1), *to = copy;
    for (const char *s = text; *s;) {
        s += utf8_shown(s, shown);
        for (const char *c = shown; *c; c++) *to++ = *c;
    }
    *to = '\0';
    return copy;
}
