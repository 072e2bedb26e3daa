"""applycal, tables that are applied before a solve, and antennas that get identity gains."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.columns import copy_column
from cleanloop_worker.ms.flags import FLAG_VERSION, restore_flags, save_flags
from cleanloop_worker.ms.tables import channel_counts, check_column, opened
from cleanloop_worker.ms.weights import calibrate_weights, restore_weights
from cleanloop_worker.problems import BadInput


@dataclass(frozen=True)
class Call:
    """A selection of channels (empty: all), the tables that are applied to it, and the spwmap of each."""

    spw: str
    tables: list[r.AppliedTable]
    spwmap: list[list[int]]

    def options(self) -> dict[str, Any]:
        """The tables as parameters of gaincal, bandpass and applycal."""
        return {
            "gaintable": [table.path for table in self.tables],
            "spwmap": self.spwmap,
            "interp": [table.interp for table in self.tables],
        }


def applycal(request: r.Applycal) -> None:
    """Applies all tables from DATA to CORRECTED_DATA; none: CORRECTED_DATA becomes a copy of DATA.

    Flags always start from those that the measurement set had before the first calibration that set any.
    """
    ms, tables, mode = request.ms, request.tables, request.applymode
    check_column(ms, "DATA", "solutions are applied to raw data")
    for table in tables:
        check_table(table)
    if mode != "calonly" and tables:
        save_flags(ms, FLAG_VERSION)
    if os.path.isdir(f"{ms}.flagversions"):
        restore_flags(ms, FLAG_VERSION, missing_ok=True)
    calls = calls_for(tables, channel_counts(ms)) if tables else []
    if not tables or any(call.spw for call in calls):
        # Channels that no table covers keep their raw values.
        copy_column(ms, "DATA", "CORRECTED_DATA")
    for call in calls:
        apply_once(request, call)
    if any(table.calwt for table in tables):
        calibrate_weights(ms)
    else:
        restore_weights(ms)


def check_table(table: r.GainTable | r.AppliedTable) -> None:
    """Refuses a table that is not there."""
    if not os.path.isdir(table.path):
        raise BadInput(f"{table.path}: no such table of solutions")


def keyword(table: str, name: str) -> list[str]:
    """The strings of a table's keyword; none if it has no such keyword."""
    with opened(table) as tb:
        return [str(value) for value in tb.getkeyword(name)] if name in tb.keywordnames() else []


def apply_once(request: r.Applycal, call: Call) -> None:
    """Runs applycal. Weights are calibrated afterwards: applycal would take them from SIGMA, which need not agree."""
    from casatasks import applycal as task

    task(
        vis=request.ms,
        spw=call.spw,
        applymode=request.applymode,
        calwt=False,
        parang=False,
        flagbackup=False,
        **call.options(),
    )


def identity_gains(request: r.IdentityGains) -> None:
    """Gives these antennas gains of 1 (delays of 0), with an S/N of 0: the table leaves their data as they are, and
    others still apply to them. They are not flagged: a later solve would lose their data."""
    for table in request.tables:
        with opened(os.path.join(table.path, "ANTENNA")) as tb:
            numbers = [k for k, name in enumerate(tb.getcol("NAME")) if name in request.antennas]
        with opened(table.path, write=True) as tb:
            rows = np.isin(tb.getcol("ANTENNA1"), numbers)
            gains, unity = ("CPARAM", 1.0) if "CPARAM" in tb.colnames() else ("FPARAM", 0.0)
            for column, value in ((gains, unity), ("FLAG", False), ("SNR", 0.0)):
                values = tb.getcol(column)
                values[..., rows] = value
                tb.putcol(column, values)


def calls_for(tables: list[r.AppliedTable], channels: list[int]) -> list[Call]:
    """One call of applycal for each channel range over which the same tables apply; `channels` of each window."""
    if all(table.channels is None for table in tables):
        return [call_of("", tables, len(channels))]
    calls = []
    for window, length in enumerate(channels):
        mine = [table for table in tables if table.spectral_window in (None, window)]
        for first, last, covering in covered(mine, length):
            calls.append(call_of(f"{window}:{first}~{last}", covering, len(channels)))
    return calls


def covered(tables: list[r.AppliedTable], length: int) -> list[tuple[int, int, list[r.AppliedTable]]]:
    """First and last channel of each range of a window that the same tables cover, and these tables."""
    limits = [(0, length - 1) if table.channels is None else tuple(table.channels) for table in tables]
    edges = sorted({0, length} | {first for first, _ in limits} | {last + 1 for _, last in limits})
    ranges = []
    for first, end in zip(edges, edges[1:], strict=False):
        both = zip(tables, limits, strict=True)
        covering = [table for table, (low, high) in both if low <= first and end - 1 <= high]
        if covering:
            ranges.append((first, end - 1, covering))
    return ranges


def call_of(spw: str, tables: list[r.AppliedTable], windows: int) -> Call:
    """A call with these tables."""
    return Call(spw, tables, [spwmap(table, windows) for table in tables])


def spwmap(table: r.GainTable | r.AppliedTable, windows: int) -> list[int]:
    """The spwmap of a table: one that was solved across windows holds a single one, which serves them all."""
    if table.spectral_window is not None:
        return []
    with opened(table.path) as tb:
        held = np.unique(tb.getcol("SPECTRAL_WINDOW_ID"))
    return [int(held[0])] * windows if held.size == 1 and windows > 1 else []


def spectral_window_maps(request: r.SpectralWindowMaps) -> list[list[int]]:
    """The spwmap of each table, for other data with the windows of the data that it was solved on."""
    maps = []
    for table in request.tables:
        with opened(os.path.join(table.path, "SPECTRAL_WINDOW")) as tb:
            windows = tb.nrows()
        maps.append(spwmap(table, windows))
    return maps
