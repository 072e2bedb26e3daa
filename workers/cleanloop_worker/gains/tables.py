"""Statistics of CASA's tables of solutions."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.gains import Entry, antenna_statistics, measure_scatter, median, new_entry
from cleanloop_worker.gains.apply import check_table, keyword
from cleanloop_worker.gains.differences import (
    Band,
    band_of,
    delay_statistics,
    polarisation_difference,
    window_difference,
)
from cleanloop_worker.gains.solve import ANTENNAS_KEYWORD, RECEPTORS_KEYWORD
from cleanloop_worker.ms.tables import opened


def statistics(request: r.TableStatistics) -> dict[str, Any]:
    """Of the tables of one term; see SolutionStats in src/quality/solutions.rs."""
    antennas: dict[str, Entry] = {}
    pooled = new_entry("")
    bands: list[Band] = []
    delays = False
    for index, table in enumerate(request.tables):
        check_table(table)
        part = read_table(table.path)
        delays = part.delays
        bands += add_table(part, index, antennas, pooled)
    entries = list(antennas.values())
    overall = {
        "solutions": pooled["solutions"],
        "flagged_fraction": pooled["flagged"] / max(pooled["solutions"], 1),
        "median_snr": median(pooled["snr"]),
        "phase_scatter_deg": median([v for e in entries for v in e["phase"]]),
        "amplitude_scatter": median([v for e in entries for v in e["amplitude"]]),
    }
    term = {
        **overall,
        "polarisation_difference": None if delays else polarisation_difference(bands),
        "window_difference": None if delays else window_difference(bands),
        "delay_ns": delay_statistics(bands) if delays else None,
    }
    return {**overall, "terms": [term], "antennas": antenna_statistics(entries)}


@dataclass(frozen=True)
class Solutions:
    """A table: gains (or delays, ns), flags and S/N [pol, row]; time, antenna and window [row]. Receptors beyond
    the first few have no data."""

    names: list[str]
    with_data: set[str]
    receptors: int
    delays: bool
    value: np.ndarray
    flag: np.ndarray
    snr: np.ndarray
    time: np.ndarray
    antenna: np.ndarray
    window: np.ndarray


def read_table(path: str) -> Solutions:
    """Reads a table."""
    with opened(os.path.join(path, "ANTENNA")) as tb:
        names = list(tb.getcol("NAME"))
    with opened(path) as tb:
        delays = "CPARAM" not in tb.colnames()
        columns = [tb.getcol(name) for name in ("FPARAM" if delays else "CPARAM", "FLAG", "SNR")]
        time, antenna, window = tb.getcol("TIME"), tb.getcol("ANTENNA1"), tb.getcol("SPECTRAL_WINDOW_ID")
        marked = ANTENNAS_KEYWORD in tb.keywordnames()
        known = int(tb.getkeyword(RECEPTORS_KEYWORD)) if RECEPTORS_KEYWORD in tb.keywordnames() else 0
    with_data = set(keyword(path, ANTENNAS_KEYWORD)) if marked else set(names)
    value, flag, snr = over_channels(*columns)
    receptors = min(known or len(value), len(value))
    return Solutions(names, with_data, receptors, delays, value, flag, snr, time, antenna, window)


def over_channels(value: np.ndarray, flag: np.ndarray, snr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solutions [pol, channel, row] as one for all channels: the mean, the S/N of one channel's median. Flagged where
    more than half of the channels that are good anywhere are flagged."""
    if value.shape[1] == 1:
        return value[:, 0], flag[:, 0], snr[:, 0]
    used = ~flag.all(axis=(0, 2), keepdims=True)
    good = ~flag
    count = good.sum(axis=1)
    mean = np.where(good, value, 0).sum(axis=1) / np.maximum(count, 1)
    middle = np.ma.median(np.ma.array(snr, mask=flag), axis=1).filled(0.0)
    return np.where(count > 0, mean, 1), count < 0.5 * max(int(used.sum()), 1), middle


def add_table(part: Solutions, index: int, antennas: dict[str, Entry], pooled: Entry) -> list[Band]:
    """Adds one table to its antennas and to the pool; returns its bands."""
    for k, name in enumerate(part.names):
        entry = antennas.setdefault(name, new_entry(name))
        # An antenna without any data says nothing about the solve.
        counted = [entry, pooled] if name in part.with_data else [entry]
        for spw in np.unique(part.window):
            rows = np.flatnonzero((part.antenna == k) & (part.window == spw))
            rows = rows[np.argsort(part.time[rows], kind="stable")]
            for pol in range(part.receptors):
                g, bad = part.value[pol, rows], part.flag[pol, rows]
                # gaincal leaves the S/N of delays at 0.
                count(counted, bad, None if part.delays else part.snr[pol, rows])
                if not part.delays and (~bad).any():
                    measure_scatter(g[~bad], entry)
                series = {"polarisation": str(pol), "table": index, "time_s": part.time[rows], "flagged": bad}
                entry["series"].append({**series, **values_of(g, part.delays)})
    return [band(part, int(spw)) for spw in np.unique(part.window)]


def band(part: Solutions, spw: int) -> Band:
    """The solutions of one window."""
    rows = part.window == spw
    of_rows = {
        "value": part.value[:, rows],
        "flag": part.flag[:, rows],
        "snr": part.snr[:, rows],
        "time": part.time[rows],
        "antenna": part.antenna[rows],
    }
    return band_of(of_rows, len(part.names))


def count(entries: list[Entry], flagged: np.ndarray, snr: np.ndarray | None) -> None:
    """Adds the solutions of one series to all these entries."""
    good = [] if snr is None else snr[~flagged].tolist()
    for entry in entries:
        entry["solutions"] += flagged.size
        entry["flagged"] += int(flagged.sum())
        entry["snr"] += good


def values_of(gains: np.ndarray, delays: bool) -> dict[str, Any]:
    """Phase (degrees) and amplitude of gains; of delays, these in ns."""
    if delays:
        nothing = [None] * gains.size
        return {"phase_deg": nothing, "amplitude": nothing, "delay_ns": gains}
    return {"phase_deg": np.rad2deg(np.angle(gains)), "amplitude": np.abs(gains)}
