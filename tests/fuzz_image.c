/* fuzz_image.c - fuzz target: any bytes as a picture file, read as picture, as mask and for its header.
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -fno-sanitize=shift -D_GNU_SOURCE -Isrc -isystem /usr/include/stb \
 *         tests/fuzz_image.c src/io/{image,file,exif,jpeg,orient,png,png_write,pnm,resize}.c src/base/{arena,error}.c \
 *         -lz -lm -o fuzz_image && ./fuzz_image tests/corpus/image
 */
#include "io/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_require(bool holds) {
    if (!holds) abort();
}

/* A picture that was read has the size its header gave, and all of its bytes. */
static void check_picture(const Image *image, const ImageInfo *info) {
    fuzz_require(image->data != NULL && image->width == info->width && image->height == info->height);
    const volatile uint8_t *bytes = image->u8;
    fuzz_require(image_bytes(image) > 0 && bytes[0] + bytes[image_bytes(image) - 1] >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = memfd_create("picture", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
    ImageInfo info;
    Image image;
    Error err = ERROR_INIT;
    bool known = image_info(path, &info, &err) == OK;
    fuzz_require(known == (err.count == 0));
    if (known && (int64_t)info.width * info.height > 1 << 22) known = false; /* slow, and says no more */
    if (known || err.count > 0) {
        err_clear(&err);
        Err code = known ? image_load(path, 0, &image, &err) : ERR_DATA;
        if (known) fuzz_require((code == OK) == (err.count == 0));
        if (code == OK) {
            check_picture(&image, &info);
            image_free(&image);
        }
        if (known && image_load_indices(path, &image, NULL) == OK) {
            check_picture(&image, &info);
            fuzz_require(image.depth == 8 && (image.channels == 1 || image.channels == 3));
            image_free(&image);
        }
    }
    close(fd);
    return 0;
}
