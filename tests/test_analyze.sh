#!/bin/bash
# sandglass analyze pca, scatter and probe on pictures of two kinds that a script makes: files, JSON, figures, messages.
#   test_analyze.sh SANDGLASS JSON_CHECK
set -u
. "$(dirname "$0")/program.sh" analyze "$1" "$2"
export OMP_NUM_THREADS=2

# The last line of err is exactly this text: progress may be above it.
err_is() { [ "$(tail -n 1 err)" = "$1" ] || fail "stderr does not end with: $1"; }

# IDX files: pictures of 8x8 with a bright bar, upright (class 0) or level (class 1), at a place and of a strength that
# differ, and some noise.
pictures() { # N SEED NAME
    awk -v n="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (i = 0; i < n; i++) {
            at = int(rand() * 8); light = 90 + int(rand() * 120)
            for (y = 0; y < 8; y++) for (x = 0; x < 8; x++)
                printf "\\%03o", int(rand() * 30) + ((i % 2 ? y : x) == at ? light : 0)
        }
    }' >"$3.octal"
    { printf '\0\0\10\3\0\0\0\'"$(printf %o "$1")"'\0\0\0\10\0\0\0\10'; printf "$(cat "$3.octal")"; } >"$3-images"
    { printf '\0\0\10\1\0\0\0\'"$(printf %o "$1")"; for ((i = 0; i < $1; i++)); do printf "\\$((i % 2))"; done; } >"$3-labels"
}
pictures 200 1 train
pictures 100 2 test

cat >bars.yaml <<'END_OF_CONFIG'
name: bars <of> & light
task: reconstruction
data:
  kind: idx
  root: .
  classes: ["up & down", "<level>"]
  train: {images: train-images, labels: train-labels}
  val: {images: test-images, labels: test-labels}
model:
  layers:
    - flatten
    - dense: 20
    - activation: relu
    - dense: 4
      name: code
    - dense: 64
    - activation: sigmoid
    - reshape: [1, 8, 8]
train: {epochs: 40, batch_size: 20, lr: 0.01, optimizer: adam, loss: mse, seed: 1}
END_OF_CONFIG
run 0 train bars.yaml --run run

# Principal components beside the network.
run 0 analyze pca run
in_out "100 images of split 'val'; principal components of 200 training images, unclipped"
in_out 'wrote run/analysis/pca.png, run/analysis/pca.json'
[ -s run/analysis/pca.png ] && [ -s run/analysis/pca.json ] || fail "analyze pca left no files"
run 0 analyze pca run --json --k 9 --out elsewhere/deep/
cmp -s out elsewhere/deep/pca.json || fail "--json and pca.json differ"
json_is components 9
json_is code_values 4
json_is fitted_to 200
json_is files.0 elsewhere/deep/pca.png
mv out nine
run 0 analyze pca run --json
json_is components 4
awk -v a="$(value pca.mse nine)" -v b="$(value pca.mse)" 'BEGIN {exit !(a < b)}' || fail "more components are no better"
# The network's error is the one that eval tells.
mv out pca.out
run 0 eval run --json
[ "$(value squared_error_per_image | cut -c1-7)" = "$(value autoencoder.squared_error_per_image pca.out | cut -c1-7)" ] ||
    fail "eval and analyze pca disagree on the network's error"
run 2 analyze pca run --k 65 --out elsewhere
run 1 analyze pca run --train-limit 5 --out elsewhere --k 6
err_is "error: 6 principal components were asked for; 5 samples lie in 4 directions"

# A picture of the codes.
run 0 analyze scatter run --json --limit 60
json_is images 60
json_is layer code
json_has code_explained_variance picture_explained_variance files.2
grep -q 'up &amp; down' run/analysis/scatter.svg && grep -q '&lt;level&gt;' run/analysis/scatter.svg ||
    fail "class names in scatter.svg"
grep -q "2 principal components of 4 values" run/analysis/scatter.svg || fail "scatter.svg does not say what it shows"
[ "$(grep -c '<circle' run/analysis/scatter.svg)" -eq $((2 * 60 + 2)) ] || fail "points in scatter.svg"

# A linear classifier on four kinds of features; the same figures whatever the number of threads.
run 0 analyze probe run --grid 2
in_out 'logistic regression on 200 training images, l2 0.001; tested on 100 images of split '"'val'"', 2 classes'
in_out "local binary patterns, 2x2 cells"
run 0 analyze probe run --grid 2 --json --threads 1
json_is tested_on 100
json_is lbp.features 236
json_is pixels.features 64
json_is pca.features 4
json_is codes.converged true
json_is lbp.converged true
awk -v e="$(value lbp.test_error)" 'BEGIN {exit !(e < 0.25)}' || fail "patterns do not tell bars apart: $(value lbp.test_error)"
one=$(value codes.gradient_norm)
run 0 analyze probe run --grid 2 --json --threads 2
json_is codes.gradient_norm "$one"

# What cannot be done says why.
run 1 analyze probe run --grid 7
err_is "error: pictures of 8x8 are too small for local binary patterns in 7x7 cells: 9x9 or more"
sed -e 's/, labels: [a-z]*-labels//' -e '/classes:/d' bars.yaml >unlabelled.yaml
run 0 train unlabelled.yaml --run unlabelled --set train.epochs=1
run 1 analyze probe unlabelled
err_is "error: a probe needs the class of every picture, and split 'val' has no labels"
run 0 analyze scatter unlabelled
grep -qF "split 'val' has no labels: all points have one colour" err || fail "scatter without labels says nothing"
run 1 analyze pca run --split test
err_is "error: the data has no split 'test'"
run 2 analyze
err_is "error: too few arguments; 'sandglass analyze --help' lists what can follow"
run 2 analyze prob run
err_is "error: unknown command 'analyze prob', did you mean 'analyze probe'?"
run 0 analyze --help
in_out "scatter"
run 0 analyze pca --help
in_out "usage: sandglass analyze pca MODEL"

if [ $failures -gt 0 ]; then
    echo "$failures failed"
    exit 1
fi
echo "all passed"
