# Files may not grow beyond a few kB: as on a full disk, writing the first checkpoint fails. Nothing of it is left.
ulimit -f 8
code=0
"$SANDGLASS" train base_shapes.yaml --run run --set model.layers.0.conv2d.kernel=15 || code=$?
[ ! -e run ] && [ ! -e run.tmp ] || echo "something is left: $(ls -d run*)" >&2
exit $code
