/* internal.h - the structs behind Engine, Build, Tensor and Program. Private to this folder.
 *
 * Recording is immediate: an op_* creates its primitive descriptor at once, asks oneDNN which layouts it likes (`any`
 * where a tensor has none yet), puts reorders in front where a source has another, and appends a Step. build_finish
 * (program.c) plans memory from the steps' reads and writes (plan.c), creates the primitives and binds them.
 */
#ifndef SANDGLASS_ENGINE_INTERNAL_H
#define SANDGLASS_ENGINE_INTERNAL_H

#include "base/arena.h"
#include "engine/compat.h"
#include "engine/engine.h"

struct Engine {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int threads;
    char text[128];
};

/* Memory of one or several tensors (views, in-place results). */
typedef struct Buffer {
    size_t bytes;
    size_t offset;       /* in the program's block, once planned */
    void *data;          /* external ones: bound by the caller */
    const char *name;    /* external ones: for program_bind */
    bool external;       /* memory of the caller */
    bool constant;       /* external: weights; own: computed from constants only, kept between runs */
    bool zeros;          /* never written; zero from the start */
    int first, last;     /* steps that touch it; first -1: none */
    struct Buffer *home; /* in another buffer, `at` bytes behind its beginning; NULL: a place of its own */
    size_t at;
    struct Buffer *next; /* all of a Build */
} Buffer;

/* How a tensor lies in memory, as far as native code cares. */
typedef enum Layout { LAYOUT_PLAIN, LAYOUT_LAST, LAYOUT_BLOCK4, LAYOUT_BLOCK8, LAYOUT_BLOCK16, LAYOUT_OPAQUE } Layout;

struct Tensor {
    Build *build;
    DType type;
    Shape shape;
    Md md; /* owned by the Build's pool; NULL until the tensor is produced */
    Layout layout;
    Buffer *buffer;
    Tensor *other; /* next of the copies of this tensor in other layouts */
    float range;   /* largest absolute value, for arithmetic in 8 bits (build_range); 0: not known */
    bool range_signed;
    Tensor *quantized; /* it in 8 bits; NULL: not asked for */
    dnnl_memory_t memory;
    Tensor *next; /* all of a Build */
};

typedef enum StepKind {
    STEP_CONV,
    STEP_DECONV,
    STEP_DENSE,
    STEP_POOL,
    STEP_NORM,
    STEP_ELTWISE,
    STEP_SOFTMAX,
    STEP_RESAMPLE,
    STEP_LSTM,
    STEP_CONCAT,
    STEP_SUM,
    STEP_REORDER,
    STEP_NATIVE
} StepKind;
extern const char *const step_kind_names[];

enum { STEP_MAX_ARGS = 2 * NATIVE_MAX_ARGS };

typedef struct StepArg {
    int arg; /* DNNL_ARG_... */
    Tensor *tensor;
    bool writes;
} StepArg;

typedef struct Step {
    StepKind kind;
    const char *scope, *name;
    int n_args;
    StepArg args[STEP_MAX_ARGS];
    Tensor *in_place_src, *in_place_dst; /* dst may take src's memory when nobody reads it later; NULL: no */
    bool gathers;                        /* dst is the sources one behind the other: they may be made there */
    bool constant;                       /* inference: depends on weights only */

    dnnl_primitive_desc_t pd; /* primitives */
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t *exec; /* n_exec, scratchpad included */
    int n_exec;
    size_t scratchpad_bytes;
    dnnl_memory_t scratchpad;

    NativeFn fn; /* natives */
    NativeCall call;
    NativeArg *native_args; /* n_args: sources, then results */
    struct Step *next;
} Step;

typedef struct Bare Bare; /* bare.h */

typedef struct Output {
    const char *name;
    Tensor *tensor;
    struct Output *next;
} Output;

struct Build {
    Engine *engine;
    BuildOptions options;
    Arena *arena;
    Error error;
    const char *scope;
    Tensor *tensors;
    Buffer *buffers;
    Step *steps, *last_step;
    int n_steps;
    Output *outputs;
    Bare *bares, *last_bare; /* the primitives that the shapes ask for, in order */
    int n_bares;
    Md *pool; /* descriptors to free with the program */
    int n_pool, pool_room;
    dnnl_primitive_desc_t *hints; /* forward descriptors that backward ones refer to */
    int n_hints, hints_room;
    dnnl_primitive_attr_t attr; /* user scratchpad, nothing else */
};

struct Program {
    Engine *engine;
    Build *build; /* keeps arena, tensors, buffers, descriptors */
    Step **steps; /* n_steps, in order */
    int n_steps;
    unsigned char *block;
    size_t block_bytes, unplanned_bytes, scratchpad_bytes;
    bool stale;      /* constant steps have to run */
    double *moments; /* n_steps + 1, of the caller: when steps begin (program_watch); NULL: nobody asks */
};

/* ---- build.c ---- */

dnnl_data_type_t dtype_of(DType type);
DType dtype_from(dnnl_data_type_t type);
/* What convolutions compute in, and what lies between them. */
DType compute_type(const Build *b);
size_t dtype_bytes(DType type);

/* Takes md into the pool; NULL (a refused descriptor) fails the Build. */
Md pool_md(Build *b, Md md);
Md md_plain(Build *b, DType type, Shape shape); /* row-major */
Md md_any(Build *b, DType type, Shape shape);
Md md_like(Build *b, DType type, Shape shape, Layout layout); /* falls back to plain */
int64_t layout_inner(Layout layout, Shape shape);             /* channels that lie next to each other; 1 when plain */
/* A descriptor out of a primitive descriptor, copied into the pool. */
Md md_of_pd(Build *b, Pd pd, dnnl_query_t what, int index);

Tensor *tensor_new(Build *b, DType type, Shape shape, Md md); /* with a buffer of its own when md is given */
Tensor *tensor_dummy(Build *b, DType type, Shape shape);      /* after a failure */
Tensor *tensor_view(Build *b, Tensor *t, Shape shape, Md md); /* same memory under another descriptor */
Tensor *tensor_opaque(Build *b, Md md);                       /* workspace: only its size matters */
void tensor_set_md(Build *b, Tensor *t, Md md);               /* produce it in this layout */

/* t in the layout and type of md: itself, a copy made before, or a new reorder. */
Tensor *tensor_in(Build *b, Tensor *t, Md md);
/* In 32 bits: what native operations and those that know no brain floats read. */
Tensor *tensor_in_plain(Build *b, Tensor *t);
Tensor *tensor_in_layout(Build *b, Tensor *t, Layout layout);
void record_reorder(Build *b, Tensor *src, Tensor *dst);

Step *step_new(Build *b, StepKind kind, const char *name);
void step_arg(Step *s, int arg, Tensor *t, bool writes); /* t NULL: nothing */
/* How native code sees t. The layout is the step's: a plane of one pixel lies alike in several, and its tensor knows
 * the first of them. */
NativeArg native_arg(const Tensor *t, NativeLayout wanted, Layout layout);
/* Append; pd is the step's from here on (destroyed with the program). */
void step_append(Build *b, Step *s, dnnl_primitive_desc_t pd);
/* Keep a forward descriptor alive as long as the program; it is the Build's from here on. */
void keep_hint(Build *b, dnnl_primitive_desc_t pd);
/* Note a refusal of oneDNN: "no primitive for conv 4x16x28x28 -> 4x8x28x28 (unimplemented)". */
void fail_status(Build *b, const char *name, Shape src, Shape dst, dnnl_status_t status);
/* oneDNN's name for the code that was chosen, and whether that is the slow code for everything. */
const char *implementation_name(Pd pd);
bool is_reference(Pd pd);
dnnl_prop_kind_t forward_prop(const Build *b);
void conv_geometry(PdSpec *pd, const ConvSpec *spec); /* ops_conv.c: stride, dilation and padding */
/* Attributes with a fused activation; *owned is to be destroyed when it is not NULL. */
const_dnnl_primitive_attr_t attr_with_act(Build *b, Act act, dnnl_primitive_attr_t *owned);
dnnl_alg_kind_t act_alg(Act act, bool backward_from_dst);
float act_alpha(Act act);

/* What oneDNN calls the implementation of a step; "native" for our own. */
const char *step_implementation(const Step *s);

/* ---- specs as oneDNN takes them ---- */

Shape grouped_shape(Shape weights, int64_t groups); /* with the groups as an axis of their own, where there are some */
void conv_geometry(PdSpec *pd, const ConvSpec *spec);
void pool_geometry(PdSpec *pd, const PoolSpec *spec);
unsigned norm_flags(const BatchNormSpec *spec, bool global);

/* ---- plan.c ---- */

/* Life-times from the steps, in-place decisions, offsets. Sets buffer->home and ->offset; returns the block's size. */
size_t plan_memory(Build *b, size_t scratchpad_bytes, size_t *unplanned_bytes);
void step_list(const Build *b, Step **list);
Buffer *buffer_home(Buffer *buffer);
size_t buffer_at(const Buffer *buffer); /* bytes behind the beginning of its home */

#endif
