# One byte of a sample's pixels is another: its checksum notices.
"$SANDGLASS" pack base_shapes.yaml --out x.h5
size=$(stat -c %s x.h5)
dd if=/dev/zero of=x.h5 bs=1 count=64 seek=$((size - 300)) conv=notrunc 2>/dev/null
"$SANDGLASS" check base_shapes.yaml --set 'data={kind: hdf5, root: ., file: x.h5, train: {}, val: {}}'
