"""Weights of calibrated visibilities: a visibility that was divided by a gain has its noise divided by it, too."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cleanloop_worker.ms.tables import opened, pieces

COLUMNS = {"WEIGHT": "CLEANLOOP_WEIGHT", "WEIGHT_SPECTRUM": "CLEANLOOP_WEIGHT_SPECTRUM"}  # where the original ones are
STATE = "CLEANLOOP_WEIGHTS"  # keyword of the main table
ORIGINAL, CALIBRATED = "original", "calibrated"
SAME = 1e-5  # factors nearer to 1 are rounding


def calibrate_weights(ms: str) -> None:
    """Multiplies the original weights by |DATA / CORRECTED_DATA|^2, the squared gains that were divided by; WEIGHT by
    its mean over unflagged channels. The original ones are kept in columns of their own."""
    save(ms)
    set_state(ms, CALIBRATED)
    for tb, start, rows in pieces(ms, "DATA", write=True):
        factors = squared_gains(tb, start, rows)
        for column in kept(tb):
            weights = tb.getcol(COLUMNS[column], start, rows)
            tb.putcol(column, weights * (factors.mean(axis=1) if column == "WEIGHT" else factors), start, rows)


def restore_weights(ms: str) -> None:
    """Puts the original weights back, where calibrated ones are."""
    if state(ms) == CALIBRATED:
        put_back(ms)
        set_state(ms, ORIGINAL)


@contextmanager
def original_weights(ms: str) -> Iterator[None]:
    """The original weights for a while: those of the raw data, against which gains are solved. If it is cut off, the
    keyword still says that calibrated ones belong there."""
    if state(ms) != CALIBRATED:
        yield
        return
    put_back(ms)
    yield
    calibrate_weights(ms)


def put_back(ms: str) -> None:
    """Copies the original weights into their columns."""
    for tb, start, rows in pieces(ms, "FLAG", write=True):
        for column in kept(tb):
            tb.putcol(column, tb.getcol(COLUMNS[column], start, rows), start, rows)


def squared_gains(tb: Any, start: int, rows: int) -> np.ndarray:
    """|DATA / CORRECTED_DATA|^2, [correlation, channel, row]; where a channel is flagged the mean of the others, where
    all are, 1."""
    data, corrected = (np.abs(tb.getcol(name, start, rows)) for name in ("DATA", "CORRECTED_DATA"))
    good = ~tb.getcol("FLAG", start, rows) & np.isfinite(data) & np.isfinite(corrected) & (data > 0) & (corrected > 0)
    squared = np.ones(data.shape)
    squared[good] = (data[good].astype(float) / corrected[good]) ** 2
    squared[np.abs(squared - 1) < SAME] = 1
    number = good.sum(axis=1, keepdims=True)
    mean = np.where(number > 0, (squared * good).sum(axis=1, keepdims=True) / np.maximum(number, 1), 1)
    return np.where(good, squared, mean)


def kept(tb: Any) -> list[str]:
    """The columns of weights whose original values are kept."""
    names = tb.colnames()
    return [column for column, copy in COLUMNS.items() if column in names and copy in names]


def save(ms: str) -> None:
    """Keeps the original weights; does nothing where they are."""
    if state(ms):
        return
    with opened(ms, write=True) as tb:
        names = tb.colnames()
        for column, copy in COLUMNS.items():
            if column in names and copy not in names and tb.iscelldefined(column, 0):
                description = tb.getcoldesc(column)
                description["comment"] = f"{column} before calibration, kept by cleanloop"
                manager = {"TYPE": "StandardStMan", "NAME": copy, "SPEC": {}, "COLUMNS": np.array([copy])}
                tb.addcols({copy: description}, manager)
    for tb, start, rows in pieces(ms, "FLAG", write=True):
        for column in kept(tb):
            tb.putcol(COLUMNS[column], tb.getcol(column, start, rows), start, rows)
    # Last: a copy that was cut off is made again.
    set_state(ms, ORIGINAL)


def state(ms: str) -> str:
    """What the columns of weights hold; empty where nothing was ever done to them."""
    with opened(ms) as tb:
        return str(tb.getkeyword(STATE)) if STATE in tb.keywordnames() else ""


def set_state(ms: str, value: str) -> None:
    """Writes down what the columns of weights hold, or are about to."""
    with opened(ms, write=True) as tb:
        tb.putkeyword(STATE, value)
