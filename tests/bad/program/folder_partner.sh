# A file of another channel is missing.
. ./base.sh.inc
mkdir more
cp images/a.ppm more/
cat >mine.yaml <<'END'
extends: base.yaml
data:
  train: {images: [images, more]}
END
"$SANDGLASS" check mine.yaml
