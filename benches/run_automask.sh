#!/bin/sh
# Benchmark of auto-multithresh: makes an environment with pinned versions under target/bench-venv-automask, and prints
# the tables of docs/benchmarks.md. Arguments go to automask.py.
. "$(dirname "$0")/common.sh"
venv=target/bench-venv-automask
pclean="casa-pclean==0.2.3"
environment benches/masks-requirements.txt "$venv"
# Without its dependencies: only the file with automask_plane is used, which needs numpy and scipy.
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$pclean"
planes=$(bench_program automask_planes)
automask=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib") + "/pclean/imaging/automask.py")')
machine benches/masks-requirements.txt
casa=$(target/release/cleanloop setup casa | sed -n 's/^casa [^:]*: //p')
exec "$venv/bin/python" benches/automask.py "$planes" target/release/cleanloop --pclean "$automask" --casa "$casa" "$@"
