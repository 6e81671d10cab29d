# There is no such folder.
"$SANDGLASS" init nowhere --out mine.yaml
