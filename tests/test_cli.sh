#!/bin/bash
# The program as a person uses it: every command, its JSON, exit codes, stopping and resuming. Generated scenes only.
set -u
SANDGLASS=$(realpath "$1")
work=$(mktemp -d "${TMPDIR:-/tmp}/sandglass-cli-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset SANDGLASS_DATA
export OMP_NUM_THREADS=1
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
# err is exactly this text.
err_is() { [ "$(cat err)" = "$1" ] || fail "stderr is not: $1"; }
# stdout is one line, one JSON object with these keys.
json_has() {
    [ "$(wc -l <out)" -eq 1 ] && grep -q '^{.*}$' out || fail "stdout is not one JSON object"
    for key in "$@"; do grep -qF "\"$key\":" out || fail "JSON lacks \"$key\""; done
}
# value KEY: the number of the first such key in out
value() { grep -o "\"$1\":[-0-9.e+]*" out | head -n 1 | cut -d: -f2; }

cat >net.yaml <<'END'
task: segmentation
data:
  kind: shapes
  height: 48
  width: 48
  train: {n: 48}
  val: {n: 16, seed: 2}
blocks:
  double_conv:
    params: {filters: }
    layers:
      - conv2d: {filters: "${filters}", kernel: 3, padding: same, bias: false}
      - batchnorm
      - activation: relu
model:
  layers:
    - double_conv: {filters: 8}
      name: skip
    - maxpool2d: 2
    - double_conv: {filters: 16}
    - upsample2d: 2
      name: up
    - concat:
      from: [up, skip]
    - conv2d: {filters: 6, kernel: 1}
train: {epochs: 3, batch_size: 8, lr: 0.01, seed: 3}
END
cat >auto.yaml <<'END'
task: reconstruction
data: {kind: shapes, height: 16, width: 16, train: {n: 40}, val: {n: 12, seed: 2}}
model:
  layers:
    - flatten
    - dense: 32
    - activation: relu
    - dense: 768
    - activation: sigmoid
    - reshape: [3, 16, 16]
train: {epochs: 2, batch_size: 8, loss: bce}
END

# ---- usage
run 2
in_err "usage: sandglass COMMAND"
run 0 --help
in_out "predict"
run 0 --version
in_out "sandglass 0."
run 2 trian
err_is "error: unknown command 'trian', did you mean 'train'?"
run 2 frobnicate
err_is "error: unknown command 'frobnicate'; 'sandglass --help' lists them"
for command in train eval predict pack check inspect; do
    run 0 $command --help
    in_out "usage: sandglass $command"
done
run 2 train
in_err "too few arguments; usage: sandglass train CONFIG"
run 2 train net.yaml other.yaml
in_err "unexpected argument 'other.yaml'"
run 2 train net.yaml --resum
err_is "error: unknown option '--resum', did you mean '--resume'?"
run 2 train net.yaml --threads two
in_err "--threads: expected"
run 2 train net.yaml --run
err_is "error: --run needs a value: DIR"
run 2 train net.yaml --json=yes
err_is "error: --json takes no value, got 'yes'"
run 2 predict model picture.png
err_is "error: no folder for the results: --out DIR"
run 1 train nowhere.yaml
in_err "nowhere.yaml"

# ---- check, inspect
run 0 check net.yaml
in_out "no problems found"
in_out "triangle"
run 0 check net.yaml --json
json_has ok splits classes parameters program_bytes
run 1 check net.yaml --set train.batch_sizes=3 --json
json_has ok problems text
run 0 inspect net.yaml
in_out "task: segmentation"
run 0 inspect --kinds
in_out "conv2d"
in_out "cross_entropy"
run 0 inspect --kinds conv2d
in_out "filters"
run 0 inspect --kinds layers --json
json_has layers name params
run 2 inspect --kinds conv2
in_err "unknown kind 'conv2', did you mean 'conv2d'?"
run 0 inspect --program net.yaml
in_out "training program"
in_out "inference program"
run 0 inspect --program net.yaml --json
json_has training inference reorders block_bytes listing
run 0 inspect --pictures scenes --count 3 net.yaml
[ -f scenes/images/0002.png ] && [ -f scenes/masks/0002.png ] || fail "no scenes"

# ---- train
run 0 train net.yaml --json
json_has run epochs train loss val miou best epoch metric value seconds samples_per_second peak_rss_mb
[ "$(value epochs)" = 3 ] || fail "epochs is $(value epochs)"
for file in config.yaml history.jsonl last.h5 best.h5 samples; do
    [ -e runs/net/$file ] || fail "runs/net/$file is missing"
done
[ "$(wc -l <runs/net/history.jsonl)" -eq 3 ] || fail "history.jsonl has not 3 lines"
for key in epoch step train val lr seconds samples_per_second; do
    grep -qF "\"$key\":" runs/net/history.jsonl || fail "history.jsonl lacks $key"
done
run 1 train net.yaml
in_err "runs/net"
run 0 train auto.yaml --run runs/auto --json
json_has run val mse squared_error_per_image

# Stopped by a signal: last.h5 is there, exit code 1, and going on gives what an unbroken run gives.
run 0 train net.yaml --run whole --set train.epochs=6 --json
"$SANDGLASS" train net.yaml --run broken --set train.epochs=6 --set data.train.n=48 >out 2>err &
pid=$!
for _ in $(seq 100); do
    [ -s broken/history.jsonl ] && break
    sleep 0.05
done
kill -TERM $pid
wait $pid
code=$?
if [ $code -eq 1 ]; then
    in_err "--resume"
    [ -e broken/last.h5 ] || fail "no last.h5 after SIGTERM"
elif [ $code -ne 0 ]; then # 0: it was through before the signal came
    fail "exit code $code after SIGTERM"
fi
run 0 train net.yaml --run broken --set train.epochs=6 --set data.train.n=48 --resume --json
run 0 eval whole --json
whole=$(value loss)
run 0 eval broken --json
[ "$(value loss)" = "$whole" ] || fail "resumed run has loss $(value loss), the unbroken one $whole"

# Out of time: exit code 0, resumable.
run 0 train net.yaml --run short --set train.epochs=100000 --set train.max_seconds=1 --json
json_has finished
grep -qF '"finished":false' out || fail "a run out of time says it is finished"

# ---- eval
run 0 eval runs/net --json
json_has loss pixel_accuracy mean_accuracy miou per_class triangle iou accuracy pixels images
run 0 eval runs/net/best.h5 --split train
in_out "mean IoU"
run 1 eval runs/net --split tset
in_err "tset"
run 1 eval nowhere
in_err "nowhere"
run 0 eval runs/auto --json
json_has loss mse squared_error_per_image images
run 0 inspect runs/net
in_out "skip/conv2d1/weights"
run 0 inspect runs/net/last.h5 --json
json_has epoch step weights config history

# ---- predict
run 0 predict runs/net scenes/images --out out1
for file in mask color overlay; do [ -f out1/0001_$file.png ] || fail "out1/0001_$file.png is missing"; done
run 0 predict runs/net scenes/images/0000.png --out out2 --json
json_has model out pictures input mask color overlay pixels failed
cmp -s out1/0000_mask.png out2/0000_mask.png || fail "the same picture gave another mask"
# A size that is no multiple of anything.
printf 'P6\n37 29\n255\n' >odd.ppm
head -c $((37 * 29 * 3)) /dev/zero | tr '\0' 'x' >>odd.ppm
run 0 predict runs/net odd.ppm --out out2
[ -f out2/odd_mask.png ] || fail "no mask for a picture of 37x29"
# A damaged picture does not stop the others.
head -c 300 scenes/images/0001.png >broken.png
run 1 predict runs/net broken.png scenes/images/0002.png --out out3
in_err "broken.png"
in_err "1 of 2 pictures could not be done"
[ -f out3/0002_mask.png ] || fail "the picture after the damaged one was left out"
# Nothing is written over an input, whatever its path looks like.
cp scenes/images/0000.png a.png
cp scenes/images/0001.png a_mask.png
before=$(cksum a_mask.png)
run 1 predict runs/net a.png ./a_mask.png --out .
in_err "would overwrite the input"
[ "$(cksum a_mask.png)" = "$before" ] || fail "an input was overwritten"
[ -e a_color.png ] && fail "results were written although refused"
run 1 predict runs/net a.png scenes/nowhere.png --out out4
in_err "scenes/nowhere.png"
run 0 inspect --pictures small --count 2 auto.yaml
run 0 predict runs/auto small/images --out out5 --json
json_has out compare mse
[ -f out5/0001_out.png ] && [ -f out5/0001_compare.png ] || fail "no reconstruction"
run 1 predict runs/auto a.png --out out5
in_err "takes 16x16 only"
run 0 predict runs/auto a.png --out out5 --set data.fit=resize --set 'data.size=[16, 16]'

# ---- pack
run 0 pack net.yaml --out net.h5
[ -s net.h5 ] || fail "no net.h5"
run 0 inspect net.h5
in_out "train"
cat >packed.yaml <<'END'
extends: net.yaml
data: {kind: hdf5, height: ~, width: ~, file: net.h5, root: ., train: {n: ~}, val: {n: ~, seed: ~}}
END
run 0 eval runs/net --json
direct=$(value loss)
run 0 train packed.yaml --run packed --json
run 0 eval packed --json
[ "$(value loss)" = "$direct" ] || fail "trained on the packed file: loss $(value loss), not $direct"

# ---- stdout that cannot be written
"$SANDGLASS" inspect --kinds >/dev/full 2>err
[ $? -eq 1 ] || fail "a full disk behind stdout went unnoticed"

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
