"""CASA images and FITS files, plane by plane.

CASA's arrays are [x, y, stokes, channel]; FITS files have the axes [stokes, frequency, y, x] as numpy sees them.
"""

import os
import shutil

import numpy as np

import fits
from problems import BadInput


class image:
    """An open CASA image."""

    def __init__(self, path):
        from casatools import image as tool

        self.ia, self.path = tool(), path

    def __enter__(self):
        self.ia.open(self.path)
        return self.ia

    def __exit__(self, *_):
        self.ia.close()


def corners(shape):
    """Corners of the planes in the order of FITS: frequency faster than stokes."""
    for pol in range(shape[2]):
        for channel in range(shape[3]):
            yield dict(blc=[0, 0, pol, channel], trc=[shape[0] - 1, shape[1] - 1, pol, channel])


def planes(ia, shape, what="values"):
    """Planes [y, x]: all values, those that are valid (others are NaN), or the pixel mask."""
    for corner in corners(shape):
        plane = ia.getchunk(getmask=what == "mask", **corner)[:, :, 0, 0]
        if what == "valid":
            plane = np.where(ia.getchunk(getmask=True, **corner)[:, :, 0, 0], plane, np.nan)
        yield plane.T


def is_limited(ia, shape):
    """Whether the pixel mask leaves anything out."""
    return any(not ia.getchunk(getmask=True, **corner).all() for corner in corners(shape))


def to_fits(path, target):
    """Writes a CASA image as FITS; the file appears by rename."""
    with image(path) as ia:
        ia.tofits(outfile=f"{target}.partial", overwrite=True, stokeslast=True, history=False)
    os.replace(f"{target}.partial", target)
    return target


def from_fits(path, target):
    """Makes a CASA image of a FITS file, with CASA's order of axes; pixels without data are masked, and 0."""
    from casatools import image as tool

    shutil.rmtree(target, ignore_errors=True)
    ia = tool()
    ia.fromfits(outfile=f"{target}.raw", infile=path, zeroblanks=True, overwrite=True)
    try:
        coordinates = ia.coordsys()
        kinds = coordinates.axiscoordinatetypes()
        coordinates.done()
        order = [k for kind in ("Direction", "Stokes", "Spectral") for k, have in enumerate(kinds) if have == kind]
        if kinds.count("Direction") != 2:
            raise BadInput(f"{path} has no axes of the sky: its axes are {', '.join(kinds) or 'unknown'}")
        missing = [kind for kind in ("Stokes", "Spectral") if kind not in kinds]
        if missing:
            full = ia.adddegaxes(outfile=f"{target}.full", stokes="I" if "Stokes" in missing else "",
                                 spectral="Spectral" in missing, overwrite=True)
            full.done()
            ia.done()
            shutil.rmtree(f"{target}.raw")
            os.rename(f"{target}.full", f"{target}.raw")
            ia.open(f"{target}.raw")
            coordinates = ia.coordsys()
            kinds = coordinates.axiscoordinatetypes()
            coordinates.done()
            order = [k for kind in ("Direction", "Stokes", "Spectral") for k, have in enumerate(kinds) if have == kind]
        if order == [0, 1, 2, 3]:
            ia.done()
            os.rename(f"{target}.raw", target)
        else:
            ia.transpose(outfile=target, order="".join(str(k) for k in order)).done()
    finally:
        ia.done()
        shutil.rmtree(f"{target}.raw", ignore_errors=True)
    return target


def degrees(quantity):
    return quantity["value"] / {"arcsec": 3600.0, "deg": 1.0, "arcmin": 60.0, "rad": np.pi / 180}[quantity["unit"]]


def common_beam(paths):
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


def cards_of(ia, beam, scratch):
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
    for key, number in zip(("BMAJ", "BMIN", "BPA"), beam):
        cards = fits.with_card(cards, key, f"{number:.12E}")
    return cards


class CleanMask:
    """A mask from FITS (None: all ones) on its way into an image of CASA's; one plane serves all channels."""

    def __init__(self, path, target):
        self.target, self.values = target, None
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
            raise BadInput(f"{path} has {found[3]} x {found[2]} pixels, {found[1]} channels; the image has "
                           f"{nx} x {ny} pixels, {nchan} channels")
        self.values = values

    def write(self, channels=None):
        """Puts it in place; with `channels`, all others are left out."""
        nx, ny, npol, nchan = self.shape
        with image(self.target) as ia:
            for pol in range(npol):
                for channel in range(nchan):
                    if channels is not None and channel not in channels:
                        plane = np.zeros((nx, ny))
                    elif self.values is None:
                        plane = np.ones((nx, ny))
                    else:
                        pols, planes_there = self.values.shape[:2]
                        plane = self.values[min(pol, pols - 1), min(channel, planes_there - 1)].T
                        plane = (np.nan_to_num(plane) != 0).astype(float)
                    ia.putchunk(plane.reshape(nx, ny, 1, 1), blc=[0, 0, pol, channel])
            ia.unlock()
