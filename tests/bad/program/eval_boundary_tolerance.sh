"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
"$SANDGLASS" eval run --boundary-tolerance 3
