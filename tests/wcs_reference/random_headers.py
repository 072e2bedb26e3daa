"""Writes random.json: sky positions of pixels by wcslib (through astropy), for random headers of all projections.

Run as: python random_headers.py > random.json. The same seed gives the same headers.
"""

import json
import random
import sys

import astropy
from astropy.io import fits
from astropy.wcs import WCS, _wcs

PROJECTIONS = ["SIN", "TAN", "NCP", "ARC", "STG", "ZEA", "CAR", "SFL", "AIT", "MOL"]
HEADERS_EACH = 24
PIXELS_EACH = 4
HALF_FIELD = 100.0


def number(value):
    return float(f"{value:.9g}")


def linear_part(rng, scale, lat):
    """CDELT with nothing, CROTA, PC or PC00n_00m, or CD; axes of either sign, pixels that need not be square."""
    d1, d2 = -scale * rng.choice([1, 1, 1, -1]), scale * rng.choice([1, 1, 1, -1]) * rng.choice([1, 1, 1.3])
    d1, d2 = number(d1), number(d2)
    angle = rng.uniform(-180, 180)
    kind = rng.choice(["plain", "plain", "crota", "pc", "pc_old", "cd"])
    if kind == "crota":
        return {"CDELT1": d1, "CDELT2": d2, f"CROTA{lat}": number(angle)}
    matrix = [[rng.uniform(-1, 1) for _ in range(2)] for _ in range(2)]
    if abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]) < 0.2:
        matrix = [[1.0, 0.3], [-0.3, 1.0]]
    if kind == "cd":
        return {f"CD{i + 1}_{j + 1}": number(matrix[i][j] * scale) for i in range(2) for j in range(2)}
    cards = {"CDELT1": d1, "CDELT2": d2}
    name = {"pc": "PC{}_{}", "pc_old": "PC{:03d}{:03d}"}.get(kind)
    if name:
        cards |= {name.format(i + 1, j + 1): number(matrix[i][j]) for i in range(2) for j in range(2)}
    return cards


def random_header(rng, projection):
    lat = rng.choice([2, 2, 2, 2, 1])
    lon = 3 - lat
    prefix = {lon: "RA", lat: "DEC"} if rng.random() < 0.8 else {lon: "GLON", lat: "GLAT"}
    cards = {f"CTYPE{i}": f"{prefix[i]:-<4}-{projection}" for i in (1, 2)}
    latitude = rng.choice([rng.uniform(-90, 90), rng.uniform(-90, 90), 0.0, 90.0, -90.0, 89.9, -89.95])
    if projection == "NCP":
        latitude = rng.choice([-1, 1]) * rng.uniform(20, 90)
    cards[f"CRVAL{lon}"] = number(rng.choice([rng.uniform(0, 360), rng.uniform(-180, 0), 0.0]))
    cards[f"CRVAL{lat}"] = number(latitude)
    far = rng.random() < 0.2
    for i in (1, 2):
        cards[f"CRPIX{i}"] = number(rng.uniform(-400, 400) if far else rng.uniform(80, 120))
    scale = 10 ** rng.uniform(-4, -0.7)
    cards |= linear_part(rng, scale, lat)
    if rng.random() < 0.5:
        cards["LONPOLE"] = number(rng.choice([0.0, 180.0, 180.0, 90.0, -90.0, rng.uniform(-180, 180)]))
    if rng.random() < 0.5:
        # Not 0: between two poles at the same distance rounding decides.
        cards["LATPOLE"] = number(rng.choice([90.0, -90.0, 5.0, rng.uniform(-90, 90)]))
    if projection == "SIN" and rng.random() < 0.4:
        cards[f"PV{lat}_1"], cards[f"PV{lat}_2"] = number(rng.uniform(-0.5, 0.5)), number(rng.uniform(-0.5, 0.5))
    return cards


def positions(cards, rng):
    """Pixels and their sky positions: None outside the projection; None for all if wcslib refuses the header."""
    header = fits.Header(cards)
    pixels = [[round(rng.uniform(100 - HALF_FIELD, 100 + HALF_FIELD), 3) for _ in range(2)] for _ in range(PIXELS_EACH)]
    try:
        wcs = WCS(header, fix=False)
        wcs.wcs.set()
        lon, lat = wcs.wcs.lng, wcs.wcs.lat
        rows = []
        for pixel in pixels:
            found = wcs.wcs.p2s([pixel], 0)
            world = found["world"][0]
            rows.append([*pixel, *([world[lon] % 360, world[lat]] if found["stat"][0] == 0 else [None, None])])
        return rows
    except (_wcs.WcsError, ValueError):
        return None


def main():
    rng = random.Random(15)
    cases = []
    for projection in PROJECTIONS:
        for _ in range(HEADERS_EACH):
            cards = random_header(rng, projection)
            cases.append({"header": cards, "positions": positions(cards, rng)})
    print(f'{{"astropy": "{astropy.__version__}", "cases": [')
    print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
    print("]}")


if __name__ == "__main__":
    sys.exit(main())
