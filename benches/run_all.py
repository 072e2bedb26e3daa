"""Runs the benchmarks of masks, auto-multithresh, noise maps and major cycles, renews their tables in docs/benchmarks.md,
and compares each ratio with that of the last release.

    run_all.py [--only masks noise ...] [--release]

Tables stand between `<!-- bench NAME -->` and `<!-- end -->` in the document. Ratios of the last release are kept in
benches/ratios.json; one that is worse by more than a tenth is reported, and the exit code is 1. `--release` keeps those
of this run instead. Only Python's standard library is needed. Sizes and turns are those that an idle machine of two cores
does in less than 20 minutes; the single scripts take others.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "..", "docs", "benchmarks.md")
RATIOS = os.path.join(HERE, "ratios.json")
WORSE = 1.1
RUNS = {
    "masks": ["run_masks.sh", "--sizes", "2048", "4096", "8192", "--scipy-up-to", "4096", "--repeat", "3"],
    "automask": ["run_automask.sh", "--sizes", "512", "1024", "2048", "--runs", "2", "--casa-runs", "1", "--long-cube", "0"],
    "noise": ["run_noise.sh", "--sizes", "1024", "2048", "--repeat", "2"],
    "cycles": ["run_cycles.sh", "--short"],
}
# Columns whose numbers do not depend on how fast the machine is: greater is better, or smaller.
GREATER, SMALLER = ("ratio", "faster"), ("x reading",)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def number(cell):
    """The last number of a cell: `6.2x`, `33.5 / 1.2 = 28`."""
    found = re.findall(r"\d+(?:\.\d+)?", cell)
    return float(found[-1]) if found else None


def ratios_of(name, text):
    """Ratios of all tables: {place: (value, whether greater is better)}."""
    found, heading, columns = {}, "", None
    for line in text.splitlines():
        if line.startswith("#"):
            # Without what was measured in between.
            heading, columns = line.lstrip("# ").split(" (")[0], None
        elif not line.startswith("|"):
            columns = None
        elif set(line) <= set("|-: "):
            continue
        elif columns is None:
            columns = cells(line)
        else:
            row = cells(line)
            label = ", ".join(row[:2]) if len(columns) > 1 and columns[1] in ("call", "gridder", "way") else row[0]
            for i, column in enumerate(columns[1:], 1):
                is_better = any(word in column for word in GREATER) and name != "cycles"
                is_worse = any(word in column for word in SMALLER) or (name == "cycles" and "ratio" in column)
                value = number(row[i]) if i < len(row) and (is_better or is_worse) else None
                if value:
                    # Columns of one name are told apart by the one before.
                    before = f" ({columns[i - 1]})" if columns.count(column) > 1 else ""
                    found[" / ".join(p for p in (name, heading, label, column + before) if p)] = (value, is_better)
    return found


def compare(now, kept):
    """Lines about the ratios that have become worse."""
    worse = []
    for place, (value, greater_is_better) in now.items():
        before = kept.get(place)
        if before and (before / value if greater_is_better else value / before) > WORSE:
            worse.append(f"{place}: {value:g}, the last release had {before:g}")
    return worse


def renew(name, text):
    """Puts the output of a benchmark into the document."""
    with open(DOCUMENT) as file:
        document = file.read()
    begin, end = f"<!-- bench {name} -->\n", "<!-- end -->"
    before, found, rest = document.partition(begin)
    if not found:
        sys.exit(f"{DOCUMENT}: there is no line {begin.strip()}")
    rest = rest[rest.index(end):]
    with open(DOCUMENT, "w") as file:
        file.write(f"{before}{begin}\n{text.strip()}\n\n{rest}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--release", action="store_true", help="keep the ratios of this run")
    arguments = parser.parse_args()
    with open(RATIOS) as file:
        kept = json.load(file)
    now = {}
    for name in arguments.only:
        script, *words = RUNS[name]
        begin = time.monotonic()
        print(f"{script} ...", flush=True)
        run = subprocess.run(["sh", os.path.join(HERE, script), *words], stdout=subprocess.PIPE, text=True)
        if run.returncode:
            sys.exit(f"{script} failed")
        print(run.stdout, f"{script}: {time.monotonic() - begin:.0f} s", sep="\n", flush=True)
        renew(name, run.stdout)
        now.update(ratios_of(name, run.stdout))
    worse = compare(now, kept)
    if arguments.release:
        kept.update({place: value for place, (value, _) in now.items()})
        with open(RATIOS, "w") as file:
            json.dump(kept, file, indent=1, sort_keys=True)
            file.write("\n")
    elif worse:
        print("Worse than the last release by more than a tenth:", *worse, sep="\n- ")
        sys.exit(1)
    else:
        print(f"{len(now)} ratios, none worse than those of the last release by more than a tenth")


if __name__ == "__main__":
    main()
