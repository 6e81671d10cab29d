# A list of names that is not there.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {names: val.txt}
END
"$SANDGLASS" check mine.yaml
