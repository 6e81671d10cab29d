/* list.c - finds dataset kinds by name. */
#include "data/dataset.h"

#include <string.h>

#define DATASET(name) extern const DatasetKind dataset_##name;
#include "datasets/list.h"
#undef DATASET

static const DatasetKind *const kinds[] = {
#define DATASET(name) &dataset_##name,
#include "datasets/list.h"
#undef DATASET
    NULL};

const DatasetKind *const *dataset_kinds(void) {
    return kinds;
}

const DatasetKind *dataset_find(const char *name) {
    for (const DatasetKind *const *kind = kinds; *kind != NULL; kind++)
        if (strcmp((*kind)->name, name) == 0) return *kind;
    return NULL;
}
