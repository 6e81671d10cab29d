/* compat.h - oneDNN 2.x and 3.x behind one face: 3.x's names and argument orders. Private to this folder.
 *
 * An Md is a memory descriptor on the heap; whoever makes one frees it (the Build's pool does). 3.x has opaque
 * descriptors and creates primitive descriptors directly; for 2.x the functions here fill the operation descriptor
 * first.
 */
#ifndef SANDGLASS_ENGINE_COMPAT_H
#define SANDGLASS_ENGINE_COMPAT_H

#include <dnnl.h>
#include <stdlib.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t Md;
typedef const_dnnl_primitive_desc_t Pd;
#else
typedef const dnnl_memory_desc_t *Md;
typedef const_dnnl_primitive_desc_t Pd;
#endif

/* Everything a primitive descriptor is made from; each kind reads its part. */
typedef struct PdSpec {
    dnnl_engine_t engine;
    dnnl_prop_kind_t prop;
    dnnl_alg_kind_t alg;
    Md src, weights, bias, dst; /* in backward: the diff_ ones where the kind says so */
    Md data;                    /* second data descriptor of backward kinds: src of batchnorm, dst of softmax ... */
    dnnl_dims_t stride, dilation, pad_lo, pad_hi, kernel;
    float alpha, beta, epsilon;
    unsigned flags;
    int axis;
    Pd hint;
    const_dnnl_primitive_attr_t attr;
} PdSpec;

/* The same for an LSTM: NULL where something is not given. */
typedef struct LstmPdSpec {
    dnnl_engine_t engine;
    dnnl_prop_kind_t prop; /* forward */
    dnnl_rnn_direction_t direction;
    Md src, weights, recurrent, bias;
    Md dst, last, last_cell; /* all steps; hidden and cell state after the last one */
    Md diff_src, diff_weights, diff_recurrent, diff_bias, diff_dst, diff_last, diff_last_cell; /* backward */
    Pd hint;
    const_dnnl_primitive_attr_t attr;
} LstmPdSpec;

/* A shape as oneDNN's fixed-length array. */
static inline void dims_fill(dnnl_dims_t dims, int rank, const int64_t *values) {
    for (int i = 0; i < DNNL_MAX_NDIMS; i++) dims[i] = i < rank ? values[i] : 0;
}

#if DNNL_VERSION_MAJOR >= 3

static inline Md md_strided(int rank, const int64_t *shape, dnnl_data_type_t type, const dnnl_dims_t strides) {
    dnnl_dims_t dims;
    dims_fill(dims, rank, shape);
    dnnl_memory_desc_t md = NULL;
    return dnnl_memory_desc_create_with_strides(&md, rank, dims, type, strides) == dnnl_success ? md : NULL;
}

static inline Md md_tagged(int rank, const int64_t *shape, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_dims_t dims;
    dims_fill(dims, rank, shape);
    dnnl_memory_desc_t md = NULL;
    return dnnl_memory_desc_create_with_tag(&md, rank, dims, type, tag) == dnnl_success ? md : NULL;
}

static inline Md md_part(Md parent, int rank, const int64_t *shape, const int64_t *offset) {
    dnnl_dims_t dims, offsets;
    dims_fill(dims, rank, shape);
    dims_fill(offsets, rank, offset);
    dnnl_memory_desc_t md = NULL;
    return dnnl_memory_desc_create_submemory(&md, parent, dims, offsets) == dnnl_success ? md : NULL;
}

static inline Md md_clone(Md source) {
    dnnl_memory_desc_t md = NULL;
    return source && dnnl_memory_desc_clone(&md, source) == dnnl_success ? md : NULL;
}

static inline void md_free(Md md) {
    dnnl_memory_desc_destroy((dnnl_memory_desc_t)md);
}

static inline dnnl_data_type_t md_type(Md md) {
    dnnl_data_type_t type = dnnl_data_type_undef;
    dnnl_memory_desc_query(md, dnnl_query_data_type, &type);
    return type;
}

static inline dnnl_status_t pd_conv_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_convolution_forward_primitive_desc_create(pd, s->engine, s->prop, s->alg, s->src, s->weights, s->bias,
                                                          s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi,
                                                          s->attr);
}

static inline dnnl_status_t pd_conv_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_convolution_backward_data_primitive_desc_create(pd, s->engine, s->alg, s->src, s->weights, s->dst,
                                                                s->stride, s->dilation, s->pad_lo, s->pad_hi, s->hint,
                                                                s->attr);
}

static inline dnnl_status_t pd_conv_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_convolution_backward_weights_primitive_desc_create(pd, s->engine, s->alg, s->src, s->weights, s->bias,
                                                                   s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi,
                                                                   s->hint, s->attr);
}

static inline dnnl_status_t pd_deconv_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_deconvolution_forward_primitive_desc_create(pd, s->engine, s->prop, dnnl_deconvolution_direct, s->src,
                                                            s->weights, s->bias, s->dst, s->stride, s->dilation,
                                                            s->pad_lo, s->pad_hi, s->attr);
}

static inline dnnl_status_t pd_deconv_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_deconvolution_backward_data_primitive_desc_create(pd, s->engine, dnnl_deconvolution_direct, s->src,
                                                                  s->weights, s->dst, s->stride, s->dilation, s->pad_lo,
                                                                  s->pad_hi, s->hint, s->attr);
}

static inline dnnl_status_t pd_deconv_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_deconvolution_backward_weights_primitive_desc_create(
        pd, s->engine, dnnl_deconvolution_direct, s->src, s->weights, s->bias, s->dst, s->stride, s->dilation,
        s->pad_lo, s->pad_hi, s->hint, s->attr);
}

static inline dnnl_status_t pd_dense_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_inner_product_forward_primitive_desc_create(pd, s->engine, s->prop, s->src, s->weights, s->bias, s->dst,
                                                            s->attr);
}

static inline dnnl_status_t pd_dense_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_inner_product_backward_data_primitive_desc_create(pd, s->engine, s->src, s->weights, s->dst, s->hint,
                                                                  s->attr);
}

static inline dnnl_status_t pd_dense_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_inner_product_backward_weights_primitive_desc_create(pd, s->engine, s->src, s->weights, s->bias, s->dst,
                                                                     s->hint, s->attr);
}

static inline dnnl_status_t pd_pool_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_pooling_forward_primitive_desc_create(pd, s->engine, s->prop, s->alg, s->src, s->dst, s->stride,
                                                      s->kernel, s->dilation, s->pad_lo, s->pad_hi, s->attr);
}

static inline dnnl_status_t pd_pool_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_pooling_backward_primitive_desc_create(pd, s->engine, s->alg, s->src, s->dst, s->stride, s->kernel,
                                                       s->dilation, s->pad_lo, s->pad_hi, s->hint, s->attr);
}

static inline dnnl_status_t pd_batchnorm_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_batch_normalization_forward_primitive_desc_create(pd, s->engine, s->prop, s->src, s->src, s->epsilon,
                                                                  s->flags, s->attr);
}

static inline dnnl_status_t pd_batchnorm_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_batch_normalization_backward_primitive_desc_create(pd, s->engine, s->prop, s->src, s->dst, s->data,
                                                                   s->epsilon, s->flags, s->hint, s->attr);
}

static inline dnnl_status_t pd_eltwise_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_eltwise_forward_primitive_desc_create(pd, s->engine, s->prop, s->alg, s->src, s->src, s->alpha, s->beta,
                                                      s->attr);
}

static inline dnnl_status_t pd_eltwise_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_eltwise_backward_primitive_desc_create(pd, s->engine, s->alg, s->dst, s->dst, s->data, s->alpha,
                                                       s->beta, s->hint, s->attr);
}

static inline dnnl_status_t pd_softmax_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_softmax_forward_primitive_desc_create(pd, s->engine, s->prop, dnnl_softmax_accurate, s->src, s->src,
                                                      s->axis, s->attr);
}

static inline dnnl_status_t pd_softmax_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_softmax_backward_primitive_desc_create(pd, s->engine, dnnl_softmax_accurate, s->dst, s->dst, s->data,
                                                       s->axis, s->hint, s->attr);
}

static inline dnnl_status_t pd_resample_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    return dnnl_resampling_forward_primitive_desc_create(pd, s->engine, s->prop, s->alg, NULL, s->src, s->dst, s->attr);
}

static inline dnnl_status_t pd_lstm_forward(dnnl_primitive_desc_t *pd, const LstmPdSpec *s) {
    return dnnl_lstm_forward_primitive_desc_create(pd, s->engine, s->prop, s->direction, s->src, NULL, NULL, s->weights,
                                                   s->recurrent, NULL, NULL, s->bias, s->dst, s->last, s->last_cell, 0,
                                                   s->attr);
}

static inline dnnl_status_t pd_lstm_backward(dnnl_primitive_desc_t *pd, const LstmPdSpec *s) {
    return dnnl_lstm_backward_primitive_desc_create(
        pd, s->engine, dnnl_backward, s->direction, s->src, NULL, NULL, s->weights, s->recurrent, NULL, NULL, s->bias,
        s->dst, s->last, s->last_cell, s->diff_src, NULL, NULL, s->diff_weights, s->diff_recurrent, NULL, NULL,
        s->diff_bias, s->diff_dst, s->diff_last, s->diff_last_cell, 0, s->hint, s->attr);
}

static inline dnnl_status_t pd_concat(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md dst, int n, int axis,
                                      const Md *src, const_dnnl_primitive_attr_t attr) {
    return dnnl_concat_primitive_desc_create(pd, engine, dst, n, axis, src, attr);
}

static inline dnnl_status_t pd_sum(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md dst, int n, const float *scales,
                                   const Md *src, const_dnnl_primitive_attr_t attr) {
    return dnnl_sum_primitive_desc_create(pd, engine, dst, n, scales, src, attr);
}

static inline dnnl_status_t pd_reorder(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md src, Md dst,
                                       const_dnnl_primitive_attr_t attr) {
    return dnnl_reorder_primitive_desc_create(pd, src, engine, dst, engine, attr);
}

static inline dnnl_status_t post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, alg, alpha, beta);
}

#else /* 2.x */

static inline Md md_keep(dnnl_memory_desc_t md, dnnl_status_t status) {
    dnnl_memory_desc_t *copy = status == dnnl_success ? malloc(sizeof(*copy)) : NULL;
    if (copy) *copy = md;
    return copy;
}

static inline Md md_strided(int rank, const int64_t *shape, dnnl_data_type_t type, const dnnl_dims_t strides) {
    dnnl_dims_t dims;
    dims_fill(dims, rank, shape);
    dnnl_memory_desc_t md;
    dnnl_status_t status = dnnl_memory_desc_init_by_strides(&md, rank, dims, type, strides);
    return md_keep(md, status);
}

static inline Md md_tagged(int rank, const int64_t *shape, dnnl_data_type_t type, dnnl_format_tag_t tag) {
    dnnl_dims_t dims;
    dims_fill(dims, rank, shape);
    dnnl_memory_desc_t md;
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&md, rank, dims, type, tag);
    return md_keep(md, status);
}

static inline Md md_part(Md parent, int rank, const int64_t *shape, const int64_t *offset) {
    dnnl_dims_t dims, offsets;
    dims_fill(dims, rank, shape);
    dims_fill(offsets, rank, offset);
    dnnl_memory_desc_t md;
    dnnl_status_t status = dnnl_memory_desc_init_submemory(&md, parent, dims, offsets);
    return md_keep(md, status);
}

static inline Md md_clone(Md source) {
    return source ? md_keep(*source, dnnl_success) : NULL;
}

static inline void md_free(Md md) {
    free((void *)md);
}

static inline dnnl_data_type_t md_type(Md md) {
    return md->data_type;
}

static inline dnnl_status_t pd_make(dnnl_primitive_desc_t *pd, const PdSpec *s, const_dnnl_op_desc_t op,
                                    dnnl_status_t status) {
    return status == dnnl_success ? dnnl_primitive_desc_create(pd, op, s->attr, s->engine, s->hint) : status;
}

static inline dnnl_status_t pd_conv_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
        &op, s->prop, s->alg, s->src, s->weights, s->bias, s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_conv_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_backward_data_desc_init(
        &op, s->alg, s->src, s->weights, s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_conv_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_convolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_convolution_backward_weights_desc_init(
        &op, s->alg, s->src, s->weights, s->bias, s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_deconv_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_deconvolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_deconvolution_forward_desc_init(&op, s->prop, dnnl_deconvolution_direct, s->src,
                                                                        s->weights, s->bias, s->dst, s->stride,
                                                                        s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_deconv_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_deconvolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_deconvolution_backward_data_desc_init(
        &op, dnnl_deconvolution_direct, s->src, s->weights, s->dst, s->stride, s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_deconv_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_deconvolution_desc_t op;
    dnnl_status_t status = dnnl_dilated_deconvolution_backward_weights_desc_init(&op, dnnl_deconvolution_direct, s->src,
                                                                                 s->weights, s->bias, s->dst, s->stride,
                                                                                 s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_dense_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_inner_product_desc_t op;
    dnnl_status_t status = dnnl_inner_product_forward_desc_init(&op, s->prop, s->src, s->weights, s->bias, s->dst);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_dense_backward_data(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_inner_product_desc_t op;
    dnnl_status_t status = dnnl_inner_product_backward_data_desc_init(&op, s->src, s->weights, s->dst);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_dense_backward_weights(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_inner_product_desc_t op;
    dnnl_status_t status = dnnl_inner_product_backward_weights_desc_init(&op, s->src, s->weights, s->bias, s->dst);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_pool_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_pooling_v2_desc_t op;
    dnnl_status_t status = dnnl_pooling_v2_forward_desc_init(&op, s->prop, s->alg, s->src, s->dst, s->stride, s->kernel,
                                                             s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_pool_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_pooling_v2_desc_t op;
    dnnl_status_t status = dnnl_pooling_v2_backward_desc_init(&op, s->alg, s->src, s->dst, s->stride, s->kernel,
                                                              s->dilation, s->pad_lo, s->pad_hi);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_batchnorm_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_batch_normalization_desc_t op;
    dnnl_status_t status = dnnl_batch_normalization_forward_desc_init(&op, s->prop, s->src, s->epsilon, s->flags);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_batchnorm_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_batch_normalization_desc_t op;
    dnnl_status_t status = dnnl_batch_normalization_backward_desc_init(&op, s->prop, s->dst, s->data, s->epsilon,
                                                                       s->flags);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_eltwise_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_eltwise_desc_t op;
    dnnl_status_t status = dnnl_eltwise_forward_desc_init(&op, s->prop, s->alg, s->src, s->alpha, s->beta);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_eltwise_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_eltwise_desc_t op;
    dnnl_status_t status = dnnl_eltwise_backward_desc_init(&op, s->alg, s->dst, s->data, s->alpha, s->beta);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_softmax_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_softmax_v2_desc_t op;
    dnnl_status_t status = dnnl_softmax_v2_forward_desc_init(&op, s->prop, dnnl_softmax_accurate, s->src, s->src,
                                                             s->axis);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_softmax_backward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_softmax_v2_desc_t op;
    dnnl_status_t status = dnnl_softmax_v2_backward_desc_init(&op, dnnl_softmax_accurate, s->dst, s->dst, s->data,
                                                              s->axis);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_resample_forward(dnnl_primitive_desc_t *pd, const PdSpec *s) {
    dnnl_resampling_desc_t op;
    dnnl_status_t status = dnnl_resampling_forward_desc_init(&op, s->prop, s->alg, NULL, s->src, s->dst);
    return pd_make(pd, s, &op, status);
}

static inline dnnl_status_t pd_lstm_forward(dnnl_primitive_desc_t *pd, const LstmPdSpec *s) {
    dnnl_rnn_desc_t op;
    dnnl_status_t status = dnnl_lstm_forward_desc_init(&op, s->prop, s->direction, s->src, NULL, NULL, s->weights,
                                                       s->recurrent, s->bias, s->dst, s->last, s->last_cell, 0);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &op, s->attr, s->engine, NULL);
}

static inline dnnl_status_t pd_lstm_backward(dnnl_primitive_desc_t *pd, const LstmPdSpec *s) {
    dnnl_rnn_desc_t op;
    dnnl_status_t status = dnnl_lstm_backward_desc_init(
        &op, dnnl_backward, s->direction, s->src, NULL, NULL, s->weights, s->recurrent, s->bias, s->dst, s->last,
        s->last_cell, s->diff_src, NULL, NULL, s->diff_weights, s->diff_recurrent, s->diff_bias, s->diff_dst,
        s->diff_last, s->diff_last_cell, 0);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(pd, &op, s->attr, s->engine, s->hint);
}

static inline dnnl_status_t pd_concat(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md dst, int n, int axis,
                                      const Md *src, const_dnnl_primitive_attr_t attr) {
    dnnl_memory_desc_t *list = malloc(sizeof(*list) * (size_t)n);
    if (!list) return dnnl_out_of_memory;
    for (int i = 0; i < n; i++) list[i] = *src[i];
    dnnl_status_t status = dnnl_concat_primitive_desc_create(pd, dst, n, axis, list, attr, engine);
    free(list);
    return status;
}

static inline dnnl_status_t pd_sum(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md dst, int n, const float *scales,
                                   const Md *src, const_dnnl_primitive_attr_t attr) {
    dnnl_memory_desc_t *list = malloc(sizeof(*list) * (size_t)n);
    if (!list) return dnnl_out_of_memory;
    for (int i = 0; i < n; i++) list[i] = *src[i];
    dnnl_status_t status = dnnl_sum_primitive_desc_create(pd, dst, n, scales, list, attr, engine);
    free(list);
    return status;
}

static inline dnnl_status_t pd_reorder(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, Md src, Md dst,
                                       const_dnnl_primitive_attr_t attr) {
    return dnnl_reorder_primitive_desc_create(pd, src, engine, dst, engine, attr);
}

static inline dnnl_status_t post_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta) {
    return dnnl_post_ops_append_eltwise(ops, 1.0f, alg, alpha, beta);
}

#endif

static inline size_t md_bytes(Md md) {
    return dnnl_memory_desc_get_size(md);
}

static inline bool md_same(Md a, Md b) {
    return dnnl_memory_desc_equal(a, b) != 0;
}

#endif
