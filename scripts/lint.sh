#!/bin/sh
# clang-tidy over all C files of the program, with the checks of .clang-tidy; any finding is a failure.
# Needs a configured build folder (default build/) for its compile_commands.json.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
tidy=clang-tidy-14
command -v $tidy >/dev/null || { echo "lint.sh: $tidy is missing: scripts/packages.sh checks" >&2; exit 1; }
[ -f "$build/compile_commands.json" ] || { echo "lint.sh: $build is not configured" >&2; exit 1; }
# Its count of warnings in other people's headers goes to stderr: of no use, unless it fails.
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! find src layers datasets -name '*.c' | LC_ALL=C sort |
    xargs -P 2 -n 4 $tidy -p "$build" --quiet --warnings-as-errors='*' 2>"$said"; then
    cat "$said" >&2
    exit 1
fi
echo "lint: no findings"
