"$SANDGLASS" train base_auto.yaml --run run >/dev/null 2>&1
"$SANDGLASS" sample run --grid 3 --out grid.png
