#!/bin/sh
# Benchmark of the noise maps against the real BANE: makes an environment with pinned versions, and prints the table of
# docs/benchmarks.md. Arguments go to noise.py (--sizes 2048 ...).
. "$(dirname "$0")/common.sh"
venv=target/bench-noise-venv
environment benches/noise-requirements.txt "$venv"
machine
exec "$venv/bin/python" benches/noise.py target/release/cleanloop "$venv/bin/BANE" "$@"
