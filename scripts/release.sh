#!/bin/sh
# Makes the files of a release in target/release-files: wheels (manylinux, x86-64 and 64-bit ARM, for Python 3.10 and later),
# the source archive, shell completions, manual pages, the changelog's section, and checksums of all. The machine needs Rust
# (with rustup), gcc, Python and git; the rest is installed into an environment of its own. MANYLINUX names another glibc than
# 2.28. With CLEANLOOP_WHEEL_PROFILE=dev the wheel is that of `make test-python`, which is quick to build, for this machine only.
set -eu
cd "$(dirname "$0")/.."
out=$PWD/target/release-files
manylinux=manylinux_${MANYLINUX:-2_28}
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
scripts/python-environment.sh scripts/release-requirements.txt target/release-venv
PATH=$PWD/target/release-venv/bin:$PATH
export PATH
rm -rf "$out"
mkdir -p "$out"

python=target/release-venv/bin/python
if [ "${CLEANLOOP_WHEEL_PROFILE:-release}" = release ]; then
    maturin build --release --zig --compatibility "$manylinux" --interpreter "$python" --out "$out"
    # CMake looks for a mathematical library to link; cfitsio becomes an archive, to which any does.
    rustup target add aarch64-unknown-linux-gnu
    CMAKE_LIBRARY_PATH=/usr/lib/$(gcc -dumpmachine) \
        maturin build --release --target aarch64-unknown-linux-gnu --features cross --zig \
        --compatibility "$manylinux" --interpreter python3.11 --out "$out"
    for wheel in "$out"/*.whl; do
        auditwheel show "$wheel" | tee target/auditwheel.txt
        grep -q "$manylinux" target/auditwheel.txt
    done
else
    maturin build --quiet --profile "$CLEANLOOP_WHEEL_PROFILE" --compatibility linux --interpreter "$python" --out "$out"
fi

# What is committed, without what only the tests need to compare with.
git archive --format=tar.gz --prefix="cleanloop-$version/" --output="$out/cleanloop-$version.tar.gz" HEAD

# The program itself writes the rest: that of the wheel.
rm -rf target/release-try
python3 -m venv target/release-try
target/release-try/bin/pip install --quiet --disable-pip-version-check "$out"/*"$(uname -m)".whl
program=target/release-try/bin/cleanloop
[ "$($program --version)" = "cleanloop $version" ]
mkdir -p "$out/completions" "$out/man"
for shell in bash zsh fish; do $program completions $shell > "$out/completions/cleanloop.$shell"; done
$program man "$out/man" > /dev/null
awk -v version="## $version" '$0 == version {on = 1; next} /^## / {on = 0} on' CHANGELOG.md > "$out/CHANGES.md"
[ -s "$out/CHANGES.md" ] || { echo "CHANGELOG.md has no section $version" >&2; exit 1; }
(cd "$out" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS)
ls -l "$out"
