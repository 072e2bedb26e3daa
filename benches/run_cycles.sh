#!/bin/sh
# A mask before every major cycle against one ordinary run of wsclean with the same stop.
# usage: benches/run_cycles.sh [--short | MEASUREMENT_SET [TURNS]]
# Without a measurement set one of about 130 MB is simulated (27 antennas, 421,200 rows, 16 channels), which needs CASA.
# Prints wall and processor seconds, the ratio of each way to the ordinary run of the same turn, and what the images are
# worth: noise and peak of the residual, flux of the model, rms difference from the image with a mask at every cycle in
# units of the noise. A quiet machine gives better numbers; turns alternate, so that a busy one still gives ratios.
# `--short` in place of everything: two turns at 1280 pixels, what `make bench` has time for.
set -eu
short=
[ "${1:-}" != --short ] || { short=1; shift; }
turns=${2:-${short:+2}}
turns=${turns:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$here/target/bench-cycles
mkdir -p "$work"
ms=${1:-$work/data/field.ms}
if [ ! -d "$ms" ]; then
    [ $# -eq 0 ] || { echo "$1: there is no such measurement set" >&2; exit 2; }
    cargo run --quiet --release --manifest-path "$here/Cargo.toml" -- simulate --output "$work/data" --name field \
        --duration 12000 --integration 10 --channels 16 --phase-rms 0 --amp-rms 0
fi
ms=$(cd "$(dirname "$ms")" && pwd)/$(basename "$ms")
cd "$work"
bench() { cargo bench --quiet --manifest-path "$here/Cargo.toml" --bench cycles -- "$ms" "$@" "$turns"; }
bench 1280 1.2asec 4 wgridder
bench 1280 1.2asec 4 wstacking
[ -z "$short" ] || exit 0
bench 4096 1.2asec 4 wgridder
bench 4096 1.2asec 4 wstacking
