#!/bin/sh
# Cubes in groups of channels: putting them together against `cat` of the same bytes, and groups of tclean against one job.
# usage: benches/run_cubes.sh [assembly [GIGABYTES] [TURNS] | tclean [MEASUREMENT_SET]]...
# Without words both, with the sizes of docs/benchmarks.md: 8 GB of free disk, and CASA. See benches/cubes.py.
. "$(dirname "$0")/common.sh"
machine
if [ $# -gt 0 ]; then
    python3 benches/cubes.py target/release/cleanloop target/bench-cubes "$@"
else
    python3 benches/cubes.py target/release/cleanloop target/bench-cubes assembly
    python3 benches/cubes.py target/release/cleanloop target/bench-cubes tclean
fi
