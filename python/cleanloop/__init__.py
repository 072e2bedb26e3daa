"""Clean masks, noise maps, metrics and confetti for numpy arrays, and the command ``cleanloop``.

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
from collections.abc import Sequence as _Sequence
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import _core
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

if _TYPE_CHECKING:
    import numpy as _np
    from numpy.typing import ArrayLike as _ArrayLike
    from numpy.typing import NDArray as _NDArray
    from typing_extensions import Unpack as _Unpack

    from . import types as _types

__all__ = [
    "AutomaskState",
    "__version__",
    "automask_plane",
    "automatic_mask",
    "beam_pixels",
    "combine",
    "confetti",
    "mask",
    "metrics",
    "noise",
    "sidelobe_level",
    "signal",
]


def automatic_mask(
    image: _ArrayLike,
    *,
    beam: _types.Beam | None = None,
    psf: _ArrayLike | None = None,
    uncleaned: _ArrayLike | None = None,
    previous_image: _ArrayLike | None = None,
    previous_mask: _ArrayLike | None = None,
    caution: float = 1.0,
    noise: _types.NoiseOptions | None = None,
    masking: _types.MaskingOptions | None = None,
    **limits: _Unpack[_types.AutoMaskOptions],
) -> _types.AutomaticMask:
    """A mask whose levels are chosen from the image, without islands that look like artefacts: ``mask: auto``.

    image: a restored image or a residual, [y, x], Jy/beam.
    beam: FWHM in pixels and degrees.
    psf: for a residual: the PSF, [y, x], whose sidelobes may hide islands.
    uncleaned: for a residual: the image before cleaning, [y, x], Jy/beam.
    previous_image, previous_mask: the last image, in which new islands should have been visible, and its mask.
    caution: factor on all levels; more than 1 for a more cautious mask.
    noise: options of the noise estimate; the method is bane by default.
    masking: flint's options that are not about levels (beam_shape_erode, convolve_first and theirs).
    limits: limits by name (negative_ratio, prominent_seed, extended_scales, ...).

    Raises TypeError for unknown options, ValueError for invalid values, shapes that differ, an image without signal,
    and a mask that stays too large.
    """
    arguments = {
        "beam": beam,
        "psf": psf,
        "uncleaned": uncleaned,
        "previous_image": previous_image,
        "previous_mask": previous_mask,
        "caution": caution,
        "noise": noise,
        "masking": masking,
    }
    return _core.automatic_mask(image, arguments, limits)


def combine(
    masks: _Sequence[_ArrayLike],
    *,
    operation: str = "union",
    add: _Sequence[_ArrayLike] = (),
    remove: _Sequence[_ArrayLike] = (),
    keep_touching: _Sequence[_ArrayLike] = (),
    drop_touching: _Sequence[_ArrayLike] = (),
    **tidy: _Unpack[_types.TidyOptions],
) -> _NDArray[_np.uint8]:
    """Several masks as one, tidied up: the pixels of the command ``cleanloop combine``.

    masks: each [y, x], booleans or numbers (masked where not 0), all of one shape.
    operation: union, intersection or difference.
    add, remove: masks that are then put in and taken out.
    keep_touching, drop_touching: then only islands that touch these are kept, or dropped.
    tidy: fill_holes, minimum_size, dilate, invert, in this order.

    Returns the mask, [y, x]: 1 where masked.
    Raises TypeError for unknown options, ValueError for invalid values and for shapes that differ.
    """
    steps = {
        "add": list(add),
        "remove": list(remove),
        "keep_touching": list(keep_touching),
        "drop_touching": list(drop_touching),
    }
    return _core.combine_masks(list(masks), operation, steps, tidy)


def metrics(
    image: _ArrayLike,
    *,
    residual: _ArrayLike | None = None,
    model: _ArrayLike | None = None,
    mask: _ArrayLike | None = None,
    islands: _ArrayLike | None = None,
    beam: _types.Beam | None = None,
    pixel_deg: float | None = None,
) -> _types.ImageMetrics:
    """Metrics of a plane, as ``cleanloop metrics`` and the acceptance of rounds have them.

    image, residual: [y, x], Jy/beam; the noise is taken from the residual where it is given.
    model: [y, x], Jy/pixel.
    mask: the clean mask, [y, x]; its pixels do not count as noise.
    islands: masks of earlier rounds, [y, x], by which the model's flux is sorted into inside and outside.
    beam, pixel_deg: the beam (FWHM in pixels and degrees) and the side of a pixel in degrees, for the near field.

    Raises ValueError for shapes that differ.
    """
    arguments = {
        "residual": residual,
        "model": model,
        "mask": mask,
        "islands": islands,
        "beam": beam,
        "pixel_deg": pixel_deg,
    }
    return _core.plane_metrics(image, arguments)


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

    # Ctrl-C ends the program at once, or as the program itself sees fit; Python has no part in it.
    signals.signal(signals.SIGINT, signals.SIG_DFL)
    _sys.stdout.flush()
    return _core.main(_sys.argv)
