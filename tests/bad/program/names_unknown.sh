# A list of names of other pictures.
. ./base.sh.inc
printf 'b\nc\nd\n' >val.txt
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {names: val.txt}
END
"$SANDGLASS" check mine.yaml
