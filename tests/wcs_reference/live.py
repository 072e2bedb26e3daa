"""Writes pairs of a beam image and a mosaic mask, and the beam's mask as reproject extracts it.

Run as: python live.py FOLDER. Prints the names of the cases; CASE.beam.fits, CASE.mosaic.fits, CASE.expected.fits.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp

from make import GALACTIC, axes, rotation

D = 1.0 / 1440
c, s = rotation(33.0)
BEAM = axes("SIN", 97.02, -31.01, crpix=(131.0, 121.0))
MOSAIC = axes("SIN", 97.0, -31.0, crpix=(201.0, 211.0))
CASES = {
    "offset": (BEAM, MOSAIC),
    "coarse": (BEAM, axes("SIN", 97.0, -31.0, cdelt=(-2.5 * D, 2.5 * D), crpix=(90.3, 80.6))),
    "fine": (BEAM, axes("TAN", 97.0, -31.0, cdelt=(-0.4 * D, 0.4 * D), crpix=(150.2, 260.1))),
    "rotated": (BEAM, axes("TAN", 97.03, -31.02, crpix=(201.0, 211.0), PC1_1=c, PC1_2=-s, PC2_1=s, PC2_2=c)),
    "rotated_beam": (axes("SIN", 97.0, -31.0, crpix=(131.0, 121.0), CD1_1=-D * c, CD1_2=-D * s,
                          CD2_1=-D * s, CD2_2=D * c), MOSAIC),
    "fk5_in_galactic": (BEAM | {"RADESYS": "FK5", "EQUINOX": 2000.0},
                        axes("TAN", 239.08, -18.21, crpix=(201.0, 211.0), prefix=GALACTIC)),
    "limb": (axes("SIN", 97.0, -31.0, cdelt=(-0.5, 0.5), crpix=(131.0, 121.0)),
             axes("SIN", 97.0, -31.0, cdelt=(-0.41, 0.41), crpix=(201.0, 211.0))),
    "outside": (BEAM, axes("SIN", 99.0, -31.0, crpix=(201.0, 211.0))),
}


def header(cards, shape):
    h = fits.Header()
    h["SIMPLE"], h["BITPIX"], h["NAXIS"], h["NAXIS1"], h["NAXIS2"] = True, -32, 2, shape[1], shape[0]
    for key, value in cards.items():
        h[key] = value
    return h


folder = Path(sys.argv[1])
generator = np.random.default_rng(7)
for name, (beam_cards, mosaic_cards) in CASES.items():
    beam = header(beam_cards, (250, 260))
    mosaic = header(mosaic_cards, (420, 400))
    y, x = np.mgrid[:420, :400]
    mask = np.zeros((420, 400), np.int32)
    for _ in range(60):
        cy, cx, r = generator.uniform(0, 420), generator.uniform(0, 400), generator.uniform(1, 9)
        mask[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = 1
    mask[generator.random(mask.shape) < 0.01] ^= 1
    expected, _ = reproject_interp((mask, WCS(mosaic)), WCS(beam), shape_out=(250, 260), order="nearest-neighbor")
    expected = np.clip(np.nan_to_num(expected, nan=0.0), 0, 1).astype(np.uint8)
    fits.writeto(folder / f"{name}.beam.fits", np.zeros((250, 260), np.float32), beam, overwrite=True)
    fits.writeto(folder / f"{name}.mosaic.fits", mask, mosaic, overwrite=True)
    fits.writeto(folder / f"{name}.expected.fits", expected, overwrite=True)
    print(name, int(expected.sum()))
