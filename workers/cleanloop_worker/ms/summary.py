"""What is in a measurement set."""

import os
from typing import Any

import numpy as np

from cleanloop_worker import requests as r
from cleanloop_worker.ms.tables import check, opened, pieces
from cleanloop_worker.problems import BadInput

REFANT_SHARE = 0.95  # a reference antenna has at least this part of the best antenna's unflagged data
SHORT_SHARES = (0.1, 0.05)  # of the visibilities, on the shortest baselines, that solves may do without
LEAST_ANTENNAS = 20  # fewer need all of their baselines
KEPT_SHARE = 2 / 3  # of each antenna's visibilities that must be left then
BASELINES = 10  # whose times are looked at, those with most rows


def summary(request: r.Summary) -> dict[str, Any]:
    """What is in a measurement set: see MsSummary in src/measurement_set/summary.rs."""
    return summarise(request.ms)


def summarise(ms: str) -> dict[str, Any]:
    """As `summary`, for others in the worker."""
    check(ms)
    table, geometry = main_table(ms)
    windows, correlations = spectral_windows(ms), correlation_types(ms)
    return {
        "telescope": telescope(ms),
        **table,
        **facts_by_flags(ms),
        **geometry,
        "spectral_windows": windows,
        "correlation_types": correlations,
        "column_bytes": column_bytes(ms, [len(w["frequencies_hz"]) for w in windows], len(correlations)),
    }


def pointing(request: r.ReadPointing) -> dict[str, Any]:
    """Where a measurement set points and with which beam: see Pointing in src/measurement_set/summary.rs."""
    ms = request.ms
    check(ms)
    with opened(os.path.join(ms, "ANTENNA")) as tb:
        dishes = tb.getcol("DISH_DIAMETER") if tb.nrows() else np.zeros(0)
    known = dishes[dishes > 0]
    highest = [w["frequencies_hz"].max() for w in spectral_windows(ms) if w["frequencies_hz"].size]
    return {
        "fields": fields(ms),
        "dish_m": float(np.median(known)) if known.size else 0.0,
        "highest_hz": float(max(highest, default=0.0)),
    }


def main_table(ms: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Size and columns, then times and baselines."""
    with opened(ms) as tb:
        columns, rows = tb.colnames(), int(tb.nrows())
        if rows == 0:
            raise BadInput(f"{ms} has no rows: there is nothing to image")
        time, interval = tb.getcol("TIME"), tb.getcol("INTERVAL")
        first, second = tb.getcol("ANTENNA1"), tb.getcol("ANTENNA2")
        uvw = tb.getcol("UVW")
        scan = tb.getcol("SCAN_NUMBER")
    cross = first != second
    lengths = np.linalg.norm(uvw, axis=0)[cross]
    baseline = first.astype(np.int64) * (int(second.max()) + 1) + second
    spacing = integration(time, interval, scan, baseline)
    return {"rows": rows, "columns": columns}, {
        "scans": int(np.unique(scan).size),
        "time_start_s": float(time.min()) - spacing / 2,
        "time_end_s": float(time.max()) + spacing / 2,
        "integrations": int(np.unique(time).size),
        "integration_s": spacing,
        "longest_baseline_m": float(lengths.max()) if lengths.size else 0.0,
        "shortest_baseline_m": float(lengths[lengths > 0].min()) if (lengths > 0).any() else 0.0,
        "short_baselines_m": short_baselines(first[cross], second[cross], np.hypot(uvw[0], uvw[1])[cross]),
    }


def short_baselines(first: np.ndarray, second: np.ndarray, distance: np.ndarray) -> float:
    """The distance in the uv plane below which baselines may be left out of a solve; 0: none may."""
    total = np.bincount(np.append(first, second))
    for share in SHORT_SHARES if (total > 0).sum() >= LEAST_ANTENNAS else ():
        limit = float(np.quantile(distance, share, method="lower"))
        longer = distance > limit
        kept = np.bincount(np.append(first[longer], second[longer]), minlength=total.size)
        if (kept >= KEPT_SHARE * total).all():
            return limit
    return 0.0


def integration(time: np.ndarray, interval: np.ndarray, scan: np.ndarray, baseline: np.ndarray) -> float:
    """Integration time, s: the median spacing of a baseline's times in a scan; of INTERVAL where scans have one time.

    INTERVAL is not trusted further: files that were averaged or thinned out elsewhere hold that of the raw data, or the
    sum of the weights.
    """
    names, rows = np.unique(baseline, return_counts=True)
    spacings = []
    for name in names[np.argsort(-rows, kind="stable")[:BASELINES]]:
        own = baseline == name
        spacings += [np.diff(np.unique(time[own & (scan == number)])) for number in np.unique(scan[own])]
    spacing = np.concatenate(spacings)
    return float(np.median(spacing if spacing.size else interval))


def facts_by_flags(ms: str) -> dict[str, Any]:
    """The antennas, the fields, the unflagged part of all data, and the best reference antenna."""
    with opened(os.path.join(ms, "ANTENNA")) as tb:
        names = list(tb.getcol("NAME"))
        positions = tb.getcol("POSITION").T
        diameters = tb.getcol("DISH_DIAMETER")
    (unflagged, total), of_fields = flag_counts(ms, len(names))
    there = total > 0
    fraction = np.where(there, unflagged / np.maximum(total, 1), 0.0)
    centre = np.median(positions[there], axis=0) if there.any() else positions.mean(axis=0)
    distance = np.linalg.norm(positions - centre, axis=1)
    reference = None
    if unflagged.max() > 0:
        good = np.flatnonzero(unflagged >= REFANT_SHARE * unflagged.max())
        nearest_first = good[np.argsort(distance[good], kind="stable")].tolist()
        clear = (unmistakable(names, number) for number in nearest_first)
        reference = next((name for name in clear if name), names[nearest_first[0]])
    antennas = [
        {
            "name": name,
            "position_m": positions[k],
            "diameter_m": float(diameters[k]),
            "distance_m": float(distance[k]),
            "unflagged_fraction": float(fraction[k]),
            "has_data": bool(there[k]),
        }
        for k, name in enumerate(names)
    ]
    share = float(unflagged.sum() / max(total.sum(), 1))
    return {
        "antennas": antennas,
        "fields": fields(ms, of_fields),
        "unflagged_fraction": share,
        "reference_antenna": reference,
    }


def unmistakable(names: list[str], number: int) -> str | None:
    """The name of an antenna; its number where others have the name, or where it has none; nothing where that number is
    the name of another. CASA looks for names first."""
    name = str(names[number])
    if name and names.count(name) == 1:
        return name
    return None if str(number) in names else str(number)


def spectral_windows(ms: str) -> list[dict[str, Any]]:
    """Name, channel frequencies and channel width of each spectral window, Hz."""
    windows = []
    with opened(os.path.join(ms, "SPECTRAL_WINDOW")) as tb:
        for k in range(tb.nrows()):
            frequency, width = tb.getcell("CHAN_FREQ", k), tb.getcell("CHAN_WIDTH", k)
            step = abs(float(width[0])) if width.size else 0.0
            windows.append({"name": tb.getcell("NAME", k), "frequencies_hz": frequency, "channel_width_hz": step})
    return windows


def fields(ms: str, unflagged: np.ndarray | None = None) -> list[dict[str, Any]]:
    """Name and phase centre of each field, degrees, its rows, windows, intents and the part of its data that is not
    flagged (0: not looked at)."""
    with opened(ms) as tb:
        number, state, description = tb.getcol("FIELD_ID"), tb.getcol("STATE_ID"), tb.getcol("DATA_DESC_ID")
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        window = tb.getcol("SPECTRAL_WINDOW_ID")[description]
    modes = intents(ms)
    with opened(os.path.join(ms, "FIELD")) as tb:
        centres = [tb.getcell("PHASE_DIR", k) for k in range(tb.nrows())]
        names = [tb.getcell("NAME", k) for k in range(tb.nrows())]
    rows = [number == k for k in range(len(names))]
    return [
        {
            "name": names[k],
            "ra_deg": float(np.rad2deg(centre[0, 0]) % 360),
            "dec_deg": float(np.rad2deg(centre[1, 0])),
            "observed": bool(rows[k].any()),
            "rows": int(rows[k].sum()),
            "windows": [int(w) for w in np.unique(window[rows[k]])],
            "unflagged_fraction": 0.0 if unflagged is None else float(unflagged[k]),
            "intents": sorted({i for s in np.unique(state[rows[k]]) if 0 <= s < len(modes) for i in modes[s]}),
        }
        for k, centre in enumerate(centres)
    ]


def intents(ms: str) -> list[list[str]]:
    """Intents of each state; none where there is no such table."""
    path = os.path.join(ms, "STATE")
    if not os.path.isdir(path):
        return []
    with opened(path) as tb:
        return [[word for word in tb.getcell("OBS_MODE", k).split(",") if word] for k in range(tb.nrows())]


def telescope(ms: str) -> str:
    """Name of the telescope; empty: unknown."""
    with opened(os.path.join(ms, "OBSERVATION")) as tb:
        return tb.getcell("TELESCOPE_NAME", 0) if tb.nrows() else ""


def correlation_types(ms: str) -> list[int]:
    """casacore's numbers of the correlations."""
    with opened(os.path.join(ms, "POLARIZATION")) as tb:
        return [int(c) for c in tb.getcell("CORR_TYPE", 0)] if tb.nrows() else []


def column_bytes(ms: str, channels: list[int], correlations: int) -> int:
    """Size of one column of complex visibilities; `channels` of each spectral window."""
    with opened(os.path.join(ms, "DATA_DESCRIPTION")) as tb:
        window = tb.getcol("SPECTRAL_WINDOW_ID")
    with opened(ms) as tb:
        description, count = np.unique(tb.getcol("DATA_DESC_ID"), return_counts=True)
    values = sum(channels[window[d]] * n for d, n in zip(description, count, strict=True))
    return int(values * correlations * 8)


def flag_counts(ms: str, antennas: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Unflagged and all visibilities of each antenna, and the unflagged part of each field's; no autocorrelations."""
    with opened(os.path.join(ms, "FIELD")) as tb:
        fields = tb.nrows()
    unflagged, total = np.zeros(antennas), np.zeros(antennas)
    good_of_field, all_of_field = np.zeros(fields), np.zeros(fields)
    for tb, start, rows in pieces(ms, "FLAG"):
        flag = tb.getcol("FLAG", start, rows)
        good = (~flag).sum(axis=(0, 1)) * ~tb.getcol("FLAG_ROW", start, rows)
        size = flag.shape[0] * flag.shape[1]
        first, second = tb.getcol("ANTENNA1", start, rows), tb.getcol("ANTENNA2", start, rows)
        cross = first != second
        for antenna in (first, second):
            unflagged += np.bincount(antenna[cross], good[cross], antennas)
            total += np.bincount(antenna[cross], minlength=antennas) * size
        field = tb.getcol("FIELD_ID", start, rows)[cross]
        good_of_field += np.bincount(field, good[cross], fields)
        all_of_field += np.bincount(field, minlength=fields) * size
    return (unflagged, total), good_of_field / np.maximum(all_of_field, 1)
