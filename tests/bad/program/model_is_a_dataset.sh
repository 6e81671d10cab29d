"$SANDGLASS" pack base_shapes.yaml --out x.h5
"$SANDGLASS" eval x.h5
