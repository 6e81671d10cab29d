#!/bin/bash
# The program as a person uses it: every command, its JSON, exit codes, stopping and resuming. Generated scenes only.
#   test_cli.sh SANDGLASS JSON_CHECK
set -u
. "$(dirname "$0")/program.sh" cli "$1" "$2"
export OMP_NUM_THREADS=1

# err is exactly this text.
err_is() { [ "$(cat err)" = "$1" ] || fail "stderr is not: $1"; }

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
    - {dense: 32, name: code}
    - activation: relu
    - dense: 768
    - activation: sigmoid
    - reshape: [3, 16, 16]
train: {epochs: 2, batch_size: 8, loss: bce}
END
cat >noisy.yaml <<'END'
extends: auto.yaml
model:
  layers:
    - gaussian_noise: 0.2
    - {conv2d: {filters: 6, kernel: 3, stride: 2, padding: same, activation: relu}, name: first}
    - {conv2d: {filters: 4, kernel: 3, stride: 2, padding: same, activation: relu}, name: code}
    - conv_transpose2d: {filters: 6, kernel: 4, stride: 2, padding: same, activation: relu}
    - conv_transpose2d: {filters: 3, kernel: 4, stride: 2, padding: same, activation: sigmoid}
train: {epochs: 1}
END
cat >flat.yaml <<'END'
extends: auto.yaml
model:
  code: narrow
  layers:
    - flatten
    - {dense: 2, name: narrow}
    - dense: {units: 768, activation: sigmoid}
    - reshape: [3, 16, 16]
train: {epochs: 1}
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
for command in train eval predict encode decode sample pack check inspect; do
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
run 2 train net.yaml --resum --json
json_is error "error: unknown option '--resum', did you mean '--resume'?"
run 1 eval nowhere --json
json_has error
run 2 train net.yaml --set foo
run 2 predict nowhere net.yaml --out out0 --set foo
err_is "--set foo: error: expected key=value"
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
json_has config name splits.val.samples splits.train.classes.triangle.images parameters program_bytes
json_is ok true
json_is splits.train.samples 48
run 1 check net.yaml --set train.batch_sizes=3 --json
json_is ok false
json_is problems 1
value error | grep -qF "unknown key 'batch_sizes', did you mean 'batch_size'?" || fail "no error in JSON"
in_err "unknown key 'batch_sizes', did you mean 'batch_size'?"
augmented='train.augment=[flip, {scale: {min: 0.5, max: 2}}, {crop: {size: 32, classes: star}}, color]'
run 0 check net.yaml --set "$augmented" --preview looks/new --preview-count 3
in_out "3 pictures of augmented samples in looks/new"
[ "$(ls looks/new)" = "sample_00000.png
sample_00016.png
sample_00032.png" ] || fail "pictures: $(ls looks/new)"
run 1 check net.yaml --preview looks
err_is "error: --preview looks: is not empty: choose another folder, or remove it"
run 0 check net.yaml --set "$augmented" --preview looks/again --preview-count 3 --json
json_is previews 3
cmp looks/new/sample_00016.png looks/again/sample_00016.png || fail "two previews differ"
run 0 check net.yaml --set "$augmented" --set train.seed=5 --preview looks/other --preview-count 3
! cmp -s looks/new/sample_00016.png looks/other/sample_00016.png || fail "another seed gives the same pictures"
run 1 check net.yaml --set train.batch_sizes=3 --preview looks/bad
[ ! -e looks/bad ] || fail "a preview of a bad config"
run 2 check net.yaml --preview-count 3
err_is "error: --preview-count means nothing for check without --preview"
run 0 inspect net.yaml
in_out "task: segmentation"
run 0 inspect --kinds
in_out "conv2d"
in_out "cross_entropy"
run 0 inspect --kinds conv2d
in_out "filters"
run 0 inspect --kinds layers --json
json_has layers.0.name layers.0.params.0.default
run 2 inspect --kinds conv2
in_err "unknown kind 'conv2', did you mean 'conv2d'?"
run 0 inspect --program net.yaml
in_out "training program"
in_out "inference program"
run 0 inspect --program net.yaml --json
json_has training.reorders inference.block_bytes training.listing.0
run 0 inspect --pictures scenes --count 3 net.yaml
[ -f scenes/images/0002.png ] && [ -f scenes/masks/0002.png ] || fail "no scenes"
# Over nothing that is there; refused before anything is written.
before=$(cksum scenes/images/0002.png)
rm scenes/images/0000.png scenes/images/0001.png
run 1 inspect --pictures scenes --count 3 --split train net.yaml
err_is "error: scenes/masks/0000.png is there already: choose another folder than 'scenes', or remove it"
[ ! -e scenes/images/0000.png ] || fail "pictures were written although refused"
[ "$(cksum scenes/images/0002.png)" = "$before" ] || fail "a picture was overwritten"
rm -r scenes
run 0 inspect --pictures scenes --count 3 net.yaml
# Options that mean nothing for what is asked.
run 2 inspect --kinds --count 3
err_is "error: --count means nothing for --kinds"
run 2 inspect --program net.yaml --split val
err_is "error: --split means nothing for --program"
run 2 inspect --pictures other net.yaml --threads 1
err_is "error: --threads means nothing for --pictures"
run 2 inspect net.yaml --threads 1
err_is "error: --threads means nothing for showing a config"

# ---- train
run 0 train net.yaml --json
json_has run epochs train.loss val.miou val.per_class best.epoch best.metric best.value seconds samples_per_second \
    peak_rss_mb
json_is finished true
json_is epochs 3
for file in config.yaml history.jsonl last.h5 best.h5 samples; do
    [ -e runs/net/$file ] || fail "runs/net/$file is missing"
done
[ "$(wc -l <runs/net/history.jsonl)" -eq 3 ] || fail "history.jsonl has not 3 lines"
while read -r line; do
    echo "$line" >line
    "$JSON_CHECK" line epoch step train.loss val.loss lr seconds samples_per_second >/dev/null || fail "history.jsonl"
done <runs/net/history.jsonl
run 1 train net.yaml
in_err "runs/net"
run 0 train auto.yaml --run runs/auto --json
json_has run val.mse val.squared_error_per_image
run 0 train noisy.yaml --run runs/noisy
run 0 train flat.yaml --run runs/flat

# Early stopping: said in words and in JSON; a larger patience goes on.
run 0 train net.yaml --run patient --set train.lr=0 --set train.epochs=9 --set train.patience=1 \
    --set train.best=loss --set train.min_delta=1e9 --json
json_is stopped_early true
json_is finished true
json_is epochs 2
run 0 train net.yaml --run patient --set train.lr=0 --set train.epochs=9 --set train.patience=2 \
    --set train.best=loss --set train.min_delta=1e9 --resume
grep -q "^stopped early: no better loss in 2 evaluations; a larger train.patience and --resume go on$" out ||
    fail "nothing is said about stopping early"

# Stopped by a signal: last.h5 is there, exit code 1, and going on gives what an unbroken run gives.
run 0 train net.yaml --run whole --set train.epochs=12 --json
unset GOMP_SPINCOUNT OMP_WAIT_POLICY # so that the program starts itself once more
SANDGLASS_DATA="my data" "$SANDGLASS" train net.yaml --run broken --set train.epochs=12 --threads 1 --json >out 2>err &
pid=$!
for _ in $(seq 3000); do
    [ -s broken/history.jsonl ] && break
    sleep 0.01
done
[ "$(cat /proc/$pid/comm)" = "$(basename "$SANDGLASS" | cut -c1-15)" ] || fail "ps calls it '$(cat /proc/$pid/comm)'"
# No handler for SIGINT and SIGTERM: oneDNN's GEMM uses the stack pointer as a register, and a handler's frame would be
# written into the heap.
caught=$(sed -n 's/^SigCgt:[[:space:]]*/0x/p' /proc/$pid/status)
[ $((caught & 0x4002)) -eq 0 ] || fail "a signal handler runs on the stack of oneDNN's kernels: $caught"
kill -TERM $pid || fail "the run was through before the signal: give it more epochs"
wait $pid
code=$?
[ $code -eq 1 ] || fail "exit code $code after SIGTERM, expected 1"
in_err "SANDGLASS_DATA='my data' OMP_NUM_THREADS=1 sandglass train net.yaml --set train.epochs=12 --run broken \
--threads 1 --json --resume"
json_has run epochs error
json_is finished false
[ -e broken/last.h5 ] || fail "no last.h5 after SIGTERM"
run 0 train net.yaml --run broken --set train.epochs=12 --set data.root="my data" --threads 1 --resume --json
run 0 eval whole --json
whole=$(value loss)
run 0 eval broken --json
json_is loss "$whole"
# Stopped while it counts classes, before the first step.
cat >count.yaml <<'END'
extends: net.yaml
data: {height: 512, width: 512, train: {n: 20000}}
train: {loss: {cross_entropy: {class_weights: median_frequency}}}
END
"$SANDGLASS" train count.yaml --json >out 2>err &
pid=$!
for _ in $(seq 3000); do # until it waits for SIGINT, the second bit of the mask
    grep -q '^SigBlk:.*[2367abef]$' /proc/$pid/status && break
    sleep 0.01
done
kill -INT $pid
wait $pid
[ $? -eq 1 ] || fail "exit code of a run that is stopped early"
err_is "error: stopped before training began"
json_is error "error: stopped before training began"

# Out of time: exit code 0, resumable.
run 0 train net.yaml --run short --set train.epochs=100000 --set train.max_seconds=1 --json
json_is finished false
in_err "train.max_seconds is over; to go on:"

# ---- eval
run 0 eval runs/net --json
json_has loss pixel_accuracy mean_accuracy miou per_class.triangle.iou per_class.triangle.accuracy \
    per_class.triangle.pixels images
json_has frequency_weighted_iou mean_precision mean_dice boundary_f1 per_class.triangle.images \
    per_class.triangle.precision per_class.triangle.recall per_class.triangle.dice per_class.triangle.boundary_f1 \
    confusion.0.0 ignored
json_is boundary_tolerance 0.0075
json_is per_class.triangle.absent false
json_is files.0 runs/net/eval/val/scores.csv
json_is files.3 runs/net/eval/val/scores.json
cmp -s out runs/net/eval/val/scores.json || fail "eval --json and scores.json differ"
for file in scores.csv confusion.csv confusion.png; do
    [ -s runs/net/eval/val/$file ] || fail "eval left no $file"
done
head -n 1 runs/net/eval/val/scores.csv |
    grep -qx 'class,pixels,images,absent,iou,accuracy,precision,recall,dice,boundary_f1' || fail "head of scores.csv"
# The matrix holds every pixel that is not ignored, and its diagonal those that are right.
awk -F, -v a="$(value pixel_accuracy)" 'NR > 1 && $1 != "(ignored)" {for (i = 2; i <= NF; i++) n += $i; right += $NR}
    END {d = right / n - a; exit !(n > 0 && d < 1e-6 && d > -1e-6)}' runs/net/eval/val/confusion.csv ||
    fail "confusion.csv and pixel_accuracy disagree"
run 0 eval runs/net/best.h5 --split train
in_out "mean IoU"
! grep -q wrote out && [ ! -e runs/net/eval/train ] || fail "eval of a file kept tables unasked"
run 0 eval runs/net/best.h5 --split train --out kept/deep/ --boundary-tolerance 0.1
in_out "(within 10 % of the diagonal)"
in_out "wrote kept/deep/scores.csv, kept/deep/confusion.csv, kept/deep/confusion.png, kept/deep/scores.json"
# A class that nothing belongs to is absent: no number, no NaN.
run 0 eval runs/net --split val --set data.val.n=1 --set train.best=mean_dice
in_out "absent"
run 0 eval runs/net --split val --set data.val.n=1 --json
absent=$(grep -o '"[a-z]*":{"pixels":0,"images":0,"absent":true' out | head -n 1 | cut -d'"' -f2)
[ -n "$absent" ] || fail "no class is absent from one picture"
json_is "per_class.$absent.accuracy" null
! grep -qi nan out || fail "a NaN in the scores"
run 1 eval runs/net --split tset
in_err "tset"
run 1 eval nowhere
in_err "nowhere"
run 0 eval runs/auto --json
json_has loss mse squared_error_per_image images
run 0 inspect runs/net
in_out "skip/conv2d1/weights"
run 0 inspect runs/net/last.h5 --json
json_has epoch step weights.0.shape.0 config history.0.train.loss

# ---- predict
run 0 predict runs/net scenes/images --out out1
for file in mask color overlay; do [ -f out1/0001_$file.png ] || fail "out1/0001_$file.png is missing"; done
run 0 predict runs/net scenes/images/0000.png --out out2 --json
json_has model out pictures.0.input pictures.0.mask pictures.0.color pictures.0.overlay pictures.0.pixels.triangle
json_is failed 0
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
run 1 predict runs/net broken.png scenes/images/0002.png --out out3 --json
json_has pictures.0.error pictures.1.mask
json_is failed 1
json_is error "error: 1 of 2 pictures could not be done"
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
json_has pictures.0.out pictures.0.compare pictures.1.mse
[ -f out5/0001_out.png ] && [ -f out5/0001_compare.png ] || fail "no reconstruction"
run 1 predict runs/auto a.png --out out5
in_err "takes 16x16 only"
run 0 predict runs/auto a.png --out out5 --set data.fit=resize --set 'data.size=[16, 16]'

# A split of the network's own data, and clean pictures to compare with.
run 0 predict runs/auto --split val --limit 2 --out out6
in_out "val_00001_{out,compare}.png  mse"
[ -f out6/val_00001_out.png ] && [ ! -e out6/val_00002_out.png ] || fail "--limit 2 of a split"
run 0 predict runs/net --split val --limit 1 --out out6
[ -f out6/val_00000_mask.png ] || fail "no mask of a split's picture"
run 0 predict runs/auto small/images --clean small/images --out out7 --json
json_has pictures.0.psnr_after mean_psnr_after
json_is pictures.0.psnr_before 100
run 0 predict runs/noisy small/images --corrupt --out out7
in_out "mean psnr of 2 pictures: "
run 0 predict runs/noisy --split val --limit 3 --corrupt --out out7 --json
json_has pictures.2.psnr_before pictures.2.psnr_after mean_psnr_before
run 2 predict runs/auto --out out7
err_is "error: nothing to run on: name pictures or folders, or give --split NAME"
run 2 predict runs/auto small/images --split val --out out7
err_is "error: 'small/images' and --split val: pictures or a split, not both"
run 2 predict runs/auto small/images --corrupt --clean small/images --out out7
run 2 predict runs/net small/images --corrupt --out out7
err_is "error: --corrupt means nothing for a network whose task is segmentation"
run 1 predict runs/auto small/images --corrupt --out out7
in_err "error: --corrupt: no noise layer reads the network's input"
run 1 predict runs/auto small/images --clean a.png --out out7
in_err "small/images/0000.png: no clean picture is called '0000'"

# Results would fall on the clean pictures they are compared with.
mkdir noisy clean
cp small/images/0000.png noisy/a_out.png
cp small/images/0000.png noisy/a.png
cp small/images/0000.png clean/a_out.png
cp small/images/0001.png clean/a.png
run 1 predict runs/auto noisy --clean clean --out clean
err_is "error: result 'clean/a_out.png' of 'noisy/a.png' would overwrite the input 'clean/a_out.png': choose another --out"

# ---- encode, decode: together what predict gives, bit by bit
for net in auto noisy; do
    run 0 encode runs/$net small/images --out codes.h5 --json
    json_is n 2
    json_is at code
    run 0 decode runs/$net codes.h5 --out decoded
    run 0 predict runs/$net small/images --out out5
    for i in 0000 0001; do
        cmp -s decoded/${i}_out.png out5/${i}_out.png || fail "decoded/${i}_out.png of $net is not what predict gives"
    done
done
run 0 encode runs/auto --split val --limit 3 --out codes.h5
in_out "3 codes of "
in_out "('code') -> codes.h5"
run 0 decode runs/auto codes.h5 --out decoded --limit 2 --json
json_is n 2
json_is pictures.1 decoded/code_0002.png
[ -f decoded/code_0002.png ] && [ ! -e decoded/code_0003.png ] || fail "--limit 2 of codes"
run 0 decode runs/auto codes.h5 --out decoded --grid
[ -f decoded/grid.png ] || fail "no grid.png"
run 1 decode runs/noisy codes.h5 --out decoded
in_err "error: codes.h5: a code is 1x"
run 0 encode runs/noisy small/images --at first --out first.h5
run 1 decode runs/noisy first.h5 --out decoded
err_is "error: first.h5: holds results of 'first', not of 'code': --from first decodes them"
run 0 decode runs/noisy first.h5 --from first --out decoded
cmp -s decoded/0001_out.png out5/0001_out.png || fail "decoded from 'first': not what predict gives"
run 1 decode runs/auto first.h5 --out decoded
err_is "error: first.h5: holds results of 'first', a layer this network does not have"
run 1 encode runs/net small/images --out none.h5
err_is "error: the network has no code layer: name one 'code', give model.code, or say which with --at"
run 0 encode runs/net scenes/images/0000.png --at skip --out maps.h5 # feature maps
in_out "1 codes of 8x48x48 ('skip') -> maps.h5"
run 1 encode runs/noisy small/images --at frist --out none.h5
err_is "error: the network has no layer 'frist', did you mean 'first'?"
run 1 encode runs/noisy small/images odd.ppm --out none.h5
in_err "pictures of one file of codes must have one size"
[ ! -e none.h5 ] || fail "a codes file that failed is there"
run 1 encode runs/auto small/images --out nowhere/codes.h5
err_is "error: --out nowhere/codes.h5: there is no folder 'nowhere': make it first"
run 1 sample runs/auto --out nowhere/draws.png
err_is "error: --out nowhere/draws.png: there is no folder 'nowhere': make it first"
run 2 encode runs/auto small/images
err_is "error: no file for the codes: --out FILE.h5"
run 1 decode runs/auto net.yaml --out decoded
before=$(cat runs/auto/best.h5 a.png | cksum)
run 1 encode runs/auto small/images --out runs/auto/best.h5
err_is "error: --out runs/auto/best.h5: is there already and is no file of codes: choose another name"
run 1 encode runs/auto small/images --out a.png
run 1 sample runs/auto --between a.png --and val:0 --out a.png
err_is "error: --out a.png would overwrite the input 'a.png': choose another name"
run 2 sample runs/auto --out draws
err_is "error: --out draws: not the name of a picture: give .png, .jpg, .bmp or .tga"
[ "$(cat runs/auto/best.h5 a.png | cksum)" = "$before" ] || fail "encode or sample overwrote something"

# ---- sample
run 0 sample runs/auto --out draws.png --n 9 --seed 3
in_out "draws from a normal distribution fitted to the codes of"
run 0 sample runs/auto --out again.png --n 9 --seed 3 --json
json_is rows 3
cmp -s draws.png again.png || fail "the same seed gave other draws"
run 0 sample runs/auto --out again.png --n 9 --seed 4
cmp -s draws.png again.png && fail "another seed gave the same draws"
run 0 sample runs/noisy --out line.png --between small/images/0000.png --and val:1 --steps 5 --json
json_is columns 5
json_is what "5 steps from small/images/0000.png to val:1"
run 0 sample runs/flat --grid 4 --out grid.png
in_out "where the middle 96 % of the training codes are"
run 0 sample runs/flat --grid 4 --range 2 --out grid.png
in_out "a grid of 4 x 4 codes from -2 to 2"
run 1 sample runs/auto --grid 4 --out grid.png
in_err "error: --grid needs a code of 2 units, 'code' has"
run 2 sample runs/auto --grid 4 --n 3 --out grid.png
err_is "error: --n means nothing for --grid"
run 2 sample runs/auto --between val:0 --out line.png
err_is "error: a line has two ends: --between A --and B, not --between alone"
run 2 sample runs/auto --and val:0 --out line.png
err_is "error: a line has two ends: --between A --and B, not --and alone"
run 2 sample runs/auto --between val:0 val:1 --out line.png
in_err "error: unexpected argument 'val:1'; usage: sandglass sample MODEL"
run 1 sample runs/auto --between val:0 --and val:99999 --out line.png
in_err "error: 'val:99999': the split has "
run 2 sample runs/auto val:0 --out line.png
run 2 sample runs/auto
err_is "error: no file for the picture: --out FILE.png"

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

# Only a packed dataset is written over, and not the one that is read.
run 0 pack net.yaml --out net.h5 --json
json_is samples.train 48
before=$(cat net.yaml packed.yaml scenes/images/0000.png net.h5 | cksum)
run 1 pack net.yaml --out net.yaml
err_is "error: --out net.yaml: is there already and is no packed dataset: choose another name"
run 1 pack packed.yaml --out ./net.yaml
run 1 pack net.yaml --out runs/net/last.h5
in_err "is no packed dataset"
run 1 pack net.yaml --out scenes/images/0000.png
ln -s net.h5 link.h5
run 1 pack packed.yaml --out link.h5
in_err "--out link.h5 would overwrite the input"
ln net.h5 hard.h5.tmp
run 1 pack packed.yaml --out hard.h5
in_err "--out hard.h5 would overwrite the input"
[ "$(cat net.yaml packed.yaml scenes/images/0000.png net.h5 | cksum)" = "$before" ] || fail "pack overwrote something"
# More splits than anyone would think of.
splits=""
for i in 1 2 3 4 5 6 7 8 9 10; do splits="$splits --set data.s$i.n=$i"; done
# shellcheck disable=SC2086
run 0 pack net.yaml --out many.h5 $splits --json
json_is samples.s10 10
json_is samples.s7 7
# shellcheck disable=SC2086
run 0 check net.yaml $splits --json
json_is splits.s10.samples 10
# Stopped: nothing is left.
"$SANDGLASS" pack net.yaml --out stopped.h5 --set data.train.n=200000 >out 2>err &
pid=$!
for _ in $(seq 3000); do
    [ -e stopped.h5.tmp ] && break
    sleep 0.01
done
kill -TERM $pid
wait $pid
[ $? -eq 1 ] || fail "exit code of a pack that is stopped"
in_err "error: stopped before the end: stopped.h5 was not written"
[ ! -e stopped.h5 ] && [ ! -e stopped.h5.tmp ] || fail "a stopped pack leaves a file"

# ---- import with a config whose class weights are counted from the masks
cat >weighted.yaml <<'END'
extends: net.yaml
train: {epochs: 1, loss: {cross_entropy: {class_weights: median_frequency}}}
END
run 0 train weighted.yaml --run weighted
run 0 export weighted --out weighted.keras.h5
run 0 import weighted.keras.h5 --config weighted.yaml --out imported.h5
run 0 eval weighted --json
loss=$(value loss)
run 0 eval imported.h5 --json
[ "$(printf '%.4f' "$(value loss)")" = "$(printf '%.4f' "$loss")" ] || fail "loss $(value loss) where it was $loss"

# ---- stdout that cannot be written
"$SANDGLASS" inspect --kinds >/dev/full 2>err
[ $? -eq 1 ] || fail "a full disk behind stdout went unnoticed"

[ $failures -eq 0 ] && echo "all passed"
exit $((failures > 0))
