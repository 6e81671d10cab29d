"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" train base_auto.yaml --run wide --set model.layers.1.dense=7 >/dev/null 2>&1
"$SANDGLASS" encode wide --split val --out codes.h5 >/dev/null
"$SANDGLASS" decode run codes.h5 --out out
