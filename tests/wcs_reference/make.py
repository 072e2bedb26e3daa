"""Writes table.json: sky positions of pixels, and pixels of one image in another, as astropy gives them.

Run with the versions named in the table: python make.py > table.json
"""

import json
import sys

import astropy
import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

SIZE = 512
D = 1.0 / 1440


def axes(projection, ra, dec, cdelt=(-D, D), crpix=(257.0, 257.0), prefix=("RA", "DEC"), **more):
    kind = [f"{p:-<4}-{projection}" for p in prefix]
    cards = {"CTYPE1": kind[0], "CTYPE2": kind[1], "CRVAL1": ra, "CRVAL2": dec,
             "CRPIX1": crpix[0], "CRPIX2": crpix[1], "CUNIT1": "deg", "CUNIT2": "deg"}
    if not any(k.startswith("CD") for k in more):
        cards |= {"CDELT1": cdelt[0], "CDELT2": cdelt[1]}
    return cards | more


def rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return c, s


c, s = rotation(33.0)
GALACTIC = ("GLON", "GLAT")
HEADERS = {
    "sin": axes("SIN", 97.02, -31.01),
    "sin_fk5": axes("SIN", 97.02, -31.01, RADESYS="FK5", EQUINOX=2000.0),
    "sin_across_zero": axes("SIN", 0.05, 12.0),
    "sin_coarse": axes("SIN", 200.0, -45.0, cdelt=(-0.2, 0.2)),
    "sin_near_pole": axes("SIN", 40.0, 89.9),
    "sin_south_pole": axes("SIN", 10.0, -90.0),
    "sin_lonpole": axes("SIN", 150.0, 2.0, LONPOLE=130.0),
    "sin_slant": axes("SIN", 187.0, 12.0, cdelt=(-0.01, 0.01), PV2_1=0.13, PV2_2=-0.7),
    "ncp": axes("NCP", 187.0, 52.0, cdelt=(-0.01, 0.01)),
    "sin_crota": axes("SIN", 97.0, -31.0, cdelt=(-D, 1.5 * D), CROTA2=25.0),
    "sin_crota_mirrored": axes("SIN", 97.0, -31.0, cdelt=(D, 1.5 * D), CROTA2=25.0),
    "sin_pc": axes("SIN", 97.0, -31.0, PC1_1=c, PC1_2=-s, PC2_1=s, PC2_2=c),
    "sin_pc_partial": axes("SIN", 97.0, -31.0, PC1_2=0.3),
    "sin_cd": axes("SIN", 97.1, -31.05, CD1_1=-D * c, CD1_2=-D * s, CD2_1=-D * s, CD2_2=D * c),
    "sin_cd_partial": axes("SIN", 97.1, -31.05, CD1_2=D, CD2_1=D),
    "tan": axes("TAN", 97.05, -31.02, cdelt=(-2 * D, 2 * D)),
    "tan_wide": axes("TAN", 97.0, -31.0, cdelt=(-0.2, 0.2)),
    "tan_galactic": axes("TAN", 238.5, -17.9, prefix=GALACTIC),
    "arc": axes("ARC", 300.0, 60.0, cdelt=(-0.1, 0.1)),
    "stg": axes("STG", 300.0, 60.0, cdelt=(-0.1, 0.1)),
    "zea": axes("ZEA", 300.0, 60.0, cdelt=(-0.1, 0.1)),
    "car": axes("CAR", 300.0, 0.0, cdelt=(-0.1, 0.1)),
    "car_off_equator": axes("CAR", 300.0, 20.0, cdelt=(-0.02, 0.02)),
    "sfl": axes("SFL", 300.0, 0.0, cdelt=(-0.1, 0.1)),
    "ait": axes("AIT", 300.0, 0.0, cdelt=(-0.1, 0.1)),
    "mol": axes("MOL", 300.0, 0.0, cdelt=(-0.1, 0.1)),
}
PAIRS = [("sin", "sin_fk5"), ("sin", "tan"), ("sin", "sin_cd"), ("sin_pc", "tan"), ("sin_fk5", "tan_galactic"),
         ("tan_galactic", "sin"), ("sin_crota", "sin_pc")]


def header(name):
    cards = fits.Header()
    cards["NAXIS"], cards["NAXIS1"], cards["NAXIS2"] = 2, SIZE, SIZE
    for key, value in HEADERS[name].items():
        cards[key] = value
    return cards


def finite(values):
    return [float(v) for v in values] if np.all(np.isfinite(values)) else None


def main():
    generator = np.random.default_rng(20261121)
    corners = np.array([(0, 0), (SIZE - 1, 0), (0, SIZE - 1), (SIZE - 1, SIZE - 1), (256, 256)], dtype=float)
    pixels = np.concatenate([corners, generator.uniform(0, SIZE - 1, (7, 2)).round(3)])
    table = {"astropy": astropy.__version__, "numpy": np.__version__, "headers": HEADERS, "sky": {}, "pairs": []}
    for name in HEADERS:
        sky = WCS(header(name)).wcs_pix2world(pixels, 0)
        table["sky"][name] = [{"pixel": list(map(float, p)), "sky": finite(q)} for p, q in zip(pixels, sky)]
    for a, b in PAIRS:
        x, y = pixel_to_pixel(WCS(header(a)), WCS(header(b)), pixels[:, 0], pixels[:, 1])
        table["pairs"].append({"from": a, "to": b, "pixels": [
            {"pixel": list(map(float, p)), "other": finite(q)} for p, q in zip(pixels, np.column_stack([x, y]))]})
    json.dump(table, sys.stdout, indent=None, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
