"""Copies with four correlations, for programs that take nothing else."""

import os
import shutil
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check_column, opened, pieces
from cleanloop_worker.problems import BadInput

PARALLEL = {(5, 8): [5, 6, 7, 8], (9, 12): [9, 10, 11, 12]}  # casacore's RR RL LR LL and XX XY YX YY
HANDS = [0, 3]  # places of the parallel hands among four
PLAIN = (
    *("UVW", "TIME", "TIME_CENTROID", "INTERVAL", "EXPOSURE", "ANTENNA1", "ANTENNA2", "FEED1", "FEED2"),
    *("DATA_DESC_ID", "FIELD_ID", "SCAN_NUMBER", "ARRAY_ID", "OBSERVATION_ID", "PROCESSOR_ID", "STATE_ID", "FLAG_ROW"),
)
OTHER = ("WEIGHT_SPECTRUM", "SIGMA_SPECTRUM", "CORRECTED_DATA", "MODEL_DATA")


def four_correlations(request: r.FourCorrelations) -> None:
    """Copies a measurement set of the two parallel hands as one of four correlations.

    The cross hands are 0, have the weight of the parallel hands and are not flagged: with flagged ones DP3's solutions
    are all NaN.
    """
    ms, column, output = request.ms, request.column, request.output
    check_column(ms, column, "name one of these")
    types = correlations(ms)
    if types not in PARALLEL:
        raise BadInput(f"{ms}: its correlations are {list(types)} (casacore's numbers); RR LL or XX YY were expected")
    with opened(ms) as tb:
        there = tb.colnames()
        empty = tb.copy(output, deep=True, valuecopy=True, norows=True)
        empty.close()
        rows = tb.nrows()
    for name in os.listdir(ms):
        # Without rows that table has subtables without rows.
        if os.path.exists(os.path.join(ms, name, "table.dat")):
            shutil.rmtree(os.path.join(output, name), ignore_errors=True)
            shutil.copytree(os.path.join(ms, name), os.path.join(output, name))
    make_columns(output, [name for name in OTHER if name in there])
    with opened(output, write=True) as tb:
        tb.addrows(rows)
    done = 0
    with opened(output, write=True) as out:
        for tb, start, count in pieces(ms, column):
            for name in PLAIN:
                out.putcol(name, tb.getcol(name, start, count), done, count)
            values, flags = tb.getcol(column, start, count), tb.getcol("FLAG", start, count)
            flagged = flags.any(axis=0) | tb.getcol("FLAG_ROW", start, count)
            out.putcol("DATA", widened(values, 0), done, count)
            out.putcol("FLAG", np.repeat(flagged[np.newaxis], 4, axis=0), done, count)
            for name in ("WEIGHT", "SIGMA"):
                values = tb.getcol(name, start, count)
                out.putcol(name, widened(values, values.mean(axis=0)), done, count)
            done += count
    widen_setup(output, PARALLEL[types])


def correlations(ms: str) -> tuple[int, ...]:
    """The correlations of the first setup."""
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        return tuple(int(t) for t in tb.getcell("CORR_TYPE", 0))


def widened(values: np.ndarray, cross: Any) -> np.ndarray:
    """Values [2, ...] of the parallel hands as [4, ...], with these of the cross hands."""
    wide = np.empty((4, *values.shape[1:]), values.dtype)
    wide[:] = cross
    wide[HANDS] = values
    return wide


def make_columns(ms: str, other: list[str]) -> None:
    """Makes the columns that have a value for each correlation anew, of any shape."""
    with opened(ms, write=True) as tb:
        for name, rank in (("DATA", 2), ("FLAG", 2), ("WEIGHT", 1), ("SIGMA", 1)):
            description = tb.getcoldesc(name)
            for key in ("shape", "dataManagerGroup", "dataManagerType"):
                description.pop(key, None)
            description |= {"ndim": rank, "option": 0}
            tb.removecols(name)
            tile = [4, 64, 256][3 - rank - 1 :] if rank == 1 else [4, 64, 256]
            spec = {"DEFAULTTILESHAPE": np.array(tile)}
            manager = {"TYPE": "TiledShapeStMan", "NAME": f"Four{name}", "SPEC": spec, "COLUMNS": np.array([name])}
            tb.addcols({name: description}, {"*1": manager})
        if other:
            tb.removecols(other)


def widen_setup(ms: str, types: list[int]) -> None:
    """Enters four correlations into the table of setups."""
    with opened(os.path.join(ms, "POLARIZATION"), write=True) as tb:
        for row in range(tb.nrows()):
            tb.putcell("NUM_CORR", row, 4)
            tb.putcell("CORR_TYPE", row, np.array(types, np.int32))
            tb.putcell("CORR_PRODUCT", row, np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.int32))
