# The run directory cannot take the tables: the scores are told all the same, and the exit code is 0.
"$SANDGLASS" train base_shapes.yaml --run run >/dev/null 2>&1
echo >run/eval
"$SANDGLASS" eval run
