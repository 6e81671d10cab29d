mkdir -p images masks
rm -f images/* masks/*
"$SANDGLASS" check base.yaml
