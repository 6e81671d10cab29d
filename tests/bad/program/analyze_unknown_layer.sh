"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" analyze codes run --at pixel
