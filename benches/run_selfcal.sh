#!/bin/sh
# Benchmark of automatic masks: simulates fields, self-calibrates them with three kinds of masks, and prints the tables of
# docs/benchmarks.md. What is finished is kept in target/bench-selfcal, and an interrupted benchmark goes on. Arguments go
# to selfcal.py (--seed 1 2, --fields points ...).
. "$(dirname "$0")/common.sh"
venv=target/bench-selfcal-venv
environment benches/selfcal-requirements.txt "$venv"
target/release/cleanloop setup casa
machine
exec "$venv/bin/python" benches/selfcal.py target/release/cleanloop target/bench-selfcal "$@"
