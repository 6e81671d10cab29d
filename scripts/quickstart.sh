#!/bin/sh
# From a fresh clone to segmented pictures: install what is missing, build, train a small network on generated scenes,
# score it, run it on a few pictures it has not seen. Takes less than four minutes on two cores. Its results are in
# runs/quickstart, which a new call replaces.
set -eu
cd "$(dirname "$0")/.."
run=runs/quickstart
began=$(date +%s)

echo "== packages and build"
scripts/packages.sh build
scripts/build.sh build -DCMAKE_BUILD_TYPE=Release -DSANDGLASS_TESTS=OFF
sandglass=build/sandglass

echo
echo "== training on generated scenes"
rm -rf "$run"
"$sandglass" train configs/shapes/unet.yaml --run "$run" --set data.train.n=6144 --set train.max_seconds=110

echo
echo "== scores on scenes it has not seen"
"$sandglass" eval "$run"

echo
echo "== pictures"
"$sandglass" inspect --pictures "$run/scenes" --split val --count 6 configs/shapes/unet.yaml
"$sandglass" predict "$run" "$run/scenes/images" --out "$run/predictions"

epochs=$(wc -l <"$run/history.jsonl")
if [ "$epochs" -lt 3 ]; then
    cat <<END

Training stopped after 110 s, whatever was reached by then: $epochs of 6 epochs, too few for good pictures. Is the machine
busy? To go on for as long again, and see:
  $sandglass train configs/shapes/unet.yaml --run $run --resume --set data.train.n=2048 --set train.max_seconds=110
  $sandglass predict $run $run/scenes/images --out $run/predictions
END
fi
cat <<END

Where to look:
  $run/predictions/*_overlay.png   the scenes with the predicted classes laid over
  $run/predictions/*_color.png     the predicted masks in colours
  $run/predictions/*_mask.png      the predicted masks as class indices (with a palette)
  $run/scenes/                     the scenes and their true masks
  $run/samples/                    pictures made while training
  $run/history.jsonl               a line of numbers an epoch
It took $(($(date +%s) - began)) s. Next: README.md, "Your own pictures in five minutes".
END
