/* engine.c - oneDNN's engine and stream, the number of threads, and what library runs on what processor. */
#include "engine/internal.h"

#include <omp.h>
#include <stdio.h>

static const char *isa_name(dnnl_cpu_isa_t isa) {
    switch ((int)isa) {
    case dnnl_cpu_isa_sse41:
        return "SSE4.1";
    case dnnl_cpu_isa_avx:
        return "AVX";
    case dnnl_cpu_isa_avx2:
        return "AVX2";
    case dnnl_cpu_isa_avx2_vnni:
        return "AVX2_VNNI";
    case dnnl_cpu_isa_avx512_core:
        return "AVX512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "AVX512_VNNI";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "AVX512_BF16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "AMX";
    default:
        return "another processor";
    }
}

Err engine_new(Engine **out, int threads, Error *err) {
    *out = NULL;
    if (threads > 0) omp_set_num_threads(threads);
    Engine *e = calloc(1, sizeof(*e));
    if (!e) return err_set(err, ERR_MEMORY, "out of memory for the engine");
    dnnl_status_t status = dnnl_engine_create(&e->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = dnnl_stream_create(&e->stream, e->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        engine_free(e);
        return err_set(err, ERR_ENGINE, "oneDNN cannot start on this processor (status %d)", (int)status);
    }
    e->threads = omp_get_max_threads();
    const dnnl_version_t *v = dnnl_version();
    snprintf(e->text, sizeof(e->text), "oneDNN %d.%d.%d, %s, %d thread%s", v->major, v->minor, v->patch,
             isa_name(dnnl_get_effective_cpu_isa()), e->threads, e->threads == 1 ? "" : "s");
    *out = e;
    return OK;
}

void engine_free(Engine *e) {
    if (!e) return;
    if (e->stream) dnnl_stream_destroy(e->stream);
    if (e->engine) dnnl_engine_destroy(e->engine);
    free(e);
}

int engine_threads(const Engine *e) {
    return e->threads;
}

int engine_enter(const Engine *e) {
    const int threads = omp_get_max_threads();
    if (e && e->threads != threads) omp_set_num_threads(e->threads);
    return threads;
}

void engine_leave(int threads) {
    if (threads != omp_get_max_threads()) omp_set_num_threads(threads);
}

/* oneDNN's names of instruction sets are sets of bits, not in an order: AVX2_VNNI is a larger number than AVX512_BF16.
 */
static bool isa_includes(unsigned isa, unsigned wanted) {
    return (isa & wanted) == wanted;
}

bool engine_has_bf16(const Engine *e) {
    return isa_includes(dnnl_get_effective_cpu_isa(), dnnl_cpu_isa_avx512_core_bf16);
}

bool engine_has_int8(const Engine *e) {
    const unsigned isa = dnnl_get_effective_cpu_isa();
    return isa_includes(isa, dnnl_cpu_isa_avx512_core_vnni) || isa_includes(isa, dnnl_cpu_isa_avx2_vnni);
}

const char *engine_describe(const Engine *e) {
    return e->text;
}
