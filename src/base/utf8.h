/* utf8.h - where the characters of a text begin, and which bytes are none. */
#ifndef SANDGLASS_BASE_UTF8_H
#define SANDGLASS_BASE_UTF8_H

#include "base/arena.h"

/* Length of the UTF-8 sequence at s (1 to 4), or 0 when it is none: overlong forms, surrogates and values above
 * U+10FFFF are none. Stops at the final zero. */
int utf8_length(const char *s);

/* Whether a terminal would take the `length` bytes at s for a command: C0 and C1 control characters and DEL. */
bool utf8_is_control(const char *s, int length);

/* What people are shown for the character at s: itself; a space for a tab; UTF8_REPLACEMENT for another control
 * character, and for a byte that is no character. Returns how many bytes of s that is. */
int utf8_shown(const char *s, char shown[5]);
/* A name from a file or a folder, for people: every character as it is shown. In the arena. */
const char *utf8_printable(const char *text, Arena *arena);

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD, shown in place of what is no character or cannot be shown */

#endif
