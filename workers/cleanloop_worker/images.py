"""CASA images and FITS files, plane by plane.

CASA's arrays are [x, y, stokes, channel]; FITS files have the axes [stokes, frequency, y, x] as numpy sees them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cleanloop_worker import fits
from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadInput

DIVISORS = {"arcsec": 3600.0, "deg": 1.0, "arcmin": 60.0, "rad": np.pi / 180}  # of an angle, to get degrees


@contextmanager
def image(path: str) -> Iterator[Any]:
    """An open CASA image, closed afterwards."""
    from casatools import image as tool

    ia = tool()
    ia.open(path)
    try:
        yield ia
    finally:
        ia.close()


def export_image(request: r.ExportImage) -> None:
    """A CASA image as FITS [stokes, frequency, y, x]."""
    to_fits(request.image, request.path)


def corners(shape: list[int]) -> Iterator[dict[str, list[int]]]:
    """Corners of the planes in the order of FITS: frequency faster than stokes."""
    for pol in range(shape[2]):
        for channel in range(shape[3]):
            yield {"blc": [0, 0, pol, channel], "trc": [shape[0] - 1, shape[1] - 1, pol, channel]}


def planes(ia: Any, shape: list[int], what: str = "values") -> Iterator[np.ndarray]:
    """Planes [y, x]: all values, those that are valid (others are NaN), or the pixel mask."""
    for corner in corners(shape):
        plane = ia.getchunk(getmask=what == "mask", **corner)[:, :, 0, 0]
        if what == "valid":
            plane = np.where(ia.getchunk(getmask=True, **corner)[:, :, 0, 0], plane, np.nan)
        yield plane.T


def is_limited(ia: Any, shape: list[int]) -> bool:
    """Whether the pixel mask leaves anything out."""
    return any(not ia.getchunk(getmask=True, **corner).all() for corner in corners(shape))


def to_fits(path: str, target: str) -> str:
    """Writes a CASA image as FITS; the file appears by rename."""
    with image(path) as ia:
        ia.tofits(outfile=f"{target}.partial", overwrite=True, stokeslast=True, history=False)
    os.replace(f"{target}.partial", target)
    return target


def from_fits(path: str, target: str) -> str:
    """Makes a CASA image of a FITS file, with CASA's order of axes; pixels without data are masked, and 0."""
    from casatools import image as tool

    shutil.rmtree(target, ignore_errors=True)
    raw, ia = f"{target}.raw", tool()
    ia.fromfits(outfile=raw, infile=path, zeroblanks=True, overwrite=True)
    try:
        add_missing_axes(ia, raw, path)
        order = axis_order(axis_kinds(ia))
        if order == [0, 1, 2, 3]:
            ia.done()
            os.rename(raw, target)
        else:
            ia.transpose(outfile=target, order="".join(str(k) for k in order)).done()
    finally:
        ia.done()
        shutil.rmtree(raw, ignore_errors=True)
    return target


def axis_kinds(ia: Any) -> list[str]:
    """The kind of each axis of an open image."""
    coordinates = ia.coordsys()
    kinds = coordinates.axiscoordinatetypes()
    coordinates.done()
    return list(kinds)


def axis_order(kinds: list[str]) -> list[int]:
    """Numbers of the axes in CASA's order: sky, stokes, frequency."""
    return [k for kind in ("Direction", "Stokes", "Spectral") for k, have in enumerate(kinds) if have == kind]


def add_missing_axes(ia: Any, raw: str, path: str) -> None:
    """Gives an open image, which lies at `raw` and came from `path`, the axes that it lacks."""
    kinds = axis_kinds(ia)
    if kinds.count("Direction") != 2:
        raise BadInput(f"{path} has no axes of the sky: its axes are {', '.join(kinds) or 'unknown'}")
    if "Stokes" in kinds and "Spectral" in kinds:
        return
    full = ia.adddegaxes(
        outfile=f"{raw}.full",
        stokes="" if "Stokes" in kinds else "I",
        spectral="Spectral" not in kinds,
        overwrite=True,
    )
    full.done()
    ia.done()
    shutil.rmtree(raw)
    os.rename(f"{raw}.full", raw)
    ia.open(raw)


def degrees(quantity: dict[str, Any]) -> float:
    """An angle of CASA's in degrees."""
    return quantity["value"] / DIVISORS[quantity["unit"]]


def common_beam(paths: list[str]) -> list[float]:
    """Axes and angle, degrees, of the first image that has a beam; of several beams the common one."""
    for path in paths:
        if os.path.isdir(path):
            with image(path) as ia:
                beam = ia.restoringbeam()
                if beam:
                    beam = ia.commonbeam() if "beams" in beam else beam
                    angle = beam.get("pa", beam.get("positionangle"))
                    return [degrees(beam["major"]), degrees(beam["minor"]), degrees(angle)]
    raise RuntimeError("neither the residual nor the PSF has a restoring beam")


def cards_of(ia: Any, beam: list[float], scratch: str) -> list[str]:
    """FITS header of an image, in Jy/beam, with one beam for all channels."""
    from casatools import regionmanager

    nx, ny, npol, nchan = (int(n) for n in ia.shape())
    # One channel is written, for the header's sake.
    box = regionmanager().box([0, 0, 0, 0], [nx - 1, ny - 1, npol - 1, 0])
    ia.tofits(outfile=scratch, region=box, overwrite=True, stokeslast=True, history=False)
    cards = fits.header_of(scratch)
    os.remove(scratch)
    cards = fits.with_value(cards, "NAXIS3", nchan)
    for key in ("CASAMBM", "BMAJ", "BMIN", "BPA", "BLANK", "BSCALE", "BZERO"):
        cards = fits.with_card(cards, key, None)
    cards = fits.with_card(cards, "BUNIT", "'Jy/beam '")
    for key, number in zip(("BMAJ", "BMIN", "BPA"), beam, strict=True):
        cards = fits.with_card(cards, key, f"{number:.12E}")
    return cards


class CleanMask:
    """A mask from FITS (None: all ones) on its way into an image of CASA's; one plane serves all channels."""

    def __init__(self, path: str | None, target: str) -> None:
        self.target = target
        self.values: np.ndarray | None = None
        with image(target) as ia:
            self.shape = [int(n) for n in ia.shape()]
        if path is None:
            return
        _, values = fits.read(path)
        # Trailing axes are y, x; before them stokes and frequency in this order, as far as they are there.
        values = values.reshape((1,) * (4 - values.ndim) + values.shape)
        nx, ny, npol, nchan = self.shape
        found = values.shape
        if not (found[2:] == (ny, nx) and found[1] in (1, nchan) and found[0] in (1, npol)):
            raise BadInput(
                f"{path} has {found[3]} x {found[2]} pixels, {found[1]} channels; the image has "
                f"{nx} x {ny} pixels, {nchan} channels"
            )
        self.values = values

    def write(self, channels: list[int] | None = None) -> None:
        """Puts it in place; with `channels`, all others are left out."""
        nx, ny, npol, nchan = self.shape
        with image(self.target) as ia:
            for pol in range(npol):
                for channel in range(nchan):
                    left_out = channels is not None and channel not in channels
                    plane = np.zeros((nx, ny)) if left_out else self.plane(pol, channel)
                    ia.putchunk(plane.reshape(nx, ny, 1, 1), blc=[0, 0, pol, channel])
            ia.unlock()

    def plane(self, pol: int, channel: int) -> np.ndarray:
        """Ones and zeros [x, y] of a plane."""
        nx, ny = self.shape[:2]
        if self.values is None:
            return np.ones((nx, ny))
        pols, channels = self.values.shape[:2]
        plane = self.values[min(pol, pols - 1), min(channel, channels - 1)].T
        return (np.nan_to_num(plane) != 0).astype(float)
