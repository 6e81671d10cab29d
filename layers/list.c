/* list.c - the registry of layer kinds (declared in model/layer.h). */
#include "layers/list.h"

#include <string.h>

#define LAYER_ADDRESS(name) &layer_##name,
static const LayerKind *const kinds[] = {LAYER_LIST(LAYER_ADDRESS) NULL};

const LayerKind *const *layer_kinds(void) {
    return kinds;
}

const LayerKind *layer_find(const char *name) {
    for (const LayerKind *const *kind = kinds; *kind; kind++)
        if (strcmp((*kind)->name, name) == 0) return *kind;
    return NULL;
}
