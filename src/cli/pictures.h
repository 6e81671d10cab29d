/* pictures.h - the pictures a command is given: files, and the readable files of folders, with a name for each result.
 */
#ifndef SANDGLASS_CLI_PICTURES_H
#define SANDGLASS_CLI_PICTURES_H

#include "base/arena.h"

typedef struct Picture {
    const char *path;
    const char *stem; /* file name without folder and extension: names the results */
} Picture;

typedef struct PictureList {
    int n;
    Picture *items; /* in the arena */
} PictureList;

/* Files as given, folders as their readable pictures sorted by name (not those of folders below). A path that does not
 * exist, a folder without pictures, and two pictures with the same stem are errors. */
Err pictures_list(PictureList *out, int n_paths, const char *const *paths, Arena *arena, Error *err);

/* The picture of this stem; NULL: there is none. */
const Picture *pictures_find(const PictureList *list, const char *stem);

/* An error when OUT/STEM + one of the suffixes (NULL-terminated) is one of the input files, or of those `also` read
 * (NULL: none), whatever the path is written like. */
Err pictures_check_outputs(const PictureList *list, const PictureList *also, const char *out_dir,
                           const char *const *suffixes, Arena *arena, Error *err);

#endif
