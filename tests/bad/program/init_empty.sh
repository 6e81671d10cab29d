# Nothing in the folder.
mkdir nothing
"$SANDGLASS" init nothing --out mine.yaml
