#!/bin/sh
# usage: python-environment.sh REQUIREMENTS FOLDER
# Makes a virtual environment with the pinned packages; does nothing when it is there and complete.
set -eu
requirements=$1 folder=$2
if [ -f "$folder/complete" ] && cmp -s "$requirements" "$folder/complete"; then exit 0; fi
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
cp "$requirements" "$folder/complete"
