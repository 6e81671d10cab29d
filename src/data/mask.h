/* mask.h - a mask's values to class indices, with words that help when one fits no class. */
#ifndef SANDGLASS_DATA_MASK_H
#define SANDGLASS_DATA_MASK_H

#include "data/split.h"

typedef struct MaskMap {
    const DataConfig *config;
    int coding; /* MASK_INDEX ...; MASK_INDEX for masks that the dataset mapped */
    bool mapped;
    int16_t class_of[256]; /* class, MASK_IGNORE, or -1: no class */
} MaskMap;

/* mapped: values are classes and MASK_IGNORE already. config must outlive the map. */
void mask_map_build(MaskMap *out, const DataConfig *config, bool mapped);

/* Change the mask in place to 1 channel of class indices and MASK_IGNORE. name: of the mask, for the words. *fault:
 * what is wrong with it, when something is. */
Err mask_apply(const MaskMap *map, Image *mask, const char *name, SampleFault *fault, Error *err);
/* The class of a colour of the config, MASK_IGNORE, or -1. */
int mask_class_of_color(const DataConfig *config, const uint8_t rgb[3]);

#endif
