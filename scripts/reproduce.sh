#!/bin/bash
# Trains the published autoencoders and writes what came out beside what was published.
#
#   scripts/reproduce.sh [--quick] [--again] [--jobs N] [--data DIR] [NAME...]
#
#   NAME      see the table below; default: all
#   --quick   a few epochs of some of them in about 3 minutes, judged by looser limits that a broken model misses
#   --again   train anew what a finished run is there for
#   --jobs    models that are trained at the same time, each on one thread, so that none waits for another; default: as
#             many as there are processors
#   --data    where mnist/ and fashion-mnist/ are; default: SANDGLASS_DATA, else data/ (scripts/fetch_data.sh mnist)
#
# Runs are in runs/reproduce/NAME (runs/reproduce-quick/NAME), an unfinished one is gone on with. Every run leaves its
# row in runs/reproduce/rows; the full form rewrites the part of RESULTS.md between its two markers from all rows there
# are. Ends non-zero when a limit is missed. Needs jq, which scripts/packages.sh installs.
set -euo pipefail
cd "$(dirname "$0")/.."

# name | config | score | limit | quick limit | quick settings | published | source
#   score: what eval --json calls it, or one of those that score() knows; all but accuracy are better when smaller
#   quick limit empty: not part of --quick
models="\
dense|mnist/dense|loss|0.0935|0.1|train.epochs=10|0.09 (0.11 in 2016)|Keras blog, simple
sparse|mnist/sparse|loss|0.105|0.102|train.epochs=10|0.10|Keras blog, sparse
deep|mnist/deep|loss|0.088|0.11|train.epochs=8|0.08 (0.097 in 2016)|Keras blog, deep
conv|mnist/conv|loss|0.097|||0.094|Keras blog, convolutional
conv_transpose|mnist/conv_transpose|loss|0.064|0.085|train.epochs=1|0.0622|keras.io, vision/autoencoder, clean
denoise|mnist/denoise|loss|0.085|||0.0839|keras.io, vision/autoencoder, noisy
vae|mnist/vae|loss||182|train.epochs=3|none|dense, after the Keras blog
vae_conv|mnist/vae_conv|train_loss|147|||146.95|keras.io, generative/vae
hinton30|mnist/hinton30|squared_error_per_image|3.00|||3.00|Hinton & Salakhutdinov 2006
hinton30_scratch|mnist/hinton30_scratch|squared_error_per_image||||none|without pre-training, orthogonal initial weights
hinton30_glorot|mnist/hinton30_glorot|squared_error_per_image||||none|without pre-training, its initial weights
hinton2|mnist/hinton2|squared_error_per_image||||none|Hinton & Salakhutdinov 2006, figure 3
sequence|mnist/sequence|loss||0.2|train.epochs=2|none|LSTM over rows
sda|mnist/sda|test_error|1.4|5|pretrain.epochs=1 train.epochs=3|1.28|Vincent et al. 2010, SDAE-3
sda_scratch|mnist/sda_scratch|test_error||||none|the same without pre-training
anomaly|mnist/anomaly|loss||||none|without the digit that is to be noticed
fashion_dense|fashion/dense|loss||||none|
fashion_conv_transpose|fashion/conv_transpose|loss||||none|
fashion_vae|fashion/vae|train_loss||||none|"

say() { echo "reproduce: $*" >&2; }
die() {
    say "error: $*"
    exit 1
}

quick=false again=false jobs=$(nproc) data=${SANDGLASS_DATA:-data}
wanted=()
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=true ;;
    --again) again=true ;;
    --jobs) shift && jobs=${1:?} ;;
    --data) shift && data=${1:?} ;;
    --help | -h) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    -*) die "unknown option '$1'; --help says what there is" ;;
    *) wanted+=("$1") ;;
    esac
    shift
done
for name in "${wanted[@]}"; do
    grep -q "^$name|" <<<"$models" || die "unknown name '$name'; there are: $(cut -d'|' -f1 <<<"$models" | xargs)"
done
command -v jq >/dev/null || scripts/packages.sh reproduce
sandglass=build/sandglass
[ -x $sandglass ] || { scripts/packages.sh build && scripts/build.sh build -DCMAKE_BUILD_TYPE=Release; } >&2

runs=runs/reproduce
$quick && runs=runs/reproduce-quick
mkdir -p $runs/rows
data=$(cd "$data" 2>/dev/null && pwd) || die "there is no folder '$data': scripts/fetch_data.sh mnist, or --data DIR"
[ -d "$data/mnist" ] || die "no MNIST in $data: scripts/fetch_data.sh mnist"

# Fashion-MNIST may come from Debian's package although MNIST is elsewhere: a folder with links to both.
has_fashion=true
if [ ! -d "$data/fashion-mnist" ]; then
    if [ -d /usr/share/datasets/fashion-mnist ]; then
        mkdir -p $runs/data
        ln -sfn "$data/mnist" $runs/data/mnist
        ln -sfn /usr/share/datasets/fashion-mnist $runs/data/fashion-mnist
        data=$PWD/$runs/data
    else
        has_fashion=false
    fi
fi

# train NAME CONFIG SETTINGS: to the end, whatever is there already. A run under another config is not gone on with.
train() {
    local run=$runs/$1 sets=() how=() config
    for set in $3; do sets+=(--set "$set"); done
    config=$($sandglass inspect "configs/$2.yaml" --set data.root="$data" "${sets[@]}" | cksum)
    if $again || [ "$config" != "$(cat "$runs/$1.config" 2>/dev/null)" ]; then rm -rf "$run" "$runs/$1.train.json"; fi
    echo "$config" >"$runs/$1.config"
    [ -f "$runs/$1.train.json" ] && [ -d "$run" ] && return
    [ -d "$run" ] && how=(--resume)
    $sandglass train "configs/$2.yaml" --set data.root="$data" "${sets[@]}" --run "$run" "${how[@]}" $threads --json \
        >"$runs/$1.train.json.tmp" 2>"$runs/$1.log" || die "training '$1' failed: $(tail -n 3 "$runs/$1.log")"
    mv "$runs/$1.train.json.tmp" "$runs/$1.train.json"
}

# score RUN NAME SCORE: the number.
score() {
    case $3 in
    train_loss) jq '.train.loss' "$runs/$2.train.json" ;;
    test_error) jq '(1 - .accuracy) * 100 * 1000 | round / 1000' "$runs/$2.eval.json" ;;
    *) jq ".$3" "$runs/$2.eval.json" ;;
    esac
}

# From last.h5, the run's end, as the published figures are.
evaluate() {
    $sandglass eval "$runs/$1/last.h5" --json >"$runs/$1.eval.json.tmp" || die "scoring '$1' failed"
    mv "$runs/$1.eval.json.tmp" "$runs/$1.eval.json"
}

# one NAME CONFIG SCORE LIMIT SETTINGS PUBLISHED SOURCE: train, score, leave the row.
one() {
    local name=$1 config=$2 score=$3 limit=$4 value verdict= seconds epochs
    rm -f "$runs/rows/$name.json"
    say "$name: begins"
    train "$name" "$config" "$5"
    evaluate "$name"
    value=$(score "$runs/$name" "$name" "$score")
    if [ -n "$limit" ]; then
        verdict=missed
        if jq -en "$value | type == \"number\" and . <= $limit" >/dev/null; then verdict=reached; fi
    fi
    seconds=$(jq '.seconds' "$runs/$name.train.json")
    epochs=$(jq '.epochs' "$runs/$name.train.json")
    jq -n --arg name "$name" --arg config "$config" --arg score "$score" --arg published "$6" --arg source "$7" \
        --arg limit "$limit" --arg verdict "$verdict" --argjson value "$value" --argjson seconds "$seconds" \
        --argjson epochs "$epochs" '$ARGS.named' >"$runs/rows/$name.json.tmp"
    mv "$runs/rows/$name.json.tmp" "$runs/rows/$name.json"
    say "$name: $score $value${limit:+ (at most $limit: $verdict)}, $epochs epochs, ${seconds%.*} s"
}

began=$SECONDS
threads=
[ "$jobs" -gt 1 ] && threads="--threads 1"
trap 'kill $(jobs -rp) 2>/dev/null; exit 130' INT TERM
chosen=()
# The longest first, so that the processors finish together.
long="vae_conv hinton30 sda hinton2 conv_transpose denoise hinton30_scratch sda_scratch conv sequence"
by_length=$(for name in $long; do grep "^$name|" <<<"$models"; done
    grep -vE "^(${long// /|})\|" <<<"$models")
while IFS='|' read -r name config score limit quick_limit sets published source; do
    if [ ${#wanted[@]} -gt 0 ]; then
        [[ " ${wanted[*]} " == *" $name "* ]] || continue
    elif $quick && [ -z "$quick_limit" ]; then
        continue
    fi
    if [[ $config == fashion/* ]] && ! $has_fashion; then
        say "$name: left out, there is no Fashion-MNIST (scripts/fetch_data.sh fashion-mnist)"
        continue
    fi
    $quick || sets=
    $quick && limit=$quick_limit
    chosen+=("$name")
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
    one "$name" "$config" "$score" "$limit" "$sets" "$published" "$source" &
done <<<"$by_length"
wait

missed=()
for name in "${chosen[@]}"; do
    if [ ! -f "$runs/rows/$name.json" ]; then
        missed+=("$name: failed")
    elif [ "$(jq -r .verdict "$runs/rows/$name.json")" = missed ]; then
        missed+=("$name: $(jq -r '"\(.score) \(.value), wanted at most \(.limit)"' "$runs/rows/$name.json")")
    fi
done

# The rows in the order of the table above, as Markdown.
table() {
    echo "| model | score on the test images | published | wanted | ours | epochs | seconds | source | command |"
    echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    while IFS='|' read -r name _; do
        [ -f "$runs/rows/$name.json" ] || continue
        jq -r '{loss: "loss", train_loss: "loss in training", test_error: "error, %",
                squared_error_per_image: "squared error an image"} as $words |
            def short: if . >= 100 then . * 10 | round / 10 elif . >= 1 then . * 1000 | round / 1000
                       else . * 100000 | round / 100000 end;
            "| [\(.name)](configs/\(.config).yaml) | \($words[.score]) | \(.published) | " +
            "\(if .limit == "" then "" else "≤ " + .limit end) | \(.value | short) | \(.epochs) | " +
            "\(.seconds | round) | \(.source) | `sandglass train configs/\(.config).yaml` |"' "$runs/rows/$name.json"
    done <<<"$models"
}

# ---- what the models are good for: a line of figures each, from those of the models above that were trained

# use NAME ROW MODEL COMMAND...: the line `ROW` (a jq filter on the command's JSON), when MODEL was trained, kept in
# rows/NAME.use. The command gets the model's last.h5 behind its name and --json.
use() {
    local name=$1 row=$2 model=$3 line
    shift 3
    local command=("$1")
    shift
    [ "${command[0]}" = analyze ] && command+=("$1") && shift
    [ -d "$runs/$model" ] || return 0
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $model "* ]]; then return 0; fi
    say "$name: ${command[*]} $model $*"
    if ! $sandglass "${command[@]}" "$runs/$model/last.h5" "$@" --json >"$runs/$name.use.json" 2>"$runs/$name.use.log"; then
        missed+=("$name: failed: $(tail -n 2 "$runs/$name.use.log")")
        return 0
    fi
    line=$(jq -r "def r(n): . * n | round / n; $row" "$runs/$name.use.json")
    echo "| $line | \`sandglass ${command[*]} RUN/$model${*:+ }${*//$runs\//RUN/}\` |" >"$runs/rows/$name.use"
}
uses="code_dense code_sparse pca30 pca2 probe_dense probe_hinton30 anomaly_digit anomaly_fashion compress denoised"
pca='"\(.components) values: squared error an image, principal components | \(.pca.squared_error_per_image | r(1000)) |" +
     " autoencoder \(.autoencoder.squared_error_per_image | r(1000))"'
probe='"test error of a linear probe, %: codes | \(.codes.test_error * 100 | r(100)) | pixels " +
       "\(.pixels.test_error * 100 | r(100)), principal components \(.pca.test_error * 100 | r(100)), " +
       "local binary patterns \(.lbp.test_error * 100 | r(100))"'
anomaly='"area under the ROC curve | \(.auc | r(10000)) | detected \(.detection_rate * 100 | r(100)) %, false alarms " +
         "\(.false_alarm_rate * 100 | r(100)) %"'
use code_dense '"mean code, dense | \(.mean | r(1000)) | zeros \(.zeros * 100 | r(10)) %"' dense analyze codes
use code_sparse '"mean code, sparse | \(.mean | r(1000)) | zeros \(.zeros * 100 | r(10)) %"' sparse analyze codes
if ! $quick; then
    use pca30 "$pca" hinton30 analyze pca
    use pca2 "$pca" hinton2 analyze pca
    use probe_dense "$probe" dense analyze probe --train-limit 20000
    use probe_hinton30 "$probe" hinton30 analyze probe --train-limit 20000
    use anomaly_digit "\"digit 2 among the others: \" + $anomaly" anomaly analyze anomaly
    $has_fashion && use anomaly_fashion "\"Fashion-MNIST among MNIST: \" + $anomaly" dense analyze anomaly \
        --anomalous configs/data/fashion_mnist.yaml --score relative
    use compress '(.codes[] | select(.bits == 8)) as $c | (.jpeg[] | select(.quality == 5)) as $j |
        "32 values of 8 bits | \($c.bytes) bytes, \($c.psnr | r(100)) dB | JPEG at quality 5: \($j.file_bytes | r(10)) bytes, " +
        "\($j.psnr | r(100)) dB; its pixels alone \($j.coded_bytes | r(10)) bytes"' dense analyze compress
    use denoised '"PSNR of noisy pictures, dB | \(.mean_psnr_before | r(100)) | denoised \(.mean_psnr_after | r(100))"' \
        denoise predict --split val --limit 200 --corrupt --out $runs/denoise/predictions
fi

# picture MODEL COMMAND...: pictures alone; the command gets the model's last.h5 behind its name.
picture() {
    local model=$1 command=("$2")
    shift 2
    [ "${command[0]}" = analyze ] && command+=("$1") && shift
    [ -d "$runs/$model" ] || return 0
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $model "* ]]; then return 0; fi
    say "${command[*]} $model $*"
    $sandglass "${command[@]}" "$runs/$model/last.h5" "$@" >"$runs/picture.log" 2>&1 ||
        missed+=("${command[*]} $model: $(tail -n 2 "$runs/picture.log")")
}
if ! $quick; then
    picture hinton2 analyze scatter
    picture vae analyze scatter
    picture vae sample --grid 20 --out $runs/vae/grid.png
    picture vae_conv sample --grid 20 --out $runs/vae_conv/grid.png
    picture hinton30 sample --out $runs/hinton30/sample.png
    picture hinton30 sample --between val:0 --and val:1 --out $runs/hinton30/between.png
    picture conv_transpose analyze filters
    picture conv_transpose analyze maps --split val
    picture dense analyze filters
    picture dense analyze excite --at code
fi

# limit NAME JQ WORDS: a limit on a use's figures.
limit() {
    [ -f "$runs/$1.use.json" ] || return 0
    jq -e "$2" "$runs/$1.use.json" >/dev/null || missed+=("$1: $3")
}
if [ -f $runs/code_dense.use.json ] && [ -f $runs/code_sparse.use.json ]; then
    limit code_sparse "(.mean | type) == \"number\" and .mean <= 0.5 * $(jq .mean $runs/code_dense.use.json)" "the sparse code is not half the dense one"
fi
limit pca2 '.pca.squared_error_per_image >= 2 * .autoencoder.squared_error_per_image' "not twice as good as PCA"

use_table() {
    echo "| what | figure | beside it | command |"
    echo "| --- | --- | --- | --- |"
    for name in $uses; do cat "$runs/rows/$name.use" 2>/dev/null || true; done
}

# between MARK: standard input in place of what stands between two markers of RESULTS.md.
between() {
    grep -q "<!-- $1: begin -->" RESULTS.md && grep -q "<!-- $1: end -->" RESULTS.md ||
        die "RESULTS.md lacks the markers '<!-- $1: begin -->' and '<!-- $1: end -->'"
    {
        sed "/<!-- $1: begin -->/q" RESULTS.md
        printf '\n%s\n\n' "$(cat)"
        sed -n "/<!-- $1: end -->/,\$p" RESULTS.md
    } >RESULTS.md.tmp
    mv RESULTS.md.tmp RESULTS.md
}

echo
table
echo
use_table
if ! $quick; then
    table | between models
    use_table | between uses
    say "RESULTS.md is written"
fi
say "took $((SECONDS - began)) s"
for line in "${missed[@]}"; do say "MISSED $line"; done
[ ${#missed[@]} -eq 0 ]
