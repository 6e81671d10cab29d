#!/bin/bash
# Exported networks in OpenCV's dnn: every architecture of configs/models and every row of layer_cases.h against our own
# inference; then a trained network as a user would do it, from a picture to its mask, against `predict`.
#   test_onnx.sh SANDGLASS JSON_CHECK ONNX_CASES
# Without python3-opencv what needs it is skipped (exit code 77).
set -u
tests=$(cd "$(dirname "$0")" && pwd)
cases=$(realpath "$3")
. "$tests/program.sh" onnx "$1" "$2"
# run_exported.py is beside the configs, whichever folder the build is in.
export OMP_NUM_THREADS=1 SANDGLASS_CONFIGS="$tests/../configs"

# Debian's own Python has Debian's OpenCV.
python=
for candidate in /usr/bin/python3 python3; do
    "$candidate" -c 'import cv2, numpy' 2>/dev/null && python=$candidate && break
done

# ---- what is written, whatever runs it

mkdir networks
"$cases" networks >list 2>err || fail "onnx_cases"
for path in "$tests"/../configs/models/*.yaml; do
    name=$(basename "$path" .yaml)
    grep -q "^$name " list || fail "configs/models/$name.yaml has no row in onnx_cases.c"
done
# Networks of convolutions take pictures of any size that is a multiple of their stride.
for name in unet unet.nearest unet.bilinear resunet segnet_basic segnet fcn8s linknet erfnet fastnet conv_autoencoder \
    transpose_autoencoder layer-conv2d-1 layer-max_unpool2d-1 layer-conv_transpose2d-3; do
    grep -qx "$name free" list || fail "$name has a fixed size"
done
for name in segnet.fixed dense_autoencoder lstm_autoencoder layer-upsample2d-2; do
    grep -qx "$name fixed" list || fail "$name has a free size"
done

# ---- the command

cat >net.yaml <<'YAML'
name: scenes
task: segmentation
data: {kind: shapes, width: 64, height: 48, train: {n: 24}, val: {n: 6}, mean: [120, 110, 100], std: [60, 61, 62]}
model:
  layers:
    - conv2d: {filters: 8, kernel: 3, padding: same, bias: false}
    - batchnorm
    - activation: relu
    - {maxpool2d: 2, name: pool}
    - conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}
    - dropout: 0.1
    - max_unpool2d: pool
    - conv2d: {filters: "${classes}", kernel: 3, padding: same}
    - {activation: softmax, name: probabilities}
train: {epochs: 2, batch_size: 4, lr: 0.01}
YAML
run 0 train net.yaml --run run --threads 1
run 0 export run --out m.onnx
in_out "run/best.h5 -> m.onnx (onnx)"
run 0 export run --out m.onnx --json
json_has model format out
json_is format onnx
run 0 export run --out other.name --format onnx
cmp -s m.onnx other.name || fail "the file's name changes what is in it"
run 0 export run --out fixed.onnx --onnx-height 48 --onnx-width 64
run 0 export run --out scatter.onnx --onnx-unpool scatter
cmp -s m.onnx scatter.onnx && fail "--onnx-unpool scatter changes nothing"
run 2 export run --out m.onnx --dtype bf16
in_err "--dtype"
run 1 export run --out m.onnx --onnx-height 1
in_err "--onnx-height and --onnx-width: "
run 1 export run --out nowhere/m.onnx
in_err "nowhere"

# ---- OpenCV

if [ -z "$python" ]; then
    echo "SKIPPED: OpenCV's dnn: there is no Python with cv2 (Debian: python3-opencv)"
    [ $failures -eq 0 ] && exit 77
    exit 1
fi
"$python" "$tests/onnx_run.py" opencv networks >out 2>err || fail "onnx_run.py opencv"
cat out

# --verify: pictures of two sizes, and outputs of which another layer reads one, in an order that is not the layers'.
cat >two.yaml <<'YAML'
task: segmentation
data: {kind: shapes, width: 64, height: 48, train: {n: 8}, val: {n: 4}}
model:
  layers:
    - conv2d: {filters: 8, kernel: 3, padding: same, activation: relu}
    - {maxpool2d: 2, name: half}
    - conv2d: {filters: 8, kernel: 3, padding: same, bias: false}
    - batchnorm: {activation: relu}
    - {upsample2d: 2}
    - conv2d: {filters: "${classes}", kernel: 1}
    - {activation: softmax, name: probabilities}
  outputs: [probabilities, half]
train: {epochs: 1, batch_size: 4}
YAML
run 0 train two.yaml --run two --threads 1
run 0 inspect two.yaml --pictures sizes --split val --count 1
run 0 inspect two.yaml --pictures other --split val --count 1 --set data.width=32 --set data.height=64
mkdir mixed
mv sizes/images/* mixed/a.png
mv other/images/* mixed/b.png
cp mixed/a.png mixed/c.png
export SANDGLASS_PYTHON=$python
run 0 export two --out two.onnx --verify mixed
in_out "verified on 3 inputs"
grep -qE "OpenCV [0-9.]+: largest difference .*: ok" out || fail "OpenCV does not agree"
unset SANDGLASS_PYTHON

# Pictures as files; predict's masks of them; OpenCV's.
run 0 inspect net.yaml --pictures pictures --split val --count 6
run 0 predict run pictures/images --out masks --threads 1
"$python" - >out 2>err <<'PYTHON' || fail "a trained network in OpenCV"
import glob, os, struct, sys
import cv2
import numpy as np


def classes_of(path):
    """A mask's indices: OpenCV reads its colours, the file's palette says which class each is."""
    data = open(path, "rb").read()
    at = data.index(b"PLTE")
    n = struct.unpack(">I", data[at - 4 : at])[0]
    palette = np.frombuffer(data[at + 4 : at + 4 + n], np.uint8).reshape(-1, 3)
    colours = cv2.imread(path)[:, :, None, ::-1]
    return (colours == palette[None, None]).all(-1).argmax(-1)


net = cv2.dnn.readNetFromONNX("fixed.onnx")
paths = sorted(glob.glob("pictures/images/*.png"))
assert len(paths) == 6, paths
wrong = total = 0
seen = set()
for path in paths:
    picture = cv2.imread(path)[:, :, ::-1]  # BGR to RGB
    net.setInput(picture.transpose(2, 0, 1)[None].astype(np.float32))
    found = net.forward()[0].argmax(0)
    stem = os.path.splitext(os.path.basename(path))[0]
    wanted = classes_of(f"masks/{stem}_mask.png")
    assert wanted.shape == found.shape, (wanted.shape, found.shape)
    wrong += int((found != wanted).sum())
    total += found.size
    seen |= set(np.unique(found))
print(f"{wrong} of {total} pixels differ, {len(seen)} classes")
sys.exit(wrong > total // 10000 or len(seen) < 2)
PYTHON
cat out
echo "$failures failures"
[ $failures -eq 0 ]
