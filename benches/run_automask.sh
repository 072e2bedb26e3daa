#!/bin/sh
# Benchmark of auto-multithresh: builds the release programs, makes an environment with pinned versions under
# target/bench-venv-automask, and prints the tables of docs/benchmarks.md. Arguments go to automask.py.
set -eu
cd "$(dirname "$0")/.."
venv=target/bench-venv-automask
stamp="numpy==2.4.6 scipy==1.17.0 astropy==7.2.0"
pclean="casa-pclean==0.2.3"
if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp $pclean" ]; then
    python3 -m venv "$venv"
    # shellcheck disable=SC2086 # one word a package
    "$venv/bin/pip" install --quiet --disable-pip-version-check $stamp
    # Without its dependencies: only the file with automask_plane is used, which needs numpy and scipy.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$pclean"
    echo "$stamp $pclean" >"$venv/stamp"
fi
cargo build --release --bin cleanloop
planes=$(cargo bench --no-run --bench automask_planes --message-format=json |
    "$venv/bin/python" -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("target", {}).get("name") == "automask_planes" and message.get("executable"):
        print(message["executable"])')
automask=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib") + "/pclean/imaging/automask.py")')
echo "Machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); $stamp $pclean"
casa=$(target/release/cleanloop setup casa | sed -n 's/^casa [^:]*: //p')
exec "$venv/bin/python" benches/automask.py "$planes" target/release/cleanloop --pclean "$automask" --casa "$casa" "$@"
