# A frozen model in the place of a run's checkpoint.
"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" export run --out m.h5 --verify val >/dev/null
rm run/last.prev.h5
cp m.h5 run/last.h5
"$SANDGLASS" train base_auto.yaml --run run --resume
