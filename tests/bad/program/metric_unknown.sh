"$SANDGLASS" train base_shapes.yaml --run run --set train.best=boundry_f1
