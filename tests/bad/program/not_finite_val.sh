# The same learning rate, found by the evaluation: neither best.h5 nor last.h5 holds such weights.
code=0
"$SANDGLASS" train base_shapes.yaml --run run --set train.lr=1e6 --set train.optimizer=sgd --set train.epochs=40 \
    --set 'model.layers=[{conv2d: {filters: 8, kernel: 3, padding: same}}, {conv2d: {filters: 8, kernel: 3, padding: same}}, {conv2d: {filters: 6, kernel: 3, padding: same}}]' || code=$?
[ ! -e run/best.h5 ] && [ -e run/last.h5 ] && "$SANDGLASS" eval run >out 2>&1 || { echo "no usable checkpoint" >&2; cat out >&2; }
exit $code
