#!/bin/bash
# Every config that is shipped trains and predicts: an epoch of a few pictures, on stand-ins for the data sets. CamVid's are
# generated scenes of 131x97, a size that hardly any network takes without padding, MNIST's are noise.
#   test_configs.sh SANDGLASS
set -u
SANDGLASS=$(realpath "$1")
configs=$(cd "$(dirname "$0")/../configs" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-configs-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_NUM_THREADS=1
export SANDGLASS_DATA=$work/data
failures=0

fail() {
    echo "FAILED: $*"
    sed 's/^/    /' log | tail -n 20
    failures=$((failures + 1))
}

# ---- stand-ins

# scenes FOLDER COUNT: pictures and masks of COUNT scenes below data/FOLDER.
scenes() {
    "$SANDGLASS" inspect --pictures "data/$1" --split val --count "$2" --set data.width=131 --set data.height=97 \
        --set data.mean=~ --set data.std=~ "$configs/shapes/unet.yaml" >log 2>&1 || fail "scenes for $1"
}
# camvid SPLIT COUNT: with the list of files that CamVid has.
camvid() {
    scenes "camvid/$1" "$2"
    for picture in data/camvid/"$1"/images/*.png; do
        name=$(basename "$picture")
        echo "$1/images/$name $1/masks/$name"
    done >"data/camvid/$1.txt"
}
byte() { printf "\\$(printf %03o "$1")"; }
# idx FOLDER PART COUNT: noise, and the labels 0 to 9 in turn.
idx() {
    mkdir -p "data/$1"
    { printf '\0\0\010\003\0\0\0' && byte "$3" && printf '\0\0\0\034\0\0\0\034' &&
        head -c $((784 * $3)) "$SANDGLASS"; } |
        gzip >"data/$1/$2-images-idx3-ubyte.gz"
    { printf '\0\0\010\001\0\0\0' && byte "$3" && for ((i = 0; i < $3; i++)); do byte $((i % 10)); done; } |
        gzip >"data/$1/$2-labels-idx1-ubyte.gz"
}
camvid train 4
camvid val 2
scenes camvid-tiny/train 4
scenes camvid-tiny/val 2
for folder in mnist fashion-mnist; do
    idx $folder train 20
    idx $folder t10k 10
done

# ---- the configs

# size FILE.png: width and height, from its header.
size() { od -An -j16 -N8 -tu1 "$1" | awk '{print $3 * 256 + $4 "x" $7 * 256 + $8}'; }

# try CONFIG SETS...: train for an epoch, then predict.
try() {
    local config=$1 set sets=(--set train.batch_size=2 --set train.epochs=1 --set train.sample_every=0)
    shift
    for set in "$@"; do sets+=(--set "$set"); done
    rm -rf run out
    "$SANDGLASS" train "$configs/$config" --run run --threads 1 "${sets[@]}" >log 2>&1 || { fail "train $config"; return; }
    "$SANDGLASS" predict run --split val --limit 1 --out out --threads 1 >log 2>&1 || fail "predict $config"
    case $config in camvid/*) ;; *) return ;; esac
    for mask in out/*_mask.png; do
        [ "$(size "$mask")" = "$wanted" ] || fail "$config gives a mask of $(size "$mask"), not $wanted"
    done
}

n=0
for path in "$configs"/*/*.yaml; do
    config=${path#"$configs"/}
    wanted=131x97
    sets=()
    grep -q "^pretrain:$" "$path" && sets+=(pretrain.epochs=1)
    case $config in
    models/* | data/*) continue ;; # parts of the others
    camvid/tiny.yaml) sets+=('data.size=[97, 131]') ;;
    camvid/*) ;;
    mnist/* | fashion/*) ;;
    shapes/*) sets+=(data.train.n=4 data.val.n=2) ;;
    bench/*) sets+=(data.train.n=4 data.height=28 data.width=28 data.val.n=2) ;; # val: this test's own
    *) fail "$config: this test has no data for its folder" && continue ;;
    esac
    try "$config" "${sets[@]}"
    n=$((n + 1))
done
echo "$n configs, $failures failures"
[ $n -ge 29 ] || fail "only $n configs were found"
[ $failures -eq 0 ]
