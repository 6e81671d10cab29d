/* findings.h - what is wrong with many files, grouped: 17 files with one mistake are one line, not 17.
 *
 *     static const FindingKind jpeg = {"mask_jpeg", true, "masks", "are JPEG files"};
 *     findings_add(&findings, &(FindingNote){&jpeg, "train", "a.jpg"}, "a.jpg: is a JPEG mask; save masks as PNG");
 *     ...                                                              17 masks of 'train' are JPEG files, the first:
 *                                                                      a.jpg: is a JPEG mask; save masks as PNG
 */
#ifndef SANDGLASS_BASE_FINDINGS_H
#define SANDGLASS_BASE_FINDINGS_H

#include "base/arena.h"

typedef struct FindingKind {
    const char *name; /* for machines: "mask_jpeg" */
    bool error;       /* training would refuse it; else a warning: training would go on unaware */
    const char *noun; /* "masks" */
    const char *what; /* "are JPEG files" */
} FindingKind;

enum { FINDING_FILES = 10 };

typedef struct FindingGroup {
    const FindingKind *kind;
    const char *where; /* the split, or the folder; NULL: none in particular */
    int64_t n;
    const char *words; /* of the first, complete: with file and cure */
    Err code;
    int n_files;
    const char *files[FINDING_FILES]; /* the first ones */
    int64_t n_seen, seen_capacity;
    uint64_t *seen; /* hashes of all files: one that splits share counts once */
} FindingGroup;

/* Start it with its arena alone set. */
typedef struct Findings {
    Arena *arena;
    int n, capacity;
    FindingGroup *groups; /* in the order of their first findings */
} Findings;

typedef struct FindingNote {
    const FindingKind *kind;
    const char *where, *file; /* copied */
} FindingNote;

/* Groups are by kind's name and where. Whether the words of another finding would be used: a group's first needs them.
 */
bool findings_want_words(const Findings *f, const FindingNote *note);
void findings_add(Findings *f, const FindingNote *note, const char *words);
/* The words of an error's first message; its code is kept. */
void findings_add_error(Findings *f, const FindingNote *note, const Error *err);

/* One line for people, without "error: ". In the findings' arena. */
const char *finding_text(const Findings *f, const FindingGroup *group);
/* All that are errors as messages of err; the code of the first, OK when there is none. */
Err findings_to_error(const Findings *f, Error *err);

#endif
