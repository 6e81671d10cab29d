#!/bin/sh
# Exported networks in the engines they are for, as PyPI has them: every scripts/interop/*_check.py in a virtual
# environment with what requirements.txt there lists. Nothing of the program needs any of it.
#   scripts/interop.sh BUILD            make the environment BUILD/interop-venv, if it is not there yet, and run the checks
#   scripts/interop.sh --fetch BUILD    only make it: fails where PyPI does not answer
# BUILD is a folder built with the tests. Each check gets --program, --library and --work, a folder of its own, and ends
# with 0 when all is well.
set -eu
fetch_only=false
if [ "${1:-}" = --fetch ]; then
    fetch_only=true
    shift
fi
[ $# -eq 1 ] || { echo "usage: interop.sh [--fetch] BUILD" >&2; exit 2; }
mkdir -p "$1"
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
venv=$build/interop-venv
wanted=scripts/interop/requirements.txt

if ! cmp -s "$wanted" "$venv/requirements.txt"; then
    rm -rf "$venv"
    scripts/packages.sh wheels
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$venv/requirements.txt" # last: the environment is whole
fi
$fetch_only && exit 0

failed=
for check in scripts/interop/*_check.py; do
    name=$(basename "$check" _check.py)
    work=$build/interop/$name
    rm -rf "$work"
    mkdir -p "$work"
    echo "== $name"
    KERAS_BACKEND=jax "$venv/bin/python" "$check" --program "$build/sandglass" --library "$build/libsandglass.so" \
        --work "$work" || failed="$failed $name"
done
[ -z "$failed" ] || { echo "failed:$failed"; exit 1; }
