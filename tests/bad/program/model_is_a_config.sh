"$SANDGLASS" eval base_shapes.yaml
