"""Flags of a measurement set: saved versions, and visibilities that are no numbers."""

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.noise import has_spectrum, parallel_hands, read_weights
from cleanloop_worker.ms.tables import check_column, pieces
from cleanloop_worker.problems import BadInput

FLAG_VERSION = "cleanloop_original"  # flags as they were before any that calibration sets


def flag_versions(ms: str) -> list[str]:
    """Names of the saved flags."""
    from casatasks import flagmanager

    found = flagmanager(vis=ms, mode="list") or {}
    return [v["name"] for v in found.values() if isinstance(v, dict) and "name" in v]


def save_flags(ms: str, name: str) -> bool:
    """Saves the flags under a name, unless there are flags of that name."""
    from casatasks import flagmanager

    if name in flag_versions(ms):
        return False
    flagmanager(vis=ms, mode="save", versionname=name, comment="saved by cleanloop", merge="replace")
    return True


def restore_flags(ms: str, name: str, missing_ok: bool = False) -> bool:
    """Puts saved flags back; returns whether there were any of that name."""
    from casatasks import flagmanager

    if name not in flag_versions(ms):
        if missing_ok:
            return False
        raise BadInput(f"{ms} has no saved flags named {name!r}")
    flagmanager(vis=ms, mode="restore", versionname=name, merge="replace")
    return True


def flag_not_finite(request: r.FlagNotFinite) -> int:
    """Flags unflagged visibilities that, or whose weights, are no numbers; returns how many.

    Cross hands keep their flags: gaincal leaves out what is flagged in any correlation, and some data have no weights
    for cross hands at all. Only ever asked for on working copies.
    """
    ms, column = request.ms, request.column
    check_column(ms, column, "name one of these")
    flagged = 0
    hands = parallel_hands(ms)
    for tb, start, rows in pieces(ms, column, write=True):
        flag = tb.getcol("FLAG", start, rows)
        weights = read_weights(tb, start, rows, has_spectrum(tb))
        bad = ~(np.isfinite(tb.getcol(column, start, rows)) & np.isfinite(weights)) & ~flag
        bad[np.setdiff1d(np.arange(len(bad)), hands[int(tb.getcell("DATA_DESC_ID", start))])] = False
        if bad.any():
            tb.putcol("FLAG", flag | bad, start, rows)
            flagged += int((bad & ~tb.getcol("FLAG_ROW", start, rows)).sum())
    return flagged
