/* keras_options.h - options of a Keras layer that is imported: its config, entry `e` of the file. */
#ifndef SANDGLASS_EXPORT_KERAS_OPTIONS_H
#define SANDGLASS_EXPORT_KERAS_OPTIONS_H

#include "export/keras_import.h"

typedef struct OptionRule {
    const char *name;
    const char *allowed; /* "null|[1, 1]"; NULL: what the class's function reads */
} OptionRule;

/* Every option must have a rule, which it keeps, or be one that only matters in training. Rules end with a NULL name.
 */
Err keras_check_options(const Importer *im, int e, const OptionRule *rules);

const Node *keras_option(const Importer *im, int e, const char *name); /* NULL: absent, or null */
const char *keras_text(const Importer *im, int e, const char *name, const char *missing);
bool keras_bool(const Importer *im, int e, const char *name, bool missing);
Err keras_float_option(const Importer *im, int e, const char *name, double missing, double *out);
/* One that must be there. */
Err keras_int_option(const Importer *im, int e, const char *name, int64_t least, int64_t *out);
/* 2, or [2, 2], each above 0; missing 0: it must be there. */
Err keras_pair_option(const Importer *im, int e, const char *name, int64_t missing, int64_t out[2]);
/* 1, [1, 2], or [[0, 1], [2, 3]]: top, bottom, left, right. */
Err keras_quad_option(const Importer *im, int e, const char *name, int64_t out[4]);

/* A finite number; a whole one below 2^30. node may be NULL. */
bool keras_number(const Node *node, double *out);
bool keras_int(const Node *node, int64_t *out);
/* Whether a value is what `n` bytes of a rule say: null, true, 0.5, text, [1, 1]. */
bool keras_has_text(const Node *node, const char *text, size_t n);

#endif
