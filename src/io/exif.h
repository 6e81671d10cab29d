/* exif.h - the one thing wanted from EXIF: how a camera held the picture. */
#ifndef SANDGLASS_IO_EXIF_H
#define SANDGLASS_IO_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* Orientation 1..8 from a TIFF block (what follows "Exif\0\0" in JPEG's APP1, or PNG's eXIf chunk); 1 when there is
 * none or the block makes no sense. */
int exif_orientation(const uint8_t *tiff, size_t n);

#endif
