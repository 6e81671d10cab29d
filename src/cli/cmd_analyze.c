/* cmd_analyze.c - sandglass analyze: what one does with a trained autoencoder. The table of analyses; each is a command
 * in a file of its own, analyze_NAME.c. */
#include "cli/analysis_out.h"

static const Command *const analyses[] = {
    &analyze_anomaly, &analyze_codes, &analyze_compress, &analyze_excite,  &analyze_filters,
    &analyze_maps,    &analyze_pca,   &analyze_probe,    &analyze_scatter, NULL};

const Command cmd_analyze = {
    .name = "analyze",
    .doc = "what a trained network is good for, in figures and pictures",
    .help =
        "Each analysis writes its pictures and NAME.json to --out DIR, by default the folder 'analysis' beside the\n"
        "checkpoint.\n",
    .parts = analyses};
