/* search.h - where a config is that someone names: theirs first, then those that came with the program. */
#ifndef SANDGLASS_CONFIG_SEARCH_H
#define SANDGLASS_CONFIG_SEARCH_H

#include "base/arena.h"

/* `path` as it is when there is such a file or it begins with '/', else what config_find_shipped finds, else `path`. */
const char *config_find(const char *path, Arena *arena);

/* "configs/models/unet.yaml", or without "configs/", below the folder that the environment's SANDGLASS_CONFIGS names,
 * else below the installed configs, else in the source that the program was built in; NULL when none has it. */
const char *config_find_shipped(const char *path, Arena *arena);

#endif
