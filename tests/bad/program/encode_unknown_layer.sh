"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" encode run --split val --at pixel --out codes.h5
