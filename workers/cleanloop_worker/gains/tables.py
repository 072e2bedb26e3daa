"""Statistics of CASA's tables of solutions."""

import os
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.gains import Entry, antenna_statistics, measure_scatter, median, new_entry
from cleanloop_worker.gains.apply import check_table, keyword
from cleanloop_worker.gains.solve import ANTENNAS_KEYWORD
from cleanloop_worker.ms.tables import opened


def statistics(request: r.TableStatistics) -> dict[str, Any]:
    """See SolutionStats in src/quality/solutions.rs."""
    antennas: dict[str, Entry] = {}
    pooled = new_entry("")
    for index, table in enumerate(request.tables):
        check_table(table)
        read_table(table.path, index, antennas, pooled)
    entries = list(antennas.values())
    return {
        "solutions": pooled["solutions"],
        "flagged_fraction": pooled["flagged"] / max(pooled["solutions"], 1),
        "median_snr": median(pooled["snr"]),
        "phase_scatter_deg": median([v for e in entries for v in e["phase"]]),
        "amplitude_scatter": median([v for e in entries for v in e["amplitude"]]),
        "antennas": antenna_statistics(entries),
    }


def read_table(path: str, index: int, antennas: dict[str, Entry], pooled: Entry) -> None:
    """Adds one table to its antennas and to the pool."""
    with opened(os.path.join(path, "ANTENNA")) as tb:
        names = list(tb.getcol("NAME"))
    with opened(path) as tb:
        delays = "CPARAM" not in tb.colnames()
        gain = tb.getcol("FPARAM" if delays else "CPARAM")[:, 0]
        flag, snr = tb.getcol("FLAG")[:, 0], tb.getcol("SNR")[:, 0]
        time, antenna, window = tb.getcol("TIME"), tb.getcol("ANTENNA1"), tb.getcol("SPECTRAL_WINDOW_ID")
        marked = ANTENNAS_KEYWORD in tb.keywordnames()
    with_data = set(keyword(path, ANTENNAS_KEYWORD)) if marked else set(names)
    for k, name in enumerate(names):
        entry = antennas.setdefault(name, new_entry(name))
        # An antenna without any data says nothing about the solve.
        counted = [entry, pooled] if name in with_data else [entry]
        for spw in np.unique(window):
            rows = np.flatnonzero((antenna == k) & (window == spw))
            rows = rows[np.argsort(time[rows], kind="stable")]
            for pol in range(gain.shape[0]):
                g, bad = gain[pol, rows], flag[pol, rows]
                count(counted, bad, snr[pol, rows])
                if not delays and (~bad).any():
                    measure_scatter(g[~bad], entry)
                series = {"polarisation": str(pol), "table": index, "time_s": time[rows], "flagged": bad}
                entry["series"].append({**series, **values_of(g, delays)})


def count(entries: list[Entry], flagged: np.ndarray, snr: np.ndarray) -> None:
    """Adds the solutions of one series to all these entries."""
    good = [float(s) for s in snr[~flagged]]
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
