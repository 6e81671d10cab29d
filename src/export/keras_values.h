/* keras_values.h - what Keras' classes (keras_classes.c, keras_weighted.c) share when they are imported. */
#ifndef SANDGLASS_EXPORT_KERAS_VALUES_H
#define SANDGLASS_EXPORT_KERAS_VALUES_H

#include "export/keras_options.h"
#include "export/keras_order.h"

/* ---- sources and results of entry e ---- */

const KerasValue *import_source(const Importer *im, int e); /* the first */
/* Its source is a picture, channels last in Keras. */
Err import_need_picture(const Importer *im, int e);
bool import_in_order(const KerasValue *v); /* its values lie in one order, here and in Keras */
Err import_need_one_order(const Importer *im, int e);
void import_set(Importer *im, int e, Shape shape);
void import_set_as_source(Importer *im, int e); /* in shape and order */
/* import_end for the entry's own name and one source. */
void import_end_one(Importer *im, int e);
void import_put_pair(Importer *im, const char *key, const int64_t pair[2]);
void import_put_quad(Importer *im, const char *key, const int64_t quad[4]);

/* ---- activations ---- */

typedef struct Function {
    const char *keras, *ours;
    double alpha; /* of ours; 0: none */
} Function;

void import_put_function(Importer *im, const char *key, const char *kind, double alpha);
/* Of the option `activation`; "linear" where there is none. */
Err import_find_function(const Importer *im, int e, const Function **out);
/* The knob `activation` of a layer with weights. */
Err import_put_activation(Importer *im, int e);

/* ---- shapes ---- */

/* What is left of its source when a window of this extent slides over it. */
Err import_slide(const Importer *im, int e, const int64_t extent[2], const int64_t stride[2], Shape *shape);
/* Whether everything that reads the entry takes its channels first. */
bool import_sees_planes(const KerasFile *file, int e);
/* The axes that a Reshape of so many values asks for, with -1 filled in; false: they do not fit. */
bool import_target_axes(const Importer *im, int e, int64_t values, int64_t axes[3], int *n);

/* ---- classes with weights (keras_weighted.c) ---- */

Err import_conv2d(Importer *im, int e);
Err import_conv2d_transpose(Importer *im, int e);
Err import_dense(Importer *im, int e);
Err import_time_distributed(Importer *im, int e);
Err import_batchnorm(Importer *im, int e);
Err import_lstm(Importer *im, int e);

#endif
