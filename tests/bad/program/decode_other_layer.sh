"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" encode run --split val --at pixels --out codes.h5 >/dev/null
"$SANDGLASS" decode run codes.h5 --out out
