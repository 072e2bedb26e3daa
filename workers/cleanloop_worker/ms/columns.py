"""The columns of visibilities that calibration needs."""

import hashlib
import os

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check_column, opened, pieces
from cleanloop_worker.problems import BadInput


def answer_model_is_empty(request: r.ModelIsEmpty) -> bool:
    """Answers ModelIsEmpty."""
    return model_is_empty(request.ms)


def model_is_empty(ms: str) -> bool:
    """Whether MODEL_DATA is zero everywhere."""
    check_column(ms, "MODEL_DATA", "image it first; the imager leaves its model there")
    return not any(np.any(tb.getcol("MODEL_DATA", start, rows)) for tb, start, rows in pieces(ms, "MODEL_DATA"))


def checksum(request: r.Checksum) -> str:
    """SHA-256 of a column, row by row within each data description."""
    ms, column = request.ms, request.column
    check_column(ms, column, "name one of these")
    digest = hashlib.sha256()
    for tb, start, rows in pieces(ms, column):
        digest.update(np.ascontiguousarray(tb.getcol(column, start, rows)).tobytes())
    return digest.hexdigest()


def add_column(ms: str, column: str) -> bool:
    """Adds a column of visibilities like DATA, unless it is there; its values are zero."""
    check_column(ms, "DATA", "raw data are needed")
    with opened(ms, write=True) as tb:
        if column in tb.colnames():
            return False
        description = tb.getcoldesc("DATA")
        manager = next((m for m in tb.getdminfo().values() if "DATA" in m["COLUMNS"]), None)
        description["comment"] = f"{column}, added by cleanloop"
        kind = (
            "TiledShapeStMan" if description.get("ndim", 2) == 2 and "shape" not in description else "TiledColumnStMan"
        )
        spec = (manager or {}).get("SPEC", {})
        tile = spec.get("DEFAULTTILESHAPE", np.array([4, 64, 256]))
        tb.addcols(
            {column: description},
            {
                "TYPE": kind,
                "NAME": f"Tiled{column.title().replace('_', '')}",
                "SPEC": {"DEFAULTTILESHAPE": tile},
                "COLUMNS": np.array([column]),
            },
        )
    return True


def answer_copy_column(request: r.CopyColumn) -> None:
    """Answers CopyColumn."""
    copy_column(request.ms, request.source, request.target)


def copy_column(ms: str, source: str, target: str) -> None:
    """Copies a column of visibilities; the target is added if it is not there."""
    check_column(ms, source, "name one of these")
    add_column(ms, target)
    for tb, start, rows in pieces(ms, source, write=True):
        tb.putcol(target, tb.getcol(source, start, rows), start, rows)


def save_column(request: r.SaveColumn) -> None:
    """Keeps a column of visibilities as files of numbers: calibrations without tables can then be undone."""
    ms, column, folder = request.ms, request.column, request.folder
    check_column(ms, column, "nothing was written there")
    os.makedirs(folder, exist_ok=True)
    for number, (tb, start, rows) in enumerate(pieces(ms, column)):
        np.save(os.path.join(folder, f"{column}.{number:05d}.npy"), tb.getcol(column, start, rows))


def load_column(request: r.LoadColumn) -> None:
    """Puts back what save_column kept."""
    ms, column, folder = request.ms, request.column, request.folder
    add_column(ms, column)
    for number, (tb, start, rows) in enumerate(pieces(ms, "DATA", write=True)):
        file = os.path.join(folder, f"{column}.{number:05d}.npy")
        if not os.path.exists(file):
            raise BadInput(f"{file} is gone: the column cannot be put back")
        values = np.load(file)
        if values.shape[-1] != rows:
            raise BadInput(f"{file} holds {values.shape[-1]} rows, {ms} has {rows} there: it belongs to other data")
        tb.putcol(column, values, start, rows)


def adopt_corrected(request: r.AdoptCorrected) -> None:
    """Makes CORRECTED_DATA the DATA; only ever asked for on working copies."""
    ms = request.ms
    check_column(ms, "CORRECTED_DATA", "start_column: DATA images what there is")
    for part, start, rows in pieces(ms, "CORRECTED_DATA", write=True):
        part.putcol("DATA", part.getcol("CORRECTED_DATA", start, rows), start, rows)
