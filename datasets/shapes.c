/* shapes.c - generated scenes: textured shapes that overlap on a textured ground, and their masks. No download.
 *
 * Classes: background, circle, square, triangle, star, ring. Colours and textures are drawn without regard to the
 * class, so a network has to look at outlines. A scene is painted back to front: each shape is a signed distance in
 * pixels (negative inside), from which come its soft edge, its shadow and a rim; the mask has a shape's class where it
 * covers at least half a pixel. Sample i of a split is a function of (seed, split, i) alone.
 *
 * What is left of a shape behind others, or at the picture's edge, may be a corner that nobody can name. `visible` says
 * how much of each has to be seen: shapes are drawn until one finds such a place.
 */
#include "data/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ITEMS = 1000 };

typedef struct Shapes {
    int64_t n, height, width, min_shapes, max_shapes, seed;
    double noise, min_size, max_size, visible;
} Shapes;

static const Param shapes_params[] = {
    {"n", PARAM_INT, offsetof(Shapes, n), "256", 1, 1e9, NULL, "scenes"},
    {"height", PARAM_INT, offsetof(Shapes, height), "96", 8, 8192, NULL, "pixels"},
    {"width", PARAM_INT, offsetof(Shapes, width), "96", 8, 8192, NULL, "pixels"},
    {"min_shapes", PARAM_INT, offsetof(Shapes, min_shapes), "2", 0, MAX_ITEMS, NULL,
     "at least so many shapes in a scene"},
    {"max_shapes", PARAM_INT, offsetof(Shapes, max_shapes), "6", 0, MAX_ITEMS, NULL, "at most so many"},
    {"min_size", PARAM_FLOAT, offsetof(Shapes, min_size), "0.1", 0.01, 2, NULL,
     "smallest radius, as a part of the scene's shorter side"},
    {"max_size", PARAM_FLOAT, offsetof(Shapes, max_size), "0.25", 0.01, 2, NULL, "largest radius, likewise"},
    {"noise", PARAM_FLOAT, offsetof(Shapes, noise), "0.03", 0, 1, NULL,
     "deviation of the noise on each pixel; 1 is the full scale"},
    {"visible", PARAM_FLOAT, offsetof(Shapes, visible), "0", 0, 1, NULL,
     "share of each shape that is in the picture and not behind others, at least; a shape that finds no such place in "
     "32 tries is left out"},
    {"seed", PARAM_INT, offsetof(Shapes, seed), "1", 0, 1e15, NULL, "another seed gives other scenes"},
    {0}};

enum { BACKGROUND, CIRCLE, SQUARE, TRIANGLE, STAR, RING, N_CLASSES };
static const char *const class_names[N_CLASSES] = {"background", "circle", "square", "triangle", "star", "ring"};
static const uint8_t palette[N_CLASSES][3] = {{40, 42, 54},  {235, 87, 87},  {86, 180, 233},
                                              {94, 201, 98}, {253, 200, 60}, {187, 107, 217}};

struct Dataset {
    Shapes params;
    const char *split;
    uint64_t stream; /* tells splits apart */
};

typedef struct Vec {
    float x, y;
} Vec;
typedef struct Color {
    float r, g, b;
} Color;

/* ---- outlines: signed distance from the unit shape's edge, about the origin ---- */

static float clamp01(float v) {
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 0 below a, 1 above b, smooth between. */
static float ramp(float a, float b, float v) {
    float t = clamp01((v - a) / (b - a));
    return t * t * (3 - 2 * t);
}

static float mix(float a, float b, float t) {
    return a + (b - a) * t;
}

static float square_distance(Vec p) {
    const float half = 0.8F;
    float dx = fabsf(p.x) - half, dy = fabsf(p.y) - half;
    float outside = hypotf(fmaxf(dx, 0), fmaxf(dy, 0));
    return outside + fminf(fmaxf(dx, dy), 0);
}

/* Three half-planes at distance half the circumradius. */
static float triangle_distance(Vec p) {
    const float sin60 = 0.8660254F;
    return fmaxf(fabsf(p.x) * sin60 - p.y * 0.5F, p.y) - 0.5F;
}

/* Five points: fold the plane into one tenth of the circle; there the edge is one segment, from a point (radius 1) to a
 * notch. */
static float star_distance(Vec p) {
    const float tenth = 0.62831853F, notch = 0.45F;
    float angle = fmodf(fabsf(atan2f(p.x, p.y)), 2 * tenth), radius = hypotf(p.x, p.y);
    if (angle > tenth) angle = 2 * tenth - angle;
    Vec q = {radius * sinf(angle), radius * cosf(angle)};
    Vec tip = {0, 1}, edge = {notch * sinf(tenth), notch * cosf(tenth) - 1};
    Vec d = {q.x - tip.x, q.y - tip.y};
    float along = clamp01((d.x * edge.x + d.y * edge.y) / (edge.x * edge.x + edge.y * edge.y));
    float distance = hypotf(d.x - along * edge.x, d.y - along * edge.y);
    float side = d.x * edge.y - d.y * edge.x; /* below 0 on the outer side */
    return side < 0 ? distance : -distance;
}

static float distance_to(int shape, Vec p) {
    switch (shape) {
    case CIRCLE:
        return hypotf(p.x, p.y) - 0.9F;
    case SQUARE:
        return square_distance(p);
    case TRIANGLE:
        return triangle_distance(p);
    case STAR:
        return star_distance(p);
    default:
        return fabsf(hypotf(p.x, p.y) - 0.72F) - 0.22F;
    }
}

/* ---- textures ---- */

static uint32_t hash(int32_t x, int32_t y, uint32_t seed) {
    uint32_t h = seed ^ (uint32_t)x * 0x9E3779B1u ^ (uint32_t)y * 0x85EBCA77u;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    return h ^ h >> 15;
}

static float lattice(int32_t x, int32_t y, uint32_t seed) {
    return (float)(hash(x, y, seed) >> 8) * 0x1p-24F;
}

/* Smooth random values on the unit lattice, 0..1. */
static float value_noise(Vec p, uint32_t seed) {
    float fx = floorf(p.x), fy = floorf(p.y);
    int32_t x = (int32_t)fx, y = (int32_t)fy;
    float u = ramp(0, 1, p.x - fx), v = ramp(0, 1, p.y - fy);
    float top = mix(lattice(x, y, seed), lattice(x + 1, y, seed), u);
    float bottom = mix(lattice(x, y + 1, seed), lattice(x + 1, y + 1, seed), u);
    return mix(top, bottom, v);
}

/* Three octaves. */
static float cloud(Vec p, uint32_t seed) {
    float sum = 0, weight = 4.0F / 7;
    for (uint32_t octave = 0; octave < 3; octave++, weight *= 0.5F) {
        sum += weight * value_noise(p, seed + octave);
        p = (Vec){2 * p.x + 17.3F, 2 * p.y + 9.1F};
    }
    return sum;
}

enum { PLAIN, STRIPES, CHECKS, DOTS, CLOUDS, N_TEXTURES };

typedef struct Texture {
    int kind;
    Color a, b;
    float period; /* pixels */
    float cosine, sine;
    uint32_t seed;
} Texture;

/* How much of the second colour at p (pixels from the texture's origin); edges are a pixel soft. */
static float texture_level(const Texture *t, Vec p) {
    const float pi = 3.14159265F;
    Vec q = {(t->cosine * p.x + t->sine * p.y) / t->period, (t->cosine * p.y - t->sine * p.x) / t->period};
    float soft = t->period / pi; /* slope of sin(2 pi q) per pixel is at most 2 pi / period */
    switch (t->kind) {
    case STRIPES:
        return clamp01(0.5F + soft * 0.5F * sinf(2 * pi * q.x));
    case CHECKS:
        return clamp01(0.5F + soft * sinf(pi * q.x) * sinf(pi * q.y));
    case DOTS:
        return clamp01(0.5F + t->period * (0.32F - hypotf(q.x - roundf(q.x), q.y - roundf(q.y))));
    case CLOUDS:
        return ramp(0.25F, 0.75F, cloud((Vec){1.5F * q.x, 1.5F * q.y}, t->seed));
    default:
        return 0;
    }
}

static Color mix_color(Color a, Color b, float t) {
    return (Color){mix(a.r, b.r, t), mix(a.g, b.g, t), mix(a.b, b.b, t)};
}

static Color scale_color(Color c, float k) {
    return (Color){c.r * k, c.g * k, c.b * k};
}

/* A colour of this saturation and value (0..1) and any hue. */
static Color random_color(Rng *rng, double saturation, double value) {
    float hue = (float)rng_range(rng, 0, 6), part[3];
    for (int k = 0; k < 3; k++) {
        float h = fabsf(fmodf(hue + 2 * (float)(3 - k), 6) - 3) - 1;
        part[k] = (float)value * (1 - (float)saturation * (1 - clamp01(h)));
    }
    return (Color){part[0], part[1], part[2]};
}

static Texture random_texture(Rng *rng, float size) {
    float angle = (float)rng_range(rng, 0, 3.14159265);
    Texture t = {.kind = (int)rng_below(rng, N_TEXTURES), .cosine = cosf(angle), .sine = sinf(angle)};
    double value = rng_range(rng, 0.55, 1.0);
    t.a = random_color(rng, rng_range(rng, 0.35, 0.95), value);
    t.b = random_color(rng, rng_range(rng, 0.2, 0.9),
                       value > 0.78 ? rng_range(rng, 0.2, 0.5) : rng_range(rng, 0.85, 1));
    t.period = fmaxf(4, size * (float)rng_range(rng, 0.25, 0.6));
    t.seed = rng_u32(rng);
    return t;
}

/* ---- a scene ---- */

typedef struct Item {
    int shape;
    Vec center;
    float radius, cosine, sine; /* of its rotation */
    Texture texture;
    bool outlined;
    int64_t area, seen; /* pixels: of the whole shape, and of them those in the picture and not behind others */
} Item;

typedef struct Scene {
    int height, width;
    Vec light; /* direction towards it, unit length; image y points down */
    float gradient;
    Color ground_a, ground_b;
    float ground_period;
    uint32_t seed;
    Color *pixels; /* height * width */
    uint8_t *mask;
    int n_items;
    Item *items;     /* MAX_ITEMS, back to front */
    uint16_t *owner; /* height * width: 1 + the item that is seen there; 0: the ground */
} Scene;

static void paint_ground(Scene *s) {
    for (int y = 0; y < s->height; y++) {
        for (int x = 0; x < s->width; x++) {
            Vec p = {(float)x / s->ground_period, (float)y / s->ground_period};
            float fine = lattice(x, y, s->seed + 7) - 0.5F;
            Color c = mix_color(s->ground_a, s->ground_b, ramp(0.2F, 0.8F, cloud(p, s->seed)));
            s->pixels[(size_t)y * (size_t)s->width + (size_t)x] = scale_color(c, 1 + 0.06F * fine);
        }
    }
}

/* Distance in pixels from the item's edge to image position p, and the position in the item's own frame. */
static float item_distance(const Item *item, Vec p, Vec *own) {
    Vec d = {p.x - item->center.x, p.y - item->center.y};
    *own = (Vec){item->cosine * d.x + item->sine * d.y, item->cosine * d.y - item->sine * d.x};
    return item->radius * distance_to(item->shape, (Vec){own->x / item->radius, own->y / item->radius});
}

static Color item_color(const Scene *s, const Item *item, Vec p, Vec own, float distance) {
    Color c = mix_color(item->texture.a, item->texture.b, texture_level(&item->texture, own));
    float lit = ((p.x - item->center.x) * s->light.x + (p.y - item->center.y) * s->light.y) / item->radius;
    float rim = ramp(-0.22F * item->radius, 0, distance); /* darker towards the edge, as if rounded */
    float shade = 1 + 0.16F * lit - 0.22F * rim * rim;
    if (item->outlined) shade *= 1 - 0.55F * ramp(-2.2F, -1.2F, distance);
    return scale_color(c, shade);
}

/* What the item covers, shadow aside: its own pixels, and of those in the picture how many each item would lose. */
static void count_cover(const Scene *s, Item *item, int64_t *lost) {
    int reach = (int)(item->radius * 1.2F) + 2, x0 = (int)floorf(item->center.x), y0 = (int)floorf(item->center.y);
    item->area = item->seen = 0;
    memset(lost, 0, sizeof *lost * (size_t)(s->n_items + 1));
    for (int y = y0 - reach; y <= y0 + reach; y++) {
        for (int x = x0 - reach; x <= x0 + reach; x++) {
            Vec own;
            if (item_distance(item, (Vec){(float)x + 0.5F, (float)y + 0.5F}, &own) > 0) continue;
            item->area++;
            if (x < 0 || y < 0 || x >= s->width || y >= s->height) continue;
            item->seen++;
            lost[s->owner[(size_t)y * (size_t)s->width + (size_t)x]]++;
        }
    }
}

/* Whether the item, in front of all others, leaves enough to be seen of everything. */
static bool finds_place(const Scene *s, const Item *item, const int64_t *lost, double visible) {
    if ((double)item->seen < visible * (double)item->area) return false;
    for (int i = 0; i < s->n_items; i++)
        if ((double)(s->items[i].seen - lost[i + 1]) < visible * (double)s->items[i].area) return false;
    return true;
}

static void paint_item(Scene *s, const Item *item) {
    float drop = 0.14F * item->radius, blur = fmaxf(1.5F, 0.2F * item->radius);
    float reach = item->radius * 1.2F + drop + blur + 2;
    int x0 = (int)fmaxf(0, item->center.x - reach), x1 = (int)fminf((float)s->width, item->center.x + reach + 1);
    int y0 = (int)fmaxf(0, item->center.y - reach), y1 = (int)fminf((float)s->height, item->center.y + reach + 1);
    for (int y = y0; y < y1; y++) {
        for (int x = x0; x < x1; x++) {
            size_t i = (size_t)y * (size_t)s->width + (size_t)x;
            Vec p = {(float)x + 0.5F, (float)y + 0.5F}, own;
            Vec lifted = {p.x + drop * s->light.x, p.y + drop * s->light.y}; /* shadows fall away from the light */
            float shadow = 1 - ramp(-blur, blur, item_distance(item, lifted, &own));
            float distance = item_distance(item, p, &own), cover = clamp01(0.5F - distance);
            Color under = scale_color(s->pixels[i], 1 - 0.45F * shadow);
            s->pixels[i] = cover > 0 ? mix_color(under, item_color(s, item, p, own, distance), cover) : under;
            if (cover >= 0.5F) {
                s->mask[i] = (uint8_t)item->shape;
                s->owner[i] = (uint16_t)(s->n_items + 1);
            }
        }
    }
}

static Item random_item(const Shapes *k, Rng *rng) {
    float side = (float)(k->height < k->width ? k->height : k->width);
    float low = (float)fmin(k->min_size, k->max_size), high = (float)fmax(k->min_size, k->max_size);
    float angle = (float)rng_range(rng, 0, 6.2831853);
    Item item = {.shape = 1 + (int)rng_below(rng, N_CLASSES - 1), .cosine = cosf(angle), .sine = sinf(angle)};
    item.radius = side * mix(low, high, (float)rng_uniform(rng));
    item.center.x = (float)rng_range(rng, 0.04, 0.96) * (float)k->width;
    item.center.y = (float)rng_range(rng, 0.04, 0.96) * (float)k->height;
    item.texture = random_texture(rng, item.radius);
    item.outlined = rng_uniform(rng) < 0.3;
    return item;
}

/* Light over the whole scene, noise, 8 bit. */
static void finish(const Scene *s, double noise, uint8_t *rgb) {
    float half = 0.5F * hypotf((float)s->height, (float)s->width);
    for (int y = 0; y < s->height; y++) {
        for (int x = 0; x < s->width; x++) {
            size_t i = (size_t)y * (size_t)s->width + (size_t)x;
            float along = ((float)x - 0.5F * (float)s->width) * s->light.x +
                          ((float)y - 0.5F * (float)s->height) * s->light.y;
            Color c = scale_color(s->pixels[i], 1 + s->gradient * along / half);
            const float part[3] = {c.r, c.g, c.b};
            for (int k = 0; k < 3; k++) {
                /* four uniform values of 8 bit: close to normal, deviation 1 after scaling by sqrt(3) */
                uint32_t h = hash(x, 3 * y + k, s->seed + 99);
                float sum = (float)((h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24)) / 255.0F - 2;
                float value = part[k] + (float)noise * 1.7320508F * sum;
                rgb[3 * i + (size_t)k] = (uint8_t)(255 * clamp01(value) + 0.5F);
            }
        }
    }
}

/* Other tries keep the shape: a triangle finds a place more easily than a circle, and would be twice as frequent. */
static void add_item(Scene *s, const Shapes *k, Rng *rng) {
    int64_t lost[MAX_ITEMS + 1];
    int shape = -1;
    for (int tries = 0; tries < 32; tries++) {
        Item item = random_item(k, rng);
        if (shape >= 0) item.shape = shape;
        shape = item.shape;
        count_cover(s, &item, lost);
        if (!finds_place(s, &item, lost, k->visible)) continue;
        for (int i = 0; i < s->n_items; i++) s->items[i].seen -= lost[i + 1];
        paint_item(s, &item);
        s->items[s->n_items++] = item;
        return;
    }
}

static void paint(const Dataset *d, int64_t i, Scene *s, uint8_t *rgb) {
    const Shapes *k = &d->params;
    Rng rng = rng_stream((uint64_t)k->seed, RNG_DATASET, (uint64_t)i, d->stream);
    float side = (float)(k->height < k->width ? k->height : k->width);
    float angle = (float)rng_range(&rng, 0, 6.2831853);
    s->light = (Vec){cosf(angle), sinf(angle)};
    s->gradient = (float)rng_range(&rng, 0.1, 0.35);
    s->ground_a = random_color(&rng, rng_range(&rng, 0.1, 0.45), rng_range(&rng, 0.35, 0.7));
    s->ground_b = random_color(&rng, rng_range(&rng, 0.1, 0.45), rng_range(&rng, 0.5, 0.9));
    s->ground_period = fmaxf(4, side * (float)rng_range(&rng, 0.1, 0.4));
    s->seed = rng_u32(&rng);
    paint_ground(s);
    int64_t low = k->min_shapes, high = k->max_shapes > low ? k->max_shapes : low;
    int64_t n_items = low + rng_below(&rng, high - low + 1);
    for (int64_t n = 0; n < n_items; n++) add_item(s, k, &rng);
    finish(s, k->noise, rgb);
}

/* ---- the kind ---- */

static Err shapes_open(Dataset **out, const void *params, const DatasetEnv *env, DatasetInfo *info, Error *err) {
    Dataset *d = calloc(1, sizeof *d);
    if (d == NULL) return err_set(err, ERR_MEMORY, "no memory for a dataset");
    d->params = *(const Shapes *)params;
    d->split = arena_strdup(env->arena, env->split);
    d->stream = 0xCBF29CE484222325u; /* FNV-1a */
    for (const char *c = env->split; *c != '\0'; c++) d->stream = (d->stream ^ (uint8_t)*c) * 0x100000001B3u;
    *info = (DatasetInfo){.n = d->params.n,
                          .channels = 3,
                          .height = (int)d->params.height,
                          .width = (int)d->params.width,
                          .depth = 8,
                          .has_mask = true,
                          .masks_mapped = true,
                          .n_classes = N_CLASSES,
                          .class_names = class_names,
                          .palette = palette};
    *out = d;
    return OK;
}

static Err shapes_read(Dataset *d, int64_t i, Sample *out, Error *err) {
    int height = (int)d->params.height, width = (int)d->params.width;
    Scene scene = {.height = height, .width = width};
    out->label = -1;
    TRY(image_new(&out->image, width, height, 3, 8, err));
    TRY(image_new(&out->mask, width, height, 1, 8, err));
    scene.mask = out->mask.u8;
    const size_t n = (size_t)height * (size_t)width;
    scene.pixels = malloc(n * sizeof(Color));
    scene.owner = calloc(n, sizeof *scene.owner);
    scene.items = malloc(MAX_ITEMS * sizeof(Item));
    bool room = scene.pixels != NULL && scene.owner != NULL && scene.items != NULL;
    if (room) paint(d, i, &scene, out->image.u8);
    free(scene.pixels);
    free(scene.owner);
    free(scene.items);
    return room ? OK : err_set(err, ERR_MEMORY, "no memory to paint a scene of %dx%d", width, height);
}

static void shapes_name_of(const Dataset *d, int64_t i, char *text, size_t bytes) {
    snprintf(text, bytes, "%s[%" PRId64 "]", d->split, i);
}

static void shapes_close(Dataset *d) {
    free(d);
}

const DatasetKind dataset_shapes = {
    .name = "shapes",
    .doc = "generated scenes with textured shapes and their masks; needs no files",
    .params = shapes_params,
    .params_bytes = sizeof(Shapes),
    .open = shapes_open,
    .read = shapes_read,
    .name_of = shapes_name_of,
    .close = shapes_close,
    .parallel = true,
};
