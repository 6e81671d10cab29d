printf '\000\000\010\003\000\000\000\002\000\000\000\004\000\000\000\004%017d' 0 >digits
"$SANDGLASS" check idx_missing.yaml --set data.train.images=digits
