"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
echo >file
"$SANDGLASS" eval run --out file/here
