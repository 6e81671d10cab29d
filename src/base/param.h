/* param.h - one table row per knob, for layers, datasets, losses, optimizers, schedules, augmentations, the train
 * section.
 *
 * A row says the knob's name, type, place in a struct, default, range, choices and what it means. From the table come
 * the filling of the struct (config/config.h), the range checks and their messages, and the text of `inspect --kinds`.
 * So a kind needs no parser and no serializer: a checkpoint stores the resolved YAML.
 *
 *     typedef struct Conv2d { int64_t filters; int64_t kernel[2]; bool bias; } Conv2d;
 *     static const Param conv2d_params[] = {
 *         {"filters", PARAM_INT, offsetof(Conv2d, filters), NULL, 1, 65536, NULL, "output channels"},
 *         {"kernel", PARAM_PAIR, offsetof(Conv2d, kernel), "3", 1, 31, NULL, "height and width of the window"},
 *         {"bias", PARAM_BOOL, offsetof(Conv2d, bias), "true", 0, 0, NULL, "add a bias per channel"},
 *         {0}};
 *
 * In YAML a kind is `conv2d`, `conv2d: {filters: 16}`, or `conv2d: 16`: a bare value fills the table's first row.
 */
#ifndef SANDGLASS_BASE_PARAM_H
#define SANDGLASS_BASE_PARAM_H

#include "base/arena.h"

typedef enum ParamType {
    PARAM_INT,     /* int64_t; "5", "1e6" when whole */
    PARAM_FLOAT,   /* double; any number */
    PARAM_BOOL,    /* bool; true/false, yes/no, on/off */
    PARAM_STRING,  /* const char *; lives in the arena given to param_set */
    PARAM_CHOICE,  /* int: index into choices */
    PARAM_PAIR,    /* int64_t[2]: height, width; "3" means 3, 3 */
    PARAM_QUAD,    /* int64_t[4]: top, bottom, left, right; "1" means all, "[1, 2]" means vertical, horizontal */
    PARAM_INTS,    /* ParamList of int64_t */
    PARAM_FLOATS,  /* ParamList of double */
    PARAM_STRINGS, /* ParamList of const char * */
    PARAM_NODE     /* const void *: the YAML node itself (config/yaml.h Node), for what its owner reads on its own */
} ParamType;

typedef struct ParamList {
    int n;
    union {
        const int64_t *ints;
        const double *floats;
        const char *const *strings;
    };
} ParamList;

typedef struct Param {
    const char *name; /* NULL ends the table */
    ParamType type;
    size_t offset;              /* in the kind's struct */
    const char *value;          /* default, in the words a user would write ("3", "[1, 1]", "relu"); NULL: required;
                                   "" for a PARAM_STRING, PARAM_NODE or list: absent (NULL, n = 0) */
    double min, max;            /* inclusive, for each number; both 0: any */
    const char *const *choices; /* for PARAM_CHOICE, NULL-terminated */
    const char *doc;            /* one line: meaning and unit */
} Param;

enum { PARAM_PHRASE_BYTES = 256 };

/* Fill the field of `object` that `param` describes from the `n` scalar texts of a YAML scalar (n = 1, list = false) or
 * list. On failure nothing is stored and `phrase` says what was expected and found: "must be between 1 and 31, got 0",
 * "expected a number, got 'fast'", "unknown choice 'avrage', did you mean 'average'? (max, average)". PARAM_NODE is not
 * set here. */
bool param_set(const Param *param, void *object, int n, const char *const *texts, bool list, Arena *arena,
               char phrase[PARAM_PHRASE_BYTES]);

/* Fill every field that has a default from it; a default that does not parse is a programmer's mistake (assert). */
void param_set_defaults(const Param *params, void *object, Arena *arena);

const Param *param_find(const Param *params, const char *name); /* NULL when there is none */

/* The table as text, a line a knob: name, type or choices, default, range, meaning. `indent` spaces in front. */
char *param_describe(const Param *params, int indent, Arena *arena);

#endif
