#!/bin/sh
# Install the Debian packages that are missing, as root or through sudo. Does nothing when all are there.
#   scripts/packages.sh build           what building takes
#   scripts/packages.sh build tests     and what the tests take
#   scripts/packages.sh build tests checks
#   scripts/packages.sh reproduce       what scripts/reproduce.sh takes
#   scripts/packages.sh wheels          what fetching a newer oneDNN from PyPI takes (.ci/run)
set -eu

packages_of() {
    case $1 in
    build)
        echo gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libhdf5-dev libstb-dev libyaml-dev zlib1g-dev \
            librandom123-dev liblapacke-dev liblbfgs-dev protobuf-c-compiler libprotobuf-c-dev libonnx-dev ;;
    tests) echo libcmocka-dev g++ python3 python3-opencv python3-numpy ;;
    checks) echo git clang-format-14 clang-tidy-14 libomp-14-dev ;;
    reproduce) echo jq ;;
    wheels) echo ca-certificates curl python3 python3-pip python3-venv ;;
    *) echo "packages.sh: unknown list '$1' (build, tests, checks, reproduce, wheels)" >&2; exit 2 ;;
    esac
}

wanted=
for list in "$@"; do
    packages=$(packages_of "$list")
    wanted="$wanted $packages"
done

if ! command -v dpkg-query >/dev/null; then
    echo "packages.sh: this is no Debian system; needed are the equivalents of:$wanted" >&2
    exit 0
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    case $state in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "installing Debian packages:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "packages.sh: neither root nor sudo; as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
# An index that is already there usually serves; it is fetched anew only when it does not.
install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
$install $missing || { $as_root apt-get update -q && $install $missing; }
