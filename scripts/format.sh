#!/bin/sh
# Bring all C files into the project's format, or with --check only say which are not. clang-format 14: other versions
# format differently.
set -eu
cd "$(dirname "$0")/.."
format=clang-format-14
command -v $format >/dev/null || { echo "format.sh: $format is missing: scripts/packages.sh checks" >&2; exit 1; }
files=$(find src layers datasets tests scripts -name '*.[ch]' | LC_ALL=C sort)
if [ "${1:-}" = --check ]; then
    # shellcheck disable=SC2086
    $format --dry-run -Werror $files
else
    # shellcheck disable=SC2086
    $format -i $files
fi
