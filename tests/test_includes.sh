#!/bin/sh
# The project keeps its include rules, and the script that says so notices when they are broken.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
check=$root/scripts/check_includes.sh
"$check"

work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-includes-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir -p src/base src/engine src/io src/model src/data src/train src/analysis src/cli layers datasets tests

# expect LINE TEXT FILE: the file must be found wrong at the line with the words.
expect() {
    printf '%b' "$3" >"$2"
    if "$check" "$work" >out 2>&1; then
        echo "not noticed in $2: $3"
        exit 1
    fi
    if ! grep -q "^$2:$1: .*$4" out; then
        echo "expected $2:$1: ...$4..., got:"
        cat out
        exit 1
    fi
    rm "$2"
}
expect 1 src/base/a.c '#include "io/h5.h"\n' 'not below base'
expect 2 src/io/a.c '\n#include "engine/build.h"\n' 'not below io'
expect 1 src/model/a.c '#include "io/h5.h"\n' 'model may reach'
expect 1 src/data/a.h '#include "model/graph.h"\n' 'not below data'
expect 1 layers/a.c '#include "engine/engine.h"\n' 'layers may reach'
expect 1 datasets/a.c '#include "layers/list.h"\n' 'not below datasets'
expect 1 src/train/a.c '#include "layers/list.h"\n' 'train may reach'
expect 1 src/train/a.c '#include "cli/command.h"\n' 'not below train'
expect 1 src/model/a.c '#include <dnnl.h>\n' 'belongs into'
expect 1 src/model/a.c '#include <oneapi/dnnl/dnnl.h>\n' 'belongs into'
expect 1 src/train/a.c '#include <hdf5.h>\n' 'belongs into'
expect 1 src/analysis/a.c '#include "train/net.h"\n' 'not below analysis'
expect 1 src/analysis/a.c '#include "model/graph.h"\n' 'analysis may reach'
expect 1 src/train/a.c '#include <lapacke.h>\n' 'belongs into'
expect 1 src/io/a.c '#include "h5.h"\n' 'with its folder'
expect 2 src/train/a.c 'void f(void) {\n    exit(1);\n}\n' 'may print or exit'
expect 1 src/train/a.c 'void f(void) { fprintf(stderr, "x"); }\n' 'may print or exit'

printf '#include "base/a.h"\n#include <dnnl.h>\n' >src/engine/a.c
printf '#include "engine/build.h"\n#include "model/layer.h"\n' >layers/a.c
printf '#include "train/a.h"\n#include "base/a.h"\n#include "sandglass.h"\n' >src/cli/a.c
"$check" "$work"
