/* comma_locale.h - a locale with a decimal comma, as a program has that calls setlocale(LC_ALL, "") in Germany. */
#ifndef SANDGLASS_TESTS_COMMA_LOCALE_H
#define SANDGLASS_TESTS_COMMA_LOCALE_H

#include <stdbool.h>

/* Set one that is installed, else one made by localedef for this test. false, with the reason printed, when there is
 * none; true: call comma_locale_end, which sets "C" again and removes what was made. */
bool comma_locale_begin(void);
void comma_locale_end(void);

#endif
