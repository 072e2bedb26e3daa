"""The flux of the field from visibilities, before there is an image."""

import os
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check_column, opened, pieces
from cleanloop_worker.problems import BadInput

SHORTEST = 0.1  # part of the visibilities, those of the shortest baselines, that are looked at
PARALLEL_HANDS = (1, 5, 8, 9, 12)  # casacore's I, RR, LL, XX, YY


def short_baseline_flux(request: r.ShortBaselineFlux) -> float:
    """Median amplitude of the parallel hands on the shortest baselines, Jy.

    Amplitudes do not care about phases that nobody calibrated. Where the noise of a visibility exceeds the flux the
    noise is what is measured; solutions for phases do not depend on the scale.
    """
    ms = request.ms
    check_column(ms, "DATA", "raw data are needed")
    hands = parallel_hands(ms)
    limit = longest_of_the_short(ms)
    amplitudes = []
    for tb, start, rows in pieces(ms, "DATA"):
        used = wanted(tb, start, rows) & (lengths(tb, start, rows) <= limit)
        good = ~tb.getcol("FLAG", start, rows)[hands][..., used]
        amplitude = np.abs(tb.getcol("DATA", start, rows)[hands][..., used])
        amplitudes.append(amplitude[good & np.isfinite(amplitude) & (amplitude > 0)])
    found = np.concatenate(amplitudes) if amplitudes else np.empty(0)
    if not found.size:
        raise BadInput(f"{ms}: its shortest baselines have no unflagged data: there is no flux for a start model")
    return float(np.median(found))


def longest_of_the_short(ms: str) -> float:
    """Length of the longest of the shortest baselines, m."""
    used = [lengths(tb, at, rows)[wanted(tb, at, rows)] for tb, at, rows in pieces(ms, "DATA")]
    all_lengths = np.concatenate(used) if used else np.empty(0)
    return float(np.quantile(all_lengths, SHORTEST)) if all_lengths.size else 0.0


def lengths(tb: Any, start: int, rows: int) -> np.ndarray:
    """Length of the baseline of each row, m."""
    return np.linalg.norm(tb.getcol("UVW", start, rows), axis=0)


def wanted(tb: Any, start: int, rows: int) -> np.ndarray:
    """Rows that are no autocorrelations and have unflagged data."""
    cross = tb.getcol("ANTENNA1", start, rows) != tb.getcol("ANTENNA2", start, rows)
    flag = tb.getcol("FLAG", start, rows).all(axis=(0, 1)) | tb.getcol("FLAG_ROW", start, rows)
    return cross & ~flag


def parallel_hands(ms: str) -> list[int]:
    """Indices of the parallel hands; all correlations where none is one."""
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        kinds = [int(k) for k in tb.getcell("CORR_TYPE", 0)]
    return [k for k, kind in enumerate(kinds) if kind in PARALLEL_HANDS] or list(range(len(kinds)))
