/* h5_text.c - attributes and text in HDF5 files. See h5.h.
 *
 * Text is written as variable-length UTF-8 (what h5py writes for a str), lists in attributes as fixed-length strings,
 * and read in either form. Sizes come from the file and are bounded before anything is allocated by them.
 */
#include "io/h5_private.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 1 << 28 }; /* bytes of one text, and of a list of texts */

static hid_t text_type(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* ---- attributes ---- */

/* Takes the space. */
static Err set_array_attribute(H5 *f, const char *object, const char *name, hid_t space, hid_t stored, hid_t memory,
                               const void *value, Error *err) {
    hid_t owner = H5I_INVALID_HID;
    if (h5_link_state(f, object) == LINK_FINE || h5_make_groups(f, object, true))
        owner = H5Oopen(f->id, object, H5P_DEFAULT);
    if (owner >= 0 && H5Aexists(owner, name) > 0) H5Adelete(owner, name);
    hid_t id = owner >= 0 ? H5Acreate2(owner, name, stored, space, H5P_DEFAULT, H5P_DEFAULT) : H5I_INVALID_HID;
    bool ok = id >= 0 && (!value || H5Awrite(id, memory, value) >= 0);
    Err code = ok && !f->io_error ? OK : h5_fail(f, err, "cannot write the attribute '%s' of '%s'", name, object);
    if (id >= 0) H5Aclose(id);
    if (owner >= 0) H5Oclose(owner);
    H5Sclose(space);
    return code;
}

static Err set_attribute(H5 *f, const char *object, const char *name, hid_t stored, hid_t memory, const void *value,
                         Error *err) {
    return set_array_attribute(f, object, name, H5Screate(H5S_SCALAR), stored, memory, value, err);
}

Err h5_set_int(H5 *file, const char *object, const char *name, int64_t value, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, set_attribute(file, object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, err));
}

Err h5_set_float(H5 *file, const char *object, const char *name, double value, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, set_attribute(file, object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, err));
}

Err h5_set_text(H5 *file, const char *object, const char *name, const char *value, Error *err) {
    H5Session s = h5_enter();
    hid_t type = text_type();
    Err code = set_attribute(file, object, name, type, type, &value, err);
    H5Tclose(type);
    return h5_leave(s, code);
}

Err h5_set_texts(H5 *file, const char *object, const char *name, int n, const char *const *texts, Error *err) {
    size_t longest = 1;
    bool ascii = true;
    for (int i = 0; i < n; i++) {
        size_t length = strlen(texts[i]);
        longest = length > longest ? length : longest;
        for (size_t k = 0; k < length; k++) ascii &= (unsigned char)texts[i][k] < 128;
    }
    char *fixed = calloc((size_t)n + 1, longest);
    if (!fixed) return err_set(err, ERR_MEMORY, "out of memory");
    for (int i = 0; i < n; i++) memcpy(fixed + (size_t)i * longest, texts[i], strlen(texts[i]));
    H5Session s = h5_enter();
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, longest);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, ascii ? H5T_CSET_ASCII : H5T_CSET_UTF8);
    hsize_t dim = (hsize_t)n;
    Err code = set_array_attribute(file, object, name, H5Screate_simple(1, &dim, NULL), type, type, n ? fixed : NULL,
                                   err);
    H5Tclose(type);
    free(fixed);
    return h5_leave(s, code);
}

bool h5_has_attr(const H5 *file, const char *object, const char *name) {
    H5Session s = h5_enter();
    bool found = h5_link_state(file, object) == LINK_FINE && H5Aexists_by_name(file->id, object, name, H5P_DEFAULT) > 0;
    h5_leave(s, OK);
    return found;
}

/* Open an attribute; *n: its number of values. */
static Err open_any_attribute(const H5 *f, const char *object, const char *name, hid_t *out, int64_t *n, Error *err) {
    *out = H5I_INVALID_HID;
    TRY(h5_check_path(f, object, err));
    if (H5Aexists_by_name(f->id, object, name, H5P_DEFAULT) <= 0)
        return f->io_error ? h5_fail(f, err, "cannot read")
                           : err_set(err, ERR_FORMAT, "%s: '%s' has no attribute '%s'", f->path, object, name);
    hid_t id = H5Aopen_by_name(f->id, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0) return h5_fail(f, err, "cannot open the attribute '%s' of '%s'", name, object);
    hid_t space = H5Aget_space(id);
    *n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (space >= 0) H5Sclose(space);
    *out = id;
    return OK;
}

/* Open an attribute that holds exactly one value. */
static Err open_attribute(const H5 *f, const char *object, const char *name, hid_t *out, Error *err) {
    hid_t id = H5I_INVALID_HID;
    int64_t n;
    TRY(open_any_attribute(f, object, name, &id, &n, err));
    if (n != 1) {
        H5Aclose(id);
        return err_set(err, ERR_FORMAT, "%s: the attribute '%s' of '%s' should hold one value, it holds %lld", f->path,
                       name, object, (long long)n);
    }
    *out = id;
    return OK;
}

static Err get_number(const H5 *f, const char *object, const char *name, H5T_class_t wanted, hid_t memory, void *value,
                      Error *err) {
    hid_t id = H5I_INVALID_HID;
    TRY(open_attribute(f, object, name, &id, err));
    hid_t type = H5Aget_type(id);
    H5T_class_t class = H5Tget_class(type);
    H5Tclose(type);
    Err code = OK;
    if (class != wanted && !(wanted == H5T_FLOAT && class == H5T_INTEGER))
        code = err_set(err, ERR_FORMAT, "%s: the attribute '%s' of '%s' is not %s", f->path, name, object,
                       wanted == H5T_INTEGER ? "an integer" : "a number");
    else if (H5Aread(id, memory, value) < 0)
        code = h5_fail(f, err, "cannot read the attribute '%s' of '%s'", name, object);
    H5Aclose(id);
    return code;
}

Err h5_get_int(const H5 *file, const char *object, const char *name, int64_t *value, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, get_number(file, object, name, H5T_INTEGER, H5T_NATIVE_INT64, value, err));
}

Err h5_get_float(const H5 *file, const char *object, const char *name, double *value, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, get_number(file, object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, value, err));
}

/* ---- reading text, from attributes and arrays ---- */

typedef struct TextForm {
    hid_t memory; /* type to read with */
    bool variable;
    size_t bytes; /* of a fixed-length string */
} TextForm;

/* How strings of this stored type are read; false when it is no string, or an absurdly long one. */
static bool text_form(hid_t stored, TextForm *out) {
    if (H5Tget_class(stored) != H5T_STRING) return false;
    out->variable = H5Tis_variable_str(stored) > 0;
    out->bytes = out->variable ? sizeof(char *) : H5Tget_size(stored);
    if (out->bytes == 0 || out->bytes > MAX_TEXT) return false;
    out->memory = H5Tcopy(stored);
    return true;
}

/* Where one string is read from. */
typedef struct TextSource {
    hid_t attribute;                  /* >= 0: from this */
    hid_t array, place, memory_space; /* else the selected element of this */
} TextSource;

static herr_t read_raw(const TextSource *source, hid_t type, void *to) {
    if (source->attribute >= 0) return H5Aread(source->attribute, type, to);
    return H5Dread(source->array, type, source->memory_space, source->place, H5P_DEFAULT, to);
}

/* The string in the arena, or NULL. */
static const char *read_string(const TextSource *source, const TextForm *form, Arena *arena) {
    const char *text = NULL;
    if (form->variable) {
        char *raw = NULL;
        if (read_raw(source, form->memory, &raw) < 0) return NULL;
        text = arena_strdup(arena, raw ? raw : "");
        H5free_memory(raw);
        return text;
    }
    char *raw = malloc(form->bytes);
    if (!raw) return NULL;
    if (read_raw(source, form->memory, raw) >= 0) {
        size_t n = strnlen(raw, form->bytes);
        if (H5Tget_strpad(form->memory) == H5T_STR_SPACEPAD)
            while (n > 0 && raw[n - 1] == ' ') n--;
        text = arena_strndup(arena, raw, n);
    }
    free(raw);
    return text;
}

Err h5_get_text(const H5 *file, const char *object, const char *name, const char **value, Arena *arena, Error *err) {
    H5Session s = h5_enter();
    TextSource source = {H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID, H5I_INVALID_HID};
    Err code = open_attribute(file, object, name, &source.attribute, err);
    if (code != OK) return h5_leave(s, code);
    hid_t stored = H5Aget_type(source.attribute);
    TextForm form;
    if (!text_form(stored, &form)) {
        code = err_set(err, ERR_FORMAT, "%s: the attribute '%s' of '%s' is not a text", file->path, name, object);
    } else {
        const char *text = read_string(&source, &form, arena);
        H5Tclose(form.memory);
        if (text)
            *value = text;
        else
            code = h5_fail(file, err, "cannot read the attribute '%s' of '%s'", name, object);
    }
    H5Tclose(stored);
    H5Aclose(source.attribute);
    return h5_leave(s, code);
}

typedef struct TextList {
    Arena *arena;
    int n;
    const char **items;
} TextList;

/* All n strings of an attribute, which is read at once: its values are bounded by the file, but texts of variable
 * length can be one text many times. */
static Err read_attribute_texts(const H5 *f, hid_t id, const TextForm *form, int64_t n, TextList *out) {
    if ((uint64_t)n > MAX_TEXT / form->bytes) return ERR_FORMAT;
    char *raw = calloc((size_t)n, form->bytes);
    if (!raw) return ERR_MEMORY;
    Err code = H5Aread(id, form->memory, raw) >= 0 ? OK : ERR_FORMAT;
    size_t total = 0;
    out->items = ARENA_ARRAY(out->arena, const char *, code == OK ? n : 0);
    for (int64_t i = 0; i < n && code == OK; i++) {
        const char *text = form->variable ? ((char **)raw)[i] : raw + (size_t)i * form->bytes;
        size_t length = !text ? 0 : form->variable ? strlen(text) : strnlen(text, form->bytes);
        while (H5Tget_strpad(form->memory) == H5T_STR_SPACEPAD && length > 0 && text[length - 1] == ' ') length--;
        if ((total += length) > MAX_TEXT) code = ERR_FORMAT;
        if (code == OK) out->items[out->n++] = arena_strndup(out->arena, text ? text : "", length);
    }
    if (form->variable)
        for (int64_t i = 0; i < n; i++) H5free_memory(((char **)raw)[i]);
    free(raw);
    return code;
}

static Err get_texts_locked(const H5 *f, const char *object, const char *name, TextList *out, Error *err) {
    hid_t id = H5I_INVALID_HID;
    int64_t n;
    TRY(open_any_attribute(f, object, name, &id, &n, err));
    hid_t stored = H5Aget_type(id);
    TextForm form;
    Err code = ERR_FORMAT;
    if (n == 0) {
        code = OK;
    } else if (n > 0 && text_form(stored, &form)) {
        code = read_attribute_texts(f, id, &form, n, out);
        H5Tclose(form.memory);
    }
    H5Tclose(stored);
    H5Aclose(id);
    if (code == OK) return OK;
    if (code == ERR_MEMORY) return err_set(err, code, "%s: out of memory", f->path);
    return err_set(err, code, "%s: the attribute '%s' of '%s' is not a list of texts", f->path, name, object);
}

Err h5_get_texts(const H5 *file, const char *object, const char *name, int *n, const char *const **texts, Arena *arena,
                 Error *err) {
    TextList list = {.arena = arena};
    H5Session s = h5_enter();
    Err code = get_texts_locked(file, object, name, &list, err);
    *n = list.n;
    *texts = list.items;
    return h5_leave(s, code);
}

/* Number of elements of an array of texts (scalars count 1); -1 when it has another rank, or is too long to be true. */
static int64_t count_texts(const H5 *f, hid_t array, const TextForm *form) {
    hid_t space = H5Dget_space(array);
    int rank = H5Sget_simple_extent_ndims(space);
    hssize_t n = rank > 1 || H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    hid_t properties = H5Dget_create_plist(array);
    H5D_layout_t layout = H5Pget_layout(properties);
    bool foreign = H5Pget_external_count(properties) != 0 || layout == H5D_LAYOUT_ERROR || layout == H5D_VIRTUAL;
    H5Pclose(properties);
    if (foreign || n < 0 || (uint64_t)n > MAX_TEXT / form->bytes) return -1;
    if ((uint64_t)n * form->bytes / MAX_EXPANSION > f->eof) return -1;
    return n;
}

/* Read them one by one, so that a short file whose many elements share one long text is stopped at MAX_TEXT. */
static Err read_texts_of(const H5 *f, const char *path, hid_t array, const TextForm *form, TextList *out, Error *err) {
    int64_t n = count_texts(f, array, form);
    if (n < 0) return err_set(err, ERR_FORMAT, "%s: '%s' is not a plain list of texts", f->path, path);
    out->items = ARENA_ARRAY(out->arena, const char *, n + 1);
    hid_t place = H5Dget_space(array);
    hid_t one = H5Screate(H5S_SCALAR);
    TextSource source = {H5I_INVALID_HID, array, place, one};
    bool scalar = H5Sget_simple_extent_ndims(place) == 0;
    size_t total = 0;
    Err code = OK;
    for (hsize_t i = 0; i < (hsize_t)n && code == OK; i++) {
        hsize_t count = 1;
        if (!scalar) H5Sselect_hyperslab(place, H5S_SELECT_SET, &i, NULL, &count, NULL);
        const char *text = read_string(&source, form, out->arena);
        if (!text)
            code = h5_fail(f, err, "cannot read '%s'", path);
        else if ((total += strlen(text)) > MAX_TEXT)
            code = err_set(err, ERR_FORMAT, "%s: '%s' holds more than %d bytes of text", f->path, path, MAX_TEXT);
        else
            out->items[out->n++] = text;
    }
    H5Sclose(one);
    H5Sclose(place);
    return code;
}

static Err read_texts_locked(const H5 *f, const char *path, TextList *out, Error *err) {
    TRY(h5_check_path(f, path, err));
    hid_t array = H5Dopen2(f->id, path, H5P_DEFAULT);
    if (array < 0) return h5_fail(f, err, "cannot open '%s'", path);
    hid_t stored = H5Dget_type(array);
    TextForm form;
    Err code;
    if (text_form(stored, &form)) {
        code = read_texts_of(f, path, array, &form, out, err);
        H5Tclose(form.memory);
    } else {
        code = err_set(err, ERR_FORMAT, "%s: '%s' does not hold text", f->path, path);
    }
    H5Tclose(stored);
    H5Dclose(array);
    return code;
}

Err h5_read_texts(const H5 *file, const char *path, int *n, const char *const **texts, Arena *arena, Error *err) {
    TextList list = {.arena = arena};
    H5Session s = h5_enter();
    Err code = read_texts_locked(file, path, &list, err);
    *n = list.n;
    *texts = list.items;
    return h5_leave(s, code);
}

Err h5_read_text(const H5 *file, const char *path, const char **text, Arena *arena, Error *err) {
    TextList list = {.arena = arena};
    H5Session s = h5_enter();
    Err code = read_texts_locked(file, path, &list, err);
    if (code == OK && list.n != 1)
        code = err_set(err, ERR_FORMAT, "%s: '%s' should hold one text, it holds %d", file->path, path, list.n);
    if (code == OK) *text = list.items[0];
    return h5_leave(s, code);
}

/* ---- writing text arrays ---- */

static Err write_texts_locked(H5 *f, const char *path, hid_t space, bool empty, const char *const *texts, Error *err) {
    bool made = h5_make_groups(f, path, false);
    hid_t type = text_type();
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, false);
    hid_t id = made ? H5Dcreate2(f->id, path, type, space, H5P_DEFAULT, properties, H5P_DEFAULT) : H5I_INVALID_HID;
    bool ok = id >= 0 && (empty || H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, texts) >= 0);
    Err code = ok && !f->io_error ? OK : h5_fail(f, err, "cannot write '%s'", path);
    if (id >= 0) H5Dclose(id);
    H5Pclose(properties);
    H5Tclose(type);
    H5Sclose(space);
    return code;
}

Err h5_write_texts(H5 *file, const char *path, int n, const char *const *texts, Error *err) {
    H5Session s = h5_enter();
    hsize_t dim = (hsize_t)n;
    return h5_leave(s, write_texts_locked(file, path, H5Screate_simple(1, &dim, NULL), n == 0, texts, err));
}

Err h5_write_text(H5 *file, const char *path, const char *text, Error *err) {
    H5Session s = h5_enter();
    return h5_leave(s, write_texts_locked(file, path, H5Screate(H5S_SCALAR), false, &text, err));
}
