#!/bin/sh
# Benchmark of the noise maps against the real BANE: builds the release program, makes an environment with pinned
# versions, and prints the table of docs/benchmarks.md. Arguments go to noise.py (--sizes 2048 ...).
set -eu
cd "$(dirname "$0")/.."
venv=target/bench-noise-venv
scripts/python-environment.sh benches/noise-requirements.txt "$venv"
cargo build --release --bin cleanloop
echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
exec "$venv/bin/python" benches/noise.py target/release/cleanloop "$venv/bin/BANE" "$@"
