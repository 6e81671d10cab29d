/* comma_locale.c - see comma_locale.h. */
#include "comma_locale.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER_VARIABLE "SANDGLASS_TEST_LOCALES" /* the folder that was made, for comma_locale_end */

static bool set_comma_locale(void) {
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "it_IT.UTF-8", "de_DE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (setlocale(LC_ALL, names[i]) && strcmp(localeconv()->decimal_point, ",") == 0) return true;
    setlocale(LC_ALL, "C");
    return false;
}

/* A locale that is like "C" but for its numbers, below the folder. */
static int make_comma_locale(const char *folder) {
    static const char *const categories[] = {"CTYPE", "COLLATE", "MONETARY", "TIME", "MESSAGES"};
    char path[300], command[1000];
    snprintf(path, sizeof path, "%s/source", folder);
    FILE *file = fopen(path, "w");
    if (!file) return -1;
    fprintf(file, "comment_char %%\nescape_char /\n");
    for (int i = 0; i < 5; i++) fprintf(file, "LC_%s\ncopy \"POSIX\"\nEND LC_%s\n", categories[i], categories[i]);
    fprintf(file, "LC_NUMERIC\ndecimal_point \",\"\nthousands_sep \".\"\ngrouping 3;3\nEND LC_NUMERIC\n");
    fclose(file);
    snprintf(command, sizeof command, "localedef -c -i '%s' -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", path, folder);
    return system(command); /* it warns of missing categories: the locale itself tells whether it is there */
}

bool comma_locale_begin(void) {
    if (set_comma_locale()) return true;
    const char *tmp = getenv("TMPDIR");
    char folder[256];
    snprintf(folder, sizeof folder, "%s/test_locale_XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder)) return false;
    setenv(FOLDER_VARIABLE, folder, 1);
    int code = make_comma_locale(folder);
    setenv("LOCPATH", folder, 1);
    if (set_comma_locale()) return true;
    printf("skipped: no locale with a decimal comma is installed, and localedef makes none (code %d)\n", code);
    comma_locale_end();
    return false;
}

void comma_locale_end(void) {
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    const char *folder = getenv(FOLDER_VARIABLE);
    if (!folder) return;
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) printf("%s: cannot be removed\n", folder);
    unsetenv(FOLDER_VARIABLE);
}
