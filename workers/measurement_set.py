"""What is in a measurement set, and the columns that calibration needs.

Every table is opened, read in pieces of bounded size and closed again, so that no lock is held between requests.
"""

import hashlib
import os
from contextlib import contextmanager

import numpy as np

from problems import BadInput

PIECE_VALUES = 20_000_000  # visibilities read at once
REFANT_SHARE = 0.95  # a reference antenna has at least this part of the best antenna's unflagged data
FLAG_VERSION = "cleanloop_original"  # flags as they were before any that calibration sets


@contextmanager
def opened(path, write=False):
    from casatools import table

    tb = table()
    tb.open(path, nomodify=not write)
    try:
        yield tb
    finally:
        tb.close()


def check(path):
    """Refuses what is no measurement set, in words for people."""
    if not os.path.exists(path):
        raise BadInput(f"{path}: no such measurement set")
    if not os.path.isfile(os.path.join(path, "table.dat")) or not os.path.isdir(os.path.join(path, "ANTENNA")):
        raise BadInput(f"{path} is not a measurement set: a folder with table.dat and ANTENNA is expected")
    if not os.access(os.path.join(path, "table.dat"), os.R_OK):
        raise BadInput(f"{path} cannot be read: check its permissions")


def check_column(path, column, hint):
    check(path)
    with opened(path) as tb:
        columns = tb.colnames()
    if column not in columns:
        there = ", ".join(c for c in columns if c.endswith("DATA")) or "none"
        raise BadInput(f"{path} has no column {column} (data columns: {there}): {hint}")


def spectral_windows(path):
    """Channel count of each spectral window."""
    with opened(os.path.join(path, "SPECTRAL_WINDOW")) as tb:
        return [int(n) for n in tb.getcol("NUM_CHAN")]


def data_descriptions(path):
    """Rows of each data description: within one, all cells have the same shape."""
    with opened(path) as tb:
        return [int(k) for k in np.unique(tb.getcol("DATA_DESC_ID"))] if tb.nrows() else []


def pieces(path, columns, write=False, shape_of=None):
    """Yields (table, first row, number of rows) over the rows of each data description."""
    for description in data_descriptions(path):
        with opened(path, write) as tb:
            part = tb.query(f"DATA_DESC_ID=={description}")
            try:
                rows = part.nrows()
                cell = part.getcell(shape_of or columns[0], 0)
                step = max(1, PIECE_VALUES // max(1, cell.size))
                for start in range(0, rows, step):
                    yield part, start, min(step, rows - start)
            finally:
                part.close()


def summary(ms):
    check(ms)
    sub = lambda name: os.path.join(ms, name)
    with opened(sub("ANTENNA")) as tb:
        antennas = list(tb.getcol("NAME"))
        positions = tb.getcol("POSITION").T
        diameters = tb.getcol("DISH_DIAMETER")
    with opened(sub("SPECTRAL_WINDOW")) as tb:
        windows = []
        for k in range(tb.nrows()):
            frequency, width = tb.getcell("CHAN_FREQ", k), tb.getcell("CHAN_WIDTH", k)
            windows.append({"name": tb.getcell("NAME", k), "frequencies_hz": frequency,
                            "channel_width_hz": abs(float(width[0])) if width.size else 0.0})
    with opened(sub("FIELD")) as tb:
        fields = [{"name": tb.getcell("NAME", k),
                   "ra_deg": float(np.rad2deg(tb.getcell("PHASE_DIR", k)[0, 0]) % 360),
                   "dec_deg": float(np.rad2deg(tb.getcell("PHASE_DIR", k)[1, 0]))} for k in range(tb.nrows())]
    with opened(sub("OBSERVATION")) as tb:
        telescope = tb.getcell("TELESCOPE_NAME", 0) if tb.nrows() else ""
    with opened(sub("POLARIZATION")) as tb:
        correlations = [int(c) for c in tb.getcell("CORR_TYPE", 0)] if tb.nrows() else []
    with opened(ms) as tb:
        columns, rows = tb.colnames(), int(tb.nrows())
        if rows == 0:
            raise BadInput(f"{ms} has no rows: there is nothing to image")
        time, interval = tb.getcol("TIME"), tb.getcol("INTERVAL")
        first, second = tb.getcol("ANTENNA1"), tb.getcol("ANTENNA2")
        uvw = tb.getcol("UVW")
        used_fields = np.unique(tb.getcol("FIELD_ID")).tolist()
        scans = int(np.unique(tb.getcol("SCAN_NUMBER")).size)
    unflagged, total = flag_counts(ms, len(antennas))
    there = total > 0
    fraction = np.where(there, unflagged / np.maximum(total, 1), 0.0)
    centre = np.median(positions[there], axis=0) if there.any() else positions.mean(axis=0)
    distance = np.linalg.norm(positions - centre, axis=1)
    refant = None
    if unflagged.max() > 0:
        good = np.flatnonzero(unflagged >= REFANT_SHARE * unflagged.max())
        refant = antennas[good[np.argmin(distance[good])]]
    lengths = np.linalg.norm(uvw, axis=0)[first != second]
    shape = {"correlations": len(correlations), "channels": [len(w["frequencies_hz"]) for w in windows]}
    return {
        "telescope": telescope,
        "rows": rows,
        "columns": columns,
        "antennas": [{"name": antennas[k], "position_m": positions[k], "diameter_m": float(diameters[k]),
                      "distance_m": float(distance[k]), "unflagged_fraction": float(fraction[k]),
                      "has_data": bool(there[k])} for k in range(len(antennas))],
        "spectral_windows": windows,
        "correlation_types": correlations,
        "fields": [{**f, "observed": k in used_fields} for k, f in enumerate(fields)],
        "scans": scans,
        "time_start_s": float((time - interval / 2).min()),
        "time_end_s": float((time + interval / 2).max()),
        "integrations": int(np.unique(time).size),
        "integration_s": float(np.median(interval)),
        "longest_baseline_m": float(lengths.max()) if lengths.size else 0.0,
        "shortest_baseline_m": float(lengths[lengths > 0].min()) if (lengths > 0).any() else 0.0,
        "unflagged_fraction": float(unflagged.sum() / max(total.sum(), 1)),
        "reference_antenna": refant,
        "column_bytes": column_bytes(ms, shape),
    }


def column_bytes(ms, shape):
    """Size of one column of complex visibilities."""
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        window = tb.getcol("SPECTRAL_WINDOW_ID")
    with opened(ms) as tb:
        description, count = np.unique(tb.getcol("DATA_DESC_ID"), return_counts=True)
    channels = [shape["channels"][window[d]] for d in description]
    return int(sum(c * n for c, n in zip(channels, count)) * shape["correlations"] * 8)


def flag_counts(ms, antennas):
    """Unflagged and all visibilities of each antenna, autocorrelations left out."""
    unflagged, total = np.zeros(antennas), np.zeros(antennas)
    for tb, start, rows in pieces(ms, ["FLAG"]):
        flag = tb.getcol("FLAG", start, rows)
        good = (~flag).sum(axis=(0, 1)) * ~tb.getcol("FLAG_ROW", start, rows)
        size = flag.shape[0] * flag.shape[1]
        first, second = tb.getcol("ANTENNA1", start, rows), tb.getcol("ANTENNA2", start, rows)
        cross = first != second
        for antenna in (first, second):
            unflagged += np.bincount(antenna[cross], good[cross], antennas)
            total += np.bincount(antenna[cross], minlength=antennas) * size
    return unflagged, total


def model_is_empty(ms):
    """Whether MODEL_DATA is zero everywhere."""
    check_column(ms, "MODEL_DATA", "image it first; the imager leaves its model there")
    for tb, start, rows in pieces(ms, ["MODEL_DATA"]):
        if np.any(tb.getcol("MODEL_DATA", start, rows)):
            return False
    return True


def checksum(ms, column):
    """SHA-256 of a column, row by row within each data description."""
    check_column(ms, column, "name one of these")
    digest = hashlib.sha256()
    for tb, start, rows in pieces(ms, [column]):
        digest.update(np.ascontiguousarray(tb.getcol(column, start, rows)).tobytes())
    return digest.hexdigest()


def add_column(ms, column):
    """Adds a column of visibilities like DATA; its values are zero."""
    check_column(ms, "DATA", "raw data are needed")
    with opened(ms, write=True) as tb:
        if column in tb.colnames():
            return False
        description = tb.getcoldesc("DATA")
        manager = next((m for m in tb.getdminfo().values() if "DATA" in m["COLUMNS"]), None)
        description["comment"] = f"{column}, added by cleanloop"
        kind = "TiledShapeStMan" if description.get("ndim", 2) == 2 and "shape" not in description else "TiledColumnStMan"
        spec = (manager or {}).get("SPEC", {})
        tile = spec.get("DEFAULTTILESHAPE", np.array([4, 64, 256]))
        tb.addcols({column: description},
                   {"TYPE": kind, "NAME": f"Tiled{column.title().replace('_', '')}",
                    "SPEC": {"DEFAULTTILESHAPE": tile}, "COLUMNS": np.array([column])})
    return True


def copy_column(ms, source, target):
    """Copies a column of visibilities; the target is added if it is not there."""
    check_column(ms, source, "name one of these")
    add_column(ms, target)
    for tb, start, rows in pieces(ms, [source], write=True):
        tb.putcol(target, tb.getcol(source, start, rows), start, rows)


def save_column(ms, column, folder):
    """Keeps a column of visibilities as files of numbers: calibrations without tables can then be undone."""
    check_column(ms, column, "nothing was written there")
    os.makedirs(folder, exist_ok=True)
    for number, (tb, start, rows) in enumerate(pieces(ms, [column])):
        np.save(os.path.join(folder, f"{column}.{number:05d}.npy"), tb.getcol(column, start, rows))


def load_column(ms, column, folder):
    """Puts back what save_column kept."""
    add_column(ms, column)
    for number, (tb, start, rows) in enumerate(pieces(ms, ["DATA"], write=True)):
        file = os.path.join(folder, f"{column}.{number:05d}.npy")
        if not os.path.exists(file):
            raise BadInput(f"{file} is gone: the column cannot be put back")
        values = np.load(file)
        if values.shape[-1] != rows:
            raise BadInput(f"{file} holds {values.shape[-1]} rows, {ms} has {rows} there: it belongs to other data")
        tb.putcol(column, values, start, rows)


def flag_versions(ms):
    from casatasks import flagmanager

    found = flagmanager(vis=ms, mode="list") or {}
    return [v["name"] for v in found.values() if isinstance(v, dict) and "name" in v]


def save_flags(ms, name):
    """Saves the flags under a name, unless there are flags of that name."""
    from casatasks import flagmanager

    if name in flag_versions(ms):
        return False
    flagmanager(vis=ms, mode="save", versionname=name, comment="saved by cleanloop", merge="replace")
    return True


def restore_flags(ms, name, missing_ok=False):
    from casatasks import flagmanager

    if name not in flag_versions(ms):
        if missing_ok:
            return False
        raise BadInput(f"{ms} has no saved flags named {name!r}")
    flagmanager(vis=ms, mode="restore", versionname=name, merge="replace")
    return True


def adopt_corrected(ms):
    """CORRECTED_DATA becomes DATA. The driver asks for it on working copies alone."""
    check_column(ms, "CORRECTED_DATA", "start_column: DATA images what there is")
    for part, start, rows in pieces(ms, ["CORRECTED_DATA"], write=True):
        part.putcol("DATA", part.getcol("CORRECTED_DATA", start, rows), start, rows)
    return {}
