"$SANDGLASS" eval model_newer.h5
