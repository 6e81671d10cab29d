/* number.c - see number.h. The thread's locale is set to "C" for the length of a call. */
#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a call changes and has to put back. */
typedef struct PlainLocale {
    locale_t plain, before;
} PlainLocale;

static PlainLocale locale_enter(void) {
    PlainLocale l = {.plain = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    if (l.plain) l.before = uselocale(l.plain);
    return l;
}

static void locale_leave(PlainLocale l) {
    if (!l.plain) return;
    uselocale(l.before);
    freelocale(l.plain);
}

bool number_parse(const char *text, double *value) {
    /* strtod alone would take spaces, hexadecimal, "nan" and "infinity" as well. */
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text)) return false;
    PlainLocale l = locale_enter();
    char *end;
    *value = strtod(text, &end);
    locale_leave(l);
    return end != text && !*end && isfinite(*value);
}

char *number_format(char text[NUMBER_BYTES], double value, int digits) {
    PlainLocale l = locale_enter();
    snprintf(text, NUMBER_BYTES, "%.*g", digits > 17 ? 17 : digits, value);
    locale_leave(l);
    return text;
}

char *number_format_exact(char text[NUMBER_BYTES], double value, int digits) {
    PlainLocale l = locale_enter();
    for (; digits <= 17; digits++) {
        snprintf(text, NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    locale_leave(l);
    return text;
}
