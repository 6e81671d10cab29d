# program.sh - how the shell tests run the program; to be sourced, with the names of both programs:
#   . program.sh NAME SANDGLASS JSON_CHECK
# Afterwards they are in a scratch folder of their own, which goes with them.
SANDGLASS=$(realpath "$2")
JSON_CHECK=$(realpath "$3")
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-$1-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset SANDGLASS_DATA
failures=0

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' out err 2>/dev/null | tail -n 20
    failures=$((failures + 1))
}
# run CODE ARGS...: run the program, expect the exit code; stdout in out, stderr in err.
run() {
    local wanted=$1 code
    shift
    "$SANDGLASS" "$@" >out 2>err
    code=$?
    [ $code -eq "$wanted" ] || fail "sandglass $*: exit code $code, expected $wanted"
}
in_out() { grep -qF -- "$1" out || fail "stdout lacks: $1"; }
in_err() { grep -qF -- "$1" err || fail "stderr lacks: $1"; }
# stdout is one line, one JSON object; each PATH leads to something in it (see json_check.c).
json_has() {
    [ "$(wc -l <out)" -eq 1 ] && [ "$(head -c 1 out)" = "{" ] || fail "stdout is not one JSON object on a line"
    "$JSON_CHECK" out "$@" >/dev/null 2>checked || fail "$(cat checked)"
}
# value PATH [FILE]: what is there.
value() { "$JSON_CHECK" "${2:-out}" "$1"; }
# json_is PATH VALUE
json_is() { [ "$(value "$1")" = "$2" ] || fail "$1 is $(value "$1"), not $2"; }
