"$SANDGLASS" import keras_only.weights.h5 --out out.h5
