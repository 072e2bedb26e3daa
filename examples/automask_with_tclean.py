#!/usr/bin/env python3
"""Cleans with tclean, with the clean mask made by `cleanloop automask` before each minor cycle.

    automask_with_tclean.py MEASUREMENT_SET NAME --imsize 512 --cell 1arcsec [--preset vla] [--compare] ...

Needs a Python with casatasks (`cleanloop setup casa` makes one) and `cleanloop` on the PATH. tclean does one major
cycle at a time (nmajor=1); between two, its residual goes to cleanloop as FITS and the mask comes back. With
--compare tclean's own auto-multithresh runs afterwards with the same parameters, and the final masks are compared.
"""

import argparse
import json
import os
import shutil
import subprocess

import numpy as np
from casatasks import casalog, exportfits, importfits, tclean
from casatools import image as imagetool


def automask(args, first, threshold_reached):
    """One call of cleanloop: NAME.residual in, NAME.mask out; returns the summary."""
    for kind in ("residual", "psf") if first else ("residual",):
        # Axes stay in CASA's order, so that the mask fits when it comes back.
        exportfits(f"{args.name}.{kind}", f"{args.name}.{kind}.fits", stokeslast=False, overwrite=True)
    command = ["cleanloop", "automask", f"{args.name}.residual.fits", "--psf", f"{args.name}.psf.fits"]
    command += ["--state", f"{args.name}.automask", "--output", f"{args.name}.mask.fits", "--json"]
    command += ["--preset", args.preset]
    command += ["--reset"] if first else []
    command += ["--threshold-reached"] if threshold_reached else []
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    hand_over(args.name)
    return json.loads(done.stdout)


def hand_over(name):
    """NAME.mask.fits to NAME.mask: tclean wants exactly the coordinates of its own images, which FITS rounds."""
    importfits(f"{name}.mask.fits", f"{name}.mask.import", overwrite=True)
    mask = pixels(f"{name}.mask.import")
    shutil.rmtree(f"{name}.mask.import")
    copy = imagetool().newimagefromimage(f"{name}.residual", outfile=f"{name}.mask", overwrite=True)
    copy.maskhandler("delete", copy.maskhandler("get"))
    copy.putchunk(mask.astype(float))
    copy.close()


def parameters_of(state):
    """The parameters that cleanloop used, for tclean: they are recorded in the state."""
    with open(os.path.join(state, "state.json")) as file:
        options = json.load(file)["run"]["options"]
    return {key: value for key, value in options.items() if key != "pbmask"}


def pixels(name):
    tool = imagetool()
    tool.open(name)
    data = tool.getchunk()
    tool.close()
    return data > 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ms")
    parser.add_argument("name")
    parser.add_argument("--imsize", type=int, default=512)
    parser.add_argument("--cell", default="1arcsec")
    parser.add_argument("--specmode", default="mfs")
    parser.add_argument("--datacolumn", default="data")
    parser.add_argument("--niter", type=int, default=20000)
    parser.add_argument("--threshold", type=float, default=0.0, help="Jy")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--preset", default="vla")
    parser.add_argument("--compare", action="store_true")
    args = parser.parse_args()
    casalog.filter("WARN")
    common = dict(
        vis=args.ms, imsize=args.imsize, cell=args.cell, specmode=args.specmode, datacolumn=args.datacolumn,
        weighting="briggs", robust=0.0, deconvolver="hogbom", gridder="standard", pblimit=-0.1,
        threshold=f"{args.threshold}Jy", savemodel="none",
    )
    for old in os.listdir(os.path.dirname(os.path.abspath(args.name))):
        if old.startswith(os.path.basename(args.name) + ".") and not old.endswith(".ms"):
            path = os.path.join(os.path.dirname(os.path.abspath(args.name)), old)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    tclean(imagename=args.name, niter=0, restoration=False, **common)
    summary = automask(args, first=True, threshold_reached=False)
    used, left = None, args.niter
    for cycle in range(args.cycles):
        print(f"cycle {cycle}: {summary['mask_pixels']} pixels may be cleaned", flush=True)
        if summary["mask_pixels"] == 0 or left <= 0:
            break
        mask = pixels(f"{args.name}.mask")
        result = tclean(
            imagename=args.name, niter=left, nmajor=1, usemask="user", mask="", calcres=False, calcpsf=False,
            restoration=False, **common,
        )
        if result["iterdone"] == 0:
            # Only the next call tells: tclean judges the residual inside the new mask.
            print(f"tclean found nothing to clean (stop code {result['stopcode']})")
            break
        used, left = mask, left - result["iterdone"]
        reached = args.threshold > 0 and result["cyclethreshold"] <= args.threshold * (1 + 1e-6)
        summary = automask(args, first=False, threshold_reached=bool(reached))
    tclean(imagename=args.name, niter=0, usemask="user", mask="", calcres=False, calcpsf=False, **common)
    print(f"image {args.name}.image, mask {args.name}.mask, state {args.name}.automask")

    if args.compare:
        own = f"{args.name}.own"
        tclean(
            imagename=own, niter=args.niter, nmajor=args.cycles, usemask="auto-multithresh",
            **parameters_of(f"{args.name}.automask"), **common,
        )
        theirs = pixels(f"{own}.mask")
        print(f"tclean's own mask: {int(theirs.sum())} pixels, the one used last here: {int(used.sum())}; "
              f"{int(np.count_nonzero(theirs != used))} differ")


main()
