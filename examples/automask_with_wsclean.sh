#!/bin/sh
# Cleans a measurement set with wsclean, with a new mask from CASA's auto-multithresh before each major cycle.
#
#   automask_with_wsclean.sh MEASUREMENT_SET NAME [-size 1024 1024 -scale 1asec ...]
#
# Everything after NAME is passed to wsclean (image size, weighting, columns). Settings by environment:
#   CYCLES   most major cycles (5)               NITER       minor-cycle iterations per cycle (2000)
#   THRESHOLD  stop cleaning here, Jy (0.0)      PRESET      parameter set of cleanloop automask (vla)
#
# Each pass is one wsclean call with one major iteration (-nmiter 1): a minor cycle inside the mask, a prediction and
# a new residual, from which cleanloop makes the next mask. The folder NAME-automask keeps the state. One output
# channel: with several, give each its own NAME, as wsclean 3.1 uses the first plane of a mask cube for all of them.
set -eu
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
ms=$1
name=$2
shift 2
state=$name-automask
mask=$name-clean-mask.fits
preset=${PRESET:-vla}

# The PSF and the dirty image; both are handed back to wsclean, so that nothing is computed twice.
wsclean -quiet -name "$name" -make-psf -niter 0 "$@" "$ms"
cp "$name-psf.fits" "$name-reuse-psf.fits"
cp "$name-dirty.fits" "$name-reuse-dirty.fits"
cleanloop automask "$name-dirty.fits" --psf "$name-psf.fits" --state "$state" --output "$mask" --preset "$preset" --reset

cycle=1
continue=
while [ "$cycle" -le "${CYCLES:-5}" ]; do
    # shellcheck disable=SC2086 # empty or one word
    wsclean -quiet -name "$name" $continue -reuse-psf "$name-reuse" -reuse-dirty "$name-reuse" -niter "${NITER:-2000}" \
        -nmiter 1 -mgain 0.8 -threshold "${THRESHOLD:-0.0}" -fits-mask "$mask" "$@" "$ms"
    # The residual of this cycle is the dirty image of the next.
    cp "$name-residual.fits" "$name-reuse-dirty.fits.new"
    mv "$name-reuse-dirty.fits.new" "$name-reuse-dirty.fits"
    cp "$mask" "$name-used-mask.fits"
    cleanloop automask "$name-residual.fits" --state "$state" --output "$mask" --preset "$preset"
    continue=-continue
    cycle=$((cycle + 1))
done
echo "image, model and residual: $name-image.fits, $name-model.fits, $name-residual.fits; mask used last: $name-used-mask.fits"
