"""Figures of images: dynamic range and flux against the true sky, error against the true image."""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "workers"))

from cleanloop_worker import fits  # noqa: E402

SIZE, CELL = 640, 1.2  # pixels, arcsec
MASK_RADIUS = 10.0  # arcsec (three beams) round a source: where masks at the true positions clean
SCORE_RADIUS = 5.0  # arcsec (one and a half beams): CLEAN flux within counts as the source's
EXTENT = 1.0  # semi-axes of an extended source, in FWHM: 94 % of a Gaussian's flux


def plane(path):
    return np.squeeze(fits.read(path)[1]).astype(np.float64)


def within(component, radius, size, cell):
    """Pixels within `radius` arcsec of a source, an extended one with its extent; row 0 is south, east is left."""
    y, x = np.mgrid[:size, :size]
    east = (size // 2 - x) * cell - component["east_arcsec"]
    north = (y - size // 2) * cell - component["north_arcsec"]
    angle = np.deg2rad(component["position_angle_deg"])
    along = east * np.sin(angle) + north * np.cos(angle)
    across = east * np.cos(angle) - north * np.sin(angle)
    axes = [EXTENT * component[k] + radius for k in ("major_arcsec", "minor_arcsec")]
    return (along / axes[0]) ** 2 + (across / axes[1]) ** 2 <= 1


def truth(sky, radius, kinds=("point", "gaussian"), size=SIZE, cell=CELL):
    """Pixels within `radius` arcsec of the sources of these kinds, in an image of `size` pixels of `cell` arcsec."""
    found = np.zeros((size, size), bool)
    for component in sky:
        if component["kind"] in kinds:
            found |= within(component, radius, size, cell)
    return found


def write_mask(path, mask):
    cards = ["SIMPLE  =                    T", "NAXIS   =                    2",
             f"NAXIS1  = {mask.shape[1]:>20}", f"NAXIS2  = {mask.shape[0]:>20}"]
    fits.write(path, cards, [mask])


def score(image, residual, model, sky):
    """Figures of an image, its residual and its model (paths)."""
    image, residual, model = plane(image), plane(residual), plane(model)
    empty = residual[~truth(sky, MASK_RADIUS)]
    near = truth(sky, SCORE_RADIUS)
    figures = {"peak": image.max(), "noise": empty.std(), "dynamic_range": image.max() / empty.std(),
               "spurious": np.abs(model[~near]).sum(), "recovered": model[near].sum()}
    if any(c["kind"] == "gaussian" for c in sky):
        figures["extended"] = model[truth(sky, SCORE_RADIUS, ("gaussian",))].sum()
    return {k: float(v) for k, v in figures.items()}


def central_dynamic_range(image, residual, sky, stretch=1):
    """Peak of an image over the standard deviation of its residual outside the true sources (paths), both in the square of
    the benchmark's own images: whatever size and pixel are. A compact array stretches that square."""
    cards, _ = fits.read(image)
    cell = abs(float(fits.value(cards, "CDELT2"))) * 3600
    half = round(stretch * SIZE * CELL / 2 / cell)
    part = lambda plane: plane[tuple(slice(n // 2 - half, n // 2 + half) for n in plane.shape)]  # noqa: E731
    image, residual = part(plane(image)), part(plane(residual))
    return float(image.max() / residual[~truth(sky, stretch * MASK_RADIUS, size=2 * half, cell=cell)].std())


def moved(image, y, x):
    """The image moved by parts of pixels."""
    ky, kx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])
    return np.fft.irfft2(np.fft.rfft2(image) * np.exp(-2j * np.pi * (ky * y + kx * x)), image.shape)


def error(image, true):
    """Standard deviation of an image, scaled and shifted to fit the true image, minus that, Jy/beam (paths).

    Self-calibration knows neither the flux scale nor the position: a slope of the phases over the array is a shift."""
    image, true = plane(image), plane(true)
    shift = np.zeros(2)
    for _ in range(4):  # Gauss and Newton
        now = moved(image, *shift)
        parts = np.stack([part.ravel() for part in (now, *np.gradient(now))])
        factors = np.linalg.solve(parts @ parts.T, parts @ true.ravel())
        shift -= factors[1:] / factors[0]
    return float((factors @ parts - true.ravel()).std())


def compact_dynamic_range(image, residual, beams):
    """Peak over the standard deviation of the residual outside a circle of so many beams around the peak (paths)."""
    cards, _ = fits.read(image)
    image, residual = plane(image), plane(residual)
    major, cell = (abs(float(fits.value(cards, key))) for key in ("BMAJ", "CDELT2"))
    py, px = np.unravel_index(np.nanargmax(image), image.shape)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    outside = np.hypot(x - px, y - py) > beams * major / cell
    return float(image[py, px] / residual[outside & np.isfinite(residual)].std())
