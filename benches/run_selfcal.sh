#!/bin/sh
# Benchmarks of self-calibration: simulates fields, self-calibrates them with the defaults, compares with the same data
# without gain errors, judges every choice by the truth, and prints the tables of docs/benchmarks.md. What is finished is
# kept in target/bench-selfcal, and an interrupted benchmark goes on. Arguments go to benches/selfcal (fields choices
# --seed 1 2 --first 9 ...).
. "$(dirname "$0")/common.sh"
venv=target/bench-selfcal-venv
environment benches/selfcal/requirements.txt "$venv"
target/release/cleanloop setup casa
machine
mkdir -p target/bench-selfcal
exec "$venv/bin/python" benches/selfcal target/release/cleanloop target/bench-selfcal "$@"
