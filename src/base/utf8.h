/* utf8.h - where the characters of a text begin, and which bytes are none. */
#ifndef SANDGLASS_BASE_UTF8_H
#define SANDGLASS_BASE_UTF8_H

#include <stdbool.h>

/* Length of the UTF-8 sequence at s (1 to 4), or 0 when it is none: overlong forms, surrogates and values above
 * U+10FFFF are none. Stops at the final zero. */
int utf8_length(const char *s);

/* Whether a terminal would take the `length` bytes at s for a command: C0 and C1 control characters and DEL. */
bool utf8_is_control(const char *s, int length);

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD, shown in place of what is no character or cannot be shown */

#endif
