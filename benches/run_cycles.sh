#!/bin/sh
# A mask before every major cycle against one ordinary run of wsclean with the same stop.
# usage: benches/run_cycles.sh MEASUREMENT_SET [SIZE [SCALE [CYCLES]]]
# Prints seconds, and the ratio of each way to the ordinary run. Run it on an idle machine.
set -eu
ms=${1:?usage: benches/run_cycles.sh MEASUREMENT_SET [SIZE [SCALE [CYCLES]]]}
size=${2:-1280}
scale=${3:-1.2asec}
cycles=${4:-4}
here=$(dirname "$0")/..
cargo bench --quiet --manifest-path "$here/Cargo.toml" --bench cycles -- "$ms" "$size" "$scale" "$cycles"
