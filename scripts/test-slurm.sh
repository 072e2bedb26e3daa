#!/usr/bin/env bash
# Starts a Slurm of one node, runs a command against it, and takes everything away again.
# usage: test-slurm.sh COMMAND...    e.g. test-slurm.sh cargo test --test suite batch::slurm:: -- --include-ignored
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd sbatch; do
    if ! command -v "$program" >/dev/null; then
        echo "$program is not installed (Debian: slurm-wlm, munge)" >&2
        exit 1
    fi
done
folder=$(mktemp -d /tmp/cleanloop-slurm.XXXXXX)
# Jobs and daemons end, and the folder goes, however the command ends.
trap '"$here/local-slurm.sh" stop "$folder"; rm -rf "$folder"' EXIT
SLURM_CONF=$(LOCAL_SLURM_MAX_ARRAY=${LOCAL_SLURM_MAX_ARRAY:-41} "$here/local-slurm.sh" start "$folder")
export SLURM_CONF CLEANLOOP_TEST_SLURM=1
"$@"
