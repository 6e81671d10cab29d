"$SANDGLASS" import keras_unknown_option.h5 --out out.h5
