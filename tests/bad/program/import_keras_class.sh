"$SANDGLASS" import keras_unknown_class.h5 --out out.h5
