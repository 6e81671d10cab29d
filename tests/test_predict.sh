#!/bin/bash
# sandglass predict on pictures of awkward sizes, by tiles, with flips and scales; the files it writes, what becomes of
# them on a full disk and after Ctrl-C; and eval with the same views. Generated scenes only.
#   test_predict.sh SANDGLASS JSON_CHECK
set -u
. "$(dirname "$0")/program.sh" predict "$1" "$2"
export OMP_NUM_THREADS=2

err_is() { [ "$(cat err)" = "$1" ] || fail "stderr is not: $1"; }
# files DIR NAME...: the folder holds exactly these files.
files() {
    local dir=$1
    shift
    [ "$(ls "$dir")" = "$(printf '%s\n' "$@" | LC_ALL=C sort)" ] || fail "$dir holds: $(ls "$dir" | tr '\n' ' ')"
}
# size_is FILE WIDTH HEIGHT: of a PNG, from its header.
size_is() {
    local found
    found=$(od -An -tu1 -j16 -N8 "$1" | awk '{print ($1*256+$2)*65536+$3*256+$4, ($5*256+$6)*65536+$7*256+$8}')
    [ "$found" = "$2 $3" ] || fail "$1 is of $found, not of $2 $3"
}
# ppm NAME WIDTH HEIGHT: gradients. pgm16: grey of 16 bit.
ppm() {
    { printf 'P6\n%d %d\n255\n' "$2" "$3"; head -c $(($2 * $3 * 3)) /dev/urandom; } >"$1"
}
pgm16() {
    { printf 'P5\n%d %d\n65535\n' "$2" "$3"; head -c $(($2 * $3 * 2)) /dev/urandom; } >"$1"
}

cat >net.yaml <<'END'
task: segmentation
data: {kind: shapes, height: 48, width: 48, train: {n: 24}, val: {n: 9, seed: 2}}
model:
  layers:
    - {conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}}
    - maxpool2d: 4
    - {conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}}
    - upsample2d: 4
    - conv2d: {filters: 6, kernel: 1}
train: {epochs: 12, batch_size: 4, lr: 0.02, loss: {cross_entropy: {class_weights: inverse}}, sample_every: 0}
END
cat >grey.yaml <<'END'
task: reconstruction
data: {kind: shapes, height: 32, width: 32, channels: 1, train: {n: 16}, val: {n: 4}}
model:
  layers:
    - {conv2d: {filters: 4, kernel: 3, padding: same, activation: relu}}
    - conv2d: {filters: 1, kernel: 3, padding: same}
train: {epochs: 1, batch_size: 8, sample_every: 0}
END
run 0 train net.yaml --run net
run 0 train grey.yaml --run grey
run 0 inspect --pictures scenes --count 6 net.yaml --set data.height=301 --set data.width=203
scene=scenes/images/0000.png

# ---- what is written
run 0 predict net $scene --out all --write mask,color,overlay,probability,confidence --json
json_has pictures.0.mask pictures.0.color pictures.0.overlay pictures.0.confidence pictures.0.probability.triangle seconds
json_is pictures.0.tiles 1
files all 0000_{mask,color,overlay,confidence}.png \
    0000_prob_{background,circle,square,triangle,star,ring}.png
for file in all/*; do size_is "$file" 203 301; done
run 0 predict net $scene --out some --write confidence
files some 0000_confidence.png
in_out "$scene -> some/0000_confidence.png "
run 0 predict net $scene --out h5 --write probability,mask --format h5
files h5 0000_mask.png 0000_prob.h5
in_out "$scene -> h5/0000_{mask,prob.h5} "
cmp -s all/0000_mask.png h5/0000_mask.png || fail "what else is written changed the mask"
cmp -s all/0000_confidence.png some/0000_confidence.png || fail "what else is written changed the confidence"
run 0 predict net scenes/images --out default
[ "$(ls default | wc -l)" -eq 18 ] || fail "not three files a picture"
[ "$(grep -c . out)" -eq 6 ] || fail "not a line a picture"
sed 's/ ->.*//' out >order
ls scenes/images/* >wanted
cmp -s order wanted || fail "lines are not in the order of the pictures"
run 2 predict net $scene --out x --write mask,colour
err_is "error: --write: 'colour' is no result of a network that segments, did you mean 'color'? (mask, color, overlay, probability, confidence)"
run 2 predict grey $scene --out x --write mask
err_is "error: --write: 'mask' is no result of a network that reconstructs (out, compare)"
[ ! -e x ] || fail "a folder was made for nothing"

# ---- tiles
run 0 predict net $scene --out tiles --tile 64 --json
json_is pictures.0.tiles 24
size_is tiles/0000_mask.png 203 301
run 0 predict net $scene --out tiles --tile 64 --overlap 0
in_out "(20 tiles of 64x64)"
run 0 predict net $scene --out tiles --tile 1000
cmp -s tiles/0000_mask.png all/0000_mask.png || fail "a tile larger than the picture is not the whole"
run 0 predict net $scene --out tiles --tile 62 --overlap 8 --write mask,probability --format h5
in_out "tiles of 64x64" # a multiple of the network's stride
run 0 predict grey $scene --out tiles --tile 50
files tiles 0000_{color,mask,overlay,out,compare}.png 0000_prob.h5
size_is tiles/0000_compare.png 406 301
run 2 predict net $scene --out x --tile 32 --overlap 32
err_is "error: the overlap must be less than the tile's 32, got 32"
run 2 predict net $scene --out x --tile 32 --set data.fit=resize --set 'data.size=[48, 48]'
in_err "there is nothing to cut"
run 1 predict net $scene --out x --memory 50
in_err "$scene: a picture of 203x301 with 6 channels of results needs about "
in_err "in tiles of 64x64, the limit is 50 MB: give more (--memory)"
files x

# ---- awkward pictures, whole and in tiles
mkdir odd
ppm odd/one.ppm 1 1
ppm odd/row.ppm 5000 1
ppm odd/column.ppm 1 5000
ppm odd/odd.ppm 481 359
pgm16 odd/deep.pgm 123 77
for options in "" "--tile 64" "--tile 32 --flip --scales 0.5,1"; do
    run 0 predict net odd --out odd-out $options --write mask,overlay,confidence
    size_is odd-out/one_mask.png 1 1
    size_is odd-out/row_overlay.png 5000 1
    size_is odd-out/column_confidence.png 1 5000
    size_is odd-out/odd_mask.png 481 359
    size_is odd-out/deep_mask.png 123 77
done
for options in "" "--tile 64"; do
    run 0 predict grey odd --out odd-out $options
    size_is odd-out/row_out.png 5000 1
    size_is odd-out/column_compare.png 2 5000
done
# Resized for the network, results have the picture's size.
run 0 predict net odd --out odd-out --set data.fit=resize --set 'data.size=[48, 48]' --write mask,color,probability,confidence
size_is odd-out/odd_prob_ring.png 481 359
size_is odd-out/row_color.png 5000 1
size_is odd-out/one_confidence.png 1 1
run 0 predict grey odd --out odd-out --set data.fit=resize --set 'data.size=[32, 32]'
size_is odd-out/deep_compare.png 246 77

# ---- flips and scales
run 0 predict net $scene --out flip --flip
run 0 predict net $scene --out scales --scales 0.75,1,1.25
run 0 predict net $scene --out one --scales 1
cmp -s one/0000_mask.png all/0000_mask.png || fail "--scales 1 changes the mask"
run 2 predict net $scene --out x --scales 1,big
err_is "error: --scales: expected numbers with commas between, got '1,big'"
run 2 predict net $scene --out x --scales 1,2,3,4,5,6
err_is "error: --scales: at most 5, got '1,2,3,4,5,6'"
run 2 predict grey $scene --out x --scales 2
err_is "error: scales mean nothing for a network whose task is reconstruction"
run 0 predict grey $scene --out flip --flip
run 0 eval net --json
plain=$(value loss)
run 0 eval net --flip --scales 1,1.5 --json
json_has miou confusion.0.0
json_is flip true
json_is scales.1 1.5
json_is loss "$plain"
[ -s net/eval/val-tta/scores.json ] && [ "$(value flip net/eval/val/scores.json 2>/dev/null)" = "" ] ||
    fail "scores of views are not kept apart"
run 2 eval net --scales 0
err_is "error: scales: must be between 0.1 and 10, got 0"

# ---- names a terminal would obey: a line each, shown with a replacement; JSON has them as they are
mkdir named
cp $scene named/$'a\nb.png'
cp $scene named/$'red\e[31m.png'
echo junk >named/$'c\rd.png'
run 1 predict net named --out named-out --write mask
[ "$(wc -l <out)" -eq 2 ] && ! LC_ALL=C grep -q '[[:cntrl:]]' out || fail "a name's control characters are printed"
[ "$(wc -l <err)" -eq 2 ] && ! LC_ALL=C grep -q '[[:cntrl:]]' err || fail "an error's control characters are printed"
in_out "named/a"$'\xEF\xBF\xBD'"b.png -> named-out/a"$'\xEF\xBF\xBD'"b_mask.png"
files named-out $'a\nb_mask.png' $'red\e[31m_mask.png'
run 1 predict net named --out named-out --write mask --json
json_is pictures.0.input 'named/a\nb.png'

# ---- a full disk, and a folder that is none
(
    ulimit -f 8
    run 1 predict net scenes/images --out full --write mask,overlay
    [ "$(grep -c 'cannot write: File too large' err)" -eq 6 ] || fail "not every picture says that the disk is full"
    in_err "6 of 6 pictures could not be done"
    run 1 predict net $scene --out full --write probability --format h5
    in_err "0000_prob.h5"
    exit $failures
)
failures=$((failures + $?))
files full
touch file
run 1 predict net $scene --out file
in_err "file: is not a folder"
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 555 closed
    run 1 predict net $scene --out closed
    err_is "error: closed: cannot write into this folder: Permission denied"
fi

# ---- Ctrl-C: what is finished stays and is whole, of the rest there is nothing
ppm large.ppm 1500 1000
mkdir many
for i in 0 1 2 3 4 5 6 7 8 9; do ln large.ppm many/$i.ppm; done
"$SANDGLASS" predict net many --out stopped --tile 64 >out 2>err &
pid=$!
for _ in $(seq 600); do
    [ -e stopped/0_mask.png ] && break
    sleep 0.05
done
kill -INT $pid
wait $pid
code=$?
[ $code -eq 1 ] || fail "exit code $code after Ctrl-C"
in_err "stopped after"
ls stopped | grep -q tmp && fail "half files are left: $(ls stopped)"
[ -e stopped/9_mask.png ] && fail "it went on to the end"
done_pictures=$(grep -c . out)
for kind in mask color overlay; do
    [ "$(ls stopped/*_$kind.png | wc -l)" -eq "$done_pictures" ] || fail "files of $kind: $(ls stopped)"
done
run 0 predict grey stopped --out reread # reads them all, or says what is wrong

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
