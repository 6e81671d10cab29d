/* tta_options.c - see tta_options.h. */
#include "cli/tta_options.h"

#include "base/number.h"

#include <string.h>

Err tta_options_read(TtaSpec *out, const TtaOptions *options, Error *err) {
    *out = (TtaSpec){.flip = options->flip};
    const char *at = options->scales;
    while (at) {
        char text[NUMBER_BYTES];
        size_t length = strcspn(at, ",");
        snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1), at);
        if (out->n_scales == TTA_MAX_SCALES)
            return err_set(err, ERR_USAGE, "--scales: at most %d, got '%s'", TTA_MAX_SCALES, options->scales);
        if (!number_parse(text, &out->scales[out->n_scales++]))
            return err_set(err, ERR_USAGE, "--scales: expected numbers with commas between, got '%s'", options->scales);
        at = at[length] ? at + length + 1 : NULL;
    }
    return OK;
}
