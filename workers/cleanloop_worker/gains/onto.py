"""Tables of a copy (one field, some windows and channels, averaged) on the data that it was made from."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.gains.apply import Call, check_table, covered
from cleanloop_worker.ms.columns import add_column
from cleanloop_worker.ms.flags import save_flags
from cleanloop_worker.ms.tables import channel_counts, check_column, opened, pieces
from cleanloop_worker.problems import BadInput

BEFORE = "before_cleanloop_apply"  # flags as they were before tables were applied that set some


@dataclass(frozen=True)
class Window:
    """A window of the copy: its number in the original, first and last channel, and channels of a bin."""

    number: int
    first: int
    last: int
    bin: int

    def channels(self) -> int:
        """Channels in the copy; those that do not fill a bin are left out of it."""
        used = self.last + 1 - self.first
        return used // self.bin if used >= self.bin else 1


def apply_onto(request: r.ApplyOnto) -> list[int]:
    """Applies tables from DATA to CORRECTED_DATA of the data that the copy was made from; returns the windows that the
    tables say nothing about. Only rows of the field are written; what no table covers becomes a copy of DATA."""
    from casatasks import applycal

    ms, field = request.ms, request.field
    check_column(ms, "DATA", "solutions are applied to raw data")
    for table in request.tables:
        check_table(table)
        check_antennas(ms, table.path)
    if request.applymode != "calonly":
        save_flags(ms, BEFORE)
    lengths = channel_counts(ms)
    windows = [Window(number, first, last, request.bin) for number, first, last in request.windows]
    calls = calls_onto(
        request.tables, windows or [Window(k, 0, n - 1, request.bin) for k, n in enumerate(lengths)], lengths
    )
    copy_rows(ms, None if add_column(ms, "CORRECTED_DATA") else field)
    for call in calls:
        applycal(
            vis=ms,
            field="" if field is None else str(field),
            spw=call.spw,
            applymode=request.applymode,
            calwt=[table.calwt for table in call.tables],
            parang=False,
            flagbackup=False,
            **call.options(),
        )
    return unserved(calls, lengths)


def check_antennas(ms: str, table: str) -> None:
    """Refuses tables of other antennas: solutions go by their numbers."""
    names = []
    for path in (ms, table):
        with opened(os.path.join(path, "ANTENNA")) as tb:
            names.append(list(tb.getcol("NAME")))
    if names[0] != names[1]:
        raise BadInput(
            f"{ms}: its antennas ({', '.join(names[0])}) are not those that were solved for ({', '.join(names[1])})"
        )


def copy_rows(ms: str, field: int | None) -> None:
    """Makes CORRECTED_DATA a copy of DATA, in the rows of a field."""
    for tb, start, rows in pieces(ms, "DATA", write=True, where="" if field is None else f"FIELD_ID=={field}"):
        tb.putcol("CORRECTED_DATA", tb.getcol("DATA", start, rows), start, rows)


def calls_onto(tables: list[r.AppliedTable], windows: list[Window], lengths: list[int]) -> list[Call]:
    """The calls of applycal; `windows` of the copy in its order, `lengths` channels of each window of the original."""
    if not tables:
        return []
    maps = [window_map(table, windows, len(lengths)) for table in tables]
    if all(table.channels is None for table in tables):
        served = [k for k in range(len(lengths)) if all(one[k] is not None for one in maps)]
        spw = "" if len(served) == len(lengths) else ",".join(str(k) for k in served)
        return [Call(spw, tables, [numbers(one) for one in maps])] if served else []
    calls = []
    for place, window in enumerate(windows):
        mine = [k for k, table in enumerate(tables) if table.spectral_window in (None, place)]
        ranges = covered([tables[k] for k in mine], window.channels())
        for first, last, covering in ranges:
            low = 0 if first == 0 else window.first + first * window.bin
            end = last + 1 == window.channels()
            high = lengths[window.number] - 1 if end else window.first + (last + 1) * window.bin - 1
            chosen = [k for k in mine if any(tables[k] is one for one in covering)]
            calls.append(Call(f"{window.number}:{low}~{high}", covering, [numbers(maps[k]) for k in chosen]))
    return calls


def window_map(table: r.AppliedTable, windows: list[Window], count: int) -> list[int | None]:
    """For each window of the original, the window of the table that serves it; None: no window does. Solutions of
    several windows together serve all of them."""
    held = held_windows(table.path)
    if table.spectral_window is None and len(held) == 1 and len(windows) > 1:
        return [held[0]] * count
    places: list[int | None] = [None] * count
    for place, window in enumerate(windows):
        if place in held:
            places[window.number] = place
    return places


def held_windows(path: str) -> list[int]:
    """The windows that a table has solutions of."""
    with opened(path) as tb:
        return [int(k) for k in np.unique(tb.getcol("SPECTRAL_WINDOW_ID"))]


def numbers(places: list[int | None]) -> list[int]:
    """A map as CASA takes it: empty where each window keeps its own solutions. Windows that are not served are not
    selected, and must name a window that the table has."""
    if all(place == window for window, place in enumerate(places)):
        return []
    some = next(place for place in places if place is not None)
    return [some if place is None else place for place in places]


def unserved(calls: list[Call], lengths: list[int]) -> list[int]:
    """Windows that no call names."""
    if any(call.spw == "" for call in calls):
        return []
    named: set[Any] = {int(word.split(":")[0]) for call in calls for word in call.spw.split(",")}
    return [k for k in range(len(lengths)) if k not in named]
