"$SANDGLASS" train base_auto.yaml --run run --set model.layers.1.name=narrow >/dev/null 2>&1
"$SANDGLASS" encode run --split val --out codes.h5
