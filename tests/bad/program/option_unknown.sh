"$SANDGLASS" train base_shapes.yaml --resumee
