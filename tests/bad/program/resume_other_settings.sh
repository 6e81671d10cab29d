"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
"$SANDGLASS" train base_shapes.yaml --run run --resume --set train.lr=0.5 --set train.epochs=2
