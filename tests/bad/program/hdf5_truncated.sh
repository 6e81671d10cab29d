"$SANDGLASS" pack base_shapes.yaml --out whole.h5
head -c 3000 whole.h5 >x.h5
"$SANDGLASS" check base_shapes.yaml --set 'data={kind: hdf5, root: ., file: x.h5, train: {}}'
