# A folder is no config: of pictures, and of a run.
mkdir pictures run
: >run/config.yaml
for command in check train "pack --out p.h5"; do
    ! "$SANDGLASS" $command pictures || exit 3
done
! "$SANDGLASS" check run/ || exit 3
exit 1
