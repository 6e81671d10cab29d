/* classes.h - what a network's classes are called and look like, as JSON: metadata of files for other programs. */
#ifndef SANDGLASS_EXPORT_CLASSES_H
#define SANDGLASS_EXPORT_CLASSES_H

#include "data/split.h"

/* All in the arena. ["sky", "road"]; NULL: they have no names. */
const char *class_names_json(const DataConfig *data, Arena *arena);
/* [[128, 128, 128], [0, 0, 255]]: R, G, B; NULL: they have no colours. */
const char *class_palette_json(const DataConfig *data, Arena *arena);
/* [255]: values of masks that are not learned from. */
const char *ignored_values_json(const DataConfig *data, Arena *arena);

#endif
