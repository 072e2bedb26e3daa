#!/bin/sh
# Benchmark of the mask pipeline: makes an environment with pinned versions under target/bench-venv, and prints the tables
# of docs/benchmarks.md. Arguments go to masks.py (--sizes 2048 ...).
. "$(dirname "$0")/common.sh"
venv=target/bench-venv
environment benches/masks-requirements.txt "$venv"
kernels=$(bench_program mask_kernels)
machine benches/masks-requirements.txt
exec "$venv/bin/python" benches/masks.py target/release/cleanloop "$kernels" "$@"
