mkfifo x.h5
"$SANDGLASS" check base_shapes.yaml --set 'data={kind: hdf5, root: ., file: x.h5, train: {}}'
