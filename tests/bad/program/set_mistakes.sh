"$SANDGLASS" check base_shapes.yaml --set train.lr=fast --set train.epoch=3
