/* blocks.h - expands the config's own `blocks:` templates, so that an architecture is a YAML file and needs no C.
 *
 *     blocks:
 *       double_conv:
 *         params: {filters: , relu: true}          # no value: required
 *         layers:
 *           - conv2d: {filters: "${filters}", kernel: 3, padding: same, bias: false}
 *           - batchnorm
 *           - activation: relu
 *             if: ${relu}
 *     model:
 *       params: {width: 16}
 *       layers:
 *         - double_conv: {filters: "${width * 2}"}
 *           name: enc1
 *         - repeat: 3                              # ${i} counts from 0
 *           layers: [ ... ]
 *
 * A layer entry is one kind (`conv2d: 16`, or just `batchnorm`) plus the common keys `name`, `from`, `if` and those
 * that model/graph.h reads. `${...}` holds an expression (config/expr.h); a scalar that is one `${}` takes the value's
 * type, otherwise the text is put in. A template sees its own params and model.params, not those of its users. A block
 * may use blocks, itself included (a U-Net level), to a depth of 64. An entry `{if: EXPR, layers: [...]}` is a group.
 * Common keys of a block instance hold for each of its layers that has no own.
 *
 * Names: layers of a block instance `enc1` are `enc1/NAME`, and a layer of the model's own may be called so too; an
 * unnamed layer is named by kind and number within its scope (`enc1/conv2d1`). `from: skip` looks in the innermost
 * scope first, then outwards; a block instance's name stands for its last layer. `output: NAME` in a block makes
 * another layer stand for it. Two names are always there: `previous`, what a layer without `from:` gets, and `input`,
 * what flows into the block (at the top: into the network).
 */
#ifndef SANDGLASS_CONFIG_BLOCKS_H
#define SANDGLASS_CONFIG_BLOCKS_H

#include "config/config.h"

/* One layer of the expanded model, in order of the text. */
typedef struct LayerEntry {
    const char *name; /* unique */
    const char
        *prefix; /* of its block instance, "unet/down/"; "" at the top: where the names it mentions are sought first */
    const char *where; /* in the text: "model.layers[4]", "blocks.double_conv.layers[0]" */
    KindRef kind;      /* args have all `${}` replaced */
    int n_from;        /* sources; an entry without `from:` has the previous layer of the flow (or the input) */
    const int *from;   /* indices of entries, -1 for the model's input */
    const Node *node;  /* a map of the entry's common keys (activity_l1 ...), substituted; NULL when it had none */
    Mark mark;
} LayerEntry;

typedef struct LayerList {
    int n;
    LayerEntry *items;
    const char *const *aliases; /* pairs: block instance name, name of the layer it stands for; NULL-terminated */
} LayerList;

/* Expand model.layers. `blocks` may be NULL. common_keys: what a layer entry may hold beside its kind
 * (NULL-terminated), other than name, from, if. Errors carry the marks of the template and say through which instances
 * it was reached; a mistake in a template is reported once, however often it is used. On failure `out` holds what could
 * be expanded. */
Err blocks_expand(LayerList *out, const Node *model, const Node *blocks, const char *const *common_keys, Arena *arena,
                  Error *err);

/* Index of the entry that `name` (a layer or a block instance) means, seen from the top scope; -1 when there is none.
 */
int layer_list_find(const LayerList *list, const char *name);

#endif
