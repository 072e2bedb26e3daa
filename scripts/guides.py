#!/usr/bin/env python3
"""Runs the commands of the guides as they stand there.

usage: guides.py FOLDER [GUIDE.md...]      (all of docs/guides, each in a folder of its own below FOLDER)

In a guide, `sh` blocks are run one after the other by one shell, which ends at the first failure, `python` blocks by one
Python. A block below `<!-- file: NAME -->` is written to NAME, one below `<!-- not run: REASON -->` is left out. The
commands are those on the PATH.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- (file|not run): ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)


def script_of(text: str) -> tuple[str, str]:
    """The shell script and the Python program of a guide."""
    shell, python = ["set -euo pipefail"], []
    for what, argument, language, code in BLOCK.findall(text):
        if what == "not run":
            continue
        if what == "file":
            shell.append(f"cat > {argument} <<'END OF FILE'\n{code}END OF FILE")
        elif language == "sh":
            shell.append(code)
        elif language == "python":
            python.append(code)
    return "\n".join(shell), "\n".join(python)


def run(guide: Path, folder: Path) -> bool:
    """Runs a guide in the folder; whether all went well."""
    folder.mkdir(parents=True)
    shell, python = script_of(guide.read_text())
    started = time.monotonic()
    with open(folder / "output.txt", "w") as output:
        words = [["bash", "-c", shell]] + ([["python3", "-c", python]] if python else [])
        good = all(subprocess.call(w, cwd=folder, stdout=output, stderr=subprocess.STDOUT) == 0 for w in words)
    print(f"{'ok' if good else 'FAILED':6} {guide.name} ({time.monotonic() - started:.0f} s)", flush=True)
    if not good:
        print((folder / "output.txt").read_text()[-4000:])
    return good


def main() -> int:
    """Runs the guides that are named, or all."""
    folder = Path(sys.argv[1]).resolve()
    guides = [Path(name) for name in sys.argv[2:]] or sorted((ROOT / "docs/guides").glob("*.md"))
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    bad = [guide.name for guide in guides if not run(guide, folder / guide.stem)]
    print(f"{len(guides) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or not guides else 0


if __name__ == "__main__":
    sys.exit(main())
