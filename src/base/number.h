/* number.h - numbers as text, always with a decimal point: the C library's functions follow the locale of the program
 * that uses the library, where "0.5" may have to be "0,5". For whatever is read back: configs, checkpoints, JSON.
 */
#ifndef SANDGLASS_BASE_NUMBER_H
#define SANDGLASS_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

enum { NUMBER_BYTES = 40 }; /* room for any number_format */

/* The whole text as a finite decimal number ("3", "-0.5", "1e-4"; no spaces, no hexadecimal, no "nan" or "inf"). */
bool number_parse(const char *text, double *value);

/* "%.*g". Returns text. */
char *number_format(char text[NUMBER_BYTES], double value, int digits);

/* With as few digits, but at least `digits`, as read back to the same number. Returns text. */
char *number_format_exact(char text[NUMBER_BYTES], double value, int digits);

#endif
