echo 'a file where the folder should be' >runs
"$SANDGLASS" train base_shapes.yaml --run runs/x
