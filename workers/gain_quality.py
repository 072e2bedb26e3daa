"""What gains of a calibrator other than CASA are worth, measured on the data that they were solved from.

The S/N of a gain is what the least-squares solution has: sqrt(sum of w |model|^2) over the noise, where the noise of an
antenna is that of DATA minus the corrupted model, the median over its baselines, so that one antenna of noise does not
spoil the others.
"""

import json

import numpy as np

import measurement_set as mset
from calibration import measure_scatter
from measurement_set import opened

FIELDS = ("gain", "time", "frequency", "flag", "cell_time", "cell_frequency", "delay_ns")
AMPLITUDES = ("amplitude", "complex", "diag_complex")  # types whose gains carry a scale
MOST_SERIES = 8  # frequencies of one term that get a curve of their own


def gain_statistics(ms, gains, edits, minsnr=0.0, normalise=None):
    """Statistics as SolutionStats in src/quality/solutions.rs; flags of a low S/N and scales go to the file `edits`."""
    stored = np.load(gains)
    about = json.loads(str(stored["about"]))
    for part in about:
        part.update({name: stored[f"{part['key']}.{name}"] for name in FIELDS if f"{part['key']}.{name}" in stored})
    names = about[0]["antennas"]
    with_data = np.zeros(len(names), bool)
    for number in sorted({part["number"] for part in about}):
        has_data = signal_to_noise(ms, [p for p in about if p["number"] == number], len(names))
        with_data |= has_data
    changes = {}
    for part in about:
        if minsnr > 0:
            low = (part["snr"] < minsnr).any(axis=-1)
            part["flag"] = part["flag"] | low
            changes[part["key"] + ".flag"] = low
    if normalise:
        changes.update(scales(about, normalise))
    np.savez(edits, **changes)
    return summary(about, names, with_data)


def signal_to_noise(ms, chain, antennas):
    """Gives each term of one part of the data its `snr` [time, frequency, antenna, correlation], on the cells of its
    solve. Returns which antennas have data."""
    first_term = chain[0]
    products = first_term["gain"].shape[-1]
    for part in chain:
        part["snr"] = np.zeros((part["cell_time"].size, part["cell_frequency"].size, antennas, products))
    residual, count = np.zeros((antennas, antennas, products)), np.zeros((antennas, antennas, products))
    keys = [k for k in ("SCAN_NUMBER", "FIELD_ID", "DATA_DESC_ID") if k in first_term]
    query = " && ".join(f"{k}=={first_term[k]}" for k in keys) or "DATA_DESC_ID>=0"
    with opened(f"{ms}/DATA_DESCRIPTION") as tb:
        windows = tb.getcol("SPECTRAL_WINDOW_ID")
    with opened(f"{ms}/SPECTRAL_WINDOW") as tb:
        frequencies = tb.getcell("CHAN_FREQ", int(windows[first_term.get("DATA_DESC_ID", 0)]))
    with opened(ms) as tb:
        part = tb.query(query)
        try:
            rows = part.nrows()
            step = max(1, mset.PIECE_VALUES // max(1, part.getcell("DATA", 0).size if rows else 1))
            for start in range(0, rows, step):
                column = lambda name: part.getcol(name, start, min(step, rows - start))
                first, second, time = column("ANTENNA1"), column("ANTENNA2"), column("TIME")
                data, model = column("DATA").T, column("MODEL_DATA").T
                weight, flag = column("WEIGHT").T[:, None, :], column("FLAG").T | column("FLAG_ROW")[:, None, None]
                diagonal = [0, data.shape[-1] - 1][:products] if products > 1 else [0]
                data, model, weight, flag = (a[..., diagonal] for a in (data, model, weight, flag))
                use = ~flag & (first != second)[:, None, None] & np.isfinite(data)
                corrupted = model * net(chain, time, frequencies, first) * np.conj(net(chain, time, frequencies, second))
                power = np.where(use, weight * np.abs(corrupted) ** 2, 0)
                misfit = np.where(use, weight * np.abs(data - corrupted) ** 2, 0).sum(axis=1)
                for term in chain:
                    add_power(term, time, frequencies, (first, second), power)
                for pair in ((first, second), (second, first)):
                    np.add.at(residual, pair, misfit)
                    np.add.at(count, pair, use.sum(axis=1))
        finally:
            part.close()
    with np.errstate(invalid="ignore", divide="ignore"):
        # Two numbers a visibility, real and imaginary part.
        of_baseline = np.where(count > 0, residual / (2 * count), np.nan)
        noise = np.sqrt(np.nanmedian(np.where(count.any(axis=1, keepdims=True), of_baseline, 0), axis=1))
        for term in chain:
            term["snr"] = np.nan_to_num(np.sqrt(term["snr"]) / noise, nan=0.0, posinf=0.0)
    return count.any(axis=(1, 2))


def add_power(term, time, frequencies, pair, power):
    """Adds the power [row, channel, correlation] of both antennas of each row to the term's cells."""
    when, where = closest(term["cell_time"], time), closest(term["cell_frequency"], frequencies)
    for cell in np.unique(where):
        inside = power[:, where == cell].sum(axis=1)
        for antenna in pair:
            np.add.at(term["snr"], (when, cell, antenna), inside)


def closest(grid, values):
    """Index of the grid's point nearest to each value; the grid ascends."""
    right = np.clip(np.searchsorted(grid, values), 0, grid.size - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(grid[left] - values) <= np.abs(grid[right] - values), left, right)


def net(chain, time, frequencies, antenna):
    """Product of all terms at each row and channel: [row, channel, correlation]."""
    total = 1
    for part in chain:
        at = closest(part["time"], time)[:, None], closest(part["frequency"], frequencies)[None, :]
        total = total * part["gain"][at[0], at[1], antenna[:, None]]
    return total


def scales(about, how):
    """The mean (or median) amplitude of each term and data description, by correlation."""
    found = {}
    for part in (p for p in about if p["type"] in AMPLITUDES):
        same = [p for p in about if (p["term"], p.get("DATA_DESC_ID")) == (part["term"], part.get("DATA_DESC_ID"))]
        good = np.concatenate([np.abs(p["gain"][~p["flag"]]) for p in same])
        if good.size:
            scale = (np.median if how == "median" else np.mean)(good, axis=0)
            found[part["key"] + ".scale"] = np.where(scale > 0, scale, 1.0)
    return found


def summary(about, names, with_data):
    entries = [{"name": n, "solutions": 0, "flagged": 0, "snr": [], "series": [], "phase": [], "amplitude": []}
               for n in names]
    for part in about:
        products = part["snr"].shape[-1]
        for k, entry in enumerate(entries):
            bad = part["flag"][:, :, k]
            entry["solutions"] += products * bad.size
            entry["flagged"] += products * int(bad.sum())
            entry["snr"] += part["snr"][:, :, k][~bad].ravel().tolist()
    table = 0
    for group in groups(about):
        cells = group[0]["cell_frequency"].size
        for f in range(cells) if cells <= MOST_SERIES else [cells // 2]:
            for k, entry in enumerate(entries):
                entry["series"] += curves(group, f, k, table, entry)
            table += 1
    # An antenna without any data says nothing about the solve.
    pooled = [e for e, has_data in zip(entries, with_data) if has_data]
    median = lambda values: float(np.median(values)) if len(values) else None
    total = lambda of, key: sum(e[key] for e in of)
    antennas = [{"name": e["name"], "flagged_fraction": e["flagged"] / max(e["solutions"], 1),
                 "median_snr": median(e["snr"]), "series": e["series"]} for e in entries]
    spread = lambda key: median([v for e in entries for v in e[key]])
    solutions = total(pooled, "solutions")
    return {"solutions": solutions, "flagged_fraction": total(pooled, "flagged") / max(solutions, 1),
            "median_snr": median([v for e in pooled for v in e["snr"]]), "phase_scatter_deg": spread("phase"),
            "amplitude_scatter": spread("amplitude"), "antennas": antennas}


def groups(about):
    """Parts of one term and one data description, which follow each other in time."""
    found = {}
    for part in about:
        found.setdefault((part["term"], part.get("DATA_DESC_ID")), []).append(part)
    return found.values()


def curves(group, cell, antenna, table, entry):
    """Solutions of one antenna in one range of frequencies against time, a series a polarisation."""
    series = []
    join = lambda of: np.concatenate([of(part) for part in group])
    time, bad = join(lambda p: p["cell_time"]), join(lambda p: p["flag"][:, min(cell, p["flag"].shape[1] - 1), antenna])
    for p, correlation in enumerate(group[0]["correlations"]):
        take = lambda name: join(lambda part: part[name][:, min(cell, part[name].shape[1] - 1), antenna, p])
        one = {"polarisation": correlation[:1], "table": table, "time_s": time, "flagged": bad}
        if "delay_ns" in group[0]:
            nothing = [None] * time.size
            one.update(phase_deg=nothing, amplitude=nothing, delay_ns=take("delay_ns"))
        else:
            gain = take("gain")
            if (~bad).any():
                measure_scatter(gain[~bad], entry)
            one.update(phase_deg=np.rad2deg(np.angle(gain)), amplitude=np.abs(gain))
        series.append(one)
    return series
