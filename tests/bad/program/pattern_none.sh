# A pattern that no picture fits.
. ./base.sh.inc
cat >mine.yaml <<'END'
extends: base.yaml
data:
  images: images
  masks: masks
  train: {images: ~, masks: ~, part: rest}
  val: {pattern: "val_*"}
END
"$SANDGLASS" check mine.yaml
