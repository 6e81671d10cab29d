echo 'not a checkpoint' >model.h5
"$SANDGLASS" eval model.h5
