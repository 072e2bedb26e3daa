"""Parts of measurement sets: a field, windows and channels, averaged in time and frequency."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check_column, opened, pieces
from cleanloop_worker.problems import BadInput

LIGHT_M_S = 299_792_458.0
EARTH_RAD_S = 7.292_115e-5  # rotation of the Earth
COLUMNS = {"DATA": "data", "CORRECTED_DATA": "corrected"}  # mstransform's names


def split(request: r.Split) -> None:
    """Copies a part of a measurement set, averaged; the column that is read becomes DATA.

    Fields, windows and data descriptions are numbered anew, antennas are not.
    """
    from casatasks import mstransform

    ms, output = request.ms, request.output
    check_column(ms, request.column, "name one of these")
    averaging: dict[str, Any] = {}
    if request.time_s is not None:
        averaging |= {"timeaverage": True, "timebin": f"{request.time_s}s"}
    if request.channels > 1:
        averaging |= {"chanaverage": True, "chanbin": request.channels}
    with with_subtables(ms, os.path.dirname(output)) as source:
        try:
            mstransform(
                vis=source,
                outputvis=output,
                datacolumn=COLUMNS[request.column],
                field=",".join(str(number) for number in request.fields),
                spw=request.spw,
                **averaging,
            )
        except RuntimeError as problem:
            if "NullSelection" in str(problem):
                raise BadInput(f"{ms}: the selection leaves no data ({words(request)})") from None
            raise
    with opened(output) as tb:
        if tb.nrows() == 0:
            raise BadInput(f"{ms}: the selection leaves no data ({words(request)})")


def words(request: r.Split) -> str:
    """The selection, for messages."""
    return f"fields {request.fields or 'all'}, spw {request.spw!r}"


@contextmanager
def with_subtables(ms: str, folder: str) -> Iterator[str]:
    """The measurement set as mstransform takes it: subtables that its keywords name and that are not there (archives
    leave out ALMA's ASDM tables) are empty tables, in a folder of links. The measurement set is not touched."""
    from casatools import table

    with opened(ms) as tb:
        keywords = [tb.getkeyword(name) for name in tb.keywordnames()]
    named = [str(value)[7:] for value in keywords if str(value).startswith("Table: ")]
    missing = [path for path in named if os.path.dirname(path) == os.path.abspath(ms) and not os.path.isdir(path)]
    if not missing:
        yield ms
        return
    with tempfile.TemporaryDirectory(dir=folder) as links:
        for name in os.listdir(ms):
            os.symlink(os.path.join(os.path.abspath(ms), name), os.path.join(links, name))
        for path in missing:
            tb = table()
            tb.create(os.path.join(links, os.path.basename(path)), {})
            tb.close()
        yield links


def smearing(request: r.Smearing) -> float:
    """Part of a point source's flux that averaging takes away at a distance from the phase centre.

    A bin in frequency of width B multiplies a visibility by sinc(B tau), where tau is the delay u l / c of the source
    on the baseline; a bin in time of length T by sinc(f T d tau / d t), with the Earth's rotation. The image's peak
    loses the mean over the visibilities. The source stands where the longer side of the array sees it, in x or in y.
    """
    ms, radius = request.ms, request.radius_rad
    declination = phase_centre_declination(ms, request.field)
    lost = []
    for tb, start, rows in pieces(ms, "UVW"):
        field, cross = tb.getcol("FIELD_ID", start, rows), tb.getcol("ANTENNA1", start, rows)
        wanted = cross != tb.getcol("ANTENNA2", start, rows)
        if request.field is not None:
            wanted &= field == request.field
        u, v, w = tb.getcol("UVW", start, rows)[:, wanted]
        speed = EARTH_RAD_S * np.array([w * np.cos(declination) - v * np.sin(declination), u * np.sin(declination)])
        delay, rate = radius * np.array([u, v]) / LIGHT_M_S, radius * speed / LIGHT_M_S
        kept = np.sinc(request.bandwidth_hz * delay) * np.sinc(request.frequency_hz * request.time_s * rate)
        lost.append(1 - kept[:, np.isfinite(kept).all(axis=0)])
    all_lost = np.concatenate(lost, axis=1) if lost else np.zeros((2, 0))
    return float(all_lost.mean(axis=1).max()) if all_lost.size else 0.0


def phase_centre_declination(ms: str, field: int | None) -> float:
    """Declination of a field's phase centre, rad; without a number, that of the first field with data."""
    if field is None:
        with opened(ms) as tb:
            field = int(tb.getcol("FIELD_ID").min())
    with opened(os.path.join(ms, "FIELD")) as tb:
        return float(tb.getcell("PHASE_DIR", field)[1, 0])
