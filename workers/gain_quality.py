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

MOST_SERIES = 8  # frequencies of one term that get a curve of their own


def gain_statistics(ms, gains, edits, minsnr=0.0, normalise=None):
    """Statistics as SolutionStats in src/quality/solutions.rs; flags of a low S/N and scales go to the file `edits`."""
    stored = np.load(gains)
    about = json.loads(str(stored["about"]))
    terms = {}
    for part in about:
        part["gain"], part["flag"] = stored[part["key"] + ".gain"], stored[part["key"] + ".flag"].copy()
        part["time"], part["frequency"] = stored[part["key"] + ".time"], stored[part["key"] + ".frequency"]
        terms.setdefault(part["term"], []).append(part)
    numbers = sorted({part["number"] for part in about})
    names = about[0]["antennas"]
    snr, with_data = {}, np.zeros(len(names), bool)
    for number in numbers:
        chain = [p for p in about if p["number"] == number]
        # The finest grid of times is the one that S/N and flags belong to.
        finest = max(chain, key=lambda p: p["time"].size)
        snr[finest["key"]], has_data = signal_to_noise(ms, chain, finest, len(names))
        with_data |= has_data
    changes = {}
    for part in about:
        if part["key"] in snr and minsnr > 0:
            low = (snr[part["key"]] < minsnr).any(axis=-1)[:, None, :]
            part["flag"] |= low
            changes[part["key"] + ".flag"] = np.broadcast_to(low, part["flag"].shape)
    if normalise:
        changes.update(scales(about, normalise))
    np.savez(edits, **changes)
    return summary(terms, snr, names, with_data)


def signal_to_noise(ms, chain, finest, antennas):
    """[time, antenna, correlation] of one part of the data, and which antennas have any."""
    products = finest["gain"].shape[-1]
    signal = np.zeros((finest["time"].size, antennas, products))
    residual, count = np.zeros((antennas, antennas, products)), np.zeros((antennas, antennas, products))
    keys = [k for k in ("SCAN_NUMBER", "FIELD_ID", "DATA_DESC_ID") if k in finest]
    query = " && ".join(f"{k}=={finest[k]}" for k in keys) or "DATA_DESC_ID>=0"
    with opened(f"{ms}/DATA_DESCRIPTION") as tb:
        windows = tb.getcol("SPECTRAL_WINDOW_ID")
    with opened(f"{ms}/SPECTRAL_WINDOW") as tb:
        frequencies = tb.getcell("CHAN_FREQ", int(windows[finest.get("DATA_DESC_ID", 0)]))
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
                power = np.where(use, weight * np.abs(corrupted) ** 2, 0).sum(axis=1)
                misfit = np.where(use, weight * np.abs(data - corrupted) ** 2, 0).sum(axis=1)
                when = closest(finest["time"], time)
                for antenna in (first, second):
                    np.add.at(signal, (when, antenna), power)
                for pair in ((first, second), (second, first)):
                    np.add.at(residual, pair, misfit)
                    np.add.at(count, pair, use.sum(axis=1))
        finally:
            part.close()
    with np.errstate(invalid="ignore", divide="ignore"):
        # Two numbers a visibility, real and imaginary part.
        of_baseline = np.where(count > 0, residual / (2 * count), np.nan)
        noise = np.sqrt(np.nanmedian(np.where(count.any(axis=1, keepdims=True), of_baseline, 0), axis=1))
        found = np.sqrt(signal) / noise[None]
    return np.nan_to_num(found, nan=0.0, posinf=0.0), count.any(axis=(1, 2))


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
    for part in about:
        same = [p for p in about if (p["term"], p.get("DATA_DESC_ID")) == (part["term"], part.get("DATA_DESC_ID"))]
        good = [np.abs(p["gain"][~p["flag"]]) for p in same]
        good = np.concatenate(good)
        if good.size:
            scale = (np.median if how == "median" else np.mean)(good, axis=0)
            found[part["key"] + ".scale"] = np.where(scale > 0, scale, 1.0)
    return found


def summary(terms, snr, names, with_data):
    entries = {n: {"name": n, "solutions": 0, "flagged": 0, "snr": [], "series": [], "phase": [], "amplitude": []}
               for n in names}
    pooled, table = {"solutions": 0, "flagged": 0, "snr": []}, 0
    for parts in terms.values():
        points = parts[0]["frequency"].size
        shown = range(points) if points <= MOST_SERIES else [points // 2]
        for f in shown:
            for k, name in enumerate(names):
                for p in range(parts[0]["gain"].shape[-1]):
                    take = lambda field: np.concatenate([part[field][:, min(f, part[field].shape[1] - 1), k]
                                                         for part in parts])
                    gain, bad = take("gain")[:, p], take("flag")
                    entry = entries[name]
                    entry["solutions"] += bad.size
                    entry["flagged"] += int(bad.sum())
                    ratio = [snr[part["key"]][:, k, p] for part in parts if part["key"] in snr]
                    good = np.concatenate(ratio)[~bad].tolist() if ratio and len(ratio) == len(parts) else []
                    entry["snr"] += good
                    # An antenna without any data says nothing about the solve.
                    if with_data[k]:
                        pooled["solutions"] += bad.size
                        pooled["flagged"] += int(bad.sum())
                        pooled["snr"] += good
                    if (~bad).any():
                        measure_scatter(gain[~bad], entry)
                    entry["series"].append({
                        "polarisation": parts[0]["correlations"][p][:1], "table": table,
                        "time_s": np.concatenate([part["time"] for part in parts]),
                        "phase_deg": np.rad2deg(np.angle(gain)), "amplitude": np.abs(gain), "flagged": bad})
            table += 1
    median = lambda values: float(np.median(values)) if len(values) else None
    antennas = [{"name": e["name"], "flagged_fraction": e["flagged"] / max(e["solutions"], 1),
                 "median_snr": median(e["snr"]), "series": e["series"]} for e in entries.values()]
    spread = lambda key: median([v for e in entries.values() for v in e[key]])
    return {"solutions": pooled["solutions"], "flagged_fraction": pooled["flagged"] / max(pooled["solutions"], 1),
            "median_snr": median(pooled["snr"]), "phase_scatter_deg": spread("phase"),
            "amplitude_scatter": spread("amplitude"), "antennas": antennas}
