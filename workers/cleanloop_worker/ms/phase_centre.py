"""The phase centre of a working copy."""

import os
import shutil

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check, opened


def shift_phase_centre(request: r.ShiftPhaseCentre) -> None:
    """Gives a working copy the phase centre of another measurement set: phases of DATA, UVW and FIELD follow.

    The other columns of visibilities go: a campaign makes them again.
    """
    from casatasks import phaseshift

    ms = request.ms
    check(ms)
    shifted = f"{ms}.shifted"
    shutil.rmtree(shifted, ignore_errors=True)
    phaseshift(vis=ms, outputvis=shifted, phasecenter=phase_centre(request.like), datacolumn="data")
    shutil.rmtree(ms)
    os.rename(shifted, ms)


def phase_centre(ms: str) -> str:
    """The phase centre of the field that was observed, as CASA reads it: frame, right ascension, declination."""
    check(ms)
    with opened(ms) as tb:
        field = int(np.unique(tb.getcol("FIELD_ID"))[0])
    with opened(os.path.join(ms, "FIELD")) as tb:
        ra, dec = np.rad2deg(tb.getcell("PHASE_DIR", field)[:, 0])
        frame = tb.getcolkeyword("PHASE_DIR", "MEASINFO").get("Ref", "J2000")
    return f"{frame} {ra:.12f}deg {dec:.12f}deg"
