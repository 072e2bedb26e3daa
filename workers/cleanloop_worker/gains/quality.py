"""The worth of gains of a calibrator other than CASA, measured on the data that they were solved from.

The S/N of a gain is that of the least-squares solution: sqrt(sum of w |model|^2) over the noise, where the noise of an
antenna is that of DATA minus the corrupted model, the median over its baselines, so that one antenna of noise does not
spoil the others.
"""

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.gains import Entry, antenna_statistics, measure_scatter, median, new_entry
from cleanloop_worker.gains.differences import Band, delay_statistics, polarisation_difference, window_difference
from cleanloop_worker.gains.tables import values_of
from cleanloop_worker.ms.tables import PIECE_VALUES, opened

FIELDS = ("gain", "time", "frequency", "flag", "cell_time", "cell_frequency", "delay_ns")
AMPLITUDES = ("amplitude", "complex", "diag_complex")  # types whose gains carry a scale
MOST_SERIES = 8  # a term with at most this many frequencies gets a curve for each

Part = dict[str, Any]  # one term on one part of the data: see `export` in quartical_gains.py


def gain_statistics(request: r.GainStatistics) -> list[dict[str, Any]]:
    """Statistics of each solve as SolutionStats in src/quality/solutions.rs; flags and scales go to `edits`."""
    parts = read_gains(request.gains)
    names = parts[0]["antennas"]
    with_data = np.zeros(len(names), bool)
    for number in sorted({part["number"] for part in parts}):
        with_data |= signal_to_noise(request.ms, [p for p in parts if p["number"] == number], len(names))
    changes: dict[str, Any] = {}
    found = []
    for term in request.terms:
        mine = [part for part in parts if part["term"] in term.names]
        changes.update(edits_of(mine, term))
        found.append(summary(mine, names, with_data))
    np.savez(request.edits, **changes)
    return found


def edits_of(parts: list[Part], term: r.GainTerm) -> dict[str, np.ndarray]:
    """Flags of a low S/N, which the parts get, too, and scales of amplitudes."""
    changes = {}
    if term.minsnr > 0:
        for part in parts:
            low = (part["snr"] < term.minsnr).any(axis=-1)
            part["flag"] = part["flag"] | low
            changes[part["key"] + ".flag"] = low
    if term.normalise:
        changes.update(scales(parts, term.normalise))
    return changes


def read_gains(path: str) -> list[Part]:
    """The parts in a file that quartical_gains.py exported."""
    stored = np.load(path)
    parts = json.loads(str(stored["about"]))
    for part in parts:
        part.update({name: stored[f"{part['key']}.{name}"] for name in FIELDS if f"{part['key']}.{name}" in stored})
    return parts


def signal_to_noise(ms: str, chain: list[Part], antennas: int) -> np.ndarray:
    """Gives each term of one part of the data its `snr` [time, frequency, antenna, correlation], on the cells of its
    solve. Returns which antennas have data."""
    products = chain[0]["gain"].shape[-1]
    for part in chain:
        part["snr"] = np.zeros((part["cell_time"].size, part["cell_frequency"].size, antennas, products))
    residual, count = np.zeros((antennas, antennas, products)), np.zeros((antennas, antennas, products))
    frequencies = frequencies_of(ms, chain[0])
    for column in pieces_of(ms, chain[0]):
        first, second, time = column("ANTENNA1"), column("ANTENNA2"), column("TIME")
        data, model, weight, use = visibilities(column, products)
        corrupted = model * net(chain, time, frequencies, first) * np.conj(net(chain, time, frequencies, second))
        power = np.where(use, weight * np.abs(corrupted) ** 2, 0)
        misfit = np.where(use, weight * np.abs(data - corrupted) ** 2, 0).sum(axis=1)
        for term in chain:
            add_power(term, time, frequencies, (first, second), power)
        for pair in ((first, second), (second, first)):
            np.add.at(residual, pair, misfit)
            np.add.at(count, pair, use.sum(axis=1))
    noise = antenna_noise(residual, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        for term in chain:
            term["snr"] = np.nan_to_num(np.sqrt(term["snr"]) / noise, nan=0.0, posinf=0.0)
    return np.asarray(count.any(axis=(1, 2)))


def frequencies_of(ms: str, part: Part) -> np.ndarray:
    """Channel frequencies of a part of the data, Hz."""
    with opened(f"{ms}/DATA_DESCRIPTION") as tb:
        windows = tb.getcol("SPECTRAL_WINDOW_ID")
    with opened(f"{ms}/SPECTRAL_WINDOW") as tb:
        return tb.getcell("CHAN_FREQ", int(windows[part.get("DATA_DESC_ID", 0)]))


def pieces_of(ms: str, about: Part) -> Iterator[Callable[[str], np.ndarray]]:
    """Yields, for each piece of the rows of a part of the data, a function that reads a column of it."""
    keys = [k for k in ("SCAN_NUMBER", "FIELD_ID", "DATA_DESC_ID") if k in about]
    query = " && ".join(f"{k}=={about[k]}" for k in keys) or "DATA_DESC_ID>=0"
    with opened(ms) as tb:
        part = tb.query(query)
        try:
            rows = part.nrows()
            step = max(1, PIECE_VALUES // max(1, part.getcell("DATA", 0).size if rows else 1))
            for start in range(0, rows, step):
                size = min(step, rows - start)
                yield functools.partial(part.getcol, startrow=start, nrow=size)
        finally:
            part.close()


def visibilities(column: Callable[[str], np.ndarray], products: int) -> tuple[np.ndarray, ...]:
    """Data, model, weights and which are of use, of the parallel hands: [row, channel, correlation]."""
    first, second = column("ANTENNA1"), column("ANTENNA2")
    data, model = column("DATA").T, column("MODEL_DATA").T
    weight, flag = column("WEIGHT").T[:, None, :], column("FLAG").T | column("FLAG_ROW")[:, None, None]
    diagonal = [0, data.shape[-1] - 1][:products] if products > 1 else [0]
    data, model, weight, flag = (a[..., diagonal] for a in (data, model, weight, flag))
    return data, model, weight, ~flag & (first != second)[:, None, None] & np.isfinite(data)


def antenna_noise(residual: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Noise of each antenna and correlation: the median over its baselines."""
    with np.errstate(invalid="ignore", divide="ignore"):
        # Two numbers a visibility, real and imaginary part.
        of_baseline = np.where(count > 0, residual / (2 * count), np.nan)
        return np.sqrt(np.nanmedian(np.where(count.any(axis=1, keepdims=True), of_baseline, 0), axis=1))


def add_power(
    term: Part, time: np.ndarray, frequencies: np.ndarray, pair: tuple[np.ndarray, np.ndarray], power: np.ndarray
) -> None:
    """Adds the power [row, channel, correlation] of both antennas of each row to the term's cells."""
    when, where = closest(term["cell_time"], time), closest(term["cell_frequency"], frequencies)
    for cell in np.unique(where):
        inside = power[:, where == cell].sum(axis=1)
        for antenna in pair:
            np.add.at(term["snr"], (when, cell, antenna), inside)


def closest(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Index of the grid's point nearest to each value; the grid ascends."""
    right = np.clip(np.searchsorted(grid, values), 0, grid.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(grid[left] - values) <= np.abs(grid[right] - values), left, right)


def net(chain: list[Part], time: np.ndarray, frequencies: np.ndarray, antenna: np.ndarray) -> Any:
    """Product of all terms at each row and channel: [row, channel, correlation]."""
    total: Any = 1
    for part in chain:
        at = closest(part["time"], time)[:, None], closest(part["frequency"], frequencies)[None, :]
        total = total * part["gain"][at[0], at[1], antenna[:, None]]
    return total


def scales(parts: list[Part], how: str) -> dict[str, np.ndarray]:
    """The mean (or median) amplitude of each term and data description, by correlation."""
    found = {}
    for part in (p for p in parts if p["type"] in AMPLITUDES):
        same = [p for p in parts if group_of(p) == group_of(part)]
        good = np.concatenate([np.abs(p["gain"][~p["flag"]]) for p in same])
        if good.size:
            scale = (np.median if how == "median" else np.mean)(good, axis=0)
            found[part["key"] + ".scale"] = np.where(scale > 0, scale, 1.0)
    return found


def summary(parts: list[Part], names: list[str], with_data: np.ndarray) -> dict[str, Any]:
    """The statistics of all parts."""
    entries = [new_entry(name) for name in names]
    for part in parts:
        products = part["snr"].shape[-1]
        for k, entry in enumerate(entries):
            bad = part["flag"][:, :, k]
            entry["solutions"] += products * bad.size
            entry["flagged"] += products * int(bad.sum())
            entry["snr"] += part["snr"][:, :, k][~bad].ravel().tolist()
    add_series(parts, entries)
    # An antenna without any data says nothing about the solve.
    pooled = [entry for entry, has_data in zip(entries, with_data, strict=True) if has_data]
    solutions = sum(entry["solutions"] for entry in pooled)
    overall = {
        "solutions": solutions,
        "flagged_fraction": sum(entry["flagged"] for entry in pooled) / max(solutions, 1),
        "median_snr": median([v for entry in pooled for v in entry["snr"]]),
        "phase_scatter_deg": median([v for entry in entries for v in entry["phase"]]),
        "amplitude_scatter": median([v for entry in entries for v in entry["amplitude"]]),
    }
    # Where a solve has several terms of QuartiCal, the last of its gains stands for it.
    gains = [group for group in groups(parts) if "delay_ns" not in group[0]]
    gains = [group for group in gains if group[0]["term"] == gains[-1][0]["term"]]
    delays = [group for group in groups(parts) if "delay_ns" in group[0]]
    bands = [band_of_group(group) for group in gains]
    term = {
        **overall,
        "polarisation_difference": polarisation_difference(bands),
        "window_difference": window_difference(bands),
        "delay_ns": delay_statistics([band_of_group(group) for group in delays]),
    }
    return {**overall, "terms": [term], "antennas": antenna_statistics(entries)}


def band_of_group(group: list[Part]) -> Band:
    """The solutions of one term and data description in the middle of its frequencies."""

    def middle(name: str) -> np.ndarray:
        return np.concatenate([part[name][:, part[name].shape[1] // 2] for part in group])

    name = "delay_ns" if "delay_ns" in group[0] else "gain"
    value, snr = np.moveaxis(middle(name), -1, 0), np.moveaxis(middle("snr"), -1, 0)
    good = np.broadcast_to(~middle("flag"), value.shape)
    return Band(np.concatenate([part["cell_time"] for part in group]), value, good, snr)


def add_series(parts: list[Part], entries: list[Entry]) -> None:
    """Gives each antenna its curves against time."""
    table = 0
    for group in groups(parts):
        cells = group[0]["cell_frequency"].size
        for cell in range(cells) if cells <= MOST_SERIES else [cells // 2]:
            for antenna, entry in enumerate(entries):
                entry["series"] += curves(group, cell, antenna, table, entry)
            table += 1


def group_of(part: Part) -> tuple[str, int | None]:
    """The term and the data description of a part."""
    return part["term"], part.get("DATA_DESC_ID")


def groups(parts: list[Part]) -> list[list[Part]]:
    """Parts of one term and one data description, which follow each other in time."""
    found: dict[tuple[str, int | None], list[Part]] = {}
    for part in parts:
        found.setdefault(group_of(part), []).append(part)
    return list(found.values())


def curves(group: list[Part], cell: int, antenna: int, table: int, entry: Entry) -> list[dict[str, Any]]:
    """Solutions of one antenna in one range of frequencies against time, a series a polarisation."""

    def joined(name: str, *last: int) -> np.ndarray:
        return np.concatenate([p[name][(slice(None), min(cell, p[name].shape[1] - 1), antenna, *last)] for p in group])

    series = []
    time, bad = np.concatenate([part["cell_time"] for part in group]), joined("flag")
    delays = "delay_ns" in group[0]
    for p, correlation in enumerate(group[0]["correlations"]):
        values = joined("delay_ns" if delays else "gain", p)
        if not delays and (~bad).any():
            measure_scatter(values[~bad], entry)
        one = {"polarisation": correlation[:1], "table": table, "time_s": time, "flagged": bad}
        series.append({**one, **values_of(values, delays)})
    return series
