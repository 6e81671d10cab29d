"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
"$SANDGLASS" import run/last.h5 --out out.h5
