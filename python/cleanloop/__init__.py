"""Clean masks, noise maps and confetti for numpy arrays, and the command ``cleanloop``.

Arrays are ``[y, x]`` (cubes ``[channel, y, x]``), float32. An array that is C-contiguous float32 in the machine's
byte order is used where it lies; any other is copied once (FITS data are big-endian: astropy's arrays are copied).
NaN is no data. The interpreter's lock is released while the work is done, on all cores; the environment variable
``RAYON_NUM_THREADS`` sets their number.

A beam is ``(major, minor, position angle)``: FWHM in pixels, degrees from north through east; a single number is a
round beam. :func:`beam_pixels` takes it from a FITS header.
"""

from __future__ import annotations

import math as _math
import sys as _sys
from collections.abc import Mapping as _Mapping

from ._core import (
    AutomaskState,
    __version__,
    automask_plane,
    confetti,
    mask,
    noise,
    sidelobe_level,
    signal,
)

__all__ = [
    "AutomaskState",
    "__version__",
    "automask_plane",
    "beam_pixels",
    "confetti",
    "mask",
    "noise",
    "sidelobe_level",
    "signal",
]


def beam_pixels(header: _Mapping[str, object]) -> tuple[float, float, float] | None:
    """The restoring beam of a FITS header in pixels.

    header: anything with FITS keywords as keys, such as ``astropy.io.fits.Header``; BMAJ, BMIN and CDELT1, CDELT2 in
        degrees, BPA in degrees from north through east.

    Returns (FWHM of the major axis in pixels, of the minor axis, position angle in degrees), or None without a beam.
    Raises ValueError if the pixels have no size or are not square.
    """
    if not all(key in header for key in ("BMAJ", "BMIN")):
        return None
    try:
        x, y = abs(_number(header["CDELT1"])), abs(_number(header["CDELT2"]))
    except KeyError as missing:
        raise ValueError(f"the header has a beam, but no {missing.args[0]}: the pixel size is not known") from None
    if not (x > 0 and _math.isclose(x, y, rel_tol=1e-3)):
        raise ValueError(f"the pixels are {x} x {y} degrees: square pixels were expected")
    return _number(header["BMAJ"]) / x, _number(header["BMIN"]) / x, _number(header.get("BPA", 0.0))


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]


def _command() -> int:
    """The command ``cleanloop``."""
    import signal as signals

    from . import _core

    # Ctrl-C ends the program at once, or as the program itself sees fit; Python has no part in it.
    signals.signal(signals.SIGINT, signals.SIG_DFL)
    _sys.stdout.flush()
    return _core.main(_sys.argv)
