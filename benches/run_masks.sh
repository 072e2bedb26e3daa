#!/bin/sh
# Benchmark of the mask pipeline: builds the release programs, makes an environment with pinned versions under
# target/bench-venv, and prints the tables of docs/benchmarks.md. Arguments go to masks.py (--sizes 2048 ...).
set -eu
cd "$(dirname "$0")/.."
venv=target/bench-venv
stamp="numpy==2.4.6 scipy==1.17.0 astropy==7.2.0"
if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp" ]; then
    python3 -m venv "$venv"
    # shellcheck disable=SC2086 # one word a package
    "$venv/bin/pip" install --quiet --disable-pip-version-check $stamp
    echo "$stamp" >"$venv/stamp"
fi
cargo build --release --bin cleanloop
kernels=$(cargo bench --no-run --bench mask_kernels --message-format=json |
    "$venv/bin/python" -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("target", {}).get("name") == "mask_kernels" and message.get("executable"):
        print(message["executable"])')
echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); $stamp"
exec "$venv/bin/python" benches/masks.py target/release/cleanloop "$kernels" "$@"
