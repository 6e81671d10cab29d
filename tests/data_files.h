/* data_files.h - what the tests of images and datasets share: a folder of their own, files in it, pictures to try. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include "base/rng.h"
#include "config/config.h"
#include "io/image.h"

/* A fresh folder below $TMPDIR or /tmp, and the way back. */
typedef struct Folder {
    char path[256];
} Folder;
void folder_make(Folder *folder);
void folder_remove(Folder *folder); /* with all that is in it */
/* Path of a file in it; in a ring of static buffers, so a few may be used at once. */
const char *folder_file(const Folder *folder, const char *name);
void folder_sub(const Folder *folder, const char *name); /* mkdir */

void write_bytes(const char *path, const void *bytes, size_t n);
void write_text(const char *path, const char *text);
uint8_t *read_bytes(const char *path, size_t *n); /* malloc'ed */

/* Pictures. pattern: value of (x, y, channel) = (17 x + 31 y + 71 c) & mask of the depth. */
Image pattern_image(int width, int height, int channels, int depth);
Image random_image(Rng *rng, int width, int height, int channels, int depth);
void save_image(const char *path, const Image *image);
void save_grey(const char *path, int width, int height, const uint8_t *values); /* PNG */
void assert_same_image(const Image *a, const Image *b);

/* An IDX pair of n pictures of height x width (value of pixel p of picture i: (i + 3 p) & 255) and labels i % 10. */
void write_idx(const char *images, const char *labels, int n, int height, int width);

/* An experiment from YAML text; ends the test when it does not read. */
void read_experiment(Experiment *out, const char *text, Arena *arena);

/* The words of an error, with the folder's path written as DIR. */
const char *words(const Error *err, const Folder *folder);

#endif
