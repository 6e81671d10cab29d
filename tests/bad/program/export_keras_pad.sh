# Every layer that Keras cannot say is named, and nothing is written.
"$SANDGLASS" train base_shapes.yaml --run run --set 'model.layers=[{pad: {padding: 1, mode: reflect}, name: mirror}, {conv2d: 6}, {pad: {padding: 2, mode: edge}, name: edges}, {crop: 2}]' >/dev/null 2>&1
code=0
"$SANDGLASS" export run --out out.keras.h5 || code=$?
[ ! -e out.keras.h5 ] || echo "out.keras.h5 is there" >&2
exit $code
