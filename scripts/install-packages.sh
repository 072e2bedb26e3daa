#!/bin/sh
# Installs Debian packages that are not there yet. A package is there when a command of its name is, or the command that
# stands behind a colon (slurm-wlm:slurmctld).
# Without root, or where apt has no such package, it says what is missing and goes on:
# the program itself tells what it cannot do without them.
set -eu
PATH=$PATH:/usr/sbin:/sbin
missing=""
for package in "$@"; do
    command -v "${package#*:}" >/dev/null 2>&1 || missing="$missing ${package%%:*}"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, and it takes root and apt to install:$missing" >&2
    exit 0
fi
echo "installing$missing"
# Word splitting is wanted: one word a package.
# shellcheck disable=SC2086
if ! { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; }; then
    echo "could not be installed:$missing" >&2
fi
