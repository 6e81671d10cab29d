/* test_model_files.c - damaged, foreign and hostile model files: each gives one clear error, and none brings the
 * program down. Byte by byte, as fuzz_model.c does (the corpus as it is, cut off, with bytes changed), and, since a
 * checksum stops those at the door, with valid files whose contents are wrong: written anew with one thing changed, and
 * with random changes in the config's text. Fixed seeds; SANDGLASS_TEST_SEED adds one, SANDGLASS_FUZZ_ROUNDS rounds. */
#define LLVMFuzzerTestOneInput fuzz_model
#include "fuzz_model.c"
#undef LLVMFuzzerTestOneInput

#include "base/rng.h"
#include "scratch.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

/* ---- a file made to order ---- */

#define CONFIG                                                                                                         \
    "task: segmentation\nname: small\n"                                                                                \
    "data: {kind: shapes, classes: [ground, thing]}\n"                                                                 \
    "model: {input: [3, 8, 8], layers: [{conv2d: {filters: 4, padding: same}, name: a}, {maxpool2d: 2, name: p}, "     \
    "{max_unpool2d: {pool: p}, name: u}, {concat: ~, from: [u, a], name: c}, "                                         \
    "{conv2d: {filters: 2, kernel: 1, activation: softmax}, name: out}], outputs: [out], aliases: {enc: a}}\n"

/* What is in it; {0} members stand for what is right. */
typedef struct Forge {
    const char *format, *dtype, *config, *class_name;
    int64_t version;
    int64_t input[8];
    int n_input;
    const char *without, *extra, *narrow; /* names of weights: left out; one too many; with half of its rows */
    bool doubles;                         /* weights of 64 bits */
    bool no_crc, bad_crc;
    const char *ranged; /* a layer with a range of `range`; NULL: none */
    float range;
} Forge;

static void put_weight(Scratch *s, H5 *file, const Forge *f, const char *name, H5Array array) {
    const char *path = arena_printf(s->arena, "/weights/%s", name);
    if (f->without && strcmp(f->without, name) == 0) return;
    if (f->narrow && strcmp(f->narrow, name) == 0) array.dim[0] /= 2;
    if (f->doubles) array.type = H5_F64;
    double zeros[512] = {0};
    CHECK(h5_write(file, path, array, NULL, zeros, &s->err));
    size_t n = sizeof(float);
    for (int i = 0; i < array.rank; i++) n *= (size_t)array.dim[i];
    const int64_t crc = (int64_t)crc32_z(0, (const Bytef *)zeros, n);
    if (!f->no_crc) CHECK(h5_set_int(file, path, "crc32", f->bad_crc ? crc ^ 1 : crc, &s->err));
}

static void forge(Scratch *s, const char *name, const Forge *f) {
    static const int64_t usual[] = {1, 3, 8, 8};
    H5 *file;
    CHECK(h5_create(&file, scratch_path(s, name), &s->err));
    CHECK(h5_set_text(file, "/", "format", f->format ? f->format : "sandglass-frozen", &s->err));
    CHECK(h5_set_int(file, "/", "version", f->version ? f->version : 1, &s->err));
    CHECK(h5_set_text(file, "/", "dtype", f->dtype ? f->dtype : "f32", &s->err));
    CHECK(h5_set_text(file, "/", "program", "0.1.0", &s->err));
    CHECK(h5_set_text(file, "/", "onednn", "2.6.3", &s->err));
    CHECK(h5_set_text(file, "/", "hdf5", "1.10.8", &s->err));
    CHECK(h5_write_text(file, "/config", f->config ? f->config : CONFIG, &s->err));
    const int n = f->n_input ? f->n_input : 4;
    CHECK(h5_write(file, "/input", (H5Array){H5_I64, 1, {n}}, NULL, f->n_input ? f->input : usual, &s->err));
    const char *classes[] = {f->class_name ? f->class_name : "ground", "thing"};
    CHECK(h5_write_texts(file, "/classes", 2, classes, &s->err));
    put_weight(s, file, f, "a/weights", (H5Array){H5_F32, 4, {4, 3, 3, 3}});
    put_weight(s, file, f, "a/bias", (H5Array){H5_F32, 1, {4}});
    put_weight(s, file, f, "out/weights", (H5Array){H5_F32, 4, {2, 8, 1, 1}});
    put_weight(s, file, f, "out/bias", (H5Array){H5_F32, 1, {2}});
    if (f->extra) put_weight(s, file, f, f->extra, (H5Array){H5_F32, 1, {2}});
    if (f->ranged) {
        CHECK(h5_write_texts(file, "/ranges/nodes", 1, &f->ranged, &s->err));
        CHECK(h5_write(file, "/ranges/largest", (H5Array){H5_F32, 1, {1}}, NULL, &f->range, &s->err));
        CHECK(h5_write(file, "/ranges/negative", (H5Array){H5_U8, 1, {1}}, NULL, "x", &s->err));
    }
    CHECK(h5_commit(file, NULL, &s->err));
    h5_close(file);
}

static Err open_model(Scratch *s, const char *name) {
    Checkpoint *c = NULL;
    Net *net = NULL;
    Err code = checkpoint_open(&c, scratch_path(s, name), false, NULL, s->arena, &s->err);
    if (code == OK) code = net_open(&net, c, 0, NULL, 1, &s->err);
    checkpoint_close(c);
    net_close(net);
    return code;
}

static void feed(Scratch *s) {
    size_t n;
    void *bytes = scratch_read(scratch_path(s, "m.h5"), &n);
    fuzz_model(bytes, n);
    free(bytes);
}

/* The error says this; a config may have several mistakes, anything else is one. */
static void refuse(Scratch *s, const Forge *f, const char *words) {
    forge(s, "m.h5", f);
    if (open_model(s, "m.h5") == OK) fail_msg("opened, but should say '%s'", words);
    assert_true(s->err.count == 1 || f->config);
    if (!strstr(s->err.text, words)) fail_msg("'%s' does not say '%s'", s->err.text, words);
    err_clear(&s->err);
    feed(s);
}

static void accept(Scratch *s, const Forge *f) {
    forge(s, "m.h5", f);
    CHECK(open_model(s, "m.h5"));
    feed(s);
}

#define MODEL(layers)                                                                                                  \
    "task: segmentation\ndata: {kind: shapes, classes: [a, b]}\nmodel: {input: [3, 8, 8], " layers "}\n"

static void test_wrong_contents(void **state) {
    Scratch *s = *state;
    refuse(s, &(Forge){.format = "sandglass-thawed"}, "an HDF5 file of another kind, not a sandglass checkpoint");
    refuse(s, &(Forge){.version = 2}, "frozen model version 2, this program reads up to 1");
    refuse(s, &(Forge){.version = -1}, "there is no frozen model version -1");
    refuse(s, &(Forge){.version = INT64_MAX}, "written by a newer sandglass");
    refuse(s, &(Forge){.dtype = "int4"}, "of an unknown type, 'int4'");
    refuse(s, &(Forge){.dtype = "bf16"}, "'/weights/a/weights' is float32 4x3x3x3, expected uint16 4x3x3x3");
    refuse(s, &(Forge){.doubles = true}, "'/weights/a/weights' is float64 4x3x3x3, expected float32 4x3x3x3");
    refuse(s, &(Forge){.narrow = "a/weights"}, "is float32 2x3x3x3, expected float32 4x3x3x3");
    refuse(s, &(Forge){.without = "out/bias"}, "there is no '/weights/out/bias'");
    refuse(s, &(Forge){.extra = "other/bias"}, "weights that its own network does not have: 'other/bias'");
    refuse(s, &(Forge){.no_crc = true}, "crc32");
    refuse(s, &(Forge){.bad_crc = true}, "do not match their checksum");
    accept(s, &(Forge){0});
    accept(s, &(Forge){.ranged = "c", .range = 3});
    refuse(s, &(Forge){.ranged = "d", .range = 3}, "'/ranges' names a layer that its network does not have: 'd'");
    refuse(s, &(Forge){.ranged = "c", .range = -1}, "'/ranges' has an unusable range for 'c': -1");
    refuse(s, &(Forge){.ranged = "c", .range = INFINITY}, "unusable range");
    refuse(s, &(Forge){.ranged = "c", .range = NAN}, "unusable range");
    accept(s, &(Forge){.dtype = "int8"}); /* so small that all of it is in 32 bits */
    refuse(s,
           &(Forge){.dtype = "int8",
                    .config = "task: reconstruction\ndata: {kind: shapes}\nmodel: {input: [3, 8, 8], layers: "
                              "[{conv2d: 4, name: a}, {conv2d: {filters: 16, kernel: 1}, name: out}]}\n"},
           "'/weights/out/weights' is float32 2x8x1x1, expected int8 16x4x1x1");
    refuse(s, &(Forge){.n_input = 1, .input = {3}}, "'/input' should hold 2 to 5 sizes, it holds 1");
    refuse(s, &(Forge){.n_input = 8, .input = {1, 1, 1, 1, 1, 1, 1, 1}}, "'/input' should hold 2 to 5 sizes");
    refuse(s, &(Forge){.n_input = 4, .input = {1, 3, INT64_MAX, 8}}, "'/input' has an unusable size");
    refuse(s, &(Forge){.n_input = 4, .input = {1, -3, 8, 8}}, "'/input' has an unusable size");
}

/* What the network would take is compared with what the file holds before memory is asked for. */
static void test_absurd_sizes(void **state) {
    Scratch *s = *state;
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: {filters: 65536, kernel: 255}, name: a}]")}, "255x255");
    refuse(s,
           &(Forge){.config = MODEL("layers: [{conv2d: {filters: 65536, padding: same}, name: a}, "
                                    "{conv2d: {filters: 65536, kernel: 255, padding: same}, name: out}]")},
           "m.h5");
    refuse(s, &(Forge){.config = MODEL("layers: [{dense: 16777216, name: a}, {dense: 16777216, name: out}]")}, "m.h5");
    refuse(s, &(Forge){.config = MODEL("layers: [{repeat: 4097, layers: [{pad: 1}]}]")}, "repeat");
    refuse(s,
           &(Forge){.config = MODEL("layers: [{upsample2d: 64}, {upsample2d: 64}, {upsample2d: 64}, "
                                    "{upsample2d: 64}]")},
           "the result would be");
    accept(s, &(Forge){.n_input = 4, .input = {1, 3, 1 << 24, 1 << 24}}); /* the config's own input counts */
}

static const char *repeated(Scratch *s, const char *piece, int n) {
    size_t bytes = strlen(piece);
    char *text = arena_alloc(s->arena, bytes * (size_t)n + 1);
    for (int i = 0; i < n; i++) memcpy(text + bytes * (size_t)i, piece, bytes);
    return text;
}

static void test_hostile_texts(void **state) {
    Scratch *s = *state;
    refuse(s, &(Forge){.config = "extends: /etc/passwd\n" CONFIG},
           "a config that is stored in a model has no other files");
    refuse(s, &(Forge){.config = "{\"extends\": [../secret.yaml]}\n"}, "has no other files");
    refuse(s, &(Forge){.config = ""}, "m.h5:/config");
    refuse(s, &(Forge){.config = "\x01\x02%s%n%s%n"}, "m.h5:/config");
    refuse(s, &(Forge){.config = repeated(s, "[", 100000)}, "m.h5:/config");
    refuse(s, &(Forge){.config = repeated(s, "a: {", 2000)}, "m.h5:/config");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: '../../a'}]")}, "a name is made of letters");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: 'a//b'}]")}, "a name is made of letters");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: a}], aliases: {a: a}")},
           "model.aliases: there is a layer 'a' already");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: a}], aliases: {b: c}")},
           "the network has no layer 'c'");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: a}], aliases: {b: [a]}")},
           "model.aliases: 'b' must be the name of a layer");
    refuse(s, &(Forge){.config = MODEL("layers: [{conv2d: 2, name: a}], aliases: [b]")},
           "model.aliases: expected a map {NAME: LAYER}");
    refuse(s, &(Forge){.config = MODEL("layers: [{max_unpool2d: {pool: u}, name: u}]")},
           "names no layer before this one");
    refuse(s, &(Forge){.format = repeated(s, "sandglass-frozen", 4000)}, "not a sandglass checkpoint");
    refuse(s, &(Forge){.dtype = repeated(s, "%n", 20000)}, "of an unknown type");
    /* a name is only shown */
    accept(s, &(Forge){.class_name = repeated(s, "\xc3\xbc%s\x1b[2J", 5000)});
}

/* ---- bytes ---- */

static Rng rng;

static void flip_bytes(uint8_t *bytes, size_t n) {
    for (int64_t k = 1 + rng_below(&rng, 4); k > 0; k--) {
        size_t at = (size_t)rng_below(&rng, (int64_t)n);
        bytes[at] = rng_below(&rng, 2) ? (uint8_t)rng_u32(&rng) : bytes[at] ^ (uint8_t)(1u << rng_below(&rng, 8));
    }
}

static void feed_file(const char *path, int n_rounds) {
    size_t n;
    uint8_t *bytes = scratch_read(path, &n);
    fuzz_model(bytes, n);
    for (int round = 0; round < n_rounds; round++) {
        uint8_t *changed = malloc(n); /* of its own, so that reading behind it is noticed */
        memcpy(changed, bytes, n);
        size_t left = round % 3 == 0 ? (size_t)rng_below(&rng, (int64_t)n) : n;
        if (round % 3 != 0) flip_bytes(changed, n);
        fuzz_model(changed, left);
        free(changed);
    }
    free(bytes);
}

static int n_rounds;

static void test_corpus(void **state) {
    int n_files = 0;
    DIR *dir = opendir(TESTS_DIR "/corpus/model");
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", TESTS_DIR "/corpus/model", e->d_name);
        if (e->d_name[0] == '.') continue;
        feed_file(path, n_rounds);
        n_files++;
    }
    closedir(dir);
    assert_true(n_files >= 4);
}

/* The corpus is what it is meant to be: models that open. */
static void test_corpus_opens(void **state) {
    Scratch *s = *state;
    static const char *const names[] = {"checkpoint.h5", "f32.h5", "bf16.h5", "int8.h5"};
    for (int i = 0; i < 4; i++) {
        Checkpoint *c = NULL;
        Net *net = NULL;
        CHECK(checkpoint_open(&c, arena_printf(s->arena, TESTS_DIR "/corpus/model/%s", names[i]), false, NULL, s->arena,
                              &s->err));
        assert_int_equal(checkpoint_is_frozen(c), i > 0);
        CHECK(net_open(&net, c, 0, NULL, 1, &s->err));
        checkpoint_close(c);
        net_close(net);
    }
}

/* ---- texts with random changes, in files that are otherwise right ---- */

static void test_changed_configs(void **state) {
    Scratch *s = *state;
    static const char alphabet[] = "{}[],:-~'\"$ \n0123456789.eax/&*!|>#%@";
    const size_t length = strlen(CONFIG);
    char text[sizeof CONFIG];
    for (int round = 0; round < n_rounds; round++) {
        memcpy(text, CONFIG, sizeof text);
        for (int64_t k = 1 + rng_below(&rng, 3); k > 0; k--)
            text[rng_below(&rng, (int64_t)length)] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        if (round % 4 == 0) text[rng_below(&rng, (int64_t)length)] = 0;
        forge(s, "m.h5", &(Forge){.config = text});
        feed(s);
    }
}

int main(void) {
    const char *given = getenv("SANDGLASS_TEST_SEED"), *rounds = getenv("SANDGLASS_FUZZ_ROUNDS");
    n_rounds = rounds ? atoi(rounds) : 60;
    rng = rng_stream(given ? strtoull(given, NULL, 10) : 1, RNG_TEST, 5, 5);
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_wrong_contents), TEST(test_absurd_sizes), TEST(test_hostile_texts),
        TEST(test_corpus_opens),   TEST(test_corpus),       TEST(test_changed_configs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
