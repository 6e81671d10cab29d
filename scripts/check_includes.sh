#!/bin/sh
# The include rules of src/README.md: a file includes only what is below it, a foreign library has one place, and only
# the program talks to stderr or ends the process. Prints FILE:LINE: what is wrong; exit code 1 when anything is.
# An argument is the root to look at (default: the project).
set -eu
cd "${1:-$(dirname "$0")/..}"
find src layers datasets tests -name '*.[ch]' | LC_ALL=C sort | xargs awk '
function area_of(path) {                 # folder that a file or an include belongs to
    sub(/^src\//, "", path)
    if (path !~ /\//) return path        # sandglass.h, sandglass.c
    sub(/\/.*/, "", path)
    return path
}
function bad(words) { printf "%s:%d: %s\n", FILENAME, FNR, words; found = 1 }

BEGIN {
    rank["sandglass.h"] = 0; rank["base"] = 1
    rank["config"] = rank["io"] = rank["engine"] = 2
    rank["model"] = rank["data"] = 3
    rank["layers"] = rank["datasets"] = 4
    rank["train"] = rank["analysis"] = 5; rank["export"] = 6
    rank["sandglass.c"] = rank["cli"] = 7
    rank["tests"] = 8
    # What an area may reach when that is less than all lower ranks.
    only["model"] = "base config engine"
    only["data"] = "base config io"
    only["layers"] = "base"
    only["datasets"] = "base io"
    only["analysis"] = "base io"
    only["train"] = "sandglass.h base config io engine model data"
    only["export"] = "base config io engine model data train"
    # Single headers beyond that.
    also["layers"] = "engine/build.h model/layer.h"
    also["datasets"] = "data/dataset.h"
    also["export"] = "layers/common.h layers/window.h"
    # Foreign headers and the files that may include them.
    foreign["dnnl"] = "^src/engine/"
    foreign["hdf5"] = "^src/io/h5[_a-z]*[.][ch]$"
    foreign["stb_image"] = "^src/io/image[_a-z]*[.]c$"
    foreign["yaml[.]h"] = "^src/config/yaml[.]c$"
    foreign["zlib"] = "^(datasets/idx[.]c|src/io/.*[.]c|src/train/checkpoint[_a-z]*[.]c)$"
    foreign["lapacke"] = "^src/analysis/pca[.]c$"
    foreign["lbfgs"] = "^src/analysis/probe[.]c$"
    foreign["(protobuf-c/|onnx)"] = "^src/export/onnx[_a-z]*[.][ch]$"
    foreign["Random123"] = "^src/base/rng[.]c$"
}
FNR == 1 { from = area_of(FILENAME); code = FILENAME !~ /^tests\// && FILENAME !~ /^src\/cli\// }

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    to = area_of(part[2])
    if (part[2] !~ /\// && part[2] != "sandglass.h") {
        if (from != "tests") bad("write the include with its folder: \"" part[2] "\"")
        next
    }
    if (to == from) next
    if (!(to in rank)) { bad("\"" part[2] "\" is in no known folder"); next }
    if ((" " also[from] " ") ~ (" " part[2] " ")) next
    if (rank[to] >= rank[from]) bad("includes \"" part[2] "\", which is not below " from)
    else if (from in only && (" " only[from] " ") !~ (" " to " "))
        bad("includes \"" part[2] "\"; " from " may reach: " only[from] (from in also ? " " also[from] : ""))
}
/^[ \t]*#[ \t]*include[ \t]*</ && code {
    for (name in foreign) {
        if ($0 ~ ("<([a-zA-Z0-9_]+/)*" name) && FILENAME !~ foreign[name])
            bad("includes " $2 ", which belongs into " foreign[name])
    }
}
/(^|[^a-zA-Z0-9_])(exit|_exit|printf|puts|perror)[ ]*\(/ && code && !/^[ \t]*(\/?\*|\/\/)/ {
    if ($0 !~ /__attribute__/) bad("only the program (src/cli) and tests may print or exit")
}
/(stderr|stdout)/ && code && !/^[ \t]*(\/?\*|\/\/)/ { bad("only the program (src/cli) and tests may print or exit") }
END { exit found }
'
