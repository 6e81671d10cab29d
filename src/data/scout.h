/* scout.h - looks at a folder of pictures nobody has described yet: which pictures and masks belong together, which of
 * them train and which judge, what sizes and classes there are.
 *
 * It takes three steps, each for itself: the tree (scout_tree.c: files by folder), the layout (scout_layout.c and
 * scout_lists.c: pairs and splits), the contents (scout_read.c and scout_classes.c: every header, and the pixels of
 * all pairs or of an even sample). Nothing is written and no file is changed. All memory is the arena's.
 */
#ifndef SANDGLASS_DATA_SCOUT_H
#define SANDGLASS_DATA_SCOUT_H

#include "data/split.h"

/* ---- the tree ---- */

/* A folder that holds files, and its files' names, sorted. Hidden files and folders are passed over. */
typedef struct TreeFolder {
    const char *path; /* below the root; "" for the root itself */
    int n_pictures, n_others;
    const char **pictures, **others; /* n_pictures, n_others */
} TreeFolder;

typedef struct Tree {
    const char *root;
    int n;               /* folders that hold files, in order of their paths */
    TreeFolder *folders; /* n */
    int64_t n_pictures, n_others;
} Tree;

/* List everything below `root`, links to folders too, each folder once. A root that is no folder is an error. */
Err tree_read(Tree *out, const char *root, Arena *arena, Error *err);
/* "a/b.png" for folder "a" and "b.png"; just the name for folder "". */
const char *tree_path(const char *folder, const char *name, Arena *arena);

/* ---- the layout ---- */

typedef struct ScoutPair {
    const char *image, *mask; /* below the root; mask NULL: none */
} ScoutPair;

typedef struct ScoutSplit {
    const char *name; /* "train", "val" or "test" */
    int n, capacity;
    ScoutPair *pairs; /* n, in order of the pictures' paths */
    /* Knobs of the dataset kind `folder` that give these pairs; `images` and `list` NULL: none do, and the pairs have
     * to be written to a list. */
    const char *images, *masks, *prefix, *suffix, *mask_prefix, *mask_suffix, *list;
    bool deep;
    /* What the split takes of the samples that these knobs give to several splits (data/divide.h): a file of names, or
     * a part. Both NULL: all. */
    const char *names, *part;
} ScoutSplit;

/* A file, or a folder of them, that is not used, and why, in words that follow the path. */
typedef struct LeftOut {
    const char *path, *why;
} LeftOut;

enum { SCOUT_MAX_SPLITS = 4 };

typedef struct Layout {
    bool has_masks;
    int n_splits;
    ScoutSplit splits[SCOUT_MAX_SPLITS];
    const char *words;     /* for people: "masks in trainannot/ beside pictures in train/" */
    const char *split_by;  /* for people: "the folders' names"; NULL: by nothing */
    const char *mask_home; /* a folder that masks are in */
    int n_left_out, left_out_capacity;
    LeftOut *left_out; /* n_left_out */
} Layout;

typedef enum LayoutWanted { WANTED_ANY, WANTED_MASKS, WANTED_PICTURES } LayoutWanted;

/* Find pairs and splits; there is a split "train" then. WANTED_PICTURES: take all pictures whose folder is not called
 * that of masks as pictures alone; WANTED_ANY: so only where there is nothing that looks like a mask. When there is
 * nothing to train on the error says what was found and which layouts are known. */
Err layout_find(Layout *out, const Tree *tree, LayoutWanted wanted, Arena *arena, Error *err);
void layout_leave_out(Layout *layout, const char *path, const char *why, Arena *arena);
ScoutSplit *layout_split(const Layout *layout, const char *name); /* NULL when there is none; makes none */
ScoutSplit *layout_add_split(Layout *layout, const char *name, Arena *arena);
/* Only a list can say which pairs these are: of this split, and of those that share its samples. */
void layout_need_list(Layout *layout, ScoutSplit *split);
/* Whether the split's source is knobs of folders that all splits have in common. */
bool layout_shares(const Layout *layout);
void scout_split_add(ScoutSplit *split, ScoutPair pair, Arena *arena);
/* The number of all pairs in all splits. */
int layout_count(const Layout *layout);

/* Lists with a picture and its mask a line, train.txt at least; false: there are none. */
bool layout_from_lists(Layout *out, const Tree *tree, Arena *arena);
/* Splits from lists of the pictures' names (ImageSets/Segmentation/val.txt), where there are such for train or val. */
void layout_read_lists(Layout *layout, const Tree *tree, Arena *arena);
/* A val split, where there is none: a fifth of train, by the knob `part` where the knobs of folders give train and the
 * draw is near a fifth, else by a random stream that is always the same, and lists. With fewer than 4 pairs nothing
 * happens. */
void layout_divide(Layout *layout, const Tree *tree, Arena *arena);
/* A text as YAML reads it back. */
const char *scout_quoted(const char *text, Arena *arena);

/* Words in names: the part of the world they speak of. */
typedef struct PathWords {
    const char *split; /* "train", "val", "test" or NULL */
    bool image, mask, other;
    const char *rest; /* what no word of these explains: pairs of folders agree in it */
} PathWords;
PathWords path_words(const char *path, Arena *arena);

/* How the names of pictures and their masks differ. */
typedef struct Affix {
    const char *image_prefix, *image_suffix, *mask_prefix, *mask_suffix; /* before the extension */
} Affix;
/* The one under which most of the names pair up; n_pairs 0: none. pairs (may be NULL): for each picture the number of
 * its mask or -1. */
int affix_find(Affix *out, int n_images, const char *const *images, int n_masks, const char *const *masks, int *pairs,
               Arena *arena);
/* A name without its extension. */
const char *name_stem(const char *name, Arena *arena);

/* ---- the contents ---- */

typedef struct ScoutClass {
    const char *name;
    int value; /* in index masks */
    uint8_t rgb[3];
    int64_t pixels, images; /* in what was read */
    bool ignored;           /* left out of loss and scores */
} ScoutClass;

typedef struct Classes {
    int coding; /* MASK_INDEX, MASK_BINARY, MASK_COLOR */
    int n;      /* classes, those to ignore among them */
    ScoutClass *of;
    bool colored;         /* rgb is the masks' own or that of a file of names */
    const char *file;     /* where the names are from, below the root; NULL: made up, or known */
    const char *known_as; /* "PASCAL VOC" or "Cityscapes", whose names they are; NULL: not */
    const char *note;     /* for people: a file of names that does not fit; NULL: nothing to say */
} Classes;

typedef struct Contents {
    int min_height, max_height, min_width, max_width, median_height, median_width;
    int channels, depth;                   /* of what the network will get, 8 or 16 bit */
    bool same_size, same_channels, opaque; /* opaque: there is an alpha channel, and it says nothing */
    int n_jpeg, n_turned;                  /* pictures; those with an EXIF orientation other than upright */
    int n_pairs, n_read;                   /* in all; whose pixels were read: all, or an even sample */
    double mean[4], std[4];                /* of the training pictures, per channel on the data's own scale */
    Classes classes;                       /* n 0 without masks */
} Contents;

enum { SCOUT_READ_ALL = 2000 }; /* up to so many pairs, all are read; of more, about so many */

/* Read every header and the pixels of up to about `limit` pairs. Pairs that cannot be used (damaged, mask of another
 * size) are left out of the layout, which says so; masks no class can be had from are errors with their cure. */
Err contents_read(Contents *out, Layout *layout, const Tree *tree, int limit, SplitProgress progress, void *context,
                  Arena *arena, Error *err);

/* One mask: how many pixels have which value. */
typedef struct MaskValue {
    uint32_t key; /* index, or 0xRRGGBB */
    uint32_t rgb; /* how it looks */
    int64_t pixels;
} MaskValue;
enum { MASK_MAX_VALUES = 1024 };
typedef struct MaskTally {
    const char *path;
    bool color, palette, overflow; /* overflow: more than MASK_MAX_VALUES different ones */
    int n;
    MaskValue *values; /* n, in order of key */
} MaskTally;

/* Classes from what the masks hold, and names from a file beside them. tallies are in order of the pairs. */
Err classes_find(Classes *out, const Tree *tree, const Layout *layout, int n, const MaskTally *tallies, Arena *arena,
                 Error *err);

/* A published set of classes whose masks can be recognised. */
typedef struct KnownClass {
    const char *name;
    int value;    /* in the masks; what has none is left out */
    uint32_t rgb; /* 0xRRGGBB, as figures show it */
} KnownClass;
typedef struct KnownClasses {
    const char *name; /* "PASCAL VOC" */
    int n, n_values;  /* values are below n_values, or MASK_IGNORE */
    const KnownClass *of;
    bool scattered;   /* masks hold values of no class too; else all values must be there, to be sure */
    const char *path; /* what the path of the masks has to hold, in lower case, beside `also`; NULL: anything */
    const char *also;
} KnownClasses;
/* NULL: the values (found[v] of 256) or the path fit none. path: of one mask, with its root. */
const KnownClasses *known_classes_find(const char *path, const bool *found, Arena *arena);

/* A file of names: "sky", "0 sky", "128 64 0 sky", "sky,128,64,0", "sky:128,64,0::" a line, with or without a headline.
 * *n 0 when it is no such file. */
typedef struct NamedClass {
    const char *name;
    int value; /* -1: not said */
    bool has_rgb;
    uint8_t rgb[3];
} NamedClass;
void class_names_parse(const char *text, int *n, NamedClass **names, Arena *arena);
/* The first of the usual files (classes.txt, label_colors.txt ...) beside or above the masks that names classes. *path
 * NULL: there is none. */
void class_names_find(const Tree *tree, const char *mask_home, const char **path, int *n, NamedClass **names,
                      Arena *arena);

#endif
