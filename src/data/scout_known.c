/* scout_known.c - published sets of classes: names, numbers and colours. Adding one is a table and a row. */
#include "data/scout.h"

#include <ctype.h>
#include <string.h>

/* M. Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 2010; 255 is the border. */
static const KnownClass voc[] = {
    {"background", 0, 0x000000}, {"aeroplane", 1, 0x800000},    {"bicycle", 2, 0x008000},
    {"bird", 3, 0x808000},       {"boat", 4, 0x000080},         {"bottle", 5, 0x800080},
    {"bus", 6, 0x008080},        {"car", 7, 0x808080},          {"cat", 8, 0x400000},
    {"chair", 9, 0xc00000},      {"cow", 10, 0x408000},         {"diningtable", 11, 0xc08000},
    {"dog", 12, 0x400080},       {"horse", 13, 0xc00080},       {"motorbike", 14, 0x408080},
    {"person", 15, 0xc08080},    {"pottedplant", 16, 0x004000}, {"sheep", 17, 0x804000},
    {"sofa", 18, 0x00c000},      {"train", 19, 0x80c000},       {"tvmonitor", 20, 0x004080}};

/* M. Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016: the 19 classes that are
 * scored, by the numbers of labelIds and of labelTrainIds. */
#define CITYSCAPES(ROW)                                                                                                \
    ROW("road", 7, 0, 0x804080)                                                                                        \
    ROW("sidewalk", 8, 1, 0xf423e8)                                                                                    \
    ROW("building", 11, 2, 0x464646)                                                                                   \
    ROW("wall", 12, 3, 0x66669c)                                                                                       \
    ROW("fence", 13, 4, 0xbe9999)                                                                                      \
    ROW("pole", 17, 5, 0x999999)                                                                                       \
    ROW("traffic light", 19, 6, 0xfaaa1e)                                                                              \
    ROW("traffic sign", 20, 7, 0xdcdc00)                                                                               \
    ROW("vegetation", 21, 8, 0x6b8e23)                                                                                 \
    ROW("terrain", 22, 9, 0x98fb98)                                                                                    \
    ROW("sky", 23, 10, 0x4682b4)                                                                                       \
    ROW("person", 24, 11, 0xdc143c)                                                                                    \
    ROW("rider", 25, 12, 0xff0000)                                                                                     \
    ROW("car", 26, 13, 0x00008e)                                                                                       \
    ROW("truck", 27, 14, 0x000046)                                                                                     \
    ROW("bus", 28, 15, 0x003c64)                                                                                       \
    ROW("train", 31, 16, 0x005064)                                                                                     \
    ROW("motorcycle", 32, 17, 0x0000e6)                                                                                \
    ROW("bicycle", 33, 18, 0x770b20)
#define BY_LABEL(name, label, train, rgb) {name, label, rgb},
#define BY_TRAIN(name, label, train, rgb) {name, train, rgb},
static const KnownClass cityscapes_labels[] = {CITYSCAPES(BY_LABEL)};
static const KnownClass cityscapes_train[] = {CITYSCAPES(BY_TRAIN)};

/* CamVid as V. Badrinarayanan et al., "SegNet", PAMI 2017, have it: 11 is void. */
static const KnownClass camvid[] = {{"sky", 0, 0x808080},        {"building", 1, 0x800000},  {"pole", 2, 0xc0c080},
                                    {"road", 3, 0x804080},       {"pavement", 4, 0x3c28de},  {"tree", 5, 0x808000},
                                    {"sign", 6, 0xc08080},       {"fence", 7, 0x404080},     {"car", 8, 0x400080},
                                    {"pedestrian", 9, 0x404000}, {"bicyclist", 10, 0x0080c0}};

#define CLASSES(table) .of = table, .n = sizeof(table) / sizeof *(table)
static const KnownClasses known[] = {
    {.name = "PASCAL VOC", CLASSES(voc), .n_values = 21, .path = "segmentationclass"},
    {.name = "Cityscapes",
     CLASSES(cityscapes_train),
     .n_values = 19,
     .scattered = true,
     .path = "_gtfine_labeltrainids"},
    {.name = "Cityscapes", CLASSES(cityscapes_labels), .n_values = 34, .scattered = true, .path = "_gtfine_labelids"},
    {.name = "CamVid as SegNet has it", CLASSES(camvid), .n_values = 12, .path = "camvid", .also = "annot"},
};
enum { N_KNOWN = sizeof known / sizeof *known };

static bool fits(const KnownClasses *k, const char *path, const bool *found) {
    if (k->path && !strstr(path, k->path)) return false;
    if (k->also && !strstr(path, k->also)) return false;
    for (int v = 0; v < 255; v++) {
        if (found[v] && v >= k->n_values) return false;
        if (!found[v] && v < k->n_values && !k->scattered) return false;
    }
    return true;
}

const KnownClasses *known_classes_find(const char *path, const bool *found, Arena *arena) {
    char *lower = arena_strdup(arena, path);
    for (char *c = lower; *c; c++) *c = (char)tolower((unsigned char)*c);
    for (int i = 0; i < N_KNOWN; i++)
        if (fits(&known[i], lower, found)) return &known[i];
    return NULL;
}
