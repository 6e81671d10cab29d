/* consumer.c - a program of someone else's: segments a PPM picture with the installed library, includes nothing else of
 * the project, and prints how many pixels each class has.   consumer MODEL PICTURE.ppm */
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
    uint8_t *rgb = malloc(bytes);
    if (fread(rgb, 1, bytes, file) != bytes) exit(2);
    fclose(file);
    return rgb;
}

int main(int argc, char **argv) {
    setlocale(LC_ALL, ""); /* as programs with windows do: numbers may be written with a comma */
    if (argc != 3 || arena_new() != 7) return 2;
    sg_error error;
    sg_model *model;
    if (sg_model_load(&model, "/nowhere/at.all", NULL, &error) == SG_OK || error.text[0] == '\0') return 3;
    if (sg_model_load(&model, argv[1], NULL, &error) != SG_OK) {
        fputs(error.text, stderr);
        return 1;
    }
    int width, height;
    uint8_t *rgb = read_ppm(argv[2], &width, &height);
    uint8_t *mask = malloc((size_t)width * (size_t)height);
    sg_picture picture = {.width = width, .height = height, .channels = 3, .data = rgb};
    if (sg_model_segment(model, &picture, mask, &error) != SG_OK) {
        fputs(error.text, stderr);
        return 1;
    }
    long pixels[256] = {0};
    for (long i = 0; i < (long)width * height; i++) pixels[mask[i]]++;
    for (int c = 0; c < sg_model_n_classes(model); c++) printf("%s %ld\n", sg_model_class_name(model, c), pixels[c]);
    picture.channels = 1;
    if (sg_model_segment(model, &picture, mask, &error) != SG_ERROR_ARGUMENT) return 3;
    free(mask);
    free(rgb);
    sg_model_free(model);
    return 0;
}
