"$SANDGLASS" eval nowhere
