/* profile.c - what the steps of a program are, and the clock around them. The primitives alone: bare.c. */
#include "engine/profile.h"

#include "engine/bare.h"

#include <string.h>

int program_n_steps(const Program *p) {
    return p->n_steps;
}

StepInfo program_step(const Program *p, int i) {
    const Step *s = p->steps[i];
    const char *implementation = step_implementation(s);
    return (StepInfo){.kind = step_kind_names[s->kind],
                      .scope = s->scope,
                      .name = s->name,
                      .implementation = implementation,
                      .constant = s->constant,
                      .reference = s->pd && strncmp(implementation, "ref", 3) == 0};
}

bool program_is_bf16(const Program *p) {
    return p->build->options.bf16;
}

void program_watch(Program *p, double *moments) {
    p->moments = moments;
}
