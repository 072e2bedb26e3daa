#!/usr/bin/env python3
"""Cubes that are imaged in groups of channels: how fast they are put together, and what groups cost tclean.

    cubes.py PROGRAM FOLDER assembly [GIGABYTES] [TURNS]
    cubes.py PROGRAM FOLDER tclean [MEASUREMENT_SET]

`assembly`: four cubes of this many GB each (1 by default) are put together from two groups that a stand-in imager links
into place, and the same bytes are joined by `cat`, in turns; both end with the disk's word (fsync). `tclean`: a cube of 64
channels in one job and in groups, on two cores and on one. Prints Markdown tables. FOLDER is made, and removed again.
"""

import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

SIDE = 1024
KINDS = ["image", "residual", "model", "psf"]
IMAGER = """#!/bin/sh
[ "$1" = image ] || exit 0
from=${0%/*}/products
[ -z "$4" ] || from=${0%/*}/cubes/$4
ln "$from"/*.fits "$3"
"""
CAMPAIGN = """version: 0.2
campaign:
  name: bench
  measurement_sets: [{ms}]
  output: out
  rounds: 0
  imager: {imager}
  calibrator: none
  mask: none
  resources: {{threads: {threads}, concurrent: {concurrent}}}
{more}
selfcal: {{0: {{}}}}
"""


def card(key, value):
    if isinstance(value, bool):
        value = "T" if value else "F"
    text = f"'{value:8}'" if isinstance(value, str) and value not in "TF" else str(value)
    return f"{key:8}= {text:>20}".ljust(80)


def write_fits(path, axes):
    """A FITS image of float32 whose planes are all the same noise."""
    cards = [card("SIMPLE", True), card("BITPIX", -32), card("NAXIS", len(axes))]
    cards += [card(f"NAXIS{n + 1}", length) for n, length in enumerate(axes)]
    names = {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "BUNIT": "Jy/beam"}
    numbers = {"CRVAL1": 30.0, "CRVAL2": -30.0, "CDELT1": -0.001, "CDELT2": 0.001, "CRPIX1": 1.0, "CRPIX2": 1.0}
    if len(axes) > 2:
        names["CTYPE3"] = "FREQ"
        numbers |= {"CRVAL3": 1.4e9, "CDELT3": 1e4, "CRPIX3": 1.0}
    numbers |= {"BMAJ": 0.004, "BMIN": 0.003, "BPA": 0.0}
    header = "".join(cards + [card(k, v) for k, v in (names | numbers).items()] + ["END".ljust(80)])
    values = [((n * 7919) % 1009) / 1009.0 - 0.5 for n in range(axes[0])]
    values[axes[0] // 2] = 9.0
    row = struct.pack(f">{axes[0]}f", *values)
    rows = 1
    for length in axes[1:]:
        rows *= length
    with open(path, "wb") as file:
        file.write(header.ljust(-len(header) % 2880 + len(header)).encode())
        for _ in range(rows):
            file.write(row)
        file.write(bytes(-file.tell() % 2880))


def data(folder):
    """A folder that passes for a measurement set where nobody reads the data."""
    for name in ["ANTENNA", "SPECTRAL_WINDOW", "FIELD", "OBSERVATION", "POLARIZATION"]:
        (folder / "b.ms" / name).mkdir(parents=True)
        (folder / "b.ms" / name / "table.f0").write_text(name)
    (folder / "b.ms/table.dat").write_text("main")
    (folder / "b.ms/table.f1").write_text("data")


def timed(words, cwd):
    """Wall and processor seconds."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    wall, after = time.monotonic() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load():
    return Path("/proc/loadavg").read_text().split()[0]


def assembly(program, folder, gigabytes=1.0, turns=3):
    channels = max(2, int(gigabytes * 1e9 / SIDE**2 / 4) // 2 * 2)
    half = channels // 2
    data(folder)
    (folder / "products").mkdir()
    for kind in KINDS:
        write_fits(folder / f"products/{kind}.fits", [64, 64])
    for first in [0, half]:
        own = folder / f"cubes/{first}"
        own.mkdir(parents=True)
        write_fits(own / "image.fits", [SIDE, SIDE, half])
        for kind in KINDS[1:]:
            os.link(own / "image.fits", own / f"{kind}.fits")
    (folder / "imager.sh").write_text(IMAGER)
    (folder / "imager.sh").chmod(0o755)
    words = ", ".join(f"'{word}'" for word in [folder / "imager.sh", "{action}", "{ms}", "{folder}", "{first_channel}"])
    more = f"  executables: {{imager: [{words}]}}\n  final_imaging: {{line: {{channels: {channels}, channels_per_job: {half}}}}}"
    (folder / "campaign.yaml").write_text(
        CAMPAIGN.format(ms="b.ms", imager="command", threads=2, concurrent=1, more=more)
    )
    timed([program, "run", "campaign.yaml", "--quiet"], folder)
    line = folder / "out/final/line"
    size = sum((line / f"{kind}.fits").stat().st_size for kind in KINDS) / 1e9
    print(f"{channels} planes of {SIDE}², four cubes, {size:.1f} GB together; load {load()} at the beginning.\n")
    print("| turn | put together (s) | `cat` (s) | ratio | whole command, with moment 0, peak and report (s) |")
    print("|---|---|---|---|---|")
    for turn in range(turns):
        for path in list(line.glob("*.fits")) + [line / ".cube.json"]:
            path.unlink()
        os.sync()
        whole, _ = timed([program, "image", "campaign.yaml", "--quiet", "--final", "line"], folder)
        # From the making of the first file to the last one's name.
        began = subprocess.check_output(["stat", "-c", "%.W", line / "image.fits"], text=True)
        own = (line / "psf.fits").stat().st_ctime - float(began)
        os.sync()
        clock = time.monotonic()
        for kind in KINDS:
            parts = [folder / f"cubes/{first}/{kind}.fits" for first in [0, half]]
            with open(folder / "joined", "wb") as joined:
                subprocess.run(["cat", *parts], stdout=joined, check=True)
                os.fsync(joined.fileno())
            os.rename(folder / "joined", folder / f"joined-{kind}")
        cat = time.monotonic() - clock
        print(f"| {turn + 1} | {own:.2f} | {cat:.2f} | {own / cat:.2f} | {whole:.1f} |", flush=True)
        for kind in KINDS:
            (folder / f"joined-{kind}").unlink()


def tclean(program, folder, ms=None):
    if ms is None:
        size = ["--channels", "64", "--antennas", "27", "--duration", "3600"]
        subprocess.run(
            [program, "simulate", "--output", "data", "--name", "field", "--preset", "line-cube", *size],
            cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        ms = "data/field.ms"
    cube = (
        "tclean: {specmode: cube, nchan: 64, imsize: 512, cell: 0.1arcsec, niter: 20000, threshold: 2mJy, "
        "perchanweightdensity: true, interpolation: linear}, mask: none"
    )
    defaults = "defaults: {tclean: {imsize: 64, cell: 0.8arcsec, niter: 20}}"
    cubes = f"""  final_imaging:
    whole: {{{cube}}}
    quarters: {{{cube}, channels_per_job: 16}}
    halves: {{{cube}, channels_per_job: 32}}
{defaults}"""
    cores = sorted(os.sched_getaffinity(0))[:2]
    print(f"64 channels of 512², tclean; load {load()} at the beginning.\n")
    print("| | cores | wall (s) | processor (s) |")
    print("|---|---|---|---|")
    runs = [("one job", "whole", 2, 1), ("4 groups, two at a time", "quarters", 2, 2),
            ("one job", "whole", 1, 1), ("2 groups, each on a core", "halves", 2, 2)]
    # The campaign itself first, without cubes.
    (folder / "campaign.yaml").write_text(CAMPAIGN.format(ms=ms, imager="casa", threads=2, concurrent=1, more=defaults))
    timed([program, "run", "campaign.yaml", "--quiet"], folder)
    for what, name, used, concurrent in runs:
        (folder / "campaign.yaml").write_text(
            CAMPAIGN.format(ms=ms, imager="casa", threads=used, concurrent=concurrent, more=cubes)
        )
        pinned = ["taskset", "-c", ",".join(map(str, cores[:used])), program]
        shutil.rmtree(folder / "out/final" / name, ignore_errors=True)
        wall, processor = timed([*pinned, "image", "campaign.yaml", "--quiet", "--final", name], folder)
        print(f"| {what} | {used} | {wall:.0f} | {processor:.0f} |", flush=True)


def main():
    program, folder, what = os.path.abspath(sys.argv[1]), Path(sys.argv[2]).absolute(), sys.argv[3]
    rest = sys.argv[4:]
    folder.mkdir(parents=True)
    try:
        if what == "assembly":
            assembly(program, folder, *[kind(word) for kind, word in zip([float, int], rest)])
        else:
            tclean(program, folder, *map(os.path.abspath, rest))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
