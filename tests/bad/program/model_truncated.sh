"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
head -c 5000 run/best.h5 >short.h5
code=0
"$SANDGLASS" eval short.h5 2>words || code=$?
sed 's/of [0-9]*/of N/' words >&2 # how long the file was depends on the run's times
exit $code
