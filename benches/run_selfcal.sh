#!/bin/sh
# Benchmark of automatic masks: builds the release program, simulates fields, self-calibrates them with three kinds of
# masks, and prints the tables of docs/benchmarks.md. What is finished is kept in target/bench-selfcal, and an
# interrupted benchmark goes on. Arguments go to selfcal.py (--seed 1 2, --fields points ...).
set -eu
cd "$(dirname "$0")/.."
scripts/python-environment.sh benches/selfcal-requirements.txt target/bench-selfcal-venv
cargo build --release --bin cleanloop
target/release/cleanloop setup casa
echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
exec target/bench-selfcal-venv/bin/python benches/selfcal.py target/release/cleanloop target/bench-selfcal "$@"
