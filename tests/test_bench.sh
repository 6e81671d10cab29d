#!/bin/bash
# sandglass bench as a person uses it: its numbers fit together, its trace is one, its mistakes are told.
#   test_bench.sh SANDGLASS JSON_CHECK
set -u
configs=$(cd "$(dirname "$0")/../configs/bench" && pwd)
. "$(dirname "$0")/program.sh" bench "$1" "$2"
export OMP_NUM_THREADS=1

# holds EXPRESSION: of numbers, as awk reads it.
holds() { awk "BEGIN { exit !($1) }" || fail "not so: $1"; }
# sum NAME: of all numbers under that key in out.
sum() { grep -oE "\"$1\":[0-9.e+-]+" out | awk -F: '{ s += $2 } END { printf "%.9g", s }'; }

small=(--set data.height=32 --set data.width=48 --set data.train.n=6 --set model.params.width=8
    --set model.params.depth=2 --set train.batch_size=2)

# ---- training

run 0 bench "$configs/unet.yaml" "${small[@]}" --steps 7 --json --trace trace.json --trace-steps 2
json_has config mode precision engine input.3 batch_size parameters buffers gflop steps step_ms step_ms_min \
    samples_per_second gflop_per_second first_step_ms peak_rss_mb bare_ms bare_ms_min ratio planned_mb program.reorders \
    kinds.0.share listing.0.implementation bare.0.implementation
json_is mode training
json_is precision f32
json_is steps 7
json_is input.0 2
# two levels of 8, 16 and 32 channels: 3x3 convolutions, batch norms, 2x2 up-convolutions, 1x1 with bias
json_is parameters $((9 * (3 * 8 + 8 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 32 * 32 + 32 * 16 + 16 * 16 + 16 * 8 + 8 * 8) + \
    4 * (32 * 16 + 16 * 8) + 2 * (4 * 8 + 4 * 16 + 2 * 32) + 8 * 6 + 6))
json_is buffers $((2 * (4 * 8 + 4 * 16 + 2 * 32)))
holds "$(value step_ms) >= $(value step_ms_min) && $(value step_ms_min) > 0"
holds "$(value first_step_ms) >= $(value step_ms_min)"
holds "$(value peak_rss_mb) > $(value planned_mb)"
ratio=$(value ratio) bare=$(value bare_ms) step=$(value step_ms)
holds "($ratio - $step / $bare) ^ 2 < 1e-6 * $ratio ^ 2"
# forward convolutions and both gradients, but for the picture's own
forward=$((2 * 9 * 2 * (32 * 48 * (3 * 8 + 8 * 8 + 16 * 8 + 8 * 8) + 16 * 24 * (8 * 16 + 16 * 16 + 32 * 16 + 16 * 16) +
    8 * 12 * (16 * 32 + 32 * 32))))
others=$((2 * 2 * (8 * 12 * 4 * 32 * 16 + 16 * 24 * 4 * 16 * 8 + 32 * 48 * 8 * 6)))
first=$((2 * 9 * 2 * 32 * 48 * 3 * 8))
holds "($(value gflop) * 1e9 - $((3 * (forward + others) - first))) ^ 2 < 1"
# the parts of bare make its sum
parts=$(sed 's/.*"bare":\[//' out | grep -oE '"ms":[0-9.e+-]+' | awk -F: '{ s += $2 } END { printf "%.9g", s }')
holds "($parts - $bare) ^ 2 < 1e-6 * $bare ^ 2"
# and the kinds a step, roughly: medians do not add up
kinds=$(sed 's/.*"kinds":\[//; s/"listing".*//' out | grep -oE '"ms":[0-9.e+-]+' | awk -F: '{ s += $2 } END { print s }')
holds "$kinds > 0.5 * $step && $kinds < 2 * $step"
for kind in convolution deconvolution normalization pooling reorder native loss optimizer "waiting for data"; do
    in_out "\"kind\":\"$kind\""
done
planned=$(value program.planned_bytes)

"$JSON_CHECK" trace.json traceEvents.0.name >/dev/null || fail "the trace is no JSON"
[ "$(grep -o '"name":"step","cat":"step"' trace.json | wc -l)" -eq 2 ] || fail "the trace has not two steps"
[ "$(grep -o '"cat":"convolution"' trace.json | wc -l)" -gt 20 ] || fail "the trace lacks convolutions"

# ---- without running, without bare primitives, inference, as text

run 0 bench "$configs/unet.yaml" "${small[@]}" --counts-only --json
json_is program.planned_bytes "$planned"
grep -qE '"(step_ms|bare_ms|peak_rss_mb|ms)"' out && fail "--counts-only gives times"
run 0 bench "$configs/unet.yaml" "${small[@]}" --no-bare --seconds 0 --json
json_has step_ms steps
grep -q '"bare_ms"' out && fail "--no-bare gives bare_ms"
run 0 bench "$configs/unet.yaml" "${small[@]}" --infer --steps 3 --json --trace trace.json
json_is mode inference
json_is steps 3
holds "($(value gflop) * 1e9 - $((forward + others))) ^ 2 < 1"
grep -q '"kind":"optimizer"' out && fail "inference has an optimizer"
grep -q '"name":"optimizer"' trace.json && fail "the trace of inference has an optimizer"
grep -q '"cat":"convolution"' trace.json || fail "the trace of inference has no convolution"
run 0 bench "$configs/conv.yaml" --set data.train.n=3 --set train.batch_size=4 --steps 1 --json # fewer samples than a batch
json_is batch_size 3
run 0 bench "$configs/conv.yaml" --set data.train.n=8 --set train.batch_size=4 --seconds 0
in_out "4,385 parameters"
in_out "ratio"
in_out "waiting for data"
run 0 bench "$configs/segnet_basic.yaml" --set data.height=32 --set data.width=32 --set model.params.width=16 --seconds 0
in_out "pooling"

# an LSTM's own primitives; generated pictures as sequences of rows
cat >rows.yaml <<'TEXT'
task: reconstruction
data: {kind: shapes, height: 8, width: 8, channels: 1, train: {n: 8}}
model:
  layers: [{reshape: [8, 8]}, {lstm: {units: 6, sequences: true}}, {lstm: {units: 8, sequences: true}}, {reshape: [1, 8, 8]}]
train: {batch_size: 4, loss: mse}
TEXT
run 0 bench rows.yaml --seconds 0 --json
in_out '"name":"lstm_backward"'
holds "$(value bare_ms) > 0"

# ---- mistakes

run 2 bench "$configs/unet.yaml" --counts-only --steps 3
in_err "--steps means nothing for --counts-only"
run 2 bench "$configs/unet.yaml" --trace-steps 3
in_err "--trace-steps means nothing without --trace"
run 2 bench "$configs/unet.yaml" --steps 3 --seconds 5
in_err "--steps and --seconds"
run 1 bench "$configs/unet.yaml" --trace nowhere/trace.json
in_err "nowhere"
run 1 bench nothing.yaml --json
json_has error

echo "$failures failures"
[ $failures -eq 0 ]
