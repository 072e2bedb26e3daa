"""Times CASA's own auto-multithresh on given planes; run in the environment that `cleanloop setup casa` makes.

    casa_automask.py MEASUREMENT_SET SIZE PLANE.raw...

The measurement set only serves to make an image store of the right size; the planes (float32, little-endian) take the
residual's place one after the other, with a minor cycle of one component of no flux between them, so that CASA counts
iterations. What is timed is `setupmask`, the step of each major cycle that makes the mask. Prints JSON.
"""

import glob
import json
import math
import os
import shutil
import sys
import tempfile
import time

import numpy as np
from casatasks import tclean
from casatasks.private.imagerhelpers.imager_deconvolver import PyDeconvolver
from casatasks.private.imagerhelpers.input_parameters import ImagerParameters
from casatools import image

BEAM = (6.0, 4.2, -37.0)  # pixels, pixels, degrees; that of automask_planes.rs
LEVEL = 0.1

measurement_set, size, planes = os.path.abspath(sys.argv[1]), int(sys.argv[2]), [os.path.abspath(p) for p in sys.argv[3:]]
os.chdir(tempfile.mkdtemp(dir=os.path.dirname(planes[0])))
ia = image()


def put(path, array):
    ia.open(path)
    ia.putchunk(array.T[:, :, None, None].astype(float))
    ia.setrestoringbeam(remove=True)
    ia.setrestoringbeam(major=f"{BEAM[0]}arcsec", minor=f"{BEAM[1]}arcsec", pa=f"{BEAM[2]}deg")
    ia.done()


common = dict(imagename="bench", imsize=[size], cell=["1arcsec"])
tclean(vis=measurement_set, niter=0, restoration=False, datacolumn="data", pblimit=-1e-9, **common)
y, x = np.mgrid[:size, :size] - size // 2
angle = math.radians(BEAM[2])
u = (y * math.cos(angle) - x * math.sin(angle)) / BEAM[0]
v = (x * math.cos(angle) + y * math.sin(angle)) / BEAM[1]
psf = np.exp(-4 * math.log(2) * (u * u + v * v))
psf[size // 2 + 60, size // 2 + 60] = LEVEL
put("bench.psf", psf)
parameters = ImagerParameters(
    deconvolver="hogbom", niter=1000, loopgain=1e-12, cycleniter=1, usemask="auto-multithresh", sidelobethreshold=2.0,
    noisethreshold=4.25, lownoisethreshold=1.5, negativethreshold=0.0, smoothfactor=1.0, minbeamfrac=0.3,
    cutthreshold=0.01, growiterations=75, dogrowprune=True, minpercentchange=1.0, fastnoise=False, **common,
)
tools = PyDeconvolver(params=parameters)
seconds, counts = [], []
for call, plane in enumerate(planes):
    put("bench.residual", np.fromfile(plane, "<f4").reshape(size, size))
    if call == 0:
        tools.initializeDeconvolvers()
        tools.initializeIterationControl()
    tools.hasConverged()
    start = time.perf_counter()
    for tool in tools.SDtools:
        tool.setupmask()
    seconds.append(time.perf_counter() - start)
    ia.open("bench.mask")
    counts.append(int(ia.getchunk().sum()))
    ia.done()
    tools.hasConverged()
    tools.runMinorCycle()
tools.deleteTools()
print(json.dumps({"seconds": seconds, "mask_pixels": counts}))
here = os.getcwd()
os.chdir("..")
shutil.rmtree(here)
