#!/bin/sh
# The wheel of `make release` as a new user has it: in a clean environment, with a PATH without Rust. Follows the guides to
# the letter: all, or those that GUIDES names (`GUIDES="own-loop line-cube"`).
set -eu
cd "$(dirname "$0")/.."
wheel=$(ls target/release-files/*"$(uname -m)".whl)
rm -rf target/user
python3 -m venv target/user/env
target/user/env/bin/pip install --quiet --disable-pip-version-check "$wheel"
user() { env -i HOME="$HOME" PATH="$PWD/target/user/env/bin:/usr/bin:/bin" ${CLEANLOOP_HOME:+CLEANLOOP_HOME="$CLEANLOOP_HOME"} "$@"; }
if user sh -c 'command -v cargo || command -v rustc'; then
    echo "Rust is on the PATH: this tests nothing" >&2
    exit 1
fi
(cd target/release-files && sha256sum --quiet --check SHA256SUMS)
user cleanloop doctor --quick || true
user cleanloop setup casa
for guide in ${GUIDES:-}; do set -- "$@" "docs/guides/$guide.md"; done
user python3 scripts/guides.py target/user/guides "$@"
