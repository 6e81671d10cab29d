/* sandglass.h - use networks that `sandglass train` made, from a program of your own.
 *
 *     sg_error error;
 *     sg_model *model;
 *     sg_session *session;
 *     sg_session_options options = {.width = 480, .height = 360};
 *     if (sg_model_load(&model, "runs/camvid-unet", NULL, &error) != SG_OK) { puts(error.text); return 1; }
 *     if (sg_session_open(&session, model, &options, &error) != SG_OK) { puts(error.text); return 1; }
 *
 *     sg_picture picture = {.width = 480, .height = 360, .channels = 3, .data = rgb};
 *     sg_result result = {.classes = mask};                       // uint8_t mask[360 * 480]
 *     if (sg_session_run(session, 1, &picture, &result, &error) != SG_OK) { puts(error.text); return 1; }
 *     puts(sg_model_class_name(model, mask[0]));
 *
 *     sg_session_close(session);
 *     sg_model_free(model);
 *
 * Compile with `pkg-config --cflags --libs sandglass`, or in CMake find_package(sandglass) and link
 * sandglass::sandglass.
 *
 * Threads. A model never changes once it is loaded: any number of threads may use one at the same time. A session is
 * used by one thread at a time, whichever that is; it computes on as many threads as it was opened with. Sessions of
 * one model share its weights, and keep copies of their own of those that the arithmetic wants in another layout.
 *
 * The library keeps no state of its own, prints nothing, and never ends the process, with one exception: where the
 * system refuses one of the small blocks of memory that descriptions and names live in, it calls abort(); for the large
 * ones (weights, activations, pictures) there is SG_ERROR_MEMORY. Structs are filled with zeros first, as {0} or a
 * designated initializer does: 0 and NULL stand for the usual choice, and later versions may add members.
 *
 * Where other programs want the same cores, start the host with GOMP_SPINCOUNT=2000 in its environment: OpenMP's
 * threads otherwise spin for milliseconds while they wait for one another, and keep the one they wait for from its
 * core.
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
    SG_ERROR_ARGUMENT, /* a wrong argument: a picture of another size than the session's, no such layer ... */
    SG_ERROR_FILE,     /* the model's file is missing, damaged, foreign, or from a newer version */
    SG_ERROR_MEMORY,
    SG_ERROR_COMPUTE /* the arithmetic library refused */
} sg_status;

/* Why a call failed, in words; the caller's. Every function below takes NULL where the words are not wanted. */
typedef struct sg_error {
    sg_status status;
    char text[2048]; /* complete lines: "error: ...", or "PLACE: error: ..." and the text that is meant; a very
                         long one is cut */
} sg_error;

/* "0.1.0" */
SG_API const char *sg_version(void);

/* ---- models ---- */

typedef struct sg_model sg_model;

typedef enum sg_task { SG_RECONSTRUCTION, SG_SEGMENTATION, SG_CLASSIFICATION } sg_task;

/* Read a checkpoint file, or the best one (else the last one) of a run directory. settings: changes to the model's
 * config, as the program's --set ("data.fit=exact"), ending with NULL; may be NULL. *out is the caller's, to be freed
 * with sg_model_free; NULL on failure. */
SG_API sg_status sg_model_load(sg_model **out, const char *path, const char *const *settings, sg_error *error);
/* After its sessions are closed. NULL is fine. */
SG_API void sg_model_free(sg_model *model);

SG_API sg_task sg_model_task(const sg_model *model);
/* Channels of the pictures it takes: 1 grey, 3 RGB, or whatever it was trained on. */
SG_API int sg_model_channels(const sg_model *model);
/* The one size of picture that the network takes, or that pictures are resized to when its config says data.fit:
 * resize. 0, 0: any size. */
SG_API void sg_model_size(const sg_model *model, int *width, int *height);
/* Pictures are extended to multiples of it inside, and results are cut back; 0: the network has one size only. */
SG_API int sg_model_stride(const sg_model *model);
/* The network sees (value - mean) / deviation; value from 0 to 1: a sample of 8 bits divided by 255, of 16 bits by
 * 65535, or a float as it is. */
SG_API void sg_model_normalization(const sg_model *model, int channel, float *mean, float *deviation);
/* Segmentation and classification; 0 for reconstruction. */
SG_API int sg_model_n_classes(const sg_model *model);
/* Valid until sg_model_free; NULL when there is no such class. */
SG_API const char *sg_model_class_name(const sg_model *model, int class_index);
/* The class's colour in pictures of masks; black when there is no such class. */
SG_API void sg_model_class_color(const sg_model *model, int class_index, uint8_t rgb[3]);
/* The layers, in the order of computation: what a session may give as outputs. */
SG_API int sg_model_n_layers(const sg_model *model);
/* Valid until sg_model_free; NULL when there is no such layer. */
SG_API const char *sg_model_layer_name(const sg_model *model, int layer);

/* ---- sessions ---- */

/* A model made ready to compute. There are two kinds of session.
 *
 * For one size (width and height are given), everything is compiled and all memory is taken when it is opened, and a
 * run allocates nothing, but for small argument lists within oneDNN. The size is that of the pictures, with no
 * resizing: where the network wants multiples of its stride, pictures are extended by repeating their edges, and
 * results are cut.
 *
 * For any size (width and height are 0), pictures are taken one by one, whatever their sizes, as `sandglass predict`
 * does. Memory is taken as they need it, at most memory_mb: larger pictures are done in overlapping tiles, blended
 * where they meet. Where the model's config says data.fit: resize, pictures are resized to the network and results
 * back. The first picture of a size takes longer.
 */
typedef struct sg_session sg_session;

typedef struct sg_session_options {
    int width, height;          /* of the pictures; 0, 0: any */
    int batch;                  /* one size: pictures in a run at most; 0: one */
    int threads;                /* to compute with; 0: all */
    int memory_mb;              /* any size: what the process may take; 0: 900 */
    const char *const *outputs; /* one size: layers to be read with sg_session_output, beside the network's own outputs,
                                   by their names, ending with NULL; may be NULL */
} sg_session_options;

/* *out is the caller's, to be closed before the model is freed; NULL on failure. options NULL: pictures of any size. */
SG_API sg_status sg_session_open(sg_session **out, const sg_model *model, const sg_session_options *options,
                                 sg_error *error);
SG_API void sg_session_close(sg_session *session); /* NULL is fine */
/* Bytes it holds beside the model's weights and oneDNN's code; of any size: the limit. */
SG_API size_t sg_session_memory(const sg_session *session);

/* A picture in the caller's memory: rows from the top, pixels from the left, channels interleaved. */
typedef struct sg_picture {
    int width, height;
    int channels;     /* as sg_model_channels says */
    int bits;         /* of a sample: 8 (also when 0) or 16, in the machine's byte order; 32: floats */
    size_t row_bytes; /* from one row to the next, at least a row's pixels; 0: rows follow one another */
    const void *data;
} sg_picture;

/* What is wanted of a picture: arrays of the caller's, without gaps, to be filled; NULL: not wanted. Their height and
 * width are the picture's; for classification, which names one class for a picture, 1 and 1. */
typedef struct sg_result {
    uint8_t *classes;     /* height, width: class of every pixel */
    float *confidence;    /* height, width: its probability, 0 to 1 */
    float *probabilities; /* classes, height, width: of every class; they add up to 1 */
    uint8_t *pixels;      /* height, width, channels: what a reconstruction network gives back, 8 bits a sample */
} sg_result;

/* Run the network on n pictures and fill n results (NULL: none are wanted; sg_session_output gives numbers). One size:
 * n is at most the batch, and takes as long as the batch. Any size: any n. */
SG_API sg_status sg_session_run(sg_session *session, int n, const sg_picture *pictures, const sg_result *results,
                                sg_error *error);
/* One size only: the same on n inputs that are normalised already: n, channels, height, width. */
SG_API sg_status sg_session_run_floats(sg_session *session, int n, const float *input, const sg_result *results,
                                       sg_error *error);

/* Numbers of a layer after a run, where they lie in the session: valid until the next run. */
typedef struct sg_output {
    int rank;          /* axes: batch (n of the run), channels, then height and width */
    int64_t dim[5];    /* size along each */
    int64_t stride[5]; /* floats from one element to the next along each; there are gaps where pictures were extended */
    const float *data;
} sg_output;

/* One size only: the layer of this name, which was among the outputs when the session was opened; NULL: the network's
 * result. Layers of the pictures' size are cut back to it, smaller ones cover the extended pictures. */
SG_API sg_status sg_session_output(const sg_session *session, const char *name, sg_output *output, sg_error *error);

#ifdef __cplusplus
}
#endif

#endif
