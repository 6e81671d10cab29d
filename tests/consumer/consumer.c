/* consumer.c - a program of someone else's: segments a PPM picture with the installed library, writes the mask as PGM,
 * includes nothing else of the project, and prints how many pixels each class has. C99, and C++ as well.
 *     consumer MODEL PICTURE.ppm MASK.pgm */
#include <sandglass.h>

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Names the library has inside too: they must not meet. */
int arena_new(void);
int arena_new(void) {
    return 7;
}

static uint8_t *read_ppm(const char *path, int *width, int *height) {
    FILE *file = fopen(path, "rb");
    int max = 0;
    if (!file || fscanf(file, "P6 %d %d %d", width, height, &max) != 3 || max != 255) {
        fprintf(stderr, "%s: no binary 8-bit PPM\n", path);
        exit(2);
    }
    fgetc(file);
    size_t bytes = (size_t)*width * (size_t)*height * 3;
    uint8_t *rgb = (uint8_t *)malloc(bytes);
    if (!rgb || fread(rgb, 1, bytes, file) != bytes) exit(2);
    fclose(file);
    return rgb;
}

static void write_pgm(const char *path, int width, int height, const uint8_t *mask) {
    FILE *file = fopen(path, "wb");
    size_t bytes = (size_t)width * (size_t)height;
    if (!file || fprintf(file, "P5\n%d %d\n255\n", width, height) < 0 || fwrite(mask, 1, bytes, file) != bytes ||
        fclose(file) != 0) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(2);
    }
}

static void check(sg_status status, const sg_error *error) {
    if (status == SG_OK) return;
    fputs(error->text, stderr);
    exit(1);
}

static void segment(const sg_model *model, sg_picture picture, uint8_t *mask) {
    sg_session_options options = {0};
    sg_result result = {0};
    sg_session *session;
    sg_error error;
    options.width = picture.width;
    options.height = picture.height;
    result.classes = mask;
    check(sg_session_open(&session, model, &options, &error), &error);
    fprintf(stderr, "session: %.1f MB\n", (double)sg_session_memory(session) / 1e6);
    check(sg_session_run(session, 1, &picture, &result, &error), &error);
    picture.channels = 1;
    if (sg_session_run(session, 1, &picture, &result, &error) != SG_ERROR_ARGUMENT) exit(3);
    sg_session_close(session);
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, ""); /* as programs with windows do: numbers may be written with a comma */
    if (argc != 4 || arena_new() != 7) return 2;
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, "/nowhere/at.all", NULL, &error) == SG_OK || error.text[0] == '\0') return 3;
    check(sg_model_load(&model, argv[1], NULL, &error), &error);

    sg_picture picture = {0};
    uint8_t *rgb = read_ppm(argv[2], &picture.width, &picture.height);
    long places = (long)picture.width * picture.height, pixels[256] = {0};
    uint8_t *mask = (uint8_t *)malloc((size_t)places);
    picture.channels = 3;
    picture.data = rgb;
    segment(model, picture, mask);
    write_pgm(argv[3], picture.width, picture.height, mask);
    for (long i = 0; i < places; i++) pixels[mask[i]]++;
    for (int c = 0; c < sg_model_n_classes(model); c++) printf("%s %ld\n", sg_model_class_name(model, c), pixels[c]);
    free(mask);
    free(rgb);
    sg_model_free(model);
    return 0;
}
