#!/bin/sh
# Bad input: every case in tests/bad/program/ goes through the program; what it says on stderr and its exit code must be
# exactly what stands beside it. (tests/bad/config/ is test_config.c's, tests/bad/h5/ test_h5.c's.)
#   NAME.yaml + NAME.err   `sandglass check NAME.yaml`
#   NAME.sh   + NAME.err   the commands of NAME.sh, with the program as $SANDGLASS
# NAME.err is stderr; its first line is "exit N" when N is not 1. Cases run in a copy of the folder.
#   run_bad.sh PROGRAM            run all
#   run_bad.sh PROGRAM --update   write what the program says into the .err files (then read the difference)
set -u
SANDGLASS=$(realpath "$1")
export SANDGLASS
update=${2:-}
bad=$(cd "$(dirname "$0")/bad/program" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-bad-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset SANDGLASS_DATA
export OMP_NUM_THREADS=1
n=0
failed=0

# run_case NAME: in a copy of its own; what the program says goes to $work/NAME.got.
run_case() {
    cp -r "$bad" "$work/$1"
    cd "$work/$1" || exit 1
    if [ -e "$1.sh" ]; then
        sh -eu "./$1.sh" >/dev/null 2>"$work/$1.stderr"
    else
        "$SANDGLASS" check "$1.yaml" >/dev/null 2>"$work/$1.stderr"
    fi
    code=$?
    { [ $code -eq 1 ] || echo "exit $code"; cat "$work/$1.stderr"; } >"$work/$1.got"
    cd "$bad" || exit 1
    rm -r "${work:?}/$1"
}

cd "$bad" || exit 1
if [ "$update" = --update ]; then
    for case in *.sh *.yaml; do
        name=${case%.*}
        # A config that is part of a case is no case.
        case $name in base*) continue ;; esac
        run_case "$name"
        cp "$work/$name.got" "$name.err"
    done
    exit
fi

for err in *.err; do
    name=${err%.err}
    [ -e "$name.sh" ] || [ -e "$name.yaml" ] && continue
    echo "FAILED: $name.err is there, but neither $name.sh nor $name.yaml"
    failed=$((failed + 1))
done
for case in *.sh *.yaml; do
    name=${case%.*}
    err=$name.err
    # A config that is part of a case is no case.
    case $name in base*) continue ;; esac
    if [ ! -e "$err" ]; then
        echo "FAILED: $name: no $err beside it that says what must come out"
        failed=$((failed + 1))
        continue
    fi
    run_case "$name"
    n=$((n + 1))
    if ! diff -u "$err" "$work/$name.got"; then
        echo "FAILED: $name"
        failed=$((failed + 1))
    fi
done
echo "$n cases, $failed failed"
[ $failed -eq 0 ] && [ $n -gt 0 ]
