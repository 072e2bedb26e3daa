"""Measurement sets as tables: opened, read in pieces of bounded size and closed again, so that no lock is held between
requests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cleanloop_worker.problems import BadInput

PIECE_VALUES = 20_000_000  # visibilities read at once


@contextmanager
def opened(path: str, write: bool = False) -> Iterator[Any]:
    """A table tool on a table, closed afterwards."""
    from casatools import table

    tb = table()
    tb.open(path, nomodify=not write)
    try:
        yield tb
    finally:
        tb.close()


def check(path: str) -> None:
    """Refuses anything that is not a measurement set that can be read."""
    if not os.path.exists(path):
        raise BadInput(f"{path}: no such measurement set")
    if not os.path.isfile(os.path.join(path, "table.dat")) or not os.path.isdir(os.path.join(path, "ANTENNA")):
        raise BadInput(f"{path} is not a measurement set: a folder with table.dat and ANTENNA is expected")
    if not os.access(os.path.join(path, "table.dat"), os.R_OK):
        raise BadInput(f"{path} cannot be read: check its permissions")


def check_column(path: str, column: str, hint: str) -> None:
    """Refuses a measurement set without the column; the hint says what to do."""
    check(path)
    with opened(path) as tb:
        columns = tb.colnames()
    if column not in columns:
        there = ", ".join(c for c in columns if c.endswith("DATA")) or "none"
        raise BadInput(f"{path} has no column {column} (data columns: {there}): {hint}")


def channel_counts(path: str) -> list[int]:
    """Channel count of each spectral window."""
    with opened(os.path.join(path, "SPECTRAL_WINDOW")) as tb:
        return [int(n) for n in tb.getcol("NUM_CHAN")]


def data_descriptions(path: str) -> list[int]:
    """Data descriptions that have rows: within one, all cells have the same shape."""
    with opened(path) as tb:
        return [int(k) for k in np.unique(tb.getcol("DATA_DESC_ID"))] if tb.nrows() else []


def pieces(path: str, column: str, write: bool = False, where: str = "") -> Iterator[tuple[Any, int, int]]:
    """Yields (table, first row, number of rows) over the rows of each data description; `column` sets the sizes,
    `where` leaves out rows."""
    for description in data_descriptions(path):
        with opened(path, write) as tb:
            part = tb.query(" && ".join([f"DATA_DESC_ID=={description}", *([where] if where else [])]))
            try:
                rows = part.nrows()
                if rows == 0:
                    continue
                cell = part.getcell(column, 0)
                step = max(1, PIECE_VALUES // max(1, cell.size))
                for start in range(0, rows, step):
                    yield part, start, min(step, rows - start)
            finally:
                part.close()
