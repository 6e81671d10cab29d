/* listing.h - the pictures of a folder by what identifies them: their names without folder, extension, prefix, suffix.
 */
#ifndef SANDGLASS_IO_LISTING_H
#define SANDGLASS_IO_LISTING_H

#include "base/arena.h"

/* How names are made of stems: PREFIX stem SUFFIX .extension. "" and NULL: nothing. */
typedef struct NameRule {
    const char *prefix, *suffix;
} NameRule;

typedef struct Listed {
    const char *stem; /* with the sub-folder in front, where there is one */
    const char *name; /* below the listing's folder */
} Listed;

typedef struct Listing {
    int64_t n, capacity;
    Listed *items; /* sorted by stem, then name; malloc'ed */
    int64_t n_foreign;
    const char *foreign; /* the first of n_foreign pictures of formats that are not read (.tif ...); NULL: none */
} Listing;

typedef struct ListingSpec {
    const char *folder;
    NameRule rule;
    const NameRule *not_rule; /* names that fit this one are not wanted; NULL: all are */
    bool deep;                /* sub-folders too */
} ListingSpec;

/* Texts go to the arena. A folder without such pictures is an error. */
Err listing_read(Listing *out, const ListingSpec *spec, Arena *arena, Error *err);
void listing_free(Listing *listing);

/* All items of a stem: the first, and how many in *n. NULL: none. */
const Listed *listing_find(const Listing *listing, const char *stem, int *n);
/* One whose stem differs in case only; NULL: none. */
const Listed *listing_find_near(const Listing *listing, const char *stem);

/* Whether a file of this name would be a picture, but of a format that is not read. */
bool listing_is_foreign(const char *name);

#endif
