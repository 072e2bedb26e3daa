#!/bin/sh
# Builds the Python package's wheel (not optimised: that is quick), installs it into an environment of its own as
# pip does it, and runs its tests against the golden data.
set -eu
cd "$(dirname "$0")/.."
environment=$PWD/target/python-test-venv
wheels=$PWD/target/test-wheels
scripts/python-environment.sh python/tests/requirements.txt "$environment"
rm -rf "$wheels"
"$environment/bin/maturin" build --quiet --profile "${CLEANLOOP_WHEEL_PROFILE:-dev}" --compatibility linux \
    --interpreter "$environment/bin/python" --out "$wheels"
"$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps --force-reinstall "$wheels"/*.whl
# Not from the folder python/, whose sources lack the compiled part.
"$environment/bin/python" -m pytest -q -p no:cacheprovider --rootdir python/tests python/tests "$@"
