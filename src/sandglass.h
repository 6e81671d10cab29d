/* sandglass.h - use networks that `sandglass train` made, from a program of your own.
 *
 *     sg_error error;
 *     sg_model *model;
 *     if (sg_model_load(&model, "runs/camvid-unet", NULL, &error) != SG_OK) { puts(error.text); return 1; }
 *     sg_picture picture = {.width = w, .height = h, .channels = 3, .data = rgb};
 *     uint8_t *mask = malloc((size_t)w * h);
 *     if (sg_model_segment(model, &picture, mask, &error) != SG_OK) { puts(error.text); return 1; }
 *     puts(sg_model_class_name(model, mask[0]));
 *     sg_model_free(model);
 *
 * Compile with `pkg-config --cflags --libs sandglass`, or in CMake find_package(sandglass) and link
 * sandglass::sandglass.
 *
 * The library keeps no state of its own and prints nothing. What goes wrong comes back as a status, with one exception:
 * where the system refuses one of the small blocks of memory that descriptions and names live in, the library calls
 * abort(); for the large ones (weights, activations, pictures) it is SG_ERROR_MEMORY. A model is for one thread at a
 * time (it computes on several threads inside); different models may be used by different threads.
 *
 * Signal handlers of the host must not run on the stack of a thread that computes: kernels of oneDNN use the stack
 * pointer as one more register, and the handler's frame would be written into the heap. Block the signals before the
 * first call and wait for them in a thread (sigwait), or use sigaltstack and SA_ONSTACK in every thread.
 */
#ifndef SANDGLASS_H
#define SANDGLASS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SG_API __attribute__((visibility("default")))
#else
#define SG_API
#endif

/* What a call came to. */
typedef enum sg_status {
    SG_OK = 0,
    SG_ERROR_ARGUMENT, /* a wrong argument: a picture without pixels, with other channels than the model's ... */
    SG_ERROR_FILE,     /* the model's file is missing, damaged, foreign, or from a newer version */
    SG_ERROR_MEMORY,
    SG_ERROR_COMPUTE /* the arithmetic library refused */
} sg_status;

/* Why a call failed, in words; the caller's. Every function below takes NULL where the words are not wanted. */
typedef struct sg_error {
    sg_status status;
    char text[2048]; /* complete lines, each "error: ..." and a newline */
} sg_error;

/* "0.1.0" */
SG_API const char *sg_version(void);

/* ---- models ---- */

typedef struct sg_model sg_model;

typedef enum sg_task { SG_RECONSTRUCTION, SG_SEGMENTATION, SG_CLASSIFICATION } sg_task;

typedef struct sg_load_options {
    int threads;                 /* to compute with; 0: all */
    int n_settings;              /* changes to the model's config, as the program's --set */
    const char *const *settings; /* "data.fit=resize" */
} sg_load_options;

/* Read a checkpoint file, or the best one (else the last one) of a run directory. options may be NULL. *out is the
 * caller's, to be freed with sg_model_free; NULL on failure. */
SG_API sg_status sg_model_load(sg_model **out, const char *path, const sg_load_options *options, sg_error *error);
SG_API void sg_model_free(sg_model *model); /* NULL is fine */

SG_API sg_task sg_model_task(const sg_model *model);
/* Channels of the pictures it takes: 1 grey, 3 RGB, or whatever it was trained on. */
SG_API int sg_model_channels(const sg_model *model);
/* The one size of picture that the network takes; pictures of another size are refused, or, when the model's config
 * says data.fit: resize, resized. 0, 0: any size. */
SG_API void sg_model_size(const sg_model *model, int *width, int *height);
/* Pictures are extended to multiples of it inside, and the result is cut back; 0: the network has one size only. */
SG_API int sg_model_stride(const sg_model *model);
/* Segmentation and classification; 0 for reconstruction. */
SG_API int sg_model_n_classes(const sg_model *model);
/* Valid until sg_model_free; NULL when there is no such class. */
SG_API const char *sg_model_class_name(const sg_model *model, int class_index);
/* The class's colour in pictures of masks; black when there is no such class. */
SG_API void sg_model_class_color(const sg_model *model, int class_index, uint8_t rgb[3]);

/* ---- pictures ---- */

/* A picture in the caller's memory: rows from the top, pixels from the left, channels interleaved. */
typedef struct sg_picture {
    int width, height;
    int channels;     /* as sg_model_channels says */
    int bits;         /* of a sample: 8 (also when 0) or 16, in the machine's byte order; 32: floats */
    size_t row_bytes; /* from one row to the next, at least a row's pixels; 0: rows follow one another */
    const void *data;
} sg_picture;

/* Class of every pixel: mask has width * height bytes, the caller's. */
SG_API sg_status sg_model_segment(sg_model *model, const sg_picture *picture, uint8_t *mask, sg_error *error);

/* The picture as a reconstruction network gives it back: pixels has width * height * channels bytes, the caller's; 8
 * bits a sample whatever the picture has. */
SG_API sg_status sg_model_reconstruct(sg_model *model, const sg_picture *picture, uint8_t *pixels, sg_error *error);

/* ---- numbers ---- */

/* What a network gave: rank axes, batch first, then channels, then height and width. Valid until the next call with
 * this model. */
typedef struct sg_output {
    int rank;
    int64_t dim[5];
    const float *data;
} sg_output;

/* The network's first output for a picture, normalised as in training. The output has the picture's size, or with
 * data.fit: resize the network's. */
SG_API sg_status sg_model_apply(sg_model *model, const sg_picture *picture, sg_output *output, sg_error *error);

/* The same for n inputs that are normalised already: n, channels, height, width. */
SG_API sg_status sg_model_run(sg_model *model, int64_t n, int64_t channels, int64_t height, int64_t width,
                              const float *input, sg_output *output, sg_error *error);

#ifdef __cplusplus
}
#endif

#endif
