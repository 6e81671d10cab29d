# A learning rate that blows the network up: stopped with the step and the first bad tensor; what was good stays.
# (Which of its elements is bad first depends on the processor.)
code=0
"$SANDGLASS" train base_shapes.yaml --run run --set train.lr=1e6 --set train.optimizer=sgd --set train.epochs=40 --set train.eval_every=0 \
    --set 'model.layers=[{conv2d: {filters: 8, kernel: 3, padding: same}}, {conv2d: {filters: 8, kernel: 3, padding: same}}, {conv2d: {filters: 6, kernel: 3, padding: same}}]' \
    2>words || code=$?
sed 's/ at \[[0-9, ]*\] / /' words >&2
exit $code
