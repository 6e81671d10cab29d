mkdir -p empty
"$SANDGLASS" eval empty
