"$SANDGLASS" sample nowhere --between a.png --out line.png
