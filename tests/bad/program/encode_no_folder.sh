"$SANDGLASS" encode nowhere --split val --out missing/codes.h5
