# Options of export that mean nothing, and ones it needs: said before the model is looked at.
refuse() {
    code=0
    "$SANDGLASS" export model.h5 "$@" || code=$?
    [ $code -eq 2 ] || echo "exit code $code"
}
refuse
refuse --out model.txt
refuse --out m.h5 --count 3
refuse --out m.h5 --count 8
refuse --out m.h5 --dtype f16
refuse --out m.h5 --onnx-unpool scatter
