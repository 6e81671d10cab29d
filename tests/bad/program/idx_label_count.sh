printf '\000\000\010\003\000\000\000\002\000\000\000\004\000\000\000\004%032d' 0 >digits
printf '\000\000\010\001\000\000\000\003\001\002\003' >labels
"$SANDGLASS" check idx_missing.yaml --set data.train.images=digits --set data.train.labels=labels
